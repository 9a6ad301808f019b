"""Read a delimited text table of genes x samples, block by block."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from expressome.errors import DamagedFileError, FileFormatError, InvalidCountsError

__all__ = ["Block", "TextLayout", "describes_genes", "is_ensembl", "read_layout", "text_blocks"]

_GCT_VERSIONS = ("#1.2", "#1.3")
_MISSING = ("", "NA", "na", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", ".", "-")
_N_PROBED_ROWS = 100
# Large enough for parallel parsing; its float64 copies stay well under 100 MB.
_BLOCK_BYTES = 4 * 2**20
# Columns that featureCounts writes between gene id and samples; all five together.
_FEATURECOUNTS = ("Chr", "Start", "End", "Strand", "Length")
# Columns of numbers that describe genes and are no sample, in lower case.
_GENE_FIGURES = frozenset(
    {
        "length",
        "gene_length",
        "genelength",
        "gene length",
        "exon_length",
        "effective_length",
        "width",
        "entrezid",
        "entrez_id",
        "entrez",
        "entrezgene",
        "entrezgene_id",
        "gene_entrezid",
        "ncbi_gene_id",
        "gc_content",
    }
)
_ENSEMBL = re.compile(r"ENS[A-Z]{0,6}[GT]R?\d{10,11}(\.\d+)?(_PAR_Y)?")


@dataclass(frozen=True, slots=True)
class Block:
    """Part of a table.

    Attributes
    ----------
    genes
        Gene ids as written.
    values
        Shape (n_genes_of_block, n_samples_of_block).
    first_sample
        Position of the first sample; other than 0 where a file is read sample by sample.
    """

    genes: list[str]
    values: NDArray[np.float64]
    first_sample: int = 0


@dataclass(frozen=True, slots=True)
class TextLayout:
    """How a text table is laid out.

    Attributes
    ----------
    delimiter
        One character.
    names
        Column names as written, the gene column included (empty if it has none).
    n_skipped_lines
        Physical lines up to and including the header.
    annotation
        Positions of columns that hold no counts (text, featureCounts' coordinates,
        lengths and Entrez ids of genes).
    """

    delimiter: str
    names: tuple[str, ...]
    n_skipped_lines: int
    annotation: frozenset[int]


def _open_bytes(path: Path) -> IO[bytes]:
    """Open a file, inflating it if its first bytes say gzip."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path, "rb") if is_gzip else path.open("rb"))


def _sniff_delimiter(lines: list[str], path: Path) -> str:
    """Choose the delimiter of the first row; a tab wins over marks inside fields."""
    row = lines[1]
    if "\t" in row:
        return "\t"
    mark = max((",", ";"), key=row.count)
    if mark in row:
        return mark
    if " " in row.strip():
        return " "
    msg = (
        f"{path} has no column but the first (first line: {lines[0].strip()[:60]!r}); "
        "a count table holds genes in rows and samples in columns, separated by tabs or commas"
    )
    raise FileFormatError(msg)


def _is_preamble(line: str, n_before: int) -> bool:
    """Tell whether a line stands before the header (featureCounts, GCT)."""
    if line.startswith("# ") or line.strip() in _GCT_VERSIONS:
        return True
    return n_before > 0 and re.fullmatch(r"\d+(\t\d+)+\s*", line) is not None


def _first_lines(path: Path) -> tuple[list[str], int]:
    """Give the header and the first rows as text, and the number of lines before them."""
    lines: list[str] = []
    n_before = 0
    with _open_bytes(path) as raw:
        if raw.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            msg = f"{path} is written in UTF-16; save it as UTF-8 text"
            raise FileFormatError(msg)
        raw.seek(0)
        with io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
            for line in text:
                if not lines and _is_preamble(line, n_before):
                    n_before += 1
                    continue
                lines.append(line)
                if len(lines) > _N_PROBED_ROWS:
                    break
    if len(lines) < 2:
        msg = f"{path} holds {len(lines)} lines; a count table needs a header and one row per gene"
        raise FileFormatError(msg)
    return lines, n_before


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _find_annotation(names: list[str], rows: list[list[str]]) -> frozenset[int]:
    """Find columns that hold text, and featureCounts' coordinate columns."""
    found = set()
    for c in range(1, len(names)):
        filled = [row[c] for row in rows if c < len(row) and row[c].strip() not in _MISSING]
        if filled and not any(_is_number(text) for text in filled):
            found.add(c)
    if tuple(names[1:6]) == _FEATURECOUNTS:
        found.update(range(1, 6))
    found.update(c for c in range(1, len(names)) if describes_genes(names[c]))
    return frozenset(found)


def is_ensembl(name: str) -> bool:
    """Tell an Ensembl gene or transcript id, with or without version.

    Parameters
    ----------
    name
        Any text.

    Returns
    -------
    bool
        Whether it is one.

    Examples
    --------
    >>> is_ensembl("ENSMUSG00000059552.13"), is_ensembl("TP53")
    (True, False)
    """
    return _ENSEMBL.fullmatch(name.strip()) is not None


def describes_genes(name: str) -> bool:
    """Tell a column of lengths or Entrez ids from a sample, by its name.

    Parameters
    ----------
    name
        Of the column.

    Returns
    -------
    bool
        True for ``Length``, ``gene_length``, ``entrezgene_id`` and the like.

    Examples
    --------
    >>> describes_genes("Length"), describes_genes("S1")
    (True, False)
    """
    return name.strip().casefold() in _GENE_FIGURES


def read_layout(path: Path) -> TextLayout:
    r"""Find delimiter, header dialect and columns of a text table.

    Parameters
    ----------
    path
        Text, possibly gzipped.

    Returns
    -------
    TextLayout
        Header dialects: a corner cell of any name, an empty corner cell, or none
        (the header is one field shorter than the rows).

    Raises
    ------
    FileFormatError
        If there is no row, no header, no delimiter, or header and rows differ in length.
    DamagedFileError
        If the gzip stream is damaged.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "counts.csv"
    >>> _ = path.write_text("gene,S 1,S.2\nTP53,3,4\n")
    >>> read_layout(path).names
    ('gene', 'S 1', 'S.2')
    """
    try:
        lines, n_comments = _first_lines(path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"{path} is a damaged gzip file ({error}); fetch or write it again"
        raise DamagedFileError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8"
        raise FileFormatError(msg) from error
    delimiter = _sniff_delimiter(lines, path)
    reader = csv.reader(lines, delimiter=delimiter)
    names = next(reader)
    n_header_lines = reader.line_num
    rows = [row for row in reader if row]
    if not rows:
        msg = f"{path} has a header but no gene; a count table needs one row per gene"
        raise FileFormatError(msg)
    n_fields = len(rows[0])
    if len(names) == n_fields - 1:
        names = ["", *names]
    if is_ensembl(names[0]):
        msg = (
            f"the first line of {path} is a gene ({names[0].strip()}) and no header; "
            "write a line above it that names the samples"
        )
        raise FileFormatError(msg)
    if len(names) != n_fields:
        msg = (
            f"the header of {path} has {len(names)} fields, but its first row has {n_fields}; "
            "the header may have as many or one fewer"
        )
        raise FileFormatError(msg)
    return TextLayout(
        delimiter, tuple(names), n_comments + n_header_lines, _find_annotation(names, rows[:-1])
    )


def _bad_value(path: Path, layout: TextLayout, columns: list[int]) -> InvalidCountsError | None:
    """Find the first cell that is no number, for the message."""
    with (
        io.TextIOWrapper(
            _open_bytes(path), encoding="utf-8-sig", errors="replace", newline=""
        ) as text,
        suppress(csv.Error),  # the caller's message then
    ):
        for _ in range(layout.n_skipped_lines):
            next(text)
        for row in csv.reader(text, delimiter=layout.delimiter):
            if row and len(row) != len(layout.names):
                return None
            for c in columns if row else []:
                if row[c].strip() not in _MISSING and not _is_number(row[c]):
                    msg = (
                        f"{path} holds {row[c]!r} for gene {row[0]}, sample {layout.names[c]}, "
                        "which is no number; correct the cell or leave the column out"
                    )
                    return InvalidCountsError(msg)
    return None


def _read_batches(path: Path, layout: TextLayout, columns: list[int]) -> Iterator[pa.RecordBatch]:
    """Parse the rows; columns are named by position, so that no name is altered."""
    positions = [str(c) for c in range(len(layout.names))]
    with _open_bytes(path) as raw:
        yield from pyarrow.csv.open_csv(
            pa.PythonFile(raw, mode="r"),
            read_options=pyarrow.csv.ReadOptions(
                column_names=positions,
                skip_rows=layout.n_skipped_lines,
                block_size=max(_BLOCK_BYTES, 64 * len(layout.names)),
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=layout.delimiter),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={"0": pa.string()} | {str(c): pa.float64() for c in columns},
                include_columns=["0", *map(str, columns)],
                null_values=list(_MISSING),
                strings_can_be_null=False,
            ),
        )


def text_blocks(path: Path, layout: TextLayout, columns: list[int]) -> Iterator[Block]:
    r"""Read the counts of a text table, a few thousand genes at a time.

    Parameters
    ----------
    path
        Text, possibly gzipped.
    layout
        From `read_layout`.
    columns
        Positions of the samples to read; other columns are not converted.

    Yields
    ------
    Block
        Some genes of all samples, NaN where a cell is empty or NA. Gene ids
        are never read as numbers or as missing.

    Raises
    ------
    InvalidCountsError
        If a cell is no number.
    FileFormatError
        If rows differ in length or the text is not UTF-8.
    DamagedFileError
        If the gzip stream is damaged.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "counts.csv"
    >>> _ = path.write_text("gene,S1\nNA,3\n")
    >>> next(text_blocks(path, read_layout(path), [1])).genes
    ['NA']
    """
    try:
        for batch in _read_batches(path, layout, columns):
            genes = [gene.strip() for gene in batch.column(0).to_pylist()]
            values = np.empty((batch.num_rows, len(columns)))
            for i in range(len(columns)):
                values[:, i] = batch.column(i + 1).to_numpy(zero_copy_only=False)
            yield Block(genes, values)
    except pa.ArrowInvalid as error:
        bad = _bad_value(path, layout, columns)
        if bad is not None:
            raise bad from None
        msg = (
            f"{path} cannot be read as a table ({str(error).splitlines()[0]}); "
            f"each row needs {len(layout.names)} fields"
        )
        raise FileFormatError(msg) from error
    except (EOFError, zlib.error, OSError) as error:
        msg = f"{path} is a damaged gzip file ({error}); fetch or write it again"
        raise DamagedFileError(msg) from error
