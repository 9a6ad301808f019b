"""Score multi-label predictions; a label without support is named, never averaged."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from expressome.errors import ShapeError

__all__ = [
    "area_under_roc",
    "average_precision",
    "calibration_error",
    "confuse",
    "reliability_curve",
    "score_labels",
]


def score_labels(
    truth: sparse.csr_array,
    chosen: ArrayLike,
    probabilities: ArrayLike,
    *,
    label_keys: Sequence[str],
    thresholds: ArrayLike | None = None,
) -> dict[str, Any]:
    """Compute F1 over samples, over all decisions and over labels, and each label's scores.

    `f1_samples` is the mean over samples of F1 between the chosen and the true
    label set; `f1_micro` pools all decisions; `f1_macro` is the mean of the
    labels' F1 over labels with support. A label that no scored sample carries
    has no F1, precision, recall, AP or AUROC; it is listed in `without_support`.

    Parameters
    ----------
    truth
        0/1, shape (n_samples, n_labels).
    chosen
        Labels answered, 0/1, same shape.
    probabilities
        Of each label, same shape.
    label_keys
        Names, in column order.
    thresholds
        Per label, repeated in the result so that figures stay with their cut.

    Returns
    -------
    dict
        n_samples, f1_samples, f1_micro, f1_macro, average_precision_macro,
        auroc_macro, n_labels_scored, without_support, per_label {key: precision, recall, f1,
        average_precision, auroc, support, threshold, testable}.

    Raises
    ------
    ShapeError
        If the three shapes differ.

    Notes
    -----
    Precision of a label never chosen is 0, as in scikit-learn with
    ``zero_division=0``; a sample without true and chosen labels scores 0.

    Examples
    --------
    >>> truth = sparse.csr_array([[1, 0], [0, 1], [0, 1]])
    >>> scores = score_labels(truth, [[1, 0], [0, 1], [1, 0]],
    ...                       [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], label_keys=["liver", "brain"])
    >>> round(scores["f1_samples"], 3), round(scores["f1_macro"], 3)
    (0.667, 0.667)
    """
    true = np.asarray(sparse.csr_array(truth).toarray(), dtype=bool)
    answered = np.asarray(chosen, dtype=bool)
    scored = np.asarray(probabilities, dtype=np.float64)
    if not true.shape == answered.shape == scored.shape:
        msg = (
            f"true labels are {true.shape}, chosen labels {answered.shape} and probabilities "
            f"{scored.shape}; pass one row per sample and one column per label"
        )
        raise ShapeError(msg)
    n_both = (true & answered).sum(axis=0)
    support, n_chosen = true.sum(axis=0), answered.sum(axis=0)
    f1 = _divide(2 * n_both, support + n_chosen)
    has_support = support > 0
    per_label: dict[str, Any] = {}
    for k, key in enumerate(label_keys):
        entry: dict[str, Any] = {"support": int(support[k]), "testable": bool(has_support[k])}
        entry["threshold"] = None if thresholds is None else float(np.asarray(thresholds)[k])
        entry["n_chosen"] = int(n_chosen[k])
        if has_support[k]:
            entry["precision"] = float(_divide(n_both[k], n_chosen[k]))
            entry["recall"] = float(n_both[k] / support[k])
            entry["f1"] = float(f1[k])
            entry["average_precision"] = average_precision(true[:, k], scored[:, k])
            entry["auroc"] = area_under_roc(true[:, k], scored[:, k])
        else:
            entry |= dict.fromkeys(("precision", "recall", "f1", "average_precision", "auroc"))
        per_label[str(key)] = entry
    per_sample = _divide(2 * (true & answered).sum(axis=1), true.sum(axis=1) + answered.sum(axis=1))
    return {
        "n_samples": len(true),
        "n_labels_scored": int(has_support.sum()),
        "f1_samples": float(per_sample.mean()) if len(true) else None,
        "f1_micro": float(_divide(2 * n_both.sum(), support.sum() + n_chosen.sum())),
        "f1_macro": float(f1[has_support].mean()) if has_support.any() else None,
        "average_precision_macro": _mean_of(per_label, "average_precision"),
        "auroc_macro": _mean_of(per_label, "auroc"),
        "without_support": [str(key) for k, key in enumerate(label_keys) if not has_support[k]],
        "per_label": per_label,
    }


def _mean_of(per_label: Mapping[str, Mapping[str, Any]], name: str) -> float | None:
    """Average one figure over the labels that have it."""
    known = [row[name] for row in per_label.values() if row[name] is not None]
    return float(np.mean(known)) if known else None


def _divide(over: ArrayLike, under: ArrayLike) -> NDArray[np.float64]:
    """Divide, giving 0 where the denominator is 0."""
    under = np.asarray(under, dtype=np.float64)
    return np.asarray(over, dtype=np.float64) / np.where(under == 0, 1.0, under) * (under > 0)


def average_precision(truth: ArrayLike, scores: ArrayLike) -> float | None:
    """Compute the mean precision over the recall steps, tied scores together.

    Parameters
    ----------
    truth
        Whether each sample carries the label, shape (n_samples,).
    scores
        Its probability, shape (n_samples,).

    Returns
    -------
    float or None
        None without a carrier.

    Examples
    --------
    >>> average_precision([0, 1, 1], [0.1, 0.5, 0.3])
    1.0
    """
    true = np.asarray(truth, dtype=bool)
    if not true.any():
        return None
    n_true, n_answered = _cumulate(true, np.asarray(scores, dtype=np.float64))
    recall = n_true / n_true[-1]
    return float((np.diff(recall, prepend=0.0) * n_true / n_answered).sum())


def area_under_roc(truth: ArrayLike, scores: ArrayLike) -> float | None:
    """Compute the chance that a carrier scores above a sample without the label.

    Parameters
    ----------
    truth
        Whether each sample carries the label, shape (n_samples,).
    scores
        Its probability, shape (n_samples,). Ties count one half.

    Returns
    -------
    float or None
        None where all or no samples carry the label.

    Examples
    --------
    >>> area_under_roc([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.9])
    0.875
    """
    true = np.asarray(truth, dtype=bool)
    if true.all() or not true.any():
        return None
    n_true, n_answered = _cumulate(true, np.asarray(scores, dtype=np.float64))
    n_false = n_answered - n_true
    hits = np.concatenate([[0.0], n_true / n_true[-1]])
    alarms = np.concatenate([[0.0], n_false / n_false[-1]])
    return float(np.trapezoid(hits, alarms))


def _cumulate(
    true: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count carriers and samples at or above each distinct score, descending."""
    order = np.argsort(-scores, kind="stable")
    is_last = np.append(np.diff(scores[order]) != 0, True)
    n_true = np.cumsum(true[order])[is_last].astype(np.float64)
    return n_true, (np.flatnonzero(is_last) + 1).astype(np.float64)


def reliability_curve(
    confidence: ArrayLike, is_right: ArrayLike, *, n_bins: int = 10
) -> list[dict[str, float]]:
    """Compare confidence with the share of right answers, bin by bin.

    Parameters
    ----------
    confidence
        Of each answer, 0 to 1, shape (n_samples,).
    is_right
        Whether it was right, shape (n_samples,).
    n_bins
        Bins of equal width.

    Returns
    -------
    list of dict
        n_samples, confidence (mean), right (share) of each bin that holds a sample.

    Examples
    --------
    >>> reliability_curve([0.9, 0.95], [1, 0])[0]["right"]
    0.5
    """
    sure = np.asarray(confidence, dtype=np.float64)
    right = np.asarray(is_right, dtype=np.float64)
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    return [
        {
            "n_samples": int((bins == b).sum()),
            "confidence": float(sure[bins == b].mean()),
            "right": float(right[bins == b].mean()),
        }
        for b in np.unique(bins)
    ]


def calibration_error(
    confidence: ArrayLike, is_right: ArrayLike, *, n_bins: int = 10
) -> float | None:
    """Compute the expected calibration error (ECE) of the answers.

    Parameters
    ----------
    confidence
        Of each answer, 0 to 1, shape (n_samples,).
    is_right
        Whether it was right, shape (n_samples,).
    n_bins
        Bins of equal width.

    Returns
    -------
    float or None
        Mean over samples of |confidence - share right| of their bin; None
        without samples.

    References
    ----------
    Guo et al. 2017, arXiv:1706.04599

    Examples
    --------
    >>> calibration_error([0.8, 0.8, 0.8, 0.8, 0.8], [1, 1, 1, 1, 0])
    0.0
    """
    curve = reliability_curve(confidence, is_right, n_bins=n_bins)
    n_samples = sum(row["n_samples"] for row in curve)
    if not n_samples:
        return None
    total = sum(row["n_samples"] * abs(row["confidence"] - row["right"]) for row in curve)
    return float(total / n_samples)


def confuse(
    truth: NDArray[np.integer], answer: NDArray[np.integer], *, label_keys: Sequence[str]
) -> dict[str, Any]:
    """Count which label was answered for which true label.

    Parameters
    ----------
    truth
        Column of each sample's most specific true label, shape (n_samples,).
    answer
        Column of the label answered, shape (n_samples,).
    label_keys
        Names, in column order.

    Returns
    -------
    dict
        ``labels`` (those that occur) and ``matrix`` (rows true, columns answered).

    Examples
    --------
    >>> confuse(np.array([0, 0]), np.array([0, 1]), label_keys=["liver", "brain"])["matrix"]
    [[1, 1], [0, 0]]
    """
    present = np.union1d(truth, answer)
    matrix = np.zeros((len(present), len(present)), np.int64)
    np.add.at(matrix, (np.searchsorted(present, truth), np.searchsorted(present, answer)), 1)
    return {"labels": [str(label_keys[k]) for k in present], "matrix": matrix.tolist()}
