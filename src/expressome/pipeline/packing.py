"""Pack people's count tables and their sheet into an ARCHS4 file."""

import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.writing import write_archs4
from expressome.blocks import TILE_SAMPLES
from expressome.engine import Resources
from expressome.errors import (
    EmptySelectionError,
    IdentifierWarning,
    InvalidValueError,
    first_few,
)
from expressome.manifest import create_manifest
from expressome.outputs import check_input, check_output
from expressome.pipeline.gene_choice import GeneChoice, choose_genes, find_costs, find_presence
from expressome.pipeline.gene_mapping import GeneMapping, choose_species, map_genes
from expressome.pipeline.table_staging import (
    StagedTable,
    check_organisms,
    check_samples,
    drop_empty_tables,
    read_sheet,
    stage_tables,
)
from expressome.reference.shipped import load_genes
from expressome.results import Summary, to_json

__all__ = ["GeneChoice", "map_genes", "pack"]


def _blocks(
    tables: Sequence[StagedTable],
    mappings: Sequence[GeneMapping],
    *,
    samples: pd.Index,
    genes: pd.Index,
) -> Iterator[NDArray[np.uint32]]:
    """Give the counts in the order of the sheet, 256 samples at a time."""
    columns = [mapping.genes.get_indexer(genes) for mapping in mappings]
    rows = [table.samples.get_indexer(samples) for table in tables]
    for start in range(0, len(samples), TILE_SAMPLES):
        block = np.zeros((min(TILE_SAMPLES, len(samples) - start), len(genes)), np.uint32)
        for t, table in enumerate(tables):
            table_rows = rows[t][start : start + len(block)]
            here = np.flatnonzero(table_rows >= 0)
            if len(here):
                found = np.flatnonzero(columns[t] >= 0)
                counts = mappings[t].apply(table.counts[table_rows[here]])
                block[np.ix_(here, found)] = counts[:, columns[t][found]]
        yield block


def _report_unmapped(mappings: Sequence[GeneMapping]) -> None:
    """Warn of rows without a gene."""
    n_unknown = sum(len(mapping.unknown) for mapping in mappings)
    n_ambiguous = sum(len(mapping.ambiguous) for mapping in mappings)
    if n_unknown + n_ambiguous:
        unknown = dict.fromkeys(name for mapping in mappings for name in mapping.unknown)
        ambiguous = dict.fromkeys(name for mapping in mappings for name in mapping.ambiguous)
        msg = (
            f"{n_unknown + n_ambiguous:,} of {sum(m.n_rows for m in mappings):,} gene rows of "
            f"{len(mappings)} tables were left out: {n_unknown:,} ids are unknown "
            f"({first_few(unknown) or 'none'}), {n_ambiguous:,} ambiguous "
            f"({first_few(ambiguous) or 'none'})"
        )
        warnings.warn(msg, IdentifierWarning, stacklevel=3)


def _describe_tables(
    tables: Sequence[StagedTable], mappings: Sequence[GeneMapping]
) -> list[dict[str, Any]]:
    return [
        {
            "path": table.path,
            "n_samples": len(table.samples),
            **mapping.figures(),
            "n_rounded": table.n_rounded,
            "n_columns_left_out": len(table.left_out),
        }
        for table, mapping in zip(tables, mappings, strict=True)
    ]


def _gene_fields(genes: pd.Index, species: str) -> pd.DataFrame:
    """Give symbol and biotype where the shipped annotation has the gene."""
    known = load_genes(species).reindex(genes)
    return known[["symbol", "biotype"]].astype(object).where(known["symbol"].notna(), "")


def _owners(tables: Sequence[StagedTable], samples: pd.Index) -> NDArray[np.int32]:
    """Give the position of each sample's table."""
    owners = np.zeros(len(samples), np.int32)
    for t, table in enumerate(tables):
        owners[samples.get_indexer(table.samples)] = t
    return owners


def _check_options(counts: Sequence[Path], min_tables: float | None) -> None:
    if not counts:
        msg = "no count table was given; pass at least one"
        raise EmptySelectionError(msg)
    if min_tables is not None and not 0 < min_tables <= 1:
        msg = f"min_tables is {min_tables}; it is a share of the tables, above 0 and at most 1"
        raise InvalidValueError(msg)
    resolved = [path.resolve() for path in counts]
    repeated = {str(path) for path in resolved if resolved.count(path) > 1}
    if repeated:
        msg = f"a table was given twice ({first_few(sorted(repeated))}); pass each once"
        raise InvalidValueError(msg)


def pack(
    counts: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    samples: str | os.PathLike[str],
    out: str | os.PathLike[str],
    genes: GeneChoice = "common",
    min_tables: float | None = None,
    species: str | None = None,
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Summary:
    r"""Pack count tables and a sheet into a valid ARCHS4 file of layout v2.6.

    Parameters
    ----------
    counts
        Tables of raw counts: TSV, CSV (gzipped or not) or Parquet, genes x
        samples; h5ad, samples x genes. Gene ids may be of another kind in each.
    samples
        Sheet (TSV, CSV or Parquet) with columns ``sample`` and ``series``;
        other columns become sample fields. It says which samples are packed,
        and in which order.
    out
        The new file.
    genes
        ``"common"``: genes that every table measures. ``"any"``: genes that one does.
    min_tables
        Genes that at least this share of the tables measures, instead of
        `genes`. For the samples of a table that lacks a gene it is recorded as
        unmeasured: our reader gives NaN, never 0.
    species
        ``"human"`` or ``"mouse"``. None asks the gene ids, which must agree.
    overwrite
        Whether an existing file may be replaced.
    resources
        Where progress is drawn; one table at a time is held in memory.

    Returns
    -------
    Summary
        Samples, series, genes, per table its rows, id kinds, unknown and
        ambiguous ids, summed rows, rounded values and columns left out;
        ``costs``: how many genes more would be common without each table.

    Raises
    ------
    IdentifierError
        If a sample stands twice in sheet, table or tables, has no counts, or
        the species do not agree.
    MissingFieldError
        If the sheet lacks ``sample`` or ``series``.
    EmptySelectionError
        If the tables share no gene.
    InvalidCountsError, ScaleMismatchError, FileFormatError, DamagedFileError
        If a table holds no raw counts, or cannot be read.
    OutputExistsError
        If the output exists and `overwrite` is False.

    Warns
    -----
    LeftOutWarning
        If tables have columns that the sheet lacks.
    IdentifierWarning
        If gene ids are unknown or ambiguous, or samples of another organism.
    FractionalCountsWarning
        If estimated counts were rounded half to even.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.csv").write_text("gene,S1,S2\nTP53,3,4\nALB,0,9\n")
    >>> _ = (folder / "sheet.csv").write_text("sample,series\nS1,GSE1\nS2,GSE1\n")
    >>> summary = pack([folder / "a.csv"], samples=folder / "sheet.csv", out=folder / "x.h5")
    >>> summary.figures["n_samples"], summary.figures["n_genes"]
    (2, 2)
    """
    given = [counts] if isinstance(counts, str | os.PathLike) else list(counts)
    paths = [check_input(path) for path in given]
    _check_options(paths, min_tables)
    place = check_output(out, overwrite=overwrite)
    progress = (resources or Resources()).progress
    sheet = read_sheet(Path(samples))
    manifest = create_manifest(
        "pack",
        inputs=[*paths, samples],
        parameters={"genes": genes, "min_tables": min_tables, "species": species},
    )
    with tempfile.TemporaryDirectory(
        prefix=f".{place.name}.", dir=place.absolute().parent, ignore_cleanup_errors=True
    ) as folder:
        tables = stage_tables(paths, sheet, Path(folder), progress=progress)
        check_samples(tables, sheet, Path(samples))
        tables = drop_empty_tables(tables)
        species = choose_species([(t.name, t.genes) for t in tables], species=species)
        sheet = check_organisms(sheet, species, path=Path(samples))
        mappings = [map_genes(table.genes, species=species) for table in tables]
        presence = find_presence(
            [(table.name, m.genes) for table, m in zip(tables, mappings, strict=True)]
        )
        chosen = choose_genes(presence, genes=genes, min_tables=min_tables)
        measured = presence.measured[:, presence.genes.get_indexer(chosen)]
        is_whole = bool(measured.all())
        _report_unmapped(mappings)
        write_archs4(
            place,
            samples=sheet,
            genes=_gene_fields(chosen, species),
            blocks=_blocks(tables, mappings, samples=sheet.index, genes=chosen),
            species=species,
            tables=None if is_whole else _owners(tables, sheet.index),
            measured=None if is_whole else measured,
            info={"manifest": to_json(manifest)},
            overwrite=overwrite,
        )
    figures = {
        "out": place,
        "species": species,
        "n_samples": len(sheet),
        "n_series": sheet["series"].nunique(),
        "n_tables": len(tables),
        "n_genes": len(chosen),
        "n_genes_common": int(presence.measured.all(axis=0).sum()),
        "n_genes_in_any_table": len(presence.genes),
        "n_genes_unmeasured_in_some_table": int((~measured.all(axis=0)).sum()),
        "n_columns_left_out": sum(len(table.left_out) for table in tables),
        "n_rounded": sum(table.n_rounded for table in tables),
        **find_costs(presence),
        "tables": _describe_tables(tables, mappings),
    }
    return Summary("pack", figures, manifest)
