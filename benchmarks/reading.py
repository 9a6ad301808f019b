"""How fast samples and genes are read, against archs4py and plain h5py.

Run from the checkout; every ratio is taken within one run, page cache warm:

    python benchmarks/reading.py                                      # full size: 60,000 x 2,000
    python benchmarks/reading.py --genes 6000 --samples 1000 --repeats 2
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import h5py
import numpy as np

from expressome.archs4.reader import open_archs4

DESCRIPTION = __doc__.splitlines()[0]
MEMORY_SCRIPT = """
import resource, sys
from expressome.archs4.reader import open_archs4
compendium = open_archs4(sys.argv[1])
compendium.counts([0])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
step = max(1, compendium.n_genes // 10)
compendium.counts(genes=list(range(0, compendium.n_genes, step))[:10])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def make_file(path, n_genes, n_samples, chunks):
    """Write made-up counts that compress as real ones do, about sixfold."""
    rng = np.random.default_rng(0)
    means = rng.gamma(0.25, 400.0, size=(n_genes, 1))
    storage = {} if chunks is None else {"chunks": chunks, "compression": "gzip"}
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "data/expression", shape=(n_genes, n_samples), dtype="u4", **storage
        )
        for start in range(0, n_samples, 200):
            n_each = min(200, n_samples - start)
            dataset[:, start : start + n_each] = rng.poisson(means, size=(n_genes, n_each))
        names = [f"GSM{i}" for i in range(n_samples)]
        file.create_dataset("meta/samples/geo_accession", data=names, dtype=text)
        file.create_dataset("meta/samples/series_id", data=["GSE1"] * n_samples, dtype=text)
        genes = [f"ENSG{g:011d}" for g in range(n_genes)]
        file.create_dataset("meta/genes/symbol", data=genes, dtype=text)
        file.create_dataset("meta/genes/ensembl_gene", data=genes, dtype=text)


def read_ours(path, samples, genes):
    return open_archs4(path).counts(samples, genes)


def read_h5py(path, samples, genes):
    """The best plain h5py call for the request: one sorted selection."""
    with h5py.File(path) as file:
        dataset = file["data/expression"]
        if genes is not None:
            return dataset[np.sort(genes), :].T
        ordered = np.sort(samples)
        if ordered[-1] - ordered[0] == len(ordered) - 1:
            return dataset[:, ordered[0] : ordered[-1] + 1].T
        return dataset[:, ordered].T


def read_archs4py(path, samples, genes):
    import archs4py

    samples = range(samples_in(path)) if samples is None else samples
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return archs4py.data.index(
            str(path), list(samples), [] if genes is None else list(genes), silent=True
        )


def samples_in(path):
    with h5py.File(path) as file:
        return file["data/expression"].shape[1]


def best_seconds(read, path, request, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        read(path, *request)
        times.append(time.perf_counter() - start)
    return min(times)


def main():
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer-repeats", type=int, default=1, help="archs4py takes minutes")
    parser.add_argument("--no-archs4py", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the test files go")
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    n_read = min(100, options.samples // 2)
    start = options.samples // 3
    spread = np.sort(rng.choice(options.genes, size=10, replace=False))
    requests = {
        f"{n_read} consecutive": (np.arange(start, start + n_read), None),
        f"{n_read} random": (rng.choice(options.samples, size=n_read, replace=False), None),
        "10 genes x all": (None, spread),
    }
    storages = {
        "(200, 200)": (200, 200),
        "(2000, 1)": (2000, 1),
        f"({options.genes}, 1)": (options.genes, 1),
        "contiguous": None,
    }
    print(f"{options.genes:,} genes x {options.samples:,} samples, seconds: best of", end=" ")
    print(f"{options.repeats} (archs4py: of {options.peer_repeats})")
    print(f"{'chunks':14} {'request':16} {'ours':>8} {'h5py':>8} {'archs4py':>9}  ratios")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name, chunks in storages.items():
            path = Path(folder) / "x.h5"
            fitted = None if chunks is None else tuple(np.minimum(chunks, (options.genes, 10**9)))
            make_file(path, options.genes, options.samples, fitted)
            for what, request in requests.items():
                ours = best_seconds(read_ours, path, request, options.repeats)
                plain = best_seconds(read_h5py, path, request, min(2, options.repeats))
                line = f"{name:14} {what:16} {ours:8.3f} {plain:8.3f}"
                is_timed = not options.no_archs4py and request[0] is not None
                peer = (
                    best_seconds(read_archs4py, path, request, options.peer_repeats)
                    if is_timed
                    else np.nan
                )
                print(f"{line} {peer:9.2f}  {plain / ours:.1f}x h5py {peer / ours:.0f}x archs4py")
                sys.stdout.flush()
            added = subprocess.run(
                [sys.executable, "-c", MEMORY_SCRIPT, path],
                capture_output=True,
                text=True,
                check=True,
            )
            print(f"{name:14} 10 genes x all adds {float(added.stdout):.0f} MiB to peak memory")
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak_mib:.0f} MiB")


if __name__ == "__main__":
    main()
