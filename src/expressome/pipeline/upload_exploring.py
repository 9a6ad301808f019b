"""Answer a count table that somebody drops on the page."""

import gzip
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from expressome.errors import ExpressomeWarning, FileFormatError
from expressome.pipeline.answer_keeping import Prediction, to_predictions
from expressome.pipeline.exploring import AtlasView
from expressome.pipeline.h5ad_receiving import receive_h5ad
from expressome.pipeline.input_reading import open_table
from expressome.pipeline.sample_exploring import SampleHit, to_hit
from expressome.tables import CountTable, read_counts

__all__ = ["UploadAnswer", "UploadedSample", "answer_upload"]

# Tables of people: 500 samples of 60,000 genes as text are about 150 MB.
_MOST_BYTES = 512 * 2**20
_MOST_HEADER_BYTES = 2**20
_MOST_ROWS = 300_000
_MOST_SAMPLES = 500
_N_NEAREST = 5
_PIECE_BYTES = 2**20
_HDF5 = b"\x89HDF\r\n\x1a\n"
# Warnings are caught for the whole process, so tables are answered one at a time.
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True, slots=True)
class UploadedSample:
    """What is said of one sample of a table.

    Attributes
    ----------
    sample
        Its name in the table.
    prediction
        What the model says; None without a model.
    place
        On the map; None without one.
    nearest
        Samples of the atlas nearest to it.
    """

    sample: str
    prediction: Prediction | None
    place: list[float] | None
    nearest: list[SampleHit]


@dataclass(frozen=True, slots=True)
class UploadAnswer:
    """What is said of a table.

    Attributes
    ----------
    name
        Its name.
    n_genes, n_samples
        Its size.
    n_missing_genes, n_model_genes
        Genes of the model that it lacks, and has in all; 0 without a model.
    notes
        What one should know: rounded values, missing genes, ids not understood.
    samples
        In the table's order.
    """

    name: str
    n_genes: int
    n_samples: int
    n_missing_genes: int
    n_model_genes: int
    notes: list[str]
    samples: list[UploadedSample]


@dataclass(frozen=True, slots=True)
class _MapScale:
    """Genes and normalisation of the atlas's map, as `open_table` takes them."""

    genes: pd.Index
    normalizer_parts: dict[str, Any]
    description: dict[str, Any]


def answer_upload(view: AtlasView, path: Path) -> UploadAnswer:
    """Label the samples of a count table and place them on the map.

    Parameters
    ----------
    view
        The atlas, with or without a model.
    path
        Raw counts: genes x samples as TSV, CSV (gzipped or not) or Parquet, or h5ad.

    Returns
    -------
    UploadAnswer
        One entry per sample.

    Raises
    ------
    FileFormatError
        If it is no such table, or larger than 512 MB, 300,000 rows or 500 samples once
        unpacked; nothing is unpacked beyond that.
    IdentifierError, ScaleMismatchError, InvalidCountsError, ModelError
        As for `predict`.
    """
    _check_size(path)
    with _ONE_AT_A_TIME, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        table = _read(path)
        answers, n_missing = _label(view, table)
        scores, places = _place(view, table)
    notes = [str(w.message) for w in caught if issubclass(w.category, ExpressomeWarning)]
    samples = []
    for i, name in enumerate(table.samples):
        nearest: list[SampleHit] = []
        if view.map is not None and scores is not None:
            rows, distances = view.map.nearest_samples(scores[i], _N_NEAREST)
            nearest = [
                to_hit(view, int(row), float(distance))
                for row, distance in zip(rows, distances, strict=True)
            ]
        samples.append(
            UploadedSample(
                str(name),
                None if answers is None else answers[i],
                None if places is None else [float(x) for x in places[i]],
                nearest,
            )
        )
    return UploadAnswer(
        name=path.name,
        n_genes=len(table.genes),
        n_samples=len(table.samples),
        n_missing_genes=n_missing,
        n_model_genes=0 if view.model is None else len(view.model.genes),
        notes=list(dict.fromkeys(notes)),
        samples=samples,
    )


def _read(path: Path) -> CountTable:
    """Read a table; what can crash a library is read in a process of its own."""
    with path.open("rb") as file:
        is_hdf5 = file.read(len(_HDF5)) == _HDF5
    if is_hdf5:
        return receive_h5ad(path, most_samples=_MOST_SAMPLES, most_genes=_MOST_ROWS)
    return read_counts(path)


def _label(view: AtlasView, table: CountTable) -> tuple[list[Prediction] | None, int]:
    if view.model is None:
        return None, 0
    model = view.model.trained
    opened = open_table(model, table)
    pieces = [
        model.answer(values, opened.samples[span], n_missing=opened.n_missing)
        for span, values in opened.blocks(np.arange(len(opened.samples)))
    ]
    return to_predictions(pd.concat(pieces, ignore_index=True), model.keys), opened.n_missing


def _place(
    view: AtlasView, table: CountTable
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Give components and places of the samples of a table."""
    if view.map is None:
        return None, None
    genes = view.atlas.var.index[view.map.plane_genes]
    scale = _MapScale(genes, view.atlas.normalizer_parts, view.atlas.description)
    opened = open_table(scale, table)
    blocks = opened.blocks(np.arange(len(opened.samples)))
    scores = np.concatenate([view.map.score(values) for _, values in blocks])
    return scores, view.map.place(scores)


def _check_size(path: Path) -> None:
    """Refuse a file that would not fit in memory, before it is unpacked there."""
    with path.open("rb") as file:
        magic = file.read(8)
    if magic.startswith(b"PAR1"):
        _check_parquet(path)
    elif not magic.startswith((_HDF5, b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        _check_text(path, is_packed=magic.startswith(b"\x1f\x8b"))


def _check_parquet(path: Path) -> None:
    try:
        described = pq.ParquetFile(path).metadata
    except (pa.ArrowException, OSError) as error:
        msg = f"{path.name} begins as a Parquet file but cannot be read ({error}); write it again"
        raise FileFormatError(msg) from error
    n_bytes = described.num_rows * described.num_columns * 8
    _refuse(path, n_bytes, described.num_rows, described.num_columns)


def _check_text(path: Path, *, is_packed: bool) -> None:
    """Count bytes, lines and columns of a text table, unpacking a piece at a time."""
    n_bytes = n_rows = n_columns = 0
    header = b""
    with gzip.open(path) if is_packed else path.open("rb") as opened:
        file = cast("IO[bytes]", opened)
        while True:
            try:
                piece = file.read(_PIECE_BYTES)
            except (OSError, EOFError, zlib.error) as error:
                msg = f"{path.name} is a damaged gzip file ({error}); pack it again"
                raise FileFormatError(msg) from error
            if not piece:
                break
            if b"\0" in piece:
                msg = (
                    f"{path.name} is a binary file, not a table of counts; "
                    "drop a TSV, CSV or Parquet file of genes x samples"
                )
                raise FileFormatError(msg)
            if not n_rows:
                header += piece
                _check_header(path, header)
                n_columns = max(header.split(b"\n", 1)[0].count(mark) for mark in b"\t,;")
            n_bytes += len(piece)
            n_rows += piece.count(b"\n")
            _refuse(path, n_bytes, n_rows, n_columns)


def _check_header(path: Path, header: bytes) -> None:
    if b"\n" not in header and len(header) >= _MOST_HEADER_BYTES:
        msg = (
            f"the first line of {path.name} is longer than {_MOST_HEADER_BYTES // 2**20} MB; "
            "a table has a header with one name per sample and then one line per gene"
        )
        raise FileFormatError(msg)


def _refuse(path: Path, n_bytes: int, n_rows: int, n_columns: int) -> None:
    if n_bytes > _MOST_BYTES:
        msg = (
            f"{path.name} holds more than {_MOST_BYTES // 2**20} MB once unpacked; "
            "drop fewer samples at once or use expressome predict"
        )
    elif n_rows > _MOST_ROWS:
        msg = (
            f"{path.name} has more than {_MOST_ROWS:,} rows; a table of counts has one per gene: "
            "is it samples x genes, or a list of reads?"
        )
    elif n_columns > _MOST_SAMPLES + 10:
        msg = (
            f"{path.name} has {n_columns:,} columns, the page takes {_MOST_SAMPLES} samples; "
            "drop fewer at once or use expressome predict"
        )
    else:
        return
    raise FileFormatError(msg)
