"""Cosines of all pairs of samples at once, which few samples make cheaper than sums per gene.

The similarity of every pair (the Gram matrix of the unit profiles) is summed over tiles of
genes, in bands of samples; each gene then adds up the pairs of its window. The work grows with
the square of the samples instead of the number of genes.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from expressome.engine import Resources, map_blocks
from expressome.metrics.windows import GENE_TILE, NeighbourWindows

__all__ = ["GRAM_TILE", "gram_bytes", "multiply_tile", "prefers_gram", "sum_by_pairs"]

# Genes of one product, whatever the block or worker: a matrix product of fixed shape has fixed
# bits on one machine.
GRAM_TILE = 4 * GENE_TILE

# Samples of one band: products start at the band's own first sample, which halves the work.
_BAND = 256
# Above it the matrix takes gigabytes.
_MAX_SAMPLES = 4096
# By measurement, a product of matrices adds about this many times as fast as sums over windows.
_ADVANTAGE = 2
_GENES_AT_ONCE = 2048


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def prefers_gram(n_samples: int, n_windows: int, n_neighbours: int) -> bool:
    """Say whether pairs of all samples are cheaper than sums over every window.

    Parameters
    ----------
    n_samples
        Samples in all.
    n_windows
        Genes that have a window.
    n_neighbours
        Samples of a window.

    Returns
    -------
    bool
        By the shape alone, so that neither memory nor threads change a result.

    Examples
    --------
    >>> prefers_gram(2_400, 20_000, 100), prefers_gram(100_000, 60_000, 100)
    (True, False)
    """
    n_pairs = n_samples * n_samples // 2
    return n_samples <= _MAX_SAMPLES and n_pairs <= _ADVANTAGE * n_windows * n_neighbours


def _bands(n_samples: int, rows: slice) -> list[slice]:
    return [slice(a, min(a + _BAND, n_samples)) for a in range(rows.start, rows.stop, _BAND)]


def _n_cells(n_samples: int, rows: slice) -> int:
    bands = _bands(n_samples, rows)
    return sum((band.stop - band.start) * (n_samples - band.start) for band in bands)


def gram_bytes(n_samples: int) -> int:
    """Say which memory one band takes at least: its sum, and products on their way.

    Parameters
    ----------
    n_samples
        Samples in all.

    Returns
    -------
    int
        Bytes.
    """
    return (8 + 4 * 3) * _n_cells(n_samples, slice(0, min(_BAND, n_samples)))


def _passes(n_samples: int, n_products: int, memory_bytes: int) -> Iterator[slice]:
    """Give spans of samples whose sums, and products under way, fit the memory."""
    start = 0
    while start < n_samples:
        stop = min(start + _BAND, n_samples)
        while stop < n_samples:
            wider = slice(start, min(stop + _BAND, n_samples))
            if (8 + 4 * n_products) * _n_cells(n_samples, wider) > memory_bytes:
                break
            stop = wider.stop
        yield slice(start, stop)
        start = stop


def multiply_tile(
    values: NDArray[Any],
    inverse_norms: NDArray[np.float64],
    rows: slice,
    *,
    order: NDArray[np.integer] | None = None,
) -> NDArray[np.float32]:
    """Multiply the unit profiles of some samples with those that follow, over one tile of genes.

    Parameters
    ----------
    values
        One tile of genes, shape (n_samples, <= 512), without NaN.
    inverse_norms
        1 / length of each sample's whole profile, 0 where it is 0; shape (n_samples,).
    rows
        Samples of the bands to make, counted in `order`.
    order
        All row numbers in the order to take samples in; that of the rows by default.

    Returns
    -------
    ndarray
        float32, one axis: band after band, each of its samples with the samples from the
        band's first on.

    Examples
    --------
    >>> multiply_tile(np.array([[3.0], [4.0]]), np.array([1.0, 0.5]), slice(0, 2)).tolist()
    [9.0, 6.0, 6.0, 4.0]
    """
    unit = np.empty(values.shape, np.float32)
    for start in range(0, values.shape[1], GENE_TILE):
        columns = slice(start, start + GENE_TILE)
        piece = values[:, columns] * inverse_norms[:, None]
        unit[:, columns] = piece if order is None else piece[order]
    products = np.empty(_n_cells(len(unit), rows), np.float32)
    filled = 0
    # Threads work on tiles: more of them inside a product would only wait, and change its bits.
    with _controller().limit(limits=1, user_api="blas"):
        for band in _bands(len(unit), rows):
            shape = (band.stop - band.start, len(unit) - band.start)
            part = products[filled : filled + shape[0] * shape[1]].reshape(shape)
            np.matmul(unit[band], unit[band.start :].T, out=part)
            filled += part.size
    return products


def sum_by_pairs(
    multiply: Callable[[slice], Iterable[NDArray[np.float32]]],
    windows: NeighbourWindows,
    *,
    n_samples: int,
    has_profile: NDArray[np.bool_],
    resources: Resources,
) -> NDArray[np.float64]:
    """Sum the unit profiles of each window, squared, from the similarities of all pairs.

    Parameters
    ----------
    multiply
        Gives `multiply_tile` of every tile of genes, in order, for the samples it is
        given; called once per pass.
    windows
        What `find_neighbours` gave, its rows counted as `multiply_tile` does.
    n_samples
        Samples in all.
    has_profile
        Whether a sample's profile differs from 0, shape (n_samples,).
    resources
        A quarter of the memory is for the sums; where they take more, the tiles are
        multiplied in several passes, with the same result.

    Returns
    -------
    ndarray
        ||sum of unit profiles||^2, shape (n_genes,), float64.

    Examples
    --------
    >>> windows = NeighbourWindows(np.array([[0, 1]], np.int32), np.array([2]), np.array([2]))
    >>> unit = np.array([[1.0], [1.0]])
    >>> sum_by_pairs(lambda rows: [multiply_tile(unit, np.ones(2), rows)], windows,
    ...              n_samples=2, has_profile=np.ones(2, bool), resources=Resources())
    array([4.])
    """
    ascending = np.sort(windows.rows, axis=1)
    total: NDArray[np.float64] = np.append(has_profile, False)[ascending].sum(axis=1, dtype=float)
    here = resources.here
    with _controller().limit(limits=1, user_api="blas"):
        for rows in _passes(n_samples, here.n_workers + 2, here.memory_bytes // 4):
            gram = np.zeros(_n_cells(n_samples, rows))
            for products in multiply(rows):
                gram += products
            _add_all(gram, ascending, rows, n_samples=n_samples, total=total, resources=here)
    return total


def _add_all(
    gram: NDArray[np.float64],
    ascending: NDArray[np.int32],
    rows: slice,
    *,
    n_samples: int,
    total: NDArray[np.float64],
    resources: Resources,
) -> None:
    """Add the pairs of these bands to every gene, genes shared out among threads."""
    bands = _bands(n_samples, rows)
    sizes = [(band.stop - band.start) * (n_samples - band.start) for band in bands]
    offsets = np.cumsum([0, *sizes])[:-1]

    def add(start: int) -> None:
        genes = slice(start, start + _GENES_AT_ONCE)
        _add_pairs(gram, offsets, rows.start, rows.stop, n_samples, ascending[genes], total[genes])

    for _ in map_blocks(add, range(0, len(total), _GENES_AT_ONCE), resources=resources):
        pass


@numba.njit(nogil=True, cache=True)
def _add_pairs(  # type: ignore[no-untyped-def]  # noqa: ANN202, PLR0917 - compiled
    gram: NDArray[np.float64],
    offsets: NDArray[np.int64],
    first: int,
    stop: int,
    n_samples: int,
    ascending: NDArray[np.int32],
    total: NDArray[np.float64],
):
    """Add twice the similarity of each pair whose earlier sample lies in first..stop."""
    n_rows = ascending.shape[1]
    for g in range(ascending.shape[0]):
        for i in range(n_rows):
            row = ascending[g, i]
            if row < first:
                continue
            if row >= stop:
                break
            band = (row - first) // _BAND
            begin = first + band * _BAND
            # Where the similarity of this sample with sample 0 would lie.
            base = offsets[band] + (row - begin) * (n_samples - begin) - begin
            pairs = 0.0
            for j in range(i + 1, n_rows):
                pairs += gram[base + ascending[g, j]]
            total[g] += 2.0 * pairs
