"""Write samples that are not part of an atlas as one h5ad file."""

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from expressome.atlas.schema import to_storable
from expressome.errors import ShapeError
from expressome.outputs import check_room, staged_output
from expressome.results import to_json

__all__ = ["write_samples"]


def write_samples(
    path: str | os.PathLike[str],
    values: NDArray[Any],
    *,
    obs: pd.DataFrame,
    var: pd.DataFrame,
    notes: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Write a matrix of samples with its tables as an h5ad file.

    Parameters
    ----------
    path
        File to write.
    values
        Shape (n_samples, n_genes), stored as it is.
    obs, var
        One row per sample and per gene.
    notes
        Plain values, stored as one JSON text in ``uns["expressome"]``.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    ShapeError
        If a table does not fit the matrix.
    OutputExistsError
        If the file exists and `overwrite` is False.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> path = os.path.join(tempfile.mkdtemp(), "made.h5ad")
    >>> obs, var = pd.DataFrame(index=["s1"]), pd.DataFrame(index=["g1", "g2"])
    >>> write_samples(path, np.ones((1, 2), np.float32), obs=obs, var=var, notes={"seed": 0})
    >>> os.path.exists(path)
    True
    """
    if values.shape != (len(obs), len(var)):
        msg = (
            f"the matrix is {values.shape[0]} x {values.shape[1]}, but there are {len(obs)} "
            f"samples and {len(var)} genes; pass one row per sample and one column per gene"
        )
        raise ShapeError(msg)
    from anndata import AnnData

    stored = AnnData(
        X=values,
        obs=to_storable(obs),
        var=to_storable(var),
        uns={"expressome": to_json(notes)},
    )
    with staged_output(path, overwrite=overwrite) as partial:
        check_room(partial, values.nbytes + 2**20)  # HDF5 can crash where a disk fills
        stored.write_h5ad(partial)
