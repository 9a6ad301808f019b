"""What is unlike training: the angle to the nearest class, what is usual, the bound."""

import numpy as np
import pytest

from expressome.classification.outliers import OutlierBound, OutlierRule, fit_outlier_rule, no_rule
from expressome.classification.resemblance import Resemblance, fit_resemblance
from expressome.classification.usual_distances import bound_distance, fit_class_offsets
from expressome.errors import ModelError

N_CLASSES = 5


def draw_studies(rng, *, first=0, n_studies=30, n_each=4, n_genes=80, spread=1.0):
    """Draw classes with eight markers each, seen by studies that move along common axes."""
    study = np.repeat(np.arange(n_studies), n_each)
    classes = study % N_CLASSES
    axes = np.random.default_rng(99).normal(size=(6, n_genes))
    values = rng.normal(0, 0.5, size=(len(study), n_genes))
    values += spread * (rng.normal(size=(n_studies, 6)) @ axes)[study]
    for k in range(N_CLASSES):
        values[classes == k, 8 * k : 8 * k + 8] += 4
    return values.astype(np.float32), classes, np.array([f"s{first + s}" for s in study], object)


def fit_space(drawn, rng, *, n_classes=N_CLASSES, without=()):
    values, classes, studies = drawn
    kept = ~np.isin(classes, without)
    return fit_resemblance(values[kept], classes[kept], studies[kept], n_classes=n_classes, rng=rng)


def learn(space, drawn, false_flags=0.05):
    values, _, studies = drawn
    return fit_outlier_rule(space.compare(values), studies, false_flags=false_flags)


def test_the_bound_leaves_room_for_the_next_study(rng):
    distances = rng.random(400)

    bound = bound_distance(distances, np.arange(400))

    # (0.05 x 401 - 1) / 400 = 4.8%: the next study may lie beyond entirely.
    assert (distances > bound).mean() == pytest.approx(0.0475, abs=0.0026)
    assert bound_distance([], []) == np.inf


def test_of_few_studies_the_largest_distance_is_the_bound(rng):
    distances = rng.random(18)

    assert bound_distance(distances, np.arange(18)) == distances.max()


def test_false_flags_of_new_studies_stay_below_the_share_asked_on_average(rng):
    """Studies differ: each has a level of its own. Mean over many draws of 40 and one more."""
    rates = []
    for _ in range(400):
        levels = np.repeat(rng.normal(size=41), 5)
        distances = levels + rng.normal(size=205)
        bound = bound_distance(distances[:200], np.repeat(np.arange(40), 5))
        rates.append((distances[200:] > bound).mean())

    assert np.mean(rates) <= 0.05 + 2 * np.std(rates) / 20


def test_the_usual_distance_of_a_class_is_taken_off_without_the_study_itself(rng):
    nearest, studies = np.repeat([0, 1], 40), np.repeat(np.arange(20), 4)
    distances = rng.normal(0, 1, 80) + 10 * nearest

    found = fit_class_offsets(distances, nearest, studies, n_classes=3)

    assert found.offsets[1] - found.offsets[0] == pytest.approx(10 * 10 / 14, abs=0.5)
    assert found.offsets[2] == 0
    moved = distances.copy()
    moved[studies == 19] += 100
    again = fit_class_offsets(moved, nearest, studies, n_classes=3)
    change = (again.adjusted - found.adjusted)[studies == 19]
    np.testing.assert_allclose(change, 100, atol=1e-9)


def test_the_cosine_is_that_of_profiles_whitened_by_the_covariance_within_classes(rng):
    values, classes, studies = draw_studies(rng, n_studies=10, n_each=3, n_genes=6, spread=0.3)
    space = fit_resemblance(values, classes, studies, n_classes=N_CLASSES, rng=rng)

    found = space.compare(values[:4])

    pairs = [(k, s) for k in range(N_CLASSES) for s in sorted(set(studies[classes == k]))]
    means = np.array([values[(classes == k) & (studies == s)].mean(axis=0) for k, s in pairs])
    owner = np.array([k for k, _ in pairs])
    centres = np.array([means[owner == k].mean(axis=0) for k in range(N_CLASSES)])
    between = (means - centres[owner]) * np.sqrt(2 / len(pairs))
    study = np.array([pairs.index(pair) for pair in zip(classes, studies, strict=True)])
    within = (values - means[study]) / np.sqrt(len(values) - len(pairs))
    rows = np.concatenate([between, within])
    spread = np.sqrt((rows**2).sum(axis=0))
    scale = spread + 0.3 * np.median(spread)
    covariance = (rows / scale).T @ (rows / scale)
    squares, axes = np.linalg.eigh(covariance)
    # All but the smallest of six directions are taken; the smallest is the noise.
    whitening = (axes * np.sqrt(squares[0] / squares)) @ axes.T
    middle = centres.mean(axis=0)
    asked, known = ((x - middle) / scale @ whitening for x in (values[:4], centres))
    asked, known = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (asked, known))
    np.testing.assert_allclose(found, asked @ known.T, atol=5e-3)


def test_unmeasured_genes_are_left_out_of_the_comparison(rng):
    values, _, _ = drawn = draw_studies(rng)
    space = fit_space(drawn, rng)
    partial = values.copy()
    partial[:, 60:] = np.nan

    found, whole = space.compare(partial), space.compare(values)

    assert np.isfinite(found).all()
    assert (found.argmax(axis=1) == whole.argmax(axis=1)).mean() > 0.9
    # Genes filled with the centre instead would make every sample look less like its class.
    own = found.max(axis=1).mean()
    assert own == pytest.approx(whole.max(axis=1).mean(), abs=0.2)
    filled = np.where(np.isnan(partial), space.centre, partial)
    assert own > space.compare(filled).max(axis=1).mean()


def test_how_far_a_sample_went_towards_its_class_does_not_matter(rng):
    drawn = draw_studies(rng)
    space = fit_space(drawn, rng)
    apart = drawn[0][:8] - space.centre

    np.testing.assert_allclose(
        space.compare(space.centre + 3 * apart), space.compare(space.centre + apart), atol=1e-4
    )


def test_a_class_never_trained_is_far_and_unseen_studies_of_known_ones_are_not(rng):
    train, held, asked = (draw_studies(rng, first=100 * i) for i in range(3))
    space = fit_space(train, rng, without=[4])
    known = held[1] != 4
    rule = learn(space, tuple(part[known] for part in held))

    distance = OutlierBound(space, rule).distance(asked[0])

    assert rule.n_studies == 24
    assert (distance[asked[1] == 4] > rule.bound).mean() >= 0.8
    assert (distance[asked[1] != 4] > rule.bound).mean() <= 0.15


def test_a_class_without_training_samples_is_never_the_nearest(rng):
    drawn = draw_studies(rng)
    found = fit_space(drawn, rng, without=[2]).compare(drawn[0])

    assert np.isneginf(found[:, 2]).all()
    assert np.isfinite(found[:, [0, 1, 3, 4]]).all()


def test_a_single_study_and_single_samples_give_finite_distances(rng):
    values, classes, studies = draw_studies(rng, n_studies=5, n_each=1)
    space = fit_resemblance(values, classes, studies, n_classes=N_CLASSES, rng=rng)

    distance = OutlierBound(space, no_rule(N_CLASSES)).distance(values)

    assert space.directions.shape[1] == 0
    assert np.isfinite(distance).all()


def test_outliers_survive_the_round_trip_and_missing_parts_are_named(rng):
    drawn, held = draw_studies(rng), draw_studies(rng, first=100)
    space = fit_space(drawn, rng)
    found = OutlierBound(space, learn(space, held))

    parts = found.to_parts()
    again = OutlierBound.from_parts(parts)

    np.testing.assert_array_equal(again.distance(held[0]), found.distance(held[0]))
    assert isinstance(again.rule, OutlierRule)
    assert (again.bound, again.rule.n_studies) == (found.bound, 30)
    with pytest.raises(ModelError, match="lacks bound"):
        OutlierBound.from_parts({k: v for k, v in parts.items() if k != "rule_bound"})
    with pytest.raises(ModelError, match="2 offsets for 5 classes"):
        OutlierBound.from_parts(parts | {"rule_offsets": parts["rule_offsets"][:2]})
    with pytest.raises(ModelError, match="arrays of shapes"):
        Resemblance.from_parts(parts | {"profiles": parts["profiles"][:2]})
