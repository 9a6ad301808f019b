"""Write an atlas block by block; what is finished survives a kill."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from expressome.atlas.schema import (
    ARRAYS,
    FORMAT_VERSION,
    SECTION,
    StoredType,
    anndata_writer,
    create_array,
    create_root,
    to_storable,
)
from expressome.atlas.shards import (
    CHUNK_GENES,
    block_path,
    encode_block,
    n_blocks,
    read_chunks,
    write_pieces,
)
from expressome.engine import Resources, map_blocks
from expressome.errors import AtlasError, ExpressomeError, InvalidValueError
from expressome.manifest import hash_file
from expressome.outputs import (
    check_output,
    full_disk_named,
    partial_path,
    remove_path,
    replace_path,
)
from expressome.results import LabelMatrix, to_json

__all__ = ["AtlasWriter", "create_atlas", "write_block"]

_RECORDS = ".progress.jsonl"
_LOCK = ".lock"

# Summed up as blocks are recorded; an array, and not kept with the records.
_PER_GENE = "n_samples_per_gene"

Record = dict[str, Any]


def write_block(
    folder: Path,
    block: int,
    *,
    values: NDArray[np.float32],
    detected: NDArray[np.bool_],
    dtype: StoredType = "float32",
) -> Record:
    """Write one block of 256 samples; safe from any thread or process.

    Parameters
    ----------
    folder
        `AtlasWriter.folder`.
    block
        Number of the block, from 0.
    values
        Normalised values, shape (<= 256, n_genes).
    detected
        Whether the raw count was above 0, same shape.
    dtype
        How values are stored, as `create_atlas` was told.

    Returns
    -------
    dict
        Block number, checksums, genes detected per sample and samples that detected each gene,
        for `AtlasWriter.record`.

    Raises
    ------
    InvalidValueError
        If a value is too large for float16.
    """
    record: Record = {
        "block": block,
        "n_detected": [int(np.count_nonzero(row)) for row in detected],
    }
    detected = np.asarray(detected, np.bool_)
    record[_PER_GENE] = _count_per_gene(detected)
    contents = (_to_stored(values, dtype), detected)
    for array, content in zip(ARRAYS, contents, strict=True):
        record[array] = write_pieces(block_path(folder, array, block), encode_block(content))
    return record


def _count_per_gene(detected: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Count the samples of a block that detected each gene; there are 256 at most."""
    counted: NDArray[np.uint16] = detected.view(np.uint8).sum(axis=0, dtype=np.uint16)
    return counted


def _to_stored(values: NDArray[np.float32], dtype: StoredType) -> NDArray[Any]:
    """Round values to what is stored; refuse those that would become infinite."""
    if dtype == "float32":
        return np.asarray(values, np.float32)
    with np.errstate(over="ignore"):
        stored = np.asarray(values, np.float16)
    if (n_lost := int(np.isinf(stored).sum())) > 0:
        msg = (
            f"{n_lost} values are above 65,504, the largest that float16 holds (highest: "
            f"{np.nanmax(values):.6g}); store float32"
        )
        raise InvalidValueError(msg)
    return stored


@dataclass(slots=True)
class AtlasWriter:
    """An atlas that is being written.

    Attributes
    ----------
    folder
        Where it grows, beside its final place.
    n_samples, n_genes
        Its shape.
    records
        What `write_block` said of each finished block, by block number.
    """

    folder: Path
    n_samples: int
    n_genes: int
    records: dict[int, Record] = field(default_factory=dict)
    _per_gene: NDArray[np.int64] = field(init=False, repr=False)
    _counted: set[int] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        """Begin to count the samples that detected each gene."""
        self._per_gene = np.zeros(self.n_genes, np.int64)

    @property
    def unfinished(self) -> list[int]:
        """Blocks still to be written, ascending."""
        return [block for block in range(n_blocks(self.n_samples)) if block not in self.records]

    def record(self, record: Record) -> None:
        """Note that a block is finished, so that a resumed run skips it.

        Parameters
        ----------
        record
            What `write_block` gave, with whatever the caller adds as plain values.
        """
        plain = {name: value for name, value in record.items() if name != _PER_GENE}
        with (self.folder / _RECORDS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain) + "\n")
        block = record["block"]
        self.records[block] = plain
        if _PER_GENE in record and block not in self._counted:
            self._counted.add(block)
            self._per_gene += record[_PER_GENE]

    def count_detected(self, resources: Resources) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Count genes detected per sample and samples that detected each gene.

        Parameters
        ----------
        resources
            Threads.

        Returns
        -------
        tuple of ndarray
            Shape (n_samples,) and (n_genes,).
        """
        chunks = list(range(-(-self.n_genes // CHUNK_GENES)))

        def count_block(block: int) -> NDArray[np.uint16]:
            path = block_path(self.folder, "layers/detected", block)
            found = read_chunks(path, chunks, n_genes=self.n_genes, dtype=np.bool_)
            return _count_per_gene(found)[: self.n_genes]

        per_gene = self._per_gene.copy()
        # Blocks of a run that was killed, or of an older atlas.
        blocks = [block for block in range(n_blocks(self.n_samples)) if block not in self._counted]
        for counted in map_blocks(count_block, blocks, resources=resources.here):
            per_gene += counted
        return np.array(self.collect("n_detected"), np.int64), per_gene

    def collect(self, name: str) -> list[Any]:
        """Put together what the records say of each sample.

        Parameters
        ----------
        name
            Entry of the records that lists one plain value per sample.

        Returns
        -------
        list
            One value per sample, in order.
        """
        return [value for block in sorted(self.records) for value in self.records[block][name]]

    def write_tables(self, obs: pd.DataFrame, var: pd.DataFrame, labels: LabelMatrix) -> None:
        """Write the tables; samples and genes in the order of the values.

        Parameters
        ----------
        obs, var
            One row per sample and per gene.
        labels
            Labels of all samples; may have no column.
        """
        import zarr

        root = zarr.open_group(str(self.folder), mode="a")
        with anndata_writer() as write:
            write(root, "obs", to_storable(obs.rename_axis("sample")))
            write(root, "var", to_storable(var.rename_axis("gene")))
            write(root, "obsm/labels", sparse.csr_matrix(labels.matrix, dtype=np.uint8))
            table = to_storable(labels.labels.rename_axis("key"))
            write(root, f"{SECTION}/labels", table)

    def write_section(
        self,
        *,
        description: Mapping[str, Any],
        manifest: Mapping[str, Any],
        normalizer: Mapping[str, Any],
        distributions: Mapping[str, NDArray[Any]],
    ) -> None:
        """Write what only this program reads, into uns/expressome.

        Parameters
        ----------
        description
            Plain values: species, level, unit, ...
        manifest
            Origin, from `create_manifest`.
        normalizer
            Parts of the normalizer: arrays and text.
        distributions
            Histograms before and after normalisation.
        """
        import zarr

        root = zarr.open_group(str(self.folder), mode="a")
        text = {"format_version": FORMAT_VERSION, **description, "manifest": dict(manifest)}
        checksums = {
            array: np.array([self.records[block][array] for block in sorted(self.records)], object)
            for array in ARRAYS
        }
        with anndata_writer() as write:
            write(root, f"{SECTION}/description", to_json(text))
            write(root, f"{SECTION}/normalizer", dict(normalizer))
            write(root, f"{SECTION}/distributions", dict(distributions))
            write(root, f"{SECTION}/checksums_x", checksums["X"])
            write(root, f"{SECTION}/checksums_detected", checksums["layers/detected"])


@contextmanager
def create_atlas(
    path: str | os.PathLike[str],
    *,
    shape: tuple[int, int],
    key: str,
    dtype: StoredType = "float32",
    overwrite: bool = False,
) -> Iterator[AtlasWriter]:
    """Write an atlas beside its place; move it there when the block succeeds.

    After a kill the finished blocks stay in a hidden folder beside the output, and
    the next run with the same key goes on from there. An expected failure or an
    interruption leaves nothing.

    Parameters
    ----------
    path
        Final place.
    shape
        Samples and genes.
    key
        Names everything that decides the values. Blocks of a run with another key are
        not reused.
    dtype
        How X is stored.
    overwrite
        Whether an existing atlas may be replaced once the new one is complete.

    Yields
    ------
    AtlasWriter
        Write the blocks it calls unfinished, record them, then the tables.

    Raises
    ------
    OutputExistsError
        If the output exists and `overwrite` is False.
    AtlasError
        If another process is writing the same output.
    """
    place = check_output(path, overwrite=overwrite)
    folder = partial_path(place)
    folder.mkdir(exist_ok=True)
    with _locked(folder, place), full_disk_named(place):
        writer = AtlasWriter(folder, *shape, _finished(folder, key))
        if not writer.records:
            _empty(folder)
            root = create_root(folder)
            create_array(root, "X", shape, dtype=dtype)
            create_array(root, "layers/detected", shape)
            (folder / _RECORDS).write_text(json.dumps({"key": key}) + "\n", encoding="utf-8")
        try:
            yield writer
            if writer.unfinished:
                msg = f"{len(writer.unfinished)} blocks of {place.name} were never written"
                raise AtlasError(msg)
        except (ExpressomeError, KeyboardInterrupt):
            remove_path(folder)
            raise
        _remove_hidden(folder)
        replace_path(folder, place)


def _remove_hidden(folder: Path) -> None:
    """Remove what a finished atlas does not hold, such as blocks cut short by a kill."""
    for pattern in (".*", *(f"{array}/c/*/.*" for array in ARRAYS)):
        for hidden in folder.glob(pattern):
            remove_path(hidden)


def _finished(folder: Path, key: str) -> dict[int, Record]:
    """Read which blocks an earlier run with the same key finished."""
    place = folder / _RECORDS
    if not place.is_file():
        return {}
    records: dict[int, Record] = {}
    for number, line in enumerate(place.read_text(encoding="utf-8").split("\n")):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            break  # the line being written when the process was killed
        if number == 0 and entry.get("key") != key:
            return {}
        if number > 0 and _is_whole(folder, entry):
            records[entry["block"]] = entry
    # What follows a torn line must start on a line of its own.
    lines = [json.dumps({"key": key}), *(json.dumps(record) for record in records.values())]
    place.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return records


def _is_whole(folder: Path, record: Record) -> bool:
    """Whether the files of a block hold what was written."""
    for array in ARRAYS:
        path = block_path(folder, array, record["block"])
        if not path.is_file() or hash_file(path) != record[array]:
            return False
    return True


def _empty(folder: Path) -> None:
    """Remove what an earlier run with another key left."""
    for item in folder.iterdir():
        if item.name != _LOCK:
            remove_path(item)


@contextmanager
def _locked(folder: Path, place: Path) -> Iterator[None]:
    """Hold the output for this process; the system lets go when it ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # not on Windows, where an open file cannot be removed anyway
        yield
        return
    file: IO[str] = (folder / _LOCK).open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        msg = f"another process is writing {place}; wait for it or choose another output"
        raise AtlasError(msg) from None
    try:
        yield
    finally:
        file.close()
