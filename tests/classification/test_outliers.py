"""What is unlike training: likeness, hidden labels, the rule and its bound."""

import numpy as np
import pytest

from expressome.classification.outliers import (
    OutlierBound,
    OutlierRule,
    fit_outlier_rule,
    no_rule,
)
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


def learn(space, drawn, rng):
    values, classes, studies = drawn
    return fit_outlier_rule(
        space.compare(values),
        studies,
        hidden=np.eye(N_CLASSES, dtype=bool)[classes],
        labels=classes,
        rng=rng,
    )


def test_five_percent_of_unseen_studies_lie_beyond_the_bound(rng):
    distances = rng.random(400)

    bound = bound_distance(distances, np.arange(400))

    assert (distances > bound).mean() == pytest.approx(0.05, abs=0.005)
    assert bound_distance([], []) == np.inf


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


def test_the_distance_is_mahalanobis_of_the_covariance_within_classes(rng):
    values, classes, studies = draw_studies(rng, n_studies=10, n_each=3, n_genes=6, spread=0.3)
    space = fit_resemblance(values, classes, studies, n_classes=N_CLASSES, rng=rng)

    found = space.compare(values[:4]).distance

    standard = (values[:4] - space.centre) / space.scale
    covariance = (space.directions * space.spreads) @ space.directions.T
    covariance += space.noise * (np.eye(6) - space.directions @ space.directions.T)
    precision = np.linalg.inv(covariance.astype(np.float64))
    for k in range(N_CLASSES):
        pairs = [
            values[(classes == k) & (studies == s)].mean(axis=0) for s in set(studies[classes == k])
        ]
        apart = standard - (np.mean(pairs, axis=0) - space.centre) / space.scale
        expected = np.einsum("ig,gh,ih->i", apart, precision, apart) / (1 + 1 / len(pairs))
        np.testing.assert_allclose(found[:, k], expected, rtol=1e-3)


def test_hiding_a_class_says_the_same_as_never_having_had_it(rng):
    drawn, others = draw_studies(rng), draw_studies(rng, first=100)
    whole = fit_space(drawn, rng)
    values = others[0]
    hidden = np.zeros((len(values), N_CLASSES), bool)
    hidden[:, 2] = True

    found = whole.compare(values).hide(hidden)
    without = fit_space(drawn, rng, without=[2]).compare(values)

    assert np.isneginf(found.similarity[:, 2]).all()
    assert np.isneginf(without.similarity[:, 2]).all()
    nearest = [likeness.similarity.max(axis=1) for likeness in (found, without)]
    assert np.corrcoef(nearest)[0, 1] > 0.95


def test_a_class_never_trained_is_far_and_unseen_studies_of_known_ones_are_not(rng):
    train, held, asked = (draw_studies(rng, first=100 * i) for i in range(3))
    space = fit_space(train, rng, without=[4])
    known = held[1] != 4
    likeness = space.compare(held[0][known])
    learned = fit_outlier_rule(
        likeness,
        held[2][known],
        hidden=np.eye(N_CLASSES, dtype=bool)[held[1][known]],
        labels=held[1][known],
        rng=rng,
    )
    bound = bound_distance(learned.distances, held[2][known])

    distance = OutlierBound(space, learned.rule).distance(asked[0])

    assert learned.n_hidden == 4
    assert (distance[asked[1] == 4] > bound).mean() >= 0.8
    assert (distance[asked[1] != 4] > bound).mean() <= 0.15


def test_with_few_labels_the_adjusted_likeness_alone_decides(rng):
    drawn, held = draw_studies(rng), draw_studies(rng, first=100)
    space = fit_space(drawn, rng, without=[2, 3, 4])
    rows = held[1] < 2
    likeness = space.compare(held[0][rows])

    learned = fit_outlier_rule(
        likeness,
        held[2][rows],
        hidden=np.eye(N_CLASSES, dtype=bool)[held[1][rows]],
        labels=held[1][rows],
        rng=rng,
    )

    assert learned.n_hidden == 0
    assert np.flatnonzero(learned.rule.weights).tolist() == [2]
    assert np.isfinite(learned.distances).all()


def test_a_spread_of_fewer_studies_keeps_every_class_and_profile(rng):
    values, classes, studies = drawn = draw_studies(rng)
    whole = fit_space(drawn, rng)

    fewer = fit_resemblance(
        values, classes, studies, n_classes=N_CLASSES, rng=rng, n_spread_studies=12
    )

    assert fewer.owners.tolist() == whole.owners.tolist()
    assert fewer.n_studies.tolist() == whole.n_studies.tolist()
    assert not np.allclose(fewer.scale, whole.scale)
    assert np.isfinite(fewer.compare(values).similarity).all()


def test_a_spread_of_as_many_studies_as_there_are_is_that_of_all(rng):
    values, classes, studies = drawn = draw_studies(rng)

    same = fit_resemblance(
        values, classes, studies, n_classes=N_CLASSES, rng=rng, n_spread_studies=30
    )

    np.testing.assert_array_equal(same.scale, fit_space(drawn, rng).scale)


def test_a_single_study_and_single_samples_give_finite_distances(rng):
    values, classes, studies = draw_studies(rng, n_studies=5, n_each=1)
    space = fit_resemblance(values, classes, studies, n_classes=N_CLASSES, rng=rng)

    distance = OutlierBound(space, no_rule(N_CLASSES)).distance(values)

    assert space.directions.shape[1] == 0
    assert np.isfinite(space.compare(values).distance).all()
    assert np.isfinite(distance).all()


def test_outliers_survive_the_round_trip_and_missing_parts_are_named(rng):
    drawn, held = draw_studies(rng), draw_studies(rng, first=100)
    space = fit_space(drawn, rng)
    found = OutlierBound(space, learn(space, held, rng).rule)

    parts = found.to_parts()
    again = OutlierBound.from_parts(parts)

    np.testing.assert_array_equal(again.distance(held[0]), found.distance(held[0]))
    assert isinstance(again.rule, OutlierRule)
    with pytest.raises(ModelError, match="lacks bound"):
        OutlierBound.from_parts({k: v for k, v in parts.items() if k != "bound"})
    with pytest.raises(ModelError, match=r"\[2, 5\] offsets for 5 classes"):
        OutlierBound.from_parts(parts | {"distance_offsets": parts["distance_offsets"][:2]})
    with pytest.raises(ModelError, match="arrays of shapes"):
        Resemblance.from_parts(parts | {"means": parts["means"][:2]})
