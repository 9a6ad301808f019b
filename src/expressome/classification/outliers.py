"""Recognise samples unlike anything in training."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expressome.classification.calibration import study_weights
from expressome.errors import ModelError

__all__ = ["OutlierBound", "fit_outlier_bound"]

# Share of samples of unseen studies that may lie beyond the bound.
_FALSE_FLAGS = 0.05


@dataclass(frozen=True, slots=True)
class OutlierBound:
    """How far a sample may lie from every class.

    Attributes
    ----------
    centre, scale
        Mean and spread of each gene over classes, shape (n_genes,).
    profiles
        Standardised mean of each class, each of length 1, shape (n_classes, n_genes).
    bound
        Distance beyond which a sample is unlike training; infinite where
        nothing was there to set it.
    """

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    profiles: NDArray[np.float32]
    bound: float = np.inf

    def distance(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute 1 - cosine between each sample and its nearest class.

        Parameters
        ----------
        values
            Shape (n_samples, n_genes), no NaN.

        Returns
        -------
        ndarray
            0 (same direction) to 2, shape (n_samples,).
        """
        standard = (np.asarray(values, np.float32) - self.centre) / self.scale
        lengths = np.maximum(np.linalg.norm(standard, axis=1), 1e-12)
        cosine = (standard @ self.profiles.T).max(axis=1) / lengths
        return np.asarray(1 - cosine, dtype=np.float64)

    def calibrate(self, distances: ArrayLike, studies: ArrayLike) -> "OutlierBound":
        """Set the bound so that 5% of samples of unseen studies lie beyond it.

        Parameters
        ----------
        distances
            Of samples whose study was not used for the profiles, shape (n_samples,).
        studies
            Study of each; every study counts the same.

        Returns
        -------
        OutlierBound
            With the bound; infinite without samples.
        """
        far = np.asarray(distances, dtype=np.float64)
        if far.size == 0:
            return replace(self, bound=np.inf)
        order = np.argsort(far)
        reached = np.cumsum(study_weights(studies)[order])
        position = min(int(np.searchsorted(reached, 1 - _FALSE_FLAGS)), len(far) - 1)
        return replace(self, bound=float(far[order[position]]))

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


def fit_outlier_bound(
    values: NDArray[np.floating], classes: NDArray[np.integer], *, n_classes: int
) -> OutlierBound:
    """Measure where the classes lie; the bound itself comes from unseen studies.

    Parameters
    ----------
    values
        Real training samples, shape (n_samples, n_genes), no NaN.
    classes
        Class of each sample, shape (n_samples,).
    n_classes
        Number of classes, of which some may have no sample.

    Returns
    -------
    OutlierBound
        With an infinite bound; see `OutlierBound.calibrate`.

    Examples
    --------
    >>> values = np.array([[0.0, 5.0], [5.0, 0.0]])
    >>> near = fit_outlier_bound(values, np.array([0, 1]), n_classes=2)
    >>> near.distance(np.array([[0.0, 9.0], [9.0, 9.0]])).round(2).tolist()
    [0.09, 1.0]
    """
    sizes = np.bincount(classes, minlength=n_classes)
    means = np.zeros((n_classes, values.shape[1]))
    np.add.at(means, classes, values)
    means = means[sizes > 0] / sizes[sizes > 0, None]
    centre = means.mean(axis=0)
    spread = values.std(axis=0, dtype=np.float64)
    scale = spread + max(0.1 * float(spread.mean()), 1e-6)
    standard = (means - centre) / scale
    lengths = np.maximum(np.linalg.norm(standard, axis=1, keepdims=True), 1e-12)
    return OutlierBound(
        centre.astype(np.float32),
        scale.astype(np.float32),
        (standard / lengths).astype(np.float32),
    )
