"""Make probabilities mean what they say: temperature, thresholds, error bound."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from expressome.errors import LabelWarning

__all__ = [
    "apply_temperature",
    "fit_confidence_bound",
    "fit_temperature",
    "fit_thresholds",
    "study_weights",
]

# Thresholds outside would answer everything or nothing on the next study.
_LOWEST_THRESHOLD = 0.05
_HIGHEST_THRESHOLD = 0.95
# A forest of 100 trees can hardly tell probabilities apart below this.
_FLOOR = 1e-4


def study_weights(studies: ArrayLike) -> NDArray[np.float64]:
    """Weigh samples so that every study counts the same.

    Parameters
    ----------
    studies
        Study of each sample, shape (n_samples,).

    Returns
    -------
    ndarray
        Shape (n_samples,), sums to 1.

    Examples
    --------
    >>> study_weights(["a", "a", "b"]).tolist()
    [0.25, 0.25, 0.5]
    """
    _, owner, sizes = np.unique(
        np.asarray(studies, dtype=str), return_inverse=True, return_counts=True
    )
    return np.asarray(1 / sizes[owner] / max(1, len(sizes)), dtype=np.float64)


def apply_temperature(
    probabilities: NDArray[np.floating], temperature: float
) -> NDArray[np.float64]:
    """Sharpen (below 1) or flatten (above 1) class probabilities.

    Parameters
    ----------
    probabilities
        Rows sum to 1, shape (n_samples, n_classes).
    temperature
        p becomes p^(1 / temperature), rows again summing to 1.

    Returns
    -------
    ndarray
        Same shape. The order of the classes never changes.

    Examples
    --------
    >>> apply_temperature(np.array([[0.8, 0.2]]), 0.5).round(3).tolist()
    [[0.941, 0.059]]
    """
    powered = np.power(np.maximum(probabilities, _FLOOR), 1 / temperature)
    powered /= powered.sum(axis=1, keepdims=True)
    return np.asarray(powered, dtype=np.float64)


def fit_temperature(
    probabilities: NDArray[np.floating],
    classes: NDArray[np.integer],
    studies: ArrayLike,
) -> float:
    """Find the temperature under which the right classes are most likely.

    Half a sample whose most probable class is wrong is added to n samples, so that n
    right answers do not make the next one certain: their mean confidence ends near
    1 - 1 / (2 n + 2).

    Parameters
    ----------
    probabilities
        Of samples no tree has seen, shape (n_samples, n_classes).
    classes
        Right class of each sample, shape (n_samples,).
    studies
        Study of each sample; every study counts the same.

    Returns
    -------
    float
        Between 0.1 and 5; 1 (no change) without samples.

    References
    ----------
    Guo et al. 2017, arXiv:1706.04599 (there of logits, here of the logarithm of
    a forest's votes).

    Examples
    --------
    >>> votes = np.array([[0.6, 0.4], [0.6, 0.4], [0.4, 0.6]])
    >>> fit_temperature(votes, np.array([0, 0, 1]), ["a", "b", "c"]) < 0.5
    True
    """
    if len(classes) == 0:
        return 1.0
    weights = study_weights(studies)
    candidates = np.geomspace(0.1, 5, 60)
    rows = np.arange(len(classes))
    share_wrong = 1 / (2 * len(classes) + 2)
    losses = []
    for candidate in candidates:
        scaled = apply_temperature(probabilities, candidate)
        others = np.maximum(1 - scaled.max(axis=1), np.finfo(float).tiny)
        right = -(weights * np.log(scaled[rows, classes])).sum()
        wrong = -(weights * np.log(others)).sum()
        losses.append((1 - share_wrong) * right + share_wrong * wrong)
    return float(candidates[int(np.argmin(losses))])


def fit_thresholds(
    truth: sparse.csr_array,
    probabilities: NDArray[np.floating],
    studies: ArrayLike,
    *,
    minimum_carriers: int = 3,
) -> NDArray[np.float64]:
    """Choose for each label the probability from which it is answered.

    The threshold maximises the label's F1 on validation samples, studies
    weighted equally, and lies half way between the two probabilities it
    separates. A label with fewer validation carriers than the minimum takes the
    threshold that is best for all labels together.

    Parameters
    ----------
    truth
        0/1, shape (n_samples, n_labels).
    probabilities
        Calibrated, of validation samples, same shape.
    studies
        Study of each sample, shape (n_samples,).
    minimum_carriers
        Below it one sample would set the threshold; 3 is the least that can
        outvote one.

    Returns
    -------
    ndarray
        Shape (n_labels,), between 0.05 and 0.95; 0.5 without samples.

    Examples
    --------
    >>> truth = sparse.csr_array([[1], [1], [1], [0], [0]])
    >>> probabilities = np.array([[0.9], [0.7], [0.4], [0.2], [0.1]])
    >>> fit_thresholds(truth, probabilities, list("abcde")).round(2).tolist()
    [0.3]
    """
    true = sparse.csr_array(truth).toarray().astype(bool)
    n_samples, n_labels = true.shape
    if n_samples == 0:
        return np.full(n_labels, 0.5)
    weights = study_weights(studies)
    pooled = _best_threshold(
        true.ravel(), np.asarray(probabilities).ravel(), np.repeat(weights, n_labels)
    )
    thresholds = np.full(n_labels, pooled)
    for k in np.flatnonzero(true.sum(axis=0) >= minimum_carriers):
        thresholds[k] = _best_threshold(true[:, k], np.asarray(probabilities)[:, k], weights)
    return np.asarray(np.clip(thresholds, _LOWEST_THRESHOLD, _HIGHEST_THRESHOLD))


def _best_threshold(
    true: NDArray[np.bool_], scores: NDArray[np.floating], weights: NDArray[np.float64]
) -> float:
    """Maximise weighted F1; of equally good cuts take the middle one."""
    order = np.argsort(-scores, kind="stable")
    sorted_scores = scores[order].astype(np.float64)
    hits = np.cumsum(weights[order] * true[order])
    answered = np.cumsum(weights[order])
    if hits[-1] == 0:
        return 0.5
    f1 = 2 * hits / (answered + hits[-1])
    is_last = np.append(np.diff(sorted_scores) != 0, True)
    f1 = np.where(is_last, f1, -1.0)
    best = int(np.flatnonzero(f1 >= f1.max() - 1e-12)[0])
    below = sorted_scores[best + 1] if best + 1 < len(scores) else 0.0
    return float((sorted_scores[best] + below) / 2)


@dataclass(frozen=True, slots=True)
class ConfidenceBound:
    """Confidence from which a sample is answered.

    Attributes
    ----------
    bound
        Answers below it are unknown.
    max_error
        Error asked for.
    promised
        Error that the calibration studies support, mean over studies.
    n_studies
        Calibration studies.
    answered
        Share of samples answered at this bound, mean over studies.
    """

    bound: float
    max_error: float
    promised: float
    n_studies: int
    answered: float


def fit_confidence_bound(
    confidence: ArrayLike, is_right: ArrayLike, studies: ArrayLike, *, max_error: float
) -> ConfidenceBound:
    """Find the confidence from which answers err in at most a given share.

    The error of a study is its share of wrong among its answered samples (0
    where it has none); with K studies the bound satisfies
    (K * mean error + 1) / (K + 1) <= `max_error`, at it and everywhere above.
    Nothing below 1 / (K + 1) can be promised from K studies.

    Parameters
    ----------
    confidence
        Of samples of studies that training has not seen, shape (n_samples,).
    is_right
        Whether the answer was right, shape (n_samples,).
    studies
        Study of each sample, shape (n_samples,).
    max_error
        Bound on the mean error over studies, between 0 and 1.

    Returns
    -------
    ConfidenceBound
        A bound above 1 answers nothing.

    Warns
    -----
    LabelWarning
        If K studies cannot promise this error; the lowest possible is used.

    References
    ----------
    Angelopoulos et al. 2022, arXiv:2208.02814 (there over exchangeable samples,
    here over exchangeable studies).

    Examples
    --------
    >>> bound = fit_confidence_bound([0.9, 0.8, 0.3, 0.2], [1, 1, 1, 0], list("abcd"),
    ...                              max_error=0.2)
    >>> bound.bound, bound.answered
    (0.3, 0.75)
    """
    sure, right = np.asarray(confidence, float), np.asarray(is_right, bool)
    names, owner = np.unique(np.asarray(studies, dtype=str), return_inverse=True)
    n_studies = len(names)
    lowest = 1 / (n_studies + 1)
    target = max_error
    if max_error < lowest:
        msg = (
            f"{n_studies} calibration studies cannot promise an error of {max_error:g}; "
            f"{lowest:.3g} is the lowest they support and is used: add studies for less"
        )
        warnings.warn(msg, LabelWarning, stacklevel=2)
        target = lowest
    order = np.argsort(-sure, kind="stable")
    n_answered, n_wrong = np.zeros(n_studies), np.zeros(n_studies)
    bound, promised, answered = np.nextafter(1.0, 2.0), lowest, 0.0
    sizes = np.bincount(owner, minlength=n_studies)
    for position, i in enumerate(order):
        n_answered[owner[i]] += 1
        n_wrong[owner[i]] += not right[i]
        if position + 1 < len(order) and sure[order[position + 1]] == sure[i]:
            continue
        error = float((n_wrong / np.maximum(n_answered, 1)).mean())
        corrected = (n_studies * error + 1) / (n_studies + 1)
        if corrected > target + 1e-12:
            break
        bound, promised = float(sure[i]), corrected
        answered = float((n_answered / sizes).mean())
    return ConfidenceBound(float(bound), max_error, promised, n_studies, answered)
