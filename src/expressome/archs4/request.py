"""What is asked of a file: ids, positions, slices; turned into positions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import SelectionError, first_few

__all__ = ["Request", "is_positional", "to_positions"]

# Ids, positions (integers), a mask, a slice of positions, or None for all.
Request = Sequence[str] | Sequence[int] | NDArray[Any] | pd.Index | slice | None


def is_positional(request: Request) -> bool:
    """Tell whether a request can be answered without knowing any id.

    Parameters
    ----------
    request
        What is asked for.

    Returns
    -------
    bool
        True for positions, masks, slices and None.

    Examples
    --------
    >>> is_positional([3, 1]), is_positional(["GSM1"])
    (True, False)
    """
    if request is None or isinstance(request, slice):
        return True
    return not isinstance(request, str) and np.asarray(request).dtype.kind in "iub"


def to_positions(request: Request, ids: pd.Index, what: str) -> NDArray[np.int64]:
    """Turn ids, positions or a slice into positions.

    Parameters
    ----------
    request
        What is asked for, in the order of the answer; repetitions are answered twice.
    ids
        Ids of the axis, each once.
    what
        What they are, for messages, such as ``"samples of human.h5"``.

    Returns
    -------
    ndarray
        Positions along the axis, shape (n,), int64.

    Raises
    ------
    SelectionError
        If an id or position is not there. Negative positions are refused: a
        position computed wrongly must not read from the end.

    Examples
    --------
    >>> to_positions(["GSM2"], pd.Index(["GSM1", "GSM2"]), "samples").tolist()
    [1]
    """
    if request is None or isinstance(request, slice):
        return np.arange(len(ids))[request or slice(None)]
    wanted = np.asarray([request] if isinstance(request, str) else request)
    if wanted.size == 0:
        return np.empty(0, dtype=np.int64)
    if wanted.ndim != 1:
        msg = f"a request for {what} has {wanted.ndim} axes; pass a flat list of ids or positions"
        raise SelectionError(msg)
    if wanted.dtype.kind == "b" and len(wanted) == len(ids):
        return np.flatnonzero(wanted)
    if wanted.dtype.kind in "iu":
        positions = wanted.astype(np.int64)
        missing = positions[(positions < 0) | (positions >= len(ids))]
        told = f"positions run from 0 to {len(ids) - 1}"
    else:
        positions = ids.get_indexer(pd.Index(wanted, dtype=object)).astype(np.int64)
        missing = wanted[positions < 0]
        told = f"ids look like {first_few(ids[:2])}"
    if len(missing):
        msg = (
            f"{len(missing)} of {len(wanted)} {what} are not among its {len(ids)} "
            f"({first_few(missing)}); {told}"
        )
        raise SelectionError(msg)
    return positions
