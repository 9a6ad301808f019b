"""Estimate the likeness of samples by random projection, and measure how far off it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.metrics.projection import count_buckets, project_tile, standard_error
from expressome.metrics.similarity import sum_tile
from expressome.metrics.windows import GENE_TILE, NeighbourWindows

__all__ = ["LikenessEstimate", "ProjectionPlan"]

# Genes whose exact value is computed beside the estimate.
_N_CHECKED = 200

# Chebyshev: at most one estimate in 20 is further off than this many standard errors.
_N_ERRORS_95 = np.sqrt(20.0)


@dataclass(frozen=True, slots=True)
class ProjectionPlan:
    """What every tile of genes needs to know of a projection.

    Attributes
    ----------
    n_buckets
        Dimensions per tile of 128 genes.
    seed
        Root of the signs and sums of every tile.
    checked
        Genes whose exact value is computed too, ascending.
    n_genes
        Genes of the atlas.
    """

    n_buckets: int
    seed: int
    checked: NDArray[np.int64]
    n_genes: int

    @classmethod
    def of(cls, n_genes: int, n_dimensions: int, rng: np.random.Generator) -> "ProjectionPlan":
        """Draw the seed and the genes that are checked."""
        n_buckets = count_buckets(n_dimensions, n_genes)
        seed = int(rng.integers(2**31))
        checked = np.sort(rng.permutation(n_genes)[:_N_CHECKED]).astype(np.int64)
        return cls(n_buckets, seed, checked, n_genes)

    @property
    def n_dimensions(self) -> int:
        """Dimensions of the projection in all."""
        return self.n_buckets * -(-self.n_genes // GENE_TILE)

    def estimate(
        self,
        profiles: NDArray[Any],
        inverse_norms: NDArray[np.float64],
        windows: NeighbourWindows,
        *,
        start: int,
    ) -> NDArray[np.float64]:
        """Give one tile's part: estimate, its spread, and the exact sums of the checked genes.

        Parameters
        ----------
        profiles
            One tile of genes, shape (n_samples, <= 128), without NaN.
        inverse_norms
            1 / length of each sample's profile.
        windows
            Samples of each gene.
        start
            First gene of the tile; names its random numbers.

        Returns
        -------
        ndarray
            Shape (3, n_genes); the third row is NaN for genes that are not checked.
        """
        rng = np.random.default_rng([self.seed, start])
        found = project_tile(profiles, inverse_norms, windows, n_buckets=self.n_buckets, rng=rng)
        few = NeighbourWindows(
            windows.rows[self.checked],
            windows.n_rows[self.checked],
            windows.n_detected[self.checked],
        )
        exact = np.full(self.n_genes, np.nan)
        exact[self.checked] = sum_tile(profiles, inverse_norms, few)
        return np.stack([found.squared_sums, found.squared_spread, exact])


@dataclass(frozen=True, slots=True)
class LikenessEstimate:
    """Squared sums of all genes, estimated.

    Attributes
    ----------
    plan
        How.
    squared_sums
        Estimate per gene.
    squared_spread
        What its standard error follows from.
    exact
        Exact value of the checked genes, NaN elsewhere.
    """

    plan: ProjectionPlan
    squared_sums: NDArray[np.float64]
    squared_spread: NDArray[np.float64]
    exact: NDArray[np.float64]

    def standard_error(self, windows: NeighbourWindows) -> NDArray[np.float64]:
        """Bound the standard error of each gene's mean cosine."""
        return standard_error(self.squared_spread, windows, n_buckets=self.plan.n_buckets)

    def describe(self, columns: pd.DataFrame, exact: pd.Series) -> dict[str, Any]:
        """Say how far off the checked genes are, beside the bound.

        Parameters
        ----------
        columns
            With ``mean_cosine`` and ``mean_cosine_error``.
        exact
            Mean cosine per gene, NaN where it was not computed.

        Returns
        -------
        dict
            Plain values.
        """
        error = columns["mean_cosine_error"].to_numpy(np.float64)
        off = (columns["mean_cosine"] - exact).to_numpy(np.float64)
        is_checked = np.isfinite(off)
        known = np.abs(off[is_checked])
        bound = _N_ERRORS_95 * error
        return {
            "n_dimensions": self.plan.n_dimensions,
            "median_standard_error": float(np.nanmedian(error)) if error.size else None,
            "median_bound_95": float(np.nanmedian(bound)) if error.size else None,
            "n_checked": int(is_checked.sum()),
            "mean_absolute_error": float(known.mean()) if known.size else None,
            "highest_absolute_error": float(known.max()) if known.size else None,
            "share_within_bound_95": (
                float((known <= bound[is_checked]).mean()) if known.size else None
            ),
        }
