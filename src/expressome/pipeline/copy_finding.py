"""Find samples with the same counts under two ids, by reading little of a file."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.reader import Compendium
from expressome.engine import Resources
from expressome.normalization.fingerprints import find_repeated, fingerprint_counts, hash_genes

__all__ = ["name_contents"]

# One run of stored genes is read of every sample: a chunk or two of each, 1-3% of a file.
_N_GENES_FIRST = 400


def name_contents(
    compendium: Compendium,
    rows: NDArray[np.int64],
    *,
    columns: NDArray[np.int64],
    resources: Resources,
) -> NDArray[np.object_]:
    """Name each sample's counts so that only samples with equal counts share a name.

    Parameters
    ----------
    compendium
        Where counts are read.
    rows
        Positions of the samples.
    columns
        Positions of the genes that decide.
    resources
        Memory and threads.

    Returns
    -------
    ndarray
        Text, shape (len(rows),). Samples that detected fewer than 10 genes share no name.

    Notes
    -----
    400 genes of every sample are read first; only samples alike in these are read as a
    whole. A file that stores each sample in one chunk must be read as a whole.
    """
    names = np.array([f"alone-{i}" for i in range(len(rows))], dtype=object)
    ordered = np.sort(columns)
    start = max(0, (len(ordered) - _N_GENES_FIRST) // 2)
    first = ordered[start : start + _N_GENES_FIRST]
    alike = np.arange(len(rows))
    for genes in (first,) if len(first) == len(columns) else (first, columns):
        found = list(_fingerprint(compendium, rows[alike], genes, resources))
        prints = pd.Series([name for names_of_block, _ in found for name in names_of_block])
        if len(genes) == len(columns):
            n_detected = np.concatenate([n for _, n in found] or [np.empty(0, np.int64)])
            names[alike] = find_repeated(prints, n_detected)
            # Names of samples read in part must not meet those of samples read as a whole.
            names[alike] = [
                f"alone-{alike[i]}" if name.startswith("alone-") else name
                for i, name in enumerate(names[alike])
            ]
        alike = alike[prints.duplicated(keep=False).to_numpy(dtype=bool)]
        if not len(alike):
            break
    return names


def _fingerprint(
    compendium: Compendium,
    rows: NDArray[np.int64],
    genes: NDArray[np.int64],
    resources: Resources,
) -> Iterator[tuple[list[str], NDArray[np.int64]]]:
    """Read some genes of some samples; give fingerprints and numbers of detected genes."""
    hashes = hash_genes(compendium.genes.index[genes])
    n_done = 0
    for _, counts in compendium.blocks(samples=rows, genes=genes, resources=resources):
        yield fingerprint_counts(counts, hashes), (counts > 0).sum(axis=1)
        n_done += len(counts)
        resources.progress("compare samples", n_done, len(rows))
