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
# The smallest budget there is.
MEMORY_SAMPLES, MEMORY_BUDGET = 20_000, "64MiB"
MEMORY_SCRIPT = """
import resource, sys
from expressome import Resources, open_archs4
from expressome.blocks import parse_memory
path, budget, *genes = sys.argv[1:]
resources = Resources(memory_bytes=parse_memory(budget))
compendium = open_archs4(path)
compendium.counts([0], [int(genes[0])], resources=resources)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
counts = compendium.counts(genes=[int(gene) for gene in genes], resources=resources)
assert counts.shape == (compendium.n_samples, len(genes))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def write_fields(file, n_genes, n_samples):
    """Write what every ARCHS4 file says of its samples and genes."""
    text = h5py.string_dtype()
    names = [f"GSM{i}" for i in range(n_samples)]
    file.create_dataset("meta/samples/geo_accession", data=names, dtype=text)
    file.create_dataset("meta/samples/series_id", data=["GSE1"] * n_samples, dtype=text)
    genes = [f"ENSG{g:011d}" for g in range(n_genes)]
    file.create_dataset("meta/genes/symbol", data=genes, dtype=text)
    file.create_dataset("meta/genes/ensembl_gene", data=genes, dtype=text)


def make_file(path, n_genes, n_samples, chunks, bands=None):
    """Write made-up counts that compress as real ones do, to less than a fifth.

    ARCHS4's own: 45 GB for 940,000 samples x 67,000 genes of 4 bytes, to 0.18. With
    `bands`, only these rows of chunks are written, which is all that will be read.
    """
    rng = np.random.default_rng(0)
    means = rng.gamma(0.15, 400.0, size=(n_genes, 1))
    storage = {} if chunks is None else {"chunks": chunks, "compression": "gzip"}
    height = n_genes if bands is None else chunks[0]
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "data/expression", shape=(n_genes, n_samples), dtype="u4", **storage
        )
        for start in range(0, n_samples, 200):
            n_each = min(200, n_samples - start)
            for band in [0] if bands is None else bands:
                rows = slice(band * height, min((band + 1) * height, n_genes))
                size = (rows.stop - rows.start, n_each)
                dataset[rows, start : start + n_each] = rng.poisson(means[rows], size=size)
        write_fields(file, n_genes, n_samples)


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


def show_memory(path, genes, n_genes):
    """Print what ten genes of 20,000 samples add to the peak memory of a process."""
    make_file(path, n_genes, MEMORY_SAMPLES, (200, 200), bands=sorted({g // 200 for g in genes}))
    # A process starts with the peak of the one that started it; a shell between has none.
    shell = ["/bin/sh", "-c", '"$0" "$@"; exit $?', sys.executable, "-c", MEMORY_SCRIPT]
    command = [*shell, str(path), MEMORY_BUDGET, *map(str, genes)]
    added = subprocess.run(command, capture_output=True, text=True, check=True)
    print(
        f"{n_genes:,} genes x {MEMORY_SAMPLES:,} samples, chunks (200, 200), {len(genes)} genes x "
        f"all: adds {float(added.stdout):.0f} MiB to peak memory (budget {MEMORY_BUDGET})"
    )


def main():
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer-repeats", type=int, default=5, help="archs4py takes minutes")
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
                plain = best_seconds(read_h5py, path, request, options.repeats)
                line = f"{name:14} {what:16} {ours:8.3f} {plain:8.3f}"
                is_timed = not options.no_archs4py and request[0] is not None
                peer = (
                    best_seconds(read_archs4py, path, request, options.peer_repeats)
                    if is_timed
                    else np.nan
                )
                ratios = f"{plain / ours:.1f}x h5py" + (f", {peer / ours:.0f}x archs4py" * is_timed)
                print(f"{line} {peer:9.2f}  {ratios}" if is_timed else f"{line} {'-':>9}  {ratios}")
                sys.stdout.flush()
        show_memory(Path(folder) / "tall.h5", spread, options.genes)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak_mib:.0f} MiB")


if __name__ == "__main__":
    main()
