"""The samples around each gene's upper percentile."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.metrics.kernels import select_neighbours

__all__ = ["GENE_TILE", "NeighbourWindows", "find_neighbours", "join_windows", "window_span"]

# Genes are measured in tiles of this many, whatever the block or worker.
GENE_TILE = 128

# Genes that are transposed together: few, so that copies stay small.
_GENES_AT_ONCE = 16

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
