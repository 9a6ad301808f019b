"""Place samples in a plane, and find the genes that tell labels apart, on a sample of the atlas."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from expressome.atlas import Atlas
from expressome.blocks import TILE_SAMPLES
from expressome.engine import Resources
from expressome.reporting.content import Histogram
from expressome.reporting.palette import CATEGORIES

__all__ = [
    "Excerpt",
    "SamplePlane",
    "fit_plane",
    "measure_distances",
    "measure_representative",
    "name_groups",
    "read_excerpt",
]

# Samples read: enough for a picture, little enough to read from an atlas of any size.
_N_RANDOM = 2000
_N_OF_LABELS = 2000
# Samples and genes of the first look, which chooses the genes of the map.
_N_LOOK = 256
_N_GENES = 2000
# Components in which distances are taken; the first two are drawn.
_N_COMPONENTS = 20
_N_MARKERS = 8
_N_LENGTH_BINS = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What one pass over some samples tells.

    Attributes
    ----------
    rows
        Positions of the samples in the atlas, ascending, shape (n_read,).
    genes
        Positions of the genes kept, ascending, shape (n_kept,).
    values
        Their values on the scale before length division, NaN where unmeasured,
        shape (n_read, n_kept).
    lengths
        What the atlas's values were multiplied with to undo the division by
        length, shape (n_genes,); ones where nothing was divided.
    gene_mean
        Mean of each gene over the samples, same scale, shape (n_genes,).
    markers
        Top genes per label, as `expressome.reporting.content.Genes` has them.
    """

    rows: NDArray[np.intp]
    genes: NDArray[np.intp]
    values: Floats
    lengths: Floats
    gene_mean: Floats
    markers: pd.DataFrame

    def length_effect(self, var: pd.DataFrame) -> pd.DataFrame | None:
        """Bin the genes' means by length, before and after division."""
        if np.all(self.lengths == 1) or "length_bp" not in var.columns:
            return None
        length_bp = var["length_bp"].to_numpy(np.float64)
        # Genes that are nearly always zero say nothing of length.
        used = np.isfinite(self.gene_mean) & (self.gene_mean > 1) & np.isfinite(length_bp)
        if used.sum() < 4 * _N_LENGTH_BINS:
            return None
        means = {"before": self.gene_mean[used], "after": (self.gene_mean / self.lengths)[used]}
        order = np.argsort(length_bp[used], kind="stable")
        rows = []
        for part in np.array_split(order, _N_LENGTH_BINS):
            row = {"length_bp": float(np.median(length_bp[used][part])), "n_genes": len(part)}
            for name, values in means.items():
                low, middle, high = np.quantile(values[part], [0.25, 0.5, 0.75])
                row |= {name: middle, f"{name}_low": low, f"{name}_high": high}
            rows.append(row)
        return pd.DataFrame(rows)


def _choose_rows(atlas: Atlas, rng: np.random.Generator) -> NDArray[np.intp]:
    """Take random samples, and some of every label so that rare ones show."""
    n_samples = atlas.n_samples
    chosen = [rng.choice(n_samples, min(n_samples, _N_RANDOM), replace=False)]
    columns = atlas.labels.matrix.tocsc()
    n_each = max(3, _N_OF_LABELS // max(1, columns.shape[1]))
    for k in range(columns.shape[1]):
        carriers = columns.indices[columns.indptr[k] : columns.indptr[k + 1]]
        chosen.append(rng.choice(carriers, min(len(carriers), n_each), replace=False))
    return np.unique(np.concatenate(chosen)).astype(np.intp)


def _undo_lengths(atlas: Atlas) -> Floats:
    """Give the factor per gene that undoes the division by length."""
    parts = atlas.normalizer_parts
    if not atlas.recipe.endswith("-length"):
        return np.ones(atlas.n_genes)
    length_bp: Floats = np.asarray(parts["length_bp"], dtype=np.float64)
    return length_bp / 1000 if str(parts["length_unit"]) == "kb" else length_bp


def _choose_genes(look: Floats) -> NDArray[np.intp]:
    """Choose the genes that vary most in the first look."""
    n_known = np.isfinite(look).sum(axis=0)
    centre = np.divide(
        np.nansum(look, axis=0), n_known, out=np.zeros(look.shape[1]), where=n_known > 0
    )
    spread = np.nansum((look - centre) ** 2, axis=0) / np.maximum(n_known, 1)
    # A gene unmeasured in half of the samples would place them by its absence.
    spread[n_known < 0.5 * len(look)] = -1
    best = np.argsort(-spread, kind="stable")[: min(_N_GENES, int((spread > 0).sum()))]
    return np.sort(best).astype(np.intp)


def read_excerpt(atlas: Atlas, *, resources: Resources, stage: str = "report") -> Excerpt:
    """Read some samples of the atlas once, for the map, the markers and the length effect.

    Parameters
    ----------
    atlas
        The atlas.
    resources
        Its seed chooses the samples.
    stage
        Who reads, as progress names it.

    Returns
    -------
    Excerpt
        About 2,000 random samples and up to 2,000 more so that every label is there.

    Notes
    -----
    Memory: 256 samples of all genes, the kept genes of all samples read, and one
    sum per label and gene.
    """
    rng = resources.rng("report")
    rows, lengths = _choose_rows(atlas, rng), _undo_lengths(atlas)
    look = np.sort(rng.choice(rows, min(len(rows), _N_LOOK), replace=False))
    genes = _choose_genes(atlas.read(samples=look).astype(np.float64) * lengths)
    kept = np.empty((len(rows), len(genes)))
    sums = _Sums(atlas, rows)
    for start in range(0, len(rows), TILE_SAMPLES):
        resources.progress(f"{stage}: read samples", start, len(rows))
        span = slice(start, start + TILE_SAMPLES)
        values = atlas.read(samples=rows[span]).astype(np.float64) * lengths
        kept[span] = values[:, genes]
        sums.add(values, span)
    resources.progress(f"{stage}: read samples", len(rows), len(rows))
    return Excerpt(rows, genes, kept, lengths, sums.gene_mean, sums.find_markers(atlas))


class _Sums:
    """Sums over samples, per gene and per label and gene."""

    def __init__(self, atlas: Atlas, rows: NDArray[np.intp]) -> None:
        self.labels = sparse.csr_array(atlas.labels.matrix.tocsr()[rows]).astype(np.float64)
        self.is_labelled = np.asarray(self.labels.sum(axis=1)).ravel() > 0
        shape = (self.labels.shape[1], atlas.n_genes)
        self.label_sum, self.label_n = np.zeros(shape), np.zeros(shape)
        self.all_sum, self.all_n, self.n, self.sum, self.squares = np.zeros((5, atlas.n_genes))

    def add(self, values: Floats, span: slice) -> None:
        """Add some samples; unmeasured cells count nowhere."""
        known = np.isfinite(values)
        filled = np.where(known, values, 0)
        self.all_sum += filled.sum(axis=0)
        self.all_n += known.sum(axis=0)
        labelled = self.is_labelled[span]
        self.sum += filled[labelled].sum(axis=0)
        self.squares += (filled[labelled] ** 2).sum(axis=0)
        self.n += known[labelled].sum(axis=0)
        members = self.labels[span].T
        self.label_sum += members @ filled
        self.label_n += members @ known.astype(np.float64)

    @property
    def gene_mean(self) -> Floats:
        """Mean per gene over all samples read, NaN where none is measured."""
        mean: Floats = np.divide(
            self.all_sum, self.all_n, out=np.full(self.all_n.size, np.nan), where=self.all_n > 0
        )
        return mean

    def find_markers(self, atlas: Atlas) -> pd.DataFrame:
        """Name the genes whose mean in a label lies farthest above the other labelled samples."""
        mean = self.sum / np.maximum(self.n, 1)
        spread = np.sqrt(np.maximum(self.squares / np.maximum(self.n, 1) - mean**2, 0))
        # Genes with hardly any spread would win by chance.
        usable = spread > 0.1
        spread = spread + (np.median(spread[usable]) if usable.any() else 1.0)
        symbols = atlas.var["symbol"].astype(str) if "symbol" in atlas.var else atlas.var.index
        names = np.where(np.asarray(symbols) == "", atlas.var.index, symbols)
        rows = {}
        sizes = np.asarray(self.labels.sum(axis=0)).ravel()
        for k, key in enumerate(atlas.labels.keys):
            outside = self.n - self.label_n[k]
            if sizes[k] < 3 or not outside.any():
                continue
            inside = self.label_sum[k] / np.maximum(self.label_n[k], 1)
            others = (self.sum - self.label_sum[k]) / np.maximum(outside, 1)
            score = np.where(usable & (self.label_n[k] > 0), (inside - others) / spread, -np.inf)
            best = np.argsort(-score, kind="stable")[:_N_MARKERS]
            genes = ", ".join(str(name) for name in names[best[score[best] > 0]])
            rows[key] = {"genes": genes, "n_samples": int(sizes[k])}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["genes", "n_samples"])


@dataclass(frozen=True, slots=True)
class SamplePlane:
    """Principal components fitted on real samples, applied to any.

    Attributes
    ----------
    centre
        Mean per gene, which also stands in for unmeasured values, shape (n_kept,).
    axes
        Components, shape (n_components, n_kept).
    explained
        Share of the variance on the first two.
    """

    centre: Floats
    axes: Floats
    explained: tuple[float, float]

    def place(self, values: Floats) -> Floats:
        """Give the components of samples, shape (n_samples, n_components)."""
        offset = np.where(np.isfinite(values), values - self.centre, 0)
        placed: Floats = offset @ self.axes.T
        return placed


def fit_plane(
    excerpt: Excerpt, *, seed: int, n_components: int = _N_COMPONENTS
) -> SamplePlane | None:
    """Fit principal components on the samples read.

    Parameters
    ----------
    excerpt
        Samples and the genes kept.
    seed
        For the randomised solver.
    n_components
        Axes at most.

    Returns
    -------
    SamplePlane or None
        None if there are fewer than three samples or genes.
    """
    if min(excerpt.values.shape) < 3:
        return None
    n_known = np.isfinite(excerpt.values).sum(axis=0)
    centre = np.nansum(excerpt.values, axis=0) / np.maximum(n_known, 1)
    filled = np.where(np.isfinite(excerpt.values), excerpt.values, centre)
    model = PCA(
        n_components=min(n_components, *(n - 1 for n in filled.shape)),
        svd_solver="randomized",
        random_state=seed,
    ).fit(filled)
    first, second = model.explained_variance_ratio_[:2]
    return SamplePlane(model.mean_, model.components_, (float(first), float(second)))


def name_groups(atlas: Atlas, rows: NDArray[np.intp]) -> tuple[NDArray[Any], list[str]]:
    """Name the group each sample is drawn in: one of the most frequent labels, or the rest.

    Parameters
    ----------
    atlas
        The atlas.
    rows
        Positions of the samples.

    Returns
    -------
    names : ndarray of str
        Group per sample: its rarest label among the shown ones, ``other labels`` or ``unlabelled``.
    shown : list of str
        The labels with a colour, most frequent first.
    """
    matrix = atlas.labels.matrix.tocsr()[rows]
    totals = np.asarray(atlas.labels.matrix.sum(axis=0)).ravel()
    order = np.argsort(-totals, kind="stable")[: len(CATEGORIES)]
    keys = atlas.labels.keys
    labelled = np.asarray(matrix.sum(axis=1)).ravel() > 0
    names = np.where(labelled, "other labels", "unlabelled").astype(object)
    for k in order:
        carriers = np.asarray(matrix[:, [k]].todense()).ravel() > 0
        names[carriers] = keys[k]
    return names, [keys[k] for k in order]


def measure_distances(
    real: Floats, real_labels: NDArray[Any], synthetic: Floats, synthetic_labels: NDArray[Any]
) -> Mapping[str, Histogram]:
    """Bin the distances to the nearest real sample, for real and synthetic samples.

    Parameters
    ----------
    real, synthetic
        Samples in the space of the components.
    real_labels, synthetic_labels
        One label per sample.

    Returns
    -------
    dict
        Name of the comparison -> histogram, same bins.
    """
    found: dict[str, list[Floats]] = {}
    for label in dict.fromkeys(synthetic_labels.tolist()):
        own, others = real[real_labels == label], real[real_labels != label]
        made = synthetic[synthetic_labels == label]
        pairs: Iterable[tuple[str, Floats, Floats, int]] = (
            ("real to another real sample of its label", own, own, 1),
            ("synthetic to a real sample of its label", made, own, 0),
            ("real to a real sample of another label", own, others, 0),
        )
        for name, of, among, n_skipped in pairs:
            if len(of) and len(among) > n_skipped:
                near = NearestNeighbors(n_neighbors=n_skipped + 1).fit(among)
                found.setdefault(name, []).append(near.kneighbors(of)[0][:, n_skipped])
    return _bin_alike(found)


def measure_representative(
    real: Floats, real_labels: NDArray[Any], synthetic: Floats, synthetic_labels: NDArray[Any]
) -> Mapping[str, Histogram]:
    """Bin the distances to the label's representative sample, for real and synthetic samples.

    The representative is the medoid: the real sample with the smallest mean distance to
    the others of its label.

    Parameters
    ----------
    real, synthetic
        Samples in the space of the components.
    real_labels, synthetic_labels
        One label per sample.

    Returns
    -------
    dict
        Name of the comparison -> histogram, same bins; the representative itself is not counted.
    """
    found: dict[str, list[Floats]] = {}
    for label in dict.fromkeys(synthetic_labels.tolist()):
        own, made = real[real_labels == label], synthetic[synthetic_labels == label]
        if len(own) < 2:
            continue
        medoid = int(cdist(own, own).sum(axis=1).argmin())
        others = np.delete(own, medoid, axis=0)
        for name, of in (("real samples", others), ("synthetic samples", made)):
            found.setdefault(name, []).append(cdist(of, own[[medoid]]).ravel())
    return _bin_alike(found)


def _bin_alike(found: Mapping[str, Sequence[Floats]]) -> dict[str, Histogram]:
    """Bin the distances of every comparison alike; a few far ones go to the last bin."""
    if not found:
        return {}
    joined = {name: np.concatenate(parts) for name, parts in found.items()}
    edges = np.linspace(0, max(np.quantile(v, 0.995) for v in joined.values()) * 1.02 + 1e-9, 41)
    return {
        name: Histogram(edges, np.histogram(np.minimum(v, edges[-1]), edges)[0].astype(np.float64))
        for name, v in joined.items()
    }
