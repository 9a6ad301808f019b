"""Fetch what a request needs of a remote file before it is read; local files pass through."""

import struct
from collections.abc import Iterable, Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from expressome.archs4.byte_ranges import Span
from expressome.archs4.chunks import ChunkStore, undo_filters
from expressome.archs4.plan import ChunkTask, Selector
from expressome.archs4.remote import RemoteSource, find_source
from expressome.blocks import prefetch

__all__ = ["fetch_batches", "fetch_rows", "task_spans"]

# Chunks fetched at once: eight connections of 4 MiB.
_GROUP_BYTES = 2**25
# Text lies in heaps of at least this size (HDF5 file format, section III.E).
_HEAP_BYTES = 4096
# A stored reference to text: length, address of the heap, number within it.
_REFERENCE = np.dtype([("n_bytes", "<u4"), ("heap", "<u8"), ("number", "<u4")])


def _positions(selector: Selector) -> NDArray[np.int64]:
    if isinstance(selector, slice):
        return np.arange(selector.start, selector.stop, dtype=np.int64)
    return selector


def task_spans(store: ChunkStore, task: ChunkTask) -> list[Span]:
    """Say where in the file lies what a task reads.

    Parameters
    ----------
    store
        The matrix.
    task
        The chunk, or tile of a matrix without chunks.

    Returns
    -------
    list of tuple
        First byte and byte after the last; empty if it was never written.
    """
    dataset = store.dataset
    if dataset.chunks is not None:
        try:
            info = dataset.id.get_chunk_info_by_coord(task.origin)
        except (KeyError, RuntimeError):
            # Reading the chunk will say what is wrong with the index.
            return []
        return (
            [] if info.byte_offset is None else [(info.byte_offset, info.byte_offset + info.size)]
        )
    offset = dataset.id.get_offset()
    if offset is None:
        return []
    columns = _positions(task.columns.inside) + task.origin[1]
    n_columns, itemsize = dataset.shape[1], store.dtype.itemsize
    starts = offset + (_positions(task.rows.inside) + task.origin[0]) * n_columns * itemsize
    left, right = int(columns.min()) * itemsize, int(columns.max() + 1) * itemsize
    return [(start + left, start + right) for start in starts.tolist()]


def fetch_batches(
    store: ChunkStore, batches: Iterable[list[ChunkTask]]
) -> Iterator[list[ChunkTask]]:
    """Give batches of tasks once their chunks have arrived, the next under way.

    Parameters
    ----------
    store
        The matrix.
    batches
        Tasks in the order they will be read.

    Yields
    ------
    list of ChunkTask
        The same batches. Those of a local file pass untouched.
    """
    if find_source(store.dataset.file.filename) is None:
        yield from batches
        return
    for group in prefetch(_fetch_groups(store, batches)):
        yield from group


def _fetch_groups(
    store: ChunkStore, batches: Iterable[list[ChunkTask]]
) -> Iterator[list[list[ChunkTask]]]:
    """Fetch batch by batch, as many at once as keep all connections busy."""
    source = find_source(store.dataset.file.filename)
    group: list[list[ChunkTask]] = []
    spans: list[Span] = []
    n_bytes = 0
    for batch in batches:
        found = [span for task in batch for span in task_spans(store, task)]
        if group and n_bytes + sum(stop - start for start, stop in found) > _GROUP_BYTES:
            if source is not None:
                source.ensure(spans)
            yield group
            group, spans, n_bytes = [], [], 0
        group.append(batch)
        spans += found
        n_bytes += sum(stop - start for start, stop in found)
    if source is not None:
        source.ensure(spans)
    yield group


def fetch_rows(dataset: Any, rows: NDArray[np.int64]) -> None:  # noqa: ANN401
    """Fetch what reading some rows of a field will need: their chunks and their text.

    HDF5 would look text up one value at a time, each a request of its own.

    Parameters
    ----------
    dataset
        Open HDF5 dataset of one axis. Nothing happens for a local file.
    rows
        Positions wanted.
    """
    source = find_source(dataset.file.filename)
    if source is None or len(rows) == 0 or dataset.size == 0:
        return
    wanted = np.unique(rows)
    text = h5py.check_string_dtype(dataset.dtype)
    is_variable = text is not None and text.length is None
    # HDF5 tells the size of variable-length text in memory, not in the file.
    itemsize = _REFERENCE.itemsize if is_variable else dataset.dtype.itemsize
    if dataset.chunks is not None:
        source.ensure(_field_chunks(dataset, wanted))
        stored = _read_references(dataset, wanted) if is_variable else b""
    elif dataset.id.get_storage_size() == dataset.size * itemsize:
        offset = dataset.id.get_offset()
        spans = [
            (offset + row * itemsize, offset + (row + 1) * itemsize) for row in wanted.tolist()
        ]
        source.ensure(spans)
        stored = b"".join(source.read(*span) for span in spans) if is_variable else b""
    else:
        stored = b""
    _fetch_heaps(source, np.frombuffer(stored, dtype=_REFERENCE))


def _fetch_heaps(source: RemoteSource, references: NDArray[Any]) -> None:
    """Fetch the heaps that stored references to text point into."""
    heaps = np.unique(references["heap"][references["n_bytes"] > 0]).tolist()
    source.ensure([(heap, heap + _HEAP_BYTES) for heap in heaps])
    # Heaps of long texts say how much larger they are.
    sizes = [struct.unpack("<Q", source.read(heap + 8, heap + 16))[0] for heap in heaps]
    source.ensure(
        (heap, heap + min(size, _GROUP_BYTES)) for heap, size in zip(heaps, sizes, strict=True)
    )


def _field_chunks(dataset: Any, rows: NDArray[np.int64]) -> list[Span]:  # noqa: ANN401
    """Say where the chunks that hold some rows lie."""
    (length,) = dataset.chunks
    infos = [
        dataset.id.get_chunk_info_by_coord((int(chunk) * length,))
        for chunk in np.unique(rows // length)
    ]
    return [
        (info.byte_offset, info.byte_offset + info.size)
        for info in infos
        if info.byte_offset is not None
    ]


def _read_references(dataset: Any, rows: NDArray[np.int64]) -> bytes:  # noqa: ANN401
    """Read the stored references to text of some rows of a chunked field."""
    filters = ChunkStore.of(dataset).filters
    if filters is None:
        return b""
    (length,) = dataset.chunks
    itemsize = _REFERENCE.itemsize
    found = []
    for chunk in np.unique(rows // length).tolist():
        try:
            mask, raw = dataset.id.read_direct_chunk((chunk * length,))
            stored = undo_filters(raw, mask, filters, itemsize=itemsize, n_bytes=length * itemsize)
        except (RuntimeError, ValueError):
            # Never written, or references of another size: HDF5 will look them up.
            continue
        cells = np.frombuffer(stored, dtype=f"V{itemsize}")
        found.append(cells[rows[rows // length == chunk] - chunk * length].tobytes())
    return b"".join(found)
