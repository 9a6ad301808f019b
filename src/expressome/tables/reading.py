"""Read one count table of any format into samples x genes."""

import os
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import (
    EmptySelectionError,
    FileFormatError,
    FractionalCountsWarning,
    IdentifierError,
    IdentifierWarning,
    LeftOutWarning,
    first_few,
)
from expressome.outputs import check_input
from expressome.tables.columnar import (
    h5ad_blocks,
    open_h5ad,
    parquet_blocks,
    read_parquet_layout,
)
from expressome.tables.delimited import Block, read_layout, text_blocks
from expressome.tables.scale import ColumnProfile, refuse_bad_values, refuse_other_scales

__all__ = ["CountTable", "read_counts"]

# What spreadsheets make of MARCH1, SEPT2, DEC1: `1-Mar`, `Sep-02`, `2020-03-01`.
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec"
_DATE = re.compile(
    rf"\d{{1,2}}[-/ ]({_MONTHS})|({_MONTHS})[-/ ]\d{{1,2}}|\d{{4}}[-/]\d\d[-/]\d\d( 00:00:00)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class CountTable:
    """Read counts of one table.

    Attributes
    ----------
    path
        Where they were read.
    genes
        Gene ids as written, shape (n_genes,); may repeat.
    samples
        Sample ids as written, shape (n_samples,); unique.
    counts
        uint32, shape (n_samples, n_genes).
    n_rounded
        Values that were fractional and were rounded half to even.
    left_out
        Columns that hold no counts, or were not asked for.
    """

    path: Path
    genes: pd.Index
    samples: pd.Index
    counts: NDArray[np.uint32]
    n_rounded: int
    left_out: tuple[str, ...] = ()


# Counts (genes x samples), position of the first gene, position of the first sample.
_Piece = tuple[NDArray[np.uint32], int, int]


@dataclass(frozen=True, slots=True)
class _Source:
    """Samples of a table, how to read them, and what was left out."""

    samples: pd.Index
    blocks: Iterator[Block]
    annotation: tuple[str, ...]
    unasked: tuple[str, ...]


def _refuse_repeats(names: pd.Index, path: Path) -> None:
    """Raise if a sample id stands twice."""
    repeated = names[names.duplicated()].unique()
    if len(repeated):
        msg = (
            f"{len(repeated)} of {names.nunique():,} sample ids occur more than once in {path} "
            f"({first_few(repeated)}); give every sample an id of its own"
        )
        raise IdentifierError(msg)


def _choose(
    names: list[str], positions: list[int], *, asked: Collection[str] | None, path: Path
) -> tuple[list[int], tuple[str, ...]]:
    """Keep the sample columns that were asked for."""
    _refuse_repeats(pd.Index([names[c] for c in positions]), path)
    if asked is None:
        return positions, ()
    wanted = set(asked)
    kept = [c for c in positions if names[c] in wanted]
    return kept, tuple(names[c] for c in positions if names[c] not in wanted)


def _open_text(path: Path, asked: Collection[str] | None) -> _Source:
    layout = read_layout(path)
    names = [name.strip() for name in layout.names]
    positions = [c for c in range(1, len(names)) if c not in layout.annotation]
    kept, unasked = _choose(names, positions, asked=asked, path=path)
    annotation = tuple(names[c] for c in sorted(layout.annotation))
    samples = pd.Index([names[c] for c in kept], dtype=object)
    return _Source(samples, text_blocks(path, layout, kept), annotation, unasked)


def _open_parquet(path: Path, asked: Collection[str] | None) -> _Source:
    layout = read_parquet_layout(path)
    names = list(layout.names)
    hidden = layout.annotation | {layout.gene_column}
    positions = [c for c in range(len(names)) if c not in hidden]
    kept, unasked = _choose(names, positions, asked=asked, path=path)
    annotation = tuple(names[c] for c in sorted(layout.annotation))
    samples = pd.Index([names[c] for c in kept], dtype=object)
    return _Source(samples, parquet_blocks(path, layout, kept), annotation, unasked)


def _open_h5ad(path: Path, asked: Collection[str] | None) -> _Source:
    opened = open_h5ad(path)
    names = [str(name) for name in opened.obs_names]
    kept, unasked = _choose(names, list(range(len(names))), asked=asked, path=path)
    samples = pd.Index([names[i] for i in kept], dtype=object)
    return _Source(samples, h5ad_blocks(opened, kept), (), unasked)


def _open(path: Path, asked: Collection[str] | None) -> _Source:
    """Choose the reader by the first bytes, never by the name."""
    with path.open("rb") as file:
        magic = file.read(8)
    if magic.startswith(b"PAR1"):
        return _open_parquet(path, asked)
    if magic.startswith(b"\x89HDF"):
        return _open_h5ad(path, asked)
    if magic.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        msg = f"{path} is an archive or a spreadsheet; export the counts as TSV or CSV"
        raise FileFormatError(msg)
    if not magic:
        msg = f"{path} is empty; a count table needs a header and one row per gene"
        raise FileFormatError(msg)
    return _open_text(path, asked)


def _join(pieces: list[_Piece], n_samples: int, n_genes: int) -> NDArray[np.uint32]:
    """Turn pieces (genes x samples) into samples x genes, freeing each piece when copied."""
    counts = np.empty((n_samples, n_genes), np.uint32)
    pieces.reverse()
    while pieces:
        piece, first_gene, first_sample = pieces.pop()
        genes = slice(first_gene, first_gene + piece.shape[0])
        counts[first_sample : first_sample + piece.shape[1], genes] = piece.T
    return counts


def _report_fractions(n_rounded: int, n_values: int, path: Path) -> None:
    if n_rounded:
        msg = (
            f"{n_rounded:,} of {n_values:,} values ({n_rounded / n_values:.1%}) in {path} are "
            "fractional estimated counts; they were rounded half to even"
        )
        warnings.warn(msg, FractionalCountsWarning, stacklevel=3)


def _report_dates(genes: pd.Index, path: Path) -> None:
    dates = [gene for gene in genes if _DATE.fullmatch(gene)]
    if dates:
        msg = (
            f"{len(dates)} of {len(genes):,} gene ids in {path} are dates ({first_few(dates)}), "
            "which a spreadsheet made of gene names; restore them from the original table"
        )
        warnings.warn(msg, IdentifierWarning, stacklevel=3)


def read_counts(
    path: str | os.PathLike[str], *, samples: Collection[str] | None = None
) -> CountTable:
    r"""Read one table of raw counts, whatever its format.

    Parameters
    ----------
    path
        Genes x samples as TSV, CSV (also with semicolons or blanks; gzipped or
        not) or Parquet; or samples x genes as h5ad, whose layer ``counts`` is
        read where there is one, else X, else raw. The first bytes decide, not the name.
        Text has gene ids in the first column, under any name or none.
    samples
        Sample ids to read; None reads all. Other columns are neither parsed
        nor checked, and listed in `left_out`.

    Returns
    -------
    CountTable
        Counts as uint32, shape (n_samples, n_genes). No id is altered: a gene
        ``NA``, a sample ``1`` or ``S.1`` stay what they are.

    Raises
    ------
    InputNotFoundError
        If there is no such file.
    FileFormatError, DamagedFileError
        If it is no table, or cannot be read to its end.
    IdentifierError
        If a sample id occurs twice.
    InvalidCountsError
        If a value is negative, missing, infinite or no number.
    ScaleMismatchError
        If samples look like TPM, FPKM, CPM or logarithms.
    EmptySelectionError
        If no gene or no sample is left.

    Warns
    -----
    FractionalCountsWarning
        If estimated counts were rounded half to even, with their number.
    IdentifierWarning
        If gene ids are dates made by a spreadsheet.
    LeftOutWarning
        If columns of text, or lengths and ids of genes, stand between the counts; or
        counts are read from ``raw`` because X holds none.

    Notes
    -----
    Memory: at most eight bytes per count, while pieces are joined, plus 200 MB.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "counts.tsv"
    >>> _ = path.write_text("gene\tS1\tS2\nTP53\t3\t0\nALB\t0\t7\n")
    >>> read_counts(path).counts
    array([[3, 0], [0, 7]], dtype=uint32)
    """
    path = check_input(path)
    source = _open(path, samples)
    n_samples = len(source.samples)
    if n_samples == 0 and not source.unasked:
        msg = f"{path} has no column of counts; a count table holds one column per sample"
        raise EmptySelectionError(msg)
    profile = ColumnProfile.empty(n_samples)
    pieces: list[_Piece] = []
    genes: list[str] = []
    for block in source.blocks:
        profile.add(block.values, block.genes, first_sample=block.first_sample)
        with np.errstate(invalid="ignore"):
            rounded = np.rint(block.values).astype(np.uint32)
        pieces.append((rounded, 0 if block.first_sample else len(genes), block.first_sample))
        if not block.first_sample:
            genes += block.genes
    if not genes:
        msg = f"{path} holds no gene; a count table needs one row per gene"
        raise EmptySelectionError(msg)
    refuse_other_scales(profile, source.samples, path)
    refuse_bad_values(profile, source.samples, path)
    index = pd.Index(genes, dtype=object)
    n_rounded = int(profile.n_fractional.sum())
    _report_fractions(n_rounded, int(profile.n_values.sum()), path)
    _report_dates(index, path)
    if source.annotation:
        msg = (
            f"{len(source.annotation)} columns of {path} hold no counts and were left out "
            f"({first_few(source.annotation)})"
        )
        warnings.warn(msg, LeftOutWarning, stacklevel=2)
    counts = _join(pieces, n_samples, len(genes))
    return CountTable(
        path, index, source.samples, counts, n_rounded, source.annotation + source.unasked
    )
