"""Write counts block by block as AnnData: an h5ad file or a Zarr folder."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from expressome.atlas.schema import SECTION, anndata_writer, create_root, to_storable
from expressome.errors import ShapeError
from expressome.outputs import spare_room, staged_output
from expressome.results import LabelMatrix, to_json

__all__ = ["write_counts"]

# Samples x genes of a stored chunk: 4 MiB, one canonical tile of samples.
_CHUNKS = (256, 4096)


class _Tables(NamedTuple):
    """Everything but the matrix."""

    obs: pd.DataFrame
    var: pd.DataFrame
    obsm: dict[str, Any]
    notes: str


def write_counts(  # noqa: PLR0913 - one file, everything it holds
    path: str | os.PathLike[str],
    blocks: Iterable[NDArray[Any]],
    *,
    obs: pd.DataFrame,
    var: pd.DataFrame,
    dtype: DTypeLike,
    labels: LabelMatrix | None = None,
    notes: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Write counts with their tables; the matrix is never in memory as a whole.

    Parameters
    ----------
    path
        New file ``.h5ad`` or new folder ``.zarr``.
    blocks
        Counts in sample order, each of shape (n, n_genes).
    obs, var
        One row per sample and per gene.
    dtype
        Type to store counts in.
    labels
        Labels of the same samples, stored sparse as ``obsm["labels"]``.
    notes
        Plain values, stored as one JSON text in ``uns["expressome"]``.
    overwrite
        Whether an existing output may be replaced.

    Raises
    ------
    ShapeError
        If the blocks do not add up to the tables.
    OutputExistsError
        If the output exists and `overwrite` is False.

    Examples
    --------
    >>> import tempfile, anndata
    >>> place = os.path.join(tempfile.mkdtemp(), "counts.h5ad")
    >>> obs, var = pd.DataFrame(index=["s1", "s2"]), pd.DataFrame(index=["g1"])
    >>> write_counts(place, [np.array([[7], [3]])], obs=obs, var=var, dtype="u4", notes={})
    >>> anndata.read_h5ad(place).X.tolist()
    [[7], [3]]
    """
    obsm = {} if labels is None else {"labels": sparse.csr_matrix(labels.matrix)}
    shape = (len(obs), len(var))
    tables = _Tables(to_storable(obs), to_storable(var), obsm, to_json(notes))
    with staged_output(path, overwrite=overwrite) as partial:
        if Path(path).suffix == ".zarr":
            matrix = _start_zarr(partial, tables)
            _fill(matrix(shape, np.dtype(dtype)), blocks, shape)
            return
        opened = _start_h5ad(partial, tables)
        try:
            with spare_room(partial):
                dataset = opened.file["obs"].file.create_dataset(
                    "X",
                    shape=shape,
                    dtype=np.dtype(dtype),
                    chunks=tuple(min(a, b) for a, b in zip(_CHUNKS, shape, strict=True)),
                    compression="gzip",
                    compression_opts=4,
                    shuffle=True,
                )
                dataset.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
                _fill(dataset, blocks, shape)
        finally:
            opened.file.close()


def _start_h5ad(path: Path, tables: _Tables) -> Any:  # noqa: ANN401 - anndata carries no types
    """Write all but the matrix; give the file opened for writing."""
    import anndata

    content = anndata.AnnData(
        obs=tables.obs, var=tables.var, obsm=tables.obsm, uns={"expressome": tables.notes}
    )
    content.write_h5ad(path)
    return anndata.read_h5ad(path, backed="r+")


def _start_zarr(path: Path, tables: _Tables) -> Any:  # noqa: ANN401 - makes zarr's array
    """Write all but the matrix; give what creates it."""
    root = create_root(path)
    with anndata_writer() as write:
        write(root, "obs", tables.obs)
        write(root, "var", tables.var)
        write(root, SECTION, tables.notes)
        for name, matrix in tables.obsm.items():
            write(root, f"obsm/{name}", matrix)

    def create(shape: tuple[int, int], dtype: np.dtype[Any]) -> Any:  # noqa: ANN401
        chunks = tuple(min(a, b) for a, b in zip(_CHUNKS, shape, strict=True))
        array = root.create_array("X", shape=shape, dtype=dtype, chunks=chunks)
        array.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        return array

    return create


def _fill(matrix: Any, blocks: Iterable[NDArray[Any]], shape: tuple[int, int]) -> None:  # noqa: ANN401
    """Write block after block."""
    n_written = 0
    for block in blocks:
        stop = n_written + len(block)
        if block.shape[1] != shape[1] or stop > shape[0]:
            msg = (
                f"a block of shape {block.shape} after sample {n_written} does not fit "
                f"{shape[0]} samples x {shape[1]} genes"
            )
            raise ShapeError(msg)
        matrix[n_written:stop] = block
        n_written = stop
    if n_written != shape[0]:
        msg = f"the blocks hold {n_written} samples, but there are {shape[0]}"
        raise ShapeError(msg)
