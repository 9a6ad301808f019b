"""Recognise samples unlike anything in training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expressome.classification.calibration import study_weights
from expressome.classification.classifier import Settings, pose_linear_half, solve_linear_half
from expressome.classification.linear import LinearScores
from expressome.errors import ModelError

__all__ = [
    "FALSE_FLAGS",
    "OutlierBound",
    "bound_distance",
    "fit_class_offsets",
    "fit_outlier_bound",
]

# Share of samples of unseen studies that may be flagged although their label is known.
FALSE_FLAGS = 0.05
# A class's own distance counts as much as the common one when this many unseen studies tell it.
_PRIOR_STUDIES = 4


@dataclass(frozen=True, slots=True)
class OutlierBound:
    """How weakly a sample may resemble every class.

    Attributes
    ----------
    linear
        Linear scores of the classes, with their own fixed penalty.
    offsets
        How much farther than usual samples of unseen studies lie from each class,
        shape (n_classes,).
    bound
        Distance beyond which a sample is unlike training; infinite where
        nothing was there to set it.
    """

    linear: LinearScores
    offsets: NDArray[np.float64]
    bound: float = np.inf

    @property
    def n_genes(self) -> int:
        """Genes that the values must have."""
        return len(self.linear.centre)

    def measure(
        self, values: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Compute minus the log-sum of the exponential scores, and the nearest class.

        Parameters
        ----------
        values
            Shape (n_samples, n_genes), no NaN.

        Returns
        -------
        ndarray
            The energy, shape (n_samples,): low where a class has a high score.
        ndarray
            Class of the highest score, shape (n_samples,).
        """
        logits = self.linear.to_logits(values)
        highest = logits.max(axis=1)
        summed = np.exp(logits - highest[:, None]).sum(axis=1)
        return -(highest + np.log(summed)), logits.argmax(axis=1)

    def distance(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute the energy, less what is usual for the nearest class.

        Parameters
        ----------
        values
            Shape (n_samples, n_genes), no NaN.

        Returns
        -------
        ndarray
            Shape (n_samples,); the larger, the less like training.
        """
        energy, nearest = self.measure(values)
        return np.asarray(energy - self.offsets[nearest], dtype=np.float64)

    def to_parts(self) -> dict[str, NDArray[Any]]:
        """Give plain arrays that `from_parts` reads back."""
        own = {"offsets": self.offsets, "bound": np.asarray(self.bound)}
        return self.linear.to_parts() | own

    @classmethod
    def from_parts(cls, parts: Mapping[str, NDArray[Any]]) -> "OutlierBound":
        """Build the bound from its arrays.

        Parameters
        ----------
        parts
            As `to_parts` gives them.

        Returns
        -------
        OutlierBound
            Equal to the one written.

        Raises
        ------
        ModelError
            If an array is absent or of another shape.
        """
        missing = [name for name in ("offsets", "bound") if name not in parts]
        if missing:
            msg = f"the outlier bound lacks {', '.join(missing)}; train the model again"
            raise ModelError(msg)
        linear = LinearScores.from_parts(parts)
        if parts["offsets"].shape != linear.intercepts.shape:
            n_classes = len(linear.intercepts)
            msg = f"the outlier bound has {len(parts['offsets'])} offsets for {n_classes} classes"
            raise ModelError(msg)
        return cls(linear, parts["offsets"], float(parts["bound"]))


def bound_distance(
    distances: ArrayLike, studies: ArrayLike, *, false_flags: float = FALSE_FLAGS
) -> float:
    """Find the distance that all but a given share of samples of unseen studies stay within.

    Parameters
    ----------
    distances
        Of samples whose study the fit had not seen, shape (n_samples,).
    studies
        Study of each; every study counts the same.
    false_flags
        Share that may lie beyond.

    Returns
    -------
    float
        Infinite without samples.

    Examples
    --------
    >>> bound_distance([0.1, 0.2, 0.9], ["a", "a", "b"])
    0.9
    """
    far = np.asarray(distances, dtype=np.float64)
    if far.size == 0:
        return float(np.inf)
    order = np.argsort(far)
    reached = np.cumsum(study_weights(studies)[order])
    position = min(int(np.searchsorted(reached, 1 - false_flags)), len(far) - 1)
    return float(far[order[position]])


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
    energies: NDArray[np.float64],
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
    energies
        From `OutlierBound.measure`, of samples of unseen studies, shape (n_samples,).
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
    if len(energies) == 0:
        return ClassOffsets(np.zeros(n_classes), energies)
    _, study = np.unique(np.asarray(studies, dtype=str), return_inverse=True)
    n_studies = int(study.max()) + 1
    cells, cell, sizes = np.unique(
        np.asarray(nearest, np.int64) * n_studies + study, return_inverse=True, return_counts=True
    )
    excess = np.bincount(cell, energies) / sizes - np.median(energies)
    owner = cells // n_studies
    total = np.bincount(owner, excess, minlength=n_classes)
    number = np.bincount(owner, minlength=n_classes)
    others = (total[owner] - excess) / (number[owner] - 1 + _PRIOR_STUDIES)
    return ClassOffsets(total / (number + _PRIOR_STUDIES), energies - others[cell])


def fit_outlier_bound(
    values: NDArray[np.float32],
    classes: NDArray[np.int64],
    studies: NDArray[np.object_],
    *,
    n_classes: int,
    known: Any = None,  # noqa: ANN401 - what `EffectFunctions.learn` gives
) -> OutlierBound:
    """Fit the scores that distances come from; offsets and bound need unseen studies.

    Parameters
    ----------
    values
        Prepared training samples, shape (n_samples, n_genes), no NaN.
    classes
        Class of each sample, shape (n_samples,).
    studies
        Study of each sample, shape (n_samples,).
    n_classes
        Number of classes, of which some may have no sample.
    known
        Study effects with ``differences``, which the scores discount: a new study
        must not be taken for a new tissue. None for none.

    Returns
    -------
    OutlierBound
        With offsets of 0 and an infinite bound.

    References
    ----------
    Liu et al. 2020, arXiv:2010.03759 (the energy score; here of linear scores, and
    relative to what is usual for the nearest class).

    Examples
    --------
    >>> values = np.array([[0, 9, 0], [0, 8, 0], [9, 0, 0], [8, 0, 0]], np.float32)
    >>> studies = np.array(["a", "b", "a", "b"], object)
    >>> near = fit_outlier_bound(values, np.array([0, 0, 1, 1]), studies, n_classes=2)
    >>> known, new = near.distance(np.array([[0, 8.5, 0], [4.2, 4.2, 0]]))
    >>> bool(known < new)
    True
    """
    problem = pose_linear_half(values, classes, studies, n_classes=n_classes, known=known)
    return OutlierBound(solve_linear_half(problem, Settings()), np.zeros(n_classes))
