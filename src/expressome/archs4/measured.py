"""Which cells of a packed file were measured: a table per sample, genes per table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.archs4.storage import read_array
from expressome.errors import DamagedFileError

__all__ = ["MEASURED_GROUP", "mask_measured", "read_measured"]

# Where our packed files keep which table measured which gene; other readers ignore it.
MEASURED_GROUP = "expressome"


def read_measured(
    file: Any,  # noqa: ANN401
    n_samples: int,
    n_genes: int,
) -> tuple[NDArray[np.int32], NDArray[np.bool_]] | None:
    """Read which table of a packed file measured which gene.

    Parameters
    ----------
    file
        Open HDF5 file.
    n_samples
        Samples of the matrix.
    n_genes
        Genes of the matrix.

    Returns
    -------
    tuple or None
        Table per sample and measured genes per table; None if all are measured.

    Raises
    ------
    DamagedFileError
        If the two do not fit the matrix.
    """
    if f"{MEASURED_GROUP}/measured" not in file:
        return None
    tables = read_array(file, f"{MEASURED_GROUP}/table").astype(np.int32)
    measured = read_array(file, f"{MEASURED_GROUP}/measured").astype(np.bool_)
    fits = tables.shape == (n_samples,) and measured.shape[1:] == (n_genes,)
    if not fits or (n_samples and not 0 <= tables.min() <= tables.max() < len(measured)):
        msg = (
            f"{file.filename}: the record of measured genes ({measured.shape[0]} tables x "
            f"{measured.shape[1]} genes, {len(tables)} samples) does not fit the matrix "
            f"({n_samples} samples, {n_genes} genes); pack the tables again"
        )
        raise DamagedFileError(msg)
    return tables, measured


def mask_measured(
    groups: tuple[NDArray[np.int32], NDArray[np.bool_]] | None,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.bool_] | None:
    """Say which cells of a request were measured.

    Parameters
    ----------
    groups
        Table per sample and measured genes per table; None if all are measured.
    rows
        Positions of samples.
    columns
        Positions of genes.

    Returns
    -------
    ndarray or None
        Boolean, shape (n rows, n columns); None if all of them were measured.

    Examples
    --------
    >>> groups = np.array([0, 1]), np.array([[True, True], [True, False]])
    >>> mask_measured(groups, np.array([1]), np.array([0, 1])).tolist()
    [[True, False]]
    """
    if groups is None:
        return None
    tables, measured = groups
    if measured[np.ix_(np.unique(tables[rows]), columns)].all():
        return None
    mask: NDArray[np.bool_] = measured[:, columns][tables[rows]]
    return mask
