"""Scores equal scikit-learn's; labels without support are named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn import metrics

from expressome.classification.evaluation import LabelTree, score_answers
from expressome.classification.label_sets import LabelSets
from expressome.classification.scores import calibration_error, confuse, score_labels
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
        np.array(["s1", "s2", "s3"], dtype=object),
        votes,
        label_sets=sets,
        thresholds=np.array([0.7, 0.7]),
        tree=LabelTree(["a", "b"], [-1, -1], np.array([5, 5])),
        rng=np.random.default_rng(0),
    )

    assert scores["f1_samples"] == 1.0
    assert scores["answered"]["share"] == pytest.approx(2 / 3)
    assert scores["intervals"]["f1_micro"] == [1.0, 1.0]
    assert scores["risk_coverage"][-1] == {"coverage": 1.0, "error": 0.0}
