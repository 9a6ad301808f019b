"""Read an atlas, a block at a time or a gene at a time."""

import os
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.atlas.matrix import StoredMatrix
from expressome.atlas.schema import (
    ARRAYS,
    FORMAT_VERSION,
    SECTION,
    damage_named,
    replace_element,
)
from expressome.atlas.selection import Selection, holds_ids, to_positions
from expressome.atlas.shards import BLOCK_SAMPLES, CHUNK_GENES
from expressome.atlas.stored_tables import StoredTables
from expressome.blocks import prefetch, row_spans
from expressome.engine import Resources, map_blocks
from expressome.errors import AtlasError, ShapeError
from expressome.notebook import render_facts
from expressome.outputs import check_input
from expressome.results import Target

__all__ = ["Atlas", "open_atlas"]

# Blocks of genes alive at once: two in use where one ends, one ready, one being read.
_N_BLOCKS_ALIVE = 4


class Atlas(StoredTables):
    """A labelled, normalised compendium on disk; cheap to open and to pickle.

    Parameters
    ----------
    path
        Folder that `normalize` wrote. Use `open_atlas`, which checks it.

    Notes
    -----
    Tables are read once, when first asked for. Values are read on each call and
    never kept.
    """

    def __repr__(self) -> str:
        return f"Atlas({str(self.path)!r}: {self.n_samples} samples x {self.n_genes} genes)"

    def _repr_html_(self) -> str:
        keys = self.labels.keys
        facts = {
            "folder": str(self.path),
            "samples": self.n_samples,
            "genes": self.n_genes,
            "recipe": self.recipe,
            "labels": f"{len(keys):,}: {', '.join(keys[:12])}{', ...' if len(keys) > 12 else ''}",
            "split": self.obs["split"].value_counts().to_dict() if "split" in self.obs else None,
        }
        return render_facts("Atlas", facts)

    def __reduce__(self) -> tuple[type["Atlas"], tuple[Path]]:
        return Atlas, (self.path,)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Samples and genes."""
        import zarr

        with damage_named(self.path, "X"):
            n_samples, n_genes = zarr.open_array(str(self.path / "X"), mode="r").shape
        return int(n_samples), int(n_genes)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """How values are stored; they are read as float32 either way."""
        import zarr

        return np.dtype(zarr.open_array(str(self.path / "X"), mode="r").dtype)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.shape[0]

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return self.shape[1]

    @property
    def recipe(self) -> str:
        """Name of the normalisation."""
        return str(self.normalizer_parts["recipe"])

    @cached_property
    def normalizer_parts(self) -> dict[str, Any]:
        """What `Normalizer.from_parts` takes, to map other samples onto this scale."""
        parts: dict[str, Any] = self.element(f"{SECTION}/normalizer")
        return parts

    @property
    def target(self) -> Target:
        """The distribution all samples were mapped onto."""
        parts = self.normalizer_parts
        if "profile" not in parts:
            msg = f"{self.path.name} was made by the recipe {self.recipe}, which fits no target"
            raise AtlasError(msg)
        genes = tuple(str(gene) for gene in parts["genes"])
        return Target(np.asarray(parts["profile"], np.float64), int(parts["n_samples"]), genes)

    def read(self, samples: Selection = None, genes: Selection = None) -> NDArray[np.float32]:
        """Read normalised values.

        Parameters
        ----------
        samples, genes
            Ids, positions, a slice or a mask; None is all of them.

        Returns
        -------
        ndarray
            float32, shape (n_samples, n_genes), in the order asked for. NaN where
            a gene was not measured.

        Raises
        ------
        SelectionError
            If an id or position is not in the atlas.
        """
        return self._read("X", samples, genes)

    def detected(self, samples: Selection = None, genes: Selection = None) -> NDArray[np.bool_]:
        """Read whether the raw count was above 0.

        Parameters
        ----------
        samples, genes
            As for `read`.

        Returns
        -------
        ndarray
            bool, shape (n_samples, n_genes); False where a gene was not measured.
        """
        return self._read("layers/detected", samples, genes)

    def blocks(
        self, samples: Selection = None, genes: Selection = None, *, resources: Resources
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Read values block by block, in parallel and in order.

        Parameters
        ----------
        samples, genes
            As for `read`.
        resources
            Memory for all blocks under way, and threads.

        Yields
        ------
        tuple
            Slice over the samples asked for, and their values. Slices are multiples
            of 256 samples but for the last.
        """
        rows = to_positions(
            samples, self.obs.index if holds_ids(samples) else self.n_samples, "sample"
        )
        columns = to_positions(genes, self.var.index if holds_ids(genes) else self.n_genes, "gene")
        n_under_way = resources.n_workers + 2
        spans = row_spans(
            len(rows),
            row_bytes=4 * len(columns) * n_under_way,
            budget_bytes=resources.memory_bytes // 2,
            multiple=BLOCK_SAMPLES,
        )
        read = partial(_read_span, self.matrix("X"), (rows, columns))
        # A cluster would send every value through its scheduler.
        yield from map_blocks(read, spans, resources=resources.here, n_ahead=resources.n_workers)

    def gene_blocks(
        self, *, resources: Resources, multiple: int = CHUNK_GENES
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Read all samples, some genes at a time.

        Parameters
        ----------
        resources
            Memory, of which blocks take half, and threads that read one block together.
        multiple
            Every block but the last holds a multiple of this many genes.

        Yields
        ------
        tuple
            Slice over the genes, and values of shape (n_samples, n_block).
        """
        gene_bytes = 4 * self.n_samples * _N_BLOCKS_ALIVE
        budget_bytes = resources.memory_bytes // 2
        spans = row_spans(
            self.n_genes, row_bytes=gene_bytes, budget_bytes=budget_bytes, multiple=multiple
        )
        rows = np.arange(self.n_samples)
        matrix = self.matrix("X")

        def read_all() -> Iterator[tuple[slice, NDArray[np.float32]]]:
            for span in spans:
                columns = np.arange(span.start, span.stop)
                yield span, matrix.gather(rows, columns, workers=resources.n_workers)

        # With room for less than that, the next block is read when the last is done with.
        has_room = gene_bytes * multiple <= budget_bytes
        yield from prefetch(read_all()) if has_room else read_all()

    def write_obsm(self, name: str, values: NDArray[Any]) -> None:
        """Store numbers per sample, such as coordinates of a map.

        Parameters
        ----------
        name
            Such as ``"pca"``.
        values
            Shape (n_samples, n_columns).

        Raises
        ------
        ShapeError
            If the number of rows differs from the samples of the atlas.
        """
        if len(values) != self.n_samples:
            msg = (
                f"{name} has {len(values)} rows, the atlas {self.n_samples} samples; pass one each"
            )
            raise ShapeError(msg)
        replace_element(self.path, f"obsm/{name}", np.asarray(values))

    def _read(self, array: str, samples: Selection, genes: Selection) -> NDArray[Any]:
        rows = to_positions(
            samples, self.obs.index if holds_ids(samples) else self.n_samples, "sample"
        )
        columns = to_positions(genes, self.var.index if holds_ids(genes) else self.n_genes, "gene")
        return self.matrix(array).gather(rows, columns, workers=Resources().n_workers)

    def matrix(self, array: str) -> StoredMatrix:
        """Give a stored matrix by itself, to read from another process.

        Parameters
        ----------
        array
            ``"X"`` or ``"layers/detected"``.

        Returns
        -------
        StoredMatrix
            Picklable.
        """
        dtype = self.dtype if array == "X" else np.dtype(ARRAYS[array])
        return StoredMatrix(self.path, array, dtype, self.n_genes)


def open_atlas(path: str | os.PathLike[str]) -> Atlas:
    """Open an atlas for reading.

    Parameters
    ----------
    path
        Folder that `normalize` wrote.

    Returns
    -------
    Atlas
        Cheap: nothing but its format version is read now.

    Raises
    ------
    InputNotFoundError
        If nothing is there.
    AtlasError
        If it is not an atlas, or one of another format version.

    Examples
    --------
    >>> open_atlas("/tmp")
    Traceback (most recent call last):
    ...
    expressome.errors.AtlasError: /tmp is not an atlas; make one with normalize
    """
    place = check_input(path)
    if not (place / SECTION / "description").is_dir() or not (place / "X").is_dir():
        msg = f"{place} is not an atlas; make one with normalize"
        raise AtlasError(msg)
    atlas = Atlas(place)
    found = atlas.description["format_version"]
    if found != FORMAT_VERSION:
        msg = (
            f"{place.name} has atlas format {found}, this version reads {FORMAT_VERSION}; "
            "make it again with normalize"
        )
        raise AtlasError(msg)
    return atlas


def _read_span(
    matrix: StoredMatrix, wanted: tuple[NDArray[np.int64], NDArray[np.int64]], span: slice
) -> tuple[slice, NDArray[np.float32]]:
    """Read one span of the rows asked for, in the thread or process it is given to."""
    rows, columns = wanted
    return span, matrix.gather(rows[span], columns)
