"""Mean cosine of the samples around a gene's 95th percentile."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from expressome.engine import Resources
from expressome.errors import InvalidValueError, ShapeError
from expressome.metrics.similarity import mean_cosine, sum_tile
from expressome.metrics.windows import GENE_TILE, find_neighbours, window_span


def by_brute_force(values, n_neighbours=100, percentile=95):
    """One gene after the other, all pairs, as FIELD section 4 words it."""
    n_samples, n_genes = values.shape
    result = np.full(n_genes, np.nan)
    centre = int(percentile / 100 * (n_samples + 1))
    for g in range(n_genes):
        ranked = np.argsort(values[:, g], kind="stable")
        start, stop = max(centre - n_neighbours // 2, 0), centre + n_neighbours // 2
        window = ranked[start : min(stop, n_samples)]
        n = len(window)
        if n >= 2:
            cosines = cosine_similarity(values[window].astype(float))
            result[g] = (cosines.sum() - np.trace(cosines)) / (n * (n - 1))
    return result


@pytest.mark.parametrize("n_samples", [3, 60, 400, 2500])
@pytest.mark.parametrize("kind", ["continuous", "tied"])
def test_equals_brute_force(n_samples, kind, rng):
    values = (
        rng.gamma(1, 1, (n_samples, 40))
        if kind == "continuous"
        else (1 + rng.poisson(1.5, (n_samples, 40)))
    )
    values = values.astype(np.float32)

    # Sums of 100 float32 unit values: relative error below 100 * 6e-8.
    np.testing.assert_allclose(mean_cosine(values), by_brute_force(values), atol=1e-5)


@pytest.mark.parametrize(("n_neighbours", "percentile"), [(10, 95), (7, 50), (300, 99), (20, 0)])
def test_equals_brute_force_for_other_windows(n_neighbours, percentile, rng):
    values = rng.gamma(1, 1, (120, 15))
    start, stop = window_span(120, n_neighbours, percentile)

    found = mean_cosine(values, n_neighbours, percentile)

    ranked = np.argsort(values, axis=0, kind="stable")[start:stop]
    for g in range(15):
        cosines = cosine_similarity(values[ranked[:, g]])
        expected = cosines[np.triu_indices(len(cosines), 1)].mean() if len(cosines) > 1 else np.nan
        np.testing.assert_allclose(found[g], expected, atol=1e-5)


def test_window_of_the_original_study():
    # 121,983 samples: the original code took rows 115834:115934.
    assert window_span(121_983, 100, 95) == (115_834, 115_934)


def test_window_is_cut_not_moved():
    # r = int(0.95 * 401) = 380; 430 lies beyond the last of 400 samples.
    assert window_span(400, 100, 95) == (330, 400)
    assert window_span(20, 100, 95) == (0, 20)


def test_identical_profiles_have_cosine_one_whatever_their_size():
    values = np.outer(np.arange(1, 41), [1.0, 2.0, 5.0])

    np.testing.assert_allclose(mean_cosine(values, n_neighbours=10), 1.0, atol=1e-6)


def test_value_is_the_mean_over_distinct_pairs():
    # Three unit profiles at 0, 60 and 90 degrees: cosines 1/2, 0 and sqrt(3)/2.
    values = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)], [0.0, 1.0]])

    expected = (0.5 + 0 + np.sqrt(0.75)) / 3
    np.testing.assert_allclose(mean_cosine(values), [expected, expected], atol=1e-6)


def test_gene_detected_nowhere_is_nan_and_in_one_sample_zero(rng):
    values = rng.gamma(1, 1, (30, 4))
    values[:, 0] = 0
    values[1:, 1] = 0

    found = mean_cosine(values)

    assert np.isnan(found[0])
    assert found[1] == 0
    assert (found[2:] > 0).all()


def test_detection_is_taken_from_the_counts(rng):
    values = rng.gamma(1, 1, (30, 2))
    detected = np.ones((30, 2), bool)
    detected[:, 0] = False

    assert np.isnan(mean_cosine(values, detected=detected)).tolist() == [True, False]


def test_fewer_than_two_samples_give_nan():
    assert np.isnan(mean_cosine(np.ones((1, 3)))).all()
    assert np.isnan(mean_cosine(np.ones((0, 3)))).all()


def test_ties_are_broken_by_row(rng):
    values = np.hstack([np.ones((50, 1)), rng.gamma(1, 1, (50, 20))])

    window = find_neighbours(values, n_neighbours=10).rows[0]

    # r = int(0.95 * 51) = 48, so rows 43..50 of the tied column in their order.
    assert [row for row in window if row >= 0] == list(range(43, 50))


def test_ties_are_broken_by_the_order_given():
    values = np.ones((50, 1))

    window = find_neighbours(values, n_neighbours=10, order=np.arange(50)[::-1])

    assert sorted(window.rows[0][window.rows[0] >= 0]) == list(range(7))


@settings(max_examples=60, deadline=None)
@given(n_samples=st.integers(2, 90), n_levels=st.integers(1, 6), seed=st.integers(0, 2**16))
def test_windows_are_those_of_a_stable_sort(n_samples, n_levels, seed):
    values = np.random.default_rng(seed).integers(0, n_levels, (n_samples, 3)).astype(float)
    start, stop = window_span(n_samples, 20, 95)

    windows = find_neighbours(values, n_neighbours=20)

    for g in range(3):
        ranked = np.argsort(values[:, g], kind="stable")[start:stop]
        assert windows.n_rows[g] == stop - start
        assert set(windows.rows[g][: stop - start]) == set(ranked)
        assert windows.n_detected[g] == (values[ranked, g] > 0).sum()


@settings(max_examples=15, deadline=None)
@given(n_samples=st.integers(2, 200), workers=st.integers(1, 4), seed=st.integers(0, 2**16))
def test_threads_leave_no_trace(n_samples, workers, seed):
    values = np.random.default_rng(seed).gamma(1, 1, (n_samples, 3 * GENE_TILE + 5))

    one = mean_cosine(values, resources=Resources(workers=1))
    many = mean_cosine(values, resources=Resources(workers=workers))

    np.testing.assert_array_equal(many, one)


@pytest.mark.parametrize("cache_bytes", [1, 2**14, 2**30])
def test_size_of_the_cache_leaves_no_trace(monkeypatch, cache_bytes, rng):
    values = rng.gamma(1, 1, (300, GENE_TILE)).astype(np.float32)
    windows = find_neighbours(values)
    norms = np.ones(300)
    expected = sum_tile(values, norms, windows)

    monkeypatch.setattr("expressome.metrics.similarity._CACHE_BYTES", cache_bytes)

    np.testing.assert_array_equal(sum_tile(values, norms, windows), expected)


def test_order_of_samples_does_not_matter_without_ties(rng):
    values = rng.gamma(1, 1, (150, 30))

    shuffled = mean_cosine(values[rng.permutation(150)])

    # The window is summed in another order, in float32.
    np.testing.assert_allclose(shuffled, mean_cosine(values), atol=1e-6)


def test_samples_that_did_not_measure_a_gene_are_left_out_of_it(rng):
    values = rng.gamma(1, 1, (200, 30))
    values[:80, 0] = np.nan

    found = mean_cosine(values)

    # Profiles are compared on the 29 genes that every sample measured.
    measured = values[80:]
    start, stop = window_span(120, 100, 95)
    rows = np.argsort(measured[:, 0], kind="stable")[start:stop]
    cosines = cosine_similarity(measured[rows, 1:])
    n = len(rows)
    np.testing.assert_allclose(found[0], (cosines.sum() - n) / (n * (n - 1)), atol=1e-5)
    np.testing.assert_allclose(found[1:], mean_cosine(values[:, 1:]), atol=1e-6)


def test_wrong_options_are_named():
    with pytest.raises(InvalidValueError, match="n_neighbours is 1 and percentile 95"):
        mean_cosine(np.ones((5, 2)), n_neighbours=1)
    with pytest.raises(ShapeError, match=r"detected has shape \(5, 1\), the values \(5, 2\)"):
        mean_cosine(np.ones((5, 2)), detected=np.ones((5, 1), bool))
