"""How alike the samples are that express a gene strongly."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.blocks import as_blocks
from expressome.engine import Resources, map_blocks
from expressome.errors import InvalidValueError, ShapeError
from expressome.metrics.gram import GRAM_TILE, multiply_tile, prefers_gram, sum_by_pairs
from expressome.metrics.kernels import add_squared_sums
from expressome.metrics.windows import (
    GENE_TILE,
    NeighbourWindows,
    find_neighbours,
    join_windows,
)

__all__ = ["combine_similarity", "invert_norms", "mean_cosine", "squared_norms", "sum_tile"]

# Unit profiles of one column block stay within a core's own cache.
_CACHE_BYTES = 2**19

# Samples that are squared together: few, so that copies stay small.
_SAMPLES_AT_ONCE = 4096

Values = NDArray[Any]


def squared_norms(values: Values) -> NDArray[np.float64]:
    """Sum each sample's squared values over one block of genes.

    Parameters
    ----------
    values
        Shape (n_samples, n_genes), without NaN.

    Returns
    -------
    ndarray
        float64, shape (n_samples,). Exact to float64 however genes are tiled by `GENE_TILE`.

    Examples
    --------
    >>> squared_norms(np.array([[3.0, 4.0]]))
    array([25.])
    """
    total = np.zeros(len(values))
    for start in range(0, values.shape[1], GENE_TILE):
        for first in range(0, len(values), _SAMPLES_AT_ONCE):
            rows = slice(first, first + _SAMPLES_AT_ONCE)
            tile = np.ascontiguousarray(values[rows, start : start + GENE_TILE], np.float64)
            total[rows] += (tile * tile).sum(axis=1)
    return total


def invert_norms(squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give what makes profiles unit vectors.

    Parameters
    ----------
    squared
        What `squared_norms` gave, shape (n_samples,).

    Returns
    -------
    ndarray
        1 over the root, shape (n_samples,); 0 for a profile of zeros, which has no direction.

    Examples
    --------
    >>> invert_norms(np.array([4.0, 0.0])).tolist()
    [0.5, 0.0]
    """
    norms = np.sqrt(squared)
    inverse: NDArray[np.float64] = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    return inverse


def sum_tile(
    values: Values, inverse_norms: NDArray[np.float64], windows: NeighbourWindows
) -> NDArray[np.float64]:
    """Sum the unit profiles of each window over one tile of genes, squared.

    Parameters
    ----------
    values
        One tile of genes, shape (n_samples, <= 128), without NaN.
    inverse_norms
        1 / length of each sample's whole profile, 0 where it is 0; shape (n_samples,).
    windows
        What `find_neighbours` gave.

    Returns
    -------
    ndarray
        This tile's part of ||sum of unit profiles||^2, shape (n_genes,), float64.

    Examples
    --------
    >>> windows = NeighbourWindows(np.array([[0, 1]], np.int32), np.array([2]), np.array([2]))
    >>> sum_tile(np.array([[3.0], [4.0]]), np.array([1.0, 0.5]), windows)
    array([25.])
    """
    n_samples, n_columns = values.shape
    width = max(16, min(n_columns, _CACHE_BYTES // (4 * max(n_samples, 1)) // 16 * 16))
    total = np.zeros(len(windows.rows))
    for start in range(0, n_columns, width):
        piece = values[:, start : start + width] * inverse_norms[:, None]
        add_squared_sums(piece.astype(np.float32), windows.rows, windows.n_rows, total)
    return total


def combine_similarity(
    squared_sums: NDArray[np.float64],
    windows: NeighbourWindows,
    *,
    has_profile: NDArray[np.bool_],
    n_detected: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Turn squared sums into the mean cosine over distinct pairs.

    Parameters
    ----------
    squared_sums
        ||sum of unit profiles||^2 per gene, shape (n_genes,).
    windows
        The samples of each gene.
    has_profile
        Whether a sample's profile differs from 0, shape (n_samples,).
    n_detected
        Samples in all that detected each gene, shape (n_genes,).

    Returns
    -------
    ndarray
        Shape (n_genes,); NaN for windows below two samples and for genes detected
        nowhere, 0 for genes detected in one sample.

    Examples
    --------
    >>> windows = NeighbourWindows(np.array([[0, 1]], np.int32), np.array([2]), np.array([2]))
    >>> combine_similarity(
    ...     np.array([4.0]), windows, has_profile=np.ones(2, bool), n_detected=np.array([2])
    ... )
    array([1.])
    """
    n = windows.n_rows.astype(np.float64)
    padded = np.append(has_profile, False)  # row -1 is the padding
    n_profiles = padded[windows.rows].sum(axis=1)
    mean = np.full(n.size, np.nan)
    is_pair = n >= 2
    mean[is_pair] = (squared_sums - n_profiles)[is_pair] / (n * (n - 1))[is_pair]
    mean[n_detected == 0] = np.nan
    mean[(n_detected == 1) & is_pair] = 0.0
    return mean


def mean_cosine(
    values: Values,
    n_neighbours: int = 100,
    percentile: float = 95,
    *,
    detected: NDArray[np.bool_] | None = None,
    resources: Resources | None = None,
) -> NDArray[np.float64]:
    """Measure how alike the samples are that express each gene strongly.

    Sort the samples by the gene, take those around its 95th percentile, and
    average the cosine of their whole profiles over the distinct pairs. A gene
    whose strong expressers are of one tissue has a value near 1; one whose upper
    end is filled by chance has the value of random samples. Compare genes within
    one data set only: the level depends on how samples were normalised.

    Parameters
    ----------
    values
        Normalised expression, shape (n_samples, n_genes). NaN marks genes that a
        sample did not measure: such samples are left out of that gene's ranks, and
        cosines run over the genes that every sample measured.
    n_neighbours
        Samples in the window: half below, half from r = int(percentile/100 (N + 1))
        on, in ranks from 0. Cut, not moved, where the samples end.
    percentile
        Centre of the window, in 0-100.
    detected
        Whether the count was above 0, shape of `values`. By default values above 0
        count as detected, which is wrong after quantile normalisation: it lifts zeros.
    resources
        Threads to use; all processors by default.

    Returns
    -------
    ndarray
        float64, shape (n_genes,), in -1..1. NaN for a window of fewer than two samples and
        for a gene detected in no sample; 0 for a gene detected in one.

    Raises
    ------
    InvalidValueError
        If `n_neighbours` is below 2 or `percentile` outside 0-100.
    ShapeError
        If `detected` has another shape than `values`.

    Notes
    -----
    ||sum u_i||^2 - n over n (n - 1), u_i the unit profiles: O(n_neighbours n_genes) per gene
    instead of O(n_neighbours^2 n_genes), and additive over blocks of genes. Ties are
    broken by row. Samples whose profile is all zero have cosine 0 with every other.
    Sums of up to `n_neighbours` float32 unit values, then float64: error below 1e-6.

    Examples
    --------
    >>> values = np.array([[1.0, 0.0], [2.0, 0.0], [2.0, 2.0]])
    >>> mean_cosine(values, n_neighbours=2, percentile=50).round(4)
    array([0.7071, 0.    ])
    """
    values = next(as_blocks(values))
    if n_neighbours < 2 or not 0 <= percentile <= 100:
        msg = (
            f"n_neighbours is {n_neighbours} and percentile {percentile}; "
            "take at least 2 neighbours and a percentile in 0-100"
        )
        raise InvalidValueError(msg)
    if not values.shape[1]:
        return np.empty(0)
    if detected is not None and detected.shape != values.shape:
        msg = f"detected has shape {detected.shape}, the values {values.shape}; pass equal shapes"
        raise ShapeError(msg)
    # Arrays that are here already are not sent to a cluster.
    resources = (resources or Resources()).here

    def find_in_tile(start: int) -> NeighbourWindows:
        tile = slice(start, start + GENE_TILE)
        return find_neighbours(
            values[:, tile],
            n_neighbours=n_neighbours,
            percentile=percentile,
            detected=None if detected is None else detected[:, tile],
        )

    starts = range(0, values.shape[1], GENE_TILE)
    windows = join_windows(list(map_blocks(find_in_tile, starts, resources=resources)))
    is_detected = values > 0 if detected is None else detected
    is_complete = ~np.isnan(values).any(axis=0)
    profiles = values if is_complete.all() else values[:, is_complete]
    inverse = invert_norms(squared_norms(profiles))
    total = _sum_windows(profiles, inverse, windows, resources=resources)
    return combine_similarity(
        total, windows, has_profile=inverse > 0, n_detected=is_detected.sum(axis=0)
    )


def _sum_windows(
    profiles: Values,
    inverse_norms: NDArray[np.float64],
    windows: NeighbourWindows,
    *,
    resources: Resources,
) -> NDArray[np.float64]:
    """Sum the unit profiles of every window, squared, in the cheaper of two ways."""
    n_samples, n_genes = profiles.shape
    n_windows, n_neighbours = windows.rows.shape
    if prefers_gram(n_samples, n_windows, n_neighbours):

        def multiply(rows: slice) -> Iterator[NDArray[np.float32]]:
            tiles = (profiles[:, a : a + GRAM_TILE] for a in range(0, n_genes, GRAM_TILE))
            work = partial(multiply_tile, inverse_norms=inverse_norms, rows=rows)
            return map_blocks(work, tiles, resources=resources, n_ahead=resources.n_workers)

        return sum_by_pairs(
            multiply,
            windows,
            n_samples=n_samples,
            has_profile=inverse_norms > 0,
            resources=resources,
        )
    total = np.zeros(n_windows)
    tiles = (profiles[:, a : a + GENE_TILE] for a in range(0, n_genes, GENE_TILE))
    work = partial(sum_tile, inverse_norms=inverse_norms, windows=windows)
    for part in map_blocks(work, tiles, resources=resources):
        total += part
    return total
