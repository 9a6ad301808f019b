"""Published ARCHS4 files: where they are, how large, which checksum."""

import csv
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urljoin

from expressome.addresses import RemotePath, is_url
from expressome.archs4.connections import PassingFailure, Tries, open_url, read_part
from expressome.errors import (
    ExpressomeError,
    FileFormatError,
    InvalidValueError,
    RemoteError,
    first_few,
)

__all__ = ["INDEX_URL", "LEVELS", "SPECIES", "Release", "find_release", "read_index"]

_LOG = logging.getLogger(__name__)

# The list behind the download page of the site.
INDEX_URL = "https://archs4.org/api/versionfile"
SPECIES = ("human", "mouse")
LEVELS = ("gene", "transcript", "tpm")
# The list holds some hundred files of 300 bytes each; more is something else.
_MAX_INDEX_BYTES = 2**24


@dataclass(frozen=True, slots=True)
class Release:
    """One published file.

    Attributes
    ----------
    name
        Its file name.
    urls
        Addresses to try, in order.
    size_bytes
        Its size; None if it is not known.
    sha1
        Its SHA1, 40 hexadecimal digits; empty if it is not known.
    n_samples
        Samples it holds; None if it is not known.
    source
        Who says so: ``"index"`` (the site's list), ``"shipped"`` (ours) or ``"url"``.
    """

    name: str
    urls: tuple[str, ...]
    size_bytes: int | None = None
    sha1: str = ""
    n_samples: int | None = None
    source: str = "shipped"


@cache
def _shipped() -> tuple[dict[str, str], ...]:
    """Read the table that comes with the package."""
    text = (files("expressome.archs4") / "data" / "releases.tsv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(csv.DictReader(lines, delimiter="\t"))


def read_index(url: str = INDEX_URL) -> list[dict[str, Any]]:
    """Read the site's list of files.

    Parameters
    ----------
    url
        Address of the list.

    Returns
    -------
    list of dict
        One per file: ``species``, ``data_level``, ``version_major``,
        ``version_minor``, ``samples``, ``file_size``, ``checksum``, ``timestamp``.

    Raises
    ------
    RemoteError
        If the server cannot be reached.
    FileFormatError
        If what it gives is no such list.
    """
    tries = Tries(url, "the list of files")
    while True:
        try:
            text = _read_whole(url)
            break
        except PassingFailure as failure:
            tries.fail(failure)
    try:
        entries = json.loads(text)["versionfiles"]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{url} is no list of ARCHS4 files ({len(text):,} bytes; {error}); check the address"
        raise FileFormatError(msg) from error
    return [entry for entry in entries if isinstance(entry, dict)]


def _read_whole(url: str) -> bytes:
    text = bytearray()
    with open_url(url) as response:
        while part := read_part(response):
            text += part
            if len(text) > _MAX_INDEX_BYTES:
                msg = f"{url} holds more than {_MAX_INDEX_BYTES:,} bytes; it is no list of files"
                raise RemoteError(msg)
    return bytes(text)


def _version(entry: dict[str, Any]) -> str:
    return f"{entry.get('version_major', '')}.{entry.get('version_minor', '')}"


def _find_listed(
    entries: Sequence[dict[str, Any]], key: tuple[str, str], version: str
) -> dict[str, Any] | None:
    """Find a file in the site's list; of several the youngest, as the site shows it."""
    alike = [entry for entry in entries if (entry.get("species"), entry.get("data_level")) == key]
    found = [entry for entry in alike if _version(entry) == version]
    if alike and not found:
        known = first_few(sorted({_version(entry) for entry in alike}, reverse=True), 20)
        msg = (
            f"the site lists no version {version} of {' '.join(key)} files; it has {known}; "
            "choose one of them"
        )
        raise InvalidValueError(msg)
    return max(found, key=lambda entry: str(entry.get("timestamp", "")), default=None)


def _to_number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdigit() and int(text) else None


def find_release(
    species: str,
    *,
    level: str = "gene",
    version: str = "2.6",
    index_url: str = INDEX_URL,
    mirrors: Sequence[str] = (),
) -> Release:
    """Say where a published file is, and what it must be like.

    The site's list is asked first, for size and SHA1; without it the shipped
    table tells the addresses alone.

    Parameters
    ----------
    species
        ``"human"`` or ``"mouse"``.
    level
        ``"gene"``, ``"transcript"`` or ``"tpm"``.
    version
        Such as ``"2.6"`` or ``"2.latest"``.
    index_url
        Address of the list of files; empty to ask nobody.
    mirrors
        Addresses of folders to take the file from, in order, instead of ARCHS4's own.

    Returns
    -------
    Release
        The file.

    Raises
    ------
    InvalidValueError
        If there is no such species, level or version.

    Examples
    --------
    >>> find_release("human", index_url="").name
    'human_gene_v2.6.h5'
    """
    for value, known, what in ((species, SPECIES, "species"), (level, LEVELS, "level")):
        if value not in known:
            msg = f"there are no ARCHS4 files of {what} {value!r}; choose one of {', '.join(known)}"
            raise InvalidValueError(msg)
    rows = [row for row in _shipped() if (row["species"], row["level"]) == (species, level)]
    row = next((row for row in rows if row["version"] == version), None) or _guess(rows[0], version)
    name = row["url"].rpartition("/")[2]
    urls = tuple(url for url in (row["url"], row["mirror"]) if url)
    if mirrors:
        urls = tuple(urljoin(_as_folder(mirror), name) for mirror in mirrors)
    listed = _ask_index(index_url, species, level, version)
    if listed is None:
        return Release(name, urls)
    checksum = str(listed.get("checksum") or "").strip().lower()
    return Release(
        name=name,
        urls=urls,
        size_bytes=_to_number(listed.get("file_size")),
        sha1=checksum if len(checksum) == 40 else "",
        n_samples=_to_number(listed.get("samples")),
        source="index",
    )


def _guess(row: dict[str, str], version: str) -> dict[str, str]:
    """Name a release that is younger than the shipped table as its neighbours are named."""
    old = f"_v{row['version']}.h5"
    return {
        **row,
        "url": row["url"].replace(old, f"_v{version}.h5"),
        "mirror": row["mirror"].replace(old, f"_v{version}.h5"),
    }


def _as_folder(mirror: str) -> str:
    if not is_url(mirror):
        msg = f"the mirror {mirror!r} is no address; write https://HOST/FOLDER/"
        raise InvalidValueError(msg)
    return mirror.rstrip("/") + "/"


def _ask_index(url: str, species: str, level: str, version: str) -> dict[str, Any] | None:  # noqa: PLR0917
    """Look a file up in the site's list; without an answer, go on without it."""
    if not url:
        return None
    try:
        entries = read_index(str(RemotePath(url, size_bytes=0)))
    except (RemoteError, FileFormatError, FileNotFoundError) as error:
        if not isinstance(error, ExpressomeError):
            raise
        _LOG.warning("%s; going on without checksum", error)
        return None
    return _find_listed(entries, (species, level), version)
