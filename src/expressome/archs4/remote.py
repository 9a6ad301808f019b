"""Remote files as local ones: only the bytes that are needed, several ranges at once, kept.

HDF5 reads through a file object. What a request needs of the matrix is known
from the chunk index before it is read, and is fetched in one go; what HDF5
looks up on the way (index, text) comes in blocks that grow while it reads on.
"""

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from expressome.addresses import RemotePath, is_url
from expressome.archs4.byte_ranges import HeldRanges, Span, coalesce, cut
from expressome.archs4.piece_cache import PieceCache
from expressome.archs4.transport import fetch_range, probe

__all__ = ["RemoteFile", "RemoteSource", "find_source", "open_remote"]

# Ranges under way at once: what browsers allow themselves, and hides 100 ms of latency.
_N_CONNECTIONS = 8
# Largest piece: lost work after a break stays small, and so does what one read loads.
_PIECE_BYTES = 2**22
# Look-ups start with a block of this share of the file, between 4 and 64 KiB, ...
_BLOCK_SHARE = 2048
_BLOCK_LIMITS = (2**12, 2**16)
# ... and grow to this while reading goes straight on.
_MAX_AHEAD_BYTES = 2**22
# Pieces kept in memory: two groups of chunks (see chunk_fetching) and the index.
_MEMORY_BYTES = 96 * 2**20


class RemoteSource:
    """The bytes of one content of a remote file; shared by all that read it here.

    Parameters
    ----------
    path
        The file, as `probe` gave it.

    Attributes
    ----------
    n_moved
        Bytes that came over the network.
    on_arrival
        Called with `n_moved` after each piece; None to be left alone.
    """

    def __init__(self, path: RemotePath) -> None:
        self.path = path
        self.n_moved = 0
        self.on_arrival: Callable[[int], None] | None = None
        # Without a mark of its content, what is on disk may be of another file of this size.
        self._cache = PieceCache(path) if path.etag or path.last_modified else None
        self._held = HeldRanges()
        self._memory: OrderedDict[Span, bytes] = OrderedDict()
        self._memory_bytes = 0
        self._lock = threading.Lock()
        self._fetching = threading.Lock()
        lowest, highest = _BLOCK_LIMITS
        share = 1 << (path.size_bytes // _BLOCK_SHARE).bit_length()
        self._block_bytes = min(max(lowest, share), highest)
        self._ahead_bytes = self._block_bytes
        self._last_stop = -1
        for start, stop in self._cache.spans() if self._cache else ():
            self._held.add(start, stop)

    def missing(self, spans: Iterable[Span]) -> list[Span]:
        """List what would have to be fetched.

        Parameters
        ----------
        spans
            First byte and byte after the last of each range.

        Returns
        -------
        list of tuple
            Ranges not held, joined where one request is cheaper than two.
        """
        with self._lock:
            gaps = [gap for start, stop in spans for gap in self._held.missing(start, stop)]
        return coalesce(gaps)

    def ensure(self, spans: Iterable[Span]) -> None:
        """Fetch ranges, several at once, so that `read` finds them.

        Parameters
        ----------
        spans
            First byte and byte after the last of each range.

        Raises
        ------
        RemoteError
            If they cannot be had. What has arrived is kept.
        """
        spans = list(spans)
        with self._fetching:
            gaps = self.missing(spans)
            n_bytes = sum(stop - start for start, stop in gaps)
            # Small work is shared out, too: below a block, a request costs more than its bytes.
            part_bytes = min(_PIECE_BYTES, max(2**18, n_bytes // _N_CONNECTIONS))
            parts = cut(gaps, part_bytes)
            if len(parts) < 2:
                for part in parts:
                    self._take(part, fetch_range(self.path, *part))
                return
            self._fetch_all(parts)

    def _fetch_all(self, parts: list[Span]) -> None:
        """Fetch parts on threads; the first failure stops what has not begun."""
        n_threads = min(_N_CONNECTIONS, len(parts))
        with ThreadPoolExecutor(n_threads, thread_name_prefix="expressome-remote") as threads:
            futures = {threads.submit(fetch_range, self.path, *part): part for part in parts}
            try:
                for future in as_completed(futures):
                    self._take(futures.pop(future), future.result())
            finally:
                for future in futures:
                    future.cancel()

    def _take(self, part: Span, piece: bytes) -> None:
        """Keep a piece that has arrived."""
        if self._cache is not None:
            self._cache.write(part[0], piece)
        with self._lock:
            self._remember(part, piece)
            self._held.add(*part)
            self.n_moved += len(piece)
        if self.on_arrival is not None:
            self.on_arrival(self.n_moved)

    def _remember(self, part: Span, piece: bytes) -> None:
        """Keep a piece in memory; the longest unused goes."""
        self._memory_bytes += len(piece) - len(self._memory.pop(part, b""))
        self._memory[part] = piece
        while self._memory_bytes > _MEMORY_BYTES and len(self._memory) > 1:
            self._memory_bytes -= len(self._memory.popitem(last=False)[1])

    def _piece_at(self, position: int) -> tuple[Span, bytes, int] | None:
        """Give the piece that holds a byte, and up to where it is to be used."""
        with self._lock:
            found = self._held.piece_at(position)
            if found is None:
                return None
            part, last = found
            piece = self._memory.get(part)
            if piece is None:
                piece = self._cache.read(*part) if self._cache else None
                if piece is None:
                    # Removed to make room, or damaged: it is fetched again.
                    self._held.drop(part)
                    return None
            self._remember(part, piece)
            return part, piece, last

    def read(self, start: int, stop: int) -> bytes:
        """Read bytes, fetching what is missing.

        Parameters
        ----------
        start
            First byte.
        stop
            Byte after the last; cut to the end of the file.

        Returns
        -------
        bytes
            ``stop - start`` bytes, fewer at the end of the file.

        Raises
        ------
        RemoteError
            If they cannot be had.
        """
        stop = min(stop, self.path.size_bytes)
        arrived = bytearray()
        position = start
        while position < stop:
            found = self._piece_at(position)
            if found is None:
                self._fetch_block(position, stop)
                continue
            (first, _), piece, last = found
            last = min(last, stop)
            arrived += memoryview(piece)[position - first : last - first]
            position = last
        return bytes(arrived)

    def _fetch_block(self, start: int, stop: int) -> None:
        """Fetch a miss with the block around it, and more while reading goes straight on."""
        block = self._block_bytes
        is_next = self._last_stop >= 0 and 0 <= start - self._last_stop <= block
        self._ahead_bytes = min(2 * self._ahead_bytes, _MAX_AHEAD_BYTES) if is_next else block
        first = start // block * block
        last = max(-(-stop // block) * block, first + self._ahead_bytes)
        last = min(last, self.path.size_bytes)
        with self._lock:
            gaps = self._held.missing(first, last)
        # Only the gap that holds the miss, and those up to where it ends.
        self.ensure([gap for gap in gaps if gap[1] > start])
        self._last_stop = last


class RemoteFile(io.RawIOBase):
    """A remote file for `h5py.File`; its text is the address, as messages show it.

    Parameters
    ----------
    source
        Where the bytes come from.
    """

    def __init__(self, source: RemoteSource) -> None:
        super().__init__()
        self._source = source
        self._position = 0

    def __repr__(self) -> str:
        return str(self._source.path)

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from any place."""
        return True

    def tell(self) -> int:
        """Give the place in the file."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the file.

        Parameters
        ----------
        offset
            Bytes from there.
        whence
            As `io.IOBase.seek` has it.

        Returns
        -------
        int
            The new place.
        """
        origins = {os.SEEK_CUR: self._position, os.SEEK_END: self._source.path.size_bytes}
        self._position = origins.get(whence, 0) + offset
        return self._position

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever holds bytes
        """Fill a buffer from here on.

        Parameters
        ----------
        buffer
            To be filled.

        Returns
        -------
        int
            Bytes read.
        """
        view = memoryview(buffer).cast("B")
        found = self._source.read(self._position, self._position + len(view))
        view[: len(found)] = found
        self._position += len(found)
        return len(found)


_sources: dict[str, RemoteSource] = {}
_sources_lock = threading.Lock()


def open_remote(path: str) -> RemoteSource:
    """Open a remote file; whoever opens the same content shares its bytes.

    Parameters
    ----------
    path
        Address, or `RemotePath` as an earlier opening gave it.

    Returns
    -------
    RemoteSource
        Its bytes.

    Raises
    ------
    RemoteError
        If the server cannot be reached or gives no parts of files.
    InputNotFoundError
        If there is no such file.
    """
    known = path if isinstance(path, RemotePath) else probe(path)
    with _sources_lock:
        source = _sources.get(str(known))
        if source is None or source.path.identity != known.identity:
            source = _sources[str(known)] = RemoteSource(known)
        return source


def find_source(name: str) -> RemoteSource | None:
    """Find the open remote file of an address.

    Parameters
    ----------
    name
        What h5py gives as the name of a file.

    Returns
    -------
    RemoteSource or None
        None for a local file.

    Examples
    --------
    >>> find_source("human.h5") is None
    True
    """
    return _sources.get(name) if is_url(name) else None
