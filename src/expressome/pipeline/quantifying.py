"""Quantify FASTQ files: kallisto's transcripts summed to a count table of genes."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from expressome.engine import Resources
from expressome.errors import IdentifierError, InvalidValueError, LeftOutWarning, first_few
from expressome.manifest import create_manifest
from expressome.outputs import check_input, check_output, staged_output
from expressome.quantification import (
    Quantified,
    ReadSet,
    find_kallisto,
    group_reads,
    quantify_reads,
    sum_genes,
)
from expressome.reference.annotation import read_annotation
from expressome.reference.identifiers import strip_version
from expressome.results import Summary, to_json

__all__ = ["quantify"]

StrPath = str | os.PathLike[str]

_HEADERS = {"transcript", "transcript_id", "target_id", "tx", "txname", "tx_id", "enst"}


def quantify(
    reads: Sequence[StrPath],
    *,
    index: StrPath,
    out: StrPath,
    gtf: StrPath | None = None,
    transcript_map: StrPath | None = None,
    single: bool = False,
    fragment_length: float | None = None,
    sd: float | None = None,
    fractional: bool = False,
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Turn FASTQ files into a table of gene counts, as ARCHS4 does.

    kallisto estimates the counts of transcripts; those of a gene are summed and
    rounded half to even, since ARCHS4 publishes whole numbers.

    Parameters
    ----------
    reads
        FASTQ files of one or more samples, as `group_reads` takes them.
    index
        What ``kallisto index`` made of a transcriptome.
    out
        The new table, genes x samples (``.tsv`` or ``.tsv.gz``), for `pack` and `predict`.
    gtf
        GENCODE or Ensembl GTF that says which gene a transcript belongs to.
    transcript_map
        Table (tab-separated) of transcript and gene, instead of `gtf`. Neither is
        needed where the index was made of GENCODE's FASTA, whose names hold both.
    single
        Whether all reads are single ends, whatever the files' names.
    fragment_length
        Mean length of the fragments, in bases; needed for single ends.
    sd
        Its standard deviation, in bases.
    fractional
        Whether to write the sums as estimated, unrounded.
    overwrite
        Whether an existing table may be replaced.
    resources
        Threads.

    Returns
    -------
    Summary
        Samples, genes, transcripts, reads and aligned reads per sample, counts rounded.

    Raises
    ------
    ProgramError
        If kallisto is not installed (the message says how) or fails.
    InvalidValueError
        If single ends come without fragment length, or nothing tells the genes.
    IdentifierError
        If no transcript of the index is in the GTF or the map.
    OutputExistsError
        If the table exists and `overwrite` is False.

    Warns
    -----
    LeftOutWarning
        If transcripts belong to no gene; with the share of counts they carry.

    Examples
    --------
    >>> quantify(["a_1.fq", "a_2.fq"], index="t.idx", gtf="g.gtf", out="c.tsv")  # doctest: +SKIP
    """
    resources = resources or Resources()
    place = check_output(out, overwrite=overwrite)
    if not place.name.endswith((".tsv", ".tsv.gz")):
        msg = f"{place.name} ends neither in .tsv nor in .tsv.gz; choose one of the two"
        raise InvalidValueError(msg)
    read_sets = group_reads([os.fspath(item) for item in reads], is_single=single)
    files = [check_input(file) for read_set in read_sets for file in read_set.files]
    index = check_input(index)
    maps = [check_input(path) for path in (gtf, transcript_map) if path is not None]
    program, version = find_kallisto()
    found = _quantify_all(read_sets, index, program, (fragment_length, sd), resources=resources)
    counts = pd.DataFrame({sample: each.counts for sample, each in found.items()})
    genes = _name_genes(counts, gtf=gtf, transcript_map=transcript_map)
    sums = sum_genes(counts, genes)
    rounded = sums.round()
    n_rounded = int((rounded != sums).to_numpy().sum())
    table: pd.DataFrame = sums if fractional else rounded.astype(np.int64)
    parameters = {
        "kallisto": version,
        "fragment_length": fragment_length,
        "sd": sd,
        "single": single,
        "fractional": fractional,
        "samples": {reads.sample: [file.name for file in reads.files] for reads in read_sets},
    }
    manifest = create_manifest("quantify", inputs=[index, *maps, *files], parameters=parameters)
    with staged_output(place, overwrite=overwrite) as partial:
        # No time in the header: equal counts are equal files.
        method = {"method": "gzip", "mtime": 0} if place.name.endswith(".gz") else None
        table.to_csv(partial, sep="\t", index_label="gene", compression=method)
    place.with_name(f"{place.name}.manifest.json").write_text(to_json(manifest), encoding="utf-8")
    figures = {
        "out": place,
        "kallisto": version,
        "n_samples": len(found),
        "n_transcripts": len(counts),
        "n_genes": len(table),
        "n_rounded": 0 if fractional else n_rounded,
        "n_fractional": n_rounded if fractional else 0,
        "samples": {
            sample: {"n_reads": each.n_reads, "n_aligned": each.n_aligned}
            for sample, each in found.items()
        },
    }
    return Summary("quantify", figures, manifest)


def _quantify_all(
    read_sets: Sequence[ReadSet],
    index: Path,
    program: str,
    fragments: tuple[float | None, float | None],
    *,
    resources: Resources,
) -> dict[str, Quantified]:
    """Run kallisto sample by sample, each on all threads."""
    found = {}
    for i, reads in enumerate(read_sets):
        found[reads.sample] = quantify_reads(
            reads,
            index,
            program=program,
            n_threads=resources.n_workers,
            fragment_length=fragments[0],
            sd=fragments[1],
        )
        resources.progress("quantify", i + 1, len(read_sets))
    return found


def _name_genes(
    counts: pd.DataFrame, *, gtf: StrPath | None, transcript_map: StrPath | None
) -> list[str]:
    """Give the gene of each transcript; empty where there is none."""
    names = [str(name) for name in counts.index]
    if gtf is None and transcript_map is None:
        # GENCODE's FASTA: transcript|gene|...
        genes = [strip_version(name.split("|")[1]) if "|" in name else "" for name in names]
        if not any(genes):
            msg = (
                f"the {len(names)} transcripts of the index ({first_few(names[:2])}) do not name "
                "their genes; pass gtf or transcript_map"
            )
            raise InvalidValueError(msg)
    else:
        known = _read_gtf(gtf) if gtf is not None else _read_map(transcript_map or "")
        genes = [known.get(strip_version(name.split("|")[0]), "") for name in names]
        if not any(genes):
            msg = (
                f"none of the {len(names)} transcripts of the index ({first_few(names[:2])}) is "
                f"among the {len(known)} of {gtf or transcript_map} "
                f"({first_few(list(known)[:2])}); pass the one that the index was made with"
            )
            raise IdentifierError(msg)
    lost = [not gene for gene in genes]
    if any(lost):
        total = float(counts.to_numpy().sum())
        share = float(counts[lost].to_numpy().sum()) / total if total else 0.0
        without = [name for name, gene in zip(names, genes, strict=True) if not gene]
        msg = (
            f"{len(without)} of {len(names)} transcripts belong to no known gene "
            f"({first_few(without)}) and were left out with {share:.2%} of the counts"
        )
        warnings.warn(msg, LeftOutWarning, stacklevel=3)
    return genes


def _read_gtf(path: StrPath) -> dict[str, str]:
    """Read which gene a transcript belongs to from its exons."""
    annotation = read_annotation(path)
    pairs = annotation.exons[["transcript", "gene"]].drop_duplicates()
    pairs = pairs[pairs["transcript"] >= 0]
    transcripts = annotation.transcripts[pairs["transcript"]]
    return dict(zip(transcripts, annotation.genes.index[pairs["gene"]], strict=True))


def _read_map(path: StrPath) -> dict[str, str]:
    """Read a table of transcript and gene, with or without header."""
    table = pd.read_csv(path, sep="\t", header=None, dtype=str, na_filter=False, comment="#")
    if table.shape[1] < 2:
        msg = f"{path} has {table.shape[1]} column; write transcript and gene, separated by a tab"
        raise InvalidValueError(msg)
    if str(table.iloc[0, 0]).lower() in _HEADERS:
        table = table.iloc[1:]
    transcripts = [strip_version(name) for name in table[0]]
    genes = [strip_version(name) for name in table[1]]
    known: dict[str, str] = {}
    for transcript, gene in zip(transcripts, genes, strict=True):
        if known.setdefault(transcript, gene) != gene:
            msg = (
                f"{path}: transcript {transcript} belongs to {known[transcript]} and to {gene}; "
                "give each transcript one gene"
            )
            raise IdentifierError(msg)
    return known
