"""Tiles of genes of an atlas, as a measurement takes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from expressome.atlas import Atlas
from expressome.engine import Resources
from expressome.metrics.gram import prefers_gram
from expressome.metrics.similarity import invert_norms
from expressome.metrics.windows import GENE_TILE, NeighbourWindows
from expressome.normalization.recipe import Normalizer
from expressome.pipeline.budgeting import find_measuring_minimum

__all__ = ["FirstPass", "MeasureJob", "Scale", "gather", "read_tiles", "to_profiles"]

Scale = Literal["before-length", "after-length"]


@dataclass(frozen=True, slots=True)
class MeasureJob:
    """What a block function needs.

    Attributes
    ----------
    atlas
        The atlas.
    n_neighbours, percentile
        Window of samples.
    divisor
        What values were divided by, shape (n_genes,); 1 without length division.
    is_ratio_before, is_cosine_before
        Whether the ratio, and the cosine, are taken before division by length.
    order
        Samples in the order of their ids, shape (n_samples,).
    """

    atlas: Atlas
    n_neighbours: int
    percentile: float
    divisor: NDArray[np.float64]
    is_ratio_before: bool
    is_cosine_before: bool
    order: NDArray[np.intp]

    @property
    def prefers_gram(self) -> bool:
        """Whether pairs of all samples are cheaper than sums over windows."""
        return prefers_gram(self.atlas.n_samples, self.atlas.n_genes, self.n_neighbours)

    @property
    def minimum_bytes(self) -> int:
        """Memory without which no tile can be measured."""
        return find_measuring_minimum(
            self.atlas.n_samples,
            is_rescaled=self.is_cosine_before,
            is_gram=self.prefers_gram,
        )

    @classmethod
    def of(
        cls, atlas: Atlas, n_neighbours: int, percentile: float, scales: tuple[Scale, Scale]
    ) -> "MeasureJob":
        """Read what is needed of an atlas; scales of the ratio and of the cosine."""
        divisor = Normalizer.from_parts(atlas.normalizer_parts).divisor
        before = [scale == "before-length" and divisor is not None for scale in scales]
        # The ids alone: at a million samples the other fields take gigabytes.
        samples = np.asarray(atlas.element("obs/sample").tolist(), dtype=np.str_)
        order = np.argsort(samples, kind="stable")
        lengths = np.ones(atlas.n_genes) if divisor is None else divisor
        return cls(atlas, n_neighbours, percentile, lengths, before[0], before[1], order)


@dataclass(frozen=True, slots=True)
class FirstPass:
    """What the first pass finds, of one block of genes or of all.

    Attributes
    ----------
    p95, p95_ratio
        Per gene.
    windows
        Samples around the percentile.
    is_complete
        Whether every sample measured a gene.
    squared_norms
        Per sample, over the complete genes.
    """

    p95: NDArray[np.float64]
    p95_ratio: NDArray[np.float64]
    windows: NeighbourWindows
    is_complete: NDArray[np.bool_]
    squared_norms: NDArray[np.float64]

    @property
    def inverse_norms(self) -> NDArray[np.float64]:
        """1 / length of each sample's profile, 0 where it is 0."""
        return invert_norms(self.squared_norms)


def gather(job: MeasureJob, array: str, span: slice) -> NDArray[Any]:
    """Read one tile of genes in the thread or process that measures it.

    Parameters
    ----------
    job
        The atlas.
    array
        ``"X"`` or ``"layers/detected"``.
    span
        Genes.

    Returns
    -------
    ndarray
        Shape (n_samples, genes of the tile).
    """
    columns = np.arange(span.start, span.stop)
    return job.atlas.matrix(array).gather(np.arange(job.atlas.n_samples), columns)


def to_profiles(
    job: MeasureJob, span: slice, values: NDArray[np.float32], is_complete: NDArray[np.bool_]
) -> NDArray[Any]:
    """Give the columns that profiles are compared on, on their scale.

    Parameters
    ----------
    job
        The atlas and the scale.
    span
        Genes of the tile.
    values
        Shape (n_samples, genes of the tile).
    is_complete
        Which of these genes every sample measured.

    Returns
    -------
    ndarray
        Shape (n_samples, complete genes of the tile).
    """
    if not is_complete.all():
        values = values[:, is_complete]
    return values * job.divisor[span][is_complete] if job.is_cosine_before else values


def read_tiles(
    job: MeasureJob, resources: Resources, n_genes: int = GENE_TILE
) -> Iterator[tuple[slice, NDArray[np.float32] | None]]:
    """Give every tile of genes; on a cluster the workers read them.

    Parameters
    ----------
    job
        The atlas.
    resources
        Memory and threads for reading, or a cluster.
    n_genes
        Genes of a tile.

    Yields
    ------
    tuple
        Slice of genes, and values of shape (n_samples, genes) or None on a cluster.
    """
    if resources.cluster is not None:
        for start in range(0, job.atlas.n_genes, n_genes):
            yield slice(start, min(start + n_genes, job.atlas.n_genes)), None
        return
    for span, values in job.atlas.gene_blocks(resources=resources, multiple=n_genes):
        for start in range(span.start, span.stop, n_genes):
            tile = slice(start, min(start + n_genes, span.stop))
            yield tile, values[:, tile.start - span.start : tile.stop - span.start]
