"""Read counts from Parquet (genes x samples) and h5ad (samples x genes)."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from expressome.errors import DamagedFileError, ExpressomeError, FileFormatError, LeftOutWarning
from expressome.tables.delimited import Block, describes_genes, is_ensembl

__all__ = ["ParquetLayout", "h5ad_blocks", "open_h5ad", "parquet_blocks", "read_parquet_layout"]

# Cells per block: 32 MB as float64.
_BLOCK_CELLS = 4 * 2**20

# Columns of `var` in which tools keep Ensembl ids beside symbols; Cell Ranger's first.
_ID_COLUMNS = ("gene_ids", "gene_id", "ensembl_id", "ensembl_gene_id", "ensembl", "feature_id")
_MOSTLY = 0.9
# Samples that tell whether a matrix holds whole numbers.
_N_LOOKED_AT = 20

# What anndata and h5py raise for a file that is something else, or spoilt.
_UNREADABLE = (KeyError, IndexError, OSError, ValueError, AttributeError, TypeError, RuntimeError)
# anndata's own, which it does not publish: an encoding that is damaged, or newer than anndata.
_OF_ANNDATA = "IORegistryError"


@dataclass(frozen=True, slots=True)
class ParquetLayout:
    """Which column of a Parquet file holds the genes and which hold samples.

    Attributes
    ----------
    names
        Column names in file order.
    gene_column
        Position of the gene ids: the pandas index if one was stored, else the first column.
    annotation
        Positions of columns that hold no numbers.
    """

    names: tuple[str, ...]
    gene_column: int
    annotation: frozenset[int]


def _is_numeric(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def read_parquet_layout(path: Path) -> ParquetLayout:
    """Find the gene column and the samples of a Parquet file.

    Parameters
    ----------
    path
        Parquet, genes in rows.

    Returns
    -------
    ParquetLayout
        Columns by position.

    Raises
    ------
    DamagedFileError
        If the file's footer cannot be read.
    """
    with _damage_named(path):
        schema = pq.ParquetFile(path).schema_arrow
        names = tuple(schema.names)
        stored = (schema.pandas_metadata or {}).get("index_columns", [])
    index = [name for name in stored if isinstance(name, str) and name in names]
    gene_column = names.index(index[0]) if index else 0
    annotation = {
        c
        for c, kind in enumerate(schema.types)
        if c != gene_column and (not _is_numeric(kind) or describes_genes(names[c]))
    }
    return ParquetLayout(names, gene_column, frozenset(annotation))


def parquet_blocks(path: Path, layout: ParquetLayout, columns: list[int]) -> Iterator[Block]:
    """Read the counts of a Parquet file, a few thousand genes at a time.

    Parameters
    ----------
    path
        Parquet, genes in rows.
    layout
        From `read_parquet_layout`.
    columns
        Positions of the samples to read.

    Yields
    ------
    Block
        Some genes of all samples.

    Raises
    ------
    DamagedFileError
        If a column cannot be read.
    """
    n_rows = max(1, _BLOCK_CELLS // max(1, len(layout.names)))
    with _damage_named(path):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=n_rows):
            genes = [str(gene) for gene in batch.column(layout.gene_column).to_pylist()]
            values = np.empty((batch.num_rows, len(columns)))
            for i, c in enumerate(columns):
                values[:, i] = batch.column(c).to_numpy(zero_copy_only=False)
            yield Block(genes, values)


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Say which Parquet file is damaged."""
    try:
        yield
    except (pa.ArrowException, *_UNREADABLE) as error:
        if isinstance(error, ExpressomeError):
            raise
        msg = f"{path} is a damaged Parquet file ({error}); fetch or write it again"
        raise DamagedFileError(msg) from error


def open_h5ad(path: Path) -> Any:  # noqa: ANN401 - anndata carries no types
    """Open an h5ad file without reading its matrix.

    Parameters
    ----------
    path
        AnnData in HDF5, samples in rows.

    Returns
    -------
    AnnData
        Backed by the file.

    Raises
    ------
    FileFormatError
        If it is HDF5 but not AnnData.
    """
    import anndata

    with _unreadable_named(path), warnings.catch_warnings():
        # Repeated names are refused by the caller, with their number.
        warnings.simplefilter("ignore", UserWarning)
        opened = anndata.read_h5ad(path, backed="r")
        has_counts = opened.X is not None or "counts" in opened.layers or opened.raw is not None
    if not has_counts:
        msg = f"{path} holds neither X, raw nor a layer named counts; store the read counts in one"
        raise FileFormatError(msg)
    return opened


@contextmanager
def _unreadable_named(path: Path) -> Iterator[None]:
    """Say which file is not AnnData, or is a damaged one."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ExpressomeError):
            raise
        if not isinstance(error, _UNREADABLE) and type(error).__name__ != _OF_ANNDATA:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
        reason = reason.encode("utf-8", "replace").decode()
        msg = (
            f"{path} is not an h5ad file, or damaged, or written by a newer anndata ({reason}); "
            "an ARCHS4 file needs no packing"
        )
        raise FileFormatError(msg) from error


def h5ad_blocks(opened: Any, rows: list[int]) -> Iterator[Block]:  # noqa: ANN401
    """Read the counts of an h5ad file, some samples at a time.

    Parameters
    ----------
    opened
        From `open_h5ad`; closed at the end. The layer named ``counts`` is read
        where there is one, else X; ``raw`` only where X holds no whole numbers and
        raw does. Genes are named by a column of Ensembl ids (``gene_ids``) where
        the index has others.
    rows
        Positions of the samples to read, ascending.

    Yields
    ------
    Block
        All genes of some samples.

    Warns
    -----
    LeftOutWarning
        If the counts are read from raw.
    """
    with _unreadable_named(Path(opened.filename)):
        yield from _h5ad_blocks(opened, rows)
    opened.file.close()


def _h5ad_blocks(opened: Any, rows: list[int]) -> Iterator[Block]:  # noqa: ANN401
    matrix, var = _choose_matrix(opened)
    genes = _name_genes(var)
    step = max(1, _BLOCK_CELLS // max(1, len(genes)))
    for start in range(0, len(rows), step):
        chosen = np.asarray(rows[start : start + step])
        values = _to_dense(matrix[chosen])
        if values.shape != (len(chosen), len(genes)):
            msg = f"{len(genes)} genes are named, the counts have shape {matrix.shape}"
            raise ValueError(msg)
        yield Block(genes, values.astype(np.float64).T, start)


def _to_dense(block: Any) -> Any:  # noqa: ANN401 - sparse or dense, as the file has it
    return block.toarray() if hasattr(block, "toarray") else np.asarray(block)


def _choose_matrix(opened: Any) -> tuple[Any, pd.DataFrame]:  # noqa: ANN401
    """Give the matrix that holds counts, and the table of its genes."""
    if "counts" in opened.layers:
        return opened.layers["counts"], opened.var
    whole, raw = opened.X, opened.raw
    if raw is None or (whole is not None and _is_whole(whole)) or not _is_whole(raw.X):
        return whole, opened.var
    msg = (
        f"X of {opened.filename} holds no whole numbers, so the read counts in its raw are read "
        f"({raw.shape[1]:,} genes)"
    )
    warnings.warn(msg, LeftOutWarning, stacklevel=6)
    return raw.X, raw.var


def _is_whole(matrix: Any) -> bool:  # noqa: ANN401
    """Say whether the first samples hold whole numbers >= 0 only."""
    values = _to_dense(matrix[: min(_N_LOOKED_AT, matrix.shape[0])])
    return bool(np.all((values >= 0) & (values == np.rint(values))))


def _name_genes(var: pd.DataFrame) -> list[str]:
    """Name genes by the index, or by a column of Ensembl ids where the index has none."""
    names = [str(name) for name in var.index]
    if _share_of_ensembl(names) < _MOSTLY:
        for column in _ID_COLUMNS:
            ids = [str(gene) for gene in var[column]] if column in var else []
            if _share_of_ensembl(ids) > _MOSTLY:
                return ids
    return names


def _share_of_ensembl(names: list[str]) -> float:
    return sum(is_ensembl(name) for name in names) / max(1, len(names))
