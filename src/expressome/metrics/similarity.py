"""How alike the samples are that express a gene strongly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.blocks import as_blocks
from expressome.engine import Resources, map_blocks
from expressome.errors import InvalidValueError, ShapeError
from expressome.metrics.kernels import add_squared_sums, select_neighbours

__all__ = [
    "GENE_TILE",
    "NeighbourWindows",
    "combine_similarity",
    "find_neighbours",
    "join_windows",
    "mean_cosine",
    "squared_norms",
    "sum_tile",
    "window_span",
]

# Squared sums run over tiles of this many genes, whatever the block or worker.
GENE_TILE = 128

# Unit profiles of one column block stay within a core's own cache.
_CACHE_BYTES = 2**19

# Genes that are transposed, and samples that are squared, together: few, so that copies stay small.
_GENES_AT_ONCE = 16
_SAMPLES_AT_ONCE = 4096

Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class NeighbourWindows:
    """The samples around each gene's upper percentile.

    Attributes
    ----------
    rows
        Row numbers, shape (n_genes, n_neighbours), int32; -1 where a window is cut short.
    n_rows
        Samples in each window, shape (n_genes,).
    n_detected
        Samples of each window that detected the gene, shape (n_genes,).
    """

    rows: NDArray[np.int32]
    n_rows: NDArray[np.int64]
    n_detected: NDArray[np.int64]


def window_span(n_samples: int, n_neighbours: int, percentile: float) -> tuple[int, int]:
    """Give the ranks of the samples around the upper percentile.

    Parameters
    ----------
    n_samples
        Samples that measured the gene.
    n_neighbours
        Length of a whole window.
    percentile
        Its centre, in 0-100.

    Returns
    -------
    tuple of int
        First rank and the one after the last, from 0; cut at the ends, not moved.

    Examples
    --------
    >>> window_span(121_983, 100, 95)
    (115834, 115934)
    >>> window_span(400, 100, 95)
    (330, 400)
    """
    centre = int(percentile / 100 * (n_samples + 1))
    half = n_neighbours // 2
    return max(centre - half, 0), min(centre + n_neighbours - half, n_samples)


def find_neighbours(
    values: Values,
    *,
    n_neighbours: int = 100,
    percentile: float = 95,
    detected: NDArray[np.bool_] | None = None,
    order: NDArray[np.integer] | None = None,
) -> NeighbourWindows:
    """Find the samples around each gene's upper percentile.

    Parameters
    ----------
    values
        Expression, shape (n_samples, n_genes); NaN where a gene was not measured.
    n_neighbours
        Length of a whole window.
    percentile
        Its centre, in 0-100.
    detected
        Whether the count was above 0, shape of `values`; values above 0 by default.
    order
        All row numbers in the order that breaks ties; that of the rows by default.

    Returns
    -------
    NeighbourWindows
        Rows in the order of `order`, not of their values.

    Examples
    --------
    >>> values = np.array([[5.0], [1.0], [3.0]])
    >>> find_neighbours(values, n_neighbours=2, percentile=50).rows
    array([[0, 2]], dtype=int32)
    """
    n_samples, n_genes = values.shape
    ranks = np.arange(n_samples) if order is None else np.asarray(order)
    rows = np.full((n_genes, n_neighbours), -1, np.int32)
    n_rows = np.zeros(n_genes, np.int64)
    n_detected = np.zeros(n_genes, np.int64)
    for first in range(0, n_genes, _GENES_AT_ONCE):
        genes = slice(first, first + _GENES_AT_ONCE)
        by_gene = np.ascontiguousarray(values[:, genes].T)
        is_detected = (
            by_gene > 0 if detected is None else np.ascontiguousarray(detected[:, genes].T)
        )
        n_measured = n_samples - np.isnan(by_gene).sum(axis=1)
        for g, profile in enumerate(by_gene, start=first):
            start, stop = window_span(int(n_measured[g - first]), n_neighbours, percentile)
            n_rows[g] = max(stop - start, 0)
            if n_rows[g]:
                # NaN sorts last, so the measured samples fill the first ranks.
                ends = np.partition(profile, [start, stop - 1])[[start, stop - 1]]
                n_detected[g] = select_neighbours(
                    profile, is_detected[g - first], ranks, ends, start, rows[g, : n_rows[g]]
                )
    return NeighbourWindows(rows, n_rows, n_detected)


def join_windows(windows: Sequence[NeighbourWindows]) -> NeighbourWindows:
    """Put the windows of consecutive blocks of genes together.

    Parameters
    ----------
    windows
        At least one.

    Returns
    -------
    NeighbourWindows
        All genes, in order.

    Examples
    --------
    >>> one = NeighbourWindows(np.array([[0, 1]], np.int32), np.array([2]), np.array([2]))
    >>> join_windows([one, one]).n_rows
    array([2, 2])
    """
    return NeighbourWindows(
        np.concatenate([part.rows for part in windows]),
        np.concatenate([part.n_rows for part in windows]),
        np.concatenate([part.n_detected for part in windows]),
    )


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
    norms = np.sqrt(squared_norms(profiles))
    inverse = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
    total = np.zeros(values.shape[1])
    for part in map_blocks(
        lambda start: sum_tile(profiles[:, start : start + GENE_TILE], inverse, windows),
        range(0, profiles.shape[1], GENE_TILE),
        resources=resources,
    ):
        total += part
    return combine_similarity(
        total, windows, has_profile=norms > 0, n_detected=is_detected.sum(axis=0)
    )
