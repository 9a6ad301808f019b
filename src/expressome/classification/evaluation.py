"""Score answers on unseen studies, with intervals over studies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.classification.classifier import Classifier
from expressome.classification.intervals import draw_intervals, score_depths
from expressome.classification.label_sets import LabelSets, specific_labels
from expressome.classification.model import choose_labels
from expressome.classification.scores import (
    calibration_error,
    confuse,
    reliability_curve,
    score_labels,
)

__all__ = ["LabelTree", "Origins", "choose_answers", "score_answers"]

_COVERAGES = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class LabelTree:
    """Names and parents of the labels, and how often each occurs in training.

    Attributes
    ----------
    keys
        Label keys, in column order.
    parents
        Column of each label's parent, -1 for none.
    sizes
        Training samples of each label, shape (n_labels,).
    kinds
        Kind of each label (tissue, cell line, ...); empty where unknown.
    """

    keys: Sequence[str]
    parents: list[int]
    sizes: NDArray[np.int64]
    kinds: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Origins:
    """Where scored samples come from.

    Attributes
    ----------
    studies
        Study of each, shape (n_samples,).
    reads
        Aligned reads of each, NaN where unknown; None leaves scores by depth out.
    """

    studies: NDArray[np.object_]
    reads: NDArray[np.floating] | None = None


def choose_answers(
    set_probabilities: NDArray[np.float64],
    *,
    classifier: Classifier,
    thresholds: NDArray[np.float64],
    tree: LabelTree,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Choose the labels that are scored for each sample.

    Parameters
    ----------
    set_probabilities
        Of each label set, calibrated, shape (n_samples, n_sets).
    classifier
        Whose label sets and label maps turn them into labels.
    thresholds
        Per label.
    tree
        Parents of the labels.

    Returns
    -------
    ndarray
        All labels above their thresholds with their ancestors; where there is none, those
        of the most probable label set. Shape (n_samples, n_labels).
    ndarray
        Whether any label was above its threshold, shape (n_samples,).
    """
    probabilities = classifier.to_labels(set_probabilities)
    above = choose_labels(probabilities, thresholds, tree.parents)
    is_answered: NDArray[np.bool_] = np.asarray(above.any(axis=1))
    likeliest = classifier.label_sets.sets[set_probabilities.argmax(axis=1)]
    return np.where(is_answered[:, None], above, likeliest), is_answered


def score_answers(
    truth: sparse.csr_array,
    origins: Origins,
    set_probabilities: NDArray[np.float64],
    *,
    classifier: Classifier,
    thresholds: NDArray[np.float64],
    tree: LabelTree,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Score what a model answers for samples of known labels.

    A sample's answer is all labels above their thresholds with their ancestors;
    where there is none, its most probable label set, so that every sample is
    scored. `answered` says how many needed no such help.

    Parameters
    ----------
    truth
        0/1, closed under parents, shape (n_samples, n_labels).
    origins
        Study, and where known the reads, of each sample.
    set_probabilities
        Of each label set, calibrated, shape (n_samples, n_sets).
    classifier
        Whose label sets and label maps turn them into labels.
    thresholds
        Per label.
    tree
        Names, parents, sizes of the labels.
    rng
        Draws studies for the intervals.

    Returns
    -------
    dict
        What `score_labels` gives, and n_studies, accuracy (best label is right),
        answered {share, f1_samples, accuracy}, expected_calibration_error,
        reliability, risk_coverage, confusion, confusion_by_kind, by_kind, by_depth,
        intervals (95%, over studies; per label ``f1_interval``).
    """
    label_sets, studies = classifier.label_sets, origins.studies
    probabilities = classifier.to_labels(set_probabilities)
    true = sparse.csr_array(truth).toarray().astype(bool)
    best_set = set_probabilities.argmax(axis=1)
    chosen, is_answered = choose_answers(
        set_probabilities, classifier=classifier, thresholds=thresholds, tree=tree
    )
    best = specific_labels(label_sets, tree.parents, tree.sizes)[best_set]
    rows = np.arange(len(true))
    is_right = true[rows, best]
    confidence = probabilities[rows, best]
    scores = score_labels(truth, chosen, probabilities, label_keys=tree.keys, thresholds=thresholds)
    f1 = _f1_per_sample(true, chosen)
    intervals, per_label = draw_intervals(
        true,
        chosen,
        probabilities,
        confidence=confidence,
        is_right=is_right,
        studies=studies,
        rng=rng,
    )
    for k, key in enumerate(tree.keys):
        scores["per_label"][key]["f1_interval"] = per_label[k]
    specific = _specific_truth(true, tree)
    figures = {"f1_samples": f1, "accuracy": is_right, "confidence": confidence}
    return scores | {
        "n_studies": len(np.unique(studies.astype(str))),
        "accuracy": float(is_right.mean()) if len(true) else None,
        "answered": {
            "share": float(is_answered.mean()) if len(true) else None,
            "f1_samples": float(f1[is_answered].mean()) if is_answered.any() else None,
            "accuracy": float(is_right[is_answered].mean()) if is_answered.any() else None,
        },
        "expected_calibration_error": calibration_error(confidence, is_right),
        "reliability": reliability_curve(confidence, is_right),
        "risk_coverage": _risk_coverage(confidence, is_right),
        "confusion": confuse(specific, best, label_keys=tree.keys),
        **_score_kinds(specific, best, f1=f1, tree=tree),
        "by_depth": None if origins.reads is None else score_depths(origins.reads, figures),
        "intervals": intervals,
    }


def _f1_per_sample(true: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    under = true.sum(axis=1) + chosen.sum(axis=1)
    return np.asarray(2 * (true & chosen).sum(axis=1) / np.maximum(under, 1))


def _specific_truth(true: NDArray[np.bool_], tree: LabelTree) -> NDArray[np.int64]:
    """Give the most specific true label of each sample."""
    sets = LabelSets(true, np.ones(len(true), np.int64))
    return specific_labels(sets, tree.parents, tree.sizes)


def _risk_coverage(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_]
) -> list[dict[str, float]]:
    """Give the error among the most confident share of samples."""
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(~is_right[order])
    curve = []
    for coverage in _COVERAGES:
        n = round(coverage * len(order))
        if n:
            curve.append({"coverage": coverage, "error": float(wrong[n - 1] / n)})
    return curve


def _score_kinds(
    truth: NDArray[np.int64],
    answer: NDArray[np.int64],
    *,
    f1: NDArray[np.float64],
    tree: LabelTree,
) -> dict[str, Any]:
    """Score each kind of label, and count which kind was answered for which."""
    if not len(tree.kinds) or not len(truth):
        return {"by_kind": {}, "confusion_by_kind": None}
    kinds = sorted(set(tree.kinds))
    number = np.array([kinds.index(kind) for kind in tree.kinds])
    true, given = number[truth], number[answer]
    by_kind = {
        kinds[j]: {
            "n_samples": int((true == j).sum()),
            "f1_samples": float(f1[true == j].mean()),
            "accuracy": float((answer == truth)[true == j].mean()),
        }
        for j in np.unique(true)
    }
    return {"by_kind": by_kind, "confusion_by_kind": confuse(true, given, label_keys=kinds)}
