"""Sums over windows from the similarities of all pairs of samples."""

import numpy as np
import pytest

from expressome.engine import Resources
from expressome.metrics import gram, similarity
from expressome.metrics.gram import multiply_tile, prefers_gram, sum_by_pairs
from expressome.metrics.similarity import mean_cosine
from expressome.metrics.windows import find_neighbours


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(similarity, "prefers_gram", lambda *_: True)


def sum_all(values, windows, *, workers=1, order=None):
    norms = np.sqrt((values.astype(float) ** 2).sum(axis=1))
    inverse = np.divide(1, norms, out=np.zeros(len(norms)), where=norms > 0)
    has_profile = norms > 0 if order is None else (norms > 0)[order]
    return sum_by_pairs(
        lambda rows: [multiply_tile(values, inverse, rows, order=order)],
        windows,
        n_samples=len(values),
        has_profile=has_profile,
        resources=Resources(workers=workers),
    )


def test_both_ways_give_the_same(rng, monkeypatch):
    values = rng.gamma(1, 1, (700, 1100)).astype(np.float32)
    values[5] = 0  # no profile: cosine 0 with every other
    found = {}
    for way in (True, False):
        monkeypatch.setattr(similarity, "prefers_gram", lambda *_, way=way: way)
        found[way] = mean_cosine(values)

    np.testing.assert_allclose(found[True], found[False], atol=1e-6)


def test_sum_of_pairs_by_hand():
    values = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    windows = find_neighbours(values, n_neighbours=4, percentile=60)

    # Unit profiles (1, 0), (0, 1) and (1, 1) / sqrt 2: all three lie in both windows.
    expected = (1 + np.sqrt(0.5)) ** 2 * 2
    np.testing.assert_allclose(sum_all(values, windows), [expected, expected], rtol=1e-6)


@pytest.mark.parametrize("n_samples", [2, 255, 257, 900])
@pytest.mark.parametrize("workers", [1, 3])
def test_memory_and_threads_leave_no_trace(n_samples, workers, rng, monkeypatch):
    values = rng.gamma(1, 1, (n_samples, 30)).astype(np.float32)
    windows = find_neighbours(values)
    whole = sum_all(values, windows)

    in_bands = gram._passes
    monkeypatch.setattr(gram, "_passes", lambda n, n_products, _: in_bands(n, n_products, 1))

    np.testing.assert_array_equal(sum_all(values, windows, workers=workers), whole)


def test_little_memory_takes_several_passes():
    assert [len(list(gram._passes(900, 3, memory))) for memory in (1, 2**30)] == [4, 1]


def test_order_of_samples_leaves_no_trace_where_they_are_put_in_order(rng):
    values = rng.gamma(1, 1, (600, 300)).astype(np.float32)
    shuffle = rng.permutation(600)
    windows = find_neighbours(values)

    back = np.argsort(shuffle)
    found = sum_all(values[shuffle], windows, order=back)

    np.testing.assert_array_equal(found, sum_all(values, windows))


def test_the_shape_alone_decides():
    assert prefers_gram(4_000, 60_000, 100)
    assert not prefers_gram(4_000, 5_000, 100)
    assert not prefers_gram(5_000, 10**9, 100)


@pytest.mark.usefixtures("always")
def test_genes_that_some_sample_did_not_measure(rng):
    values = rng.gamma(1, 1, (300, 600)).astype(np.float32)
    values[:100, ::7] = np.nan

    found = mean_cosine(values)

    complete = values[:, ~np.isnan(values).any(axis=0)]
    np.testing.assert_allclose(
        found[~np.isnan(values).any(axis=0)], mean_cosine(complete), atol=1e-6
    )
