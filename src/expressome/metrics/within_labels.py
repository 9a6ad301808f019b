"""How strongly a gene is expressed within each label, and how specific it is to one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.errors import InvalidValueError
from expressome.metrics.signal import mean_over_samples, upper_percentile

__all__ = ["LabelSignal", "signal_within", "tau"]


@dataclass(frozen=True, slots=True)
class LabelSignal:
    """Expression of each gene within each label.

    Attributes
    ----------
    mean
        Mean over the samples of the label that measured the gene, shape (n_genes, n_labels), in
        the unit of the values; NaN where none did.
    p95
        Upper percentile over the same samples, shape (n_genes, n_labels).
    """

    mean: NDArray[np.float64]
    p95: NDArray[np.float64]


def signal_within(
    values: NDArray[Any], members: Sequence[NDArray[np.integer]], *, percentile: float = 95
) -> LabelSignal:
    """Measure each gene within each label.

    Parameters
    ----------
    values
        Normalised expression, shape (n_samples, n_genes); NaN where a gene was not measured.
    members
        Rows of each label's samples.
    percentile
        Which percentile, in 0-100; numpy's default (linear) interpolation. With fewer than
        20 samples the 95th lies between the two highest values.

    Returns
    -------
    LabelSignal
        Mean and percentile per gene and label.

    Raises
    ------
    InvalidValueError
        If `percentile` lies outside 0-100.

    Examples
    --------
    >>> found = signal_within(np.array([[1.0], [3.0], [9.0]]), [np.array([0, 1]), np.array([2])])
    >>> found.mean
    array([[2., 9.]])
    """
    if not 0 <= percentile <= 100:
        msg = f"percentile is {percentile}; choose one in 0-100"
        raise InvalidValueError(msg)
    shape = (values.shape[1], len(members))
    found = LabelSignal(np.full(shape, np.nan), np.full(shape, np.nan))
    for k, rows in enumerate(members):
        if len(rows):
            within = values[np.asarray(rows)]
            found.mean[:, k] = mean_over_samples(within)
            found.p95[:, k] = upper_percentile(within, percentile)
    return found


def tau(means: NDArray[np.floating]) -> NDArray[np.float64]:
    """Score how specific each gene is to one label: 0 everywhere alike, 1 in one label only.

    tau = sum over labels of (1 - x / max(x)) / (n - 1), x the gene's mean in each of n labels.

    Parameters
    ----------
    means
        Mean of each gene in each label, >= 0, shape (n_genes, n_labels); NaN where the label did
        not measure the gene, which then is left out for it.

    Returns
    -------
    ndarray
        Shape (n_genes,), in 0..1; NaN with fewer than two labels or a highest mean of 0.

    Notes
    -----
    Each gene is scaled by its own maximum, so division by gene length does not change it.
    Quantile normalisation lifts zero counts, so that on normalised values a gene of
    one label alone stays below 1.

    References
    ----------
    Yanai et al. 2005, doi:10.1093/bioinformatics/bti042 (there on log-transformed profiles of
    12 tissues); compared with other scores by Kryuchkova-Mostacci and Robinson-Rechavi 2017,
    doi:10.1093/bib/bbw008.

    Examples
    --------
    >>> tau(np.array([[8.0, 0.0, 0.0], [2.0, 2.0, 2.0], [4.0, 2.0, 0.0]]))
    array([1.  , 0.  , 0.75])
    """
    is_known = np.isfinite(means)
    n_labels = is_known.sum(axis=1)
    known = np.where(is_known, means, 0).astype(np.float64)
    highest = known.max(axis=1, initial=0)
    score = np.full(len(means), np.nan)
    is_scored = (n_labels >= 2) & (highest > 0)
    lost = n_labels - np.divide(known.sum(axis=1), highest, out=score.copy(), where=is_scored)
    np.divide(lost, n_labels - 1, out=score, where=is_scored)
    return score
