"""Read one stored chunk: fetched raw, inflated outside HDF5's lock, never guessed.

Chunks are fetched as they are stored and inflated outside the lock that HDF5
puts around every call, so that threads help. What HDF5's own filters must undo
(anything but deflate and shuffle) and unchunked matrices go through h5py, cut
into tiles by the same plan.
"""

import math
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import h5py
import numpy as np
from numpy.typing import NDArray

from expressome.archs4.plan import ChunkTask, Selector
from expressome.errors import ExpressomeError, FileFormatError

Stored = bytes | bytearray

try:
    from isal import igzip_lib, isal_zlib

    _inflate: Callable[[Stored, int, int], bytes] = isal_zlib.decompress
    _InflateError = cast("type[Exception]", igzip_lib.IsalError)
except ImportError:  # the extra "fast" is not installed
    _inflate = zlib.decompress
    _InflateError = zlib.error

try:
    import deflate
except ImportError:
    deflate = None  # type: ignore[assignment]  # no other way to say so

__all__ = ["ChunkStore", "UnreadableChunkError", "outer_index", "undo_filters"]

# What reading and inflating a damaged chunk raises.
_READ_ERRORS = (OSError, RuntimeError, ValueError, zlib.error, _InflateError)

# Tiles of an unchunked matrix: 4 MiB, rows of up to 64 KiB.
_TILE_BYTES = 2**22
_TILE_COLUMNS = 2**14

_DEFLATE, _SHUFFLE = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE


class UnreadableChunkError(Exception):
    """A stored chunk cannot be read; who knows the ids says which samples and genes.

    Attributes
    ----------
    rows
        Rows of the stored matrix that it holds.
    columns
        Columns of the stored matrix that it holds.
    reason
        Why, as the library that failed puts it.
    """

    def __init__(self, rows: slice, columns: slice, reason: str) -> None:
        super().__init__(f"rows {rows}, columns {columns}: {reason}")
        self.rows = rows
        self.columns = columns
        self.reason = reason


@dataclass(frozen=True)
class ChunkStore:
    """A stored matrix as a grid of pieces that can be read one by one.

    Attributes
    ----------
    dataset
        Open HDF5 dataset of two axes.
    chunk_shape
        Shape of its chunks, or of the tiles a matrix without chunks is cut into.
    filters
        Numbers of the HDF5 filters to undo, in the order they were applied; None
        if h5py must read.
    """

    dataset: Any
    chunk_shape: tuple[int, int]
    filters: tuple[int, ...] | None

    @classmethod
    def of(cls, dataset: Any) -> "ChunkStore":  # noqa: ANN401
        """Look up how a dataset is stored.

        Parameters
        ----------
        dataset
            Open HDF5 dataset of two axes.

        Returns
        -------
        ChunkStore
            Nothing of the matrix has been read.
        """
        if dataset.chunks is None:
            width = min(max(1, dataset.shape[1]), _TILE_COLUMNS)
            height = max(1, _TILE_BYTES // (width * dataset.dtype.itemsize))
            return cls(dataset, (height, width), None)
        properties = dataset.id.get_create_plist()
        codes = tuple(properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
        is_simple = set(codes) <= {_DEFLATE, _SHUFFLE} and len(set(codes)) == len(codes)
        return cls(dataset, dataset.chunks, codes if is_simple else None)

    def require_filters(self) -> None:
        """Refuse a matrix that this installation cannot inflate.

        Raises
        ------
        FileFormatError
            If a filter is not installed; it names the filter.
        """
        if self.dataset.chunks is None:
            return
        properties = self.dataset.id.get_create_plist()
        for i in range(properties.get_nfilters()):
            code, _, _, name = properties.get_filter(i)
            if not h5py.h5z.filter_avail(code):
                field = self.dataset.name.strip("/")
                msg = (
                    f"{self.dataset.file.filename}: {field} is stored with HDF5 filter {code} "
                    f"({name.decode(errors='replace')}), which is not installed; install its "
                    "plugin, or repack the file with: h5repack -f GZIP=4"
                )
                raise FileFormatError(msg)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Type as stored."""
        dtype: np.dtype[Any] = self.dataset.dtype
        return dtype

    @cached_property
    def chunk_bytes(self) -> int:
        """Memory of one inflated chunk, in bytes."""
        return math.prod(self.chunk_shape) * int(self.dtype.itemsize)

    @property
    def n_chunks(self) -> int:
        """Chunks in all."""
        sizes = zip(self.dataset.shape, self.chunk_shape, strict=True)
        return math.prod(-(-size // length) for size, length in sizes)

    def read(self, task: ChunkTask) -> NDArray[Any]:
        """Read what a task wants of one chunk.

        Parameters
        ----------
        task
            The chunk and the wanted positions in it.

        Returns
        -------
        ndarray
            Shape (n wanted rows, n wanted columns), in the stored byte order.

        Raises
        ------
        UnreadableChunkError
            If the chunk is damaged or was never written.
        """
        try:
            if self.filters is None:
                return self._read_through_h5py(task)
            mask, raw = self.dataset.id.read_direct_chunk(task.origin)
            return _take(self._decode(raw, mask), task.rows.inside, task.columns.inside)
        except ExpressomeError:
            # A server that does not answer is no damage of the file.
            raise
        except _READ_ERRORS as error:
            rows, columns = self.extent(task)
            raise UnreadableChunkError(rows, columns, self._explain(task, error)) from error

    def _decode(self, raw: Stored, mask: int) -> NDArray[Any]:
        """Undo the filters of one chunk; a bit of the mask says a filter was skipped."""
        raw = undo_filters(
            raw, mask, self.filters or (), itemsize=self.dtype.itemsize, n_bytes=self.chunk_bytes
        )
        return np.frombuffer(raw, dtype=self.dtype).reshape(self.chunk_shape)

    def _read_through_h5py(self, task: ChunkTask) -> NDArray[Any]:
        """Read the box around the wanted cells of one chunk or tile."""
        if not self._is_written(task):
            msg = "it was never written"
            raise ValueError(msg)
        (top, left), rows, columns = task.origin, task.rows.inside, task.columns.inside
        (first, last), (start, stop) = _bounds(rows), _bounds(columns)
        box = np.asarray(self.dataset[top + first : top + last, left + start : left + stop])
        return _take(box, _shift(rows, first), _shift(columns, start))

    def _is_written(self, task: ChunkTask) -> bool:
        """Whether the file holds the chunk; HDF5 would make up zeros for it."""
        if self.dataset.chunks is None:
            is_compact = self.dataset.id.get_create_plist().get_layout() == h5py.h5d.COMPACT
            return (
                is_compact
                or self.dataset.external is not None
                or bool(self.dataset.id.get_storage_size())
            )
        info = self.dataset.id.get_chunk_info_by_coord(task.origin)
        return info.byte_offset is not None

    def _explain(self, task: ChunkTask, error: Exception) -> str:
        """Say why a chunk cannot be read."""
        if isinstance(error, RuntimeError) and not self._is_written(task):
            return "it was never written"
        return str(error)

    def extent(self, task: ChunkTask) -> tuple[slice, slice]:
        """Give the rows and columns that a task's chunk holds."""
        (top, left), (height, width) = task.origin, self.chunk_shape
        n_rows, n_columns = self.dataset.shape
        return slice(top, min(top + height, n_rows)), slice(left, min(left + width, n_columns))


def undo_filters(
    raw: Stored, mask: int, filters: tuple[int, ...], *, itemsize: int, n_bytes: int
) -> Stored:
    """Inflate and unshuffle one chunk.

    Parameters
    ----------
    raw
        As stored.
    mask
        A bit says that a filter was skipped for this chunk.
    filters
        Deflate and shuffle, in the order they were applied.
    itemsize
        Bytes of one number, as stored.
    n_bytes
        Bytes of the whole chunk.

    Returns
    -------
    bytes or bytearray
        The numbers, in the stored byte order.

    Raises
    ------
    ValueError
        If the chunk holds another number of bytes; inflation raises errors of its own.
    """
    for i in reversed(range(len(filters))):
        if mask & 1 << i:
            continue
        is_deflated = filters[i] == _DEFLATE
        raw = _inflate_whole(raw, n_bytes) if is_deflated else _unshuffle(raw, itemsize)
    if len(raw) != n_bytes:
        msg = f"it holds {len(raw)} bytes where {n_bytes} are expected"
        raise ValueError(msg)
    return raw


def _inflate_whole(raw: Stored, n_bytes: int) -> Stored:
    """Inflate with libdeflate where it is installed; what it refuses goes to who says why."""
    if deflate is not None:
        with suppress(deflate.DeflateError):
            return deflate.zlib_decompress(raw, n_bytes)
    return _inflate(raw, zlib.MAX_WBITS, n_bytes + 1)


def _unshuffle(raw: Stored, itemsize: int) -> Stored:
    """Undo HDF5's shuffle filter: first bytes first becomes number after number."""
    n_items = len(raw) // itemsize
    planes = np.frombuffer(raw, dtype=np.uint8, count=n_items * itemsize)
    return planes.reshape(itemsize, n_items).T.tobytes() + raw[n_items * itemsize :]


def _bounds(selector: Selector) -> tuple[int, int]:
    """Give the first position and the one after the last."""
    if isinstance(selector, slice):
        return int(selector.start), int(selector.stop)
    return int(selector.min()), int(selector.max()) + 1


def _shift(selector: Selector, start: int) -> Selector:
    """Count positions from `start`."""
    if isinstance(selector, slice):
        return slice(selector.start - start, selector.stop - start)
    return selector - start


def outer_index(rows: Selector, columns: Selector) -> Any:  # noqa: ANN401
    """Make an index of the outer product of two selectors.

    Parameters
    ----------
    rows
        Positions along the first axis.
    columns
        Positions along the second axis.

    Returns
    -------
    tuple
        What numpy indexes with; slices stay slices.

    Examples
    --------
    >>> np.arange(6).reshape(2, 3)[outer_index(slice(0, 2), np.array([2, 0]))].tolist()
    [[2, 0], [5, 3]]
    """
    if isinstance(rows, slice) or isinstance(columns, slice):
        return rows, columns
    return np.ix_(rows, columns)


def _take(cells: NDArray[Any], rows: Selector, columns: Selector) -> NDArray[Any]:
    taken: NDArray[Any] = cells[outer_index(rows, columns)]
    return taken
