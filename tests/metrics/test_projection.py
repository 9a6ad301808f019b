"""Mean cosine by random projection."""

import numpy as np
import pytest

from expressome.errors import InvalidValueError
from expressome.metrics.projection import count_buckets, project_tile, standard_error
from expressome.metrics.similarity import sum_tile
from expressome.metrics.windows import find_neighbours


def make_tile(rng, n_samples=300, n_genes=128):
    centres = rng.gamma(1, 2, (3, n_genes))
    values = centres[rng.integers(0, 3, n_samples)] + rng.gamma(1, 0.5, (n_samples, n_genes))
    inverse = 1 / np.linalg.norm(values, axis=1)
    return values, inverse, find_neighbours(values[:, :40], n_neighbours=30)


def test_one_sum_per_gene_is_exact(rng):
    values, inverse, windows = make_tile(rng)

    found = project_tile(values, inverse, windows, n_buckets=128, rng=rng)

    np.testing.assert_allclose(found.squared_sums, sum_tile(values, inverse, windows), rtol=1e-5)


def test_estimates_are_unbiased_and_as_far_off_as_their_standard_error_says(rng):
    values, inverse, windows = make_tile(rng)
    exact = sum_tile(values, inverse, windows)
    n = windows.n_rows

    runs = [project_tile(values, inverse, windows, n_buckets=4, rng=rng) for _ in range(300)]

    sums = np.array([run.squared_sums for run in runs])
    off = (sums - exact) / (n * (n - 1))
    spread = off.std(axis=0)
    stated = np.sqrt(
        np.mean([standard_error(r.squared_spread, windows, n_buckets=4) ** 2 for r in runs], axis=0)
    )
    assert (np.abs(off.mean(axis=0)) < 4 * spread / np.sqrt(300)).all()
    assert (spread < 1.05 * stated).all()
    assert (spread > 0.3 * stated).all()


def test_twice_the_dimensions_halve_the_variance(rng):
    values, inverse, windows = make_tile(rng)

    def variance(n_buckets):
        runs = [
            project_tile(values, inverse, windows, n_buckets=n_buckets, rng=rng).squared_sums
            for _ in range(300)
        ]
        return np.var(runs, axis=0).mean()

    assert variance(2) / variance(8) == pytest.approx(4, rel=0.35)


def test_no_dimension_is_refused():
    with pytest.raises(InvalidValueError, match="0 dimensions cannot hold a profile"):
        count_buckets(0, 100)
