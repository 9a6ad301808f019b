"""Block functions of normalisation: from counts of 256 samples to a stored block."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.reader import Compendium
from expressome.atlas import AtlasWriter, write_block
from expressome.atlas.schema import StoredType
from expressome.atlas.shards import BLOCK_SAMPLES
from expressome.blocks import MIN_MEMORY_BYTES, TILE_SAMPLES
from expressome.engine import Resources, map_blocks
from expressome.normalization.fingerprints import fingerprint_counts
from expressome.normalization.quantile import sum_sorted
from expressome.normalization.recipe import Normalizer
from expressome.normalization.rows import retile
from expressome.pipeline.budgeting import BLOCK_CELL_BYTES, find_normalizing_minimum
from expressome.results import Target

__all__ = [
    "BlockJob",
    "build_blocks",
    "collect_distributions",
    "detect_genes",
    "fit_on_samples",
    "record_blocks",
]

# log2(1 + count) of any 32-bit count lies below 32; a quarter of a doubling is
# finer than a figure shows.
_EDGES_BEFORE = np.arange(0.0, 32.25, 0.25)
_N_BINS_AFTER = 128

Item = tuple[int, NDArray[Any] | None]


@dataclass(frozen=True, slots=True)
class BlockJob:
    """All a thread or a worker needs to make any block of an atlas.

    Attributes
    ----------
    compendium
        Where counts are read.
    columns
        Positions of the genes to read, shape (n_read,).
    gene_ids
        Their ids, or None where they are the normalizer's genes in its order.
    normalizer
        Recipe with all it learned.
    folder
        Where blocks are written.
    shown
        Whether a sample's distribution is recorded, shape (n_samples,).
    gene_hashes
        What `hash_genes` gave for the genes to read, shape (n_read,).
    dtype
        How values are stored.
    """

    compendium: Compendium
    columns: NDArray[np.int64]
    gene_ids: pd.Index | None
    normalizer: Normalizer
    folder: Path
    shown: NDArray[np.bool_]
    gene_hashes: NDArray[np.uint64]
    dtype: StoredType = "float32"

    @property
    def edges_after(self) -> NDArray[np.float64]:
        """Bins of the distribution after normalisation, shape (n_bins + 1,)."""
        target = self.normalizer.target
        top = 21.0 if target is None else max(float(target.profile[-1]), 1.0)
        return np.linspace(0.0, top, _N_BINS_AFTER + 1)


def make_block(job: BlockJob, item: Item) -> dict[str, Any]:
    """Normalise and store one block; give its record."""
    block, counts = item
    rows = np.arange(block * BLOCK_SAMPLES, min((block + 1) * BLOCK_SAMPLES, len(job.shown)))
    if counts is None:
        # A worker has one thread for one block.
        one = Resources(workers=1)
        counts = job.compendium.counts(samples=rows, genes=job.columns, resources=one)
    values = job.normalizer.apply(counts, genes=job.gene_ids)
    record = write_block(
        job.folder, block, values=values, detected=detect_genes(job, counts), dtype=job.dtype
    )
    record["counts_hash"] = fingerprint_counts(counts, job.gene_hashes)
    picked = np.flatnonzero(job.shown[rows])
    record["before"] = [_histogram(np.log2(1.0 + counts[i]), _EDGES_BEFORE) for i in picked]
    divisor = job.normalizer.divisor
    scale = np.ones(values.shape[1]) if divisor is None else divisor
    record["after"] = [_histogram(values[i] * scale, job.edges_after) for i in picked]
    return record


def detect_genes(job: BlockJob, counts: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell counts above 0, in the order of the atlas's genes.

    Parameters
    ----------
    job
        Which genes the counts are of.
    counts
        Shape (n_samples, n_read).

    Returns
    -------
    ndarray
        Shape (n_samples, n_genes of the atlas); False for a gene that was not read.
    """
    if job.gene_ids is None:
        return counts > 0
    columns = job.gene_ids.get_indexer(pd.Index(job.normalizer.genes))
    detected = np.zeros((len(counts), len(columns)), np.bool_)
    detected[:, columns >= 0] = counts[:, columns[columns >= 0]] > 0
    return detected


def _histogram(values: NDArray[Any], edges: NDArray[np.float64]) -> list[int]:
    """Count values in equal bins from 0; those above the last edge fall into the last bin."""
    measured = values[np.isfinite(values)]
    bins = (measured * ((len(edges) - 1) / edges[-1])).astype(np.int64)
    n_bins = len(edges) - 1
    return [int(n) for n in np.bincount(np.minimum(bins, n_bins - 1), minlength=n_bins)]


def build_blocks(job: BlockJob, writer: AtlasWriter, resources: Resources) -> None:
    """Make every unfinished block, reading ahead, and record each.

    Parameters
    ----------
    job
        What to do.
    writer
        Where to.
    resources
        Half the memory is for reading, half for the blocks under way.

    Notes
    -----
    On a cluster each worker reads its own samples from shared storage; here one
    reader inflates ahead of the threads. The blocks are the same bytes.
    """
    record_blocks(
        partial(make_block, job),
        writer,
        read_items=partial(_read_items, job),
        n_threads=_n_threads(job, resources),
        resources=resources,
    )


def record_blocks(
    function: Callable[[Item], dict[str, Any]],
    writer: AtlasWriter,
    *,
    read_items: Callable[[list[int], Resources], Iterator[Item]],
    n_threads: int,
    resources: Resources,
) -> None:
    """Apply a function to every unfinished block and record what it gives.

    Parameters
    ----------
    function
        Makes and stores a block of (number, counts); it reads the counts where they are None.
    writer
        Where to.
    read_items
        Gives the blocks of these numbers with their counts, in order, within a budget.
    n_threads
        Blocks under way at once here.
    resources
        Half the memory is for reading, half for the blocks under way.
    """
    todo = writer.unfinished
    n_total = len(writer.records) + len(todo)
    if resources.cluster is None:
        half_bytes = max(resources.memory_bytes // 2, MIN_MEMORY_BYTES)
        items = read_items(todo, replace(resources, memory_bytes=half_bytes))
        threads = replace(resources, workers=n_threads)
        made = map_blocks(function, items, resources=threads, n_ahead=n_threads)
    else:
        made = map_blocks(function, ((block, None) for block in todo), resources=resources)
    resources.progress("normalize", len(writer.records), n_total)
    for record in made:
        writer.record(record)
        resources.progress("normalize", len(writer.records), n_total)


def _n_threads(job: BlockJob, resources: Resources) -> int:
    """Say how many blocks may be under way in what reading leaves."""
    n_genes = job.normalizer.n_genes
    block_bytes = BLOCK_CELL_BYTES * BLOCK_SAMPLES * n_genes
    # The least budget is for one block; small budgets leave reading more than a half.
    spare_bytes = resources.memory_bytes - find_normalizing_minimum(job.compendium, n_genes)
    most = min(resources.memory_bytes // 2 // block_bytes, 1 + spare_bytes // block_bytes)
    return max(1, min(resources.n_workers, most))


def _read_items(job: BlockJob, todo: list[int], resources: Resources) -> Iterator[Item]:
    """Read the counts of the blocks to do, in order."""
    n_samples = len(job.shown)
    rows = np.concatenate(
        [np.arange(b * BLOCK_SAMPLES, min((b + 1) * BLOCK_SAMPLES, n_samples)) for b in todo]
        or [np.empty(0, np.int64)]
    )
    reading = job.compendium.blocks(samples=rows, genes=job.columns, resources=resources)
    tiles = retile((counts for _, counts in reading), BLOCK_SAMPLES)
    yield from zip(todo, tiles, strict=True)


def fit_on_samples(
    compendium: Compendium,
    *,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    genes: tuple[str, ...],
    resources: Resources,
) -> Target:
    """Fit the quantile target on some samples of a file.

    Parameters
    ----------
    compendium
        Where counts are read.
    rows
        Positions of the training samples.
    columns
        Positions of the genes.
    genes
        Their ids.
    resources
        Memory, threads or cluster.

    Returns
    -------
    Target
        The same bits on threads and on a cluster.
    """
    starts = range(0, len(rows), TILE_SAMPLES)
    tiles: Iterator[NDArray[np.int64] | NDArray[Any]]
    if resources.cluster is None:
        reading = compendium.blocks(samples=rows, genes=columns, resources=resources)
        tiles = retile(counts for _, counts in reading)
        sums = map_blocks(sum_sorted, tiles, resources=resources, n_ahead=resources.n_workers)
    else:
        tiles = (rows[start : start + TILE_SAMPLES] for start in starts)
        sums = map_blocks(partial(_sum_rows, compendium, columns), tiles, resources=resources)
    resources.progress("fit target", 0, len(starts))
    total = np.zeros(len(columns))
    for number, tile_sum in enumerate(sums, start=1):
        total += tile_sum
        resources.progress("fit target", number, len(starts))
    return Target(total / len(rows), len(rows), genes)


def _sum_rows(
    compendium: Compendium, columns: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Read one tile of samples and sum it, on a worker."""
    one = Resources(workers=1)
    return sum_sorted(compendium.counts(samples=rows, genes=columns, resources=one))


def collect_distributions(job: BlockJob, writer: AtlasWriter) -> dict[str, NDArray[Any]]:
    """Put the histograms of the recorded samples together.

    Parameters
    ----------
    job
        What was done.
    writer
        Holds the records.

    Returns
    -------
    dict
        ``before`` and ``after``, shape (n_shown, n_bins), with their edges.
    """
    records = [writer.records[block] for block in sorted(writer.records)]
    found: dict[str, NDArray[Any]] = {
        "edges_before": _EDGES_BEFORE,
        "edges_after": job.edges_after,
    }
    for name in ("before", "after"):
        n_bins = len(found[f"edges_{name}"]) - 1
        rows = [row for record in records for row in record[name]]
        found[name] = np.array(rows, np.int64).reshape(-1, n_bins)
    return found
