"""Write counts as a table genes x samples, with sheets of samples and genes beside it."""

import csv
import gzip
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from expressome.errors import IdentifierError
from expressome.outputs import check_output, staged_output
from expressome.results import to_json

__all__ = ["companion_paths", "write_table"]


def companion_paths(path: str | os.PathLike[str]) -> dict[str, Path]:
    """Name the files that go with a table.

    Parameters
    ----------
    path
        The table: ``.parquet``, ``.tsv.gz`` or ``.tsv``.

    Returns
    -------
    dict
        ``samples``, ``genes`` and ``manifest``.

    Examples
    --------
    >>> companion_paths("liver.tsv.gz")["samples"].name
    'liver.tsv.gz.samples.tsv'
    """
    path = Path(path)
    return {
        "samples": path.with_name(f"{path.name}.samples.tsv"),
        "genes": path.with_name(f"{path.name}.genes.tsv"),
        "manifest": path.with_name(f"{path.name}.manifest.json"),
    }


def write_table(
    path: str | os.PathLike[str],
    blocks: Iterable[NDArray[Any]],
    *,
    samples: pd.DataFrame,
    genes: pd.DataFrame,
    notes: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    r"""Write counts as Parquet or TSV, some genes at a time.

    The table has a column ``gene``, then one per sample, so that `read_counts` and
    other programs take it; what is known of samples and genes goes into sheets beside it.

    Parameters
    ----------
    path
        New file ``.parquet``, ``.tsv.gz`` or ``.tsv``.
    blocks
        Counts of consecutive genes, each of shape (n_samples, n).
    samples, genes
        One row per sample and per gene, index their ids.
    notes
        Plain values for ``NAME.manifest.json``.
    overwrite
        Whether existing files may be replaced.

    Raises
    ------
    IdentifierError
        If a sample is called ``gene``, which would name two columns.
    OutputExistsError
        If one of the files exists and `overwrite` is False.

    Examples
    --------
    >>> import tempfile
    >>> place = os.path.join(tempfile.mkdtemp(), "counts.tsv.gz")
    >>> samples, genes = pd.DataFrame(index=["s1", "s2"]), pd.DataFrame(index=["g1"])
    >>> write_table(place, [np.array([[7], [3]])], samples=samples, genes=genes, notes={})
    >>> pd.read_csv(place, sep="\t", index_col=0).loc["g1"].tolist()
    [7, 3]
    """
    if "gene" in samples.index:
        msg = "a sample is called 'gene' like the column of gene ids; choose h5ad, zarr or h5"
        raise IdentifierError(msg)
    beside = companion_paths(path)
    for place in beside.values():
        check_output(place, overwrite=overwrite)
    with ExitStack() as stack:
        # Closed in reverse order: the table itself comes to its place last.
        table = stack.enter_context(staged_output(path, overwrite=overwrite))
        partial = {
            name: stack.enter_context(staged_output(place, overwrite=overwrite))
            for name, place in beside.items()
        }
        _write_sheet(partial["samples"], samples, "sample")
        _write_sheet(partial["genes"], genes, "gene")
        partial["manifest"].write_text(to_json(notes) + "\n", encoding="utf-8")
        write = _write_parquet if Path(path).suffix == ".parquet" else _write_tsv
        with write(table, samples.index, is_zipped=Path(path).suffix == ".gz") as put:
            n_written = 0
            for block in blocks:
                keys = genes.index[n_written : n_written + block.shape[1]]
                put(keys, block)
                n_written += block.shape[1]


def _write_sheet(path: Path, table: pd.DataFrame, index_name: str) -> None:
    """Write a table of texts and numbers; tabs and line breaks in texts become blanks."""
    plain = table.copy()
    for name in plain.columns:
        if plain[name].dtype.kind not in "biuf":
            plain[name] = [" ".join(str(text).split()) for text in plain[name]]
    plain.to_csv(path, sep="\t", index_label=index_name, quoting=csv.QUOTE_MINIMAL)


@contextmanager
def _write_tsv(path: Path, samples: pd.Index, *, is_zipped: bool) -> Iterator[Any]:
    """Yield what appends genes to a text table."""
    with ExitStack() as stack:
        raw: Any = stack.enter_context(path.open("wb"))
        if is_zipped:
            # No name and time inside, so that equal counts give equal files.
            raw = stack.enter_context(
                gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0)
            )
        text = stack.enter_context(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
        csv.writer(text, delimiter="\t", lineterminator="\n").writerow(["gene", *samples])

        def put(keys: pd.Index, values: NDArray[Any]) -> None:
            table = pd.DataFrame(np.ascontiguousarray(values.T), index=keys)
            table.to_csv(text, sep="\t", header=False, na_rep="NA")

        yield put


@contextmanager
def _write_parquet(path: Path, samples: pd.Index, *, is_zipped: bool) -> Iterator[Any]:  # noqa: ARG001 - Parquet compresses by itself
    """Yield what appends genes to a Parquet file."""
    writers: list[pq.ParquetWriter] = []

    def put(keys: pd.Index, values: NDArray[Any]) -> None:
        arrays = [pa.array([str(key) for key in keys], pa.string())]
        arrays += [pa.array(counts) for counts in np.ascontiguousarray(values)]
        table = pa.Table.from_arrays(arrays, names=["gene", *map(str, samples)])
        if not writers:
            writers.append(pq.ParquetWriter(path, table.schema, compression="zstd"))
        writers[0].write_table(table)

    try:
        yield put
    finally:
        for writer in writers:
            writer.close()
