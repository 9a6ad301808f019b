"""Spoilt structures of HDF5 files, read in processes of their own.

The HDF5 library can hang in a broken tree, or crash; no code above it can prevent that. What is
ours must hold: whatever the library reports becomes an error that is expected, never a trace.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.fuzz.hdf5_reading import KINDS, write_seeds

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
N_CASES = int(os.environ.get("EXPRESSOME_FUZZ_CASES", "60"))
LONGEST_S = 10.0


def read_span(kind, folder, first, stop):
    """Read cases until the end, a hang or a crash; give the next case and what happened."""
    words = [sys.executable, "-m", "tests.fuzz.hdf5_reading", kind, folder, first, stop]
    mark = folder / "case"
    mark.write_text(str(first))
    with (folder / "trace").open("w") as trace:
        process = subprocess.Popen([str(word) for word in words], cwd=ROOT, stderr=trace)
        began = time.monotonic()
        seen = mark.read_text()
        while process.poll() is None:
            time.sleep(0.05)
            if mark.read_text() != seen:
                seen, began = mark.read_text(), time.monotonic()
            elif time.monotonic() - began > LONGEST_S:
                process.kill()
                process.wait()
                return int(seen) + 1, "hang"
    case = int(mark.read_text() or first)
    if process.returncode == 0:
        return stop, ""
    what = "crash" if process.returncode < 0 else "trace"
    return case + 1, what


@pytest.mark.timeout(14400)
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_library_survives_we_survive(kind, tmp_path):
    write_seeds(tmp_path)
    found = {"hang": [], "crash": [], "trace": []}
    case, first_trace = 0, ""

    while case < N_CASES:
        case, what = read_span(kind, tmp_path, case, N_CASES)
        if what:
            found[what].append(case - 1)
            if what == "trace" and len(found["trace"]) == 1:
                first_trace = (tmp_path / "trace").read_text()[-3000:]

    counts = {what: len(cases) for what, cases in found.items()}
    print(f"{kind}: {N_CASES} cases, {counts}")  # noqa: T201 - for docs/reliability.md
    assert found["trace"] == [], first_trace
    # The library's own, seldom enough that the rest was really read.
    assert len(found["hang"]) + len(found["crash"]) <= max(3, N_CASES // 20)
