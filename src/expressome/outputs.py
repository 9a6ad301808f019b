"""Write an output beside its place and move it there only when complete."""

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from expressome.errors import (
    DiskSpaceError,
    InputNotFoundError,
    InvalidValueError,
    OutputExistsError,
)

__all__ = [
    "check_input",
    "check_output",
    "check_parquet_name",
    "check_room",
    "full_disk_named",
    "partial_path",
    "remove_path",
    "replace_path",
    "restore_path",
    "spare_room",
    "staged_output",
]

# Room that HDF5 needs at most to close a file: its caches.
_SPARE_BYTES = 4 * 2**20
# Names by which people expect something else than Parquet.
_OTHER_ENDINGS = {".tsv", ".csv", ".txt", ".gz", ".json", ".xlsx", ".xls", ".docx", ".html"}
_OTHER_ENDINGS |= {".h5", ".h5ad", ".zarr", ".npz", ".rds"}


def check_input(path: str | os.PathLike[str]) -> Path:
    """Return the path of an input that must exist.

    Parameters
    ----------
    path
        File or folder to read.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    InputNotFoundError
        If nothing is there.

    Examples
    --------
    >>> check_input("/").name
    ''
    """
    path = Path(path)
    if not path.exists():
        msg = f"{path} does not exist; check the path (working folder: {Path.cwd()})"
        raise InputNotFoundError(msg)
    return path


def check_output(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Refuse an output that exists, unless it may be replaced.

    Parameters
    ----------
    path
        File or folder to write.
    overwrite
        Whether an existing output may be replaced once the new one is complete.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    OutputExistsError
        If it exists and `overwrite` is False.
    InputNotFoundError
        If the folder it belongs in does not exist.

    Examples
    --------
    >>> check_output("/tmp/expressome-new-file").name
    'expressome-new-file'
    """
    path = Path(path)
    if path.exists() and not overwrite:
        msg = f"{path} exists; choose another output or pass overwrite=True to replace it"
        raise OutputExistsError(msg)
    if not path.absolute().parent.is_dir():
        msg = (
            f"the folder {path.absolute().parent} of the output {path.name} "
            "does not exist; create it first"
        )
        raise InputNotFoundError(msg)
    return path


def check_parquet_name(path: str | os.PathLike[str]) -> None:
    """Refuse a name that promises another format than Parquet.

    Parameters
    ----------
    path
        File to write.

    Raises
    ------
    InvalidValueError
        If its ending is that of another table or file.

    Examples
    --------
    >>> check_parquet_name("predictions.parquet")
    """
    path = Path(path)
    if path.suffix.lower() in _OTHER_ENDINGS:
        better = path.with_suffix("").with_suffix(".parquet").name
        msg = (
            f"{path.name} ends in {path.suffix}, but a Parquet file would be written; "
            f"name it {better} (pandas.read_parquet and R's arrow open it)"
        )
        raise InvalidValueError(msg)


def partial_path(path: Path) -> Path:
    """Return where an unfinished output lives until it is complete.

    Parameters
    ----------
    path
        The final place.

    Returns
    -------
    Path
        A hidden neighbour on the same file system, so that the last move is atomic.

    Examples
    --------
    >>> partial_path(Path("out/human.zarr")).name
    '.human.zarr.partial'
    """
    return path.with_name(f".{path.name}.partial")


def remove_path(path: Path) -> None:
    """Remove a file or a folder with all it holds; nothing if it is not there.

    Parameters
    ----------
    path
        What to remove. A symbolic link is removed, not what it points to.

    Examples
    --------
    >>> remove_path(Path("/tmp/expressome-not-there"))
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replace_path(new: Path, place: Path) -> None:
    """Move a complete output to its place; the old one goes only after that.

    Parameters
    ----------
    new
        The complete output, on the same file system.
    place
        Where it belongs; what is there is replaced.
    """
    if not place.exists():
        new.replace(place)
        return
    if new.is_file() and place.is_file():
        new.replace(place)
        return
    if _exchange(new, place):
        remove_path(new)
        return
    retired = _retired_path(place)
    remove_path(retired)
    place.replace(retired)
    new.replace(place)
    remove_path(retired)


def restore_path(place: Path) -> None:
    """Bring back an output whose replacement was killed between its two moves.

    Parameters
    ----------
    place
        Where the output belongs; nothing happens if it is there.

    Notes
    -----
    Only file systems without an atomic exchange of two folders can leave this state.
    """
    retired = _retired_path(place)
    if not place.exists() and retired.exists():
        retired.replace(place)


def _retired_path(place: Path) -> Path:
    return place.with_name(f".{place.name}.retired")


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two paths in one step; False where the system cannot."""
    # renameat2(2) with RENAME_EXCHANGE (2), relative to the working folder (AT_FDCWD, -100).
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    return bool(rename(-100, os.fsencode(first), -100, os.fsencode(second), 2) == 0)


@contextmanager
def full_disk_named(place: Path) -> Iterator[None]:
    """Say that the disk of an output is full, and what to do.

    Parameters
    ----------
    place
        The output that the body writes.

    Raises
    ------
    DiskSpaceError
        If the body fails for want of room.
    """
    try:
        yield
    except DiskSpaceError:
        raise
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise DiskSpaceError(_explain_full_disk(place)) from error


def check_room(place: Path, n_bytes: int) -> None:
    """Refuse to begin an output that the disk cannot hold.

    Parameters
    ----------
    place
        The output.
    n_bytes
        What it will take at least.

    Raises
    ------
    DiskSpaceError
        If less is free.

    Examples
    --------
    >>> check_room(Path("/tmp/expressome-new-file"), 1)
    """
    if shutil.disk_usage(place.absolute().parent).free < n_bytes:
        msg = f"{_explain_full_disk(place)} ({n_bytes:,} bytes are needed)"
        raise DiskSpaceError(msg)


def _explain_full_disk(place: Path) -> str:
    folder = place.absolute().parent
    return (
        f"no space is left on the disk of {folder} ({shutil.disk_usage(folder).free:,} bytes "
        f"free) to write {place.name}; free some, or choose another place, and run it again"
    )


@contextmanager
def spare_room(file: Path, n_bytes: int = _SPARE_BYTES) -> Iterator[None]:
    """Hold room on the disk and give it back when the body ends, well or not.

    Parameters
    ----------
    file
        What the body writes; the room lies beside it, in a hidden file.
    n_bytes
        How much.

    Notes
    -----
    HDF5 writes what it still holds when a file is closed, and can crash the process where the disk
    is full then. Inside the file's own block, this leaves it the room to close.
    """
    spare = file.with_name(f"{file.name}.spare")
    try:
        spare.write_bytes(bytes(n_bytes))
        yield
    finally:
        spare.unlink(missing_ok=True)


@contextmanager
def staged_output(
    path: str | os.PathLike[str], *, overwrite: bool = False, keep_partial: bool = False
) -> Iterator[Path]:
    r"""Yield a hidden path to write to; move it into place when the block succeeds.

    Parameters
    ----------
    path
        The final place, a file or a folder.
    overwrite
        Whether an existing output may be replaced once the new one is complete.
    keep_partial
        Whether an unfinished output survives a failure, for a writer that can
        resume from it. The default leaves nothing behind.

    Yields
    ------
    Path
        Where to write. The caller creates the file or folder.

    Raises
    ------
    OutputExistsError
        If the output exists and `overwrite` is False.
    DiskSpaceError
        If the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "counts.tsv"
    >>> with staged_output(place) as partial:
    ...     _ = partial.write_text("gene\n")
    >>> place.read_text()
    'gene\n'
    """
    place = check_output(path, overwrite=overwrite)
    partial = partial_path(place)
    if not keep_partial:
        remove_path(partial)
    try:
        with full_disk_named(place):
            yield partial
    except BaseException:
        if not keep_partial:
            remove_path(partial)
        raise
    replace_path(partial, place)
