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

from expressome.archs4 import fields
from expressome.archs4.chunks import read_cells
from expressome.archs4.layouts import EXPRESSION, LAYOUTS, Layout, match_layout
from expressome.archs4.storage import open_file
from expressome.blocks import prefetch, row_spans
from expressome.engine import Resources
from expressome.errors import (
    FileFormatError,
    IdentifierError,
    SelectionError,
    first_few,
)

__all__ = ["Compendium", "Request", "open_archs4"]

# Ids, positions (integers), a slice of positions, or None for all.
Request = Sequence[str] | Sequence[int] | NDArray[Any] | pd.Index | slice | None

# Blocks alive at once: the caller's, one ready, one being read, and its copy.
_N_BLOCKS_ALIVE = 4


@dataclass(frozen=True)
class Compendium:
    """An ARCHS4 file, opened anew for each operation; cheap to make and to pickle.

    Attributes
    ----------
    path
        The file.
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
    """

    path: Path
    layout: str
    release: str
    level: Literal["gene", "transcript"]
    unit: Literal["counts", "tpm"]
    dtype: np.dtype[Any]
    n_samples: int
    n_genes: int

    def __getstate__(self) -> dict[str, Any]:
        """Leave the cached tables behind."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @property
    def _layout(self) -> Layout:
        return next(layout for layout in LAYOUTS if layout.name == self.layout)

    @cached_property
    def sample_ids(self) -> pd.Index:
        """Sample ids in file order, each once; cheaper than `samples`."""
        with open_file(self.path) as file:
            ids = fields.read_sample_ids(file, self._layout)
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
            return fields.read_samples(file, self._layout, self.sample_ids)

    @cached_property
    def genes(self) -> pd.DataFrame:
        """Gene fields, index ``gene`` in file order.

        The index is the Ensembl id without version, ``symbol:NAME`` where the
        file has none. Columns ``symbol``, ``biotype`` where there, then the others.
        """
        with open_file(self.path) as file:
            return fields.read_genes(file, self._layout, self.n_genes)

    @cached_property
    def species(self) -> str:
        """``"human"``, ``"mouse"`` or empty if nothing in the file tells."""
        with open_file(self.path) as file:
            return fields.find_species(file, self._layout, self.genes.index)

    def counts(self, samples: Request = None, genes: Request = None) -> NDArray[Any]:
        """Read numbers, in request order.

        Parameters
        ----------
        samples
            Sample ids, positions, or a slice of positions; None for all.
        genes
            Gene ids, positions, or a slice of positions; None for all.

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
        """
        return self._read(*self._resolve(samples, genes), Resources())

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
        """
        rows, columns = self._resolve(samples, genes)
        spans = row_spans(
            len(rows),
            row_bytes=len(columns) * max(8, self.dtype.itemsize),
            budget_bytes=resources.memory_bytes // (2 * _N_BLOCKS_ALIVE),
            multiple=256,
        )
        read = ((span, self._read(rows[span], columns, resources)) for span in spans)
        yield from prefetch(read)

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
            return fields.read_measured(file, self.n_samples, self.n_genes)

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
        return self._measured(*self._resolve(samples, genes))

    def _measured(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.bool_] | None:
        if self._groups is None:
            return None
        tables, measured = self._groups
        if measured[np.ix_(np.unique(tables[rows]), columns)].all():
            return None
        return measured[:, columns][tables[rows]]

    def _read(
        self, rows: NDArray[np.int64], columns: NDArray[np.int64], resources: Resources
    ) -> NDArray[Any]:
        """Read cells and blank those that were never measured."""
        is_measured = self._measured(rows, columns)
        with open_file(self.path) as file:
            counts = read_cells(
                file,
                EXPRESSION,
                samples=rows,
                genes=columns,
                is_transposed=self._layout.is_transposed,
            )
        if is_measured is None:
            return counts
        blanked = counts.astype(np.float64)
        blanked[~is_measured] = np.nan
        return blanked

    def _resolve(
        self, samples: Request, genes: Request
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Turn a request into positions on both axes."""
        ids = self.sample_ids
        rows = _to_positions(samples, ids, f"samples of {self.path.name}")
        if genes is None or isinstance(genes, slice):
            return rows, np.arange(self.n_genes)[genes or slice(None)]
        return rows, _to_positions(genes, self.genes.index, f"genes of {self.path.name}")


def _to_positions(request: Request, ids: pd.Index, what: str) -> NDArray[np.int64]:
    """Turn ids, positions or a slice into positions."""
    if request is None or isinstance(request, slice):
        return np.arange(len(ids))[request or slice(None)]
    wanted = np.asarray([request] if isinstance(request, str) else request)
    if wanted.size == 0:
        return np.empty(0, dtype=np.int64)
    if wanted.ndim != 1:
        msg = f"a request for {what} has {wanted.ndim} axes; pass a flat list of ids or positions"
        raise SelectionError(msg)
    if wanted.dtype.kind == "b" and len(wanted) == len(ids):
        return np.flatnonzero(wanted)
    if wanted.dtype.kind in "iu":
        positions = wanted.astype(np.int64)
        missing = positions[(positions < 0) | (positions >= len(ids))]
        told = f"positions run from 0 to {len(ids) - 1}"
    else:
        positions = ids.get_indexer(pd.Index(wanted, dtype=object)).astype(np.int64)
        missing = wanted[positions < 0]
        told = f"ids look like {first_few(ids[:2])}"
    if len(missing):
        msg = (
            f"{len(missing)} of {len(wanted)} {what} are not among its {len(ids)} "
            f"({first_few(missing)}); {told}"
        )
        raise SelectionError(msg)
    return positions


def open_archs4(path: str | os.PathLike[str]) -> Compendium:
    """Open an ARCHS4 file of any release.

    Parameters
    ----------
    path
        The file, such as ``human_gene_v2.6.h5``.

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
    >>> open_archs4("human_gene_v2.6.h5")  # doctest: +SKIP
    Compendium(path=PosixPath('human_gene_v2.6.h5'), layout='v2.3-v2.6', ...)
    """
    path = Path(path)
    with open_file(path) as file:
        dtype, shape = fields.check_matrix(file)
        layout = match_layout(lambda name: name in file, is_float=dtype.kind == "f")
        if layout is None:
            raise FileFormatError(fields.explain_unknown_layout(file))
        n_genes, n_samples = shape if layout.is_transposed else shape[::-1]
        fields.check_axes(file, layout, n_samples=n_samples, n_genes=n_genes)
        return Compendium(
            path=path,
            layout=layout.name,
            release=fields.read_info(file).get("version", ""),
            level=layout.level,
            unit="tpm" if dtype.kind == "f" else layout.unit,
            dtype=dtype,
            n_samples=n_samples,
            n_genes=n_genes,
        )
