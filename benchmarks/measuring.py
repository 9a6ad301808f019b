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

    start = time.perf_counter()
    found = mean_cosine(values, resources=resources)
    cosine_s = time.perf_counter() - start
    start = time.perf_counter()
    signal(values)
    signal_s = time.perf_counter() - start
    genes = np.linspace(0, options.genes - 1, options.loop_genes).astype(int)
    start = time.perf_counter()
    expected = loop_over_genes(values, genes)
    loop_s = time.perf_counter() - start

    n_threads = resources.n_workers
    per_gene = cosine_s / options.genes, signal_s / options.genes, loop_s / len(genes)
    print(f"{options.samples} samples x {options.genes} genes, {n_threads} threads")
    print(f"  {'mean_cosine':28}{1e3 * per_gene[0]:9.2f} ms/gene   {cosine_s:7.1f} s in all")
    print(f"  {'signal':28}{1e3 * per_gene[1]:9.2f} ms/gene   {signal_s:7.1f} s in all")
    print(f"  {'scikit-learn loop':28}{1e3 * per_gene[2]:9.2f} ms/gene")
    print(f"  mean_cosine is {per_gene[2] / per_gene[0]:.0f} x faster per gene")
    print(f"  largest difference: {np.nanmax(np.abs(found[genes] - expected)):.1e}")


if __name__ == "__main__":
    main()
