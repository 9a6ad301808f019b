"""Distances equal their definitions, by hand and by brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from expressome.augmentation.distances import (
    measure_adversarial_accuracy,
    measure_energy,
    measure_frechet,
    measure_ks,
    measure_mmd,
    measure_neighbourhoods,
)


def test_neighbourhoods_by_hand():
    # k = 1: real balls of radius 1 around 0 and 1, of radius 9 around 10.
    real = np.array([[0.0], [1.0], [10.0]])
    # Made balls: radius 1.5 around 0.5 and 2, of radius 98 around 100.
    made = np.array([[0.5], [2.0], [100.0]])

    found = measure_neighbourhoods(real, made, n_neighbours=1)

    # 0.5 lies in two balls, 2 in two (1 and 10), 100 in none.
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["density"] == pytest.approx(4 / 3)
    assert found["coverage"] == pytest.approx(1)
    # 0 and 1 lie within 1.5 of 0.5; 10 within 98 of 100.
    assert found["recall"] == pytest.approx(1)


def test_neighbourhoods_equal_a_loop(rng):
    real, made = rng.normal(size=(25, 4)), rng.normal(0.7, 1.3, size=(30, 4))

    found = measure_neighbourhoods(real, made, n_neighbours=3)

    def radius(points, i):
        return sorted(np.linalg.norm(points - points[i], axis=1))[3]

    inside = np.array(
        [[np.linalg.norm(r - m) <= radius(real, i) for m in made] for i, r in enumerate(real)]
    )
    recalled = [
        any(np.linalg.norm(r - m) <= radius(made, j) for j, m in enumerate(made)) for r in real
    ]
    assert found["precision"] == pytest.approx(inside.any(axis=0).mean())
    assert found["coverage"] == pytest.approx(inside.any(axis=1).mean())
    assert found["density"] == pytest.approx(inside.sum() / (3 * 30))
    assert found["recall"] == pytest.approx(np.mean(recalled))


def test_adversarial_accuracy_of_copies_is_0_and_of_strangers_1():
    points = np.array([[0.0], [10.0], [30.0]])

    assert measure_adversarial_accuracy(points, points + 0.1) == 0
    assert measure_adversarial_accuracy(points, points + 1000) == 1


def test_adversarial_accuracy_by_hand():
    # Real 0 and 1; made 1.5 and 5. Real 0: other real at 1, made at 1.5: apart. Real 1:
    # made at 0.5: mixed. Made 1.5: real at 0.5: mixed. Made 5: made at 3.5, real at 4: apart.
    real, made = np.array([[0.0], [1.0]]), np.array([[1.5], [5.0]])

    assert measure_adversarial_accuracy(real, made) == 0.5


def test_frechet_distance_equals_the_formula_with_sqrtm(rng):
    real, made = rng.normal(size=(50, 3)), rng.normal(1, 2, size=(60, 3)) @ rng.normal(size=(3, 3))
    first, second = np.cov(real.T), np.cov(made.T)
    shift = real.mean(axis=0) - made.mean(axis=0)
    root = linalg.sqrtm(first @ second).real

    expected = shift @ shift + np.trace(first + second - 2 * root)

    assert measure_frechet(real, made) == pytest.approx(expected, rel=1e-8)


def test_mmd_equals_a_loop(rng):
    real, made = rng.normal(size=(6, 2)), rng.normal(1, 1, size=(5, 2))
    both = np.vstack([real, made])
    squares = ((both[:, None] - both[None]) ** 2).sum(axis=2)
    width = np.median(squares[np.triu_indices(11, 1)])

    def kernel(x, y):
        return np.exp(-((x - y) ** 2).sum() / (2 * width))

    def within(points):
        return np.mean(
            [kernel(x, y) for i, x in enumerate(points) for j, y in enumerate(points) if i != j]
        )

    between = np.mean([kernel(x, y) for x in real for y in made])
    assert measure_mmd(real, made) == pytest.approx(within(real) + within(made) - 2 * between)


def test_energy_distance_equals_scipy_in_one_dimension(rng):
    first, second = rng.normal(size=40), rng.normal(1, 2, size=30)

    found = measure_energy(first[:, None], second[:, None])

    # scipy gives the square root of it.
    assert found == pytest.approx(stats.energy_distance(first, second) ** 2, rel=1e-9)


@given(
    seed=st.integers(0, 2**16),
    n_real=st.integers(1, 12),
    n_made=st.integers(1, 12),
    n_values=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_ks_equals_the_distribution_functions_with_ties(seed, n_real, n_made, n_values):
    rng = np.random.default_rng(seed)
    real = rng.integers(n_values, size=(n_real, 3)).astype(float)
    made = rng.integers(n_values, size=(n_made, 3)).astype(float)

    found = measure_ks(real, made)

    steps = np.arange(n_values)[:, None, None]
    below = [(points <= steps).mean(axis=1) for points in (real, made)]
    np.testing.assert_allclose(found, np.abs(below[0] - below[1]).max(axis=0), atol=1e-12)


def test_ks_equals_scipy(rng):
    real, made = rng.normal(size=(30, 4)), rng.normal(1, 1, size=(20, 4))

    expected = [stats.ks_2samp(real[:, g], made[:, g]).statistic for g in range(4)]

    np.testing.assert_allclose(measure_ks(real, made), expected, atol=1e-12)
