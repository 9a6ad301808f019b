"""Each plain method does what its name says."""

import numpy as np
import pytest

from expressome.augmentation.baselines import BASELINES, METHODS, make_baseline
from expressome.errors import InvalidValueError, LabelError


@pytest.mark.parametrize("method", BASELINES)
def test_every_method_gives_what_was_asked(method, planted, rng):
    made = make_baseline(method, planted, "liver", n_samples=7, rng=rng)

    assert made.shape == (7, 60)
    assert made.dtype == np.float32
    assert made.min() >= 0
    assert np.isfinite(made).all()


@pytest.mark.parametrize("method", BASELINES)
def test_the_same_seed_gives_the_same_samples(method, planted):
    made = [
        make_baseline(method, planted, "liver", n_samples=3, rng=np.random.default_rng(4))
        for _ in range(2)
    ]

    np.testing.assert_array_equal(*made)


def test_all_methods_are_the_generator_and_the_baselines():
    assert ("gan", *BASELINES) == METHODS


def test_oversampling_copies(planted, rng):
    made = make_baseline("oversampling", planted, "liver", n_samples=5, rng=rng)

    own = {tuple(row) for row in planted.values[planted.holders("liver")]}
    assert all(tuple(row) in own for row in made)


def test_smote_lies_on_segments_between_two_samples(planted, rng):
    made = make_baseline("smote", planted, "retina", n_samples=5, rng=rng)

    first, second = planted.values[planted.holders("retina")].astype(float)
    along = (made - first) @ (second - first) / ((second - first) ** 2).sum()
    np.testing.assert_allclose(made, first + along[:, None] * (second - first), atol=1e-4)


def test_mixup_keeps_seven_tenths_of_the_label(planted, rng):
    alone = planted.select(planted.holders("retina"))

    made = make_baseline("mixup", alone, "retina", n_samples=50, rng=rng)

    low, high = alone.values.min(axis=0), alone.values.max(axis=0)
    assert (made >= low - 1e-5).all()
    assert (made <= high + 1e-5).all()


def test_the_gaussian_has_the_label_mean_and_covariance(planted, rng):
    planted.values[:] += 20
    made = make_baseline("gaussian", planted, "liver", n_samples=20_000, rng=rng)

    own = planted.values[planted.holders("liver")]
    np.testing.assert_allclose(made.mean(axis=0), own.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(np.cov(made.T), np.cov(own.T), atol=0.08)


def test_negative_binomial_counts_are_whole_and_have_the_mean(planted, rng):
    made = (
        np.exp2(make_baseline("negative-binomial", planted, "liver", n_samples=4000, rng=rng)) - 1
    )

    own = np.exp2(planted.values[planted.holders("liver")].astype(float)) - 1
    np.testing.assert_allclose(made, np.rint(made), atol=1e-2)
    np.testing.assert_allclose(made.mean(axis=0), own.mean(axis=0), rtol=0.15, atol=0.1)


def test_the_copula_keeps_the_gene_distributions(planted, rng):
    own = planted.values[planted.holders("liver")]
    made = make_baseline("copula", planted, "liver", n_samples=len(own), rng=rng)

    np.testing.assert_allclose(np.sort(made, axis=0), np.sort(own, axis=0), atol=1e-5)


@pytest.mark.parametrize("method", ["smote", "gaussian", "negative-binomial", "copula"])
def test_one_sample_is_refused_by_methods_that_need_a_spread(method, planted, rng):
    lone = planted.select(np.r_[0:10, 60])

    with pytest.raises(LabelError, match=f"'retina' has 1 training samples, and {method} needs 2"):
        make_baseline(method, lone, "retina", n_samples=3, rng=rng)


@pytest.mark.parametrize("method", ["oversampling", "mixup", "study-effects"])
def test_one_sample_is_enough_for_the_others(method, planted, rng):
    lone = planted.select(np.r_[0:30, 60])

    assert len(make_baseline(method, lone, "retina", n_samples=3, rng=rng)) == 3


def test_unknown_method_names_the_known(planted, rng):
    with pytest.raises(InvalidValueError, match="method is 'magic'; choose one of oversampling"):
        make_baseline("magic", planted, "liver", n_samples=1, rng=rng)


def test_no_samples_asked_is_refused(planted, rng):
    with pytest.raises(InvalidValueError, match="n_samples is 0"):
        make_baseline("mixup", planted, "liver", n_samples=0, rng=rng)
