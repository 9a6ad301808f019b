"""Order genes by how much they promise a classifier, from training samples only."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

__all__ = ["FEATURES", "f_statistic", "order_genes", "rank_within_samples"]

# "ranks": ordered by information, read as ranks within the sample.
FeatureOrder = Literal["information", "variance", "f-test", "ranks"]
FEATURES = get_args(FeatureOrder)

# A window of samples most of which do not express the gene tells how zeros are ranked.
_LOWEST_NEIGHBOURS_DETECTED = 0.5


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


def f_statistic(values: NDArray[np.floating], labels: sparse.csr_array) -> NDArray[np.float64]:
    """Compute for each gene the largest variance ratio that one label explains.

    For each label against the rest: F = between / within mean square; the
    gene keeps its highest F over labels with two or more carriers.

    Parameters
    ----------
    values
        Training samples, shape (n_samples, n_genes), no NaN.
    labels
        0/1, shape (n_samples, n_labels).

    Returns
    -------
    ndarray
        Shape (n_genes,); 0 for a constant gene.

    Examples
    --------
    >>> values = np.array([[0.0, 1], [0.1, 0], [2, 1], [2.1, 0]])
    >>> labels = sparse.csr_array([[1, 0], [1, 0], [0, 1], [0, 1]])
    >>> f_statistic(values, labels).round(1).tolist()
    [800.0, 0.0]
    """
    n_samples = len(values)
    carriers = sparse.csr_array(labels).astype(np.float64)
    n_in = np.asarray(carriers.sum(axis=0)).ravel()
    usable = np.flatnonzero((n_in >= 2) & (n_in <= n_samples - 2))
    best = np.zeros(values.shape[1])
    for genes in range(0, values.shape[1], 4096):
        part = np.asarray(values[:, genes : genes + 4096], dtype=np.float64)
        part = part - part.mean(axis=0)
        total = (part**2).sum(axis=0)
        sums = carriers[:, usable].T @ part
        between = sums**2 * (1 / n_in[usable] + 1 / (n_samples - n_in[usable]))[:, None]
        ratio = between / np.maximum(total - between, 1e-12 * np.maximum(total, 1e-300))
        if len(usable):
            best[genes : genes + 4096] = ratio.max(axis=0) * (n_samples - 2)
    return best


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
