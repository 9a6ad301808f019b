"""Fitted objects as plain arrays and back, without pickle."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.errors import ModelError

__all__ = ["StoredParts", "require_parts"]


class StoredParts:
    """A dataclass whose fields are arrays and numbers, stored one by one."""

    __slots__ = ()

    def to_parts(self) -> dict[str, NDArray[Any]]:
        """Give plain arrays that `from_parts` reads back."""
        return {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]  # subclasses are dataclasses


def require_parts(kind: type, parts: Mapping[str, NDArray[Any]], what: str) -> dict[str, Any]:
    """Take the fields of a fitted object from its stored arrays.

    Parameters
    ----------
    kind
        The dataclass.
    parts
        As `StoredParts.to_parts` gives them.
    what
        Its name in a message, such as ``"the forest"``.

    Returns
    -------
    dict
        Field name to array.

    Raises
    ------
    ModelError
        If one is absent.
    """
    names = [f.name for f in fields(kind)]
    missing = [name for name in names if name not in parts]
    if missing:
        msg = f"{what} lacks {', '.join(missing)}; the model is incomplete, train it again"
        raise ModelError(msg)
    return {name: parts[name] for name in names}
