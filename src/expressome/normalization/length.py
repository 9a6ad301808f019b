"""Divide by gene length, so that long genes do not stand above short ones."""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expressome.errors import InvalidValueError, ShapeError

__all__ = ["LengthUnit", "divide_by_length", "to_divisor"]

LengthUnit = Literal["kb", "bp"]


def to_divisor(length_bp: ArrayLike, unit: LengthUnit = "kb") -> NDArray[np.float64]:
    """Express gene lengths in the unit that values are divided by.

    Parameters
    ----------
    length_bp
        Length of each gene, in bp, shape (n_genes,), > 0.
    unit
        ``"kb"`` keeps values readable; ``"bp"`` gives numbers a thousand times smaller.

    Returns
    -------
    ndarray
        float64, shape (n_genes,).

    Raises
    ------
    InvalidValueError
        If the unit is unknown or a length is not a number above 0.

    Examples
    --------
    >>> to_divisor([500, 2000])
    array([0.5, 2. ])
    """
    lengths = np.asarray(length_bp, np.float64)
    if unit not in get_args(LengthUnit):
        msg = f"length unit is {unit!r}; choose 'kb' or 'bp'"
        raise InvalidValueError(msg)
    is_wrong = ~(np.isfinite(lengths) & (lengths > 0))
    if is_wrong.any():
        g = int(np.flatnonzero(is_wrong)[0])
        msg = (
            f"{int(is_wrong.sum())} of {lengths.size} gene lengths are not numbers above 0 "
            f"(first: {lengths[g]} at gene {g}); impute or drop these genes"
        )
        raise InvalidValueError(msg)
    return lengths / (1000.0 if unit == "kb" else 1.0)


def divide_by_length(
    values: NDArray[Any], length_bp: ArrayLike, unit: LengthUnit = "kb"
) -> NDArray[np.float32]:
    """Divide each gene's values by its length.

    Parameters
    ----------
    values
        Shape (n_samples, n_genes), any scale.
    length_bp
        Length of each gene, in bp, shape (n_genes,).
    unit
        Unit of the division.

    Returns
    -------
    ndarray
        float32, shape of `values`, divided in float64.

    Raises
    ------
    ShapeError
        If there is not one length per gene.

    Examples
    --------
    >>> divide_by_length(np.array([[3.0, 3.0]]), [500, 1500])
    array([[6., 2.]], dtype=float32)
    """
    divisor = to_divisor(length_bp, unit)
    if values.shape[-1] != divisor.size:
        msg = f"{divisor.size} lengths for {values.shape[-1]} genes; pass one per gene"
        raise ShapeError(msg)
    return (values / divisor).astype(np.float32)
