"""How fast genes are measured, against a loop over genes with scikit-learn.

Run from the checkout; every ratio is taken within one run:

    python benchmarks/measuring.py                            # full size: 60,000 x 4,000
    python benchmarks/measuring.py --genes 6000 --samples 1000 --loop-genes 20
"""

import argparse
import time

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity

from expressome.engine import Resources
from expressome.metrics.signal import signal
from expressome.metrics.similarity import mean_cosine, window_span

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


def clock(function):
    """Elapsed and processor seconds of a call, and its result."""
    start, start_cpu = time.perf_counter(), time.process_time()
    result = function()
    return (time.perf_counter() - start, time.process_time() - start_cpu), result


def main():
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--samples", type=int, default=4_000)
    parser.add_argument("--loop-genes", type=int, default=100, help="genes the loop is timed on")
    parser.add_argument("--workers", type=int, default=None)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    values = rng.standard_gamma(1.0, (options.samples, options.genes), np.float32)
    resources = Resources(workers=options.workers)
    mean_cosine(values[:300, :300], resources=resources)  # compile before the clock runs

    genes = rng.choice(options.genes, options.loop_genes, replace=False)
    cosine, found = clock(lambda: mean_cosine(values, resources=resources))
    strength, _ = clock(lambda: signal(values))
    loop, expected = clock(lambda: loop_over_genes(values, genes))

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
