"""Upper percentile of expression, plain and as a ratio."""

import numpy as np
import pytest

from expressome.errors import InvalidValueError
from expressome.metrics.signal import mean_over_samples, signal


def test_p95_is_the_percentile_of_numpy(rng):
    values = rng.gamma(1, 1, (333, 50))

    np.testing.assert_array_equal(signal(values).p95, np.percentile(values, 95, axis=0))


def test_ratio_is_that_of_the_definition(rng):
    values = rng.gamma(1, 1, (700, 50))

    expected = np.percentile((1 + values) / (1 + values).mean(axis=0), 95, axis=0)
    np.testing.assert_allclose(signal(values).p95_ratio, expected, rtol=1e-12)


def test_ratio_is_taken_before_length_division(rng):
    values, lengths = rng.gamma(1, 1, (90, 20)), rng.uniform(0.2, 9, 20)

    found = signal(values / lengths, multiplier=lengths)

    np.testing.assert_allclose(found.p95_ratio, signal(values).p95_ratio, rtol=1e-12)
    np.testing.assert_allclose(found.p95, np.percentile(values / lengths, 95, axis=0))


def test_ratio_after_division_by_bp_is_constant(rng):
    values = rng.gamma(1, 1, (90, 20)) / rng.integers(50_000, 10**6, 20)

    np.testing.assert_allclose(signal(values).p95_ratio, 1, atol=2e-4)


def test_unmeasured_cells_are_left_out(rng):
    values = rng.gamma(1, 1, (50, 3))
    values[:20, 0] = np.nan
    values[:, 1] = np.nan

    found = signal(values)

    assert found.p95[0] == np.percentile(values[20:, 0], 95)
    np.testing.assert_allclose(
        found.p95_ratio[0], (1 + found.p95[0]) / (1 + values[20:, 0].mean()), rtol=1e-12
    )
    assert np.isnan(found.p95[1])
    assert np.isnan(found.p95_ratio[1])


@pytest.mark.parametrize("width", [1, 3, 16, 40])
def test_cut_into_blocks_of_genes_leaves_no_trace(width, rng):
    values = rng.gamma(1, 1, (1000, 40)).astype(np.float32)
    whole = signal(values)

    parts = [signal(values[:, g : g + width]) for g in range(0, 40, width)]

    np.testing.assert_array_equal(np.concatenate([p.p95 for p in parts]), whole.p95)
    np.testing.assert_array_equal(np.concatenate([p.p95_ratio for p in parts]), whole.p95_ratio)


def test_mean_is_summed_in_float64():
    values = np.full((3000, 1), 0.1, np.float32)

    np.testing.assert_allclose(mean_over_samples(values), np.float64(np.float32(0.1)), rtol=1e-12)


def test_percentile_outside_its_range_is_refused():
    with pytest.raises(InvalidValueError, match="percentile is 101"):
        signal(np.ones((3, 1)), percentile=101)
