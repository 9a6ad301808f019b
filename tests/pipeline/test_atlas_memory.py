"""Peak memory of normalise and measure, in a process of its own."""

import json
import re
import sys

import numpy as np
import pytest
from tests.pipeline.test_normalizing import write_label_file
from tests.support.build import make_archs4, make_counts, make_samples
from tests.support.memory import run_script

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
options = {"recipe": "log2-quantile", "labels": folder / "labels.parquet", "overwrite": True}
normalize(folder / "small.h5", out=folder / "small.zarr", **options)
measure(folder / "small.zarr", by="label", approximate=64)
threading.Thread(target=watch, daemon=True).start()
resources = Resources(memory_bytes=budget_bytes, workers=2)
above = {}
for name, work in (
    ("normalize", lambda: normalize(
        folder / sys.argv[3], out=folder / "a.zarr", resources=resources, **options)),
    ("measure", lambda: measure(folder / "a.zarr", resources=resources)),
    ("measure by label", lambda: measure(
        folder / "a.zarr", by="label", approximate=64, resources=resources)),
):
    baseline = resident_bytes()
    peak_bytes = 0
    work()
    above[name] = peak_bytes - baseline
print(json.dumps(above))
"""


def make_small(folder):
    """What the compiling run takes, and labels of its samples, which all files have."""
    make_archs4(folder / "small.h5", n_samples=20, n_genes=50)
    rows = {"liver": range(0, 16, 2), "brain": range(1, 16, 2)}
    write_label_file(folder / "labels.parquet", rows, make_samples(20).index)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_within_the_budget_for_any_number_of_samples(tmp_path):
    # 256 MiB. The larger file is 10,400 x 5,000: 208 MB of counts and as much of values,
    # so both do not fit. 15% above the budget is for the allocator and small tables.
    budget_bytes = 256 * 2**20
    make_small(tmp_path)
    few = make_counts(200, 5000)
    for n_samples in (4000, 10_400):
        make_archs4(tmp_path / f"{n_samples}.h5", counts=np.resize(few, (n_samples, 5000)))

        printed = run_script(SCRIPT, tmp_path, budget_bytes, f"{n_samples}.h5")

        above = json.loads(printed.splitlines()[-1])
        assert max(above.values()) < 1.15 * budget_bytes, above


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_least_budget_is_named_and_holds(tmp_path):
    make_small(tmp_path)
    make_archs4(tmp_path / "x.h5", counts=np.resize(make_counts(200, 10_000), (1500, 10_000)))
    with pytest.raises(InvalidValueError, match=r"a memory budget of 64 MiB is too small") as error:
        normalize(
            tmp_path / "x.h5",
            out=tmp_path / "a.zarr",
            recipe="log2-quantile",
            resources=Resources(memory_bytes=64 * 2**20),
        )
    least_bytes = int(re.search(r"give at least (\d+) MiB", str(error.value))[1]) * 2**20

    printed = run_script(SCRIPT, tmp_path, least_bytes, "x.h5")

    above = json.loads(printed.splitlines()[-1])
    assert max(above.values()) < 1.15 * least_bytes, above


def test_an_atlas_too_long_for_the_budget_names_the_least(tmp_path):
    with pytest.raises(InvalidValueError, match=r"64 MiB is too small: .* give at least 1757 MiB"):
        leave_for_blocks(
            Resources(memory_bytes=64 * 2**20), TableMemory(), find_measuring_minimum(10**6)
        )
