"""How strongly a gene is expressed at its upper end."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.blocks import as_blocks, tiles
from expressome.errors import InvalidValueError

__all__ = ["GeneSignal", "mean_over_samples", "signal", "upper_percentile"]

# Genes whose percentile is taken together: few, so that float64 copies stay small.
_GENES_AT_ONCE = 16

Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class GeneSignal:
    """Signal of each gene, in the order of the columns.

    Attributes
    ----------
    p95
        95th percentile of the values over the samples, shape (n_genes,), their unit.
    p95_ratio
        95th percentile of (1 + x) / mean(1 + x), shape (n_genes,), no unit: how far the upper
        end lies above the average.
    """

    p95: NDArray[np.float64]
    p95_ratio: NDArray[np.float64]


def mean_over_samples(values: Values) -> NDArray[np.float64]:
    """Average each gene over the samples that measured it.

    Parameters
    ----------
    values
        Shape (n_samples, n_genes); NaN where a gene was not measured.

    Returns
    -------
    ndarray
        float64, shape (n_genes,); NaN for a gene that no sample measured. Summed
        over tiles of 256 samples, so that it is the same for any block of genes.

    Examples
    --------
    >>> mean_over_samples(np.array([[1.0, np.nan], [3.0, np.nan]]))
    array([ 2., nan])
    """
    total = np.zeros(values.shape[1])
    n_measured = np.zeros(values.shape[1])
    for span in tiles(len(values)):
        is_measured = ~np.isnan(values[span])
        tile = np.where(is_measured, values[span], 0).astype(np.float64)
        total += np.add.reduce(tile, axis=0)
        n_measured += is_measured.sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = total / n_measured
    return mean


def upper_percentile(values: Values, percentile: float) -> NDArray[np.float64]:
    """Give a percentile of each gene over the samples that measured it.

    Parameters
    ----------
    values
        Shape (n_samples, n_genes); NaN where a gene was not measured.
    percentile
        In 0-100.

    Returns
    -------
    ndarray
        float64, shape (n_genes,), with numpy's default interpolation.

    Examples
    --------
    >>> upper_percentile(np.array([[1.0], [2.0], [np.nan]]), 50)
    array([1.5])
    """
    result = np.full(values.shape[1], np.nan)
    for start in range(0, values.shape[1], _GENES_AT_ONCE):
        by_gene = np.ascontiguousarray(values[:, start : start + _GENES_AT_ONCE].T)
        n_measured = len(values) - np.isnan(by_gene).sum(axis=1)
        for g in np.flatnonzero(n_measured):
            result[start + g] = _interpolate(by_gene[g], percentile, int(n_measured[g]))
    return result


def _interpolate(profile: Values, percentile: float, n_measured: int) -> float:
    """Give what np.percentile gives for float64, without a copy in float64; NaN sorts last."""
    place = (n_measured - 1) * (percentile / 100)
    below = int(place)
    above = min(below + 1, n_measured - 1)
    ends = np.partition(profile, (below, above))
    low, high = float(ends[below]), float(ends[above])
    share = place - below
    # As numpy: from the nearer end, so that the result lies between both.
    return low + (high - low) * share if share < 0.5 else high - (high - low) * (1 - share)


def signal(
    values: Values, *, percentile: float = 95, multiplier: NDArray[Any] | None = None
) -> GeneSignal:
    """Measure each gene's upper percentile, plain and as a ratio to its mean.

    A gene that a few tissues express strongly has a high ratio; one that is
    expressed everywhere alike has a ratio near 1, however high its level.

    Parameters
    ----------
    values
        Normalised expression on a logarithmic scale, shape (n_samples, n_genes).
        NaN marks genes that a sample did not measure; such samples are left out
        for that gene.
    percentile
        Which percentile, in 0-100; numpy's default (linear) interpolation.
    multiplier
        What each gene is multiplied by before the ratio is taken, such as the length
        that values were divided by, shape (n_genes,). After division by a length in bp
        all values are near 0 and the ratio is 1 to five digits.

    Returns
    -------
    GeneSignal
        `p95` and `p95_ratio`, one number per gene; NaN for a gene never measured.

    Raises
    ------
    InvalidValueError
        If `percentile` lies outside 0-100.

    Notes
    -----
    p95((1 + x) / mean(1 + x)) equals (1 + p95(x)) / (1 + mean(x)), because the
    percentile commutes with an increasing linear map; it is computed that way.

    Examples
    --------
    >>> found = signal(np.array([[0.0, 1.0], [0.0, 1.0], [3.0, 1.0]]), percentile=100)
    >>> found.p95, found.p95_ratio
    (array([3., 1.]), array([2., 1.]))
    """
    if not 0 <= percentile <= 100:
        msg = f"percentile is {percentile}; choose one in 0-100"
        raise InvalidValueError(msg)
    values = next(as_blocks(values))
    scale = 1.0 if multiplier is None else np.asarray(multiplier, np.float64)
    p95 = upper_percentile(values, percentile)
    return GeneSignal(p95, (1 + scale * p95) / (1 + scale * mean_over_samples(values)))
