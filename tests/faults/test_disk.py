"""A disk that fills, a folder that cannot be written, a file that vanishes, two at once."""

import os
import shutil
import subprocess
import time

import numpy as np
import pytest
from tests.faults.commands import COMMANDS, digest_atlas, digest_file, digest_inputs, run, start
from tests.support.range_server import serve

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path):
    """Give a file system of its own, 1 MiB large; only the administrator may make one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1M", "none", str(place)]
    if not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def elsewhere(command, place):
    """Let a command write into another folder."""
    *others, out = command.arguments
    return [*others, str(place / out)]


# What names its output last: an index lies beside its file, a download needs a server.
WRITING = [name for name, command in COMMANDS.items() if command.arguments[-2] == "--out"]
WRITING.remove("download")


@pytest.mark.parametrize("name", WRITING)
def test_a_full_disk_is_said_and_room_completes_the_run(name, house, small_disk, expected):
    command = COMMANDS[name]
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (1020 * 1024))
    before = digest_inputs(house)

    status, _, stderr = run(elsewhere(command, small_disk), cwd=house)

    assert status == 1, stderr
    assert "space" in stderr, stderr
    assert str(small_disk) in stderr
    assert not (small_disk / command.result).exists()
    assert digest_inputs(house) == before

    filler.unlink()
    subprocess.run(["mount", "-o", "remount,size=64M", str(small_disk)], check=True)
    status, _, stderr = run(elsewhere(command, small_disk), cwd=house)
    assert status == 0, stderr
    assert command.digest(small_disk / command.result) == expected(name)


@pytest.mark.parametrize("name", ["measure", "update"])
def test_a_full_disk_leaves_an_atlas_whole_that_is_changed_in_place(
    name, house, small_disk, expected
):
    subprocess.run(["mount", "-o", "remount,size=64M", str(small_disk)], check=True)
    atlas = small_disk / "atlas.zarr"
    shutil.copytree(house / "atlas.zarr", atlas)
    line = [word.replace("atlas.zarr", str(atlas)) for word in COMMANDS[name].arguments]
    before = digest_atlas(atlas)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 8192))

    status, _, stderr = run(line, cwd=house)

    assert status == 1, stderr
    assert "space" in stderr, stderr
    assert str(small_disk) in stderr
    assert digest_atlas(atlas) == before

    filler.unlink()
    status, _, stderr = run(line, cwd=house)
    assert status == 0, stderr
    assert digest_atlas(atlas) == expected(name)


def test_a_disk_that_fills_in_a_download_is_said_and_room_completes_it(house, small_disk):
    with serve(house) as server:
        line = ["download", server.url("many.h5"), "--out", str(small_disk)]
        status, _, stderr = run(line, cwd=house)

        assert status == 1, stderr
        assert "bytes free" in stderr
        assert str(small_disk) in stderr
        assert not (small_disk / "many.h5").exists()

        # 256 MiB are kept free of downloads.
        subprocess.run(["mount", "-o", "remount,size=320M", str(small_disk)], check=True)
        status, _, stderr = run(line, cwd=house)
    assert status == 0, stderr
    assert digest_file(small_disk / "many.h5") == digest_file(house / "many.h5")


def test_a_search_index_that_has_no_room_is_said_and_room_completes_it(house, small_disk):
    file = small_disk / "many.h5"
    subprocess.run(["mount", "-o", "remount,size=64M", str(small_disk)], check=True)
    shutil.copy(house / "many.h5", file)
    size_kib = file.stat().st_size // 1024 + 200
    subprocess.run(["mount", "-o", f"remount,size={size_kib}k", str(small_disk)], check=True)

    status, _, stderr = run(["search", str(file), "liver"], cwd=house)

    assert status == 1, stderr
    assert f"{file}.catalogue.sqlite cannot be written" in stderr
    assert "disk is full" in stderr
    assert [path.name for path in small_disk.iterdir()] == ["many.h5"]
    subprocess.run(["mount", "-o", "remount,size=64M", str(small_disk)], check=True)
    status, stdout, stderr = run(["search", str(file), "liver"], cwd=house)
    assert status == 0, stderr
    assert stdout == run(["search", "many.h5", "liver"], cwd=house)[1]


@pytest.mark.parametrize("name", WRITING)
def test_a_folder_that_cannot_be_written_is_said(name, house, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    status, _, stderr = run(elsewhere(COMMANDS[name], small_disk), cwd=house)

    assert status == 1, stderr
    assert str(small_disk) in stderr
    assert "cannot" in stderr or "read-only" in stderr.lower()


@pytest.mark.parametrize("name", ["normalize", "extract", "predict"])
@pytest.mark.parametrize("delay_s", [0.2, 2.0, 3.0])
def test_a_file_that_vanishes_is_named_or_was_read(name, delay_s, house):
    command = COMMANDS[name]
    process = start(command.arguments, cwd=house)
    time.sleep(delay_s)
    (house / "compendium.h5").rename(house / "moved.h5")

    _, stderr = process.communicate(timeout=120)

    assert process.returncode in {0, 1}, stderr
    if process.returncode == 1:
        assert "compendium.h5" in stderr
        assert not (house / command.result).exists()
    (house / "moved.h5").rename(house / "compendium.h5")
    if not (house / command.result).exists():
        assert run(command.arguments, cwd=house)[0] == 0


def test_two_processes_cannot_write_one_atlas(house):
    command = COMMANDS["normalize"]
    rivals = [start(command.arguments, cwd=house) for _ in range(2)]
    answers = [(rival, *rival.communicate(timeout=200)) for rival in rivals]

    won = [rival for rival, _, _ in answers if rival.returncode == 0]
    lost = [stderr for rival, _, stderr in answers if rival.returncode == 1]

    assert len(won) == 1, [stderr for _, _, stderr in answers]
    assert "new.zarr" in lost[0]
    assert run(["verify", "new.zarr"], cwd=house)[0] == 0


ODDITIES = {
    "Turkish letters": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    "plain C": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"},
    "decimal comma": {"LC_ALL": "de_DE.UTF-8"},
    "far east, odd hashes": {"TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "123"},
}


@pytest.mark.parametrize("name", ODDITIES)
def test_clock_and_locale_change_no_number(name, house, expected):
    command = COMMANDS["normalize"]
    for path in (house / "compendium.h5", house / "labels.parquet"):
        os.utime(path, (0, 0) if "C" in name else (2**32, 2**32))  # 1970, or the year 2106

    status, _, stderr = run(command.arguments, cwd=house, **ODDITIES[name])

    assert status == 0, stderr
    assert command.digest(house / command.result) == expected("normalize")


def test_a_folder_with_odd_characters_is_a_folder(house):
    odd = house.parent / "Größe 'n %s {x} 日本"
    shutil.copytree(house, odd)

    status, _, stderr = run(COMMANDS["normalize"].arguments, cwd=odd)

    assert status == 0, stderr
    assert np.isfinite(odd.stat().st_size)
