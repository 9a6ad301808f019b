"""Ask a web server for bytes of one content of a file; strict with what it answers."""

import http.client
import re

from expressome.addresses import RemotePath
from expressome.archs4.connections import PART_BYTES, PassingFailure, Tries, open_url, read_part
from expressome.errors import RemoteError

__all__ = ["fetch_range", "probe"]

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def probe(url: str) -> RemotePath:
    """Ask for the first byte of a file: learns size and identity, and whether ranges work.

    Parameters
    ----------
    url
        Address of the file.

    Returns
    -------
    RemotePath
        The address with size, ETag and date.

    Raises
    ------
    RemoteError
        If the server cannot be reached or gives no parts of files.
    InputNotFoundError
        If there is no such file.
    """
    address = str(RemotePath(url, size_bytes=0))
    tries = Tries(address, "the first byte")
    while True:
        try:
            return _probe_once(address)
        except PassingFailure as failure:
            tries.fail(failure)


def _probe_once(address: str) -> RemotePath:
    with open_url(address, {"Range": "bytes=0-0"}) as response:
        _, size_bytes = _check_range(address, response)
        read_part(response)
        headers = response.headers
        return RemotePath(
            address,
            size_bytes=size_bytes,
            etag=headers.get("ETag", ""),
            last_modified=headers.get("Last-Modified", ""),
        )


def _check_range(url: str, response: http.client.HTTPResponse) -> tuple[int, int]:
    """Give first byte and size of the file; refuse an answer that is no range."""
    if response.status == 200:
        msg = (
            f"{url}: the server answers a request for a part with the whole file (status 200); it "
            "gives no ranges, so get the file whole with `expressome download` and pass its path"
        )
        raise RemoteError(msg)
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if match is None:
        told = response.headers.get("Content-Range", "nothing")
        msg = f"status {response.status} with Content-Range {told!r}"
        raise PassingFailure(msg)
    return int(match[1]), int(match[3])


def _check_same(path: RemotePath, response: http.client.HTTPResponse, start: int) -> None:
    """Refuse bytes of another content than the one that was opened."""
    first, size_bytes = _check_range(path, response)
    etag = response.headers.get("ETag", "")
    date = response.headers.get("Last-Modified", "")
    is_other_date = not etag and bool(date and path.last_modified) and date != path.last_modified
    is_other_mark = bool(etag and path.etag) and etag != path.etag
    if size_bytes != path.size_bytes or is_other_date or is_other_mark:
        msg = (
            f"{path} has changed on the server while it was read ({path.size_bytes:,} bytes, "
            f"{path.etag or path.last_modified} when opened; now {size_bytes:,} bytes, "
            f"{etag or date}); run again to read the new one"
        )
        raise RemoteError(msg)
    if first != start:
        msg = f"byte {first} came where byte {start} was asked for"
        raise PassingFailure(msg)


def fetch_range(path: RemotePath, start: int, stop: int) -> bytes:
    """Read bytes of a remote file; after a failure only the rest is asked for again.

    Parameters
    ----------
    path
        The file, as `probe` gave it.
    start
        First byte.
    stop
        Byte after the last.

    Returns
    -------
    bytes
        ``stop - start`` bytes.

    Raises
    ------
    RemoteError
        If they cannot be had, or the file has changed.
    """
    arrived = bytearray()
    tries = Tries(path, f"bytes {start:,}-{stop - 1:,}")
    while True:
        n_before = len(arrived)
        try:
            _receive(path, start, stop, into=arrived)
            return bytes(arrived)
        except PassingFailure as failure:
            tries.fail(failure, len(arrived) - n_before)


def _receive(path: RemotePath, start: int, stop: int, *, into: bytearray) -> None:
    """Append what is still missing of a range."""
    first = start + len(into)
    with open_url(path, {"Range": f"bytes={first}-{stop - 1}"}) as response:
        _check_same(path, response, first)
        while n_missing := stop - start - len(into):
            part = read_part(response, min(PART_BYTES, n_missing))
            if not part:
                msg = f"the answer ended {n_missing:,} bytes early"
                raise PassingFailure(msg)
            into += part
