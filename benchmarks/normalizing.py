"""How fast counts become an atlas, against qnorm and archs4py.

Run from the checkout; every ratio is taken within one run, page cache warm:

    python benchmarks/normalizing.py                          # full size: 60,000 genes
    python benchmarks/normalizing.py --genes 6000 --samples 200 --file-samples 1000
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import archs4py.utils
import numpy as np
import pandas as pd
import qnorm

from expressome.archs4.reader import open_archs4
from expressome.archs4.writing import write_archs4
from expressome.atlas import write_block
from expressome.engine import Resources, map_blocks
from expressome.normalization.quantile import apply_target, fit_target
from expressome.normalization.rows import retile
from expressome.pipeline.normalizing import normalize

DESCRIPTION = __doc__.splitlines()[0]


def make_means(n_genes, rng):
    """Expected counts of 20-30 million reads, 40% of the genes silent."""
    return np.exp(rng.normal(2.0, 2.8, n_genes)) * (rng.random(n_genes) < 0.6)


def make_counts(n_samples, means, rng):
    sizes = rng.gamma(4.0, 0.25, (n_samples, 1))
    return rng.poisson(rng.gamma(2.0, 0.5, (n_samples, means.size)) * means * sizes).astype("u4")


def make_file(path, n_samples, means, rng):
    ids = pd.Index([f"GSM{i:07d}" for i in range(n_samples)])
    samples = pd.DataFrame({"series": [f"GSE{i // 20}" for i in range(n_samples)]}, index=ids)
    genes = pd.DataFrame({"symbol": ""}, index=[f"ENSG{g:011d}" for g in range(means.size)])
    genes["symbol"] = [f"G{g}" for g in range(means.size)]
    spans = [slice(a, min(a + 256, n_samples)) for a in range(0, n_samples, 256)]
    blocks = (make_counts(span.stop - span.start, means, rng) for span in spans)
    write_archs4(path, samples=samples, genes=genes, blocks=blocks)


def time_best(function, repeats):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return min(times), result


def time_once(function):
    """Give elapsed and processor time; the latter is fair on a busy machine."""
    start, start_cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - start_cpu


def normalize_small(folder):
    """Import and compile everything before the clock runs."""
    rng = np.random.default_rng(2)
    make_file(folder / "small.h5", 20, make_means(50, rng), rng)
    normalize(folder / "small.h5", out=folder / "small.zarr", recipe="log2-quantile")


def compare_kernels(n_samples, n_genes, repeats):
    rng = np.random.default_rng(0)
    counts = make_counts(n_samples, make_means(n_genes, rng), rng)
    one = Resources(workers=1)
    apply_target(counts[:2], fit_target(counts[:2]))  # compile before the clock runs
    fit_s, target = time_best(lambda: fit_target(counts, resources=one), repeats)
    apply_s, values = time_best(lambda: apply_target(counts, target, resources=one), repeats)
    log2_counts = np.log2(1.0 + counts.T)
    qnorm_s, theirs = time_best(lambda: qnorm.quantile_normalize(log2_counts, ncpus=1), repeats)
    table = pd.DataFrame(counts.T)
    archs4py_s, _ = time_best(lambda: archs4py.utils.normalize(table), repeats)
    print(f"kernel, {n_samples} samples x {n_genes} genes, one thread")
    print(f"  {'expressome fit':24}{n_samples / fit_s:9.0f} samples/s")
    print(f"  {'expressome apply':24}{n_samples / apply_s:9.0f} samples/s")
    ours_s = fit_s + apply_s
    print(f"  {'expressome both':24}{n_samples / ours_s:9.0f} samples/s")
    for name, theirs_s in (("qnorm 1.0.0", qnorm_s), ("archs4py normalize", archs4py_s)):
        ratio = theirs_s / ours_s
        print(f"  {name:24}{n_samples / theirs_s:9.0f} samples/s   {ratio:5.1f} x slower than both")
    print(f"  largest difference from qnorm: {np.abs(values - theirs.T).max():.1e}")


def read_twice_and_write(path, folder, values, resources):
    """What no normalisation can avoid, with the same reader and writer."""
    compendium = open_archs4(path)
    for _, _counts in compendium.blocks(resources=resources):
        pass
    tiles = retile((counts for _, counts in compendium.blocks(resources=resources)), 256)
    jobs = ((block, tile > 0) for block, tile in enumerate(tiles))

    def write(job):
        block, detected = job
        write_block(folder, block, values=values[: len(detected)], detected=detected)

    for _ in map_blocks(write, jobs, resources=resources, n_ahead=resources.n_workers):
        pass


def normalize_first(path, n_samples):
    """Give floats as they are to be written: how well they compress decides what that costs."""
    counts = open_archs4(path).counts(samples=np.arange(min(256, n_samples)))
    return apply_target(counts, fit_target(counts))


def compare_files(n_samples, n_genes, folder, memory_bytes):
    rng = np.random.default_rng(1)
    path = folder / "counts.h5"
    make_file(path, n_samples, make_means(n_genes, rng), rng)
    resources = Resources(memory_bytes=memory_bytes)
    normalize_small(folder)
    values = normalize_first(path, n_samples)
    base_s, base_cpu_s = time_once(
        lambda: read_twice_and_write(path, folder / "floor", values, resources)
    )
    ours_s, ours_cpu_s = time_once(
        lambda: normalize(path, out=folder / "a.zarr", recipe="log2-quantile", resources=resources)
    )
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"file to atlas, {n_samples} samples x {n_genes} genes, {resources.n_workers} threads")
    for name, wall_s, cpu_s in (
        ("read twice, write once", base_s, base_cpu_s),
        ("normalize", ours_s, ours_cpu_s),
    ):
        speed = n_samples / wall_s
        print(f"  {name:24}{wall_s:8.1f} s {speed:7.0f} samples/s   processor {cpu_s:6.1f} s")
    ratios = f"{ours_s / base_s:.2f}, of processor time {ours_cpu_s / base_cpu_s:.2f}"
    print(f"  ratio {ratios}; peak memory of the process {peak_mib:.0f} MiB")


def main():
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--samples", type=int, default=400, help="samples of the kernel test")
    parser.add_argument("--file-samples", type=int, default=4_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-mib", type=int, default=1024)
    parser.add_argument("--skip", choices=["kernel", "file"], default=None)
    parser.add_argument("--folder", type=Path, default=None, help="where files are made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.skip != "file":
            compare_files(
                options.file_samples, options.genes, Path(folder), options.memory_mib * 2**20
            )
    if options.skip != "kernel":
        compare_kernels(options.samples, options.genes, options.repeats)


if __name__ == "__main__":
    main()
