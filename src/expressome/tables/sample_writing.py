"""Write a table with one row per sample, block by block."""

import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from expressome.results import to_json

__all__ = ["open_sample_table"]

Write = Callable[[pd.DataFrame], None]


@contextmanager
def open_sample_table(path: Path, name: str, *, notes: Mapping[str, Any]) -> Iterator[Write]:
    r"""Yield what appends samples to a new table.

    Parameters
    ----------
    path
        Where to write.
    name
        Its final name, which tells the format: ``.parquet``, ``.tsv``, ``.csv``,
        ``.tsv.gz`` or ``.csv.gz``.
    notes
        Plain values that Parquet keeps under ``expressome``; text has no place for them.

    Yields
    ------
    callable
        Takes tables of consecutive samples, index their ids, all with the same columns
        of text (dtype object) and numbers.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "m.tsv"
    >>> with open_sample_table(place, "m.tsv", notes={}) as write:
    ...     for sample in ("S1", "S2"):
    ...         write(pd.DataFrame({"sex": ["female"]}, index=[sample]))
    >>> place.read_text()
    'sample\tsex\nS1\tfemale\nS2\tfemale\n'
    """
    with _open_parquet(path, notes) if name.endswith(".parquet") else _open_text(path, name) as put:
        yield lambda table: put(table.rename_axis("sample"))


@contextmanager
def _open_text(path: Path, name: str) -> Iterator[Write]:
    with ExitStack() as stack:
        raw: Any = stack.enter_context(path.open("wb"))
        if name.endswith(".gz"):
            # No name and time inside, so that equal tables give equal files.
            raw = stack.enter_context(
                gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0)
            )
        text = stack.enter_context(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
        separator = "," if ".csv" in name else "\t"
        n_blocks = 0

        def put(table: pd.DataFrame) -> None:
            nonlocal n_blocks
            table.to_csv(text, sep=separator, header=n_blocks == 0, lineterminator="\n")
            n_blocks += 1

        yield put


@contextmanager
def _open_parquet(path: Path, notes: Mapping[str, Any]) -> Iterator[Write]:
    writers: list[pq.ParquetWriter] = []
    kept = {b"expressome": json.dumps(json.loads(to_json({"manifest": notes}))).encode()}

    def put(table: pd.DataFrame) -> None:
        plain = table.reset_index()
        # Stated, since a block without any text would not tell.
        schema = pa.schema(
            [
                (name, pa.string() if dtype.kind == "O" else pa.from_numpy_dtype(dtype))
                for name, dtype in plain.dtypes.items()
            ],
            metadata=kept,
        )
        if not writers:
            writers.append(pq.ParquetWriter(path, schema, compression="zstd"))
        content = pa.Table.from_pandas(plain, schema, preserve_index=False)
        writers[0].write_table(content.replace_schema_metadata(kept))

    try:
        yield put
    finally:
        for writer in writers:
            writer.close()
