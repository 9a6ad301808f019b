"""Divide a memory budget among what a run holds at once, and refuse one too small."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from expressome.archs4.reader import Compendium
from expressome.blocks import MIN_MEMORY_BYTES, TILE_SAMPLES
from expressome.engine import Resources
from expressome.errors import InvalidValueError
from expressome.metrics.gram import GRAM_TILE, gram_bytes
from expressome.metrics.windows import GENE_TILE

__all__ = ["TableMemory", "find_measuring_minimum", "find_normalizing_minimum", "leave_for_blocks"]

# Counts or values of four blocks: in use, ready, being read, and the copy of its end.
_N_BLOCKS_ALIVE = 4
# Values 4, detected 1, a mask on the way; compressed chunks go to disk one by one.
BLOCK_CELL_BYTES = 6
# One tile of genes while it is measured: detected cells, and pieces of 16 genes of the values,
# transposed, and in float64.
TILE_SAMPLE_BYTES = 6 * GENE_TILE
# One wide tile while its samples are multiplied: unit profiles, and pieces of 128 genes in float64.
GRAM_SAMPLE_BYTES = 4 * GRAM_TILE + 16 * GENE_TILE
# In glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
# Compiled code, buffers of the reader and of Blosc, and what the allocator keeps.
_OVERHEAD_BYTES = 48 * 2**20


def resident_bytes() -> int:
    """Give the resident memory of this process; 0 where the system does not tell."""
    try:
        fields = Path("/proc/self/statm").read_text(encoding="utf-8").split()
    except OSError:
        return 0
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


@cache
def give_back_freed_memory() -> None:
    """Have the C library of Linux return every freed block above 4 MiB to the system.

    Otherwise it keeps blocks of up to 32 MiB for each thread that freed some, which no
    budget can count. Holds for the whole process; elsewhere nothing is done.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 2**22)


@dataclass
class TableMemory:
    """What the tables of a run take, as the system sees it.

    Attributes
    ----------
    held_bytes
        Growth of resident memory while tables were read.
    """

    held_bytes: int = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count what is read inside."""
        before = resident_bytes()
        yield
        self.held_bytes += max(0, resident_bytes() - before)


def find_normalizing_minimum(compendium: Compendium, n_genes: int) -> int:
    """Say which memory the blocks of a normalisation need at least, in bytes.

    Parameters
    ----------
    compendium
        File to read.
    n_genes
        Genes to read and to write.

    Returns
    -------
    int
        Four blocks of 256 samples as they are read, one on its way to disk.
    """
    # Gaps of packed files make floats of 8 bytes.
    cell_bytes = 8 if compendium.measured_groups() is not None else compendium.dtype.itemsize
    row_bytes = (_N_BLOCKS_ALIVE * cell_bytes + BLOCK_CELL_BYTES) * n_genes
    # Chunks that end inside a block are kept for the next one.
    extra_rows = min(compendium.samples_per_chunk, compendium.n_samples)
    n_rows = min(TILE_SAMPLES, compendium.n_samples)
    return row_bytes * n_rows + 2 * extra_rows * n_genes * cell_bytes + _OVERHEAD_BYTES


def find_measuring_minimum(
    n_samples: int, *, is_rescaled: bool = False, is_gram: bool = False
) -> int:
    """Say which memory the tiles of a measurement need at least, in bytes.

    Parameters
    ----------
    n_samples
        Samples of the atlas.
    is_rescaled
        Whether profiles are compared on another scale, which takes a copy in float64.
    is_gram
        Whether the pairs of all samples are compared.

    Returns
    -------
    int
        Two tiles of genes and what is computed from one.
    """
    n_genes = GRAM_TILE if is_gram else GENE_TILE
    tile_bytes = GRAM_SAMPLE_BYTES if is_gram else TILE_SAMPLE_BYTES
    tile_bytes += 8 * n_genes if is_rescaled else 0
    # Once more for what the allocator keeps of products that are done with.
    sum_bytes = 2 * gram_bytes(n_samples) if is_gram else 0
    return n_samples * (2 * 4 * n_genes + tile_bytes) + sum_bytes + _OVERHEAD_BYTES


def leave_for_blocks(resources: Resources, tables: TableMemory, minimum_bytes: int) -> Resources:
    """Take what the tables hold off a budget, and have freed memory given back.

    Parameters
    ----------
    resources
        The budget of the whole run.
    tables
        What is held already.
    minimum_bytes
        What the blocks need at least.

    Returns
    -------
    Resources
        With the memory that is left; the same where a cluster does the work.

    Raises
    ------
    InvalidValueError
        If less is left than the blocks need; it names the least budget that works.
    """
    give_back_freed_memory()
    left_bytes = resources.memory_bytes - tables.held_bytes
    if left_bytes < minimum_bytes:
        needed_mib, budget_mib = (
            -(-size // 2**20)
            for size in (minimum_bytes + tables.held_bytes, resources.memory_bytes)
        )
        msg = (
            f"a memory budget of {budget_mib} MiB is too small: tables take "
            f"{tables.held_bytes / 2**20:.0f} MiB and the smallest blocks "
            f"{minimum_bytes / 2**20:.0f} MiB; give at least {needed_mib} MiB"
        )
        raise InvalidValueError(msg)
    return replace(resources, memory_bytes=max(left_bytes, MIN_MEMORY_BYTES))
