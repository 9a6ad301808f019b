"""Measure every gene of an atlas within each label."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.atlas import Atlas
from expressome.classification.label_sets import close_labels
from expressome.classification.model import parent_columns
from expressome.engine import Resources, map_blocks
from expressome.errors import LabelError, LabelWarning, first_few
from expressome.metrics.windows import GENE_TILE
from expressome.metrics.within_labels import signal_within, tau

__all__ = ["make_label_tiler", "measure_within_labels"]

# A tile, the rows of one label, and float64 pieces of them.
_BYTES_PER_CELL = 16


def measure_within_labels(
    atlas: Atlas, *, percentile: float, min_samples: int, resources: Resources
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Store mean and percentile of each gene within each label; score its specificity.

    Parameters
    ----------
    atlas
        With labels; ``varm["label_mean"]`` and ``varm["label_p95"]`` are added to it, one
        column per label in the order of its label table.
    percentile
        Which percentile, in 0-100.
    min_samples
        Labels with fewer samples are flagged and left out of `tau`.
    resources
        Memory, threads or cluster.

    Returns
    -------
    tuple
        Columns ``tau`` and ``tau_label`` of the gene table, and figures.

    Raises
    ------
    LabelError
        If the atlas has no labelled sample.

    Warns
    -----
    LabelWarning
        If labels have fewer than `min_samples` samples.

    Notes
    -----
    One pass. A sample carries its labels and their parents. `tau` compares the most specific
    labels: those that are no parent of another with enough samples.
    """
    labels = atlas.labels
    members = _find_members(atlas)
    n_samples = np.array([len(rows) for rows in members], np.int64)
    keys = np.array(labels.keys, dtype=object)
    is_rare = (n_samples > 0) & (n_samples < min_samples)
    if is_rare.any():
        text = (
            f"{int(is_rare.sum())} of {len(keys)} labels have fewer than {min_samples} samples "
            f"({first_few(keys[is_rare])}); they are measured but left out of tau"
        )
        warnings.warn(text, LabelWarning, stacklevel=4)
    means, p95 = _measure(atlas, members, percentile, resources)
    is_enough = n_samples >= min_samples
    parents = set(labels.labels["parent"].to_numpy(dtype=object)[is_enough])
    compared = np.flatnonzero(is_enough & ~np.isin(keys, list(parents)))
    columns = _score(means[:, compared], keys[compared], atlas.var.index)
    atlas.write_varm("label_mean", means.astype(np.float32))
    atlas.write_varm("label_p95", p95.astype(np.float32))
    figures = {
        "n_samples": dict(zip(keys.tolist(), n_samples.tolist(), strict=True)),
        "few_samples": keys[is_rare].tolist(),
        "min_samples": min_samples,
        "compared": keys[compared].tolist(),
        "most_specific": _name_best(columns, atlas.var),
    }
    return columns, figures


def make_label_tiler(atlas: Atlas, percentile: float) -> Callable[[slice], Any]:
    """Give the function that measures one tile of genes within every label.

    Parameters
    ----------
    atlas
        Atlas with labels.
    percentile
        In 0-100.

    Returns
    -------
    callable
        Takes a slice of genes.

    Raises
    ------
    LabelError
        If the atlas has no labelled sample.
    """
    return partial(_measure_tile, _Job(atlas, _find_members(atlas), percentile))


def _find_members(atlas: Atlas) -> Sequence[NDArray[np.integer]]:
    """Give the samples of each label, those of its children included."""
    labels = atlas.labels
    closed = close_labels(labels.matrix, parent_columns(labels.labels)).tocsc()
    members = [
        closed.indices[closed.indptr[k] : closed.indptr[k + 1]] for k in range(labels.n_labels)
    ]
    if not any(map(len, members)):
        msg = (
            f"{atlas.path.name} has no labelled sample, so nothing can be measured by label; "
            "normalize the file with labels"
        )
        raise LabelError(msg)
    return members


@dataclass(frozen=True, slots=True)
class _Job:
    """What a block function needs."""

    atlas: Atlas
    members: Sequence[NDArray[np.integer]]
    percentile: float


def _measure(
    atlas: Atlas, members: Sequence[NDArray[np.integer]], percentile: float, resources: Resources
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure tile after tile of genes, each read where it is measured."""
    per_gene = _BYTES_PER_CELL * max(atlas.n_samples, 1)
    width = int(np.clip(resources.memory_bytes // (2 * per_gene), 1, GENE_TILE))
    n_ahead = None
    if resources.cluster is None:
        n_fitting = resources.memory_bytes // (2 * per_gene * width)
        n_ahead = int(np.clip(n_fitting, 1, resources.n_workers))

    def spans() -> Iterator[slice]:
        for start in range(0, atlas.n_genes, width):
            yield slice(start, min(start + width, atlas.n_genes))

    shape = (atlas.n_genes, len(members))
    means, p95 = np.empty(shape), np.empty(shape)
    function = partial(_measure_tile, _Job(atlas, members, percentile))
    for span, found in map_blocks(function, spans(), resources=resources, n_ahead=n_ahead):
        means[span], p95[span] = found.mean, found.p95
        resources.progress("measure by label", span.stop, atlas.n_genes)
    return means, p95


def _measure_tile(job: _Job, span: slice) -> tuple[slice, Any]:
    rows, columns = np.arange(job.atlas.n_samples), np.arange(span.start, span.stop)
    values = job.atlas.matrix("X").gather(rows, columns)
    return span, signal_within(values, job.members, percentile=job.percentile)


def _score(means: NDArray[np.float64], keys: NDArray[np.object_], genes: pd.Index) -> pd.DataFrame:
    """Score the specificity of each gene and name its highest label."""
    scores = tau(means)
    names = np.full(len(genes), "", object)
    is_scored = np.isfinite(scores)
    if is_scored.any():
        names[is_scored] = keys[np.nanargmax(means[is_scored], axis=1)]
    return pd.DataFrame({"tau": scores, "tau_label": names}, index=genes)


def _name_best(columns: pd.DataFrame, var: pd.DataFrame) -> list[dict[str, Any]]:
    """Name the ten genes that are most specific to a label."""
    best = columns["tau"].dropna().sort_values(ascending=False, kind="stable").index[:10]
    symbols = var.get("symbol")
    return [
        {
            "gene": gene,
            "symbol": "" if symbols is None else symbols[gene],
            "label": columns["tau_label"][gene],
            "tau": float(columns["tau"][gene]),
        }
        for gene in best
    ]
