"""Count what a report shows of an atlas: samples, studies, labels, distributions, metrics."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.atlas import Atlas
from expressome.errors import AtlasError
from expressome.reporting.content import Density, Genes, Histogram, Normalization, Samples
from expressome.results import LabelMatrix, Target

__all__ = ["bin_values", "tally_genes", "tally_normalization", "tally_samples"]

# Labels in the grid of co-occurrence: more cannot be told apart on a page.
_N_COOCCURRING = 40

# Points of the target's curve, and cells of the plane of genes.
_N_TARGET = 400
_PLANE_CELLS = (60, 90)

# Densities: whole counts lie log2(3/2) = 0.58 apart or closer from 1 read up, so that a
# Gaussian of 0.5 joins them.
_N_DENSITY = 120
_BANDWIDTH = 0.5


def bin_values(
    values: NDArray[np.float64], *, n_bins: int = 40, edges: NDArray[np.float64] | None = None
) -> Histogram | None:
    """Count values in bins of equal width.

    Parameters
    ----------
    values
        Any numbers; those that are not finite are left out.
    n_bins
        Bins between the lowest and the highest value.
    edges
        Bin borders, where they are given by the quantity.

    Returns
    -------
    Histogram or None
        None if no value is finite.

    Examples
    --------
    >>> bin_values(np.array([0.0, 1.0, 1.0, np.nan]), n_bins=2).counts
    array([1., 2.])
    """
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return None
    counts, borders = np.histogram(finite, bins=n_bins if edges is None else edges)
    return Histogram(borders, counts.astype(np.float64))


def _log10(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the logarithm of what is above zero, NaN elsewhere."""
    positive = np.where(np.asarray(values, dtype=np.float64) > 0, values, np.nan)
    return np.log10(positive.astype(np.float64))


def _numbers(table: pd.DataFrame, column: str) -> NDArray[np.float64] | None:
    if column not in table.columns:
        return None
    return pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)


def tally_samples(atlas: Atlas, facts: Mapping[str, str]) -> Samples:
    """Count samples, studies and labels, and bin what was recorded per sample.

    Parameters
    ----------
    atlas
        The atlas; only its tables are read.
    facts
        Heading -> value in words, shown as they are.

    Returns
    -------
    Samples
        Without the map, which needs values.
    """
    obs = atlas.obs
    studies = pd.factorize(obs["study"])[0]
    matrix = atlas.labels
    depth, detected = _numbers(obs, "aligned_reads"), _numbers(obs, "n_detected")
    single_cell = _numbers(obs, "single_cell_probability")
    sizes = np.bincount(studies[studies >= 0])
    per_sample = np.asarray(matrix.matrix.sum(axis=1)).ravel().astype(np.int64)
    return Samples(
        facts=facts,
        n_samples=atlas.n_samples,
        n_genes=atlas.n_genes,
        n_studies=len(sizes),
        n_labelled=int(matrix.is_labelled.sum()),
        labels=_tally_labels(matrix, studies),
        parts=_tally_parts(obs, studies),
        labels_per_sample=np.bincount(per_sample),
        cooccurrence=_count_together(matrix),
        depth=None if depth is None else bin_values(_log10(depth)),
        detected=None if detected is None else bin_values(detected),
        study_sizes=bin_values(sizes.astype(np.float64), edges=_double(int(sizes.max(initial=1)))),
        single_cell=(
            None if single_cell is None else bin_values(single_cell, edges=np.linspace(0, 1, 41))
        ),
        n_single_cell=0 if single_cell is None else int((single_cell >= 0.5).sum()),
    )


def _double(largest: int) -> NDArray[np.float64]:
    """Give borders of bins that double: 1, 2, 3 to 4, 5 to 8, 9 to 16, ..."""
    n_bins = int(np.ceil(np.log2(max(largest, 1)))) + 1
    return np.concatenate([[1.0], 1.0 + 2.0 ** np.arange(n_bins)])


def _tally_labels(matrix: LabelMatrix, studies: NDArray[np.int64]) -> pd.DataFrame:
    """Count samples and studies per label, the most frequent first."""
    table = matrix.labels.reindex(columns=["kind", "parent", "ontology_id"]).fillna("")
    entries = matrix.matrix.tocoo()
    pairs = np.unique(np.stack([entries.col, studies[entries.row]]), axis=1)
    table["n_samples"] = np.bincount(entries.col, minlength=len(table)).astype(np.int64)
    table["n_studies"] = np.bincount(pairs[0], minlength=len(table)).astype(np.int64)
    return table.sort_values("n_samples", ascending=False, kind="stable")


def _tally_parts(obs: pd.DataFrame, studies: NDArray[np.int64]) -> pd.DataFrame:
    """Count samples and studies per part of the split."""
    part = obs["split"].astype(str).to_numpy() if "split" in obs.columns else np.full(len(obs), "")
    named = np.where(part == "", "unlabelled", part)
    order = [p for p in ("train", "validation", "test", "unlabelled") if (named == p).any()]
    rows = {
        p: {"n_samples": int((named == p).sum()), "n_studies": len(np.unique(studies[named == p]))}
        for p in order
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["n_samples", "n_studies"])


def _count_together(matrix: LabelMatrix) -> pd.DataFrame:
    """Count samples that carry both labels, among labels that share a sample with another."""
    values = matrix.matrix.astype(np.int64)
    together = (values.T @ values).toarray()
    shared = together - np.diag(np.diag(together))
    joined = np.flatnonzero(shared.sum(axis=0))
    chosen = joined[np.argsort(-np.diag(together)[joined], kind="stable")][:_N_COOCCURRING]
    keys = np.asarray(matrix.keys, dtype=object)[chosen]
    return pd.DataFrame(together[np.ix_(chosen, chosen)], index=keys, columns=keys)


def tally_normalization(
    atlas: Atlas, length_effect: pd.DataFrame | None = None
) -> Normalization | None:
    """Collect what the atlas recorded of its normalisation.

    Parameters
    ----------
    atlas
        The atlas.
    length_effect
        As `Normalization` describes it; None where the recipe has no lengths.

    Returns
    -------
    Normalization or None
        None if no distributions were recorded.
    """
    try:
        recorded = atlas.distributions
    except AtlasError:
        return None
    # Only quantile recipes fit a target.
    target = atlas.target if "profile" in atlas.normalizer_parts else Target(np.zeros(0), 0)
    profile = target.profile
    points = _place_points(recorded)
    ranks = np.linspace(0, profile.size - 1, min(_N_TARGET, profile.size)).astype(int)
    sources = atlas.var.get("length_source", pd.Series(dtype=object)).astype(str)
    return Normalization(
        recipe=atlas.recipe,
        points=points,
        before=_smooth(recorded["before"], recorded["edges_before"], points),
        after=_smooth(recorded["after"], recorded["edges_after"], points),
        bandwidth=_BANDWIDTH,
        target=np.asarray(profile[ranks], dtype=np.float64),
        n_target_samples=target.n_samples,
        length_effect=length_effect,
        length_sources={str(name): int(n) for name, n in sources.value_counts().items() if name},
    )


def _place_points(recorded: Mapping[str, Any]) -> NDArray[np.float64]:
    """Spread points from 0 to the highest bin that holds anything."""
    tops = [
        np.asarray(recorded[f"edges_{name}"])[1:][np.asarray(recorded[name]).sum(axis=0) > 0]
        for name in ("before", "after")
    ]
    return np.linspace(0, max(float(top.max(initial=1)) for top in tops), _N_DENSITY)


def _smooth(counts: Any, edges: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:  # noqa: ANN401
    """Smooth histograms with a Gaussian, mirrored at 0, into shares per unit."""
    values = np.asarray(counts, dtype=np.float64)
    borders = np.asarray(edges, dtype=np.float64)
    middle = np.where(borders[:-1] == 0, 0, (borders[1:] + borders[:-1]) / 2)
    distance = np.stack([points[:, None] - middle, points[:, None] + middle]) / _BANDWIDTH
    kernel = np.exp(-0.5 * distance**2).sum(axis=0) / (_BANDWIDTH * np.sqrt(2 * np.pi))
    shares = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    smoothed: NDArray[np.float64] = shares @ kernel.T
    return smoothed


def tally_genes(atlas: Atlas, markers: pd.DataFrame | None = None) -> Genes | None:
    """Collect the metrics of all genes, best ranks first.

    Parameters
    ----------
    atlas
        The atlas.
    markers
        Top genes per label, as `Genes` describes them.

    Returns
    -------
    Genes or None
        None if the atlas was not measured.
    """
    if not {"p95_ratio", "mean_cosine"} <= set(atlas.var.columns):
        return None
    table = atlas.var.copy()
    ranked = np.ones(len(table), dtype=bool)
    if "neighbours_detected" in table.columns:
        ranked = table["neighbours_detected"].to_numpy(np.float64) >= 0.5
    for name in ("p95_ratio", "mean_cosine"):
        if f"rank_{name}" not in table.columns:
            values = table[name].where(ranked)
            table[f"rank_{name}"] = values.rank(ascending=False, method="min")
    both = table[["rank_p95_ratio", "rank_mean_cosine"]].max(axis=1, skipna=False)
    table = table.iloc[np.argsort(both.fillna(np.inf).to_numpy(), kind="stable")]
    if "symbol" in table.columns:
        blank = table["symbol"].fillna("").astype(str).str.strip() == ""
        table["symbol"] = table["symbol"].astype(object).mask(blank, table.index)
    return Genes(table, _bin_plane(table), markers)


def _bin_plane(table: pd.DataFrame) -> Density | None:
    signal = _log10(table["p95_ratio"].to_numpy(np.float64))
    cosine = table["mean_cosine"].to_numpy(np.float64)
    known = np.isfinite(signal) & np.isfinite(cosine)
    if not known.any():
        return None
    counts, y_edges, x_edges = np.histogram2d(cosine[known], signal[known], bins=_PLANE_CELLS)
    return Density(x_edges, y_edges, counts)
