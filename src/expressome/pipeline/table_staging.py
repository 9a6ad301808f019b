"""Read a sheet and the tables it names, one table after the other, onto disk."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.annotation.sheets import read_table
from expressome.archs4.layouts import CANONICAL_FIELDS
from expressome.engine import Progress
from expressome.errors import (
    EmptySelectionError,
    IdentifierError,
    IdentifierWarning,
    LeftOutWarning,
    MissingFieldError,
    first_few,
)
from expressome.outputs import check_input
from expressome.pipeline.gene_mapping import to_species
from expressome.tables import read_counts

__all__ = [
    "StagedTable",
    "check_organisms",
    "check_samples",
    "drop_empty_tables",
    "read_sheet",
    "stage_tables",
]

# What a sheet calls the species.
_ORGANISM_COLUMNS = ("organism", "species", "organism_ch1")
_LATIN = {"human": "Homo sapiens", "mouse": "Mus musculus"}


@dataclass(frozen=True, slots=True)
class StagedTable:
    """One table; its counts lie on disk, so that memory holds one table at a time.

    Attributes
    ----------
    path
        Where it was read.
    samples, genes
        Ids as written.
    counts
        Read from disk where asked, shape (n_samples, n_genes).
    n_rounded
        Fractional values that were rounded.
    left_out
        Columns that were not packed.
    """

    path: Path
    samples: pd.Index
    genes: pd.Index
    counts: NDArray[np.uint32]
    n_rounded: int
    left_out: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name


def _spare_names(sheet: pd.DataFrame) -> pd.DataFrame:
    """Rename columns that would write the same field of the file twice."""
    taken = {"geo_accession", "study"}
    for name, stored in CANONICAL_FIELDS.items():
        taken |= {stored[0]} if name in sheet else set()
    return sheet.rename(columns={name: f"{name}_in_sheet" for name in taken & set(sheet.columns)})


def read_sheet(path: Path) -> pd.DataFrame:
    r"""Read a sheet of samples.

    Parameters
    ----------
    path
        TSV, CSV or Parquet with columns ``sample`` and ``series``, whatever their case.

    Returns
    -------
    DataFrame
        Index sample ids; ``series`` and every other column as text. A column
        that would occupy a field of ARCHS4's own is named ``..._in_sheet``.

    Raises
    ------
    MissingFieldError
        If one of the two columns is absent.
    IdentifierError
        If a sample stands twice, or has no id.
    EmptySelectionError
        If the sheet has no row.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "sheet.csv"
    >>> _ = path.write_text("Sample,Series\nS1,GSE1\n")
    >>> read_sheet(path).loc["S1", "series"]
    'GSE1'
    """
    sheet = read_table(check_input(path))
    folded = {str(name).casefold(): str(name) for name in reversed(list(sheet.columns))}
    missing = [name for name in ("sample", "series") if name not in folded]
    if missing:
        msg = (
            f"{path} has no column {' and no column '.join(missing)} "
            f"(columns: {first_few(sheet.columns)}); a sheet needs sample and series"
        )
        raise MissingFieldError(msg)
    if sheet.empty:
        msg = f"{path} names no sample; a sheet has one row per sample"
        raise EmptySelectionError(msg)
    sheet = sheet.rename(columns={folded[name]: name for name in ("sample", "series")})
    n_empty = int((sheet["sample"] == "").sum())
    if n_empty:
        msg = f"{n_empty} of {len(sheet):,} rows of {path} have no sample id; fill column sample"
        raise IdentifierError(msg)
    repeated = sheet["sample"][sheet["sample"].duplicated()].unique()
    if len(repeated):
        msg = (
            f"{len(repeated)} of {sheet['sample'].nunique():,} sample ids occur more than once in "
            f"{path} ({first_few(repeated)}); give every sample one row"
        )
        raise IdentifierError(msg)
    return _spare_names(sheet.set_index("sample"))


def check_samples(tables: Sequence[StagedTable], sheet: pd.DataFrame, path: Path) -> None:
    """Refuse a sample in two tables, and one of the sheet that is in none.

    Parameters
    ----------
    tables
        All tables.
    sheet
        Index sample ids.
    path
        Of the sheet, for messages.

    Raises
    ------
    IdentifierError
        If there is such a sample.
    """
    owners: dict[str, Path] = {}
    for table in tables:
        for sample in table.samples:
            if sample in owners:
                msg = (
                    f"sample {sample} is in {owners[sample]} and in {table.path}; "
                    "give every sample an id of its own, or leave one table out"
                )
                raise IdentifierError(msg)
            owners[sample] = table.path
    absent = [sample for sample in sheet.index if sample not in owners]
    if not absent:
        return
    hint = "add their tables or remove the rows"
    if any(table.genes.isin(absent).any() for table in tables):
        hint = "a table names them in its rows: write it with genes in rows, samples in columns"
    msg = (
        f"{len(absent):,} of {len(sheet):,} samples of {path} have no counts in the "
        f"{len(tables)} tables ({first_few(absent)}); {hint}"
    )
    raise IdentifierError(msg)


def check_organisms(sheet: pd.DataFrame, species: str, *, path: Path) -> pd.DataFrame:
    """Hold a sheet's organisms against the species of the gene ids.

    Parameters
    ----------
    sheet
        Sample fields; ``organism``, ``species`` or ``organism_ch1`` may be among them.
    species
        What the gene ids are.
    path
        Of the sheet, for messages.

    Returns
    -------
    DataFrame
        The sheet with ARCHS4's field ``organism_ch1`` where it names an organism.

    Raises
    ------
    IdentifierError
        If the sheet names the other of human and mouse.

    Warns
    -----
    IdentifierWarning
        If samples are of a third organism, whose counts carry `species` ids.
    """
    column = next((name for name in _ORGANISM_COLUMNS if name in sheet), None)
    if column is None:
        return sheet
    known = sheet[column].map({name: to_species(name) for name in sheet[column].unique()})
    wrong = sheet.index[(known != "") & (known != species)]
    if len(wrong):
        msg = (
            f"{len(wrong)} of {len(sheet)} samples of {path} are {known[wrong[0]]} in column "
            f"{column} ({first_few(wrong)}), but their gene ids are {species}; "
            "pack each species by itself"
        )
        raise IdentifierError(msg)
    others = sheet.loc[(known == "") & (sheet[column] != ""), column].value_counts()
    if len(others):
        names = first_few(f"{name}: {n}" for name, n in others.items())
        msg = (
            f"{int(others.sum())} of {len(sheet)} samples of {path} are of another organism "
            f"({names}) with {species} gene ids; they were packed as {species} orthologues: "
            "leave them out of the sheet if that is not meant"
        )
        warnings.warn(msg, IdentifierWarning, stacklevel=3)
    latin = sheet[column].where(known == "", known.map(_LATIN))
    return sheet.drop(columns="organism_ch1", errors="ignore").assign(organism_ch1=latin)


def stage_tables(
    paths: Sequence[Path], sheet: pd.DataFrame, folder: Path, *, progress: Progress
) -> list[StagedTable]:
    """Read one table after the other, each onto disk.

    Parameters
    ----------
    paths
        Count tables.
    sheet
        Index: the samples to read.
    folder
        Where the counts wait; the caller removes it.
    progress
        Told of every table.

    Returns
    -------
    list
        One per table, in order; a table may hold no sample of the sheet.
    """
    wanted = set(sheet.index)
    tables = []
    for t, path in enumerate(paths):
        progress("read tables", t, len(paths))
        table = read_counts(path, samples=wanted)
        place = folder / f"{t}.npy"
        np.save(place, table.counts)
        stored = np.load(place, mmap_mode="r")
        tables.append(
            StagedTable(path, table.samples, table.genes, stored, table.n_rounded, table.left_out)
        )
    progress("read tables", len(paths), len(paths))
    return tables


def drop_empty_tables(tables: list[StagedTable]) -> list[StagedTable]:
    """Report columns without a sheet row; drop tables that hold nothing else.

    Parameters
    ----------
    tables
        All tables.

    Returns
    -------
    list
        Those that hold a sample of the sheet.

    Warns
    -----
    LeftOutWarning
        If a column was left out.
    """
    n_left_out = sum(len(table.left_out) for table in tables)
    if not n_left_out:
        return tables
    kept = [table for table in tables if len(table.samples)]
    msg = (
        f"{n_left_out:,} columns of {len(tables)} tables are not in the sheet and were left out "
        f"({first_few(name for table in tables for name in table.left_out)})"
    )
    if len(kept) < len(tables):
        empty = [table.name for table in tables if not len(table.samples)]
        msg += f"; {len(empty)} tables hold no sample of the sheet ({first_few(empty)})"
    warnings.warn(msg, LeftOutWarning, stacklevel=3)
    return kept
