"""Fields of an open ARCHS4 file under our names, whatever the release calls them."""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.layouts import (
    CANONICAL_FIELDS,
    GENE_FIELDS,
    NUMERIC_FIELDS,
    Layout,
)
from expressome.archs4.metadata import decode_numbers, gene_keys, group_studies
from expressome.archs4.storage import read_array, read_text
from expressome.archs4.structure import gene_datasets, sample_datasets
from expressome.errors import LeftOutWarning

__all__ = [
    "find_species",
    "read_field",
    "read_genes",
    "read_sample_ids",
    "read_samples",
]

_SPECIES_BY_ENSEMBL = {"ENSG": "human", "ENST": "human", "ENSMUSG": "mouse", "ENSMUST": "mouse"}
_SPECIES_BY_ORGANISM = {"homo sapiens": "human", "mus musculus": "mouse"}


def read_sample_ids(file: Any, layout: Layout) -> pd.Index:  # noqa: ANN401
    """Read the sample ids, in file order.

    Parameters
    ----------
    file
        Open HDF5 file.
    layout
        Its layout.

    Returns
    -------
    Index
        Named ``sample``.
    """
    ids = read_text(file, layout.sample_id, is_id=True)
    return pd.Index(ids, dtype=object, name="sample")


def _rename(names: Iterable[str], canonical: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Map stored names to ours: canonical ones first, each canonical name once."""
    names = list(names)
    chosen = {
        next(old for old in candidates if old in names): new
        for new, candidates in canonical.items()
        if any(old in names for old in candidates)
    }
    reserved = {*chosen.values(), "study"}
    others = {old: f"{old} (field)" if old in reserved else old for old in names}
    return chosen | {old: new for old, new in others.items() if old not in chosen}


def _read_columns(
    datasets: dict[str, Any],
    names: dict[str, str],
    n_rows: int,
    *,
    rows: NDArray[np.int64] | None = None,
) -> dict[str, NDArray[Any]]:
    """Read fields, typed, under our names."""
    columns: dict[str, NDArray[Any]] = {}
    for old, new in names.items():
        dataset = datasets[old]
        file, field = dataset.file, dataset.name.strip("/")
        if dataset.shape != (n_rows,):
            msg = (
                f"{file.filename}: {field} has shape {dataset.shape} where ({n_rows},) is "
                "expected; it is left out"
            )
            warnings.warn(msg, LeftOutWarning, stacklevel=4)
        elif new in NUMERIC_FIELDS:
            columns[new] = decode_numbers(read_array(file, field, rows=rows))
        elif dataset.dtype.kind in "iufb":
            columns[new] = read_array(file, field, rows=rows).astype(
                dataset.dtype.newbyteorder("=")
            )
        else:
            columns[new] = read_text(file, field, rows=rows)
    return columns


def read_samples(
    file: Any,  # noqa: ANN401
    layout: Layout,
    ids: pd.Index,
    *,
    rows: NDArray[np.int64] | None = None,
) -> pd.DataFrame:
    """Read all sample fields.

    Parameters
    ----------
    file
        Open HDF5 file.
    layout
        Its layout.
    ids
        The sample ids, all of the file.
    rows
        Positions of the samples wanted; all by default. Studies are then grouped
        among them alone.

    Returns
    -------
    DataFrame
        As `Compendium.samples`.
    """
    datasets = sample_datasets(file, layout)
    names = _rename(datasets, CANONICAL_FIELDS)
    columns = _read_columns(datasets, names, len(ids), rows=rows)
    ids = ids if rows is None else ids[rows]
    series = columns.pop("series", np.full(len(ids), "", dtype=object))
    studies = np.array(group_studies(series.tolist(), ids.tolist()), dtype=object)
    return pd.DataFrame({"series": series, "study": studies} | columns, index=ids, copy=False)


def read_field(
    file: Any,  # noqa: ANN401
    layout: Layout,
    name: str,
    *,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[Any] | None:
    """Read one sample field.

    Parameters
    ----------
    file
        Open HDF5 file.
    layout
        Its layout.
    name
        Our name, the file's, or the one another release gives the same field.
    rows
        Positions of the samples wanted; all by default.

    Returns
    -------
    ndarray or None
        Typed values, shape (n_samples,) or (len(rows),); None if there is no such field.
    """
    datasets = sample_datasets(file, layout)
    names = _rename(datasets, CANONICAL_FIELDS)
    ours = next((new for new, old in CANONICAL_FIELDS.items() if name in old), name)
    chosen = (
        {old: new for old, new in names.items() if new == name}
        or {old: new for old, new in names.items() if old == name}
        or {old: new for old, new in names.items() if new == ours}
    )
    n_samples = file[layout.sample_id].shape[0]
    return next(iter(_read_columns(datasets, chosen, n_samples, rows=rows).values()), None)


def read_genes(file: Any, layout: Layout, n_genes: int) -> pd.DataFrame:  # noqa: ANN401
    """Read all gene fields.

    Parameters
    ----------
    file
        Open HDF5 file.
    layout
        Its layout.
    n_genes
        Genes of the matrix.

    Returns
    -------
    DataFrame
        As `Compendium.genes`.
    """
    datasets = gene_datasets(file, layout)
    columns = _read_columns(datasets, _rename(datasets, GENE_FIELDS), n_genes)
    nothing = np.full(n_genes, "", dtype=object)
    keys = gene_keys(
        columns.pop("ensembl", nothing).tolist(), columns.get("symbol", nothing).tolist()
    )
    columns = {"symbol": columns.pop("symbol", nothing)} | columns
    return pd.DataFrame(columns, index=pd.Index(keys, dtype=object, name="gene"), copy=False)


def find_species(file: Any, layout: Layout, genes: pd.Index) -> str:  # noqa: ANN401
    """Tell the species from gene ids, else from the samples' organism.

    Parameters
    ----------
    file
        Open HDF5 file.
    layout
        Its layout.
    genes
        Gene keys.

    Returns
    -------
    str
        ``"human"``, ``"mouse"`` or empty.
    """
    prefixes = pd.Series(genes, dtype=object).str.extract(r"^(ENS[A-Z]*[GT])\d", expand=False)
    for prefix in prefixes.value_counts().index[:1]:
        return _SPECIES_BY_ENSEMBL.get(prefix, "")
    organism = sample_datasets(file, layout).get("organism_ch1")
    if organism is None:
        return ""
    texts = pd.Series(read_text(file, organism.name.strip("/")), dtype=object)
    for text in texts.value_counts().index[:1]:
        return _SPECIES_BY_ORGANISM.get(text.lower(), "")
    return ""
