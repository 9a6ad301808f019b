"""Divide by sequencing depth: counts per million and transcripts per million."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from expressome.errors import ShapeError
from expressome.normalization.length import to_divisor

__all__ = ["to_cpm", "to_tpm"]

Counts = NDArray[Any]


def to_cpm(counts: Counts) -> NDArray[np.float64]:
    """Convert counts to counts per million.

    Parameters
    ----------
    counts
        Read counts, shape (n_samples, n_genes), >= 0; NaN where not measured.

    Returns
    -------
    ndarray
        float64; each sample's measured genes sum to one million. A sample without any
        read stays 0.

    Examples
    --------
    >>> to_cpm(np.array([[1, 3]]))
    array([[250000., 750000.]])
    """
    depth = np.nansum(counts, axis=1, keepdims=True, dtype=np.float64)
    return counts * np.divide(1e6, depth, out=np.zeros_like(depth), where=depth > 0)


def to_tpm(counts: Counts, length_bp: ArrayLike) -> NDArray[np.float64]:
    """Convert counts to transcripts per million.

    Parameters
    ----------
    counts
        Read counts, shape (n_samples, n_genes), >= 0; NaN where not measured.
    length_bp
        Length of each gene, in bp, shape (n_genes,), > 0.

    Returns
    -------
    ndarray
        float64; counts over length, each sample's measured genes scaled to one million.

    Raises
    ------
    ShapeError
        If there is not one length per gene.

    References
    ----------
    Wagner et al. 2012, doi:10.1007/s12064-012-0162-3

    Examples
    --------
    >>> to_tpm(np.array([[1, 3]]), [1000, 1000])
    array([[250000., 750000.]])
    """
    divisor = to_divisor(length_bp)
    if counts.shape[1] != divisor.size:
        msg = f"{divisor.size} lengths for {counts.shape[1]} genes; pass one per gene"
        raise ShapeError(msg)
    return to_cpm(counts / divisor)
