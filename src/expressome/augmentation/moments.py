"""Second moments: shrunk covariances, their roots, weights without sampling error."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_weights", "recolour", "shrink_covariance"]

# Variances below this share of the largest are raised to it before they are inverted.
_SMALLEST_SHARE = 1e-3


def shrink_covariance(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate a covariance about zero, shrunk towards the identity.

    Ledoit and Wolf's share, with the identity itself as the target (they take
    a multiple of it): standardised deviations of all labels together have it.

    Parameters
    ----------
    scores
        Deviations, shape (n_samples, n_components).

    Returns
    -------
    ndarray
        Shape (n_components, n_components); the identity for fewer than two samples.

    References
    ----------
    Ledoit & Wolf 2004, doi:10.1016/S0047-259X(03)00096-4

    Examples
    --------
    >>> shrink_covariance(np.zeros((1, 2))).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    n_samples, n_components = scores.shape
    identity = np.eye(n_components)
    if n_samples < 2:
        return identity
    second = scores.T @ scores / n_samples
    distance = float(((second - identity) ** 2).sum())
    noise = float(((scores**2).sum(axis=1) ** 2).mean() - (second**2).sum()) / n_samples
    share = min(1.0, max(0.0, noise / max(distance, 1e-12)))
    return np.asarray(share * identity + (1 - share) * second)


def _power(covariance: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Raise a symmetric matrix to a power."""
    variances, axes = np.linalg.eigh(covariance)
    variances = np.maximum(variances, _SMALLEST_SHARE * max(float(variances.max()), 1e-12))
    return np.asarray((axes * variances**exponent) @ axes.T)


def recolour(scores: NDArray[np.float64], covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Move scores linearly so that their mean is zero and their covariance as given.

    Parameters
    ----------
    scores
        Shape (n_samples, n_components), more samples than components.
    covariance
        Shape (n_components, n_components).

    Returns
    -------
    ndarray
        Shape of `scores`; the shape of their distribution is kept.

    Examples
    --------
    >>> recolour(np.array([[1.0], [3.0]]), np.array([[8.0]])).ravel().round(6).tolist()
    [-2.0, 2.0]
    """
    centred = scores - scores.mean(axis=0)
    present = np.atleast_2d(np.cov(centred.T))
    return np.asarray(centred @ _power(present, -0.5) @ _power(covariance, 0.5))


def draw_weights(n_samples: int, n_sources: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw normal weights with as little sampling error in their covariance as can be.

    Parameters
    ----------
    n_samples
        Rows: new samples.
    n_sources
        Columns: real samples that are combined.
    rng
        Source of randomness.

    Returns
    -------
    ndarray
        Shape (n_samples, n_sources), float32. The rows' second moments are
        the identity divided by `n_sources`, exactly so where `n_samples` is
        not below `n_sources`.
    """
    weights = rng.standard_normal((n_samples, n_sources))
    left, _, right = np.linalg.svd(weights, full_matrices=False)
    factor = np.sqrt(max(n_samples, n_sources) / n_sources)
    return np.asarray((left @ right) * factor, dtype=np.float32)
