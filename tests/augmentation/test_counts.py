"""Counts follow the profiles they are drawn from."""

import numpy as np
import pytest
from scipy import stats

from expressome.augmentation.counts import draw_counts
from expressome.errors import InvalidValueError


def test_counts_are_whole_and_sum_to_the_depth(planted, rng):
    counts = draw_counts(planted.values, 50_000, rng=rng)

    assert counts.dtype == np.int32
    assert (counts.sum(axis=1) == 50_000).all()
    assert counts.min() == 0


def test_counts_keep_the_order_of_the_genes(planted, rng):
    counts = draw_counts(planted.values, 10_000_000, rng=rng)

    agreement = stats.spearmanr(counts[0], planted.values[0]).statistic
    assert agreement > 0.999


def test_shares_by_hand(rng):
    # 2^v minus 2^1 = 0, 2, 6: shares 0, 1/4, 3/4.
    counts = draw_counts(np.array([[1.0, 2.0, 3.0]]), 1_000_000, rng=rng)

    np.testing.assert_allclose(counts[0] / 1e6, [0, 0.25, 0.75], atol=2e-3)


def test_a_flat_profile_has_no_reads_to_share(rng):
    assert draw_counts(np.ones((1, 3)), 10, rng=rng).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("depth", [0, 2**31])
def test_depths_outside_the_range_are_refused(depth, rng):
    with pytest.raises(InvalidValueError, match=f"depth is {depth}; choose 1 to 2147483647"):
        draw_counts(np.ones((1, 3)), depth, rng=rng)
