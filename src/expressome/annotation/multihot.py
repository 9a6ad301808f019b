"""The multi-hot annotation as a Parquet file that any program can read."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

from expressome.errors import DamagedFileError, FileFormatError
from expressome.outputs import check_input, staged_output
from expressome.results import LABEL_FIELDS, LabelMatrix, to_plain

__all__ = ["SAMPLE_COLUMN", "read_labels", "read_labels_manifest", "write_labels"]

SAMPLE_COLUMN = "sample"
_METADATA_KEY = b"expressome"
_FORMAT_VERSION = 1


def write_labels(
    labels: LabelMatrix,
    path: str | os.PathLike[str],
    manifest: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> None:
    """Write the multi-hot annotation.

    Parameters
    ----------
    labels
        Rows in the order to be written; all of them are.
    path
        New Parquet file: column ``sample``, then one uint8 column (0 or 1) per
        label key. The label table and the manifest are JSON in the schema
        metadata under the key ``expressome``.
    manifest
        Origin of the labels.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    OutputExistsError
        If the file exists and `overwrite` is False.

    Examples
    --------
    >>> import tempfile
    >>> table = pd.DataFrame(
    ...     [["liver", "tissue", "", "", ""]], index=["liver"], columns=list(LABEL_FIELDS)
    ... )
    >>> hot = sparse.csr_array(np.array([[1], [0]], np.uint8))
    >>> path = Path(tempfile.mkdtemp()) / "labels.parquet"
    >>> write_labels(LabelMatrix(pd.Index(["S1", "S2"]), table, hot), path, {})
    >>> pd.read_parquet(path)["liver"].tolist()
    [1, 0]
    """
    columns = sparse.csc_array(labels.matrix)
    arrays = [pa.array([str(sample) for sample in labels.samples], pa.string())]
    for k in range(labels.n_labels):
        hot = np.zeros(labels.n_samples, np.uint8)
        hot[columns.indices[columns.indptr[k] : columns.indptr[k + 1]]] = 1
        arrays.append(pa.array(hot))
    table = labels.labels.loc[:, list(LABEL_FIELDS)].fillna("").astype(str)
    content = {
        "format_version": _FORMAT_VERSION,
        "labels": [
            {"key": key, **row}
            for key, row in zip(labels.keys, table.to_dict(orient="records"), strict=True)
        ],
        "manifest": to_plain(manifest),
    }
    schema = pa.schema(
        [(SAMPLE_COLUMN, pa.string()), *((key, pa.uint8()) for key in labels.keys)],
        metadata={_METADATA_KEY: json.dumps(content, ensure_ascii=False).encode()},
    )
    with staged_output(path, overwrite=overwrite) as partial:
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), partial, compression="zstd")


def _read_content(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Give the table and the JSON beside it."""
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        msg = f"{path} is no readable Parquet file ({error}); write it again with annotate"
        raise DamagedFileError(msg) from error
    metadata = table.schema.metadata or {}
    if _METADATA_KEY not in metadata or table.column_names[:1] != [SAMPLE_COLUMN]:
        msg = (
            f"{path} is a Parquet file, but not a label file: it needs a first column "
            f"{SAMPLE_COLUMN!r} and a label table in its metadata; make it with annotate"
        )
        raise FileFormatError(msg)
    try:
        content = json.loads(metadata[_METADATA_KEY])
        _check_content(content, table.num_columns - 1)
    except (ValueError, KeyError, TypeError) as error:
        msg = f"the label table of {path} is damaged ({error}); write it again with annotate"
        raise DamagedFileError(msg) from error
    return table, content


def _check_content(content: Any, n_columns: int) -> None:  # noqa: ANN401 - any JSON
    """See that every column is described."""
    for row in content["labels"]:
        texts = [row[field] for field in ("key", *LABEL_FIELDS)]
        if not all(isinstance(text, str) for text in texts):
            msg = "a label is described by something that is no text"
            raise TypeError(msg)
    if len(content["labels"]) != n_columns:
        msg = f"{n_columns} labels, {len(content['labels'])} descriptions"
        raise ValueError(msg)


def read_labels(path: str | os.PathLike[str]) -> LabelMatrix:
    """Read a multi-hot annotation.

    Parameters
    ----------
    path
        Written by `write_labels`.

    Returns
    -------
    LabelMatrix
        Same samples, labels and order.

    Raises
    ------
    InputNotFoundError
        If there is no such file.
    FileFormatError
        If it is Parquet, but holds no label table.
    DamagedFileError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> table = pd.DataFrame(
    ...     [["liver", "tissue", "", "", ""]], index=["liver"], columns=list(LABEL_FIELDS)
    ... )
    >>> hot = sparse.csr_array(np.array([[1]], np.uint8))
    >>> path = Path(tempfile.mkdtemp()) / "labels.parquet"
    >>> write_labels(LabelMatrix(pd.Index(["S1"]), table, hot), path, {})
    >>> read_labels(path).keys
    ['liver']
    """
    table, content = _read_content(check_input(path))
    rows = content["labels"]
    fields = pd.DataFrame(
        [[row[field] for field in LABEL_FIELDS] for row in rows],
        index=pd.Index([row["key"] for row in rows], name="key", dtype=object),
        columns=list(LABEL_FIELDS),
        dtype=object,
    )
    hits = [np.flatnonzero(table.column(k + 1).to_numpy()) for k in range(len(rows))]
    columns = np.repeat(np.arange(len(rows)), [len(hit) for hit in hits])
    positions = np.concatenate(hits) if hits else np.empty(0, np.int64)
    matrix = sparse.csr_array(
        (np.ones(len(positions), np.uint8), (positions, columns)),
        shape=(table.num_rows, len(rows)),
    )
    samples = pd.Index(table.column(0).to_pylist(), name=SAMPLE_COLUMN, dtype=object)
    return LabelMatrix(samples, fields, matrix)


def read_labels_manifest(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read where a label file comes from.

    Parameters
    ----------
    path
        Written by `write_labels`.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    FileFormatError
        If it holds no label table.

    Examples
    --------
    >>> import tempfile
    >>> empty = LabelMatrix(
    ...     pd.Index([]), pd.DataFrame(columns=list(LABEL_FIELDS)), sparse.csr_array((0, 0))
    ... )
    >>> path = Path(tempfile.mkdtemp()) / "labels.parquet"
    >>> write_labels(empty, path, {"verb": "annotate"})
    >>> read_labels_manifest(path)
    {'verb': 'annotate'}
    """
    manifest: dict[str, Any] = _read_content(check_input(path))[1]["manifest"]
    return manifest
