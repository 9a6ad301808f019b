"""Mean cosine from a random projection of the profiles, with its error."""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from expressome.errors import InvalidValueError
from expressome.metrics.windows import GENE_TILE, NeighbourWindows

__all__ = ["ProjectedSums", "count_buckets", "project_tile", "standard_error"]

# Rows whose float64 copies are alive at once.
_SAMPLES_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class ProjectedSums:
    """What one tile of genes adds to every window, estimated.

    Attributes
    ----------
    squared_sums
        Estimate of the tile's part of ||sum of unit profiles||^2, shape (n_genes,).
    squared_spread
        Square of the estimated part of the deviations alone, shape (n_genes,); from its
        sum over tiles `standard_error` follows.
    """

    squared_sums: NDArray[np.float64]
    squared_spread: NDArray[np.float64]


def count_buckets(n_dimensions: int, n_genes: int) -> int:
    """Say how many dimensions each tile of 128 genes gets.

    Parameters
    ----------
    n_dimensions
        Dimensions asked for.
    n_genes
        Genes of the profiles.

    Returns
    -------
    int
        At least one; all tiles together have no fewer than asked for.

    Raises
    ------
    InvalidValueError
        If `n_dimensions` is below 1.

    Examples
    --------
    >>> count_buckets(1024, 60_000)
    3
    """
    if n_dimensions < 1:
        msg = f"{n_dimensions} dimensions cannot hold a profile; give at least 1, such as 1024"
        raise InvalidValueError(msg)
    n_tiles = max(1, -(-n_genes // GENE_TILE))
    return min(GENE_TILE, -(-n_dimensions // n_tiles))


def project_tile(
    values: NDArray[Any],
    inverse_norms: NDArray[np.float64],
    windows: NeighbourWindows,
    *,
    n_buckets: int,
    rng: np.random.Generator,
) -> ProjectedSums:
    """Estimate one tile's part of every window's squared sum.

    Each unit profile is written as the mean of all plus a deviation. What the mean
    contributes is exact; the deviations are projected: every gene gets a random
    sign and one of `n_buckets` sums.

    Parameters
    ----------
    values
        One tile of genes, shape (n_samples, <= 128), without NaN.
    inverse_norms
        1 / length of each sample's whole profile, 0 where it is 0; shape (n_samples,).
    windows
        What `find_neighbours` gave.
    n_buckets
        Dimensions of this tile.
    rng
        Draws signs and sums of this tile.

    Returns
    -------
    ProjectedSums
        One number per gene of the windows.

    References
    ----------
    Johnson, Lindenstrauss 1984; Charikar, Chen, Farach-Colton 2002 (count sketch),
    doi:10.1007/3-540-45465-9_59. Here each tile of genes has its own sums, so that tiles add up
    without the projected samples ever being in memory together.

    Examples
    --------
    >>> windows = NeighbourWindows(np.array([[0, 1]], np.int32), np.array([2]), np.array([2]))
    >>> project_tile(np.array([[3.0], [4.0]]), np.array([1.0, 0.5]), windows, n_buckets=1,
    ...              rng=np.random.default_rng(0)).squared_sums
    array([25.])
    """
    n_samples, n_columns = values.shape
    signs = rng.choice(np.array([-1.0, 1.0]), n_columns)
    buckets = [part for part in np.array_split(rng.permutation(n_columns), n_buckets) if part.size]
    spans = [
        slice(start, start + _SAMPLES_AT_ONCE) for start in range(0, n_samples, _SAMPLES_AT_ONCE)
    ]
    mean = np.zeros(n_columns)
    for span in spans:
        mean += (values[span] * inverse_norms[span, None]).sum(axis=0, dtype=np.float64)
    mean /= max(n_samples, 1)
    projected = np.empty((n_samples, len(buckets) + 1), np.float32)
    for span in spans:
        deviation = values[span] * inverse_norms[span, None] - mean
        for b, genes in enumerate(buckets):
            projected[span, b] = (deviation[:, genes] * signs[genes]).sum(axis=1)
        projected[span, -1] = (deviation * mean).sum(axis=1)
    found = ProjectedSums(np.zeros(len(windows.rows)), np.zeros(len(windows.rows)))
    _add_projected(
        projected,
        windows.rows,
        windows.n_rows,
        float((mean * mean).sum()),
        found.squared_sums,
        found.squared_spread,
    )
    return found


@numba.njit(nogil=True, cache=True)
def _add_projected(  # noqa: PLR0917 - compiled functions take positions only
    projected: NDArray[np.float32],
    rows: NDArray[np.int32],
    n_rows: NDArray[np.int64],
    squared_mean: float,
    total: NDArray[np.float64],
    spread: NDArray[np.float64],
) -> None:
    """Add what the mean and the projected deviations of each window give."""
    n_buckets = projected.shape[1] - 1
    sums = np.empty(n_buckets + 1)
    for g in range(rows.shape[0]):
        sums[:] = 0
        for j in range(n_rows[g]):
            i = np.uint32(rows[g, j])  # without a sign there is no wrap-around to check
            for b in range(n_buckets + 1):
                sums[b] += projected[i, b]
        energy = 0.0
        for b in range(n_buckets):
            energy += sums[b] * sums[b]
        n = np.float64(n_rows[g])
        total[g] += n * n * squared_mean + 2 * n * sums[n_buckets] + energy
        spread[g] += energy * energy


def standard_error(
    squared_spread: NDArray[np.float64], windows: NeighbourWindows, *, n_buckets: int
) -> NDArray[np.float64]:
    """Bound the standard error of a mean cosine that was projected.

    Parameters
    ----------
    squared_spread
        Sum of `ProjectedSums.squared_spread` over tiles, shape (n_genes,).
    windows
        The samples of each gene.
    n_buckets
        Dimensions per tile.

    Returns
    -------
    ndarray
        Shape (n_genes,); NaN for windows of fewer than two samples. By Chebyshev, at most one
        gene in 20 is further off than 4.5 of these.

    Notes
    -----
    The variance of a tile's estimate is at most 2 E^2 / n_buckets, E the squared length of
    the summed deviations in the tile; E is taken from the estimate, which on average overstates
    E^2.

    Examples
    --------
    >>> windows = NeighbourWindows(np.array([[0, 1]], np.int32), np.array([2]), np.array([2]))
    >>> standard_error(np.array([0.02]), windows, n_buckets=1)
    array([0.1])
    """
    n = windows.n_rows.astype(np.float64)
    error = np.full(n.size, np.nan)
    np.divide(np.sqrt(2 * squared_spread / n_buckets), n * (n - 1), out=error, where=n >= 2)
    return error
