"""Copy a file from a web server to disk: resumed after a kill, checked, kept aside if wrong."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expressome.archs4.connections import PassingFailure, Tries, open_url, read_part
from expressome.errors import (
    DamagedFileError,
    DiskSpaceError,
    InputNotFoundError,
    OutputExistsError,
    RemoteError,
)

__all__ = ["Transfer", "download_file", "hash_twice", "require_space", "set_aside"]

_READ_BYTES = 2**20
# Left free on the disk, so that nothing else of the system fails.
_SPARE_BYTES = 2**28

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Transfer:
    """What arrived, and from where.

    Attributes
    ----------
    url
        Address it came from.
    etag
        The server's mark of the content; empty if it gave none.
    size_bytes
        Bytes of the file.
    n_resumed
        Bytes that an earlier, broken run had left.
    """

    url: str
    etag: str
    size_bytes: int
    n_resumed: int


def require_space(folder: Path, n_bytes: int) -> None:
    """Refuse a download for which the disk has no room.

    Parameters
    ----------
    folder
        Where the file will be.
    n_bytes
        Bytes still to come.

    Raises
    ------
    DiskSpaceError
        If less than that and 256 MiB are free.

    Examples
    --------
    >>> require_space(Path("/tmp"), 0)
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < n_bytes + _SPARE_BYTES:
        msg = (
            f"{folder} has {free_bytes:,} bytes free, but {n_bytes:,} are still to come and "
            f"{_SPARE_BYTES:,} should stay free; make room or choose another folder"
        )
        raise DiskSpaceError(msg)


@contextmanager
def _only_writer(partial: Path) -> Iterator[None]:
    """Refuse a second process that writes the same file; a kill leaves no lock."""
    try:
        import fcntl
    except ImportError:  # no such locks on Windows
        yield
        return
    with partial.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            msg = f"{partial} is being written by another process; wait for it, or stop it"
            raise OutputExistsError(msg) from None
        yield


def _read_note(note: Path) -> dict[str, Any]:
    """Read what an unfinished download belongs to."""
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def download_file(
    urls: Sequence[str],
    partial: Path,
    *,
    size_bytes: int | None = None,
    is_checked: bool = False,
    progress: Progress = lambda _done, _total: None,
) -> Transfer:
    """Download a file, going on where an earlier run stopped.

    Parameters
    ----------
    urls
        Addresses to try in order; the next one when one fails for good.
    partial
        Where the bytes go. What an earlier run left there is continued if the
        server says that the content is still the same; a note of it lies beside.
    size_bytes
        Size the file must have; None if it is not known.
    is_checked
        Whether a checksum will be compared: then another server may continue what
        one began.
    progress
        Called with bytes there and bytes in all (0 if not known).

    Returns
    -------
    Transfer
        What arrived.

    Raises
    ------
    RemoteError
        If no address gives the whole file. What has arrived stays.
    InputNotFoundError
        If no address has it.
    DiskSpaceError
        If the disk has no room for it.
    OutputExistsError
        If another process is writing it.
    """
    failures: list[RemoteError | InputNotFoundError] = []
    with _only_writer(partial):
        n_resumed = partial.stat().st_size
        for url in urls:
            tries = Tries(url, "the file")
            copy = _Copy(url, partial, size_bytes, is_checked, progress)
            try:
                while True:
                    n_before = partial.stat().st_size
                    try:
                        etag = copy.run()
                    except PassingFailure as failure:
                        tries.fail(failure, partial.stat().st_size - n_before)
                        continue
                    kept = n_resumed if not copy.began_anew else 0
                    return Transfer(url, etag, partial.stat().st_size, kept)
            except (RemoteError, InputNotFoundError) as error:
                failures.append(error)
    for earlier in failures[:-1]:
        failures[-1].add_note(f"before that: {earlier}")
    raise failures[-1]


class _Copy:
    """One address, copied to one file."""

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        url: str,
        partial: Path,
        size_bytes: int | None,
        is_checked: bool,  # noqa: FBT001
        progress: Progress,
    ) -> None:
        self.url = url
        self.began_anew = False
        self._partial = partial
        self._note = partial.with_name(f"{partial.name}.json")
        self._size_bytes = size_bytes
        self._is_checked = is_checked
        self._progress = progress

    def run(self) -> str:
        """Ask for what is missing and append it; gives the server's mark of the content."""
        note = _read_note(self._note)
        n_there = self._partial.stat().st_size
        headers = {"Range": f"bytes={n_there}-"}
        etag = str(note.get("etag", ""))
        if n_there and note.get("url") == self.url and etag and not etag.startswith("W/"):
            headers["If-Range"] = etag
        elif n_there and not self._is_checked:
            # Nothing could tell whether the rest belongs to what is there.
            headers["Range"] = "bytes=0-"
        if n_there and n_there == note.get("size_bytes") and "If-Range" in headers:
            # The earlier run was stopped after the last byte.
            return etag
        try:
            with open_url(self.url, headers) as response:
                is_same = response.headers.get("ETag", "") == etag or "If-Range" not in headers
                if response.status == 206 and not is_same:
                    self._partial.write_bytes(b"")
                    msg = "the file on the server has changed; beginning anew"
                    raise PassingFailure(msg)
                return self._receive(response, asked=int(headers["Range"][6:-1]))
        except RemoteError as error:
            if "416" not in str(error) or not n_there:
                raise
            # What is there is longer than the file: it is of another one.
            self._partial.write_bytes(b"")
            msg = "the file on the server is shorter than what was there; beginning anew"
            raise PassingFailure(msg) from error

    def _receive(self, response: Any, *, asked: int) -> str:  # noqa: ANN401
        """Append the answer from where it begins."""
        start = asked if response.status == 206 else 0
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else 0
        if self._size_bytes is not None and total and total != self._size_bytes:
            msg = (
                f"{self.url} has {total:,} bytes, but the list of files says {self._size_bytes:,}; "
                "it is another file, so choose another version or mirror"
            )
            raise RemoteError(msg)
        self.began_anew = self.began_anew or start == 0
        etag = str(response.headers.get("ETag", ""))
        note = {"url": self.url, "etag": etag, "size_bytes": total}
        self._note.write_text(json.dumps(note), encoding="utf-8")
        require_space(self._partial.absolute().parent, max(0, total - start))
        with self._partial.open("r+b") as file:
            file.truncate(start)
            file.seek(start)
            n_there = start
            while part := read_part(response, _READ_BYTES):
                file.write(part)
                n_there += len(part)
                self._progress(n_there, total)
        if total and n_there < total:
            msg = f"the answer ended {total - n_there:,} bytes early"
            raise PassingFailure(msg)
        return etag


def hash_twice(path: Path, *, progress: Progress = lambda _done, _total: None) -> tuple[str, str]:
    """Compute SHA1 and SHA-256 of a file in one pass.

    Parameters
    ----------
    path
        The file.
    progress
        Called with bytes read and bytes in all.

    Returns
    -------
    tuple of str
        40 and 64 hexadecimal digits.

    Examples
    --------
    >>> [digest[:6] for digest in hash_twice(Path("/dev/null"))]
    ['da39a3', 'e3b0c4']
    """
    # SHA1 is what ARCHS4 publishes; it finds damage, not malice.
    digests = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    total, n_read = path.stat().st_size, 0
    with path.open("rb") as file:
        while part := file.read(8 * _READ_BYTES):
            for digest in digests:
                digest.update(part)
            n_read += len(part)
            progress(n_read, total)
    return digests[0].hexdigest(), digests[1].hexdigest()


def set_aside(partial: Path, place: Path, reason: str) -> DamagedFileError:
    """Move a wrong file aside and say so.

    Parameters
    ----------
    partial
        The file.
    place
        Where it would have gone.
    reason
        What is wrong with it.

    Returns
    -------
    DamagedFileError
        To be raised.
    """
    aside = place.with_name(f"{place.name}.corrupt")
    os.replace(partial, aside)  # noqa: PTH105 - replaces an older one on every system
    with contextlib.suppress(FileNotFoundError):
        partial.with_name(f"{partial.name}.json").unlink()
    msg = (
        f"{place.name} {reason}; it is kept as {aside} ({aside.stat().st_size:,} bytes) and not "
        "used. Download it again, from another mirror if this repeats; if `expressome verify` can "
        "read all of it, the published checksum may be out of date"
    )
    return DamagedFileError(msg)
