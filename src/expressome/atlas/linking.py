"""Take finished blocks of one atlas over into another without copying them."""

import os
import shutil
from pathlib import Path
from typing import Any

from expressome.atlas.handle import Atlas
from expressome.atlas.schema import ARRAYS, SECTION
from expressome.atlas.shards import BLOCK_SAMPLES, block_path
from expressome.atlas.writing import AtlasWriter

__all__ = ["copy_elements", "link_blocks"]


def link_blocks(
    old: Atlas, writer: AtlasWriter, *, blocks: list[int], entries: dict[str, list[Any]]
) -> None:
    """Make the files of some blocks part of an atlas that is being written.

    Parameters
    ----------
    old
        Atlas whose blocks hold the same samples at the same places.
    writer
        The new atlas; blocks it has already are left alone.
    blocks
        Numbers of the blocks.
    entries
        Entry of a block's record -> one plain value per sample of the old atlas.

    Notes
    -----
    Files are linked where the file system allows (a block is never changed in place, only
    replaced), else copied.
    """
    checksums = {
        "X": [str(text) for text in old.element(f"{SECTION}/checksums_x")],
        "layers/detected": [str(text) for text in old.element(f"{SECTION}/checksums_detected")],
    }
    for block in blocks:
        if block in writer.records:
            continue
        for array in ARRAYS:
            _link(block_path(old.path, array, block), block_path(writer.folder, array, block))
        rows = slice(block * BLOCK_SAMPLES, (block + 1) * BLOCK_SAMPLES)
        record = {name: values[rows] for name, values in entries.items()}
        writer.record({"block": block, **{a: checksums[a][block] for a in ARRAYS}, **record})


def _link(source: Path, place: Path) -> None:
    """Link a file, or copy it, so that it is either whole or not there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError:
        shutil.copyfile(source, beside)
    beside.replace(place)


def copy_elements(old: Atlas, writer: AtlasWriter, names: list[str]) -> None:
    """Copy elements of an atlas, such as ``"obsm/pca"``, as they are.

    Parameters
    ----------
    old
        Where from.
    writer
        Where to.
    names
        Paths of the elements inside the atlas.
    """
    for name in names:
        shutil.copytree(old.path / name, writer.folder / name, dirs_exist_ok=True)
