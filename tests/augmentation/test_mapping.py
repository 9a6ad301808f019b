"""Mapped samples have the distributions of real genes and real samples."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from expressome.augmentation.moments import (
    draw_weights,
    recolour,
    shrink_covariance,
)
from expressome.augmentation.quantile_mapping import match_genes, match_samples
from expressome.augmentation.sampling import spread_evenly


@given(seed=st.integers(0, 2**16), n_samples=st.integers(1, 9), n_genes=st.integers(1, 30))
@settings(max_examples=40, deadline=None)
def test_matched_samples_have_the_sorted_values_and_the_order(seed, n_samples, n_genes):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n_samples, n_genes)).astype(np.float32)
    templates = rng.integers(5, size=(n_samples, n_genes)).astype(np.float32)

    made = match_samples(latent, templates)

    np.testing.assert_array_equal(np.sort(made, axis=1), np.sort(templates, axis=1))
    ordered = np.take_along_axis(made, np.argsort(latent, axis=1), axis=1)
    assert (np.diff(ordered, axis=1) >= 0).all()


def test_matched_genes_equal_the_reference_where_sizes_agree(rng):
    latent = rng.normal(size=(12, 2000)).astype(np.float32)
    reference = rng.gamma(2, size=(12, 2000)).astype(np.float32)

    made = match_genes(latent, reference)

    np.testing.assert_allclose(np.sort(made, axis=0), np.sort(reference, axis=0), rtol=1e-6)


def test_matched_genes_interpolate_by_hand():
    latent = np.array([[1.0], [2.0], [3.0], [4.0]], dtype=np.float32)
    reference = np.array([[0.0], [8.0]], dtype=np.float32)

    # Quantiles 1/8, 3/8, 5/8, 7/8 of two values lie at -1/4, 1/4, 3/4, 5/4 between them.
    np.testing.assert_allclose(match_genes(latent, reference).ravel(), [0, 2, 6, 8])


def test_weights_have_exact_second_moments(rng):
    weights = draw_weights(50, 20, rng)

    np.testing.assert_allclose(weights.T @ weights / 50, np.eye(20) / 20, atol=1e-6)


def test_weights_of_few_samples_have_unit_length(rng):
    weights = draw_weights(5, 20, rng)

    np.testing.assert_allclose(weights @ weights.T, np.eye(5), atol=1e-6)


def test_recoloured_scores_have_the_covariance(rng):
    wanted = np.array([[2.0, 0.5], [0.5, 1.0]])

    made = recolour(rng.normal(3, 2, size=(100, 2)), wanted)

    np.testing.assert_allclose(np.cov(made.T), wanted, rtol=1e-9)
    np.testing.assert_allclose(made.mean(axis=0), 0, atol=1e-12)


def test_shrinkage_vanishes_with_many_samples(rng):
    truth = np.array([[3.0, 1.0], [1.0, 0.5]])
    scores = rng.multivariate_normal([0, 0], truth, size=20_000)

    np.testing.assert_allclose(shrink_covariance(scores), truth, atol=0.1)


def test_shrinkage_is_strong_with_few_samples(rng):
    scores = rng.normal(size=(4, 30))

    found = shrink_covariance(scores)

    off_diagonal = found[~np.eye(30, dtype=bool)]
    raw = (scores.T @ scores / 4)[~np.eye(30, dtype=bool)]
    assert np.abs(off_diagonal).mean() < 0.35 * np.abs(raw).mean()


def test_bases_have_the_shares_of_their_groups(rng):
    holders = np.arange(40)
    groups = np.repeat([7, 3], [30, 10])

    bases = spread_evenly(holders, 52, rng, groups=groups)

    times = np.bincount(bases, minlength=40)
    assert set(times.tolist()) == {1, 2}
    # One whole round, and 12 more: 9 and 3.
    assert (times[:30].sum(), times[30:].sum()) == (39, 13)
