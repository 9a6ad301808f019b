"""Measure every gene of an atlas and store the result with the genes."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.atlas import open_atlas
from expressome.engine import Resources, map_blocks, on_cluster
from expressome.errors import InvalidValueError
from expressome.manifest import create_manifest
from expressome.metrics.projection import count_buckets
from expressome.metrics.signal import signal
from expressome.metrics.similarity import combine_similarity, squared_norms
from expressome.metrics.windows import GENE_TILE, NeighbourWindows, find_neighbours, join_windows
from expressome.outputs import check_output
from expressome.pipeline.budgeting import (
    TableMemory,
    leave_for_blocks,
)
from expressome.pipeline.estimating import estimate_measuring
from expressome.pipeline.gene_tabling import make_columns, say_measured, write_gene_table
from expressome.pipeline.gene_tiling import (
    FirstPass,
    MeasureJob,
    Scale,
    gather,
    read_tiles,
    to_profiles,
)
from expressome.pipeline.label_measuring import make_label_tiler, measure_within_labels
from expressome.pipeline.likeness_summing import count_ahead, sum_likeness
from expressome.pipeline.projecting import LikenessEstimate, ProjectionPlan
from expressome.results import Summary

__all__ = ["measure"]

Grouping = Literal["label"]


@on_cluster
def measure(
    atlas: str | os.PathLike[str],
    *,
    n_neighbours: int = 100,
    percentile: float = 95.0,
    ratio_scale: Scale = "before-length",
    cosine_scale: Scale = "after-length",
    by: Grouping | None = None,
    min_samples: int = 3,
    approximate: int | None = None,
    table: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Measure the signal and the sample likeness of every gene of an atlas.

    Columns of the gene table: ``p95`` (95th percentile of X), ``p95_ratio`` (95th percentile of
    (1 + x) / mean(1 + x)), ``mean_cosine`` (likeness of the samples around the
    percentile), ``neighbours_detected`` (share of those samples with a count above 0) and
    ``rank_*`` (1 = highest, among genes detected in at least half of their window).

    Parameters
    ----------
    atlas
        Folder that `normalize` wrote; the columns are added to it.
    n_neighbours, percentile
        Window of samples, see `mean_cosine`.
    ratio_scale
        ``"before-length"`` takes the ratio on values before division by length; after
        it, with bp, the ratio is 1 to five digits (the original study).
    cosine_scale
        Scale of the profiles; X by default.
    by
        ``"label"`` measures each gene within each label too: mean and percentile
        (``varm["label_mean"]``, ``varm["label_p95"]``), and ``tau`` with ``tau_label``, its
        specificity to one label.
    min_samples
        Labels with fewer samples are flagged and left out of ``tau``.
    approximate
        Dimensions of a random projection that `mean_cosine` is estimated from; exact by
        default. The standard error of each gene is added as ``mean_cosine_error``, and the
        error measured on 200 genes is reported.
    table
        File to write the gene table to: ``.parquet``, or tab-separated text.
    overwrite
        Whether an existing table may be replaced.
    dry_run
        Whether only to say what would be done.
    resources
        Memory, threads or cluster.

    Returns
    -------
    Summary
        Number of genes measured and ranked, and the ten best by mean cosine.

    Raises
    ------
    AtlasError
        If it is not an atlas.
    InvalidValueError
        If an option is outside its range, or the memory budget too small for the atlas.
    ClusterError
        If the cluster cannot be reached.

    Notes
    -----
    Two passes over the atlas. All samples are measured, whatever their part of a
    split: training takes its own measures from training samples. Ties are broken by sample
    id. Samples that did not measure a gene are left out of its percentile and its
    window, and profiles are compared over the genes that every sample measured.
    """
    resources = resources or Resources()
    _check_options(by, approximate, (ratio_scale, cosine_scale), (n_neighbours, percentile))
    if table is not None:
        check_output(table, overwrite=overwrite)
    opened = open_atlas(atlas)
    tables = TableMemory()
    with tables.reading():
        job = MeasureJob.of(opened, n_neighbours, percentile, (ratio_scale, cosine_scale))
    if dry_run:
        label_tile = make_label_tiler(opened, percentile) if by == "label" else None
        return Summary("measure", _say_plan(job, tables, resources, label_tile))
    left = leave_for_blocks(resources, tables, job.minimum_bytes)
    first = _measure_signal(job, left)
    columns, extra = _measure_likeness(job, first, left, approximate)
    opened.drop_var({"mean_cosine_error"} - set(columns))
    if by == "label":
        within, extra["labels"] = measure_within_labels(
            opened, percentile=percentile, min_samples=min_samples, resources=left
        )
        columns = columns.join(within)
    opened.update_var(columns)
    parameters = {
        "n_neighbours": n_neighbours,
        "percentile": percentile,
        "ratio_scale": ratio_scale,
        "cosine_scale": cosine_scale,
        "by": by,
        "min_samples": min_samples,
        "approximate": approximate,
    }
    manifest = create_manifest("measure", inputs=[opened.path], parameters=parameters)
    opened.write_note("measured", manifest)
    if table is not None:
        extra["table"] = write_gene_table(
            opened, table, by_label=by == "label", overwrite=overwrite
        )
    return Summary("measure", say_measured(opened, columns) | extra, manifest)


def _check_options(
    by: str | None,
    approximate: int | None,
    scales: tuple[str, str],
    window: tuple[int, float],
) -> None:
    """Refuse what no measure can use, before any work."""
    if by not in (None, *get_args(Grouping)):
        msg = f"by is {by!r}; choose 'label' or leave it out"
        raise InvalidValueError(msg)
    if approximate is not None:
        count_buckets(approximate, n_genes=1)
    for name, scale in zip(("ratio_scale", "cosine_scale"), scales, strict=True):
        if scale not in get_args(Scale):
            msg = f"{name} is {scale!r}; choose one of {', '.join(get_args(Scale))}"
            raise InvalidValueError(msg)
    n_neighbours, percentile = window
    if n_neighbours < 2 or not 0 <= percentile <= 100:
        msg = (
            f"n_neighbours is {n_neighbours} and percentile {percentile}; "
            "take at least 2 neighbours and a percentile in 0-100"
        )
        raise InvalidValueError(msg)


def _first_tile(job: MeasureJob, item: tuple[slice, NDArray[np.float32] | None]) -> FirstPass:
    """Take everything that one tile of genes gives by itself."""
    span, values = item
    values = gather(job, "X", span) if values is None else values
    found = signal(
        values,
        percentile=job.percentile,
        multiplier=job.divisor[span] if job.is_ratio_before else None,
    )
    windows = find_neighbours(
        values,
        n_neighbours=job.n_neighbours,
        percentile=job.percentile,
        detected=gather(job, "layers/detected", span),
        order=job.order,
    )
    is_complete = np.asarray(~np.isnan(values).any(axis=0))
    norms = squared_norms(to_profiles(job, span, values, is_complete))
    return FirstPass(found.p95, found.p95_ratio, windows, is_complete, norms)


def _measure_signal(job: MeasureJob, resources: Resources) -> FirstPass:
    """First pass: percentiles, windows and profile lengths."""
    n_ahead = count_ahead(job, resources)
    resources.progress("measure signal", 0, -(-job.atlas.n_genes // GENE_TILE))
    parts: list[FirstPass] = []
    total = np.zeros(job.atlas.n_samples)
    n_tiles = -(-job.atlas.n_genes // GENE_TILE)
    for part in map_blocks(
        partial(_first_tile, job), read_tiles(job, resources), resources=resources, n_ahead=n_ahead
    ):
        total += part.squared_norms
        parts.append(part)
        resources.progress("measure signal", len(parts), n_tiles)
    return FirstPass(
        np.concatenate([part.p95 for part in parts]),
        np.concatenate([part.p95_ratio for part in parts]),
        join_windows([part.windows for part in parts]),
        np.concatenate([part.is_complete for part in parts]),
        total,
    )


def _measure_likeness(
    job: MeasureJob, first: FirstPass, resources: Resources, approximate: int | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Make the columns of the gene table, and say how far off an estimate is."""

    def tabulate(sums: NDArray[np.float64]) -> pd.DataFrame:
        mean = combine_similarity(
            sums,
            first.windows,
            has_profile=first.squared_norms > 0,
            n_detected=job.atlas.var["n_detected"].to_numpy(),
        )
        found = {"p95": first.p95, "p95_ratio": first.p95_ratio, "mean_cosine": mean}
        return make_columns(found, first.windows, job.atlas.var.index)

    if approximate is None:
        return tabulate(sum_likeness(job, first, resources, None)), {}
    plan = ProjectionPlan.of(job.atlas.n_genes, approximate, resources.rng("projection"))
    seen = LikenessEstimate(plan, *sum_likeness(job, first, resources, plan))
    columns, exact = tabulate(seen.squared_sums), tabulate(seen.exact)["mean_cosine"]
    columns["mean_cosine_error"] = seen.standard_error(first.windows)
    return columns, {"approximate": seen.describe(columns, exact)}


def _say_plan(
    job: MeasureJob,
    tables: TableMemory,
    resources: Resources,
    label_tile: Callable[[slice], Any] | None,
) -> dict[str, Any]:
    """Say what a run would read and take."""

    def measure_tile(span: slice) -> tuple[NeighbourWindows, NDArray[np.float32]]:
        values = gather(job, "X", span)
        return _first_tile(job, (span, values)).windows, values

    estimate = estimate_measuring(
        job.atlas,
        measure_tile=measure_tile,
        n_threads=resources.n_workers,
        is_gram=job.prefers_gram,
        label_tile=label_tile,
    )
    return {
        "dry_run": True,
        "n_samples": job.atlas.n_samples,
        "n_genes": job.atlas.n_genes,
        **estimate.to_figures(),
        "memory_bytes": resources.memory_bytes,
        "memory_minimum_bytes": job.minimum_bytes + tables.held_bytes,
    }
