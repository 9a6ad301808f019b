"""What distance from the nearest class is usual for samples of unseen studies."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expressome.classification.calibration import study_weights

__all__ = ["FALSE_FLAGS", "ClassOffsets", "bound_distance", "fit_class_offsets"]

# Share of samples of unseen studies that may be flagged although their label is known.
FALSE_FLAGS = 0.05
_ROUNDING = 1e-9
# A class's own distance counts as much as the common one when this many unseen studies tell it.
_PRIOR_STUDIES = 4


def bound_distance(
    distances: ArrayLike, studies: ArrayLike, *, false_flags: float = FALSE_FLAGS
) -> float:
    """Find the distance that samples of a new study lie beyond in a given share of cases.

    Parameters
    ----------
    distances
        Of samples whose study the fit had not seen, shape (n_samples,).
    studies
        Study of each; every study counts the same.
    false_flags
        Share of its samples that may lie beyond, on average over new studies.

    Returns
    -------
    float
        The largest distance where there are too few studies to promise that, fewer than
        1 / false_flags - 1 (19 for 5%): of K studies no bound promises less than 1 / (K + 1).
        Infinite without samples.

    Notes
    -----
    Conformal risk control with the studies as units: of K studies at most
    (false_flags (K + 1) - 1) / K may lie beyond, because the next study may lie beyond entirely.

    References
    ----------
    Angelopoulos et al. 2024, arXiv:2208.02814

    Examples
    --------
    >>> bound_distance(range(60), range(60)), bound_distance([0.1, 0.2, 0.9], ["a", "a", "b"])
    (57.0, 0.9)
    """
    far = np.asarray(distances, dtype=np.float64)
    n_studies = len(np.unique(np.asarray(studies)))
    if far.size == 0:
        return float(np.inf)
    allowed = max(0.0, (false_flags * (n_studies + 1) - 1) / n_studies)
    order = np.argsort(far)
    reached = np.cumsum(study_weights(studies)[order])
    position = int(np.searchsorted(reached, 1 - allowed - _ROUNDING))
    return float(far[order[min(position, len(far) - 1)]])


@dataclass(frozen=True, slots=True)
class ClassOffsets:
    """What distance is usual for each class.

    Attributes
    ----------
    offsets
        To subtract, shape (n_classes,); 0 for a class no sample came near.
    adjusted
        The given distances less the offset that the other studies tell, shape
        (n_samples,).
    """

    offsets: NDArray[np.float64]
    adjusted: NDArray[np.float64] = field(repr=False)


def fit_class_offsets(
    distances: NDArray[np.float64],
    nearest: NDArray[np.integer],
    studies: ArrayLike,
    *,
    n_classes: int,
) -> ClassOffsets:
    """Learn how far samples of unseen studies usually lie from each class.

    Cell lines lie near their class in every study, tissues of many kinds far: one
    bound for all would flag the latter and miss what resembles the former. The
    offset of a class is the sum over its studies of (mean - median of all), over
    their number plus 4, so that a class of few studies keeps the common bound.

    Parameters
    ----------
    distances
        From the nearest class, of samples of unseen studies, shape (n_samples,).
    nearest
        Nearest class of each, shape (n_samples,).
    studies
        Study of each, shape (n_samples,).
    n_classes
        Number of classes.

    Returns
    -------
    ClassOffsets
        Offsets, and distances from which a bound may be taken: each adjusted by
        the other studies alone.

    Examples
    --------
    >>> found = fit_class_offsets(
    ...     np.array([0.0, 0.0, 6.0, 6.0]), np.array([0, 0, 1, 1]), list("abcd"), n_classes=2
    ... )
    >>> found.offsets.tolist(), found.adjusted.round(1).tolist()
    ([-1.0, 1.0], [0.6, 0.6, 5.4, 5.4])
    """
    if len(distances) == 0:
        return ClassOffsets(np.zeros(n_classes), distances)
    _, study = np.unique(np.asarray(studies, dtype=str), return_inverse=True)
    n_studies = int(study.max()) + 1
    cells, cell, sizes = np.unique(
        np.asarray(nearest, np.int64) * n_studies + study, return_inverse=True, return_counts=True
    )
    excess = np.bincount(cell, distances) / sizes - np.median(distances)
    owner = cells // n_studies
    total = np.bincount(owner, excess, minlength=n_classes)
    number = np.bincount(owner, minlength=n_classes)
    others = (total[owner] - excess) / (number[owner] - 1 + _PRIOR_STUDIES)
    return ClassOffsets(total / (number + _PRIOR_STUDIES), distances - others[cell])
