"""Write an output beside its place and move it there only when complete."""

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from expressome.errors import InputNotFoundError, OutputExistsError

__all__ = [
    "check_input",
    "check_output",
    "partial_path",
    "remove_path",
    "replace_path",
    "restore_path",
    "staged_output",
]


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
        yield partial
    except BaseException:
        if not keep_partial:
            remove_path(partial)
        raise
    replace_path(partial, place)
