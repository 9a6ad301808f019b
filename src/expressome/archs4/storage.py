"""Open an HDF5 file and read its fields; every failure says what and where."""

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from expressome.addresses import RemotePath, is_url, size_of
from expressome.archs4.chunk_fetching import fetch_rows
from expressome.archs4.metadata import decode_text
from expressome.archs4.remote import RemoteFile, open_remote
from expressome.errors import (
    DamagedFileError,
    ExpressomeError,
    FileFormatError,
    MissingFieldError,
    RemoteError,
)
from expressome.outputs import check_input

__all__ = ["locate", "open_file", "read_array", "read_text", "type_of"]

# Rows of a text field read at once: protocols of 8 kB each stay below 70 MB.
_TEXT_ROWS = 8192


def _explain_open_failure(path: Path | RemotePath, error: OSError) -> Exception:
    """Say why HDF5 does not open a file."""
    reason = str(error)
    if isinstance(error, PermissionError):
        return error
    is_remote = isinstance(path, RemotePath)
    if "signature not found" in reason if is_remote else not h5py.is_hdf5(path):
        size_bytes = size_of(path)
        msg = (
            f"{path} ({size_bytes:,} bytes) is not an HDF5 file; "
            "pass an ARCHS4 file such as human_gene_v2.6.h5, or download it again"
        )
        return FileFormatError(msg)
    kind = "is truncated" if "truncated" in reason else "is damaged"
    msg = f"{path} {kind} and cannot be opened ({reason}); download or copy it again"
    return DamagedFileError(msg)


def _is_from_hdf5(error: Exception) -> bool:
    """Whether HDF5 raised an error: its messages begin in one of two ways."""
    message = str(error.args[0]) if error.args else ""
    return isinstance(error, RuntimeError) or message.startswith(("Unable to", "Can't"))


class _RemoteFiles:
    """Remote files that are open; closed before Python ends.

    HDF5 closes files after that, and would crash calling a file object of ours.
    """

    def __init__(self) -> None:
        self._files: list[Any] = []
        self._lock = threading.Lock()
        self._is_over = False
        atexit.register(self.end)

    def open(self, path: RemotePath) -> Any:  # noqa: ANN401
        """Open a file, unless the process is ending."""
        source = open_remote(path)
        with self._lock:
            if self._is_over:
                msg = f"{path} cannot be opened any more: the process is ending"
                raise RemoteError(msg)
            file = h5py.File(RemoteFile(source), "r")
            self._files.append(file)
        return file

    def close(self, file: Any) -> None:  # noqa: ANN401
        """Close a file and forget it."""
        file.close()
        with self._lock:
            self._files = [other for other in self._files if other is not file]

    def end(self) -> None:
        """Close all; threads still at work get errors instead of bytes."""
        with self._lock:
            self._is_over = True
            for file in self._files:
                file.close()


_remote_files = _RemoteFiles()


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open an HDF5 file for reading and close it again.

    Parameters
    ----------
    path
        The file, or its https address.

    Yields
    ------
    h5py.File
        Read-only and without a lock, so that many processes may share it.

    Raises
    ------
    InputNotFoundError
        If there is no such file.
    FileFormatError
        If it is a folder or not HDF5.
    RemoteError
        If it is on a server that cannot be reached or gives no parts of files.
    DamagedFileError
        If it is HDF5 but truncated or broken.
    """
    name = locate(path)
    try:
        if isinstance(name, RemotePath):
            file = _remote_files.open(name)
        else:
            file = h5py.File(name, "r", locking=False)
    except OSError as error:
        if isinstance(error, ExpressomeError):
            raise
        raise _explain_open_failure(name, error) from error
    try:
        yield file
    except (KeyError, OSError, RuntimeError) as error:
        if isinstance(error, ExpressomeError) or not _is_from_hdf5(error):
            raise
        msg = f"{path} is damaged ({error}); download or copy it again"
        raise DamagedFileError(msg) from error
    finally:
        if isinstance(name, RemotePath):
            _remote_files.close(file)
        else:
            file.close()


def locate(path: str | os.PathLike[str]) -> Path | RemotePath:
    """Give the place of a file that is there, on this machine or on a web server.

    Parameters
    ----------
    path
        Path or address.

    Returns
    -------
    Path or RemotePath
        The path; the address with the size and identity of what it leads to now.

    Raises
    ------
    InputNotFoundError
        If there is no such file.
    FileFormatError
        If it is a folder.
    RemoteError
        If the server cannot be reached or gives no parts of files.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     locate(file.name).is_file()
    True
    """
    if isinstance(path, str) and is_url(path):
        return open_remote(path).path
    place = check_input(path)
    if place.is_dir():
        msg = f"{place} is a folder, not an HDF5 file; pass the file itself"
        raise FileFormatError(msg)
    return place


def _read(file: Any, field: str, read: Callable[[Any], NDArray[Any]]) -> NDArray[Any]:  # noqa: ANN401
    """Read a field; turn HDF5's errors into ours."""
    if field not in file:
        msg = f"{file.filename} has no {field}; it may be of a layout that is not known yet"
        raise MissingFieldError(msg)
    try:
        return read(file[field])
    except ExpressomeError:
        raise
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        msg = (
            f"{file.filename}: the field {field} cannot be read ({error}); "
            "download or copy the file again"
        )
        raise DamagedFileError(msg) from error


def type_of(dataset: Any) -> np.dtype[Any]:  # noqa: ANN401
    """Give the type of a dataset's numbers.

    Parameters
    ----------
    dataset
        Open HDF5 dataset.

    Returns
    -------
    dtype
        As stored, in the file's byte order.

    Raises
    ------
    DamagedFileError
        If the file names a type that there is not.
    """
    try:
        dtype: np.dtype[Any] = dataset.dtype
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        msg = (
            f"{dataset.file.filename}: the type of {dataset.name.strip('/')} cannot be read "
            f"({error}); download or copy the file again"
        )
        raise DamagedFileError(msg) from error
    return dtype


def read_array(
    file: Any,  # noqa: ANN401
    field: str,
    *,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[Any]:
    """Read a field as it is stored.

    Parameters
    ----------
    file
        Open HDF5 file.
    field
        Path of a dataset in it.
    rows
        Positions wanted; all by default.

    Returns
    -------
    ndarray
        Its values.

    Raises
    ------
    MissingFieldError
        If there is no such dataset.
    DamagedFileError
        If it cannot be read.
    """
    if rows is not None:
        return _read(file, field, lambda dataset: _read_rows(dataset, rows))
    return _read(file, field, lambda dataset: np.asarray(dataset[()]))


def _read_rows(dataset: Any, rows: NDArray[np.int64]) -> NDArray[Any]:  # noqa: ANN401
    """Read chosen rows, one run of neighbours after the other."""
    fetch_rows(dataset, rows)
    wanted, places = np.unique(rows, return_inverse=True)
    edges = np.flatnonzero(np.diff(wanted, prepend=-2, append=np.iinfo(np.int64).max) != 1)
    runs = [
        np.asarray(dataset[wanted[start] : wanted[stop - 1] + 1])
        for start, stop in pairwise(edges.tolist())
    ]
    values: NDArray[Any] = np.concatenate([*runs, np.asarray(dataset[:0])])
    return values[places]


def read_text(
    file: Any,  # noqa: ANN401
    field: str,
    *,
    is_id: bool = False,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.object_]:
    """Read and decode a text field, slice by slice.

    Parameters
    ----------
    file
        Open HDF5 file.
    field
        Path of a dataset of shape (n,) in it.
    is_id
        Whether these are sample ids, where any text is a value.
    rows
        Positions wanted; all by default.

    Returns
    -------
    ndarray
        Text, shape (n,), dtype object; equal texts share one object.

    Raises
    ------
    MissingFieldError
        If there is no such dataset.
    DamagedFileError
        If it cannot be read.
    """

    def read(dataset: Any) -> NDArray[np.object_]:  # noqa: ANN401
        if rows is not None:
            return decode_text(_read_rows(dataset, rows), is_id=is_id)
        pool: dict[str, str] = {}
        texts = np.empty(dataset.shape[0], dtype=object)
        for start in range(0, len(texts), _TEXT_ROWS):
            span = slice(start, start + _TEXT_ROWS)
            texts[span] = decode_text(np.asarray(dataset[span]), is_id=is_id, pool=pool)
        return texts

    return _read(file, field, read)
