"""Tables of samples: label lists in long form and sheets with label columns."""

import csv
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from expressome.annotation.entries import (
    ENTRY_FIELDS,
    NO_LABEL,
    canonical_kind,
    make_entries,
    normalise_blanks,
)
from expressome.errors import (
    DamagedFileError,
    FileFormatError,
    IdentifierError,
    LabelError,
    MissingFieldError,
    first_few,
)

__all__ = ["DEFAULT_LABEL_COLUMNS", "is_long_table", "read_label_table", "read_table"]

# Columns of a sheet that name labels unless others are asked for.
DEFAULT_LABEL_COLUMNS = ("tissue", "cell_type", "cell_line", "disease")
_SAMPLE_COLUMNS = ("sample", "gsm")


def _read_lines(path: Path) -> list[str]:
    """Read a text file, gzipped or not."""
    with path.open("rb") as file:
        magic = file.read(4)
    try:
        raw = gzip.decompress(path.read_bytes()) if magic[:2] == b"\x1f\x8b" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"{path} is a damaged gzip file ({error}); fetch it again"
        raise DamagedFileError(msg) from error
    try:
        return raw.decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        msg = f"{path} is not UTF-8 text (byte {error.start}); save it as TSV or CSV in UTF-8"
        raise FileFormatError(msg) from error


def _read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet table, or say that it is damaged."""
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path} is a damaged Parquet file ({error}); fetch or write it again"
        raise DamagedFileError(msg) from error


def read_table(path: Path) -> pd.DataFrame:
    r"""Read a TSV or CSV table as text, without changing a cell.

    Parameters
    ----------
    path
        Text with a header line, gzipped or not, or Parquet.

    Returns
    -------
    DataFrame
        All columns as text, trimmed; empty where a cell is missing.

    Raises
    ------
    FileFormatError
        If it has no header, a column twice, or rows of another length.
    DamagedFileError
        If the gzip stream is damaged.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "sheet.csv"
    >>> _ = path.write_text("sample,tissue\n1,NA\n")
    >>> read_table(path).to_dict(orient="list")
    {'sample': ['1'], 'tissue': ['NA']}
    """
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            stored = _read_parquet(path).reset_index(drop=False)
            stored = stored.drop(columns="index", errors="ignore")
            filled = stored.astype(object).where(stored.notna(), "")
            return filled.astype(str).rename(columns=str)
    lines = _read_lines(path)
    header = lines[0] if lines else ""
    delimiter = max(("\t", ",", ";"), key=header.count)
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if any(map(str.strip, row))]
    if not rows:
        msg = f"{path} is empty; a table needs a header line"
        raise FileFormatError(msg)
    names = [name.strip() for name in rows[0]]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        msg = f"{path} has columns of the same name ({first_few(sorted(repeated))}); rename them"
        raise FileFormatError(msg)
    for i, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            msg = (
                f"row {i} of {path} has {len(row)} fields, but the header has {len(names)}; "
                "correct the row"
            )
            raise FileFormatError(msg)
    body = [[cell.strip() for cell in row] for row in rows[1:]]
    return pd.DataFrame(body, columns=pd.Index(names, dtype=object), dtype=object)


def _find_column(table: pd.DataFrame, wanted: Sequence[str]) -> str | None:
    """Find a column by its name, whatever its case."""
    folded = {str(name).casefold(): str(name) for name in reversed(list(table.columns))}
    return next((folded[name] for name in wanted if name in folded), None)


def is_long_table(table: pd.DataFrame) -> bool:
    """Tell a list of labels from a sheet.

    Parameters
    ----------
    table
        From `read_table`.

    Returns
    -------
    bool
        True if there is a column ``label``.

    Examples
    --------
    >>> is_long_table(pd.DataFrame(columns=["gsm", "label"]))
    True
    """
    return _find_column(table, ["label"]) is not None


def _sample_column(table: pd.DataFrame, path: Path) -> str:
    column = _find_column(table, _SAMPLE_COLUMNS)
    if column is None:
        msg = (
            f"{path} has no column sample or gsm (columns: {first_few(table.columns)}); "
            "rename the column of sample ids"
        )
        raise MissingFieldError(msg)
    n_empty = int((table[column] == "").sum())
    if n_empty:
        msg = f"{n_empty} of {len(table)} rows of {path} have no sample id; fill column {column}"
        raise IdentifierError(msg)
    return column


def _from_long(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Turn a list of labels into entries."""
    columns = {
        "sample": _sample_column(table, path),
        "label": _find_column(table, ["label"]),
        "kind": _find_column(table, ["kind"]),
        "system": _find_column(table, ["system"]),
    }
    entries = pd.DataFrame(
        {name: table[column] if column else "" for name, column in columns.items()},
        index=table.index,
    )
    entries["source"] = str(path)
    entries = entries.loc[~entries["label"].isin(NO_LABEL)].reset_index(drop=True)
    for name, change in (("label", normalise_blanks), ("kind", canonical_kind)):
        entries[name] = entries[name].map({text: change(text) for text in entries[name].unique()})
    return entries.loc[:, list(ENTRY_FIELDS)]


def _label_columns(table: pd.DataFrame, path: Path, asked: Sequence[str] | None) -> list[str]:
    """Choose the columns of a sheet that name labels."""
    if asked is None:
        found = [_find_column(table, [name]) for name in DEFAULT_LABEL_COLUMNS]
        columns = [name for name in found if name is not None]
        if not columns:
            msg = (
                f"{path} has neither a column label nor one of {', '.join(DEFAULT_LABEL_COLUMNS)} "
                f"(columns: {first_few(table.columns)}); pass label_columns"
            )
            raise MissingFieldError(msg)
        return columns
    missing = [name for name in asked if name not in table.columns]
    if missing:
        msg = (
            f"{path} lacks {len(missing)} of {len(asked)} label columns ({first_few(missing)}); "
            f"its columns are {first_few(table.columns, 12)}"
        )
        raise MissingFieldError(msg)
    return list(dict.fromkeys(asked))


def _from_sheet(table: pd.DataFrame, path: Path, asked: Sequence[str] | None) -> pd.DataFrame:
    """Turn the label columns of a sheet into entries."""
    sample = _sample_column(table, path)
    repeated = table[sample][table[sample].duplicated()].unique()
    if len(repeated):
        msg = (
            f"{len(repeated)} of {table[sample].nunique()} sample ids occur more than once in "
            f"{path} ({first_few(repeated)}); a sheet has one row per sample"
        )
        raise IdentifierError(msg)
    pieces = []
    for column in _label_columns(table, path, asked):
        kind = column if asked is not None else canonical_kind(column.casefold())
        filled = table.loc[~table[column].isin(NO_LABEL)]
        for label, rows in filled.groupby(filled[column].map(normalise_blanks), sort=False):
            pieces.append(make_entries(rows[sample], label=str(label), kind=kind, source=path))
    empty = make_entries([], label="", kind="", source=path)
    return pd.concat(pieces, ignore_index=True) if pieces else empty


def read_label_table(path: Path, *, label_columns: Sequence[str] | None = None) -> pd.DataFrame:
    r"""Read labels from a list in long form or from a sheet.

    Parameters
    ----------
    path
        TSV, CSV (gzipped or not) or Parquet. With a column ``label`` it is a
        list: ``sample`` or ``gsm``, ``label`` and, if there, ``kind`` and
        ``system``. Otherwise it is a sheet with one row per sample.
    label_columns
        Columns of a sheet that name labels; a column's name is the kind of its
        labels. None takes those of tissue, cell_type, cell_line and disease
        that exist, whatever their case.

    Returns
    -------
    DataFrame
        Entries. Cells that are empty or say NA, null, none or missing give none.

    Raises
    ------
    MissingFieldError
        If a column that is needed is absent.
    IdentifierError
        If a row has no sample id, or a sample stands twice in a sheet.
    LabelError
        If there is no entry.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "sheet.csv"
    >>> _ = path.write_text("sample,tissue\nS1,liver\nS2,NA\n")
    >>> read_label_table(path)[["sample", "label", "kind"]].values.tolist()
    [['S1', 'liver', 'tissue']]
    """
    table = read_table(path)
    asks_sheet = label_columns is not None and any(name in table for name in label_columns)
    is_list = is_long_table(table) and not asks_sheet
    entries = _from_long(table, path) if is_list else _from_sheet(table, path, label_columns)
    if entries.empty:
        msg = f"{path} holds {len(table)} rows but no label; check its label columns"
        raise LabelError(msg)
    return entries
