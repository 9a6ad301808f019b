"""Build the search index of a file: texts for FTS5, all other fields as columns."""

import json
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.archs4.conditions import FieldValues
from expressome.archs4.fields import read_field
from expressome.archs4.layouts import CANONICAL_FIELDS
from expressome.archs4.metadata import decode_text
from expressome.archs4.query import SEARCHED_FIELDS
from expressome.archs4.reader import Compendium
from expressome.archs4.storage import open_file
from expressome.archs4.structure import sample_datasets
from expressome.engine import Progress

__all__ = ["build_index"]

# Rows whose texts are in memory at once: 60 MB of long characteristics.
_ROWS_AT_ONCE = 2**15
# Texts longer than this on average are protocols: they stay in the file.
_LONGEST_MEAN = 300

# The partial index is worth nothing until it is complete, so nothing in it is
# protected against a crash; larger merges at the end are faster than many small ones.
_PRAGMAS = (
    "journal_mode = OFF",
    "synchronous = OFF",
    "locking_mode = EXCLUSIVE",
    "page_size = 8192",
    "cache_size = -65536",
)
# Letters and digits of any script, without case and accents.
_TOKENS = "tokenize = 'unicode61 remove_diacritics 2'"
_SCHEMA = (
    "CREATE TABLE origin (identity TEXT NOT NULL)",
    "CREATE TABLE fields (name PRIMARY KEY, stored_name, type, numbers BLOB, texts TEXT)",
    f"CREATE VIRTUAL TABLE samples USING fts5({', '.join(SEARCHED_FIELDS)}, {_TOKENS})",
    "INSERT INTO samples(samples, rank) VALUES ('hashsize', 33554432)",
    "INSERT INTO samples(samples, rank) VALUES ('automerge', 0)",
)
_INSERT = (
    f"INSERT INTO samples(rowid, {', '.join(SEARCHED_FIELDS)}) "  # noqa: S608 - our own names
    f"VALUES (?{', ?' * len(SEARCHED_FIELDS)})"
)


def build_index(compendium: Compendium, place: Path, *, identity: str, progress: Progress) -> None:
    """Build an index and move it to its place when it is complete.

    Parameters
    ----------
    compendium
        The file.
    place
        Where the index goes; what is there is replaced.
    identity
        Which content of which file it belongs to.
    progress
        Called as ``progress("search index", n_done, n_total)``.

    Raises
    ------
    OSError
        If the place cannot be written or the disk is full.

    Notes
    -----
    Memory: 32,768 samples' texts, or one other field of all samples.
    """
    with _partial_index(place) as partial, closing(_create(partial)) as database:
        try:
            _fill(database, compendium, progress)
            database.execute("INSERT INTO origin VALUES (?)", (identity,))
            database.execute("COMMIT")
            database.execute("INSERT INTO samples(samples) VALUES ('optimize')")
        except sqlite3.OperationalError as error:
            msg = f"the search index {place} cannot be written: {error}"
            raise OSError(msg) from error


def _create(partial: Path) -> sqlite3.Connection:
    """Start an empty index in one transaction."""
    # Raises what Python says of a folder that may not be written.
    partial.open("xb").close()
    database = sqlite3.connect(partial, isolation_level=None)
    for pragma in _PRAGMAS:
        database.execute(f"PRAGMA {pragma}")
    for statement in _SCHEMA:
        database.execute(statement)
    database.execute("BEGIN")
    return database


@contextmanager
def _partial_index(place: Path) -> Iterator[Path]:
    """Yield a name of this process's own; remove what killed processes left."""
    host = socket.gethostname().replace("/", "_")
    stem = f".{place.name}.{host}-"
    for leftover in place.parent.iterdir():
        if not (leftover.name.startswith(stem) and leftover.name.endswith(".partial")):
            continue
        number = leftover.name.removeprefix(stem).removesuffix(".partial").split("-")[0]
        if not number.isdecimal() or not _is_running(int(number)):
            leftover.unlink(missing_ok=True)
    unique = os.urandom(4).hex()
    partial = place.with_name(f"{stem}{os.getpid()}-{unique}.partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """Tell whether a process of this machine lives; where that cannot be told, yes."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _fill(database: sqlite3.Connection, compendium: Compendium, progress: Progress) -> None:
    """Write all texts, then all other fields."""
    layout = compendium.layout_row
    with open_file(compendium.path) as file:
        stored = sample_datasets(file, layout)
        sources = [_find_source(stored, name) for name in SEARCHED_FIELDS[1:]]
        if sources[-1] is None:
            sources[-1] = _find_others(stored)
        ids = compendium.sample_ids
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            span = slice(start, min(start + _ROWS_AT_ONCE, len(ids)))
            texts = [_read_texts(source, span) for source in sources]
            rowids = range(span.start + 1, span.stop + 1)
            database.executemany(_INSERT, zip(rowids, ids[span], *texts, strict=True))
            progress("search index", span.stop, len(ids))
        searched = {old for name in SEARCHED_FIELDS[1:] for old in CANONICAL_FIELDS[name]}
        for name, dataset in stored.items():
            if name not in searched and not _is_long(dataset):
                values = read_field(file, layout, name)
                if values is not None:
                    names = (_name_field(stored, name), name)
                    _write_field(database, names, values)


def _find_source(stored: dict[str, Any], name: str) -> Any:  # noqa: ANN401
    """Find the dataset of a canonical field; None if the file has none."""
    return next((stored[old] for old in CANONICAL_FIELDS[name] if old in stored), None)


def _find_others(stored: dict[str, Any]) -> dict[str, Any]:
    """Find what tells of samples in a file without characteristics: its other short texts."""
    known = {old for names in CANONICAL_FIELDS.values() for old in names}
    return {
        name: dataset
        for name, dataset in stored.items()
        if name not in known and dataset.dtype.kind not in "iufb" and not _is_long(dataset)
    }


def _read_texts(source: Any, span: slice) -> list[str]:  # noqa: ANN401
    """Read a slice of a field, or of several as GEO joins them; empty where there is none."""
    if source is None:
        return [""] * (span.stop - span.start)
    if isinstance(source, dict):
        columns = [_read_texts(dataset, span) for dataset in source.values()]
        pairs = (zip(source, texts, strict=True) for texts in zip(*columns, strict=True))
        joined = [",".join(f"{name}: {text}" for name, text in row if text) for row in pairs]
        return joined if columns else _read_texts(None, span)
    dataset = source
    texts: list[str] = decode_text(np.asarray(dataset[span])).tolist()
    return texts


def _is_long(dataset: Any) -> bool:  # noqa: ANN401
    """Tell protocols and other essays from what one would filter by."""
    if dataset.dtype.kind in "iufb" or dataset.ndim != 1:
        return False
    texts = _read_texts(dataset, slice(0, min(4096, dataset.shape[0])))
    return sum(map(len, texts)) > _LONGEST_MEAN * max(1, len(texts))


def _name_field(stored: dict[str, Any], name: str) -> str:
    """Give our name of a field, where it is the one that carries it."""
    for ours in CANONICAL_FIELDS:
        if _find_source(stored, ours) is stored[name]:
            return ours
    return name


def _write_field(
    database: sqlite3.Connection, names: tuple[str, str], values: NDArray[Any]
) -> None:
    """Store a field as numbers, and its distinct texts where it is text."""
    field = FieldValues.of(values)
    numbers, texts = field.distinct, None
    if field.codes is not None:
        numbers = field.codes.astype(np.min_scalar_type(max(1, len(field.distinct))))
        texts = json.dumps([str(text) for text in field.distinct], ensure_ascii=False)
    row = (*names, numbers.dtype.str, numbers.tobytes(), texts)
    database.execute("INSERT OR IGNORE INTO fields VALUES (?, ?, ?, ?, ?)", row)
