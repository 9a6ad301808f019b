"""Expression within labels, and specificity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressome.errors import InvalidValueError
from expressome.metrics.within_labels import signal_within, tau


def test_mean_and_percentile_are_numpys_over_what_was_measured(rng):
    values = rng.gamma(1, 2, (50, 7)).astype(np.float32)
    values[rng.random((50, 7)) < 0.2] = np.nan
    members = [np.arange(0, 30), np.arange(20, 50), np.array([3]), np.array([], int)]

    found = signal_within(values, members)

    for k, rows in enumerate(members[:3]):
        wide = values[rows].astype(np.float64)
        some = ~np.isnan(wide).all(axis=0)
        np.testing.assert_allclose(found.mean[some, k], np.nanmean(wide[:, some], axis=0), 1e-12)
        expected = np.nanpercentile(wide[:, some], 95, axis=0)
        np.testing.assert_allclose(found.p95[some, k], expected, rtol=1e-12)
    assert np.isnan(found.mean[:, 3]).all()
    assert np.isnan(found.p95[np.isnan(values[3]), 2]).all()


def test_tau_by_hand():
    # Yanai's own form: sum(1 - x_i / max) / (n - 1).
    np.testing.assert_allclose(
        tau(np.array([[0, 8, 0, 2, 0, 2, 0, 0.0], [1, 1, 1, 1, 1, 1, 1, 1]])), [6.5 / 7, 0]
    )
    np.testing.assert_array_equal(
        tau(np.array([[0.0, 0.0], [1.0, np.nan], [np.nan, np.nan]])), [np.nan] * 3
    )
    np.testing.assert_allclose(tau(np.array([[4.0, np.nan, 0.0]])), [1.0])
    assert np.isnan(tau(np.empty((2, 0)))).all()


@given(seed=st.integers(0, 2**16), scale=st.floats(1e-3, 1e3))
def test_tau_knows_no_unit_no_order_and_lies_between_0_and_1(seed, scale):
    rng = np.random.default_rng(seed)
    means = rng.gamma(0.5, 2, (6, 5))

    found = tau(means)

    np.testing.assert_allclose(tau(means * scale), found, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(tau(means[:, ::-1]), found, rtol=1e-9)
    assert ((found >= 0) & (found <= 1)).all()


def test_a_percentile_out_of_range_is_refused():
    with pytest.raises(InvalidValueError, match="percentile is 101"):
        signal_within(np.ones((1, 1)), [np.array([0])], percentile=101)
