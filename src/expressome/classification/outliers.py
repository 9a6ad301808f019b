"""Recognise samples unlike anything in training."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from expressome.classification.calibration import study_weights
from expressome.errors import ModelError

__all__ = ["OutlierBound", "bound_distance", "fit_outlier_bound"]

# Share of samples of unseen studies that may lie beyond the bound.
_FALSE_FLAGS = 0.05


# Axes along which samples of one class scatter most, and how far they are flattened:
# scatter of this variance, in units of a standardised gene's, counts half.
_N_AXES = 100
_HALF_VARIANCE = 0.3


@dataclass(frozen=True, slots=True)
class OutlierBound:
    """How far a sample may lie from every class.

    Attributes
    ----------
    centre, scale
        Mean over classes and spread of each gene, shape (n_genes,).
    axes
        Directions in which samples of one class scatter, study effects among
        them, orthonormal, shape (n_genes, n_axes).
    flattening
        Share of a sample's component along each axis that is taken away, shape
        (n_axes,).
    profiles
        Standardised, flattened mean of each class, shape (n_classes, n_genes).
    bound
        Distance beyond which a sample is unlike training; infinite where
        nothing was there to set it.
    """

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    axes: NDArray[np.float32]
    flattening: NDArray[np.float32]
    profiles: NDArray[np.float32]
    bound: float = np.inf

    def distance(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute the squared distance to the nearest class, relative to the centre's.

        Parameters
        ----------
        values
            Shape (n_samples, n_genes), no NaN.

        Returns
        -------
        ndarray
            0 at a class, 1 where no class is nearer than the centre of all, shape
            (n_samples,).
        """
        flat = _flatten((values - self.centre) / self.scale, self.axes, self.flattening)
        lengths = np.maximum((flat**2).sum(axis=1, dtype=np.float64), 1e-12)
        nearer = 2 * flat @ self.profiles.T - (self.profiles**2).sum(axis=1)
        return np.asarray(1 - nearer.max(axis=1) / lengths, dtype=np.float64)

    def to_parts(self) -> dict[str, NDArray[Any]]:
        """Give plain arrays that `from_parts` reads back."""
        return {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}

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
            If an array is absent.
        """
        missing = [f.name for f in fields(cls) if f.name not in parts]
        if missing:
            msg = f"the outlier bound lacks {', '.join(missing)}; train the model again"
            raise ModelError(msg)
        arrays: dict[str, Any] = {f.name: parts[f.name] for f in fields(cls)}
        return cls(**(arrays | {"bound": float(arrays["bound"])}))


def bound_distance(distances: ArrayLike, studies: ArrayLike) -> float:
    """Find the distance that 95% of samples of unseen studies stay within.

    Parameters
    ----------
    distances
        Of samples whose study the profiles had not seen, shape (n_samples,).
    studies
        Study of each; every study counts the same.

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
    position = min(int(np.searchsorted(reached, 1 - _FALSE_FLAGS)), len(far) - 1)
    return float(far[order[position]])


def _flatten(
    standard: NDArray[np.floating], axes: NDArray[np.float32], flattening: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Take away part of each sample's components along the axes."""
    standard = np.asarray(standard, np.float32)
    return np.asarray(standard - (standard @ axes * flattening) @ axes.T, dtype=np.float32)


def fit_outlier_bound(
    values: NDArray[np.floating], classes: NDArray[np.integer], *, n_classes: int
) -> OutlierBound:
    """Measure where the classes lie; the bound itself comes from unseen studies.

    Distances are Mahalanobis-like: directions in which samples of one class
    scatter count less, by 1 / (1 + variance / 0.3), so that a new study is not
    taken for a new tissue.

    Parameters
    ----------
    values
        Training samples, shape (n_samples, n_genes), no NaN; with samples of
        invented studies among them the axes hold study effects.
    classes
        Class of each sample, shape (n_samples,).
    n_classes
        Number of classes, of which some may have no sample.

    Returns
    -------
    OutlierBound
        With an infinite bound; see `bound_distance`.

    References
    ----------
    Lee et al. 2018, arXiv:1807.03888 (Mahalanobis distance to the nearest class;
    here relative to the centre's and with a shrunken covariance).

    Examples
    --------
    >>> values = np.array([[0.0, 5.0], [5.0, 0.0]])
    >>> near = fit_outlier_bound(values, np.array([0, 1]), n_classes=2)
    >>> near.distance(np.array([[0.0, 5.0], [9.0, 9.0]])).round(2).tolist()
    [0.0, 1.15]
    """
    sizes = np.bincount(classes, minlength=n_classes)
    means = np.zeros((n_classes, values.shape[1]))
    np.add.at(means, classes, values)
    means /= np.maximum(sizes, 1)[:, None]
    centre = means[sizes > 0].mean(axis=0)
    spread = values.std(axis=0, dtype=np.float64)
    scale = spread + max(0.1 * float(spread.mean()), 1e-6)
    scatter = ((values - means[classes]) / scale).astype(np.float32)
    axes, variances = _main_axes(scatter)
    flattening = (1 - np.sqrt(_HALF_VARIANCE / (variances + _HALF_VARIANCE))).astype(np.float32)
    standard = (means[sizes > 0] - centre) / scale
    return OutlierBound(
        centre.astype(np.float32),
        scale.astype(np.float32),
        axes,
        flattening,
        _flatten(standard, axes, flattening),
    )


def _main_axes(
    scatter: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Give the directions of largest scatter and the variance along each."""
    n_samples, n_genes = scatter.shape
    n_axes = min(_N_AXES, n_genes, n_samples)
    moments = (scatter.T @ scatter).astype(np.float64) / max(1, n_samples)
    span = (n_genes - n_axes, n_genes - 1)
    variances, axes = eigh(moments, subset_by_index=span)
    return axes.astype(np.float32), np.maximum(variances, 0)
