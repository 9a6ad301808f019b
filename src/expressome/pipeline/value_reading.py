"""An atlas's values as a classifier reads them: on its scale, or fit for ranking."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.atlas import Atlas
from expressome.normalization.recipe import Normalizer

__all__ = ["choose_parts", "read_values", "restore_order"]

# Digits kept before ranking: genes of equal counts differ only by rounding once they
# were divided by length and multiplied again.
_N_DIGITS = 4


def restore_order(
    values: NDArray[np.float32], normalizer: Normalizer, columns: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Undo the division by gene length, so that values rank within a sample as counts do.

    Parameters
    ----------
    values
        As the atlas stores them, shape (n_samples, n_genes).
    normalizer
        The atlas's.
    columns
        Gene of the atlas that each column is.

    Returns
    -------
    ndarray
        Same shape; the ranks within a sample are those of its counts.
    """
    divisor = normalizer.divisor
    whole = values if divisor is None else values * divisor[columns].astype(np.float32)
    return np.asarray(np.round(whole, _N_DIGITS), dtype=np.float32)


def read_values(
    atlas: Atlas, rows: NDArray[np.integer], genes: NDArray[np.integer], *, use_ranks: bool
) -> NDArray[np.float32]:
    """Read samples for training.

    Parameters
    ----------
    atlas
        Where the values are.
    rows, genes
        Positions.
    use_ranks
        Whether they will be ranked within each sample.

    Returns
    -------
    ndarray
        float32, shape (n_rows, n_genes), NaN where unmeasured.
    """
    values = atlas.read(rows, genes)
    if not use_ranks:
        return values
    return restore_order(values, Normalizer.from_parts(atlas.normalizer_parts), genes)


def choose_parts(atlas: Atlas, *, use_ranks: bool) -> dict[str, Any]:
    """Give what a model needs to turn counts into values.

    Parameters
    ----------
    atlas
        Of the training.
    use_ranks
        A model of ranks needs no target and no lengths: counts per million rank
        as counts do. An atlas of TPM keeps its own recipe.

    Returns
    -------
    dict
        As `Normalizer.to_parts` gives it.
    """
    ours = Normalizer.from_parts(atlas.normalizer_parts)
    if not use_ranks or ours.unit != "counts":
        return dict(atlas.normalizer_parts)
    return Normalizer("log2-cpm", ours.genes).to_parts()
