"""Full-text search over the samples of one file, by an SQLite index beside it."""

import errno
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.addresses import RemotePath
from expressome.archs4.conditions import FieldValues
from expressome.archs4.indexing import build_index
from expressome.archs4.layouts import CANONICAL_FIELDS
from expressome.archs4.piece_cache import cache_folder
from expressome.archs4.query import FIELD_NAMES, SEARCHED_FIELDS, to_fts5
from expressome.archs4.reader import Compendium
from expressome.engine import Resources
from expressome.errors import DamagedFileError, InvalidValueError

__all__ = ["Catalogue", "Ranking", "find_catalogue", "open_catalogue"]

_SUFFIX = ".catalogue.sqlite"
# Raised when the form of the index changes: indexes of another version are built anew.
_FORM = 2
_N_PIECES, _PIECE_BYTES = 16, 2**16
# What the system says of a folder where one may not write.
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
# SQLite takes about 32,000 parameters in one statement; far fewer are fast enough.
_IDS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Ranking:
    """Samples that a query found.

    Attributes
    ----------
    positions
        Positions in the file, best first, shape (n,).
    scores
        BM25, higher is better, shape (n,); ties in file order.
    n_found
        Samples found, of which `positions` may be the first few.
    """

    positions: NDArray[np.int64]
    scores: NDArray[np.float64]
    n_found: int


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A search index, opened anew for each operation; cheap to make and to pickle.

    Attributes
    ----------
    path
        The SQLite file.
    n_samples
        Samples of the file it belongs to.
    """

    path: Path
    n_samples: int

    def rank(self, query: str, *, limit: int | None = None) -> Ranking:
        """Find samples by their texts, best first.

        Parameters
        ----------
        query
            As `to_fts5` takes it; empty or ``*`` finds all samples, with score 0.
        limit
            Samples to give; all by default.

        Returns
        -------
        Ranking
            By BM25 (k1 = 1.2, b = 0.75, all fields alike).

        Raises
        ------
        InvalidValueError
            If the query is none; the message says what to write.

        References
        ----------
        Robertson & Zaragoza 2009, doi:10.1561/1500000019
        """
        if query.strip() in {"", "*"}:
            positions = np.arange(self.n_samples)[:limit]
            return Ranking(positions, np.zeros(len(positions)), self.n_samples)
        match = to_fts5(query)
        statement = "SELECT rowid, rank FROM samples WHERE samples MATCH ? ORDER BY rank, rowid"
        with self._connect() as database, _explaining(query):
            if limit is None:
                rows = database.execute(statement, (match,)).fetchall()
                n_found = len(rows)
            else:
                # The best few, and the count of all, are each far cheaper than all ranks sorted.
                rows = database.execute(f"{statement} LIMIT ?", (match, limit)).fetchall()
                count = "SELECT count(*) FROM samples WHERE samples MATCH ?"
                n_found = int(database.execute(count, (match,)).fetchone()[0])
        table = np.array(rows, dtype=np.float64).reshape(-1, 2)
        return Ranking(table[:, 0].astype(np.int64) - 1, -table[:, 1], n_found)

    def match(self, query: str) -> NDArray[np.int64]:
        """Find samples by their texts, in file order; cheaper than to rank them.

        Parameters
        ----------
        query
            As for `rank`.

        Returns
        -------
        ndarray
            Positions in the file, shape (n,), ascending.

        Raises
        ------
        InvalidValueError
            If the query is none.
        """
        if query.strip() in {"", "*"}:
            return np.arange(self.n_samples)
        statement = "SELECT rowid FROM samples WHERE samples MATCH ? ORDER BY rowid"
        with self._connect() as database, _explaining(query):
            rows = database.execute(statement, (to_fts5(query),))
            return np.fromiter((row[0] - 1 for row in rows), dtype=np.int64)

    def describe(self, positions: NDArray[np.int64]) -> pd.DataFrame:
        """Give the searched texts of samples.

        Parameters
        ----------
        positions
            Positions in the file, shape (n,).

        Returns
        -------
        DataFrame
            Index ``sample``; columns series, title, source, characteristics.
        """
        rows = self._pick(positions, SEARCHED_FIELDS)
        table = pd.DataFrame(rows, columns=list(SEARCHED_FIELDS), dtype=object)
        return table.set_index("sample")

    def texts(self, name: str, positions: NDArray[np.int64]) -> NDArray[np.object_]:
        """Give one searched field of some samples.

        Parameters
        ----------
        name
            Our name or the file's.
        positions
            Positions in the file, shape (n,).

        Returns
        -------
        ndarray
            Text, shape (n,), dtype object.
        """
        rows = self._pick(positions, (FIELD_NAMES[name],))
        return np.array([row[0] for row in rows], dtype=object)

    def _pick(self, positions: NDArray[np.int64], names: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Read searched fields of some samples, in the order asked."""
        found: dict[int, tuple[str, ...]] = {}
        wanted = np.sort(positions) + 1
        with self._connect() as database:
            for start in range(0, len(wanted), _IDS_AT_ONCE):
                rowids = wanted[start : start + _IDS_AT_ONCE].tolist()
                marks = ", ".join("?" * len(rowids))
                # Only our own column names and question marks are put into the text.
                statement = (
                    f"SELECT rowid, {', '.join(names)} FROM samples WHERE rowid IN ({marks})"  # noqa: S608
                )
                found |= {row[0]: row[1:] for row in database.execute(statement, rowids)}
        return [found[i] for i in (positions + 1).tolist()]

    def field(self, name: str) -> FieldValues | None:
        """Read one sample field from the index, far faster than from the file.

        Parameters
        ----------
        name
            Our name or the file's.

        Returns
        -------
        FieldValues or None
            The field of all samples; None if the index holds none of that name.
        """
        searched = FIELD_NAMES.get(name)
        if searched is not None:
            # One of our own column names.
            texts_of = f"SELECT {searched} FROM samples ORDER BY rowid"  # noqa: S608
            with self._connect() as database:
                rows = database.execute(texts_of).fetchall()
                return FieldValues.of(np.array([row[0] for row in rows], dtype=object))
        ours = next((new for new, old in CANONICAL_FIELDS.items() if name in old), name)
        statement = "SELECT type, numbers, texts FROM fields WHERE ? IN (name, stored_name)"
        with self._connect() as database:
            row = (
                database.execute(f"{statement} ORDER BY name = ? DESC", (name, name)).fetchone()
                or database.execute(statement, (ours,)).fetchone()
            )
        if row is None:
            return None
        numbers = np.frombuffer(row[1], dtype=np.dtype(row[0]))
        if row[2] is None:
            return FieldValues(numbers, None)
        texts: list[str] = json.loads(row[2])
        return FieldValues(np.array(texts, dtype=object), numbers)

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """Open the index for reading."""
        with closing(_open_readonly(self.path)) as database:
            try:
                yield database
            except sqlite3.DatabaseError as error:
                msg = (
                    f"the search index {self.path} cannot be read ({error}); delete it, and the "
                    "next search builds it anew"
                )
                raise DamagedFileError(msg) from error


@contextmanager
def _explaining(query: str) -> Iterator[None]:
    """Say what is wrong with a query that SQLite refuses."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "fts5" not in str(error):
            raise
        msg = (
            f"the query {query!r} cannot be searched ({error}); put text that is no operator in "
            'double quotes, such as "MCF-7"'
        )
        raise InvalidValueError(msg) from None


def _open_readonly(path: Path) -> sqlite3.Connection:
    # immutable: a complete index never changes, it is replaced; so no lock is needed.
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def identify_file(compendium: Compendium) -> str:
    """Identify the content of a file without reading it whole.

    Parameters
    ----------
    compendium
        The file.

    Returns
    -------
    str
        JSON: its size, time of change and a checksum of 16 evenly spread pieces;
        for a file on a server, what the server says of it.
    """
    path = compendium.path
    if isinstance(path, RemotePath):
        return json.dumps({"form": _FORM, "url": str(path), **path.identity})
    stat = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for i in range(_N_PIECES):
            file.seek(max(0, i * (stat.st_size - _PIECE_BYTES)) // (_N_PIECES - 1))
            digest.update(file.read(_PIECE_BYTES))
    return json.dumps(
        {
            "form": _FORM,
            "bytes": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "sha256_of_pieces": digest.hexdigest(),
        }
    )


def _list_places(compendium: Compendium) -> list[Path]:
    """Name where the index may be: beside the file, else in the user's cache."""
    path = compendium.path
    whole = str(path) if isinstance(path, RemotePath) else str(path.resolve())
    key = hashlib.sha256(whole.encode()).hexdigest()[:16]
    cached = cache_folder() / "catalogues" / f"{path.name}-{key}{_SUFFIX}"
    if isinstance(path, RemotePath):
        return [cached]
    return [path.with_name(path.name + _SUFFIX), cached]


def _read_identity(place: Path) -> str:
    """Read which file an index belongs to; empty if it is no index."""
    if not place.is_file():
        return ""
    try:
        with closing(_open_readonly(place)) as database:
            row: Any = database.execute("SELECT identity FROM origin").fetchone()
    except sqlite3.DatabaseError:
        return ""
    return str(row[0]) if row else ""


def find_catalogue(compendium: Compendium) -> Catalogue | None:
    """Find the index of a file, if one was built and the file has not changed since.

    Parameters
    ----------
    compendium
        The file.

    Returns
    -------
    Catalogue or None
        Ready to search.
    """
    places = [place for place in _list_places(compendium) if place.is_file()]
    if not places:
        return None
    identity = identify_file(compendium)
    for place in places:
        if _read_identity(place) == identity:
            return Catalogue(place, compendium.n_samples)
    return None


def open_catalogue(compendium: Compendium, *, resources: Resources | None = None) -> Catalogue:
    """Open the index of a file, and build it first where that is needed.

    Parameters
    ----------
    compendium
        The file.
    resources
        Whose progress is called.

    Returns
    -------
    Catalogue
        Beside the file as ``NAME.catalogue.sqlite``, or in the user's cache folder
        (``EXPRESSOME_CACHE``) where that is not writable or the file is on a server.

    Raises
    ------
    OSError
        If neither place can be written.

    Notes
    -----
    Built once, under another name, and moved to its place when complete: a killed
    build leaves nothing that could be taken for an index.

    Examples
    --------
    >>> import tempfile
    >>> from expressome.archs4.reader import open_archs4
    >>> from expressome.archs4.writing import write_archs4
    >>> place = tempfile.mkdtemp() + "/two.h5"
    >>> samples = pd.DataFrame({"title": ["adult liver", "brain"]}, index=["GSM1", "GSM2"])
    >>> genes = pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"])
    >>> write_archs4(place, samples=samples, genes=genes, blocks=[np.array([[3], [5]])])
    >>> open_catalogue(open_archs4(place)).match("liv*").tolist()
    [0]
    """
    found = find_catalogue(compendium)
    if found is not None:
        return found
    identity = identify_file(compendium)
    progress = (resources or Resources()).progress
    refusals = []
    for place in _list_places(compendium):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            build_index(compendium, place, identity=identity, progress=progress)
        except OSError as error:
            if error.errno not in _UNWRITABLE:
                raise
            refusals.append(f"{place.parent} ({error.strerror})")
        else:
            return Catalogue(place, compendium.n_samples)
    msg = (
        f"the search index of {compendium.path.name} can be written neither beside it nor in the "
        f"cache folder: {', '.join(refusals)}; set EXPRESSOME_CACHE to a folder you may write"
    )
    raise PermissionError(msg)
