"""Score answers on unseen studies, with intervals over studies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.classification.label_sets import LabelSets, specific_labels
from expressome.classification.model import choose_labels
from expressome.classification.scores import (
    calibration_error,
    confuse,
    reliability_curve,
    score_labels,
)

__all__ = ["LabelTree", "score_answers"]

_N_BOOTSTRAPS = 200
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
    """

    keys: Sequence[str]
    parents: list[int]
    sizes: NDArray[np.int64]


def score_answers(
    truth: sparse.csr_array,
    studies: NDArray[np.object_],
    set_probabilities: NDArray[np.float64],
    *,
    label_sets: LabelSets,
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
    studies
        Study of each sample, shape (n_samples,).
    set_probabilities
        Of each label set, shape (n_samples, n_sets).
    label_sets
        The sets.
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
        reliability, risk_coverage, confusion, intervals (95%, over studies).
    """
    probabilities = label_sets.to_label_probabilities(set_probabilities)
    true = sparse.csr_array(truth).toarray().astype(bool)
    best_set = set_probabilities.argmax(axis=1)
    above = choose_labels(probabilities, thresholds, tree.parents)
    is_answered: NDArray[np.bool_] = np.asarray(above.any(axis=1))
    chosen = np.where(is_answered[:, None], above, label_sets.sets[best_set])
    best = specific_labels(label_sets, tree.parents, tree.sizes)[best_set]
    rows = np.arange(len(true))
    is_right = true[rows, best]
    confidence = probabilities[rows, best]
    scores = score_labels(truth, chosen, probabilities, label_keys=tree.keys, thresholds=thresholds)
    f1 = _f1_per_sample(true, chosen)
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
        "confusion": confuse(_specific_truth(true, tree), best, label_keys=tree.keys),
        "intervals": _intervals(true, chosen, studies=studies, rng=rng),
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


def _intervals(
    true: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    *,
    studies: NDArray[np.object_],
    rng: np.random.Generator,
) -> dict[str, list[float] | None]:
    """Draw studies with replacement; give 2.5th and 97.5th percentiles of each F1."""
    _, owner = np.unique(studies.astype(str), return_inverse=True)
    n_studies = int(owner.max(initial=-1)) + 1
    names = ("f1_samples", "f1_micro", "f1_macro")
    if n_studies < 2:
        return dict.fromkeys(names)
    members = sparse.csr_array(
        (np.ones(len(owner)), (owner, np.arange(len(owner)))), shape=(n_studies, len(owner))
    )
    n_both, support, n_chosen = (
        members @ part.astype(np.float64) for part in (true & chosen, true, chosen)
    )
    totals = members @ np.column_stack([_f1_per_sample(true, chosen), np.ones(len(owner))])
    draws = np.empty((_N_BOOTSTRAPS, 3))
    for b in range(_N_BOOTSTRAPS):
        weight = np.bincount(rng.integers(n_studies, size=n_studies), minlength=n_studies)
        both, real, answered = weight @ n_both, weight @ support, weight @ n_chosen
        f1_sum, n_samples = weight @ totals
        per_label = (2 * both / np.maximum(real + answered, 1))[real > 0]
        micro = 2 * both.sum() / max(1.0, float(real.sum() + answered.sum()))
        draws[b] = f1_sum / n_samples, micro, per_label.mean()
    bounds = np.percentile(draws, [2.5, 97.5], axis=0)
    return {name: [float(bounds[0, j]), float(bounds[1, j])] for j, name in enumerate(names)}
