"""A handle on an ARCHS4 file: samples x genes, whatever the release."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.addresses import RemotePath
from expressome.archs4 import fields, structure
from expressome.archs4.cells import read_cells
from expressome.archs4.chunks import ChunkStore, UnreadableChunkError
from expressome.archs4.damage import explain_damage, explain_numbers, has_possible_numbers
from expressome.archs4.layouts import EXPRESSION, LAYOUTS, Layout, match_layout
from expressome.archs4.measured import mask_measured, read_measured
from expressome.archs4.request import Request, is_positional, to_positions
from expressome.archs4.storage import locate, open_file
from expressome.blocks import prefetch, row_spans
from expressome.engine import Resources
from expressome.errors import (
    DamagedFileError,
    FileFormatError,
    IdentifierError,
    InvalidCountsError,
    MissingFieldError,
    first_few,
)
from expressome.notebook import render_facts

__all__ = ["Compendium", "open_archs4"]

# Blocks alive at once: the caller's, one ready, one being read, and its copy.
_N_BLOCKS_ALIVE = 4


@dataclass(frozen=True)
class Compendium:
    """An ARCHS4 file, opened anew for each operation; cheap to make and to pickle.

    Attributes
    ----------
    path
        The file, or its address.
    layout
        Family of releases it follows, such as ``"v2.3-v2.6"``.
    release
        Version the file states; empty if it states none.
    level
        What a gene row is: ``"gene"`` or ``"transcript"``.
    unit
        ``"counts"``, or ``"tpm"`` for files that hold floats.
    dtype
        Type of the numbers, in this machine's byte order.
    n_samples
        Samples in the file.
    n_genes
        Genes, or transcripts, in the file.
    samples_per_chunk
        Samples that are stored, and best read, together.
    """

    path: Path | RemotePath
    layout: str
    release: str
    level: Literal["gene", "transcript"]
    unit: Literal["counts", "tpm"]
    dtype: np.dtype[Any]
    n_samples: int
    n_genes: int
    samples_per_chunk: int

    def __getstate__(self) -> dict[str, Any]:
        """Leave the cached tables behind."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def _repr_html_(self) -> str:
        names = ("path", "n_samples", "n_genes", "species", "level", "unit", "release", "layout")
        return render_facts("ARCHS4 file", {name: getattr(self, name) for name in names})

    @property
    def layout_row(self) -> Layout:
        """The row of the table of layouts that the file follows."""
        return next(layout for layout in LAYOUTS if layout.name == self.layout)

    @cached_property
    def sample_ids(self) -> pd.Index:
        """Sample ids in file order, each once; cheaper than `samples`."""
        with open_file(self.path) as file:
            ids = fields.read_sample_ids(file, self.layout_row)
        if not ids.is_unique:
            repeated = ids[ids.duplicated()].unique()
            msg = (
                f"{self.path}: {len(repeated)} of {len(ids)} sample ids occur more than once "
                f"({first_few(repeated)}); remove the repetitions from the file"
            )
            raise IdentifierError(msg)
        return ids

    @cached_property
    def samples(self) -> pd.DataFrame:
        """Sample fields, index ``sample`` in file order.

        Columns ``series``, ``study``, ``title``, ``source``, ``characteristics``,
        ``platform``, ``aligned_reads`` and ``single_cell_probability`` where the
        file has them (``study`` always), then every other field under its own name.
        """
        with open_file(self.path) as file:
            return fields.read_samples(file, self.layout_row, self.sample_ids)

    def field(self, name: str) -> NDArray[Any]:
        """Read one sample field, without the cost of all the others.

        Parameters
        ----------
        name
            Our name, such as ``"series"``, or the file's, such as ``"series_id"``.

        Returns
        -------
        ndarray
            Shape (n_samples,): numbers, or text of dtype object.

        Raises
        ------
        MissingFieldError
            If the file has no such field.
        """
        with open_file(self.path) as file:
            values = fields.read_field(file, self.layout_row, name)
            known = structure.list_fields(file, self.layout_row)["samples"]
        if values is None:
            msg = f"{self.path} has no sample field {name!r}; it has {first_few(known, 40)}"
            raise MissingFieldError(msg)
        return values

    @cached_property
    def genes(self) -> pd.DataFrame:
        """Gene fields, index ``gene`` in file order.

        The index is the Ensembl id without version, ``symbol:NAME`` where the
        file has none. Columns ``symbol``, ``biotype`` where there, then the others.
        """
        with open_file(self.path) as file:
            return fields.read_genes(file, self.layout_row, self.n_genes)

    @cached_property
    def species(self) -> str:
        """``"human"``, ``"mouse"`` or empty if nothing in the file tells."""
        with open_file(self.path) as file:
            return fields.find_species(file, self.layout_row, self.genes.index)

    def counts(
        self,
        samples: Request = None,
        genes: Request = None,
        *,
        resources: Resources | None = None,
    ) -> NDArray[Any]:
        """Read numbers, in request order.

        Parameters
        ----------
        samples
            Sample ids, positions, or a slice of positions; None for all.
        genes
            Gene ids, positions, or a slice of positions; None for all.
        resources
            Threads to use; all processors by default.

        Returns
        -------
        ndarray
            Shape (n_samples, n_genes) of the request, in the file's dtype; float64
            with NaN if it touches cells that were never measured (packed files).

        Raises
        ------
        SelectionError
            If an id or position is not in the file.
        DamagedFileError
            If a part of the file cannot be read; it names samples and genes.
        InvalidCountsError
            If a number is negative, NaN or infinite.
        """
        rows, columns = self._resolve(samples, genes)
        counts = np.empty((len(rows), len(columns)), dtype=self.dtype)
        self._fill(rows, columns, out=counts, resources=resources or Resources())
        return self._blank(rows, columns, counts)

    def blocks(
        self, samples: Request = None, genes: Request = None, *, resources: Resources
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Read numbers in blocks that fit the memory budget, reading ahead.

        Parameters
        ----------
        samples
            As for `counts`.
        genes
            As for `counts`.
        resources
            Memory and threads to use.

        Yields
        ------
        tuple of slice and ndarray
            Positions within the request, in order, a multiple of 256 samples but
            for the last; and what `counts` gives for them.

        Notes
        -----
        Memory: four blocks, half the budget. A chunk that lies across two blocks
        is inflated once where samples are asked for in file order.
        """
        rows, columns = self._resolve(samples, genes)
        spans = row_spans(
            len(rows),
            row_bytes=len(columns) * max(8, self.dtype.itemsize),
            budget_bytes=resources.memory_bytes // (2 * _N_BLOCKS_ALIVE),
            multiple=256,
        )
        yield from prefetch(self._read_spans(rows, columns, spans=list(spans), resources=resources))

    def _read_spans(
        self,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        *,
        spans: list[slice],
        resources: Resources,
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Read span after span; samples of a chunk begun are kept for the next span."""
        is_consecutive = len(rows) < 2 or bool((np.diff(rows) == 1).all())
        step = self.samples_per_chunk
        is_aligned = is_consecutive and len(spans) > 1 and step <= spans[0].stop
        kept = np.empty((0, len(columns)), dtype=self.dtype)
        n_read = 0
        for span in spans:
            stop = span.stop
            if is_aligned:
                first = int(rows[0])
                stop = min(len(rows), -(-(first + stop) // step) * step - first)
            block = np.empty((stop - span.start, len(columns)), dtype=self.dtype)
            block[: len(kept)] = kept
            n_read = span.start + len(kept)
            self._fill(rows[n_read:stop], columns, out=block[len(kept) :], resources=resources)
            size = span.stop - span.start
            kept = block[size:].copy()
            # A view would hold the samples beyond its end in memory.
            block = block[:size].copy() if len(kept) else block
            yield span, self._blank(rows[span], columns, block)

    def measured_groups(self) -> tuple[NDArray[np.int32], NDArray[np.bool_]] | None:
        """Say which table of a packed file measured which gene.

        Returns
        -------
        tuple or None
            Table of each sample, shape (n_samples,), and whether a table measured
            a gene, shape (n_tables, n_genes); None if everything is measured.
        """
        return self._groups

    @cached_property
    def _groups(self) -> tuple[NDArray[np.int32], NDArray[np.bool_]] | None:
        with open_file(self.path) as file:
            return read_measured(file, self.n_samples, self.n_genes)

    def measured(self, samples: Request = None, genes: Request = None) -> NDArray[np.bool_] | None:
        """Say which cells were measured.

        Parameters
        ----------
        samples
            As for `counts`.
        genes
            As for `counts`.

        Returns
        -------
        ndarray or None
            Boolean, shape (n_samples, n_genes) of the request; None if all are.
        """
        return mask_measured(self._groups, *self._resolve(samples, genes))

    def _fill(
        self,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        *,
        out: NDArray[Any],
        resources: Resources,
    ) -> None:
        """Read cells into an array; damage and impossible numbers are errors."""
        with open_file(self.path) as file:
            try:
                read_cells(
                    file[EXPRESSION],
                    samples=rows,
                    genes=columns,
                    is_transposed=self.layout_row.is_transposed,
                    resources=resources,
                    out=out,
                )
            except UnreadableChunkError as error:
                raise DamagedFileError(self.explain([error])) from error
        if not has_possible_numbers(out):
            samples, genes = self.sample_ids[rows], self.genes.index[columns]
            msg = explain_numbers(out, path=self.path, samples=samples, genes=genes)
            raise InvalidCountsError(msg)

    def explain(self, failures: Sequence[UnreadableChunkError]) -> str:
        """Say in words which samples and genes cannot be read; see `explain_damage`."""
        return explain_damage(
            failures,
            path=self.path,
            samples=self.sample_ids,
            genes=self.genes.index,
            is_transposed=self.layout_row.is_transposed,
        )

    def _blank(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], counts: NDArray[Any]
    ) -> NDArray[Any]:
        """Give NaN for cells that were never measured."""
        is_measured = mask_measured(self._groups, rows, columns)
        return counts if is_measured is None else np.where(is_measured, counts, np.nan)

    def _resolve(
        self, samples: Request, genes: Request
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Turn a request into positions on both axes."""
        # Ids and names are read only where they are asked for.
        ids = pd.RangeIndex(self.n_samples) if is_positional(samples) else self.sample_ids
        rows = to_positions(samples, ids, f"samples of {self.path.name}")
        keys = pd.RangeIndex(self.n_genes) if is_positional(genes) else self.genes.index
        return rows, to_positions(genes, keys, f"genes of {self.path.name}")


def open_archs4(path: str | os.PathLike[str]) -> Compendium:
    """Open an ARCHS4 file of any release.

    Parameters
    ----------
    path
        The file, such as ``human_gene_v2.6.h5``, or its https address.

    Returns
    -------
    Compendium
        A handle; nothing but the layout has been read.

    Raises
    ------
    InputNotFoundError
        If there is no such file.
    FileFormatError
        If it is not HDF5, of no known layout, or its axes do not fit its fields.
    DamagedFileError
        If it is truncated or broken.

    Examples
    --------
    >>> import tempfile
    >>> from expressome.archs4.writing import write_archs4
    >>> place = tempfile.mkdtemp() + "/two.h5"
    >>> samples = pd.DataFrame({"series": ["GSE1", "GSE2"]}, index=["GSM1", "GSM2"])
    >>> genes = pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"])
    >>> write_archs4(place, samples=samples, genes=genes, blocks=[np.array([[3], [5]])])
    >>> compendium = open_archs4(place)
    >>> compendium.layout, compendium.n_samples, compendium.counts(["GSM2"]).tolist()
    ('v2.3-v2.6', 2, [[5]])
    """
    path = locate(path)
    with open_file(path) as file:
        dtype, shape = structure.check_matrix(file)
        layout = match_layout(lambda name: name in file, is_float=dtype.kind == "f")
        if layout is None:
            raise FileFormatError(structure.explain_unknown_layout(file))
        n_genes, n_samples = shape if layout.is_transposed else shape[::-1]
        structure.check_axes(file, layout, n_samples=n_samples, n_genes=n_genes)
        return Compendium(
            path=path,
            layout=layout.name,
            release=structure.read_info(file).get("version", ""),
            level=layout.level,
            unit="tpm" if dtype.kind == "f" else layout.unit,
            dtype=dtype,
            n_samples=n_samples,
            n_genes=n_genes,
            samples_per_chunk=ChunkStore.of(file[EXPRESSION]).chunk_shape[
                layout.axes.index("samples")
            ],
        )
