"""Read any cells of the matrix: each stored chunk once, in file order, on threads."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from expressome.archs4.chunk_fetching import fetch_batches
from expressome.archs4.chunks import ChunkStore, UnreadableChunkError, outer_index
from expressome.archs4.plan import ChunkTask, plan_chunks
from expressome.engine import Resources, map_blocks

__all__ = ["find_unreadable", "read_cells"]

Result = TypeVar("Result")

# Bytes of inflated chunks that one thread takes at a time: below it, handing work
# to threads costs more than the work.
_BATCH_BYTES = 2**21
# Chunks planned, and put into file order, at a time.
_WINDOW = 2**14
# Asking where all chunks lie costs 4 us each: worth it for requests that need at
# least this share of them, and for files with no more chunks than this.
_ORDER_SHARE = 8
_MAX_ORDERED = 2**18


def _find_places(store: ChunkStore) -> dict[tuple[int, int], int]:
    """Ask where in the file each chunk lies."""
    places: dict[tuple[int, int], int] = {}

    def note(info: Any) -> None:  # noqa: ANN401
        places[info.chunk_offset] = info.byte_offset

    try:
        store.dataset.id.chunk_iter(note)
    except RuntimeError:
        # The index is damaged: reading chunk by chunk will say where.
        return {}
    return places


def _batches(
    store: ChunkStore, tasks: Iterable[ChunkTask], n_workers: int
) -> Iterator[list[ChunkTask]]:
    """Give tasks in file order, as many at a time as one thread should take.

    Where asking for that order is not worth it, tasks stay in the order of the
    grid, in which writers lay chunks down.
    """
    tasks = iter(tasks)
    places: dict[tuple[int, int], int] | None = None
    while window := list(islice(tasks, _WINDOW)):
        is_worth = store.n_chunks <= min(_MAX_ORDERED, _ORDER_SHARE * len(window))
        if places is None and is_worth and store.dataset.chunks is not None:
            places = _find_places(store)
        if places:
            window.sort(key=lambda task, places=places: places.get(task.origin, 0))  # type: ignore[misc]
        n_each = max(1, min(_BATCH_BYTES // store.chunk_bytes, len(window) // (4 * n_workers)))
        for start in range(0, len(window), n_each):
            yield window[start : start + n_each]


def _fit_workers(store: ChunkStore, resources: Resources) -> Resources:
    """Give as many threads as have room for a chunk and its copies in an eighth of the budget."""
    # Raw, inflated and unshuffled; freed memory may be kept by the allocator once more.
    n_fitting = max(1, resources.memory_bytes // 8 // (6 * store.chunk_bytes))
    # HDF5 lets one thread read at a time.
    n_workers = 1 if store.filters is None else min(resources.n_workers, n_fitting)
    return dataclasses.replace(resources, workers=n_workers, cluster=None)


def _run(
    function: Callable[[list[ChunkTask]], Result],
    batches: Iterable[list[ChunkTask]],
    resources: Resources,
) -> Iterator[Result]:
    """Apply a function to batches on threads, or right here if there is to be one."""
    if resources.n_workers == 1:
        return map(function, batches)
    return map_blocks(function, batches, resources=resources)


def read_cells(
    dataset: Any,  # noqa: ANN401
    *,
    samples: NDArray[np.int64],
    genes: NDArray[np.int64],
    is_transposed: bool,
    resources: Resources,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Read samples x genes in request order, each stored chunk once.

    Parameters
    ----------
    dataset
        Open HDF5 dataset.
    samples
        Positions of samples, any order, repetitions allowed.
    genes
        Positions of genes, any order, repetitions allowed.
    is_transposed
        Whether genes are the first stored axis.
    resources
        Threads and memory; the cluster is not used.
    out
        Where to put the cells, shape (n_samples, n_genes); a new array by default.

    Returns
    -------
    ndarray
        Shape (n_samples, n_genes), in this machine's byte order.

    Raises
    ------
    UnreadableChunkError
        If a needed chunk is damaged or was never written.
    FileFormatError
        If a filter is not installed.

    Notes
    -----
    Memory: the result, and per thread six times a chunk; threads are given up
    while that exceeds an eighth of the budget.
    """
    store = ChunkStore.of(dataset)
    store.require_filters()
    resources = _fit_workers(store, resources)
    if out is None:
        out = np.empty((len(samples), len(genes)), dtype=dataset.dtype.newbyteorder("="))
    stored = out.T if is_transposed else out
    rows, columns = (genes, samples) if is_transposed else (samples, genes)

    def fill(batch: list[ChunkTask]) -> None:
        for task in batch:
            stored[outer_index(task.rows.outside, task.columns.outside)] = store.read(task)

    tasks = plan_chunks(rows, columns, store.chunk_shape)
    batches = fetch_batches(store, _batches(store, tasks, resources.n_workers))
    for _ in _run(fill, batches, resources):
        pass
    return out


def _refuse_impossible(store: ChunkStore, task: ChunkTask, cells: NDArray[Any]) -> None:
    """Refuse a chunk with numbers that are no expression values."""
    n_wrong = cells.size - int(np.count_nonzero((cells >= 0) & np.isfinite(cells)))
    if n_wrong:
        rows, columns = store.extent(task)
        reason = f"{n_wrong} of its {cells.size} numbers are negative, NaN or infinite"
        raise UnreadableChunkError(rows, columns, reason)


def find_unreadable(
    dataset: Any,  # noqa: ANN401
    *,
    resources: Resources,
) -> Iterator[tuple[int, int, list[UnreadableChunkError]]]:
    """Read every chunk of a matrix; report those damaged or with impossible numbers.

    Parameters
    ----------
    dataset
        Open HDF5 dataset.
    resources
        Threads and memory; the cluster is not used.

    Yields
    ------
    tuple of int, int and list
        Chunks read since the last, chunks in all, and the failures among the read.
    """
    store = ChunkStore.of(dataset)
    store.require_filters()
    resources = _fit_workers(store, resources)

    n_chunks = store.n_chunks

    def check(batch: list[ChunkTask]) -> tuple[int, int, list[UnreadableChunkError]]:
        failures = []
        for task in batch:
            try:
                _refuse_impossible(store, task, store.read(task))
            except UnreadableChunkError as error:
                failures.append(error)
        return len(batch), n_chunks, failures

    rows, columns = (np.arange(size) for size in dataset.shape)
    tasks = plan_chunks(rows, columns, store.chunk_shape)
    batches = fetch_batches(store, _batches(store, tasks, resources.n_workers))
    yield from _run(check, batches, resources)
