"""What lies outside the generator's space: combinations of real residuals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

__all__ = ["Mixture", "balance_noise", "draw_mixture"]

# Real residuals near that of its base that a new one is drawn from: with 8, correlations of
# genes move more; with 16 and more, samples leave the neighbourhood of real ones.
_NEIGHBOURS = 12
# Largest share of a real residual in a new one.
_MOST_KEPT = 0.98
# Steps of the descent; the sum falls by less than a hundredth after 30.
_N_ROUNDS = 40
# Genes whose spread is a smaller share of the largest have no correlations to keep.
_LEAST_SPREAD = 0.01

Weights = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Mixture:
    """Residuals of new samples as combinations of real ones.

    A new residual is its share of the base's own, plus the rest of the mean of those near
    it, plus noise: the weights times those near it.

    Attributes
    ----------
    near
        Positions of the nearest reference residuals, shape (n_samples, n_near).
    shares
        Share of the base's own residual, 0 to 1, shape (n_samples,).
    noise
        Weights of the noise, each row of sum 0, shape (n_samples, n_near).
    towards
        Unit vectors: a step of the noise weights along one moves the sample towards its
        base or away from it, shape (n_samples, n_near). Zeros where nothing else would be left.
    products
        Inner products of those near, shape (n_samples, n_near, n_near).
    """

    near: NDArray[np.intp]
    shares: Weights
    noise: Weights
    towards: Weights
    products: Weights

    def centres(self) -> Weights:
        """Give the weights of those near without the noise."""
        rest = (1 - self.shares)[:, None] / self.near.shape[1]
        return np.asarray(np.broadcast_to(rest, self.near.shape), dtype=np.float32)

    def lengths(self, noise: Weights) -> Weights:
        """Give the length of the noise over all genes, shape (n_samples,)."""
        squares = np.einsum("ij,ijk,ik->i", noise, self.products, noise, optimize=True)
        return np.asarray(np.sqrt(np.maximum(squares, 0)), dtype=np.float32)

    def spread(self, weights: Weights, n_reference: int) -> sparse.csr_array:
        """Write weights of those near as weights of all, shape (n_samples, n_reference)."""
        n_samples, n_near = self.near.shape
        pointers = np.arange(n_samples + 1) * n_near
        shape = (n_samples, n_reference)
        return sparse.csr_array((weights.ravel(), self.near.ravel(), pointers), shape=shape)

    def confine(self, noise: Weights) -> Weights:
        """Give the part of noise weights that has sum 0 and leaves the distance to the base."""
        centred = noise - noise.mean(axis=1, keepdims=True)
        along = (centred * self.towards).sum(axis=1, keepdims=True)
        return np.asarray(centred - along * self.towards, dtype=np.float32)


def draw_mixture(
    crossed: NDArray[np.float32],
    lengths: NDArray[np.float32],
    gram: NDArray[np.float32],
    *,
    gaps: NDArray[np.float32],
    is_alone: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Mixture:
    """Draw residuals from a normal around the neighbours of each base's residual.

    The base's own residual keeps the largest share (98% at most) that leaves the new
    sample at the distance asked for.

    Parameters
    ----------
    crossed
        Inner products of the bases' residuals with the reference's, shape (n_samples, n_reference).
    lengths
        Squared lengths of the bases' residuals, shape (n_samples,).
    gram
        Inner products of the reference residuals, shape (n_reference, n_reference).
    gaps
        Squared distance to keep from the base's residual, shape (n_samples,).
    is_alone
        Whether a base has no other sample in its group, and so no residual.
    rng
        Source of randomness.

    Returns
    -------
    Mixture
        The noise is normal.

    Examples
    --------
    >>> real = np.array([[1, 0], [0, 1], [-1, -1]], dtype=np.float32)
    >>> mixture = draw_mixture(real[:1] @ real.T, np.ones(1, np.float32), real @ real.T,
    ...     gaps=np.zeros(1, np.float32), is_alone=np.zeros(1, bool), rng=np.random.default_rng(0))
    >>> mixture.near.tolist(), mixture.shares.round(2).tolist()
    ([[0, 1, 2]], [0.9800000190734863])
    """
    n_near = min(_NEIGHBOURS, len(gram))
    near = np.argsort(np.diagonal(gram) - 2 * crossed, axis=1)[:, :n_near]
    products = gram[near[:, :, None], near[:, None, :]]
    beside = np.take_along_axis(crossed, near, axis=1)
    # Squared distance of the base's residual from the mean of those near it.
    means = products.mean(axis=2)
    squares = lengths - 2 * beside.mean(axis=1) + means.mean(axis=1)
    shares = np.clip(1 - gaps / (2 * np.maximum(squares, 1e-12)), 0, _MOST_KEPT)
    shares = np.where(is_alone, 0, shares).astype(np.float32)
    drawn = rng.standard_normal(near.shape, dtype=np.float32)
    drawn -= drawn.mean(axis=1, keepdims=True)
    drawn *= np.sqrt((1 - shares**2) / max(n_near - 1, 1))[:, None]
    towards = beside - means
    towards -= towards.mean(axis=1, keepdims=True)
    # Two neighbours leave one direction, which is needed.
    towards *= (n_near > 2) / np.maximum(np.linalg.norm(towards, axis=1, keepdims=True), 1e-12)
    return Mixture(near, shares, drawn, towards.astype(np.float32), products)


class _Moments:
    """Inner products that tell how far second moments lie from those of real samples."""

    def __init__(self, known: Weights, target: Weights, residuals: Weights) -> None:
        self.known = known @ known.T
        self.known_residuals = known @ residuals.T
        self.known_target = known @ target.T
        self.residuals = residuals @ residuals.T
        self.residuals_target = residuals @ target.T

    def slope(self, noise: sparse.csr_array) -> tuple[float, Weights]:
        """Give the squared distance, less what the noise cannot change, and its gradient."""
        own = noise @ self.residuals
        crossed = noise @ self.known_residuals.T
        within = self.known + crossed + crossed.T + noise @ own.T
        across = self.known_target + noise @ self.residuals_target
        distance = float(np.square(within, dtype=np.float64).sum())
        distance -= 2 * float(np.square(across, dtype=np.float64).sum())
        gradient = within @ (self.known_residuals + own) - across @ self.residuals_target.T
        return distance, np.asarray(gradient, dtype=np.float32)


def balance_noise(
    mixture: Mixture, *, known: Weights, target: Weights, residuals: Weights
) -> Weights:
    """Choose the noise of all samples together so that genes keep their correlations.

    Noise of one batch moves the second moments of genes, though it would not on average over
    many. Weights descend to where the second moments of the new samples differ least
    from those of real ones (squared, summed over pairs of genes). The noise of each sample keeps
    its length, and the sample its distance from its base.

    Parameters
    ----------
    mixture
        With the noise to start from.
    known
        New samples without noise, shape (n_samples, n_genes).
    target
        Real samples, shape (n_real, n_genes).
    residuals
        Reference residuals, shape (n_reference, n_genes).

    Returns
    -------
    ndarray
        Weights of the noise, shape (n_samples, n_near), float32.

    Notes
    -----
    Genes count in units of their standard deviation over `target`; those that hardly vary
    there are left out. Time: two products n_samples x n_samples x n_reference per step.
    One thread, so that the number of threads does not change the result.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> real = rng.normal(size=(40, 30)).astype(np.float32)
    >>> mixture = draw_mixture(real @ real.T, (real**2).sum(axis=1), real @ real.T,
    ...     gaps=np.full(40, 30, np.float32), is_alone=np.zeros(40, bool), rng=rng)
    >>> known = mixture.shares[:, None] * real + mixture.spread(mixture.centres(), 40) @ real
    >>> balanced = balance_noise(mixture, known=known, target=real, residuals=real)
    >>> apart = [np.square(made.T @ made - real.T @ real).sum()
    ...          for made in (known + mixture.spread(w, 40) @ real
    ...                       for w in (mixture.noise, balanced))]
    >>> bool(apart[1] < apart[0] / 2)
    True
    """
    spread = target.std(axis=0)
    is_varying = spread > _LEAST_SPREAD * spread.max(initial=0)
    units = np.where(is_varying, 1 / np.where(is_varying, spread, 1), 0).astype(np.float32)
    centred = (target - target.mean(axis=0)) * units
    centred *= np.float32(np.sqrt(len(known) / len(target)))
    n_reference = len(residuals)
    lengths = mixture.lengths(mixture.noise)

    def settle(noise: Weights) -> Weights:
        confined = mixture.confine(noise)
        now = mixture.lengths(confined)
        scale = np.where(now > 1e-6 * lengths, lengths / np.maximum(now, 1e-30), 0)
        return np.asarray(confined * scale[:, None], dtype=np.float32)

    with threadpool_limits(1, user_api="blas"):
        moments = _Moments((known - known.mean(axis=0)) * units, centred, residuals * units)
        noise = settle(mixture.noise)
        distance, gradient = moments.slope(mixture.spread(noise, n_reference))
        step = 0.0
        for _ in range(_N_ROUNDS):
            slope = mixture.confine(np.take_along_axis(gradient, mixture.near, axis=1))
            steepness = float(np.linalg.norm(slope))
            if steepness == 0:
                break
            # The first step is three tenths as long as the weights are.
            step = step or 0.3 * float(np.linalg.norm(noise)) / steepness
            tried = settle(noise - np.float32(step) * slope)
            reached, there = moments.slope(mixture.spread(tried, n_reference))
            if reached < distance:
                noise, distance, gradient, step = tried, reached, there, 1.3 * step
            else:
                step *= 0.4
    return noise
