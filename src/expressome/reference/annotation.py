"""Read the genes, transcripts and exons of a GENCODE or Ensembl GTF."""

import gzip
import os
import re
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from expressome.errors import DamagedFileError, FileFormatError, MissingFieldError
from expressome.outputs import check_input
from expressome.reference.identifiers import strip_version

__all__ = ["Annotation", "read_annotation", "sum_transcripts", "unite_exons"]

# Bytes of text handled at once; a GENCODE GTF is 1.5 GB of text.
_BLOCK_BYTES = 2**24
_ATTRIBUTES = {
    "gene": re.compile(rb'\bgene_id "([^"]+)"'),
    "transcript": re.compile(rb'\btranscript_id "([^"]+)"'),
    "symbol": re.compile(rb'\bgene_name "([^"]*)"'),
    # GENCODE writes gene_type, Ensembl gene_biotype.
    "biotype": re.compile(rb'\bgene_(?:bio)?type "([^"]*)"'),
}
# No chromosome is longer, so that genes laid end to end never touch.
_GENE_STRIDE = 2**32


@dataclass(frozen=True, slots=True)
class Annotation:
    """The gene models of one GTF.

    Attributes
    ----------
    path
        Where it was read from.
    genes
        Index ``gene`` (Ensembl id without version, file order); columns
        ``symbol`` and ``biotype`` (empty where the file has none).
    transcripts
        Transcript ids without version, in order of appearance.
    exons
        One row per exon of a transcript: ``gene`` (row of `genes`),
        ``transcript`` (position in `transcripts`, -1 where the line names none),
        ``chromosome`` (a number per name and strand), ``start`` and ``end`` (1-based, both
        included).
    """

    path: Path
    genes: pd.DataFrame
    transcripts: pd.Index
    exons: pd.DataFrame


@dataclass(slots=True)
class _Collector:
    """Exons as they are read; ids become numbers at once, to keep memory small."""

    path: Path
    genes: dict[bytes, int] = field(default_factory=dict)
    transcripts: dict[bytes, int] = field(default_factory=dict)
    chromosomes: dict[bytes, int] = field(default_factory=dict)
    symbols: dict[bytes, bytes] = field(default_factory=dict)
    biotypes: dict[bytes, bytes] = field(default_factory=dict)
    columns: "tuple[array[int], ...]" = field(
        default_factory=lambda: tuple(array("q") for _ in range(5))
    )

    def refuse(self, n_line: int, problem: str) -> FileFormatError:
        """Make the error of one line."""
        msg = f"{self.path}, line {n_line:,}: {problem}; pass a GENCODE or Ensembl GTF"
        return FileFormatError(msg)

    def add(self, line: bytes, n_line: int) -> None:
        """Take one exon or gene line."""
        fields = line.split(b"\t", 8)
        if len(fields) < 9 or fields[2] not in {b"exon", b"gene"}:
            return
        match = _ATTRIBUTES["gene"].search(fields[8])
        if match is None:
            kind = "GFF3 (key=value)" if b"=" in fields[8] else 'not written as gene_id "..."'
            raise self.refuse(n_line, f"no gene_id in its attributes, which are {kind}")
        gene = match[1]
        if gene not in self.symbols:
            self.describe(gene, fields[8])
        if fields[2] == b"exon":
            self.add_exon(gene, fields, n_line)

    def describe(self, gene: bytes, attributes: bytes) -> None:
        """Note symbol and biotype of a gene."""
        symbol = _ATTRIBUTES["symbol"].search(attributes)
        biotype = _ATTRIBUTES["biotype"].search(attributes)
        self.symbols[gene] = symbol[1] if symbol else b""
        self.biotypes[gene] = biotype[1] if biotype else b""

    def add_exon(self, gene: bytes, fields: list[bytes], n_line: int) -> None:
        """Take the place of one exon."""
        if not (fields[3].isdigit() and fields[4].isdigit()):
            where = b" to ".join(fields[3:5]).decode(errors="replace")
            raise self.refuse(n_line, f"the exon runs from {where}, which are not positions")
        start, end = int(fields[3]), int(fields[4])
        if not 1 <= start <= end < _GENE_STRIDE:
            raise self.refuse(n_line, f"the exon runs from {start} to {end}")
        match = _ATTRIBUTES["transcript"].search(fields[8])
        transcript = -1
        if match is not None:
            transcript = self.transcripts.setdefault(match[1], len(self.transcripts))
        row = (
            self.genes.setdefault(gene, len(self.genes)),
            transcript,
            self.chromosomes.setdefault(fields[0] + fields[6], len(self.chromosomes)),
            start,
            end,
        )
        for column, value in zip(self.columns, row, strict=True):
            column.append(value)

    def decode(self, name: bytes) -> str:
        """Give a name as text."""
        try:
            return name.decode()
        except UnicodeDecodeError as error:
            msg = f"{self.path} holds the name {name!r}, which is not UTF-8; fetch the file again"
            raise FileFormatError(msg) from error

    def finish(self) -> Annotation:
        """Turn what was read into tables."""
        names = ("gene", "transcript", "chromosome", "start", "end")
        exons = pd.DataFrame(
            {
                name: np.frombuffer(column, dtype=np.int64)
                for name, column in zip(names, self.columns, strict=True)
            }
        )
        genes = pd.DataFrame(
            {
                "symbol": [self.decode(self.symbols[gene]) for gene in self.genes],
                "biotype": [self.decode(self.biotypes[gene]) for gene in self.genes],
            },
            index=pd.Index([strip_version(self.decode(gene)) for gene in self.genes], name="gene"),
        )
        transcripts = pd.Index([strip_version(self.decode(name)) for name in self.transcripts])
        return Annotation(self.path, genes, transcripts.rename("transcript"), exons)


def _read_blocks(path: Path) -> Iterator[bytes]:
    """Read a text file, gzipped or not, in blocks that end with a line."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    n_bytes, rest = 0, b""
    with gzip.open(path, "rb") if is_gzip else path.open("rb") as file:
        while True:
            try:
                block = file.read(_BLOCK_BYTES)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                msg = (
                    f"{path} is damaged or cut off after {n_bytes:,} bytes of text "
                    f"({error}); fetch it again"
                )
                raise DamagedFileError(msg) from error
            if not block:
                break
            n_bytes += len(block)
            head, newline, tail = block.rpartition(b"\n")
            if newline:
                yield rest + head
                rest = tail
            else:
                rest += block
    if rest:
        yield rest


def _check_first_line(path: Path, block: bytes) -> bool:
    """Refuse text that is no GTF by its first line that is not a comment."""
    for line in block.splitlines():
        if line.startswith(b"#") or not line.strip():
            continue
        n_fields = line.count(b"\t") + 1
        if n_fields != 9:
            text = line[:40].decode(errors="replace")
            msg = (
                f"{path} is not a GTF: its first line has {n_fields} tab-separated fields "
                f"instead of 9 ({text!r}); pass a GENCODE or Ensembl GTF, gzipped or not"
            )
            raise FileFormatError(msg)
        return True
    return False


def read_annotation(path: str | os.PathLike[str]) -> Annotation:
    r"""Read the exons of every gene and transcript of a GTF.

    Parameters
    ----------
    path
        A GENCODE or Ensembl GTF, gzipped or not (told by content, not by name).

    Returns
    -------
    Annotation
        Genes, transcripts and exons; ids without version, ``_PAR_Y`` kept.

    Raises
    ------
    InputNotFoundError
        If there is no such file.
    FileFormatError
        If it is not a GTF, holds no exon line, or an exon has no gene or no place.
    DamagedFileError
        If it is cut off.

    Notes
    -----
    One pass in blocks of 16 MiB; memory grows with the number of exons only
    (40 bytes each), not with the file.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "two_exons.gtf"
    >>> line = 'chr1\tme\texon\t{}\t{}\t.\t+\t.\tgene_id "G"; transcript_id "T";\n'
    >>> _ = place.write_text(line.format(1, 10) + line.format(21, 30))
    >>> read_annotation(place).exons["end"].tolist()
    [10, 30]
    """
    path = check_input(path)
    collector = _Collector(path)
    n_line, is_checked = 0, False
    for block in _read_blocks(path):
        is_checked = is_checked or _check_first_line(path, block)
        for line in block.split(b"\n"):
            n_line += 1
            if (b"\texon\t" in line or b"\tgene\t" in line) and not line.startswith(b"#"):
                collector.add(line, n_line)
    if not collector.genes:
        what = "holds no exon line" if is_checked else "is empty"
        msg = f"{path} {what} ({n_line:,} lines); pass a whole GENCODE or Ensembl GTF"
        raise FileFormatError(msg)
    return collector.finish()


def unite_exons(annotation: Annotation) -> pd.Series:
    """Count the bases that any exon of a gene covers.

    Parameters
    ----------
    annotation
        What `read_annotation` gives.

    Returns
    -------
    Series
        Bases per gene (int64), in the order of ``annotation.genes``.

    References
    ----------
    Equal to RNAnorm's union exon length, https://github.com/genialis/RNAnorm

    Examples
    --------
    >>> genes = pd.DataFrame(index=["G"])
    >>> exons = pd.DataFrame({"gene": [0, 0], "chromosome": 0, "start": [1, 6], "end": [10, 15]})
    >>> unite_exons(Annotation(Path("x"), genes, pd.Index(["T"]), exons)).tolist()
    [15]
    """
    place = annotation.exons[["gene", "chromosome", "start", "end"]].to_numpy()
    place = place[np.lexsort(place.T[[2, 1, 0]])]
    # Every gene on every chromosome gets a stretch of its own on one long axis.
    is_new = np.diff(place[:, :2], axis=0, prepend=-1).any(axis=1)
    offset = np.cumsum(is_new) * _GENE_STRIDE
    start, end = place[:, 2] + offset, place[:, 3] + offset
    covered_to = np.concatenate([[0], np.maximum.accumulate(end)[:-1]])
    n_new = np.maximum(end - np.maximum(start - 1, covered_to), 0)
    length_bp = np.zeros(len(annotation.genes), dtype=np.int64)
    np.add.at(length_bp, place[:, 0], n_new)
    return pd.Series(length_bp, annotation.genes.index, name="union_bp")


def sum_transcripts(annotation: Annotation) -> pd.DataFrame:
    """Measure every transcript: bases in its exons, and bases it spans.

    Parameters
    ----------
    annotation
        What `read_annotation` gives.

    Returns
    -------
    DataFrame
        Index ``gene``, ``transcript``; ``spliced_bp``: sum of end - start + 1 of its
        exons (a line that occurs twice counts once); ``span_bp``: last base -
        first base + 1, introns included.

    Raises
    ------
    MissingFieldError
        If exon lines name no transcript.

    Examples
    --------
    >>> genes = pd.DataFrame(index=["G"])
    >>> exons = pd.DataFrame(
    ...     {"gene": [0, 0], "transcript": 0, "chromosome": 0, "start": [1, 21], "end": [10, 30]}
    ... )
    >>> sum_transcripts(Annotation(Path("x"), genes, pd.Index(["T"]), exons)).to_numpy().tolist()
    [[20, 30]]
    """
    exons = annotation.exons
    n_nameless = int((exons["transcript"] < 0).sum())
    if n_nameless:
        msg = (
            f"{n_nameless:,} of {len(exons):,} exon lines in {annotation.path} carry no "
            "transcript_id, so that the longest transcript is not known; "
            "pass definition='union' or a complete GTF"
        )
        raise MissingFieldError(msg)
    exons = exons.drop_duplicates()
    exons = exons.assign(length_bp=exons["end"] - exons["start"] + 1)
    grouped = exons.groupby(["gene", "transcript", "chromosome"], sort=False)
    found = grouped.agg(spliced_bp=("length_bp", "sum"), start=("start", "min"), end=("end", "max"))
    found["span_bp"] = found["end"] - found["start"] + 1
    rows = found.index
    found.index = pd.MultiIndex.from_arrays(
        [
            annotation.genes.index[rows.get_level_values("gene")],
            annotation.transcripts[rows.get_level_values("transcript")],
        ],
        names=["gene", "transcript"],
    )
    return found[["spliced_bp", "span_bp"]]
