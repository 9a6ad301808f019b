"""Extract samples of an ARCHS4 file, with their metadata and labels, in a common format."""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.reader import Compendium, open_archs4
from expressome.archs4.selection import SampleChoice
from expressome.archs4.subset import read_sample_fields
from expressome.archs4.writing import write_archs4
from expressome.atlas.counts_file import write_counts
from expressome.blocks import row_spans
from expressome.engine import Resources
from expressome.errors import EmptySelectionError, InvalidValueError, LabelWarning
from expressome.manifest import create_manifest
from expressome.outputs import check_output
from expressome.pipeline.choosing import choose_samples, report_choice
from expressome.pipeline.gene_agreeing import warn_of_disagreement
from expressome.pipeline.gene_keying import Duplicates, GeneKeys, GenesBy, key_genes
from expressome.pipeline.harmonizing import read_metadata
from expressome.pipeline.label_gathering import open_labels
from expressome.results import LabelMatrix, Summary, to_json
from expressome.tables.writing import companion_paths, write_table

__all__ = ["extract"]

StrPath = str | os.PathLike[str]

_FORMATS = (".h5ad", ".zarr", ".parquet", ".tsv.gz", ".tsv", ".h5")
# Values a table writer holds of each count: as read (a mask and floats besides, where some
# were not measured), transposed, and encoded.
_COPIES = 4


@dataclass(frozen=True, slots=True)
class _Extract:
    """What goes into the output, decided before counts are written."""

    compendium: Compendium
    choice: SampleChoice
    samples: pd.DataFrame
    genes: GeneKeys
    labels: LabelMatrix | None
    manifest: Mapping[str, Any]

    def sample_blocks(self, resources: Resources) -> Iterator[NDArray[Any]]:
        """Read the extract some samples at a time."""
        rows = self.choice.positions
        blocks = self.compendium.blocks(rows, self.genes.columns, resources=resources)
        for span, counts in blocks:
            yield self.genes.merge(counts)
            resources.progress("extract", span.stop, len(rows))

    def gene_blocks(self, resources: Resources) -> Iterator[NDArray[Any]]:
        """Read the extract some genes at a time, all samples of each."""
        n_genes, rows = len(self.genes.table), self.choice.positions
        row_bytes = len(rows) * _find_dtype(self).itemsize * _COPIES
        budget_bytes = resources.memory_bytes // 2
        for span in row_spans(n_genes, row_bytes=row_bytes, budget_bytes=budget_bytes):
            part = self.genes.select(span)
            yield part.merge(self.compendium.counts(rows, part.columns, resources=resources))
            resources.progress("extract", span.stop, n_genes)


def extract(
    file: StrPath,
    *,
    out: StrPath,
    samples: Sequence[str] | None = None,
    series: Sequence[str] | None = None,
    search: str | None = None,
    where: Iterable[str] = (),
    random: int | None = None,
    labels: StrPath | None = None,
    genes_by: GenesBy = "ensembl",
    duplicates: Duplicates = "keep",
    min_reads: int | None = None,
    min_fraction: float | None = None,
    harmonize: bool = False,
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Write chosen samples as h5ad, Zarr, Parquet, TSV or a smaller ARCHS4 file.

    Samples are named by `samples` and `series` together (all samples without both),
    narrowed down by `search` and `where`, and drawn from by `random`.

    Parameters
    ----------
    file
        ARCHS4 file of any release, or its https address.
    out
        New file or folder; its ending says the format: ``.h5ad``, ``.zarr``,
        ``.parquet``, ``.tsv.gz``, ``.tsv`` or ``.h5``.
    samples
        Sample ids, or text files that list them, in the order of the output.
    series
        Series ids, or text files that list them.
    search
        Full-text query, as `search` takes it.
    where
        Conditions on sample fields, such as ``"platform_id=GPL16791"``.
    random
        Draw so many of what is left, in file order; the seed is in `resources`.
    labels
        What `annotate` wrote, or a list, folder or sheet that it takes; the labels of
        the chosen samples go along.
    genes_by
        Key of the genes: Ensembl id, or symbol.
    duplicates
        For genes that share a symbol, where `genes_by` is ``"symbol"``: ``"keep"`` all
        (``TP53``, ``TP53#2``), ``"sum"`` their counts, the ``"first"``, or ``"error"``.
    min_reads
        Keep genes with at least so many reads (or TPM) in enough samples; 1 if
        only `min_fraction` is given.
    min_fraction
        What is enough: this share of the chosen samples that measured the gene, and
        at least one; 0 if only `min_reads` is given.
    harmonize
        Whether the samples get columns ``harmonized_*``: sex, age, disease, tissue, cell
        line, treatment as read from their texts, with source and confidence.
    overwrite
        Whether an existing output may be replaced once the new one is complete.
    resources
        Memory, threads, seed.

    Returns
    -------
    Summary
        Numbers of samples and genes, and what was asked for and not found.

    Raises
    ------
    EmptySelectionError
        If no sample or no gene is left.
    InvalidValueError
        If the ending of `out`, a condition, a query or a threshold is none.
    IdentifierError
        If symbols are shared and `duplicates` is ``"error"``.
    OutputExistsError
        If the output exists and `overwrite` is False.

    Warns
    -----
    LeftOutWarning
        If samples or series were asked for that the file does not have.
    IdentifierWarning
        If the file's Ensembl ids and symbols are not of the same genes.
    LabelWarning
        If none of the chosen samples carries a label.

    Notes
    -----
    One pass over the counts of the chosen samples, two with a gene filter. Memory:
    the budget, and for a table at least one gene of all samples.

    Examples
    --------
    >>> extract("human_gene_v2.6.h5", series=["GSE64016"], out="cells.h5ad")  # doctest: +SKIP
    """
    resources = resources or Resources()
    ending = _find_format(out)
    _check_thresholds(min_reads, min_fraction)
    place = check_output(out, overwrite=overwrite)
    if ending in {".parquet", ".tsv.gz", ".tsv"}:
        for beside in companion_paths(place).values():
            check_output(beside, overwrite=overwrite)
    compendium = open_archs4(file)
    annotated = None if labels is None else open_labels(labels)
    choice = choose_samples(
        compendium,
        samples=samples,
        series=series,
        search=search,
        where=where,
        random=random,
        resources=resources,
    )
    warn_of_disagreement(compendium)
    genes = key_genes(compendium.genes, by=genes_by, duplicates=duplicates)
    n_before = len(genes.table)
    if min_reads is not None or min_fraction is not None:
        genes = _filter_genes(
            compendium,
            choice.positions,
            genes,
            min_reads=1 if min_reads is None else min_reads,
            min_fraction=min_fraction or 0.0,
            resources=resources,
        )
    parameters = {
        **report_choice(choice),
        "genes_by": genes_by,
        "duplicates": duplicates,
        "min_reads": min_reads,
        "min_fraction": min_fraction,
        "harmonize": harmonize,
    }
    inputs = [path for path in (file, labels) if path is not None]
    manifest = create_manifest("extract", inputs=inputs, parameters=parameters, seed=resources.seed)
    fields = read_sample_fields(compendium, choice.positions)
    own = None if annotated is None else _pick_labels(annotated, fields.index)
    if harmonize:
        metadata = read_metadata(fields, species=compendium.species, resources=resources)
        fields = fields.join(metadata.add_prefix("harmonized_"))
    if own is not None:
        fields = fields.assign(labels=_join_labels(own))
    work = _Extract(compendium, choice, fields, genes, own, manifest)
    _write(work, place, ending, overwrite=overwrite, resources=resources)
    figures = {
        "out": place,
        "format": ending.removeprefix("."),
        "n_samples": len(fields),
        "n_genes": len(genes.table),
        "n_genes_filtered_out": n_before - len(genes.table),
        "n_shared_symbols": genes.n_shared,
        "n_labels": 0 if own is None else own.n_labels,
        "n_labelled": 0 if own is None else int(own.is_labelled.sum()),
        "selection": report_choice(choice),
    }
    return Summary("extract", figures, manifest)


def _find_format(out: StrPath) -> str:
    """Tell the format by the ending."""
    name = Path(out).name.lower()
    for ending in _FORMATS:
        if name.endswith(ending) and len(name) > len(ending):
            return ending
    msg = f"{Path(out).name} ends in none of {', '.join(_FORMATS)}; name the output so"
    raise InvalidValueError(msg)


def _check_thresholds(min_reads: int | None, min_fraction: float | None) -> None:
    """Refuse thresholds that mean nothing."""
    if min_reads is not None and not min_reads >= 0:
        msg = f"min_reads is {min_reads}; it is a number of reads, at least 0"
        raise InvalidValueError(msg)
    if min_fraction is not None and not 0 <= min_fraction <= 1:
        msg = f"min_fraction is {min_fraction}; it is a share of the samples, from 0 to 1"
        raise InvalidValueError(msg)


def _filter_genes(
    compendium: Compendium,
    rows: NDArray[np.int64],
    genes: GeneKeys,
    *,
    min_reads: int,
    min_fraction: float,
    resources: Resources,
) -> GeneKeys:
    """Keep genes with enough reads in enough of the samples that measured them."""
    n_enough = np.zeros(len(genes.table), np.int64)
    n_measured = np.zeros(len(genes.table), np.int64)
    for span, counts in compendium.blocks(rows, genes.columns, resources=resources):
        merged = genes.merge(counts)
        n_enough += (merged >= min_reads).sum(axis=0)
        n_measured += len(merged) - np.isnan(merged).sum(axis=0)
        resources.progress("gene filter", span.stop, len(rows))
    # A share such as 0.1 of 30 samples is 3 samples, not 3.0000000000000004.
    needed = np.maximum(1, np.ceil(np.round(min_fraction * n_measured, 9)))
    is_kept = n_enough >= needed
    if not is_kept.any():
        msg = (
            f"none of {len(genes.table)} genes has at least {min_reads} reads in at least "
            f"{int(needed.min())} of {len(rows)} samples; lower min_reads or min_fraction"
        )
        raise EmptySelectionError(msg)
    return genes.select(is_kept)


def _pick_labels(annotated: LabelMatrix, samples: pd.Index) -> LabelMatrix:
    """Give the labels of the chosen samples."""
    own = annotated.reindex(samples)
    if not own.is_labelled.any():
        msg = f"none of the {len(samples)} chosen samples carries a label"
        warnings.warn(msg, LabelWarning, stacklevel=3)
    return own


def _join_labels(labels: LabelMatrix) -> list[str]:
    """Write the labels of each sample as text."""
    keys, matrix = labels.keys, labels.matrix
    bounds = zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    return ["; ".join(keys[k] for k in sorted(matrix.indices[a:b])) for a, b in bounds]


def _write(
    work: _Extract, place: Path, ending: str, *, overwrite: bool, resources: Resources
) -> None:
    """Write the extract in its format."""
    notes: dict[str, Any] = {"manifest": work.manifest}
    if work.labels is not None:
        notes["labels"] = work.labels.labels
    if ending == ".h5":
        _write_compendium(work, place, overwrite=overwrite, resources=resources)
    elif ending in {".h5ad", ".zarr"}:
        write_counts(
            place,
            work.sample_blocks(resources),
            obs=work.samples,
            var=work.genes.table,
            dtype=_find_dtype(work),
            labels=work.labels,
            notes=notes,
            overwrite=overwrite,
        )
    else:
        write_table(
            place,
            work.gene_blocks(resources),
            samples=work.samples,
            genes=work.genes.table,
            notes=notes,
            overwrite=overwrite,
        )


def _find_dtype(work: _Extract) -> np.dtype[Any]:
    """Give the type that holds what will be read."""
    groups = work.compendium.measured_groups()
    if groups is not None:
        tables = np.unique(groups[0][work.choice.positions])
        if not work.genes.merge_measured(groups[1][tables]).all():
            return np.dtype(np.float64)
    is_summed = len(work.genes.columns) != len(work.genes.table)
    if is_summed:
        return np.dtype(np.float64 if work.compendium.dtype.kind == "f" else np.int64)
    return work.compendium.dtype


def _write_compendium(
    work: _Extract, place: Path, *, overwrite: bool, resources: Resources
) -> None:
    """Write a smaller ARCHS4 file; its gene ids are Ensembl ids wherever one gene has one."""
    compendium, table = work.compendium, work.genes.table
    if "ensembl" in table:
        is_one = ~table["ensembl"].str.contains(";")
        ids = np.where(is_one, table["ensembl"], "symbol:" + table.index.astype(str))
        table = table.drop(columns="ensembl").set_axis(pd.Index(ids, name="gene"))
    groups = compendium.measured_groups()
    tables = measured = None
    if groups is not None:
        used, tables = np.unique(groups[0][work.choice.positions], return_inverse=True)
        measured = work.genes.merge_measured(groups[1][used])
    write_archs4(
        place,
        samples=work.samples,
        genes=table,
        blocks=work.sample_blocks(resources),
        level=compendium.level,
        unit=compendium.unit,
        species=compendium.species,
        tables=tables,
        measured=measured,
        info={
            "source": f"{compendium.path.name} (release {compendium.release or 'not stated'})",
            "manifest": to_json(work.manifest),
        },
        overwrite=overwrite,
    )
