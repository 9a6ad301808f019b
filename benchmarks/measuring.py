"""How fast genes are measured, against a loop over genes with scikit-learn.

Run from the checkout; every ratio is taken within one run:

    python benchmarks/measuring.py                            # full size: 60,000 x 4,000
    python benchmarks/measuring.py --genes 6000 --samples 1000 --loop-genes 20
    python benchmarks/measuring.py --tile 1000 4000 16000 64000 121983   # one tile of 128 genes
"""

import argparse
import time

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity

from expressome.engine import Resources
from expressome.metrics.signal import signal
from expressome.metrics.similarity import mean_cosine, sum_tile
from expressome.metrics.windows import GENE_TILE, NeighbourWindows, find_neighbours, window_span

DESCRIPTION = __doc__.splitlines()[0]


def loop_over_genes(values, genes):
    """The usual way: similarity of all pairs in each gene's window."""
    start, stop = window_span(len(values), 100, 95)
    result = []
    for g in genes:
        window = np.argsort(values[:, g], kind="stable")[start:stop]
        cosines = cosine_similarity(values[window])
        n = len(window)
        result.append((cosines.sum() - np.trace(cosines)) / (n * (n - 1)))
    return np.array(result)


def clock(function, *arguments, **options):
    """Elapsed and processor seconds of a call, and its result."""
    start, start_cpu = time.perf_counter(), time.process_time()
    result = function(*arguments, **options)
    return (time.perf_counter() - start, time.process_time() - start_cpu), result


def time_tiles(sizes, n_genes):
    """Processor time that one tile of 128 genes costs at several numbers of samples."""
    print(f"one tile of {GENE_TILE} genes, windows of {n_genes} genes, one thread, processor time")
    times = []
    for n_samples in sizes:
        rng = np.random.default_rng(0)
        values = rng.standard_gamma(1.0, (n_samples, GENE_TILE), np.float32)
        start, stop = window_span(n_samples, 100, 95)
        rows = rng.integers(0, n_samples, (n_genes, stop - start)).astype(np.int32)
        rows.sort(axis=1)
        counts = np.full(n_genes, stop - start)
        windows = NeighbourWindows(rows, counts, counts)
        (_, first_s), _ = clock(signal, values)
        (_, window_s), _ = clock(find_neighbours, values, detected=values > 0.2)
        (_, second_s), _ = clock(sum_tile, values, np.ones(n_samples), windows)
        times.append((first_s + window_s, second_s))
        print(
            f"  {n_samples:8} samples: signal and windows {first_s:.3f} + {window_s:.3f} s, "
            f"squared sums {second_s:.3f} s"
        )
    for name, column in zip(
        ("signal and windows", "squared sums"), zip(*times, strict=True), strict=True
    ):
        slope = np.polyfit(np.log(sizes), np.log(column), 1)[0]
        print(f"  {name}: time grows as samples^{slope:.2f}")


def main():
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--samples", type=int, default=4_000)
    parser.add_argument("--loop-genes", type=int, default=100, help="genes the loop is timed on")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--tile", type=int, nargs="+", default=None, help="numbers of samples")
    options = parser.parse_args()
    if options.tile:
        mean_cosine(np.ones((300, 300), np.float32))  # compile before the clock runs
        time_tiles(options.tile, options.genes)
        return
    rng = np.random.default_rng(0)
    values = rng.standard_gamma(1.0, (options.samples, options.genes), np.float32)
    resources = Resources(workers=options.workers)
    mean_cosine(values[:300, :300], resources=resources)  # compile before the clock runs

    genes = rng.choice(options.genes, options.loop_genes, replace=False)
    cosine, found = clock(mean_cosine, values, resources=resources)
    strength, _ = clock(signal, values)
    loop, expected = clock(loop_over_genes, values, genes)

    print(f"{options.samples} samples x {options.genes} genes, {resources.n_workers} threads")
    print(f"the loop over {len(genes)} genes drawn at random; elapsed (processor time) per gene")
    for name, (wall_s, cpu_s), n in (
        ("mean_cosine", cosine, options.genes),
        ("signal", strength, options.genes),
        ("scikit-learn loop", loop, len(genes)),
    ):
        print(f"  {name:20}{1e3 * wall_s / n:9.2f} ms ({1e3 * cpu_s / n:.2f} ms)")
    ratios = [
        theirs / len(genes) * options.genes / ours
        for ours, theirs in zip(cosine, loop, strict=True)
    ]
    print(f"  mean_cosine is {ratios[0]:.0f} x faster per gene ({ratios[1]:.0f} x)")
    print(f"  largest difference: {np.nanmax(np.abs(found[genes] - expected)):.1e}")


if __name__ == "__main__":
    main()
