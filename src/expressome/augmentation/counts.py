"""From normalised profiles back to counts of a chosen depth."""

import numpy as np
from numpy.typing import NDArray

from expressome.errors import InvalidValueError

__all__ = ["draw_counts"]

# Most reads of one sample; int32 holds any gene's share of them.
_MOST_READS = 2**31 - 1


def draw_counts(
    values: NDArray[np.float32], depth: int, *, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Draw integer counts whose expectation follows the profiles.

    A value before length division stands for log2(1 + count) of an average
    sample: the share of a gene is 2^value minus 2^minimum of the sample, since
    quantile normalisation lifts the zeros. Counts are multinomial.

    Parameters
    ----------
    values
        Profiles before length division, shape (n_samples, n_genes), of a recipe
        that takes counts.
    depth
        Reads of every sample.
    rng
        Source of randomness.

    Returns
    -------
    ndarray
        Shape of `values`, int32; every row sums to `depth`.

    Raises
    ------
    InvalidValueError
        If `depth` is below 1 or above 2,147,483,647.

    Notes
    -----
    Genes at the sample's minimum stay 0 at any depth.

    Examples
    --------
    >>> counts = draw_counts(np.array([[0.5, 5.0, 6.0]]), 100, rng=np.random.default_rng(0))
    >>> int(counts.sum()), int(counts[0, 0])
    (100, 0)
    """
    if not 1 <= depth <= _MOST_READS:
        msg = f"depth is {depth}; choose 1 to {_MOST_READS} reads per sample"
        raise InvalidValueError(msg)
    counts = np.zeros(values.shape, dtype=np.int32)
    for i, row in enumerate(np.asarray(values, dtype=np.float64)):
        rates = np.exp2(row) - np.exp2(row.min())
        total = rates.sum()
        if total > 0:
            counts[i] = rng.multinomial(depth, rates / total)
    return counts
