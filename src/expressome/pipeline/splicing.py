"""Make an atlas from rows of an older one and samples of a file."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.reader import Compendium
from expressome.atlas import Atlas, AtlasWriter, write_block
from expressome.atlas.linking import copy_elements, link_blocks
from expressome.atlas.schema import SECTION
from expressome.atlas.shards import BLOCK_SAMPLES, n_blocks
from expressome.engine import Resources
from expressome.normalization.fingerprints import fingerprint_counts, hash_genes
from expressome.normalization.recipe import Normalizer
from expressome.pipeline.atlas_building import BlockJob, detect_genes, record_blocks
from expressome.pipeline.atlas_matching import match_genes, read_hashes
from expressome.results import LabelMatrix

__all__ = [
    "Splice",
    "SpliceJob",
    "name_splice",
    "splice_blocks",
    "write_spliced",
]

# Counts 8, values 4 and those of the older atlas 4, detected 1 twice, a mask on the way.
_BYTES_PER_CELL = 20

# What measure, its --by label and the maps add: it holds for the samples they saw.
_MEASURED = ("p95", "p95_ratio", "mean_cosine", "neighbours_detected", "tau", "tau_label")
_MEASURED_START = ("rank_", "mean_cosine_")

Item = tuple[int, NDArray[Any] | None]


@dataclass(frozen=True, slots=True)
class Splice:
    """Where each row of a new atlas comes from.

    Attributes
    ----------
    old_rows
        Row of the older atlas, -1 for a new sample, shape (n_samples,).
    file_rows
        Row of the file that gives its values, -1 where the old ones stay.
    """

    old_rows: NDArray[np.int64]
    file_rows: NDArray[np.int64]

    @property
    def n_samples(self) -> int:
        """Samples of the new atlas."""
        return int(self.old_rows.size)

    def same_blocks(self, n_old: int) -> list[int]:
        """Name the blocks whose file is that of the older atlas.

        Parameters
        ----------
        n_old
            Samples of the older atlas.
        """
        same = []
        for block in range(n_blocks(self.n_samples)):
            start, stop = block * BLOCK_SAMPLES, (block + 1) * BLOCK_SAMPLES
            old = self.old_rows[start:stop]
            is_whole = old.size == min(stop, n_old) - start
            is_kept = is_whole and bool((self.file_rows[start:stop] < 0).all())
            if is_kept and np.array_equal(old, np.arange(start, start + old.size)):
                same.append(block)
        return same


@dataclass(frozen=True, slots=True)
class SpliceJob:
    """All a thread or a worker needs to make any block.

    Attributes
    ----------
    base
        How counts of the file become values.
    atlas
        The older atlas.
    old_hashes
        ``counts_hash`` of its samples, shape (n_old,).
    splice
        Where rows come from.
    """

    base: BlockJob
    atlas: Atlas
    old_hashes: NDArray[np.object_]
    splice: Splice

    @classmethod
    def of(
        cls, atlas: Atlas, compendium: Compendium, splice: Splice, *, folder: Path
    ) -> "SpliceJob":
        """Find the atlas's genes in the file and put the job together.

        Parameters
        ----------
        atlas
            The older atlas.
        compendium
            The file.
        splice
            Where rows come from.
        folder
            Where blocks are written.
        """
        normalizer = Normalizer.from_parts(atlas.normalizer_parts)
        columns, ids = match_genes(compendium, normalizer)
        base = BlockJob(
            compendium=compendium,
            columns=columns,
            gene_ids=ids,
            normalizer=normalizer,
            folder=folder,
            shown=np.zeros(splice.n_samples, np.bool_),
            gene_hashes=hash_genes(normalizer.genes if ids is None else ids),
            dtype="float16" if atlas.dtype == np.float16 else "float32",
        )
        return cls(base, atlas, read_hashes(atlas), splice)


def name_splice(atlas: Atlas, manifest: Mapping[str, Any]) -> str:
    """Name everything that decides the result, so that only an equal run is resumed.

    Parameters
    ----------
    atlas
        The older atlas.
    manifest
        Of the new run.

    Returns
    -------
    str
        SHA-256 over the older atlas's blocks and samples and the run's inputs.
    """
    digest = hashlib.sha256()
    for text in (*atlas.element(f"{SECTION}/checksums_x"), *atlas.obs.index):
        digest.update(f"{text}\n".encode())
    decisive = {key: manifest[key] for key in ("verb", "inputs", "parameters", "seed", "versions")}
    digest.update(json.dumps(decisive, sort_keys=True).encode())
    return digest.hexdigest()


def splice_blocks(job: SpliceJob, writer: AtlasWriter, resources: Resources) -> int:
    """Link the blocks that stay and make the others; record each.

    Parameters
    ----------
    job
        What to do.
    writer
        Where to.
    resources
        Half the memory is for reading, half for the blocks under way.

    Returns
    -------
    int
        Blocks taken over from the older atlas.
    """
    n_old = job.atlas.n_samples
    same = job.splice.same_blocks(n_old)
    n_detected = job.atlas.obs["n_detected"].to_numpy(np.int64).tolist()
    entries = {"n_detected": n_detected, "counts_hash": job.old_hashes.tolist()}
    link_blocks(job.atlas, writer, blocks=same, entries=entries)
    block_bytes = _BYTES_PER_CELL * BLOCK_SAMPLES * job.base.normalizer.n_genes
    record_blocks(
        partial(_make_block, job),
        writer,
        read_items=partial(_read_items, job),
        n_threads=max(1, min(resources.n_workers, resources.memory_bytes // 2 // block_bytes)),
        resources=resources,
    )
    return len(same)


def _make_block(job: SpliceJob, item: Item) -> dict[str, Any]:
    """Make and store one block from old rows and new counts; give its record."""
    block, counts = item
    rows = slice(block * BLOCK_SAMPLES, (block + 1) * BLOCK_SAMPLES)
    old, new = job.splice.old_rows[rows], job.splice.file_rows[rows]
    is_new = new >= 0
    shape = (len(new), job.base.normalizer.n_genes)
    values, detected = np.empty(shape, np.float32), np.empty(shape, np.bool_)
    hashes = np.empty(len(new), object)
    if not is_new.all():
        kept, genes = old[~is_new], np.arange(shape[1])
        values[~is_new] = job.atlas.matrix("X").gather(kept, genes)
        detected[~is_new] = job.atlas.matrix("layers/detected").gather(kept, genes)
        hashes[~is_new] = job.old_hashes[kept]
    if is_new.any():
        if counts is None:
            counts = job.base.compendium.counts(samples=new[is_new], genes=job.base.columns)
        values[is_new] = job.base.normalizer.apply(counts, genes=job.base.gene_ids)
        detected[is_new] = detect_genes(job.base, counts)
        hashes[is_new] = fingerprint_counts(counts, job.base.gene_hashes)
    record = write_block(
        job.base.folder, block, values=values, detected=detected, dtype=job.base.dtype
    )
    return record | {"counts_hash": hashes.tolist()}


def _read_items(job: SpliceJob, todo: list[int], resources: Resources) -> Iterator[Item]:
    """Read the new counts of the blocks to do, in order."""
    per_block = [job.splice.file_rows[b * BLOCK_SAMPLES : (b + 1) * BLOCK_SAMPLES] for b in todo]
    wanted = [rows[rows >= 0] for rows in per_block]
    together = np.concatenate([*wanted, np.empty(0, np.int64)])
    reading = job.base.compendium.blocks(
        samples=together, genes=job.base.columns, resources=resources
    )
    pieces = _cut((counts for _, counts in reading), [len(rows) for rows in wanted])
    yield from zip(todo, pieces, strict=True)


def _cut(blocks: Iterable[NDArray[Any]], sizes: list[int]) -> Iterator[NDArray[Any] | None]:
    """Cut blocks of rows anew, into pieces of given sizes; None for an empty one."""
    source = iter(blocks)
    rest: NDArray[Any] | None = None
    for size in sizes:
        parts, n_parts = [], 0
        while n_parts < size:
            rest = next(source) if rest is None else rest
            piece = rest[: size - n_parts]
            rest = rest[len(piece) :] if len(piece) < len(rest) else None
            parts.append(piece)
            n_parts += len(piece)
        yield (parts[0] if len(parts) == 1 else np.concatenate(parts)) if parts else None


def write_spliced(
    job: SpliceJob,
    writer: AtlasWriter,
    *,
    obs: pd.DataFrame,
    labels: LabelMatrix,
    description: Mapping[str, Any],
    manifest: Mapping[str, Any],
    resources: Resources,
) -> list[str]:
    """Write all that is not a block.

    Parameters
    ----------
    job
        What was done.
    writer
        Holds the records.
    obs
        One row per sample, without what the records say.
    labels
        Labels of all samples.
    description
        Entries that replace the older atlas's.
    manifest
        Of this run; it is added to ``history``.
    resources
        Threads.

    Returns
    -------
    list of str
        What the older atlas held that no longer holds and was dropped: metrics, maps.
    """
    atlas = job.atlas
    per_sample, per_gene = writer.count_detected(resources)
    obs = obs.assign(n_detected=per_sample, counts_hash=writer.collect("counts_hash"))
    is_same = len(job.splice.same_blocks(atlas.n_samples)) == n_blocks(job.splice.n_samples)
    is_same = is_same and job.splice.n_samples == atlas.n_samples
    var = atlas.var.assign(n_detected=per_gene)
    parts = [
        f"{section}/{item.name}"
        for section in ("obsm", "varm")
        for item in sorted((atlas.path / section).iterdir())
        if item.is_dir() and not item.name.startswith(".") and item.name != "labels"
    ]
    stale = [name for name in var.columns if _is_measured(str(name))]
    if is_same:
        copy_elements(atlas, writer, parts)
    dropped = [] if is_same else [*(f"var/{name}" for name in stale), *parts]
    writer.write_tables(obs, var if is_same else var.drop(columns=stale), labels)
    described = {k: v for k, v in atlas.description.items() if k != "format_version"}
    history = [*described.get("history", []), dict(manifest)]
    writer.write_section(
        description=described | dict(description) | {"history": history},
        manifest=atlas.manifest,
        normalizer=job.base.normalizer.to_parts(),
        distributions=atlas.distributions,
    )
    return dropped


def _is_measured(column: str) -> bool:
    return column in _MEASURED or column.startswith(_MEASURED_START)
