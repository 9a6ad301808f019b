"""Temperature, thresholds, error bound, linear scores, gene order."""

import numpy as np
import pytest
from scipy import sparse

from expressome.classification.calibration import (
    apply_temperature,
    fit_confidence_bound,
    fit_temperature,
    fit_thresholds,
)
from expressome.classification.discriminant import fit_linear, share_evenly
from expressome.classification.features import f_statistic, order_genes, rank_within_samples
from expressome.classification.linear import LinearScores
from expressome.classification.tuning import validation_pairs
from expressome.errors import LabelWarning, ModelError, ShapeError


def test_temperature_finds_the_one_that_flattened_the_votes(rng):
    truth = rng.dirichlet(np.full(4, 0.4), 4000)
    classes = np.array([rng.choice(4, p=row) for row in truth])
    flattened = apply_temperature(truth, 3.0)

    found = fit_temperature(flattened, classes, np.arange(4000))

    assert found == pytest.approx(1 / 3, rel=0.15)


def test_right_answers_alone_make_no_answer_certain():
    votes = np.full((40, 3), 0.05)
    votes[:, 0] = 0.9

    found = fit_temperature(votes, np.zeros(40, int), np.arange(40))

    confidence = apply_temperature(votes, found)[:, 0].mean()
    assert confidence == pytest.approx(1 - 1 / 82, abs=0.003)


def test_without_samples_nothing_is_calibrated():
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int), []) == 1.0
    assert fit_thresholds(sparse.csr_array((0, 2)), np.zeros((0, 2)), []).tolist() == [0.5, 0.5]


def test_thresholds_maximise_f1_against_brute_force(rng):
    truth = rng.integers(0, 2, (40, 1))
    scores = 0.4 * truth + 0.6 * rng.random((40, 1))

    found = fit_thresholds(sparse.csr_array(truth), scores, np.arange(40))[0]

    def f1(cut):
        chosen = scores >= cut
        return 2 * (chosen & (truth == 1)).sum() / (chosen.sum() + truth.sum())

    assert f1(found) == pytest.approx(max(f1(cut) for cut in scores.ravel()), abs=1e-12)


def test_a_label_of_two_carriers_takes_the_common_threshold():
    truth = np.zeros((10, 2), int)
    truth[:5, 0], truth[5:7, 1] = 1, 1
    scores = np.full((10, 2), 0.1)
    scores[:5, 0], scores[5, 1], scores[6, 1] = 0.8, 0.7, 0.02

    found = fit_thresholds(sparse.csr_array(truth), scores, np.arange(10))

    assert found[1] == pytest.approx(0.4)


def test_no_promise_beyond_the_number_of_studies():
    with pytest.warns(LabelWarning, match=r"4 calibration studies cannot promise .* 0.05; 0.2"):
        bound = fit_confidence_bound(
            [0.9, 0.8, 0.7, 0.6], [1, 1, 1, 1], list("abcd"), max_error=0.05
        )

    assert bound.bound == 0.6


def test_errors_at_the_top_leave_nothing_to_answer():
    bound = fit_confidence_bound(
        np.linspace(0.9, 0.1, 20), np.arange(20) > 0, np.arange(20), max_error=0.05
    )

    assert bound.bound > 1
    assert bound.answered == 0


def test_promised_error_holds_on_average_over_studies(rng):
    errors, answered = [], []
    for _ in range(60):
        difficulty = np.repeat(rng.beta(2, 8, 80), 10)
        confidence = rng.random(800)
        is_right = rng.random(800) > difficulty * (1.2 - confidence)
        studies = np.repeat(np.arange(80), 10)
        seen = studies < 60
        bound = fit_confidence_bound(
            confidence[seen], is_right[seen], studies[seen], max_error=0.12
        ).bound
        is_answered = (confidence >= bound) & ~seen
        wrong = [
            (~is_right[is_answered & (studies == s)]).mean()
            for s in range(60, 80)
            if (is_answered & (studies == s)).any()
        ]
        errors.append(np.mean(wrong) if wrong else 0.0)
        answered.append(is_answered.sum() / (~seen).sum())

    assert np.mean(errors) <= 0.12 + 2 * np.std(errors) / np.sqrt(60)
    assert np.mean(answered) > 0.3


def test_linear_scores_equal_weighted_ridge_of_scikit_learn(rng):
    from sklearn.linear_model import Ridge

    values = rng.normal(size=(60, 8))
    classes = np.repeat([0, 1, 2], [10, 20, 30])
    found = fit_linear(values, classes, n_classes=3, penalty=0.5)
    weights = 1 / np.bincount(classes)[classes] / 3
    standard = (values - found.centre) / found.scale

    expected = Ridge(alpha=0.5).fit(standard, np.eye(3)[classes], sample_weight=weights)

    np.testing.assert_allclose(found.weights, expected.coef_.T, atol=2e-5)
    np.testing.assert_allclose(found.intercepts, expected.intercept_, atol=2e-5)


@pytest.mark.parametrize("n_genes", [8, 90])
def test_study_differences_in_closed_form_equal_many_samples_moved_by_them(rng, n_genes):
    values = rng.normal(size=(40, n_genes))
    classes = np.repeat([0, 1], 20)
    differences = rng.normal(size=(3, n_genes))
    found = fit_linear(
        values, classes, n_classes=2, penalty=0.5, differences=differences, strength=2.0
    )
    # An effect and its opposite on every sample: the mean stays, the scatter grows.
    moves = 2.0 * np.concatenate([differences, -differences])
    moved = ((values - found.centre) / found.scale)[None] + (moves / found.scale)[:, None]
    expected = np.concatenate(list(moved))
    shares = np.full(len(expected), 1 / len(expected))
    one_hot = np.tile(np.eye(2)[classes], (6, 1))
    centred = expected - shares @ expected
    moments = (centred * shares[:, None]).T @ centred + 0.5 * np.eye(n_genes)
    weights = np.linalg.solve(moments, (centred * shares[:, None]).T @ (one_hot - 0.5))

    np.testing.assert_allclose(found.weights, weights, atol=2e-5)


def test_every_study_of_a_class_weighs_the_same():
    shares = share_evenly(np.array([0, 0, 0, 1, 1]), ["a", "a", "b", "b", "b"])

    np.testing.assert_allclose(shares, [0.125, 0.125, 0.25, 0.25, 0.25])


def test_linear_scores_refuse_other_genes_and_incomplete_parts(rng):
    scores = fit_linear(rng.normal(size=(6, 3)), np.array([0, 0, 0, 2, 2, 2]), n_classes=3)

    assert (scores.predict(np.zeros((1, 3)))[:, 1] == 0).all()
    with pytest.raises(ShapeError, match="the values have 2 genes; the weights cover 3"):
        scores.predict(np.zeros((1, 2)))
    parts = scores.to_parts()
    with pytest.raises(ModelError, match=r"shape \(2, 3\) should be \(3, 3\)"):
        LinearScores.from_parts(parts | {"weights": parts["weights"][:2]})
    with pytest.raises(ModelError, match="linear half lacks scale"):
        LinearScores.from_parts({k: v for k, v in parts.items() if k != "scale"})


def test_f_statistic_equals_scikit_learns_for_two_labels(rng):
    from sklearn.feature_selection import f_classif

    values = rng.normal(size=(30, 6))
    classes = np.repeat([0, 1], 15)
    labels = sparse.csr_array(np.eye(2, dtype=int)[classes])

    np.testing.assert_allclose(
        f_statistic(values, labels), f_classif(values, classes)[0], rtol=1e-9
    )


def test_a_gene_that_marks_one_large_study_is_no_gene_of_its_label(rng):
    # Label 0: a study of 30 and three of 2; label 1: four studies of 9.
    studies = np.repeat(list("abcdefgh"), [30, 2, 2, 2, 9, 9, 9, 9]).astype(object)
    classes = np.isin(studies, list("efgh")).astype(int)
    labels = sparse.csr_array(np.eye(2, dtype=int)[classes])
    values = rng.normal(size=(72, 3))
    values[studies == "a", 0] += 4
    values[classes == 0, 1] += 1.5

    over_samples = f_statistic(values, labels)
    over_studies = f_statistic(values, labels, studies=studies)

    assert over_samples.argmax() == 0
    assert over_studies.argmax() == 1
    means = np.stack([values[studies == s].mean(axis=0) for s in "abcdefgh"])
    by_hand = f_statistic(means, sparse.csr_array(np.eye(2, dtype=int)[[0] * 4 + [1] * 4]))
    np.testing.assert_allclose(over_studies, by_hand, rtol=1e-9)


def test_a_label_of_one_study_has_its_gene_too(rng):
    studies = np.repeat(list("abcde"), 4).astype(object)
    labels = sparse.csr_array(np.eye(2, dtype=int)[np.repeat([0, 0, 0, 0, 1], 4)])
    values = rng.normal(scale=0.1, size=(20, 2))
    values[studies == "e", 1] += 5

    assert f_statistic(values, labels, studies=studies).argmax() == 1


def test_with_three_cells_samples_are_counted(rng):
    studies = np.repeat(list("abc"), 4).astype(object)
    labels = sparse.csr_array(np.eye(2, dtype=int)[np.repeat([0, 0, 1], 4)])
    values = rng.normal(size=(12, 5))

    np.testing.assert_array_equal(
        f_statistic(values, labels, studies=studies), f_statistic(values, labels)
    )


def test_a_gene_that_a_study_did_not_measure_does_not_lead_for_it(rng):
    studies = np.repeat(list("abcdef"), 4).astype(object)
    labels = sparse.csr_array(np.eye(2, dtype=int)[np.repeat([0, 1], 12)])
    values = rng.normal(8, 1, size=(24, 2))
    values[:12, 1] += 3
    values[:12, 0] = np.nan

    found = f_statistic(values, labels, studies=studies)

    assert found.argmax() == 1
    assert f_statistic(np.nan_to_num(values), labels, studies=studies)[0] > found[1] > 10 * found[0]
    assert f_statistic(np.full((4, 1), np.nan), labels[[0, 1, 12, 13]]).tolist() == [0.0]


def test_genes_seldom_detected_come_after_all_others():
    order = order_genes([9.0, 5.0, 1.0], [0.9, 0.5, 0.1], neighbours_detected=[0.2, 0.9, 0.8])

    assert order.tolist() == [1, 2, 0]


def test_ranks_share_ties_and_leave_unmeasured_genes_out():
    assert rank_within_samples(np.array([[2.0, 2.0, 5.0]])).tolist() == [[0.25, 0.25, 1.0]]
    ranks = rank_within_samples(np.array([[np.nan, 1.0, 7.0, 3.0]]))[0]
    assert np.isnan(ranks[0])
    assert ranks[1:].tolist() == [0, 1, 0.5]


def test_settings_are_never_chosen_on_test_samples():
    studies = np.repeat(np.arange(12), 3).astype(object)
    labels = sparse.csr_array(np.ones((36, 1), np.uint8))
    parts = np.repeat(["train", "validation", "test"], 12).astype(object)

    pairs = validation_pairs(parts, labels, studies, seed=0)

    assert len(pairs) == 5
    for train, held in pairs:
        assert not (parts[train] == "test").any()
        assert not (parts[held] == "test").any()
        assert not set(studies[train]) & set(studies[held])
