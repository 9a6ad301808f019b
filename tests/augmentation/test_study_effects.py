"""Study effects are what the means say, and new rows keep their labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from expressome.augmentation.study_effects import (
    StudyEffects,
    extend_training,
    fit_study_effects,
)
from expressome.errors import InvalidValueError, LabelError, ShapeError, StudyWarning

VALUES = np.array([[1, 8], [3, 6], [5, 4], [2, 2], [9, 9]], dtype=np.float32)
LABELS = sparse.csr_array(np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 0]], dtype=np.uint8))
STUDIES = ["A", "A", "B", "B", "C"]


def test_a_difference_is_the_study_mean_minus_the_mean_over_studies():
    effects = fit_study_effects(VALUES, LABELS, STUDIES)

    # Label 0: study A (2, 7), study B (5, 4), mean over studies (3.5, 5.5); s = 2.
    by_hand = np.array([[-1.5, 1.5], [1.5, -1.5]]) * np.sqrt(2)
    np.testing.assert_allclose(effects.differences, by_hand, rtol=1e-6)
    assert effects.n_labels == 1


def test_the_spread_is_pooled_within_label_and_study():
    effects = fit_study_effects(VALUES, LABELS, STUDIES)

    # Only study A holds two samples of a label: (1, 3) and (8, 6), variance 2 each.
    np.testing.assert_allclose(effects.spread, np.sqrt([2.0, 2.0]), rtol=1e-6)


def test_sampled_effects_have_the_covariance_of_the_differences(rng):
    effects = fit_study_effects(VALUES, LABELS, STUDIES)

    drawn = effects.sample(200_000, rng=rng)

    expected = effects.differences.T @ effects.differences / effects.n_differences
    np.testing.assert_allclose(np.cov(drawn.T), expected, rtol=0.02)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.02)


def test_one_study_gives_no_effects_and_says_so():
    with pytest.warns(StudyWarning, match="none of 2 labels is held by two of the 1 studies"):
        effects = fit_study_effects(VALUES, LABELS, ["A"] * 5)

    assert effects.n_differences == 0
    assert not effects.sample(3, rng=np.random.default_rng(0)).any()


def test_what_is_laid_on_is_a_share_of_another_sample_and_one_effect(rng):
    # One difference of (2, 0) and no spread: effects move the first gene only.
    effects = StudyEffects(np.array([[2, 0]], np.float32), np.zeros(2, np.float32), 1)
    values = np.full((5000, 2), 10, dtype=np.float32)
    pool = np.array([[10, 20]], dtype=np.float32)

    moved = effects.lay_on(values, pool, rng=rng)
    still = effects.lay_on(values, pool, rng=rng, strength=0, lowest_weight=1)

    assert (moved[:, 0] - 10).std() == pytest.approx(2, rel=0.05)
    assert moved[:, 1].min() >= 10
    assert moved[:, 1].max() <= 13
    assert moved[:, 1].mean() == pytest.approx(11.5, abs=0.05)
    np.testing.assert_array_equal(still, values)


def test_a_label_with_one_sample_gets_its_rows(rng):
    rows, labels = extend_training(VALUES, LABELS, STUDIES, n_per_label=30, rng=rng)

    assert rows.shape == (60, 2)
    assert labels.sum(axis=0).tolist() == [30, 30]
    assert rows.dtype == np.float32
    assert rows.min() >= 0


def test_rows_without_effects_or_noise_lie_between_two_samples(rng):
    alone = np.array([[1.0, 0.0], [0.0, 1.0]])
    with pytest.warns(StudyWarning):
        effects = fit_study_effects(alone, sparse.csr_array(np.eye(2)), ["A", "B"])

    rows, labels = extend_training(
        alone, sparse.csr_array(np.eye(2)), ["A", "B"], n_per_label=50, rng=rng, effects=effects
    )

    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)
    carried = labels.toarray().argmax(axis=1)
    assert (rows[np.arange(100), carried] >= 0.7 - 1e-6).all()


def test_negative_values_stay_where_the_input_has_them(rng):
    rows, _ = extend_training(VALUES - 10, LABELS, STUDIES, rng=rng)

    assert rows.min() < -1


@given(seed=st.integers(0, 2**16), factor=st.floats(0.1, 10), shift=st.floats(0, 50))
@settings(max_examples=25, deadline=None)
def test_rows_follow_a_change_of_scale_and_origin(seed, factor, shift):
    plain, _ = extend_training(
        VALUES - 100, LABELS, STUDIES, rng=np.random.default_rng(seed), n_per_label=5
    )
    moved, _ = extend_training(
        (VALUES - 100) * factor - shift,
        LABELS,
        STUDIES,
        rng=np.random.default_rng(seed),
        n_per_label=5,
    )

    np.testing.assert_allclose(moved, plain * factor - shift, rtol=1e-3, atol=1e-2)


def test_the_same_seed_gives_the_same_rows():
    first, _ = extend_training(VALUES, LABELS, STUDIES, rng=np.random.default_rng(3))
    second, _ = extend_training(VALUES, LABELS, STUDIES, rng=np.random.default_rng(3))

    np.testing.assert_array_equal(first, second)


def test_too_many_differences_keep_the_largest_groups(monkeypatch):
    monkeypatch.setattr("expressome.augmentation.study_effects._MAX_DIFFERENCES", 2)
    labels = sparse.csr_array(np.ones((5, 1), dtype=np.uint8))

    effects = fit_study_effects(VALUES, labels, ["A", "A", "B", "B", "C"])

    by_hand = np.array([[2, 7], [3.5, 3]]) - [2.75, 5]
    np.testing.assert_allclose(effects.differences, by_hand * np.sqrt(2), rtol=1e-6)


def test_nan_is_refused_with_its_number():
    holed = VALUES.copy()
    holed[0, 0] = np.nan

    with pytest.raises(InvalidValueError, match="1 of 10 values are NaN"):
        fit_study_effects(holed, LABELS, STUDIES)


def test_numbers_of_samples_that_disagree_are_named():
    with pytest.raises(ShapeError, match="5 samples, 5 rows of labels and 2 studies"):
        extend_training(VALUES, LABELS, ["A", "B"], rng=np.random.default_rng(0))


def test_one_axis_is_refused():
    with pytest.raises(ShapeError, match="have 1 axes"):
        fit_study_effects(VALUES[0], LABELS, STUDIES)


def test_effects_of_other_genes_are_refused(rng):
    effects = fit_study_effects(VALUES, LABELS, STUDIES)

    with pytest.raises(ShapeError, match="cover 2 genes, but the values have 1"):
        extend_training(VALUES[:, :1], LABELS, STUDIES, rng=rng, effects=effects)


def test_no_label_at_all_is_an_error(rng):
    with pytest.raises(LabelError, match="none of 5 samples carries one of 2 labels"):
        extend_training(
            VALUES,
            sparse.csr_array((5, 2), dtype=np.uint8),
            STUDIES,
            rng=rng,
            effects=fit_study_effects(VALUES, LABELS, STUDIES),
        )


def test_no_rows_asked_is_an_error(rng):
    with pytest.raises(InvalidValueError, match="n_per_label is 0"):
        extend_training(VALUES, LABELS, STUDIES, n_per_label=0, rng=rng)
