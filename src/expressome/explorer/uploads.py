"""Tables that people drop on the page: received with a bound, answered, soon forgotten."""

import re
import secrets
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Lock
from typing import Any

from expressome.errors import FileFormatError

__all__ = ["MOST_UPLOAD_BYTES", "AnswerStore", "TooLargeError", "clean_name", "receive_table"]

# 64 samples of 60,000 genes as text; more belongs to the command line.
MOST_UPLOAD_BYTES = 64 * 2**20
_N_KEPT = 32


class TooLargeError(FileFormatError):
    """A file is larger than the page takes."""


def clean_name(name: str) -> str:
    """Make a file name harmless.

    Parameters
    ----------
    name
        As the browser sent it: any text.

    Returns
    -------
    str
        Letters, digits, dot, dash and underscore, at most 80; never a path.

    Examples
    --------
    >>> clean_name("../../etc/passwd"), clean_name(".."), clean_name("my counts.tsv")
    ('etc_passwd', 'table', 'my_counts.tsv')
    """
    kept = re.sub(r"[^A-Za-z0-9._-]+", "_", name.replace("/", "_"))[-80:].strip("._-")
    return kept or "table"


async def receive_table(
    stream: AsyncIterator[bytes],
    folder: Path,
    *,
    name: str,
    declared_bytes: int | None,
    most_bytes: int = MOST_UPLOAD_BYTES,
) -> Path:
    """Write what is sent to a file, and stop as soon as it is too much.

    Parameters
    ----------
    stream
        Pieces of the file.
    folder
        Where to write; the caller removes it.
    name
        As the browser sent it.
    declared_bytes
        Length that the request promises; refused at once if too large.
    most_bytes
        Bound, in bytes.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TooLargeError
        If more comes than the bound.
    """
    place = folder / clean_name(name)
    n_bytes = declared_bytes or 0
    msg = (
        f"{place.name} is larger than {most_bytes // 2**20} MB, the most that the page takes; "
        "drop fewer samples at once or use expressome predict"
    )
    if n_bytes > most_bytes:
        raise TooLargeError(msg)
    n_bytes = 0
    with place.open("wb") as file:
        async for piece in stream:
            n_bytes += len(piece)
            if n_bytes > most_bytes:
                raise TooLargeError(msg)
            file.write(piece)
    return place


def make_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder that only this user can read.

    Returns
    -------
    TemporaryDirectory
        Removed when its block ends.
    """
    return tempfile.TemporaryDirectory(prefix="expressome-upload-", ignore_cleanup_errors=True)


class AnswerStore:
    """The latest answers, in memory, under names that cannot be guessed.

    The tables themselves are never kept.
    """

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Any] = OrderedDict()
        self._lock = Lock()

    def keep(self, answer: Any) -> str:  # noqa: ANN401 - whatever is to be shown again
        """Keep an answer and give its name; the oldest of 32 goes.

        Parameters
        ----------
        answer
            What to show again.

        Returns
        -------
        str
            Name for `find`.
        """
        token = secrets.token_urlsafe(12)
        with self._lock:
            self._answers[token] = answer
            while len(self._answers) > _N_KEPT:
                self._answers.popitem(last=False)
        return token

    def find(self, token: str) -> Any:  # noqa: ANN401
        """Give an answer again, None if it is gone.

        Parameters
        ----------
        token
            What `keep` gave.

        Returns
        -------
        object
            The answer or None.
        """
        with self._lock:
            return self._answers.get(token)
