"""FASTQ to counts: run kallisto, an external program, and sum transcripts to genes."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressome.errors import (
    FileFormatError,
    IdentifierError,
    InvalidValueError,
    ProgramError,
    first_few,
)

__all__ = [
    "Quantified",
    "ReadSet",
    "find_kallisto",
    "group_reads",
    "quantify_reads",
    "read_abundance",
    "sum_genes",
]

# liver_1.fastq.gz, liver_R2_001.fq: stem and mate.
_MATE = re.compile(r"(.+?)[._]R?([12])(?:_001)?")
_ENDINGS = re.compile(r"(\.(fastq|fq|fasta|fa|txt))?(\.gz)?$", re.IGNORECASE)
_COLUMNS = {"target_id", "est_counts"}
_INSTALL = (
    "install it: `apt install kallisto` (Debian, Ubuntu), `brew install kallisto` (macOS), "
    "`conda install -c bioconda kallisto`, or from https://pachterlab.github.io/kallisto"
)


@dataclass(frozen=True, slots=True)
class ReadSet:
    """The reads of one sample.

    Attributes
    ----------
    sample
        Its name.
    files
        FASTQ files; of paired ends, mate after mate.
    is_paired
        Whether they are paired ends.
    """

    sample: str
    files: tuple[Path, ...]
    is_paired: bool


@dataclass(frozen=True, slots=True)
class Quantified:
    """What kallisto found in one sample.

    Attributes
    ----------
    counts
        Estimated counts, index transcript id as the index names it.
    n_reads
        Reads, or pairs, in the files.
    n_aligned
        Those that fit a transcript.
    """

    counts: pd.Series
    n_reads: int
    n_aligned: int


def find_kallisto() -> tuple[str, str]:
    """Find the program kallisto.

    Returns
    -------
    tuple of str
        Its path and version.

    Raises
    ------
    ProgramError
        If it is not installed or does not start; the message says how to install it.

    Examples
    --------
    >>> find_kallisto()  # doctest: +SKIP
    ('/usr/bin/kallisto', '0.48.0')
    """
    program = shutil.which("kallisto")
    if program is None:
        msg = f"the program kallisto is not on the PATH; {_INSTALL}"
        raise ProgramError(msg)
    told = _run([program, "version"])
    match = re.search(r"\d+\.\d+[\w.]*", told)
    return program, match[0] if match else told.strip()


def _run(command: Sequence[str]) -> str:
    """Run a program without a shell; what it says on both streams."""
    try:
        done = subprocess.run(  # noqa: S603 - a list of words, no shell
            command, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        msg = f"{command[0]} does not start ({error}); {_INSTALL}"
        raise ProgramError(msg) from error
    told = f"{done.stdout}\n{done.stderr}"
    if done.returncode != 0:
        lines = [line.strip() for line in told.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")] or lines[-3:]
        how = f"status {done.returncode}" if done.returncode > 0 else f"signal {-done.returncode}"
        msg = (
            f"kallisto ended with {how}: {' | '.join(errors[:4]) or 'it said nothing'}; "
            "check the index and the reads"
        )
        raise ProgramError(msg)
    return told


def group_reads(reads: Sequence[str], *, is_single: bool = False) -> list[ReadSet]:
    """Sort FASTQ files into samples.

    Parameters
    ----------
    reads
        Files, of which ``X_1.fastq.gz`` and ``X_2.fastq.gz`` (or ``_R1``, ``_R2``,
        ``_R1_001``) are the two ends of sample X; or ``NAME=FILE,FILE,...``, which
        may be repeated for more files of that sample.
    is_single
        Whether all reads are single ends, whatever their names.

    Returns
    -------
    list of ReadSet
        In the order in which samples first occur.

    Raises
    ------
    InvalidValueError
        If there is no file, a name is empty, or a pair lacks one mate.
    IdentifierError
        If a file is given twice.

    Examples
    --------
    >>> [(r.sample, r.is_paired) for r in group_reads(["a_1.fq", "a_2.fq", "b=x.fq"])]
    [('a', True), ('b', False)]
    """
    named: dict[str, list[Path]] = {}
    mates: dict[str, dict[str, Path]] = {}
    for item in reads:
        name, is_named, listed = item.partition("=")
        if is_named and not Path(item).exists():
            named.setdefault(name.strip(), []).extend(
                Path(part) for part in listed.split(",") if part
            )
            continue
        stem = _ENDINGS.sub("", Path(item).name)
        match = None if is_single else _MATE.fullmatch(stem)
        if match is None:
            named.setdefault(stem, []).append(Path(item))
            continue
        ends = mates.setdefault(match[1], {})
        if match[2] in ends:
            msg = (
                f"{ends[match[2]]} and {item} are both end {match[2]} of sample {match[1]}; "
                f"write {match[1]}=FILE,FILE,... to say which belong together"
            )
            raise InvalidValueError(msg)
        ends[match[2]] = Path(item)
        named.setdefault(match[1], [])
    for sample, ends in mates.items():
        named[sample] += [ends[end] for end in sorted(ends)]
    _check_reads(named)
    return [
        ReadSet(sample, tuple(files), _is_paired(sample, files, mates, is_single=is_single))
        for sample, files in named.items()
    ]


def _is_paired(
    sample: str,
    files: Sequence[Path],
    mates: Mapping[str, Mapping[str, Path]],
    *,
    is_single: bool,
) -> bool:
    """Tell paired ends from single ends; refuse half a pair."""
    if is_single or len(files) == 1:
        if sample in mates:
            msg = (
                f"sample {sample} has {files[0].name} but not the other end; give both files, or "
                "pass single=True if the reads are single ends"
            )
            raise InvalidValueError(msg)
        return False
    if len(files) % 2:
        msg = (
            f"sample {sample} has {len(files)} files, an odd number; paired ends come in pairs "
            "(first file, its mate, ...), or pass single=True for single ends"
        )
        raise InvalidValueError(msg)
    return True


def _check_reads(named: Mapping[str, Sequence[Path]]) -> None:
    """Refuse nameless samples, samples without files and files given twice."""
    if not named:
        msg = "no FASTQ file was given; pass the reads of at least one sample"
        raise InvalidValueError(msg)
    empty = [sample for sample, files in named.items() if not sample or not files]
    if empty:
        msg = f"{empty[0]!r} names a sample without file or a file without sample; write NAME=FILE"
        raise InvalidValueError(msg)
    files = [file for listed in named.values() for file in listed]
    repeated = sorted({str(file) for file in files if files.count(file) > 1})
    if repeated:
        msg = f"{len(repeated)} files are given twice ({first_few(repeated)}); give each once"
        raise IdentifierError(msg)


def quantify_reads(
    reads: ReadSet,
    index: Path,
    *,
    program: str,
    n_threads: int = 1,
    fragment_length: float | None = None,
    sd: float | None = None,
) -> Quantified:
    """Estimate transcript counts of one sample with kallisto.

    Parameters
    ----------
    reads
        The sample.
    index
        What ``kallisto index`` made.
    program
        Path of kallisto.
    n_threads
        Threads it may use.
    fragment_length
        Mean length of the fragments, in bases; needed for single ends, where the
        reads do not show it.
    sd
        Its standard deviation, in bases.

    Returns
    -------
    Quantified
        Estimated counts per transcript.

    Raises
    ------
    InvalidValueError
        If single ends come without `fragment_length` and `sd`.
    ProgramError
        If kallisto fails; what it said is in the message.

    References
    ----------
    Bray et al. 2016, doi:10.1038/nbt.3519
    """
    if not reads.is_paired and (fragment_length is None or sd is None):
        msg = (
            f"the reads of sample {reads.sample} are single ends, for which kallisto needs the "
            "mean fragment length and its standard deviation; pass fragment_length=200 and "
            "sd=30 if the library was not measured"
        )
        raise InvalidValueError(msg)
    with tempfile.TemporaryDirectory(prefix="expressome-kallisto-") as folder:
        command = [program, "quant", "--plaintext", "-i", str(index.absolute()), "-o", folder]
        command += ["-t", str(n_threads)]
        if not reads.is_paired:
            command.append("--single")
        if fragment_length is not None and sd is not None:
            command += ["-l", str(fragment_length), "-s", str(sd)]
        try:
            # Absolute paths cannot be taken for options.
            _run([*command, *(str(file.absolute()) for file in reads.files)])
        except ProgramError as error:
            error.add_note(f"while quantifying sample {reads.sample}")
            raise
        counts = read_abundance(Path(folder) / "abundance.tsv")
        info = _read_run(Path(folder) / "run_info.json")
    return Quantified(counts, int(info.get("n_processed", 0)), int(info.get("n_pseudoaligned", 0)))


def _read_run(path: Path) -> dict[str, Any]:
    """Read what kallisto notes of its run; nothing where it notes none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def read_abundance(path: Path) -> pd.Series:
    r"""Read the estimated counts that kallisto wrote.

    Parameters
    ----------
    path
        ``abundance.tsv``.

    Returns
    -------
    Series
        Estimated counts (float64), index transcript id as written.

    Raises
    ------
    FileFormatError
        If it is no such table, or holds what is no count.

    Examples
    --------
    >>> place = Path(tempfile.mkdtemp()) / "abundance.tsv"
    >>> _ = place.write_text("target_id\test_counts\nT1\t2.5\n")
    >>> read_abundance(place).to_dict()
    {'T1': 2.5}
    """
    try:
        table = pd.read_csv(path, sep="\t", dtype={"target_id": str}, na_filter=False)
    except (OSError, ValueError) as error:
        msg = f"kallisto left no readable {path.name} ({error}); check its version (0.43 or newer)"
        raise FileFormatError(msg) from error
    if not set(table.columns) >= _COLUMNS:
        msg = (
            f"{path.name} has the columns {first_few(table.columns)}, but target_id and est_counts "
            "are needed; check the version of kallisto (0.43 or newer)"
        )
        raise FileFormatError(msg)
    counts = pd.to_numeric(table["est_counts"], errors="coerce").to_numpy(np.float64)
    n_bad = int((~(counts >= 0) | ~np.isfinite(counts)).sum())
    if n_bad:
        msg = (
            f"{n_bad} of {len(counts)} transcripts in {path.name} have an estimated count that is "
            "negative or none; check the reads (kallisto writes nan where none of them fits)"
        )
        raise FileFormatError(msg)
    return pd.Series(counts, pd.Index(table["target_id"], name="transcript"), name="est_counts")


def sum_genes(counts: pd.DataFrame, genes: Sequence[str]) -> pd.DataFrame:
    """Sum the estimated counts of the transcripts of each gene.

    Parameters
    ----------
    counts
        Estimated counts, transcripts x samples.
    genes
        Gene of each transcript, in order; empty leaves it out.

    Returns
    -------
    DataFrame
        Genes x samples, float64, genes in the order in which they first occur.

    Examples
    --------
    >>> counts = pd.DataFrame({"S1": [1.5, 2.0, 4.0]}, index=["T1", "T2", "T3"])
    >>> sum_genes(counts, ["G2", "G1", "G2"])["S1"].to_dict()
    {'G2': 5.5, 'G1': 2.0}
    """
    keys = np.asarray(genes, dtype=object)
    kept = keys != ""
    sums: pd.DataFrame = counts[kept].groupby(pd.Index(keys[kept], name="gene"), sort=False).sum()
    return sums
