"""Scores equal scikit-learn's; labels without support are named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn import metrics

from expressome.classification import intervals
from expressome.classification.classifier import Classifier
from expressome.classification.evaluation import LabelTree, Origins, score_answers
from expressome.classification.intervals import compare_answers, score_depths
from expressome.classification.label_sets import LabelSets
from expressome.classification.scores import (
    area_under_roc,
    average_precision,
    calibration_error,
    confuse,
    score_labels,
)
from expressome.errors import ShapeError


def draw(seed, n_samples=60, n_labels=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, (n_samples, n_labels))
    truth[0], truth[1] = 1, 0
    probabilities = np.round(0.5 * truth + 0.7 * rng.random(truth.shape), 1)
    return truth, (probabilities > 0.6).astype(int), probabilities


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_all_scores_equal_scikit_learns(seed):
    truth, chosen, probabilities = draw(seed)

    found = score_labels(sparse.csr_array(truth), chosen, probabilities, label_keys=list("abcd"))

    for average in ("samples", "micro", "macro"):
        expected = metrics.f1_score(truth, chosen, average=average, zero_division=0)
        assert found[f"f1_{average}"] == pytest.approx(expected, abs=1e-12)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truth, chosen, zero_division=0
    )
    for k, key in enumerate("abcd"):
        row = found["per_label"][key]
        assert row["support"] == support[k]
        assert [row["precision"], row["recall"], row["f1"]] == pytest.approx(
            [precision[k], recall[k], f1[k]], abs=1e-12
        )
        assert row["average_precision"] == pytest.approx(
            metrics.average_precision_score(truth[:, k], probabilities[:, k]), abs=1e-12
        )
        assert row["auroc"] == pytest.approx(
            metrics.roc_auc_score(truth[:, k], probabilities[:, k]), abs=1e-12
        )


def test_a_label_without_support_is_named_and_not_averaged():
    truth = sparse.csr_array([[1, 0], [1, 0]])

    found = score_labels(truth, [[1, 0], [1, 0]], [[0.9, 0.1], [0.9, 0.1]], label_keys=["a", "b"])

    assert found["without_support"] == ["b"]
    assert found["f1_macro"] == 1.0
    assert found["per_label"]["b"] == {
        "support": 0,
        "testable": False,
        "threshold": None,
        "n_chosen": 0,
        "precision": None,
        "recall": None,
        "f1": None,
        "average_precision": None,
        "auroc": None,
    }


def test_shapes_that_differ_are_named():
    with pytest.raises(ShapeError, match=r"\(1, 2\), chosen labels \(1, 1\)"):
        score_labels(sparse.csr_array([[1, 0]]), [[1]], [[0.5, 0.5]], label_keys=["a", "b"])


def test_calibration_error_of_sure_and_wrong_answers_is_one():
    assert calibration_error([1.0, 1.0], [0, 0]) == 1.0
    assert calibration_error([], []) is None


def test_confusion_lists_only_labels_that_occur():
    found = confuse(np.array([0, 2, 2]), np.array([0, 2, 0]), label_keys=["a", "b", "c"])

    assert found == {"labels": ["a", "c"], "matrix": [[1, 0], [1, 1]]}


def test_samples_below_all_thresholds_are_scored_by_their_best_set():
    sets = LabelSets(np.eye(2, dtype=bool), np.array([5, 5]))
    truth = sparse.csr_array([[1, 0], [0, 1], [0, 1]])
    votes = np.array([[0.9, 0.1], [0.45, 0.55], [0.2, 0.8]])

    scores = score_answers(
        truth,
        Origins(np.array(["s1", "s2", "s3"], dtype=object), np.array([1e6, 2e6, np.nan])),
        votes,
        classifier=Classifier(sets, None, None, 0.0),
        thresholds=np.array([0.7, 0.7]),
        tree=LabelTree(["a", "b"], [-1, -1], np.array([5, 5]), ["tissue", "cell line"]),
        rng=np.random.default_rng(0),
    )

    assert scores["f1_samples"] == 1.0
    assert scores["answered"]["share"] == pytest.approx(2 / 3)
    assert scores["intervals"]["f1_micro"] == [1.0, 1.0]
    assert set(scores["by_kind"]) <= {"tissue", "cell line"}
    assert np.sum(scores["confusion_by_kind"]["matrix"]) == 3
    assert sum(row["n_samples"] for row in scores["by_depth"]) == 3
    assert scores["per_label"]["a"]["f1_interval"] == [1.0, 1.0]
    assert scores["risk_coverage"][-1] == {"coverage": 1.0, "error": 0.0}


def test_intervals_of_ranked_scores_equal_scoring_the_drawn_samples_themselves(rng):
    true = rng.integers(0, 2, (30, 3)).astype(bool)
    probabilities = np.round(rng.random((30, 3)), 1)
    weights = rng.integers(0, 3, (4, 30))

    precision, roc = intervals._draw_ranked(true, probabilities, weights)

    for b in range(4):
        rows = np.repeat(np.arange(30), weights[b])
        for k in range(3):
            assert precision[b, k] == pytest.approx(
                average_precision(true[rows, k], probabilities[rows, k])
            )
            assert roc[b, k] == pytest.approx(area_under_roc(true[rows, k], probabilities[rows, k]))


def test_drawn_f1_and_calibration_error_equal_scoring_the_drawn_samples(rng):
    true, chosen = (rng.integers(0, 2, (24, 3)).astype(bool) for _ in range(2))
    confidence, is_right = rng.random(24), rng.integers(0, 2, 24).astype(bool)
    owner = np.arange(24) % 6
    weights = rng.integers(0, 3, (4, 6))

    f1_samples, micro, labels = intervals._draw_f1(true, chosen, owner=owner, weights=weights)
    accuracy, error = intervals._draw_answers(confidence, is_right, weights[:, owner])

    for b in range(4):
        rows = np.repeat(np.arange(24), weights[b, owner])
        scores = score_labels(
            sparse.csr_array(true[rows]), chosen[rows], chosen[rows], label_keys=list("abc")
        )
        assert f1_samples[b] == pytest.approx(scores["f1_samples"])
        assert micro[b] == pytest.approx(scores["f1_micro"])
        assert np.nanmean(labels[b]) == pytest.approx(scores["f1_macro"])
        assert accuracy[b] == pytest.approx(is_right[rows].mean())
        assert error[b] == pytest.approx(calibration_error(confidence[rows], is_right[rows]))


def test_depths_are_quarters_and_unknown_ones_come_last():
    reads = np.array([*range(1, 21), 0, np.nan], dtype=float)
    right = np.arange(22) >= 10

    rows = score_depths(reads, {"f1_samples": right, "accuracy": right, "confidence": right * 1.0})

    assert [row["n_samples"] for row in rows] == [5, 5, 5, 5, 2]
    assert [row["accuracy"] for row in rows] == [0, 0, 1, 1, 1]
    assert (rows[0]["lowest_reads"], rows[3]["highest_reads"]) == (1, 20)
    assert rows[4]["lowest_reads"] is None


def draw_answers(rng):
    """Draw true labels of 12 studies and two methods' answers, one better than the other."""
    studies = np.repeat([f"GSE{s}" for s in range(12)], 10).astype(object)
    true = np.eye(4, dtype=bool)[rng.integers(4, size=120)]
    answers = {
        name: np.where(rng.random((120, 1)) < share, true, np.roll(true, 1, axis=1))
        for name, share in (("good", 0.9), ("poor", 0.5))
    }
    return sparse.csr_array(true.astype(np.uint8)), answers, studies


def test_every_method_has_the_intervals_that_the_model_has(rng):
    truth, answers, studies = draw_answers(rng)
    chosen = answers["good"]

    found = compare_answers(truth, answers, studies, rng=np.random.default_rng(3))
    alone, _ = intervals.draw_intervals(
        truth.toarray().astype(bool), chosen, chosen.astype(float),
        confidence=np.ones(120), is_right=chosen[:, 0], studies=studies,
        rng=np.random.default_rng(3),
    )  # fmt: skip

    for name in ("f1_samples", "f1_micro", "f1_macro"):
        assert found["good"]["intervals"][name] == pytest.approx(alone[name])
        assert found["good"]["intervals"][name][0] <= found["good"][name]
        assert found["good"][name] <= found["good"]["intervals"][name][1]
    assert "f1_macro_lead" not in found["poor"]


def test_a_lead_is_taken_over_the_same_draws(rng):
    truth, answers, studies = draw_answers(rng)

    found = compare_answers(truth, answers, studies, rng=rng, reference="good")

    lead = found["poor"]["f1_macro_lead"]
    assert lead["value"] == pytest.approx(found["good"]["f1_macro"] - found["poor"]["f1_macro"])
    assert 0 < lead["interval"][0] < lead["value"] < lead["interval"][1]
    same = compare_answers(
        truth, {"a": answers["good"], "b": answers["good"]}, studies, rng=rng, reference="a"
    )
    assert same["b"]["f1_macro_lead"] == {"value": 0.0, "interval": [0.0, 0.0]}


def test_one_study_gives_no_interval(rng):
    truth, answers, studies = draw_answers(rng)
    studies[:] = "GSE1"

    found = compare_answers(truth, answers, studies, rng=rng, reference="good")

    assert found["poor"]["intervals"]["f1_macro"] is None
    assert found["poor"]["f1_macro_lead"]["interval"] is None
    assert found["poor"]["f1_macro_lead"]["value"] > 0
