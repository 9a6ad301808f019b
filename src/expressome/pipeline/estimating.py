"""Say beforehand what a run will take: seconds and bytes, from a short trial on its own data."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from expressome.addresses import size_of
from expressome.archs4.reader import Compendium
from expressome.atlas import Atlas
from expressome.atlas.shards import block_path, encode_block, n_blocks
from expressome.blocks import TILE_SAMPLES
from expressome.engine import Resources
from expressome.metrics.gram import multiply_tile
from expressome.metrics.similarity import sum_tile
from expressome.metrics.windows import GENE_TILE, NeighbourWindows
from expressome.normalization.quantile import map_onto, sum_sorted
from expressome.pipeline.budgeting import find_normalizing_minimum
from expressome.pipeline.gene_planning import GenePlan
from expressome.results import LabelMatrix

__all__ = [
    "Estimate",
    "estimate_measuring",
    "estimate_normalizing",
    "say_normalizing_plan",
    "time_call",
]

Result = TypeVar("Result")


class Estimate(NamedTuple):
    """What a run will take.

    Attributes
    ----------
    passes
        How often the large matrix is read.
    bytes_read, bytes_written
        On disk, compressed.
    seconds
        Elapsed time if nothing else runs and the disk keeps up.
    tried
        What the time was measured on.
    """

    passes: int
    bytes_read: int
    bytes_written: int
    seconds: float
    tried: str

    def to_figures(self) -> dict[str, Any]:
        """Give plain values."""
        return self._asdict() | {"seconds": float(f"{self.seconds:.2g}")}


def time_call(function: Callable[[], Result]) -> tuple[float, Result]:
    """Call a function and give the seconds it took, and its result.

    Parameters
    ----------
    function
        Without arguments.

    Returns
    -------
    tuple
        Seconds and result.

    Examples
    --------
    >>> time_call(lambda: 3)[1]
    3
    """
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def estimate_normalizing(
    compendium: Compendium,
    *,
    columns: NDArray[np.int64],
    n_fitted: int,
    n_threads: int,
    values_dtype: str = "float32",
) -> Estimate:
    """Normalise 256 samples of a file, and say what all of them will take.

    Parameters
    ----------
    compendium
        The file.
    columns
        Genes to read.
    n_fitted
        Samples the target will be fitted on; 0 with a saved one.
    n_threads
        Threads that will work.
    values_dtype
        How values will be stored.

    Returns
    -------
    Estimate
        From one block in the middle of the file.
    """
    n_samples = compendium.n_samples
    n_tried = min(TILE_SAMPLES, n_samples)
    rows = np.arange(n_tried) + (n_samples - n_tried) // 2
    threads = Resources(workers=n_threads)
    compendium.counts(rows[:1], columns[:1], resources=threads)
    read_s, counts = time_call(lambda: compendium.counts(rows, columns, resources=threads))
    sum_sorted(counts[:1])
    fit_s, total = time_call(lambda: sum_sorted(counts))
    map_onto(counts[:1], total)

    def make() -> int:
        values = map_onto(counts, total / n_tried).astype(values_dtype)
        return sum(len(piece) for part in (values, counts > 0) for piece in encode_block(part))

    make_s, n_bytes = time_call(make)
    n_read = n_samples + n_fitted
    share = len(columns) / max(compendium.n_genes, 1)
    return Estimate(
        passes=1 + (n_fitted > 0),
        bytes_read=int(size_of(compendium.path) * share * n_read / n_samples),
        bytes_written=int(n_bytes * n_blocks(n_samples)),
        seconds=(n_read * read_s + (n_fitted * fit_s + n_samples * make_s) / n_threads) / n_tried,
        tried=f"{n_tried} samples of this file, {n_threads} threads",
    )


def estimate_measuring(
    atlas: Atlas,
    *,
    measure_tile: Callable[[slice], tuple[NeighbourWindows, NDArray[np.float32]]],
    n_threads: int,
    is_gram: bool,
    label_tile: Callable[[slice], Any] | None = None,
) -> Estimate:
    """Measure 128 genes of an atlas, and say what all of them will take.

    Parameters
    ----------
    atlas
        The atlas.
    measure_tile
        Does the first pass over a tile; gives its windows and values.
    n_threads
        Threads that will work.
    is_gram
        Whether the pairs of all samples will be compared.
    label_tile
        Reads and measures a tile within every label, if that is asked for.

    Returns
    -------
    Estimate
        From one tile in the middle of the genes.
    """
    start = atlas.n_genes // 2 // GENE_TILE * GENE_TILE
    tile = slice(start, min(start + GENE_TILE, atlas.n_genes))
    n_genes_tried = tile.stop - tile.start
    measure_tile(slice(tile.start, tile.start + 1))
    columns, rows = np.arange(tile.start, tile.stop), np.arange(atlas.n_samples)
    read_s, _ = time_call(lambda: atlas.matrix("X").gather(rows, columns))
    first_s, (windows, values) = time_call(lambda: measure_tile(tile))
    inverse = np.ones(atlas.n_samples)
    filled = np.nan_to_num(values)
    n_tiles = atlas.n_genes / n_genes_tried
    if is_gram:
        second_s, _ = time_call(lambda: multiply_tile(filled, inverse, slice(0, len(rows))))
    else:
        # Every tile is summed over the windows of all genes.
        sum_tile(filled[:, :1], inverse, windows)
        second_s = n_tiles * time_call(lambda: sum_tile(filled, inverse, windows))[0]
    tile_s = first_s + 2 * read_s + second_s
    if label_tile is not None:
        tile_s += time_call(lambda: label_tile(tile))[0]
    n_passes = 2 + (label_tile is not None)
    blocks = range(n_blocks(atlas.n_samples))
    sizes = {
        name: sum(block_path(atlas.path, name, block).stat().st_size for block in blocks)
        for name in ("X", "layers/detected")
    }
    return Estimate(
        passes=n_passes,
        bytes_read=n_passes * sizes["X"] + sizes["layers/detected"],
        bytes_written=8 * 7 * atlas.n_genes,
        seconds=n_tiles * tile_s / n_threads,
        tried=f"{n_genes_tried} genes of this atlas, {n_threads} threads",
    )


def say_normalizing_plan(
    compendium: Compendium,
    plan: GenePlan,
    *,
    labels: LabelMatrix,
    train_share: float,
    values_dtype: str,
    resources: Resources,
) -> dict[str, Any]:
    """Say what a normalisation would read, write and take.

    Parameters
    ----------
    compendium
        The file.
    plan
        Its genes.
    labels
        One row per sample; without a column all samples are fitted on.
    train_share
        Share of the labelled samples that the target is fitted on; 0 if none is fitted.
    values_dtype
        How values will be stored.
    resources
        What the run may use.

    Returns
    -------
    dict
        Plain values.
    """
    n_labelled = int(labels.is_labelled.sum())
    n_fitted = round(train_share * n_labelled)
    if train_share and not labels.n_labels:
        n_fitted = compendium.n_samples
    estimate = estimate_normalizing(
        compendium,
        columns=plan.columns,
        n_fitted=n_fitted,
        n_threads=resources.n_workers,
        values_dtype=values_dtype,
    )
    return {
        "dry_run": True,
        "n_samples": compendium.n_samples,
        "n_genes": len(plan.genes),
        **estimate.to_figures(),
        "memory_bytes": resources.memory_bytes,
        "memory_minimum_bytes": find_normalizing_minimum(compendium, len(plan.genes)),
        "lengths": plan.coverage or None,
        "n_labelled": n_labelled,
    }
