"""Say what an atlas holds and whether it is whole."""

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from expressome.atlas.handle import Atlas, open_atlas
from expressome.atlas.schema import SECTION
from expressome.atlas.shards import BLOCK_SAMPLES, CHUNK_GENES, block_path
from expressome.engine import Resources, map_blocks
from expressome.errors import DamagedFileError
from expressome.manifest import hash_file

__all__ = ["describe_atlas", "verify_atlas"]

_CHECKSUMS = {"X": "checksums_x", "layers/detected": "checksums_detected"}


def describe_atlas(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Say what an atlas holds.

    Parameters
    ----------
    path
        Folder that `normalize` wrote.

    Returns
    -------
    dict
        Plain values: shape, species, recipe, labels with their number of samples, split, whether it
        was measured, chunks, bytes.

    Raises
    ------
    AtlasError
        If it is not an atlas.

    Examples
    --------
    >>> describe_atlas("human.zarr")["n_samples"]  # doctest: +SKIP
    121983
    """
    atlas = open_atlas(path)
    labels = atlas.labels
    per_label = np.asarray(labels.matrix.sum(axis=0)).ravel()
    described: dict[str, Any] = {
        "format": "atlas",
        **atlas.description,
        "n_samples": atlas.n_samples,
        "n_genes": atlas.n_genes,
        "n_studies": int(atlas.obs["study"].nunique()) if "study" in atlas.obs else None,
        "recipe": atlas.recipe,
        "n_labels": labels.n_labels,
        "n_labelled": int(labels.is_labelled.sum()),
        "labels": {key: int(n) for key, n in zip(labels.keys, per_label, strict=True)},
        "is_measured": "mean_cosine" in atlas.var.columns,
        "chunks": [BLOCK_SAMPLES, CHUNK_GENES],
        "dtype": str(atlas.dtype),
        "bytes": sum(f.stat().st_size for f in Path(path).rglob("*") if f.is_file()),
        "sample_fields": [str(name) for name in atlas.obs.columns],
        "gene_fields": [str(name) for name in atlas.var.columns],
        "manifest": atlas.manifest,
    }
    if "split" in atlas.obs:
        parts = atlas.obs["split"].value_counts()
        described["split"] = {name: int(n) for name, n in parts.items() if name}
    return described


def verify_atlas(
    path: str | os.PathLike[str], *, resources: Resources | None = None
) -> dict[str, Any]:
    """Read every part of an atlas and compare it with its checksums.

    Parameters
    ----------
    path
        Folder that `normalize` wrote.
    resources
        Threads to use; all processors by default.

    Returns
    -------
    dict
        ``n_blocks``, ``bytes`` read, and ``is_whole`` (True; damage is an error).

    Raises
    ------
    AtlasError
        If it is not an atlas.
    DamagedFileError
        If a part is missing or has changed; names the array and the samples.

    Examples
    --------
    >>> verify_atlas("human.zarr")["is_whole"]  # doctest: +SKIP
    True
    """
    atlas = open_atlas(path)
    _check_tables(atlas)
    n_bytes, n_checked = 0, 0
    for array, name in _CHECKSUMS.items():
        checksums = [str(text) for text in atlas.element(f"{SECTION}/{name}")]
        check = partial(_check_block, atlas, (array, checksums))
        for size in map_blocks(check, range(len(checksums)), resources=resources or Resources()):
            n_bytes += size
            n_checked += 1
    return {"is_whole": True, "n_blocks": n_checked, "bytes": n_bytes}


def _check_tables(atlas: Atlas) -> None:
    """Read every table and compare its length with the values."""
    parts = ("obs", "var", "obsm/labels", "uns/expressome", "obsm", "varm", "layers/detected")
    for part in parts[:4]:
        try:
            found = atlas.element(part)
        except Exception as error:
            # Any failure to decode means the same here; AnnData and Zarr raise many kinds.
            msg = f"{part} of {atlas.path} cannot be read; make the atlas again"
            raise DamagedFileError(msg) from error
        expected = {"obs": atlas.n_samples, "var": atlas.n_genes, "obsm/labels": atlas.n_samples}
        n_rows = found.shape[0] if part in expected else 0
        if n_rows != expected.get(part, 0):
            msg = f"{part} of {atlas.path} has {n_rows} rows instead of {expected[part]}"
            raise DamagedFileError(msg)


def _check_block(atlas: Atlas, expected: tuple[str, list[str]], block: int) -> int:
    """Compare one block with its checksum; give its size in bytes."""
    array, checksums = expected
    path = block_path(atlas.path, array, block)
    last = min((block + 1) * BLOCK_SAMPLES, atlas.n_samples) - 1
    where = f"{array}, samples {block * BLOCK_SAMPLES}-{last} ({path})"
    try:
        checksum = hash_file(path)
    except FileNotFoundError:
        msg = f"{where} is missing; restore the file or make the atlas again"
        raise DamagedFileError(msg) from None
    if checksum != checksums[block]:
        msg = f"{where} has changed since it was written; restore the file or make the atlas again"
        raise DamagedFileError(msg)
    return path.stat().st_size
