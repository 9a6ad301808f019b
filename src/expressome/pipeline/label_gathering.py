"""Labels as people have them: what `annotate` wrote, or any list, folder or sheet it takes."""

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from expressome.annotation.agreement import Agreement, agree, to_label_matrix
from expressome.annotation.entries import canonical_kind
from expressome.annotation.multihot import read_labels
from expressome.annotation.sheets import read_label_table
from expressome.annotation.site_lists import (
    has_matrix_header,
    is_matrix,
    is_script,
    read_folder,
    read_matrix,
    read_script,
)
from expressome.errors import LabelError
from expressome.outputs import check_input
from expressome.reference.vocabulary import fold_name, load_vocabulary
from expressome.results import LabelMatrix

__all__ = ["gather_lists", "open_labels"]

_PARQUET_MARK = b"PAR1"


def _read_source(path: Path, label_columns: Sequence[str] | None) -> pd.DataFrame:
    """Read the entries of one source, whatever it is."""
    if path.is_dir():
        return read_folder(path)
    if is_script(path):
        return read_script(path)
    if is_matrix(path):
        return read_matrix(path)
    if has_matrix_header(path):
        return read_matrix(path, label=path.absolute().parent.name)
    return read_label_table(path, label_columns=label_columns)


def gather_lists(
    paths: Sequence[Path], *, kind: str | None = None, label_columns: Sequence[str] | None = None
) -> Agreement:
    """Read label lists of any form and bring them to one set of labels.

    Parameters
    ----------
    paths
        Scripts, folders, tables or sheets, as `annotate` takes them.
    kind
        Kind of labels whose source names none; None asks the shipped vocabulary.
    label_columns
        Columns of a sheet that name labels; None takes those usual.

    Returns
    -------
    Agreement
        All entries, with one key per label.

    Raises
    ------
    FileFormatError, DamagedFileError, MissingFieldError, IdentifierError, LabelError
        If a source cannot be read, or does not say what `annotate` needs.
    """
    return agree(
        [_read_source(path, label_columns) for path in paths],
        load_vocabulary(),
        fold=fold_name,
        kind=None if kind is None else canonical_kind(kind),
    )


def open_labels(path: str | os.PathLike[str]) -> LabelMatrix:
    r"""Read labels that `annotate` wrote, or that it would read.

    Parameters
    ----------
    path
        Parquet file from `annotate`; or an ARCHS4 script, a folder of them, a table
        or a sheet.

    Returns
    -------
    LabelMatrix
        Every sample that is listed, whether a file has it or not.

    Raises
    ------
    InputNotFoundError
        If it is not there.
    FileFormatError, DamagedFileError, MissingFieldError, IdentifierError, LabelError
        If it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> sheet = Path(tempfile.mkdtemp()) / "sheet.csv"
    >>> _ = sheet.write_text("sample,tissue\nGSM1,liver\nGSM4,brain\n")
    >>> open_labels(sheet).keys
    ['liver', 'brain']
    """
    place = check_input(path)
    if place.suffix == ".parquet" or _starts_as_parquet(place):
        return read_labels(place)
    try:
        agreement = gather_lists([place])
    except LabelError as error:
        error.add_note(f"while reading labels from {place}; annotate takes more options for it")
        raise
    return to_label_matrix(agreement, pd.Index(agreement.entries["sample"].unique()))


def _starts_as_parquet(place: Path) -> bool:
    """Tell a Parquet file of any name."""
    if place.is_dir():
        return False
    with place.open("rb") as file:
        return file.read(len(_PARQUET_MARK)) == _PARQUET_MARK
