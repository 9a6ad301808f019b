"""A quantile target in a file, so that later samples come onto the same scale."""

import os
import zipfile
import zlib

import numpy as np

from expressome.errors import FileFormatError
from expressome.outputs import check_input, staged_output
from expressome.results import Target

__all__ = ["load_target", "save_target"]

# What numpy raises for an archive that is cut, spoilt, or claims arrays of any size.
_UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, MemoryError, SyntaxError),
    *(zipfile.BadZipFile, zlib.error),
)


def save_target(target: Target, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a target to a NumPy archive (.npz), without pickle.

    Parameters
    ----------
    target
        What `fit_target` gave.
    path
        File to write.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    OutputExistsError
        If the file exists and `overwrite` is False.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/target.npz"
    >>> save_target(Target(np.array([0.0, 2.0]), 1, ("A", "B")), path)
    >>> load_target(path).genes
    ('A', 'B')
    """
    with staged_output(path, overwrite=overwrite) as partial, partial.open("wb") as file:
        np.savez(
            file,
            profile=target.profile,
            n_samples=np.int64(target.n_samples),
            genes=np.array(target.genes, dtype=np.str_),
        )


def load_target(path: str | os.PathLike[str]) -> Target:
    """Read a target that `save_target` wrote.

    Parameters
    ----------
    path
        The .npz file.

    Returns
    -------
    Target
        Equal to what was saved, to the last bit.

    Raises
    ------
    InputNotFoundError
        If there is no such file.
    FileFormatError
        If the file is not a saved target.

    Examples
    --------
    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/target.npz"
    >>> save_target(Target(np.array([0.0, 2.0]), 1), path)
    >>> load_target(path).profile
    array([0., 2.])
    """
    place = check_input(path)
    try:
        with np.load(place, allow_pickle=False) as parts:
            profile, n_samples = parts["profile"].astype(np.float64), int(parts["n_samples"])
            genes = tuple(str(gene) for gene in parts["genes"])
    except _UNREADABLE:
        msg = f"{place} is not a saved target (.npz); write one with save_target"
        raise FileFormatError(msg) from None
    target = Target(profile, n_samples, genes)
    _check_target(target, place.name)
    return target


def _check_target(target: Target, name: str) -> None:
    """Refuse a target that no fit can give."""
    profile = target.profile
    is_ascending = profile.ndim == 1 and profile.size > 0 and bool(np.all(np.diff(profile) >= 0))
    if not is_ascending or not np.isfinite(profile).all() or target.n_samples < 1:
        msg = f"the target in {name} is not an ascending list of numbers; fit it again"
        raise FileFormatError(msg)
    if len(target.genes) not in (0, profile.size):
        msg = (
            f"the target in {name} has {profile.size} values for {len(target.genes)} genes; "
            "fit it again"
        )
        raise FileFormatError(msg)
