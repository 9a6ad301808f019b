"""Pieces of remote files on disk: checked when read, the longest unused removed first."""

import hashlib
import json
import logging
import os
import re
import shutil
import sys
import zlib
from pathlib import Path

from expressome.addresses import RemotePath
from expressome.blocks import parse_memory

__all__ = ["PieceCache", "cache_folder"]

_LOG = logging.getLogger(__name__)

# A tenth of one release: enough for many subsets, small enough for a laptop.
_LIMIT = "10GiB"
_PIECE_NAME = re.compile(r"(\d+)-(\d+)\.piece")
_CHECK_BYTES = 4


def cache_folder() -> Path:
    """Say where this user's cached files live.

    Returns
    -------
    Path
        What ``EXPRESSOME_CACHE`` names, else ``expressome`` in the cache folder of
        the system (``XDG_CACHE_HOME`` or ``~/.cache``; ``LOCALAPPDATA`` on Windows).

    Examples
    --------
    >>> cache_folder().is_absolute()
    True
    """
    named = os.environ.get("EXPRESSOME_CACHE", "")
    if named:
        return Path(named).expanduser().absolute()
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    root = os.environ.get(variable, "")
    return (Path(root) if root else Path.home() / ".cache").absolute() / "expressome"


class PieceCache:
    """Pieces of one content of one remote file, shared by processes.

    A piece is a file named for its bytes, written beside its place and moved
    there, with a checksum at its end: a kill or two writers leave no wrong piece.

    Parameters
    ----------
    path
        The remote file. Another ETag, date or size is another folder, so pieces of
        two contents are never mixed.
    root
        Folder of all cached files.
    """

    def __init__(self, path: RemotePath, root: Path | None = None) -> None:
        self._root = (root or cache_folder()) / "remote"
        identity = json.dumps([str(path), path.identity], sort_keys=True)
        self.folder = self._root / hashlib.sha256(identity.encode()).hexdigest()[:24]
        self._limit_bytes = parse_memory(os.environ.get("EXPRESSOME_CACHE_SIZE", "") or _LIMIT)
        self._held_bytes = -1
        self._is_writable = True
        self._describe(path)

    def _describe(self, path: RemotePath) -> None:
        """Note beside the pieces what they belong to."""
        note = self.folder / "source.json"
        if note.exists():
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            note.write_text(
                json.dumps({"url": str(path), **path.identity}, indent=2), encoding="utf-8"
            )
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        _LOG.warning("%s cannot be written (%s); remote bytes are not kept", self.folder, error)
        self._is_writable = False

    def spans(self) -> list[tuple[int, int]]:
        """List the pieces there are.

        Returns
        -------
        list of tuple
            First byte and byte after the last, in order.
        """
        try:
            names = [_PIECE_NAME.fullmatch(place.name) for place in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        return sorted((int(match[1]), int(match[2])) for match in names if match)

    def _place(self, start: int, stop: int) -> Path:
        return self.folder / f"{start}-{stop}.piece"

    def read(self, start: int, stop: int) -> bytes | None:
        """Read a piece.

        Parameters
        ----------
        start
            Its first byte.
        stop
            The byte after its last.

        Returns
        -------
        bytes or None
            None if it is gone or damaged; a damaged one is removed.
        """
        place = self._place(start, stop)
        try:
            stored = place.read_bytes()
            # Its time says when it was last used.
            os.utime(place)
        except OSError:
            return None
        piece = stored[:-_CHECK_BYTES]
        check = zlib.crc32(piece).to_bytes(_CHECK_BYTES, "big")
        if len(piece) != stop - start or check != stored[-_CHECK_BYTES:]:
            place.unlink(missing_ok=True)
            return None
        return piece

    def write(self, start: int, piece: bytes) -> None:
        """Keep a piece; a full disk is no failure, only slower.

        Parameters
        ----------
        start
            Its first byte.
        piece
            Its bytes.
        """
        if not self._is_writable:
            return
        place = self._place(start, start + len(piece))
        partial = place.with_suffix(f".{os.getpid()}.partial")
        check = zlib.crc32(piece).to_bytes(_CHECK_BYTES, "big")
        try:
            self._make_room(len(piece))
            place.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(piece + check)
            partial.replace(place)
        except OSError as error:
            partial.unlink(missing_ok=True)
            self._give_up(error)

    def _make_room(self, n_bytes: int) -> None:
        """Remove the longest unused pieces of all files when the cache is full."""
        if self._held_bytes < 0 or self._held_bytes + n_bytes > self._limit_bytes:
            pieces = []
            for place in self._root.glob("*/*.p*"):
                try:
                    status = place.stat()
                except FileNotFoundError:
                    continue
                pieces.append((status.st_mtime, status.st_size, place))
            self._held_bytes = sum(size for _, size, _ in pieces)
            # Down to nine tenths, so that this is not done for every piece.
            free_bytes = shutil.disk_usage(self._root).free
            limit = min(self._limit_bytes, self._held_bytes + free_bytes // 2)
            for _, size, place in sorted(pieces, key=lambda piece: piece[0]):
                if self._held_bytes + n_bytes <= limit * 0.9:
                    break
                place.unlink(missing_ok=True)
                self._held_bytes -= size
        self._held_bytes += n_bytes
