"""Order genes by how much they promise a classifier, from training samples only."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from expressome.classification.label_sets import fit_label_sets

__all__ = ["FEATURES", "f_statistic", "order_genes", "rank_within_samples"]

# "ranks": ordered by the F-test, read as ranks within the sample.
FeatureOrder = Literal["f-test", "information", "variance", "ranks"]
FEATURES = get_args(FeatureOrder)

# A window of samples most of which do not express the gene tells how zeros are ranked.
_LOWEST_NEIGHBOURS_DETECTED = 0.5
# With three cells or fewer, one of them against the rest leaves no spread to compare with.
_FEWEST_CELLS = 4


def order_genes(
    p95: ArrayLike, mean_cosine: ArrayLike, *, neighbours_detected: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Order genes by signal and mean cosine together, most informative first.

    A gene is informative when its top expression stands out (`p95`) and the
    samples around its 95th percentile resemble each other (`mean_cosine`): the
    sum of the two ranks decides.

    Parameters
    ----------
    p95
        Signal of each gene on training samples, shape (n_genes,).
    mean_cosine
        Mean cosine similarity on training samples, shape (n_genes,); NaN for
        genes no sample expresses, which come last.
    neighbours_detected
        Share of the window that expresses the gene; below one half it comes
        after all others.

    Returns
    -------
    ndarray
        Gene positions, best first, shape (n_genes,).

    Examples
    --------
    >>> order_genes([1.0, 5.0, 3.0], [0.9, 0.8, np.nan]).tolist()
    [1, 0, 2]
    """
    signal, cosine = np.asarray(p95, float), np.asarray(mean_cosine, float)
    detected = (
        np.ones(len(signal))
        if neighbours_detected is None
        else np.asarray(neighbours_detected, float)
    )
    is_poor = ~(detected >= _LOWEST_NEIGHBOURS_DETECTED)
    is_absent = ~np.isfinite(signal) | ~np.isfinite(cosine)
    score = _ranks(signal) + _ranks(cosine)
    return np.lexsort((np.arange(len(score)), -score, is_poor, is_absent)).astype(np.int64)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank ascending from 0, absent values lowest."""
    filled = np.where(np.isfinite(values), values, -np.inf)
    ranks = np.empty(len(values))
    ranks[np.argsort(filled, kind="stable")] = np.arange(len(values))
    return ranks


def f_statistic(
    values: NDArray[np.floating],
    labels: sparse.csr_array,
    *,
    studies: NDArray[np.object_] | None = None,
) -> NDArray[np.float64]:
    """Compute for each gene the largest variance ratio that one label explains.

    For each label against the rest: F = between / within mean square; the gene keeps
    its highest F. With `studies` the units are the means of the cells (study, label
    set): a gene is good that differs between labels more than it does between studies
    of one label. Over samples, a gene that marks one large study looks as good.

    Parameters
    ----------
    values
        Training samples, shape (n_samples, n_genes); NaN where unmeasured, which counts
        as the gene's mean.
    labels
        0/1, shape (n_samples, n_labels).
    studies
        Study of each sample, shape (n_samples,); None counts samples. With fewer than
        4 cells samples are counted too.

    Returns
    -------
    ndarray
        Shape (n_genes,); 0 for a constant gene. Over samples only labels with two or
        more carriers count, over cells those with one, since a cell is a mean.

    References
    ----------
    Fisher 1925, Statistical Methods for Research Workers, chapter 7 (F); Hurlbert 1984,
    doi:10.2307/1942661 (samples of one group are no replicates of the treatment).

    Examples
    --------
    >>> values = np.array([[0.0, 1], [0.1, 0], [2, 1], [2.1, 0]])
    >>> labels = sparse.csr_array([[1, 0], [1, 0], [0, 1], [0, 1]])
    >>> f_statistic(values, labels).round(1).tolist()
    [800.0, 0.0]
    >>> f_statistic(values, labels, studies=np.array(list("abcd"), object)).round(1).tolist()
    [800.0, 0.0]
    """
    n_least = 2
    values = _fill_means(values)
    if studies is not None:
        sets, cell = _number_cells(labels, studies)
        if sets.shape[0] >= _FEWEST_CELLS:
            shares = 1 / np.bincount(cell)[cell]
            averages = sparse.csr_array((shares, (cell, np.arange(len(cell)))))
            values, labels, n_least = averages @ values, sets, 1
    n_units = len(values)
    carriers = sparse.csr_array(labels).astype(np.float64)
    n_in = np.asarray(carriers.sum(axis=0)).ravel()
    usable = np.flatnonzero((n_in >= n_least) & (n_in <= n_units - n_least))
    best = np.zeros(values.shape[1])
    for genes in range(0, values.shape[1], 4096):
        part = np.asarray(values[:, genes : genes + 4096], dtype=np.float64)
        part = part - part.mean(axis=0)
        total = (part**2).sum(axis=0)
        sums = carriers[:, usable].T @ part
        between = sums**2 * (1 / n_in[usable] + 1 / (n_units - n_in[usable]))[:, None]
        ratio = between / np.maximum(total - between, 1e-12 * np.maximum(total, 1e-300))
        if len(usable):
            best[genes : genes + 4096] = ratio.max(axis=0) * (n_units - 2)
    return best


def _fill_means(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Fill what a study did not measure with the gene's mean, which tells no label."""
    is_known = ~np.isnan(values)
    if is_known.all():
        return values
    known = np.where(is_known, values, 0)
    means = known.sum(axis=0) / np.maximum(is_known.sum(axis=0), 1)
    return np.where(is_known, known, means)


def _number_cells(
    labels: sparse.csr_array, studies: NDArray[np.object_]
) -> tuple[sparse.csr_array, NDArray[np.int64]]:
    """Give the labels of each cell (study, label set), and each sample's cell."""
    found, classes = fit_label_sets(labels)
    names, study = np.unique(studies.astype(str), return_inverse=True)
    cells, cell = np.unique(classes * len(names) + study, return_inverse=True)
    return sparse.csr_array(found.sets[cells // len(names)].astype(np.uint8)), cell


def rank_within_samples(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Replace each sample's values by their ranks, from 0 to 1.

    Ranks do not depend on the scale: counts, their logarithms and quantile-normalised
    values have the same ones, so that no target is needed.

    Parameters
    ----------
    values
        Shape (n_samples, n_genes). Ties get their mean rank; NaN stays NaN, and
        ranks are among the genes that the sample measures.

    Returns
    -------
    ndarray
        float32, same shape.

    Examples
    --------
    >>> rank_within_samples(np.array([[5.0, 1.0, 9.0]])).tolist()
    [[0.5, 0.0, 1.0]]
    """
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=1, nan_policy="omit") - 1
    n_measured = (~np.isnan(values)).sum(axis=1, keepdims=True)
    return np.asarray(ranks / np.maximum(1, n_measured - 1), dtype=np.float32)
