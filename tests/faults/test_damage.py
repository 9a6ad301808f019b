"""Damaged inputs: an expected failure that names the file, and nothing written."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from expressome.cli.main import cli

pytestmark = pytest.mark.slow


def flip(path, share=0.5):
    """Change one byte, keep the time stamps."""
    stamp = path.stat()
    content = bytearray(path.read_bytes())
    content[int(share * (len(content) - 1))] ^= 0xFF
    path.write_bytes(content)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def truncate(path, share=0.5):
    with path.open("r+b") as file:
        file.truncate(int(share * path.stat().st_size))


def first(folder, pattern):
    return min(folder.glob(pattern))


NORMALIZE = "normalize compendium.h5 --labels labels.parquet --out new.zarr"
TRAIN = "train atlas.zarr --out new"
EXTRACT = "extract compendium.h5 --random 224 --out new.h5"
PREDICT = "predict model compendium.h5 --out new.parquet"
# What is damaged, how, the command that meets it, and what it must say.
DAMAGE = {
    "file cut": (truncate, "compendium.h5", NORMALIZE, "compendium.h5"),
    "file cut, search": (truncate, "compendium.h5", "search compendium.h5 liver", "compendium.h5"),
    "file emptied": (lambda path: truncate(path, 0), "compendium.h5", NORMALIZE, "compendium.h5"),
    "labels cut": (truncate, "labels.parquet", NORMALIZE, "labels.parquet"),
    "labels flipped": (lambda path: flip(path, 1), "labels.parquet", NORMALIZE, "labels.parquet"),
    "atlas block cut": (truncate, "atlas.zarr/X/c/0/0", TRAIN, "X"),
    "atlas block flipped": (flip, "atlas.zarr/X/c/0/0", "verify atlas.zarr", "X"),
    "atlas block gone": (Path.unlink, "atlas.zarr/X/c/0/0", "verify atlas.zarr", "X"),
    "atlas metadata cut": (truncate, "atlas.zarr/zarr.json", TRAIN, "atlas.zarr"),
    "atlas metadata not JSON": (
        lambda path: path.write_text("{"),
        "atlas.zarr/X/zarr.json",
        "measure atlas.zarr",
        "atlas.zarr",
    ),
    "model part flipped": (flip, "model/forest.npz", PREDICT, "forest.npz"),
    "model part cut": (truncate, "model/forest.npz", PREDICT, "forest.npz"),
    "model part gone": (Path.unlink, "model/forest.npz", PREDICT, "forest.npz"),
    "model description cut": (truncate, "model/model.json", PREDICT, "model.json"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_and_nothing_is_written(name, house, monkeypatch):
    damage, victim, command, expected = DAMAGE[name]
    assert (house / victim).exists(), sorted(path.name for path in house.glob("model/*"))
    damage(house / victim)
    monkeypatch.chdir(house)

    result = CliRunner().invoke(cli, command.split())

    assert result.exit_code == 1, result.output
    assert expected in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(house.glob("new*"))


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_byte_anywhere_in_a_file_changes_nothing_silently(seed, house, monkeypatch):
    """The same counts, or an error; never other counts."""
    import expressome

    truth = expressome.open_archs4(house / "compendium.h5").counts()
    share = np.random.default_rng(seed).uniform()
    flip(house / "compendium.h5", share)
    monkeypatch.chdir(house)

    verified = CliRunner().invoke(cli, ["verify", "compendium.h5"])
    extracted = CliRunner().invoke(cli, EXTRACT.split())

    assert verified.exit_code in {0, 1}, verified.output
    assert extracted.exit_code in {0, 1}, extracted.output
    if extracted.exit_code == 0 and verified.exit_code == 0:
        read = expressome.open_archs4(house / "new.h5").counts()
        # Deflate's checksum meets a flip in the numbers; one in text or unused bytes changes none.
        assert np.array_equal(read, truth)


@pytest.mark.parametrize("command", [NORMALIZE, TRAIN, PREDICT, "measure atlas.zarr"])
def test_an_input_that_is_gone_is_named(command, house, monkeypatch):
    monkeypatch.chdir(house)
    for victim in ("compendium.h5", "atlas.zarr"):
        place = house / victim
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    result = CliRunner().invoke(cli, command.split())

    assert result.exit_code == 1
    assert "does not exist" in result.stderr
    assert not list(house.glob("new*"))
