"""Other systems than Linux: the same results without what Linux alone offers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.faults.commands import COMMANDS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["normalize", "predict", "extract", "update", "index"]


def test_without_what_linux_alone_has_the_results_are_equal(house, expected):
    lines = [COMMANDS[name].line for name in NAMES]
    command = [sys.executable, "-m", "tests.faults.bare_system", str(house), *lines]

    # Replacing is what needs an exchange of folders where there is one.
    done = subprocess.run(
        [*command, f"{COMMANDS['normalize'].line} --overwrite", "verify new.zarr"],
        cwd=ROOT,
        env={**os.environ, "EXPRESSOME_CACHE": str(house / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for name in NAMES:
        place = house / COMMANDS[name].result
        assert COMMANDS[name].digest(place) == expected(name), name
    assert not list(house.glob(".*"))
