"""Short vectors of genes whose products estimate their correlations."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["LOWEST_SIMILARITY", "GeneSketch"]

# Random directions beside the components: the error of a correlation is at most 1 / 16.
_N_RANDOM = 256
# Five standard errors: below it two of 60,000 genes may look alike by chance.
LOWEST_SIMILARITY = 5 / np.sqrt(_N_RANDOM)

Floats = NDArray[np.float64]


class GeneSketch:
    """Correlations of all pairs of genes from one pass over the samples.

    A standardised gene z (over n samples) is cut into its part along the principal
    components of the samples, which is kept exactly, and the rest, which is kept as its
    products with 256 random directions. The product of two such vectors is unbiased for
    n r; its standard error is at most (1 - share along the components) / 16.

    Parameters
    ----------
    n_genes
        Genes.
    n_components
        Principal components of the samples.
    rng
        For the random directions.

    References
    ----------
    Johnson & Lindenstrauss 1984, doi:10.1090/conm/026/737400

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> scores = rng.normal(size=(50, 1)).astype(np.float32)
    >>> sketch = GeneSketch(2, 1, rng)
    >>> sketch.add(np.hstack([scores, -2 * scores]), scores)
    >>> vectors = sketch.vectors()
    >>> round(float(vectors[0] @ vectors[1]), 3)
    -1.0
    """

    def __init__(self, n_genes: int, n_components: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._n_components = n_components
        width = n_components + _N_RANDOM
        self._n = 0
        self._sum, self._squares = np.zeros((2, n_genes))
        self._products = np.zeros((n_genes, width))
        self._direction_sum = np.zeros(width)
        self._direction_products = np.zeros((n_components, width))

    def add(self, values: NDArray[np.floating], scores: NDArray[np.floating]) -> None:
        """Add some samples.

        Parameters
        ----------
        values
            Shape (n_samples, n_genes), no NaN.
        scores
            Their components, shape (n_samples, n_components).
        """
        values = np.asarray(values, np.float32)
        random = self._rng.standard_normal((len(values), _N_RANDOM), np.float32)
        directions = np.hstack([np.asarray(scores, np.float32), random])
        self._n += len(values)
        self._sum += values.sum(axis=0, dtype=np.float64)
        self._squares += np.einsum("ig,ig->g", values, values, dtype=np.float64)
        self._products += values.T @ directions
        self._direction_sum += directions.sum(axis=0, dtype=np.float64)
        wide = directions.astype(np.float64)
        self._direction_products += wide[:, : self._n_components].T @ wide

    def vectors(self) -> NDArray[np.float32]:
        """Give one unit vector per gene.

        Returns
        -------
        ndarray
            float32, shape (n_genes, n_components + 256); zeros for genes that do not vary.
        """
        n, k = max(self._n, 1), self._n_components
        mean = self._sum / n
        variance = self._squares / n - mean**2
        varies = variance > 1e-7 * np.maximum(self._squares / n, 1e-12)
        spread = np.sqrt(np.where(varies, variance, 1.0))
        products = (self._products - np.outer(mean, self._direction_sum)) / spread[:, None]
        among = self._direction_products - np.outer(
            self._direction_sum[:k], self._direction_sum / n
        )
        exact = products[:, :k] @ _whiten(among[:, :k])
        rest = products[:, k:] - exact @ (_whiten(among[:, :k]).T @ among[:, k:])
        joined = np.hstack([exact, rest / np.sqrt(_N_RANDOM)])
        length = np.sqrt((joined**2).sum(axis=1))
        scale = np.where(varies & (length > 0), 1 / np.maximum(length, 1e-300), 0.0)
        return (joined * scale[:, None]).astype(np.float32)


def _whiten(moments: Floats) -> Floats:
    """Give the matrix that makes directions of these products orthonormal."""
    values, axes = np.linalg.eigh(moments)
    kept = values > max(values[-1], 0) * 1e-9
    whitened: Floats = np.where(kept, axes / np.sqrt(np.where(kept, values, 1.0)), 0.0)
    return whitened
