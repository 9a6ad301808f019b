"""Say which samples and genes cannot be read, or hold numbers that are no counts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.chunks import UnreadableChunkError
from expressome.archs4.layouts import EXPRESSION
from expressome.errors import first_few

__all__ = ["explain_damage", "explain_numbers", "has_possible_numbers"]


def has_possible_numbers(counts: NDArray[Any]) -> bool:
    """Tell whether all numbers are >= 0 and finite.

    Parameters
    ----------
    counts
        Numbers as read, any shape.

    Returns
    -------
    bool
        False if one is negative, NaN or infinite.

    Examples
    --------
    >>> has_possible_numbers(np.array([0, 3])), has_possible_numbers(np.array([np.nan]))
    (True, False)
    """
    if counts.size == 0 or counts.dtype.kind == "u":
        return True
    # The minimum of numbers with NaN is NaN, so one comparison finds both.
    return bool(counts.min() >= 0) and bool(counts.dtype.kind == "i" or np.isfinite(counts.max()))


def explain_numbers(
    counts: NDArray[Any], *, path: object, samples: pd.Index, genes: pd.Index
) -> str:
    """Say in words which numbers are negative, NaN or infinite.

    Parameters
    ----------
    counts
        Numbers as read, shape (n_samples, n_genes), at least one of them impossible.
    path
        Where they were read.
    samples
        Sample ids of the rows.
    genes
        Gene keys of the columns.

    Returns
    -------
    str
        One line that names the first sample and gene.
    """
    is_wrong = ~((counts >= 0) & np.isfinite(counts))
    i, g = (int(axis[0]) for axis in np.nonzero(is_wrong))
    return (
        f"{path}: {int(is_wrong.sum())} of {counts.size} numbers read are negative, NaN or "
        f"infinite (first: {counts[i, g]} in sample {samples[i]}, gene {genes[g]}); expression "
        f"is >= 0, so download the file again or leave out the "
        f"{int(is_wrong.any(axis=1).sum())} samples that hold them"
    )


def explain_damage(
    failures: Sequence[UnreadableChunkError],
    *,
    path: object,
    samples: pd.Index,
    genes: pd.Index,
    is_transposed: bool,
) -> str:
    """Say in words which samples and genes cannot be read.

    Parameters
    ----------
    failures
        Chunks that could not be read, at least one.
    path
        The file.
    samples
        All sample ids of the file.
    genes
        All gene keys of the file.
    is_transposed
        Whether genes are the first stored axis.

    Returns
    -------
    str
        One line that names file, samples and genes.
    """
    first = failures[0]
    rows, columns = (first.columns, first.rows) if is_transposed else (first.rows, first.columns)
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return (
        f"{path}: a chunk of {EXPRESSION}{more} cannot be read: {first.reason}. It holds samples "
        f"{rows.start}-{rows.stop - 1} ({first_few(samples[rows])}) and genes "
        f"{columns.start}-{columns.stop - 1} ({first_few(genes[columns])}); "
        "download or copy the file again, or leave out these samples or genes"
    )
