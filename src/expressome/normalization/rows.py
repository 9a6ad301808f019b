"""Rows of counts: cut into canonical tiles, checked, made ready to rank."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.blocks import TILE_SAMPLES
from expressome.errors import InvalidCountsError

__all__ = ["group_by_measured", "retile", "to_rankable"]

Counts = NDArray[Any]


def retile(blocks: Iterable[Counts], n_rows: int = TILE_SAMPLES) -> Iterator[Counts]:
    """Cut blocks of rows anew, so that their size leaves no trace in a sum.

    Parameters
    ----------
    blocks
        Arrays of shape (n_block, ...), in order.
    n_rows
        Rows of each tile; the default is the canonical tile.

    Yields
    ------
    ndarray
        The same rows in the same order, `n_rows` at a time; the last may be shorter.

    Examples
    --------
    >>> [len(tile) for tile in retile([np.zeros((3, 1)), np.zeros((2, 1))], 2)]
    [2, 2, 1]
    """
    waiting: list[Counts] = []
    n_waiting = 0
    for block in blocks:
        start = 0
        while start < len(block):
            piece = block[start : start + n_rows - n_waiting]
            start += len(piece)
            waiting.append(piece)
            n_waiting += len(piece)
            if n_waiting == n_rows:
                yield waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
                waiting, n_waiting = [], 0
    if waiting:
        yield waiting[0] if len(waiting) == 1 else np.concatenate(waiting)


def to_rankable(counts: Counts) -> NDArray[np.uint32] | NDArray[np.float64]:
    """Check counts and give them as 32-bit integers if they are whole, else as float64.

    Parameters
    ----------
    counts
        Counts or TPM, shape (n_samples, n_genes), >= 0 and finite.

    Returns
    -------
    ndarray
        The same values, C-contiguous, uint32 or float64.

    Raises
    ------
    InvalidCountsError
        If a value is negative, NaN or infinite, or the array holds no numbers.

    Examples
    --------
    >>> to_rankable(np.array([[1, 2]])).dtype
    dtype('uint32')
    """
    if counts.dtype.kind not in "uifb":
        msg = f"counts hold {counts.dtype} values, not numbers; convert them first"
        raise InvalidCountsError(msg)
    if counts.size == 0 or counts.dtype == np.uint32:
        return np.ascontiguousarray(counts, np.uint32)
    lowest, highest = counts.min(), counts.max()
    if not (lowest >= 0 and np.isfinite(highest)):
        _refuse_counts(counts)
    is_small = highest <= np.iinfo(np.uint32).max
    if is_small and (counts.dtype.kind != "f" or bool((counts == np.floor(counts)).all())):
        return np.ascontiguousarray(counts).astype(np.uint32, copy=False)
    return np.ascontiguousarray(counts, np.float64)


def _refuse_counts(counts: Counts) -> None:
    """Name the first value that no count can have."""
    wrong = ~(np.isfinite(counts) & (counts >= 0))
    i, g = np.argwhere(wrong)[0]
    msg = (
        f"{int(wrong.sum())} of {counts.size} values are negative or infinite (first: "
        f"{counts[i, g]} at sample {i}, gene {g}); pass counts >= 0, and NaN for genes that were "
        "not measured"
    )
    raise InvalidCountsError(msg)


def group_by_measured(
    counts: Counts,
) -> list[tuple[NDArray[np.intp] | slice, NDArray[np.intp] | slice]]:
    """Find the samples that measured the same genes.

    Parameters
    ----------
    counts
        Shape (n_samples, n_genes); NaN where a gene was not measured.

    Returns
    -------
    list of (rows, columns)
        Each group's samples and the genes they measured, in order of first appearance.

    Examples
    --------
    >>> group_by_measured(np.array([[1.0, np.nan], [2.0, 3.0]]))
    [(array([0]), array([0])), (array([1]), array([0, 1]))]
    """
    if counts.dtype.kind != "f":
        return [(slice(None), slice(None))]
    is_missing = np.isnan(counts)
    if not is_missing.any():
        return [(slice(None), slice(None))]
    members: dict[bytes, list[int]] = {}
    for i, packed in enumerate(np.packbits(is_missing, axis=1)):
        members.setdefault(packed.tobytes(), []).append(i)
    return [(np.array(rows), np.flatnonzero(~is_missing[rows[0]])) for rows in members.values()]
