"""How fast metadata of many samples is harmonised, and in how much memory.

Samples are simulated by the texts of searching.py: tissue, treatment, age and free words, no two
samples alike, which leaves little to remember from one sample to the next. Run from the checkout:

    python benchmarks/harmonizing.py                         # 1,000,000 samples
    python benchmarks/harmonizing.py --samples 50000 --ending tsv
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from searching import make_file

SCRIPT = """
import json, resource, sys, time
import expressome
start, cpu = time.perf_counter(), time.process_time()
figures = expressome.harmonize(sys.argv[1], out=sys.argv[2]).figures
print(json.dumps({
    "n_samples": figures["n_samples"],
    "n_found": figures["n_found"],
    "elapsed_s": time.perf_counter() - start,
    "processor_s": time.process_time() - cpu,
    "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def harmonize(path, out):
    """Harmonise in a process of its own, which a shell starts, so that the peak is its own."""
    words = ["/bin/sh", "-c", '"$0" "$@"; exit $?', sys.executable, "-c", SCRIPT, path, out]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--ending", default="parquet", choices=["parquet", "tsv", "tsv.gz"])
    parser.add_argument("--folder", type=Path, help="Where to keep the file, else removed.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for n_samples in arguments.samples:
            path = folder / f"simulated-{n_samples}.h5"
            if not path.exists():
                make_file(path, n_samples)
            out = Path(temporary) / f"metadata-{n_samples}.{arguments.ending}"
            found = harmonize(path, out)
            print(
                f"{n_samples:,} samples: {found['elapsed_s']:.1f} s "
                f"({found['processor_s']:.1f} s of processor time), "
                f"peak {found['peak_mib']:.0f} MiB, {out.stat().st_size / 1e6:.0f} MB written"
            )
            print(f"  found: {found['n_found']}", flush=True)


if __name__ == "__main__":
    main()
