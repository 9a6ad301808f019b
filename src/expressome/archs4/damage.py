"""Say which samples and genes cannot be read, or hold numbers that are no counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.chunks import UnreadableChunkError
from expressome.archs4.layouts import EXPRESSION
from expressome.errors import InvalidCountsError, first_few

__all__ = ["check_numbers", "explain_damage"]


def check_numbers(counts: NDArray[Any], *, path: Path, samples: pd.Index, genes: pd.Index) -> None:
    """Refuse negative numbers, NaN and infinity.

    Parameters
    ----------
    counts
        Numbers as read, shape (n_samples, n_genes).
    path
        Where they were read, for the message.
    samples
        Sample ids of the rows.
    genes
        Gene keys of the columns.

    Raises
    ------
    InvalidCountsError
        If there is one; it names the first sample and gene.

    Examples
    --------
    >>> check_numbers(
    ...     np.array([[3, 0]]), path=Path("a.h5"), samples=pd.Index(["GSM1"]),
    ...     genes=pd.Index(["ENSG1", "ENSG2"]),
    ... )
    """
    if counts.size == 0 or counts.dtype.kind == "u":
        return
    # The minimum of numbers with NaN is NaN, so one comparison finds both.
    if counts.min() >= 0 and (counts.dtype.kind == "i" or np.isfinite(counts.max())):
        return
    is_wrong = ~((counts >= 0) & np.isfinite(counts))
    i, g = (int(axis[0]) for axis in np.nonzero(is_wrong))
    msg = (
        f"{path}: {int(is_wrong.sum())} of {counts.size} numbers read are negative, NaN or "
        f"infinite (first: {counts[i, g]} in sample {samples[i]}, gene {genes[g]}); expression "
        f"is >= 0, so download the file again or leave out the "
        f"{int(is_wrong.any(axis=1).sum())} samples that hold them"
    )
    raise InvalidCountsError(msg)


def explain_damage(
    failures: Sequence[UnreadableChunkError],
    *,
    path: Path,
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
