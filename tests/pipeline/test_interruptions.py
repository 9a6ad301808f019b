"""Kill -9 at any moment: what is made again is the same to the byte."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.build import make_archs4

# Kills of each command: few in CI, twenty by `make faults`.
N_KILLS = int(os.environ.get("EXPRESSOME_FAULT_MOMENTS", "6"))

# Imports once, then runs each attempt in a forked child that it kills after a random time.
SCRIPT = """
import os, signal, sys, time, warnings
from pathlib import Path
import numpy as np
import anndata, numba, zarr
from expressome.engine import Resources
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize

verb, folder, n_kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
rng = np.random.default_rng(int(sys.argv[4]))

def run(out):
    resources = Resources(memory_bytes=128 * 2**20, workers=2)
    if verb == "normalize":
        normalize(folder / "x.h5", out=folder / out, recipe="log2-quantile", resources=resources)
    else:
        measure(folder / out, n_neighbours=10, resources=resources)

def attempt(out, kill_after_s=None):
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        run(out)
        os._exit(0)
    while kill_after_s is not None and time.monotonic() - start < kill_after_s:
        if os.waitpid(child, os.WNOHANG)[0]:
            return time.monotonic() - start, True
        time.sleep(0.001)
    if kill_after_s is not None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or status == 0, status
    return time.monotonic() - start, status == 0

attempt("whole")
duration_s = attempt("again")[0] if verb == "normalize" else attempt("whole")[0]
n_killed = n_done = 0
while n_killed < n_kills:
    out = f"resumed-{n_done}" if verb == "normalize" else "resumed-0"
    _, is_done = attempt(out, kill_after_s=rng.uniform(0, duration_s))
    n_killed += not is_done
    n_done += is_done and verb == "normalize"
attempt(f"resumed-{n_done}" if verb == "normalize" else "resumed-0")
print(n_killed, n_done + 1)
"""


def arrays_of(atlas):
    """Name and bytes of every stored array, without what states times."""
    return {
        str(path.relative_to(atlas)): path.read_bytes()
        for path in sorted(atlas.rglob("*"))
        if path.is_file() and "description" not in path.parts and "note_" not in str(path)
    }


def run_script(verb, folder, n_kills):
    command = [sys.executable, "-c", SCRIPT, verb, str(folder), str(n_kills), "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_an_atlas_killed_at_any_moment_is_the_same_to_the_byte(tmp_path):
    make_archs4(tmp_path / "x.h5", n_samples=3000, n_genes=400)

    n_killed, n_atlases = run_script("normalize", tmp_path, N_KILLS)

    whole = arrays_of(tmp_path / "whole")
    assert n_killed == N_KILLS
    assert len(whole) > 2 * 12
    for number in range(n_atlases):
        resumed = arrays_of(tmp_path / f"resumed-{number}")
        assert resumed.keys() == whole.keys()
        assert all(resumed[name] == content for name, content in whole.items())
    assert not list(Path(tmp_path).glob(".*"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_measurement_killed_at_any_moment_is_made_again(tmp_path):
    import shutil

    make_archs4(tmp_path / "x.h5", n_samples=600, n_genes=400)
    run_script("normalize", tmp_path, 0)
    shutil.copytree(tmp_path / "whole", tmp_path / "resumed-0", dirs_exist_ok=True)

    n_killed, _ = run_script("measure", tmp_path, N_KILLS)

    whole, resumed = arrays_of(tmp_path / "whole"), arrays_of(tmp_path / "resumed-0")
    assert n_killed == N_KILLS
    assert any("mean_cosine" in name for name in whole)
    assert {name: whole[name] for name in whole if not name.startswith(".")} == resumed
