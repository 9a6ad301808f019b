"""Files on web servers: what tells a URL from a path, and one content from another."""

import os
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

__all__ = ["RemotePath", "is_url", "size_of"]


def is_url(path: object) -> bool:
    """Tell whether a file is named by an http or https address.

    Parameters
    ----------
    path
        Text or path.

    Returns
    -------
    bool
        False for every path of this machine.

    Examples
    --------
    >>> is_url("https://example.org/human.h5"), is_url("https/human.h5")
    (True, False)
    """
    return isinstance(path, str) and path.lower().startswith(("https://", "http://"))


class RemotePath(str):
    """The address of a file on a web server, with what identifies its content.

    It is text, so it prints, pickles and becomes JSON as the address.

    Parameters
    ----------
    url
        Address; characters that no address may hold are escaped.
    size_bytes
        Size of the file.
    etag
        The server's mark of the content; empty if it gives none.
    last_modified
        The server's date of the content; empty if it gives none.

    Examples
    --------
    >>> path = RemotePath("https://example.org/human gene.h5", size_bytes=512, etag="a1")
    >>> path.name, str(path)
    ('human gene.h5', 'https://example.org/human%20gene.h5')
    """

    __slots__ = ("etag", "last_modified", "size_bytes")

    size_bytes: int
    etag: str
    last_modified: str

    def __new__(cls, url: str, *, size_bytes: int, etag: str = "", last_modified: str = "") -> Self:
        """Escape the address and keep what identifies the content."""
        path = super().__new__(cls, quote(url, safe="%/:=&?~#+!$,;'@()*[]"))
        path.size_bytes = size_bytes
        path.etag = etag
        path.last_modified = last_modified
        return path

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """Pickle the address with its identity."""
        return (str(self),), self.identity

    @property
    def name(self) -> str:
        """Last part of the address, as `Path.name` gives it."""
        return unquote(os.path.basename(urlsplit(self).path)) or str(self)  # noqa: PTH119 - no path

    @property
    def identity(self) -> dict[str, Any]:
        """Size, ETag and date: equal for equal content."""
        return {
            "size_bytes": self.size_bytes,
            "etag": self.etag,
            "last_modified": self.last_modified,
        }


def size_of(path: Path | RemotePath) -> int:
    """Give the size of a file, wherever it is.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    int
        Bytes.

    Examples
    --------
    >>> size_of(RemotePath("https://example.org/human.h5", size_bytes=512))
    512
    """
    return path.size_bytes if isinstance(path, RemotePath) else path.stat().st_size
