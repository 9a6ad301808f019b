"""Ids, positions, slices and masks become positions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import SelectionError, first_few

__all__ = ["Selection", "holds_ids", "to_positions"]

Selection = slice | Sequence[int] | Sequence[str] | NDArray[Any] | pd.Index | None


def holds_ids(selection: Selection) -> bool:
    """Say whether a selection is made of ids.

    Parameters
    ----------
    selection
        Ids, positions, a slice, a mask, or None for all.

    Returns
    -------
    bool
        True for ids.
    """
    if selection is None or isinstance(selection, slice):
        return False
    chosen = np.asarray(selection)
    return bool(chosen.size) and chosen.dtype.kind not in "iub"


def to_positions(selection: Selection, axis: pd.Index | int, noun: str) -> NDArray[np.int64]:
    """Turn ids, positions, a slice or a mask into positions.

    Parameters
    ----------
    selection
        What to choose; None for all.
    axis
        The ids of the axis, or its length where no id is given.
    noun
        What a position is, for messages: ``"sample"`` or ``"gene"``.

    Returns
    -------
    ndarray
        Positions in request order, int64.
    """
    n_all = axis if isinstance(axis, int) else len(axis)
    if selection is None:
        return np.arange(n_all)
    if isinstance(selection, slice):
        return np.arange(n_all)[selection]
    chosen = np.asarray(selection)
    if chosen.dtype == np.bool_:
        if chosen.shape != (n_all,):
            msg = f"a mask of {chosen.size} for {n_all} {noun}s; pass one value per {noun}"
            raise SelectionError(msg)
        return np.flatnonzero(chosen)
    if chosen.size == 0:
        return np.empty(0, np.int64)
    if isinstance(axis, int):
        is_wrong = (chosen < -n_all) | (chosen >= n_all)
        found = np.where(chosen < 0, chosen + n_all, chosen)
    else:
        found = axis.get_indexer(pd.Index(chosen.astype(object)))
        is_wrong = found < 0
    if is_wrong.any():
        msg = (
            f"{int(is_wrong.sum())} of {chosen.size} {noun}s are not in the atlas "
            f"({first_few(chosen[is_wrong])}); choose among its {n_all} {noun}s"
        )
        raise SelectionError(msg)
    return found.astype(np.int64)
