"""Measure how much of the variance of an atlas is study, label and depth."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.atlas import Atlas
from expressome.blocks import tiles
from expressome.engine import Resources
from expressome.pipeline.mapping import Excerpt
from expressome.reporting.content import BatchEffects

__all__ = ["measure_batch", "partition_variance"]

# Genes that vary most: they carry the components, and their covariance takes 8 MB.
_N_GENES = 1000
_N_COMPONENTS = 10
_STAGE = "report: batch effects"

Floats = NDArray[np.float64]


def measure_batch(atlas: Atlas, excerpt: Excerpt, *, resources: Resources) -> BatchEffects | None:
    """Take principal components of all samples and share out their variance.

    Parameters
    ----------
    atlas
        The atlas.
    excerpt
        What chose the genes.
    resources
        Memory; the kept genes of all samples are held if they fit a quarter of it, and
        read a second time otherwise.

    Returns
    -------
    BatchEffects or None
        None if there are fewer than three samples or genes that vary.

    Notes
    -----
    Exact components of the covariance, whose sums run over canonical tiles, so that any
    memory budget gives the same bits. An unmeasured value stands at its gene's mean over the
    excerpt. Scale: before the division by length.
    """
    kept = _choose_genes(excerpt)
    if atlas.n_samples < 3 or len(kept) < 3:
        return None
    genes = excerpt.genes[kept]
    known = np.isfinite(excerpt.values[:, kept])
    centre = np.nansum(excerpt.values[:, kept], axis=0) / np.maximum(known.sum(axis=0), 1)
    source = _Values(atlas, genes, excerpt.lengths[genes], centre, resources)
    mean, covariance = _sum_covariance(source)
    variances, axes = np.linalg.eigh(covariance)
    order = np.argsort(-variances, kind="stable")[: min(_N_COMPONENTS, len(genes) - 1)]
    scores = np.empty((atlas.n_samples, len(order)))
    for span, values in source.tiles():
        scores[span] = (values - mean) @ axes[:, order]
    total = float(np.trace(covariance))
    if total <= 0:
        return None
    shares = np.maximum(variances[order], 0) / total
    table = partition_variance(
        scores,
        studies=pd.factorize(atlas.obs["study"])[0],
        labels=_name_label_sets(atlas),
        depth=_read_depth(atlas.obs),
    )
    table.insert(0, "variance", shares)
    labelled = atlas.labels.is_labelled
    return BatchEffects(
        table=table,
        overall=_average(table),
        n_samples=int(labelled.sum()) if labelled.any() else atlas.n_samples,
        n_studies=int(atlas.obs["study"][labelled if labelled.any() else slice(None)].nunique()),
        n_genes=len(genes),
        has_labels=bool(labelled.any()),
    )


def _choose_genes(excerpt: Excerpt) -> NDArray[np.intp]:
    """Choose the kept genes that vary most."""
    n_known = np.isfinite(excerpt.values).sum(axis=0)
    mean = np.nansum(excerpt.values, axis=0) / np.maximum(n_known, 1)
    variance = np.nansum((excerpt.values - mean) ** 2, axis=0) / np.maximum(n_known, 1)
    return np.sort(np.argsort(-variance, kind="stable")[: min(_N_GENES, int((variance > 0).sum()))])


class _Values:
    """The kept genes of all samples, tile by tile, as often as asked."""

    def __init__(
        self,
        atlas: Atlas,
        genes: NDArray[np.intp],
        lengths: Floats,
        centre: Floats,
        resources: Resources,
    ) -> None:
        self.atlas, self.genes, self.lengths, self.centre = atlas, genes, lengths, centre
        self.resources = resources
        self.shape = (atlas.n_samples, len(genes))
        self._store = np.empty(self.shape, np.float32) if _fits(self.shape, resources) else None
        self._is_filled = False

    def tiles(self) -> Iterator[tuple[slice, Floats]]:
        """Give every canonical tile, less the centre; unmeasured values are 0."""
        for span, values in self._blocks():
            for tile in tiles(len(values)):
                offset = values[tile].astype(np.float64) * self.lengths - self.centre
                place = slice(span.start + tile.start, span.start + tile.stop)
                # One layout in memory, so that products add in one order.
                yield place, np.ascontiguousarray(np.where(np.isfinite(offset), offset, 0))
        self._is_filled = self._store is not None

    def _blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        if self._store is not None and self._is_filled:
            yield slice(0, self.shape[0]), self._store
            return
        for span, block in self.atlas.blocks(resources=self.resources):
            values = block[:, self.genes]
            if self._store is not None:
                self._store[span] = values
            yield span, values
            self.resources.progress(_STAGE, span.stop, self.shape[0])


def _fits(shape: tuple[int, int], resources: Resources) -> bool:
    """Tell whether the kept values may stay in memory: a quarter of it."""
    return 4 * shape[0] * shape[1] <= resources.memory_bytes // 4


def _sum_covariance(source: _Values) -> tuple[Floats, Floats]:
    """Sum mean and covariance over the tiles."""
    n_samples, n_genes = source.shape
    total, products = np.zeros(n_genes), np.zeros((n_genes, n_genes))
    for _, values in source.tiles():
        total += values.sum(axis=0)
        products += values.T @ values
    mean = total / n_samples
    return mean, products / n_samples - np.outer(mean, mean)


def _name_label_sets(atlas: Atlas) -> NDArray[np.int64]:
    """Give each label set a number, -1 where there is no label."""
    matrix = atlas.labels.matrix.tocsr()
    names = [
        tuple(matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]].tolist())
        for i in range(matrix.shape[0])
    ]
    numbers = {name: k for k, name in enumerate(dict.fromkeys(name for name in names if name))}
    return np.array([numbers.get(name, -1) for name in names], dtype=np.int64)


def _read_depth(obs: pd.DataFrame) -> Floats | None:
    """Give log10 of the aligned reads, NaN where unknown; None without the field."""
    if "aligned_reads" not in obs.columns:
        return None
    reads = pd.to_numeric(obs["aligned_reads"], errors="coerce").to_numpy(np.float64)
    depth: Floats = np.log10(np.where(reads > 0, reads, np.nan))
    return depth if np.isfinite(depth).sum() > 2 else None


def partition_variance(
    scores: Floats,
    *,
    studies: NDArray[np.int64],
    labels: NDArray[np.int64],
    depth: Floats | None = None,
) -> pd.DataFrame:
    """Share out the variance of components among study, label and depth.

    Shares are adjusted R squared of analyses of variance, so that many small groups do not
    explain by chance: 1 - (1 - R2)(n - 1)/(n - k) with n samples in k groups.

    Parameters
    ----------
    scores
        Components, shape (n_samples, n_components).
    studies
        Study per sample, as numbers, shape (n_samples,).
    labels
        Label set per sample, -1 where there is none. If any sample has one, only those
        samples are analysed.
    depth
        log10 of the aligned reads, NaN where unknown; None where there are none.

    Returns
    -------
    DataFrame
        One row per component, index ``component`` from 1. ``study``: all that studies differ
        in, also because they hold different tissues. ``label``: what the label
        explains. ``study_within_label``: what the study explains beyond the label,
        the batch effect proper. ``residual``: neither. ``depth``: squared correlation
        with the depth, a share of its own that overlaps with the others. NaN where
        it cannot be told.

    References
    ----------
    Boedigheimer et al. 2008, doi:10.1186/1471-2164-9-285 (principal variance components;
    here fixed effects, nested, adjusted for their number, instead of a mixed model)

    Examples
    --------
    >>> scores = np.array([[0.0], [0.1], [5.0], [5.1]])
    >>> partition_variance(
    ...     scores, studies=np.array([0, 1, 0, 1]), labels=np.array([0, 0, 1, 1])
    ... ).round(2)["label"].tolist()
    [1.0]
    """
    used = labels >= 0 if (labels >= 0).any() else np.ones(len(labels), bool)
    values, study, label = scores[used], studies[used], labels[used]
    has_labels = bool((label >= 0).any())
    by_study = _adjusted_share(values, study)
    blank = np.full(scores.shape[1], np.nan)
    by_label, within = blank, blank
    if has_labels:
        by_label = _adjusted_share(values, label)
        cells = np.unique(np.stack([study, label]), axis=1, return_inverse=True)[1].ravel()
        # Where every study holds one label, cells are studies: the rest is between studies.
        within = np.maximum(_adjusted_share(values, cells) - np.maximum(by_label, 0), 0)
    explained = by_label + within if has_labels else by_study
    by_depth = blank if depth is None else _squared_correlation(values, depth[used])
    return pd.DataFrame(
        {
            "study": np.maximum(by_study, 0),
            "label": np.maximum(by_label, 0),
            "study_within_label": within,
            "residual": 1 - np.clip(explained, 0, 1),
            "depth": by_depth,
        },
        index=pd.RangeIndex(1, scores.shape[1] + 1, name="component"),
    )


def _adjusted_share(values: Floats, groups: NDArray[np.int64]) -> Floats:
    """Give the share of each column's variance that lies between groups, adjusted."""
    numbers = np.unique(groups, return_inverse=True)[1].ravel()
    sizes = np.bincount(numbers).astype(np.float64)
    n_samples, n_groups = len(numbers), len(sizes)
    total = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    means = np.stack([np.bincount(numbers, column) / sizes for column in values.T], axis=1)
    inside = ((values - means[numbers]) ** 2).sum(axis=0)
    left = np.full(values.shape[1], np.nan)
    if n_samples > n_groups:
        ratio = np.divide(inside, total, out=np.full_like(total, np.nan), where=total > 0)
        left = ratio * (n_samples - 1) / (n_samples - n_groups)
    return 1 - left


def _squared_correlation(values: Floats, depth: Floats) -> Floats:
    known = np.isfinite(depth)
    centred = depth[known] - depth[known].mean()
    columns = values[known] - values[known].mean(axis=0)
    scale = (centred**2).sum() * (columns**2).sum(axis=0)
    shares: Floats = np.divide(
        (centred @ columns) ** 2, scale, out=np.full(len(scale), np.nan), where=scale > 0
    )
    return shares


def _average(table: pd.DataFrame) -> dict[str, float]:
    """Average the shares over components, weighted with their variance."""
    weights = table["variance"].to_numpy()
    return {
        str(name): float(np.average(table[name], weights=weights))
        for name in table.columns
        if name != "variance" and weights.sum() > 0
    }
