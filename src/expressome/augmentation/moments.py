"""Second moments: shrunk covariances, their roots, weights without sampling error."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["balance_signs", "draw_weights", "recolour", "shrink_covariance"]

# Variances below this share of the largest are raised to it before they are inverted.
_SMALLEST_SHARE = 1e-3
# Genes that signs are balanced on, and rounds over the samples.
_MAX_BALANCED = 4096
_MAX_ROUNDS = 20


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


def balance_signs(values: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
    """Choose signs of each sample's noise that leave the gene-gene correlations as they are.

    Noise e_i added to samples b_i moves their second moments by the sum of b_i e_i' + e_i b_i',
    which is 0 on average but not in one batch. The signs make that sum small, by turning one
    sign after the other while it helps. Every sample stays as far from where it was.

    Parameters
    ----------
    values
        Samples without noise, shape (n_samples, n_genes).
    noise
        Of a distribution that is symmetric about 0, same shape.

    Returns
    -------
    ndarray
        1 or -1 per sample, shape (n_samples,), float32.

    Notes
    -----
    Genes count in units of their standard deviation; at most 4,096 of them, evenly spaced,
    are looked at.

    Examples
    --------
    >>> values = np.array([[-1.0], [1.0]], dtype=np.float32)
    >>> noise = np.array([[-0.5], [0.5]], dtype=np.float32)
    >>> sorted(balance_signs(values, noise).tolist())
    [-1.0, 1.0]
    """
    step = -(-values.shape[1] // _MAX_BALANCED)
    centred = values[:, ::step] - values[:, ::step].mean(axis=0)
    spread = np.maximum(centred.std(axis=0), 1e-6)
    centred, added = centred / spread, noise[:, ::step] / spread
    crossed = centred @ added.T
    # The squared length of the sum, as a form in the signs.
    form = (centred @ centred.T) * (added @ added.T) + crossed * crossed.T
    signs = np.ones(len(values), dtype=np.float32)
    pulls = form @ signs - np.diagonal(form)
    for _ in range(_MAX_ROUNDS):
        n_turned = 0
        for i in range(len(signs)):
            if pulls[i] * signs[i] > 0:
                signs[i] = -signs[i]
                pulls += 2 * signs[i] * form[i]
                pulls[i] -= 2 * signs[i] * form[i, i]
                n_turned += 1
        if n_turned == 0:
            break
    return signs
