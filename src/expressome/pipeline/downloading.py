"""Download a published ARCHS4 file: found, resumed, checked, recorded."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expressome.addresses import RemotePath, is_url
from expressome.archs4.reader import open_archs4
from expressome.archs4.releases import INDEX_URL, Release, find_release
from expressome.archs4.transfer import (
    Transfer,
    download_file,
    hash_twice,
    require_space,
    set_aside,
)
from expressome.engine import Resources
from expressome.errors import FileFormatError, InputNotFoundError
from expressome.manifest import create_manifest
from expressome.outputs import check_output, replace_path
from expressome.results import Summary, to_json

__all__ = ["download"]


def download(
    what: str,
    *,
    level: str = "gene",
    version: str = "2.6",
    out: str | os.PathLike[str] = ".",
    index_url: str = INDEX_URL,
    mirror: tuple[str, ...] = (),
    sha256: str = "",
    dry_run: bool = False,
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Download an ARCHS4 file; a killed run goes on where it stopped.

    Parameters
    ----------
    what
        ``"human"``, ``"mouse"``, or the address of a file.
    level
        ``"gene"``, ``"transcript"`` or ``"tpm"``.
    version
        Release, such as ``"2.6"``.
    out
        Folder for the file.
    index_url
        Address of the list of files, which knows sizes and SHA1; empty to ask nobody.
    mirror
        Addresses of folders to take the file from, in order, instead of ARCHS4's own.
    sha256
        Checksum the file must have, where you know it.
    dry_run
        Say what would be done; download nothing.
    overwrite
        Whether an existing file may be replaced, once the new one is complete.
    resources
        Where progress goes.

    Returns
    -------
    Summary
        Path, address, bytes, checksums and whether they were compared with published
        ones. ``NAME.manifest.json`` beside the file holds the same.

    Raises
    ------
    RemoteError
        If no server gives the file. What has arrived stays as ``NAME.partial``.
    DamagedFileError
        If a checksum is wrong: the file is kept as ``NAME.corrupt``.
    DiskSpaceError
        If the disk has no room.
    OutputExistsError
        If the file exists and `overwrite` is False.
    InvalidValueError
        If there is no such species, level or version.

    Examples
    --------
    >>> plan = download("human", index_url="", dry_run=True)
    >>> plan.figures["urls"][0].rpartition("/")[2]
    'human_gene_v2.6.h5'
    """
    resources = resources or Resources()
    if is_url(what):
        address = RemotePath(what, size_bytes=0)
        release = Release(address.name, (str(address),), source="url")
    else:
        release = find_release(
            what, level=level, version=version, index_url=index_url, mirrors=mirror
        )
    folder = Path(out)
    if not folder.is_dir():
        msg = f"{folder} is not a folder; create it first"
        raise InputNotFoundError(msg)
    place = folder / release.name
    partial = place.with_name(f"{place.name}.partial")
    n_there = partial.stat().st_size if partial.exists() else 0
    if dry_run:
        return Summary("download", _say_plan(release, place, n_there))
    check_output(place, overwrite=overwrite)
    if release.size_bytes is not None:
        require_space(folder.absolute(), max(0, release.size_bytes - n_there))
    transfer = download_file(
        release.urls,
        partial,
        size_bytes=release.size_bytes,
        is_checked=bool(release.sha1 or sha256),
        progress=lambda done, total: resources.progress("download, bytes", done, total),
    )
    expected = {"sha1": release.sha1, "sha256": sha256.strip().lower()}
    found = _check(partial, place, expected, resources)
    return _finish(_Arrival(release, transfer, place, partial), expected, found, index_url)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A file that has arrived and been checked."""

    release: Release
    transfer: Transfer
    place: Path
    partial: Path


def _say_plan(release: Release, place: Path, n_there: int) -> dict[str, Any]:
    return {
        "dry_run": True,
        "path": place,
        "exists": place.exists(),
        "urls": release.urls,
        "size_bytes": release.size_bytes,
        "sha1": release.sha1 or None,
        "n_samples": release.n_samples,
        "known_from": release.source,
        "n_resumed": n_there,
        "free_bytes": shutil.disk_usage(place.absolute().parent).free,
    }


def _check(
    partial: Path, place: Path, expected: dict[str, str], resources: Resources
) -> dict[str, str]:
    """Compare checksums; without a published one the file must at least be HDF5."""
    sha1, sha256 = hash_twice(
        partial, progress=lambda done, total: resources.progress("checksum, bytes", done, total)
    )
    found = {"sha1": sha1, "sha256": sha256}
    for name, digest in expected.items():
        if digest and digest != found[name]:
            reason = f"has {name.upper()} {found[name]}, but {digest} is expected"
            raise set_aside(partial, place, reason)
    if not any(expected.values()):
        try:
            open_archs4(partial)
        except FileFormatError as error:
            raise set_aside(partial, place, f"is no ARCHS4 file ({error})") from error
    return found


def _finish(
    arrival: _Arrival, expected: dict[str, str], found: dict[str, str], index_url: str
) -> Summary:
    """Move the file to its place, with a record of where it came from."""
    release, transfer, place = arrival.release, arrival.transfer, arrival.place
    compared = [name for name, digest in expected.items() if digest]
    origin = {
        "url": transfer.url,
        "etag": transfer.etag,
        "bytes": transfer.size_bytes,
        **found,
        "compared": compared,
        "known_from": release.source,
        "index_url": index_url,
    }
    manifest = create_manifest("download", parameters=origin)
    place.with_name(f"{place.name}.manifest.json").write_text(to_json(manifest), encoding="utf-8")
    replace_path(arrival.partial, place)
    arrival.partial.with_name(f"{arrival.partial.name}.json").unlink(missing_ok=True)
    figures = {"path": place, "n_resumed": transfer.n_resumed, **origin}
    return Summary("download", figures, manifest)
