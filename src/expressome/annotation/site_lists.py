"""ARCHS4's own lists: R scripts and expression matrices per label."""

import csv
import gzip
import re
import warnings
import zlib
from pathlib import Path

import pandas as pd

from expressome.annotation.entries import canonical_kind, make_entries, normalise_blanks
from expressome.errors import (
    DamagedFileError,
    FileFormatError,
    LabelError,
    LeftOutWarning,
    first_few,
)

__all__ = [
    "has_matrix_header",
    "is_matrix",
    "is_script",
    "read_folder",
    "read_matrix",
    "read_script",
]

# Folders that say what kind of label their scripts and matrices hold.
_KIND_FOLDERS = frozenset({"celllines", "cellline", "tissuetypes", "tissues"})
_ASSIGNMENT = re.compile(r"^[ \t]*samp[ \t]*(?:=|<-)[ \t]*c\(([^)]*)\)", re.MULTILINE)
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_OUTPUT = re.compile(r"[\"']([^\"'/\\]+?)_expression_matrix\.tsv[\"']")
_MATRIX = re.compile(r"(?P<name>.+?)(_expression_matrix)?\.(tsv|txt|csv)(\.gz)?", re.IGNORECASE)
_GSM = re.compile(r"GSM\d+")


def is_script(path: Path) -> bool:
    """Tell whether a file is an R script.

    Parameters
    ----------
    path
        File.

    Returns
    -------
    bool
        True for ``.R`` and ``.r``.

    Examples
    --------
    >>> is_script(Path("A431.R"))
    True
    """
    return path.suffix.casefold() == ".r"


def is_matrix(path: Path) -> bool:
    """Tell whether a file's name is that of an expression matrix of the site.

    Parameters
    ----------
    path
        File.

    Returns
    -------
    bool
        True for ``<NAME>_expression_matrix.tsv`` and the like, gzipped or not.

    Examples
    --------
    >>> is_matrix(Path("Liver_expression_matrix.tsv.gz")), is_matrix(Path("sheet.tsv"))
    (True, False)
    """
    match = _MATRIX.fullmatch(path.name)
    return match is not None and match[2] is not None


def has_matrix_header(path: Path) -> bool:
    r"""Tell whether the first line of a file names GSM samples only.

    Parameters
    ----------
    path
        Text, gzipped or not.

    Returns
    -------
    bool
        True if every field but the first is a GSM id.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "GSE1.tsv"
    >>> _ = path.write_text("gene\tGSM1\tGSM2\n")
    >>> has_matrix_header(path)
    True
    """
    fields = _header_fields(path)
    return len(fields) > 1 and all(_GSM.fullmatch(field) for field in fields[1:])


def _is_kind_folder(name: str) -> bool:
    return re.sub(r"[\s_\-]+", "", name).casefold() in _KIND_FOLDERS


def _kind_of(path: Path) -> str:
    """Give the kind that the nearest telling folder names, or nothing."""
    for folder in path.absolute().parents:
        if _is_kind_folder(folder.name):
            return canonical_kind(folder.name)
    return ""


def read_script(path: Path) -> pd.DataFrame:
    """Read the samples that one of the site's R scripts lists, without running it.

    Parameters
    ----------
    path
        R script that holds ``samp = c("GSM1", ...)``.

    Returns
    -------
    DataFrame
        Entries; the label is the NAME of its ``<NAME>_expression_matrix.tsv``,
        else the file's name; the kind that of the folder ``cell_lines`` or
        ``tissue_types`` around it, else empty. A repeated id stays repeated.

    Raises
    ------
    FileFormatError
        If the script assigns no ``samp``.
    LabelError
        If it lists no sample.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "Liver.R"
    >>> _ = path.write_text('samp = c("GSM1","GSM2","")')
    >>> read_script(path)["sample"].tolist()
    ['GSM1', 'GSM2']
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    lists = _ASSIGNMENT.findall(text)
    if not lists:
        msg = (
            f"{path} assigns no samp = c(...); pass ARCHS4's download scripts, "
            "or a table of samples and labels"
        )
        raise FileFormatError(msg)
    samples: list[str] = []
    for listed in lists:
        found = [double or single for double, single in _QUOTED.findall(listed)]
        # `samp = c(samp, "GSM3")` appends; any other assignment starts anew, as in R.
        samples = samples + found if listed.lstrip().startswith("samp") else found
    output = _OUTPUT.search(text)
    label = normalise_blanks(output[1] if output else path.stem)
    entries = make_entries(samples, label=label, kind=_kind_of(path), source=path)
    if entries.empty:
        msg = f"{path} lists no sample for {label}; fetch the script again or leave it out"
        raise LabelError(msg)
    return entries


def _header_fields(path: Path) -> list[str]:
    """Read the first line only; a matrix may hold gigabytes."""
    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if is_gzip else path.open("rb") as stream:
            line = stream.readline()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"{path} is a damaged gzip file ({error}); fetch it again"
        raise DamagedFileError(msg) from error
    text = line.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    delimiter = "\t" if "\t" in text else ","
    return [field.strip() for field in next(csv.reader([text], delimiter=delimiter), [])]


def read_matrix(path: Path, *, label: str | None = None) -> pd.DataFrame:
    r"""Read the samples of an expression matrix from its header line.

    Parameters
    ----------
    path
        Genes x samples, with an empty corner cell, a named one, or none (then
        every field is a sample). Gzipped or not; nothing after the first line
        is read.
    label
        Name of the label. None takes the file's name without
        ``_expression_matrix.tsv``.

    Returns
    -------
    DataFrame
        Entries; the kind that of the folder ``cell_lines`` or ``tissue_types``
        around it, else empty.

    Raises
    ------
    LabelError
        If the header names no sample.

    Notes
    -----
    The header alone cannot tell a named corner cell from a sample: the first
    field is taken for a corner if it is empty, or if it is no GSM id while all
    others are.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "Liver_expression_matrix.tsv"
    >>> _ = path.write_text("GSM1\tGSM2\nTP53\t3\t4\n")
    >>> read_matrix(path)["sample"].tolist()
    ['GSM1', 'GSM2']
    """
    fields = _header_fields(path)
    if {"label"} < {field.casefold() for field in fields}:
        msg = f"{path} is a table of labels, not a matrix; pass the file by itself"
        raise FileFormatError(msg)
    others_are_gsm = len(fields) > 1 and all(_GSM.fullmatch(field) for field in fields[1:])
    if fields and (not fields[0] or (others_are_gsm and not _GSM.fullmatch(fields[0]))):
        fields = fields[1:]
    match = _MATRIX.fullmatch(path.name)
    name = normalise_blanks(label or (match["name"] if match else path.stem))
    entries = make_entries(fields, label=name, kind=_kind_of(path), source=path)
    if entries.empty:
        msg = f"the header of {path} names no sample for {name}; fetch it again or leave it out"
        raise LabelError(msg)
    return entries


def _list_files(folder: Path) -> list[Path]:
    """Give the files of a folder in a fixed order, hidden ones apart."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _report_other_files(others: list[Path], folder: Path) -> None:
    if others:
        msg = (
            f"{len(others)} files in {folder} are neither R scripts nor .tsv matrices and were "
            f"left out ({first_few(path.name for path in others)})"
        )
        warnings.warn(msg, LeftOutWarning, stacklevel=3)


def read_folder(folder: Path) -> pd.DataFrame:
    r"""Read every script and every matrix of a folder.

    Parameters
    ----------
    folder
        Holds R scripts, or matrices as ``<label>/*.tsv``, at any depth. A
        matrix takes the name of the folder it lies in as its label; directly in
        ``cell_lines`` or ``tissue_types`` it takes its own.

    Returns
    -------
    DataFrame
        Entries of all files.

    Raises
    ------
    LabelError
        If there is neither, or one lists no sample.
    FileFormatError
        If a matrix is a table of labels; those are passed by themselves.

    Warns
    -----
    LeftOutWarning
        If other files lie there.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "liver").mkdir()
    >>> _ = (folder / "liver" / "a.tsv").write_text("GSM1\tGSM2\n")
    >>> read_folder(folder)["label"].tolist()
    ['liver', 'liver']
    """
    pieces: list[pd.DataFrame] = []
    others: list[Path] = []
    for path in _list_files(folder):
        if is_script(path):
            pieces.append(read_script(path))
        elif is_matrix(path) or re.search(r"\.tsv(\.gz)?$", path.name, re.IGNORECASE):
            holder = path.absolute().parent.name
            pieces.append(read_matrix(path, label=None if _is_kind_folder(holder) else holder))
        else:
            others.append(path)
    if not pieces:
        msg = f"the folder {folder} holds no R script and no .tsv matrix; check the path"
        raise LabelError(msg)
    _report_other_files(others, folder)
    return pd.concat(pieces, ignore_index=True)
