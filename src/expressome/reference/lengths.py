"""Gene lengths: from a GTF or the shipped tables, and what to do where there is none."""

import os
import warnings
from typing import Literal, get_args

import numpy as np
import pandas as pd

from expressome.errors import (
    IdentifierError,
    ImputedLengthWarning,
    InvalidValueError,
    MissingFieldError,
    first_few,
)
from expressome.reference.annotation import read_annotation, sum_transcripts, unite_exons
from expressome.reference.shipped import check_species, load_genes

__all__ = [
    "DEFINITIONS",
    "LEVELS",
    "MISSING",
    "Definition",
    "Level",
    "Missing",
    "load_lengths",
    "resolve_lengths",
]

Definition = Literal["spliced", "union", "span"]
DEFINITIONS: tuple[Definition, ...] = get_args(Definition)
Level = Literal["gene", "transcript"]
LEVELS: tuple[Level, ...] = get_args(Level)
Missing = Literal["median", "drop", "error"]
MISSING: tuple[Missing, ...] = get_args(Missing)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value outside the choices."""
    if value not in choices:
        msg = f"{name} is {value!r}; choose one of {', '.join(choices)}"
        raise InvalidValueError(msg)


def load_lengths(
    species: str,
    *,
    definition: Definition = "spliced",
    gtf: str | os.PathLike[str] | None = None,
    level: Level = "gene",
) -> pd.DataFrame:
    """Load the length of every gene, in base pairs.

    ``spliced``: the sum of the exons of the transcript for which that sum is
    largest, which is what a sequencer can see of the gene's longest
    transcript. ``union``: the number of bases covered by any exon of the gene.
    ``span``: last base - first base + 1 of the transcript that spans most of
    the genome, introns included; the original study used this (minus 1), and it
    makes long introns look like long messages.

    Parameters
    ----------
    species
        ``"human"`` or ``"mouse"``. With `gtf` it only names the table.
    definition
        What length means, see above.
    gtf
        A GENCODE or Ensembl GTF, gzipped or not: lengths to the base, for the
        annotation that the counts were made with. Without it, the shipped table.
    level
        ``"transcript"`` gives the length of every transcript, for counts per
        transcript; this needs `gtf`, and ``union`` is then the same as ``spliced``.

    Returns
    -------
    DataFrame
        Index ``gene`` (Ensembl id without version, sorted); ``length_bp``
        (float64, > 0), ``biotype``, ``symbol`` and ``basis``: ``exact``, or
        what stands in for the definition where the shipped sources do not give it
        (docs/reference.md). ``attrs["source"]`` says where it comes from.
        Genes without a length are left out.

    Raises
    ------
    InvalidValueError
        If the species or the definition is none of these.
    FileFormatError
        If `gtf` is not a GTF or has no exon lines.
    MissingFieldError
        If its exon lines carry no transcript_id and `definition` needs it, or
        transcripts are asked for without a GTF.
    DamagedFileError
        If it is cut off.

    Examples
    --------
    >>> lengths = load_lengths("human", definition="union")
    >>> float(lengths.loc["ENSG00000141510", "length_bp"])
    6836.0
    """
    species = check_species(species)
    _check_choice("definition", definition, DEFINITIONS)
    _check_choice("level", level, LEVELS)
    if gtf is not None:
        return _measure_gtf(gtf, definition, level)
    if level == "transcript":
        msg = (
            "lengths of transcripts are not shipped; pass the GTF the counts were made with, "
            "or choose a recipe that does not divide by length"
        )
        raise MissingFieldError(msg)
    genes = load_genes(species)
    lengths = pd.DataFrame(
        {
            "length_bp": genes[f"{definition}_bp"].astype("float64"),
            "biotype": genes["biotype"].astype(object),
            "symbol": genes["symbol"],
            "basis": genes[f"{definition}_basis"].astype(object),
        }
    ).dropna(subset=["length_bp"])
    lengths.attrs["source"] = f"expressome's {species} table ({definition})"
    return lengths


def _measure_gtf(gtf: str | os.PathLike[str], definition: Definition, level: Level) -> pd.DataFrame:
    """Measure the genes or transcripts of a GTF."""
    annotation = read_annotation(gtf)
    models = annotation.genes
    if level == "transcript":
        measured = sum_transcripts(annotation)
        models = models.loc[measured.index.get_level_values("gene")]
        models = models.set_axis(measured.index.get_level_values("transcript"))
        length_bp = measured["span_bp" if definition == "span" else "spliced_bp"].to_numpy()
    elif definition == "union":
        length_bp = unite_exons(annotation).to_numpy()
    else:
        longest = sum_transcripts(annotation).groupby(level="gene").max()
        length_bp = longest[f"{definition}_bp"].reindex(models.index).to_numpy()
    lengths = models.assign(length_bp=length_bp.astype("float64"), basis="exact")
    lengths = lengths[["length_bp", "biotype", "symbol", "basis"]].sort_index()
    lengths.index.name = "gene"
    lengths.attrs["source"] = f"{annotation.path.name} ({definition})"
    return lengths


def resolve_lengths(
    genes: pd.DataFrame, lengths: pd.DataFrame, *, missing: Missing = "median"
) -> pd.DataFrame:
    """Give every gene of a file its length, and say which were imputed.

    Parameters
    ----------
    genes
        Index Ensembl ids (a ``_PAR_Y`` copy that `lengths` lacks takes the length
        of the gene on X; ``symbol:NAME``, where a file has no Ensembl id, is found by
        its symbol if one gene of `lengths` bears it); ``biotype`` where the file has it.
    lengths
        What `load_lengths` gives.
    missing
        For genes without length: ``"median"`` takes the median over the genes
        of the same biotype in `lengths` (over all, where the biotype is unknown
        there); ``"drop"`` leaves them out; ``"error"`` stops.

    Returns
    -------
    DataFrame
        Index = the genes kept, in their order; ``length_bp`` (float64) and
        ``length_source``: ``"annotation"`` or ``"imputed"``.

    Raises
    ------
    MissingFieldError
        If genes have no length and `missing` is ``"error"``.
    IdentifierError
        If no gene has one: another species or other ids.
    InvalidValueError
        If `missing` is none of these.

    Warns
    -----
    ImputedLengthWarning
        If lengths were imputed or genes dropped, with their number.

    Examples
    --------
    >>> lengths = load_lengths("human")
    >>> genes = pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"])
    >>> resolve_lengths(genes, lengths)["length_source"].tolist()
    ['annotation']
    """
    _check_choice("missing", missing, MISSING)
    length_bp = _find_lengths(genes, lengths)
    is_missing = length_bp.isna().to_numpy()
    n_missing, n_genes = int(is_missing.sum()), len(genes)
    source = np.where(is_missing, "imputed", "annotation").astype(object)
    resolved = pd.DataFrame({"length_bp": length_bp, "length_source": source}, index=genes.index)
    if not n_missing:
        return resolved
    origin = lengths.attrs.get("source", "the annotation")
    what = f"{n_missing:,} of {n_genes:,} genes have no length in {origin}"
    what = f"{what} (first: {first_few(genes.index[is_missing], 3)})"
    if n_missing == n_genes:
        msg = f"{what}; check the species and that the ids are Ensembl ids"
        raise IdentifierError(msg)
    if missing == "error":
        msg = f"{what}; pass missing='median' or 'drop', or the GTF the counts were made with"
        raise MissingFieldError(msg)
    if missing == "drop":
        warnings.warn(f"{what}: they were left out", ImputedLengthWarning, stacklevel=2)
        return resolved[~is_missing]
    resolved.loc[is_missing, "length_bp"] = _impute(genes[is_missing], lengths)
    warnings.warn(
        f"{what}: they got the median of their biotype", ImputedLengthWarning, stacklevel=2
    )
    return resolved


def _find_lengths(genes: pd.DataFrame, lengths: pd.DataFrame) -> pd.Series:
    """Look lengths up by id; by symbol where there is no id; on X where Y has no copy."""
    by_id = lengths["length_bp"]
    found = by_id.reindex(genes.index)
    ids = genes.index.astype(str)
    is_copy = ids.str.endswith("_PAR_Y") & found.isna().to_numpy()
    found[is_copy] = by_id.reindex(ids[is_copy].str.removesuffix("_PAR_Y")).to_numpy()
    is_symbol = ids.str.startswith("symbol:") & found.isna().to_numpy()
    if is_symbol.any():
        one = lengths[(lengths["symbol"] != "") & ~lengths["symbol"].duplicated(keep=False)]
        by_symbol = one.set_index("symbol")["length_bp"]
        found[is_symbol] = by_symbol.reindex(ids[is_symbol].str.removeprefix("symbol:")).to_numpy()
    return found


def _impute(genes: pd.DataFrame, lengths: pd.DataFrame) -> np.ndarray:
    """Take the median length of each gene's biotype, or of all genes."""
    medians = lengths.groupby("biotype")["length_bp"].median().drop(index="", errors="ignore")
    overall = float(lengths["length_bp"].median())
    if "biotype" not in genes:
        return np.full(len(genes), overall)
    return genes["biotype"].astype(object).map(medians).fillna(overall).to_numpy(dtype=float)
