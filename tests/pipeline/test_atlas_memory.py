"""Peak memory of normalise and measure, in a process of its own."""

import json
import re
import subprocess
import sys

import pytest
from tests.support.build import make_archs4

from expressome.engine import Resources
from expressome.errors import InvalidValueError
from expressome.pipeline.budgeting import TableMemory, find_measuring_minimum, leave_for_blocks
from expressome.pipeline.normalizing import normalize

pytestmark = pytest.mark.memory

SCRIPT = """
import json, os, sys, threading, time
from pathlib import Path
from expressome.engine import Resources
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize

folder, budget_bytes = Path(sys.argv[1]), int(sys.argv[2])

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

peak_bytes = 0
def watch():
    global peak_bytes
    while True:
        peak_bytes = max(peak_bytes, resident_bytes())
        time.sleep(0.002)

# Compiling and importing belong to the baseline.
normalize(folder / "small.h5", out=folder / "small.zarr", recipe="log2-quantile", overwrite=True)
measure(folder / "small.zarr")
threading.Thread(target=watch, daemon=True).start()
resources = Resources(memory_bytes=budget_bytes, workers=2)
above = {}
for name, work in (
    ("normalize", lambda: normalize(
        folder / sys.argv[3], out=folder / "a.zarr", recipe="log2-quantile", overwrite=True,
        resources=resources)),
    ("measure", lambda: measure(folder / "a.zarr", resources=resources)),
):
    baseline = resident_bytes()
    peak_bytes = 0
    work()
    above[name] = peak_bytes - baseline
print(json.dumps(above))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_within_the_budget_for_any_number_of_samples(tmp_path):
    # 256 MiB. The larger file is 2,600 x 20,000: 208 MB of counts and as much of values,
    # so both do not fit. 15% above the budget is for the allocator and small tables.
    budget_bytes = 256 * 2**20
    make_archs4(tmp_path / "small.h5", n_samples=20, n_genes=50)
    for n_samples in (1000, 2600):
        make_archs4(tmp_path / f"{n_samples}.h5", n_samples=n_samples, n_genes=20_000)
        command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(budget_bytes)]

        result = subprocess.run(
            [*command, f"{n_samples}.h5"], capture_output=True, text=True, check=True
        )

        above = json.loads(result.stdout.splitlines()[-1])
        assert above["normalize"] < 1.15 * budget_bytes, above
        assert above["measure"] < 1.15 * budget_bytes, above


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_least_budget_is_named_and_holds(tmp_path):
    make_archs4(tmp_path / "small.h5", n_samples=20, n_genes=50)
    make_archs4(tmp_path / "x.h5", n_samples=1500, n_genes=20_000)
    with pytest.raises(InvalidValueError, match=r"a memory budget of 64 MiB is too small") as error:
        normalize(
            tmp_path / "x.h5",
            out=tmp_path / "a.zarr",
            recipe="log2-quantile",
            resources=Resources(memory_bytes=64 * 2**20),
        )
    least_bytes = int(re.search(r"give at least (\d+) MiB", str(error.value))[1]) * 2**20

    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(least_bytes), "x.h5"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)

    above = json.loads(result.stdout.splitlines()[-1])
    assert above["normalize"] < 1.15 * least_bytes, above
    assert above["measure"] < 1.15 * least_bytes, above


def test_an_atlas_too_long_for_the_budget_names_the_least(tmp_path):
    with pytest.raises(InvalidValueError, match=r"64 MiB is too small: .* give at least 1757 MiB"):
        leave_for_blocks(
            Resources(memory_bytes=64 * 2**20), TableMemory(), find_measuring_minimum(10**6)
        )
