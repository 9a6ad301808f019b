"""Normalise an ARCHS4 file into an atlas, split by study first."""

import hashlib
import inspect
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.archs4.reader import Compendium, open_archs4
from expressome.atlas import AtlasWriter, create_atlas
from expressome.atlas.schema import StoredType
from expressome.engine import Resources, on_cluster
from expressome.errors import ConfigurationError, EmptySelectionError, ScaleMismatchError
from expressome.manifest import create_manifest
from expressome.normalization.fingerprints import hash_genes
from expressome.normalization.length import LengthUnit
from expressome.normalization.quantile import load_target, save_target
from expressome.normalization.recipe import Normalizer, Recipe, fit_normalizer
from expressome.outputs import check_output
from expressome.pipeline.appending import Duplicates, append_samples, refuse_decided
from expressome.pipeline.atlas_building import (
    BlockJob,
    build_blocks,
    collect_distributions,
    fit_on_samples,
)
from expressome.pipeline.budgeting import (
    TableMemory,
    find_normalizing_minimum,
    leave_for_blocks,
)
from expressome.pipeline.estimating import say_normalizing_plan
from expressome.pipeline.gene_agreeing import warn_of_disagreement
from expressome.pipeline.gene_naming import tell_species
from expressome.pipeline.gene_planning import GenePlan, plan_genes, read_target
from expressome.pipeline.label_splitting import SampleSplit, match_labels, split_labelled
from expressome.reference.lengths import Definition, Missing, load_lengths
from expressome.results import LabelMatrix, Summary

__all__ = ["normalize"]

# Enough samples for a figure of distributions, few enough to store with every atlas.
_N_SHOWN = 200

# The fitted target of an unfinished atlas, so that a resumed run need not fit again.
_TARGET_FILE = ".target.npz"

StrPath = str | os.PathLike[str]


@on_cluster
def normalize(
    file: StrPath,
    *,
    out: StrPath | None = None,
    append: StrPath | None = None,
    labels: StrPath | None = None,
    split: Sequence[float] = (70, 15, 15),
    recipe: Recipe = "log2-quantile-length",
    target: StrPath | None = None,
    length_definition: Definition = "spliced",
    length_unit: LengthUnit = "kb",
    gtf: StrPath | None = None,
    missing_lengths: Missing = "median",
    dtype: StoredType = "float32",
    duplicates: Duplicates = "skip",
    overwrite: bool = False,
    dry_run: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Normalise the counts of a file into an atlas.

    With labels, the labelled samples are first split by study into training,
    validation and test, and the split is stored; the quantile target is fitted
    on the training samples only, then applied to every sample.

    Parameters
    ----------
    file
        ARCHS4 file of any release, or one that `pack` wrote.
    out
        Folder of the new atlas.
    append
        An atlas to extend instead: its samples, split, genes, recipe, lengths and target stay;
        the file's new samples are added. Only `labels`, `duplicates`, `dry_run` and `resources` go
        with it.
    labels
        What `annotate` wrote. Without it the target is fitted on all samples. With
        `append`, labels of the new samples.
    split
        Shares of training, validation and test samples.
    recipe
        Named steps; the count recipes refuse TPM files and ``tpm`` refuses counts.
    target
        A saved target (.npz) or an atlas: its genes and distribution are used and
        nothing is fitted.
    length_definition
        ``"spliced"``: longest transcript, its exons. ``"union"``: all exons of the gene.
        ``"span"``: longest transcript with introns, as in the original study.
    length_unit
        Unit of the division; lengths are stored in bp either way.
    gtf
        GENCODE or Ensembl GTF to take lengths from, instead of the shipped table.
    missing_lengths
        For genes without length: median of the biotype, drop the gene, or error.
    dtype
        How values are stored. ``"float16"`` takes half the disk and is off by at most
        1/2048 of a value (readers give float32 either way); not for lengths in bp.
    duplicates
        With `append`, samples whose id the atlas holds: ``"skip"`` leaves them as they are,
        ``"error"`` refuses the file.
    overwrite
        Whether an existing atlas may be replaced once the new one is complete.
    dry_run
        Whether only to say what would be done.
    resources
        Memory, threads or cluster, seed.

    Returns
    -------
    Summary
        Shape, recipe, target, length coverage, split and labels.

    Raises
    ------
    ScaleMismatchError
        If recipe and file are on different scales.
    InvalidValueError
        If the memory budget is too small for the file; it names the least that works.
    ClusterError
        If the cluster cannot be reached.
    LabelError
        If no label belongs to a sample of the file.
    InvalidCountsError
        If a count is negative, NaN or infinite; nothing is left behind.
    OutputExistsError
        If the output exists and `overwrite` is False.
    ConfigurationError
        If neither or both of `out` and `append` are given, options contradict each other, or
        an option is given that the extended atlas has decided.

    Warns
    -----
    LeftOutWarning
        If samples are in the extended atlas already.
    StudyWarning
        If studies were joined because they hold copies of one sample.
    LabelWarning
        If labels cannot be tested, or no sample is left unlabelled.
    IdentifierWarning
        If the file's Ensembl ids and symbols are not of the same genes.
    ImputedLengthWarning
        If lengths were imputed or genes dropped.
    MissingGenesWarning
        If the file lacks genes of a saved target.

    Notes
    -----
    Two passes over the counts, one with a saved target. A killed run goes on from
    its finished blocks when it is started again with the same inputs and options.
    """
    resources = resources or Resources()
    if append is not None:
        refuse_decided(locals(), inspect.signature(normalize))
        return append_samples(
            file, append, labels=labels, duplicates=duplicates, dry_run=dry_run, resources=resources
        )
    if out is None:
        msg = "no output is named; pass out, or append to extend an atlas"
        raise ConfigurationError(msg)
    place = check_output(out, overwrite=overwrite)
    compendium = open_archs4(file)
    _check_input(compendium, recipe)
    if dtype == "float16" and recipe == "log2-quantile-length" and length_unit == "bp":
        msg = (
            "values divided by bp lie below 0.0001, where float16 loses digits; "
            "choose length_unit='kb' or dtype='float32'"
        )
        raise ConfigurationError(msg)
    warn_of_disagreement(compendium)
    lengths = None
    if recipe == "log2-quantile-length":
        lengths = load_lengths(
            tell_species(compendium), definition=length_definition, gtf=gtf, level=compendium.level
        )
    saved = read_target(target)
    plan = plan_genes(compendium, lengths=lengths, missing=missing_lengths, target=saved)
    annotated = match_labels(labels, compendium)
    if dry_run:
        train_share = split[0] / sum(split)
        figures = say_normalizing_plan(
            compendium,
            plan,
            train_share=0 if saved or recipe == "log2-cpm" else train_share,
            labels=annotated,
            values_dtype=dtype,
            resources=resources,
        )
        return Summary("normalize", figures)
    tables = TableMemory()
    with tables.reading():
        _ = compendium.samples
    minimum_bytes = find_normalizing_minimum(compendium, len(plan.genes))
    resources = leave_for_blocks(resources, tables, minimum_bytes)
    parts = split_labelled(
        annotated, compendium, columns=plan.columns, fractions=split, resources=resources
    )
    parameters = {
        "split": [float(share) for share in split],
        "recipe": recipe,
        "length_definition": length_definition,
        "length_unit": length_unit,
        "missing_lengths": missing_lengths,
        "dtype": dtype,
    }
    inputs = [path for path in (compendium.path, labels, target, gtf) if path is not None]
    manifest = create_manifest(
        "normalize", inputs=inputs, parameters=parameters, seed=resources.seed
    )
    work = _Work(compendium, plan, annotated, parts, manifest, dtype)
    shape = (compendium.n_samples, len(plan.genes))
    with create_atlas(
        place, shape=shape, key=_name_run(manifest), dtype=dtype, overwrite=overwrite
    ) as writer:
        normalizer = _fit(work, recipe, length_unit, writer.folder, resources)
        job = _make_job(work, normalizer, writer.folder, resources)
        build_blocks(job, writer, resources)
        _write_tables(work, job, writer, resources)
    return Summary("normalize", _say_result(work, normalizer, place), manifest)


@dataclass(frozen=True, slots=True)
class _Work:
    """What a run was asked to do, with everything decided before counts are read."""

    compendium: Compendium
    plan: GenePlan
    labels: LabelMatrix
    split: SampleSplit
    manifest: Mapping[str, Any]
    dtype: StoredType

    @property
    def training_rows(self) -> NDArray[np.int64]:
        """Samples the target is fitted on: the training part, or all without labels."""
        if not self.labels.n_labels:
            return np.arange(self.compendium.n_samples)
        return np.flatnonzero(self.split.parts == "train")


def _check_input(compendium: Compendium, recipe: Recipe) -> None:
    """Refuse an empty file and one on another scale than the recipe's."""
    if not compendium.n_samples or not compendium.n_genes:
        msg = (
            f"{compendium.path} holds {compendium.n_samples} samples and {compendium.n_genes} "
            "genes; choose a file with both"
        )
        raise EmptySelectionError(msg)
    if compendium.unit == "tpm" and recipe != "tpm":
        msg = (
            f"{compendium.path} holds TPM (floating-point numbers), but the recipe {recipe} "
            "expects counts; choose the recipe tpm, or a file of counts"
        )
        raise ScaleMismatchError(msg)
    if compendium.unit == "counts" and recipe == "tpm":
        msg = (
            f"{compendium.path} holds counts, but the recipe tpm expects TPM; choose the recipe "
            "log2-quantile-length"
        )
        raise ScaleMismatchError(msg)


def _name_run(manifest: Mapping[str, Any]) -> str:
    """Name everything that decides the values, so that only an equal run is resumed."""
    decisive = {key: manifest[key] for key in ("inputs", "parameters", "seed", "versions")}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _fit(
    work: _Work, recipe: Recipe, length_unit: LengthUnit, folder: Path, resources: Resources
) -> Normalizer:
    """Fit the target unless one was given or a killed run left one."""
    plan, target = work.plan, work.plan.target
    kept = folder / _TARGET_FILE
    if target is None and recipe != "log2-cpm":
        if kept.is_file():
            target = load_target(kept)
        else:
            target = fit_on_samples(
                work.compendium,
                rows=work.training_rows,
                columns=plan.columns,
                genes=plan.genes,
                resources=resources,
            )
            save_target(target, kept)
    return fit_normalizer(
        recipe,
        (),
        genes=plan.genes,
        length_bp=plan.length_bp,
        length_unit=length_unit,
        target=target,
    )


def _make_job(work: _Work, normalizer: Normalizer, folder: Path, resources: Resources) -> BlockJob:
    """Put together what a block function needs."""
    n_samples = work.compendium.n_samples
    shown = np.zeros(n_samples, np.bool_)
    picked = resources.rng("distributions").permutation(n_samples)[:_N_SHOWN]
    shown[picked] = True
    plan = work.plan
    return BlockJob(
        compendium=work.compendium,
        columns=plan.columns,
        gene_ids=plan.read_ids,
        normalizer=normalizer,
        folder=folder,
        shown=shown,
        gene_hashes=hash_genes(plan.genes if plan.read_ids is None else plan.read_ids),
        dtype=work.dtype,
    )


def _write_tables(work: _Work, job: BlockJob, writer: AtlasWriter, resources: Resources) -> None:
    """Write all that is not a block."""
    per_sample, per_gene = writer.count_detected(resources)
    obs = work.compendium.samples.assign(
        study=work.split.studies,
        n_detected=per_sample,
        counts_hash=writer.collect("counts_hash"),
        split=work.split.parts,
    )
    var = work.plan.table.assign(n_detected=per_gene)
    writer.write_tables(obs, var, work.labels)
    writer.write_section(
        description={
            "species": tell_species(work.compendium),
            "level": work.compendium.level,
            "release": work.compendium.release,
            "unit": work.compendium.unit,
            "lengths": work.plan.coverage,
            "split_report": work.split.report,
        },
        manifest=work.manifest,
        normalizer=job.normalizer.to_parts(),
        distributions=collect_distributions(job, writer),
    )


def _say_result(work: _Work, normalizer: Normalizer, place: Path) -> dict[str, Any]:
    """Collect the figures that are printed."""
    target = normalizer.target
    groups = work.compendium.measured_groups()
    return {
        "out": place,
        "n_samples": work.compendium.n_samples,
        "n_genes": normalizer.n_genes,
        "n_unmeasured_cells": 0 if groups is None else _count_unmeasured(work, groups),
        "recipe": normalizer.recipe,
        "target": None
        if target is None
        else {
            "n_samples": target.n_samples,
            "n_genes": target.n_genes,
            "is_saved": work.plan.target is not None,
        },
        "lengths": work.plan.coverage or None,
        "n_labels": work.labels.n_labels,
        "n_labelled": int(work.labels.is_labelled.sum()),
        "split": work.split.report or None,
    }


def _count_unmeasured(work: _Work, groups: tuple[NDArray[np.int32], NDArray[np.bool_]]) -> int:
    """Count the cells of the atlas that no table measured."""
    tables, measured = groups
    missing = (~measured[:, work.plan.columns]).sum(axis=1)
    n_absent = len(work.plan.genes) - len(work.plan.columns)
    return int(missing[tables].sum()) + n_absent * len(tables)
