"""Training samples are checked at the border."""

import numpy as np
import pytest
from scipy import sparse

from expressome.augmentation.training_samples import (
    collect_training,
    fill_missing,
    find_label,
    fit_medians,
)
from expressome.augmentation.within_groups import (
    find_groups,
    fit_within_space,
    project_deviations,
)
from expressome.errors import InvalidValueError, LabelError, ShapeError

ONE = sparse.csr_array(np.ones((2, 1)))


def test_negative_values_are_counted():
    with pytest.raises(InvalidValueError, match="2 of 4 values are NaN, infinite or below 0"):
        collect_training(np.array([[1, -1], [np.nan, 2]]), ONE, ["A", "B"], keys=["x"])


def test_sizes_that_disagree_are_named():
    with pytest.raises(ShapeError, match=r"shape \(3, 2\), 2 rows of labels and 2 studies"):
        collect_training(np.ones((3, 2)), ONE, ["A", "B"], keys=["x"])


def test_keys_that_disagree_are_named():
    with pytest.raises(ShapeError, match="1 columns of labels but 2 keys"):
        collect_training(np.ones((2, 2)), ONE, ["A", "B"], keys=["x", "y"])


def test_depths_that_disagree_are_named():
    with pytest.raises(ShapeError, match="3 depths for 2 samples"):
        collect_training(np.ones((2, 2)), ONE, ["A", "B"], keys=["x"], depths=[1, 2, 3])


def test_a_label_like_no_other_lists_the_known():
    with pytest.raises(LabelError, match=r"'zzz' is not among the 2 labels .*known: brain, liver"):
        find_label("zzz", ["brain", "liver"])


def test_medians_skip_what_was_not_measured():
    values = np.array([[1, np.nan, np.nan], [3, 8, np.nan], [5, 2, np.nan]], dtype=np.float32)

    medians = fit_medians(values)

    assert medians.tolist() == [3, 5, 0]
    assert fill_missing(values, medians) == 4
    assert values[0].tolist() == [1, 5, 0]


def test_the_space_equals_a_full_decomposition(planted, rng):
    groups = find_groups(planted)

    space = fit_within_space(planted, groups, n_components=3, rng=rng)

    deviations = planted.values - groups.centres[groups.members]
    deviations *= groups.inflation()[:, None]
    _, sizes, axes = np.linalg.svd(deviations.astype(float), full_matrices=False)
    np.testing.assert_allclose(np.abs((space.components * axes[:3]).sum(axis=1)), 1, atol=1e-3)
    n_grouped = (groups.sizes[groups.members] > 1).sum()
    np.testing.assert_allclose(space.scales, sizes[:3] / np.sqrt(n_grouped), rtol=1e-3)


def test_projected_deviations_have_unit_variance(planted, rng):
    groups = find_groups(planted)
    space = fit_within_space(planted, groups, n_components=3, rng=rng)

    scores = project_deviations(planted, groups, space)

    np.testing.assert_allclose((scores**2).mean(axis=0), 1, rtol=1e-3)
