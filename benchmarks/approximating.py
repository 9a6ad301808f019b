"""Time and error of the projected mean cosine against the exact one, on simulated values.

python benchmarks/approximating.py [--genes 20000] [--samples 2000] [--dimensions 512 2048]
"""

import argparse
import time

import numpy as np

from expressome.metrics.projection import count_buckets, project_tile, standard_error
from expressome.metrics.similarity import combine_similarity, squared_norms, sum_tile
from expressome.metrics.windows import GENE_TILE, find_neighbours, join_windows


def simulate(n_samples, n_genes, seed=0):
    """Log-scale profiles of 30 tissues with their own genes, and noise."""
    rng = np.random.default_rng(seed)
    base = rng.gamma(1.0, 2.0, n_genes).astype(np.float32)
    tissues = base * rng.lognormal(0, 0.4, (30, n_genes)).astype(np.float32)
    values = tissues[rng.integers(0, 30, n_samples)]
    values += rng.normal(0, 0.3, values.shape).astype(np.float32)
    return np.maximum(values, 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--samples", type=int, default=2_000)
    parser.add_argument("--dimensions", type=int, nargs="+", default=[512, 2048])
    chosen = parser.parse_args()
    values = simulate(chosen.samples, chosen.genes)
    tiles = [slice(s, s + GENE_TILE) for s in range(0, chosen.genes, GENE_TILE)]
    windows = join_windows([find_neighbours(values[:, tile]) for tile in tiles])
    norms = np.sqrt(squared_norms(values))
    some = {"has_profile": norms > 0, "n_detected": np.full(chosen.genes, chosen.samples)}

    def measure(take):
        take(tiles[0])  # compiled before the clock starts
        start = time.process_time()
        parts = [take(tile) for tile in tiles]
        return parts, time.process_time() - start

    parts, exact_s = measure(lambda tile: sum_tile(values[:, tile], 1 / norms, windows))
    exact = combine_similarity(np.sum(parts, axis=0), windows, **some)
    print(f"{chosen.samples} samples x {chosen.genes} genes, one thread, second pass only")
    print(f"exact: {exact_s:.1f} s; mean cosine {exact.min():.3f} to {exact.max():.3f}")
    print("dimensions  CPU s    speed-up  median SE  mean |error|  max |error|  within 4.5 SE")
    for wanted in chosen.dimensions:
        k = count_buckets(wanted, chosen.genes)
        parts, took_s = measure(
            lambda tile, k=k: project_tile(
                values[:, tile],
                1 / norms,
                windows,
                n_buckets=k,
                rng=np.random.default_rng([0, tile.start]),
            )
        )
        found = combine_similarity(sum(p.squared_sums for p in parts), windows, **some)
        error = standard_error(sum(p.squared_spread for p in parts), windows, n_buckets=k)
        off = np.abs(found - exact)
        print(
            f"{k * len(tiles):10d} {took_s:8.1f} {exact_s / took_s:9.1f} {np.median(error):10.2g} "
            f"{off.mean():13.2g} {off.max():12.2g} {(off <= np.sqrt(20) * error).mean():14.4f}"
        )


if __name__ == "__main__":
    main()
