"""The second pass of a measurement: squared sums of unit profiles over every window."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from expressome.blocks import MIN_MEMORY_BYTES
from expressome.engine import Resources, map_blocks
from expressome.metrics.gram import GRAM_TILE, multiply_tile, sum_by_pairs
from expressome.metrics.similarity import sum_tile
from expressome.metrics.windows import GENE_TILE
from expressome.pipeline.budgeting import GRAM_SAMPLE_BYTES, TILE_SAMPLE_BYTES
from expressome.pipeline.gene_tiling import FirstPass, MeasureJob, gather, read_tiles, to_profiles
from expressome.pipeline.projecting import ProjectionPlan

__all__ = ["count_ahead", "sum_likeness"]

Tile = tuple[slice, NDArray[np.float32] | None]


def count_ahead(job: MeasureJob, resources: Resources) -> int | None:
    """Say how many tiles may be under way in the other half of the memory.

    Parameters
    ----------
    job
        The atlas.
    resources
        Memory, threads or cluster.

    Returns
    -------
    int or None
        None leaves it to the cluster.
    """
    return _fit_tiles(resources, TILE_SAMPLE_BYTES * job.atlas.n_samples, 2)


def _fit_tiles(resources: Resources, tile_bytes: int, share: int) -> int | None:
    if resources.cluster is not None:
        return None
    return max(1, min(resources.n_workers, resources.memory_bytes // share // tile_bytes))


def sum_likeness(
    job: MeasureJob, first: FirstPass, resources: Resources, plan: ProjectionPlan | None
) -> NDArray[np.float64]:
    """Sum the unit profiles of every window, squared, or estimate that.

    Parameters
    ----------
    job, first
        The atlas, and what the first pass found.
    resources
        Memory, threads or cluster.
    plan
        How to estimate; None for the exact sums.

    Returns
    -------
    ndarray
        Shape (n_genes,), or (3, n_genes) of an estimate. The exact sums are made in
        the cheaper of two ways, chosen by the shape of the atlas alone.
    """
    if plan is None and job.prefers_gram:
        return _sum_pairs(job, first, resources)
    n_tiles = -(-job.atlas.n_genes // GENE_TILE)
    resources.progress("measure likeness", 0, n_tiles)
    total = np.zeros(job.atlas.n_genes if plan is None else (3, job.atlas.n_genes))
    function = partial(_sum_one, job, first, plan)
    n_ahead = count_ahead(job, resources)
    tiles = read_tiles(job, resources)
    parts = map_blocks(function, tiles, resources=resources, n_ahead=n_ahead)
    for number, part in enumerate(parts, start=1):
        total += part
        resources.progress("measure likeness", number, n_tiles)
    return total


def _sum_one(
    job: MeasureJob, first: FirstPass, plan: ProjectionPlan | None, item: Tile
) -> NDArray[np.float64]:
    """Sum, or estimate, one tile's part of the squared sums of all genes."""
    span, values = item
    values = gather(job, "X", span) if values is None else values
    profiles = to_profiles(job, span, values, first.is_complete[span])
    if plan is not None:
        return plan.estimate(profiles, first.inverse_norms, first.windows, start=span.start)
    return sum_tile(profiles, first.inverse_norms, first.windows)


def _multiply_one(
    job: MeasureJob, first: FirstPass, rows: slice, item: Tile
) -> NDArray[np.float32]:
    """Multiply one tile's profiles, samples in the order of their ids."""
    span, values = item
    values = gather(job, "X", span) if values is None else values
    profiles = to_profiles(job, span, values, first.is_complete[span])
    return multiply_tile(profiles, first.inverse_norms, rows, order=job.order)


def _sum_pairs(job: MeasureJob, first: FirstPass, resources: Resources) -> NDArray[np.float64]:
    """Take the squared sums from the similarities of all pairs, in the order of sample ids."""
    # A third is for what the allocator keeps of products that are done with.
    left_bytes = max(resources.memory_bytes * 2 // 3, MIN_MEMORY_BYTES)
    resources = replace(resources, memory_bytes=left_bytes)
    n_samples = job.atlas.n_samples
    places = np.empty(n_samples + 1, np.int32)
    places[job.order] = np.arange(n_samples)
    places[-1] = -1  # where a window is cut short
    windows = replace(first.windows, rows=places[first.windows.rows])
    n_tiles = -(-job.atlas.n_genes // GRAM_TILE)

    def multiply(rows: slice) -> Iterator[NDArray[np.float32]]:
        resources.progress("measure likeness", 0, n_tiles)
        tiles = read_tiles(job, resources, GRAM_TILE)
        function = partial(_multiply_one, job, first, rows)
        n_ahead = _fit_tiles(resources, GRAM_SAMPLE_BYTES * n_samples, 8)
        parts = map_blocks(function, tiles, resources=resources, n_ahead=n_ahead)
        for number, part in enumerate(parts, start=1):
            yield part
            resources.progress("measure likeness", number, n_tiles)

    return sum_by_pairs(
        multiply,
        windows,
        n_samples=n_samples,
        has_profile=(first.squared_norms > 0)[job.order],
        resources=resources,
    )
