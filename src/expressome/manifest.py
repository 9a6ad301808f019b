"""Say where an output comes from: inputs, parameters, seed, versions."""

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from expressome.addresses import RemotePath, is_url
from expressome.metering import current_meter
from expressome.version import __version__

__all__ = ["ARCHS4_CITATION", "create_manifest", "fingerprint_file", "hash_file"]

ARCHS4_CITATION = (
    "Lachmann A, Torre D, Keenan AB, et al. Massive mining of publicly available RNA-seq data "
    "from human and mouse [ARCHS4]. Nature Communications 9, 1366 (2018). "
    "doi:10.1038/s41467-018-03751-6"
)

# Libraries whose version can change a result.
_LIBRARIES = (
    "numpy",
    "scipy",
    "pandas",
    "h5py",
    "zarr",
    "anndata",
    "numba",
    "scikit-learn",
    "torch",
)

# Above this size a full checksum costs minutes: evenly spread pieces are hashed instead.
_FULL_HASH_BYTES = 2 * 2**30
_PIECE_BYTES = 2**20
_N_PIECES = 256


def hash_file(path: str | os.PathLike[str]) -> str:
    """Compute the SHA-256 of a whole file.

    Parameters
    ----------
    path
        File to read.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> hash_file("/dev/null")[:8]
    'e3b0c442'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Identify a file by name, size and checksum.

    Files above 2 GiB are identified by 256 evenly spread pieces of 1 MiB, and
    the key says so (``sha256_of_pieces``).

    Parameters
    ----------
    path
        File, folder (of which only the path is recorded), or address (of which
        the server's size and marks are recorded).

    Returns
    -------
    dict
        ``path``, ``bytes`` and ``sha256`` or ``sha256_of_pieces``.

    Examples
    --------
    >>> fingerprint_file("/dev/null")["bytes"]
    0
    """
    if isinstance(path, str) and is_url(path):
        return {"path": str(path)} | (path.identity if isinstance(path, RemotePath) else {})
    path = Path(path)
    if not path.is_file() and not path.exists():
        return {"path": str(path)}
    if path.is_dir():
        return {"path": str(path)}
    size_bytes = path.stat().st_size
    entry: dict[str, Any] = {"path": str(path), "bytes": size_bytes}
    if size_bytes <= _FULL_HASH_BYTES:
        return entry | {"sha256": hash_file(path)}
    digest = hashlib.sha256(str(size_bytes).encode())
    with path.open("rb") as file:
        for i in range(_N_PIECES):
            file.seek(i * (size_bytes - _PIECE_BYTES) // (_N_PIECES - 1))
            digest.update(file.read(_PIECE_BYTES))
    return entry | {"sha256_of_pieces": digest.hexdigest()}


def _library_versions() -> dict[str, str]:
    versions = {"expressome": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def create_manifest(
    verb: str,
    *,
    inputs: Iterable[str | os.PathLike[str]] = (),
    parameters: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Record the origin of an output.

    Parameters
    ----------
    verb
        What made it, such as ``"normalize"``.
    inputs
        Files that were read; each is fingerprinted.
    parameters
        Settings that change the result, as plain values.
    seed
        Root of the random choices, None if there were none.

    Returns
    -------
    dict
        Ready for `to_json`: verb, time (UTC), inputs, parameters, seed, versions,
        citation, and ``run``: seconds, bytes and peak memory per stage up to the moment
        when the manifest is written (absent where nothing is metered).

    Examples
    --------
    >>> create_manifest("pack", parameters={"genes": "common"})["parameters"]
    {'genes': 'common'}
    """
    meter = current_meter()
    return {
        "verb": verb,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "inputs": [fingerprint_file(path) for path in inputs],
        "parameters": dict(parameters or {}),
        "seed": seed,
        "versions": _library_versions(),
        "citation": ARCHS4_CITATION,
    } | ({} if meter is None else {"run": meter})
