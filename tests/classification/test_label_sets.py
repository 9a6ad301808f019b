"""Label powerset: classes, merging, ancestors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from expressome.classification.label_sets import (
    LabelSets,
    close_labels,
    fit_label_sets,
    specific_labels,
)
from expressome.errors import LabelError


def test_rare_sets_join_their_most_frequent_subset_and_are_counted():
    rows = [[1, 0, 0]] * 6 + [[0, 1, 0]] * 9 + [[1, 1, 0]] * 2 + [[0, 0, 1]] * 5

    sets, classes = fit_label_sets(sparse.csr_array(np.array(rows)))

    assert sets.sets.tolist() == [[False, False, True], [False, True, False], [True, False, False]]
    assert sets.merged == (((0, 1), (1,), 2),)
    assert sets.n_merged_samples == 2
    assert sets.n_samples.tolist() == [5, 11, 6]
    assert classes[15:17].tolist() == [1, 1]


def test_a_label_is_never_lost_by_merging():
    rows = [[1, 0]] * 8 + [[1, 1]] * 2

    sets, _ = fit_label_sets(sparse.csr_array(np.array(rows)))

    assert sets.merged == ()
    assert sets.sets.any(axis=0).all()


def test_a_rare_set_without_subset_stays():
    sets, _ = fit_label_sets(sparse.csr_array(np.array([[1, 0]] * 8 + [[0, 1]])))

    assert sets.n_samples.tolist() == [1, 8]


@given(seed=st.integers(0, 2**16), n_labels=st.integers(1, 5), n_samples=st.integers(1, 40))
def test_every_sample_has_a_class_that_holds_part_of_its_labels(seed, n_labels, n_samples):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2, (n_samples, n_labels))
    rows[:, 0] |= rows.sum(axis=1) == 0

    sets, classes = fit_label_sets(sparse.csr_array(rows))

    assert (sets.sets[classes] <= rows.astype(bool)).all()
    assert (sets.sets.any(axis=0) == rows.any(axis=0)).all()
    assert sets.n_samples.sum() == n_samples


def test_samples_without_label_are_counted():
    with pytest.raises(LabelError, match="1 of 2 samples carry no label"):
        fit_label_sets(sparse.csr_array(np.array([[1, 0], [0, 0]])))


def test_probability_of_a_label_is_the_sum_over_its_sets():
    sets = LabelSets(np.array([[True, False], [True, True]]), np.array([1, 1]))

    np.testing.assert_allclose(
        sets.to_label_probabilities(np.array([[0.3, 0.7]])), [[1.0, 0.7]], atol=1e-12
    )


def test_grandchildren_imply_all_ancestors():
    closed = close_labels(sparse.csr_array([[0, 0, 1]]), [-1, 0, 1])

    assert closed.toarray().tolist() == [[1, 1, 1]]


def test_a_circle_of_parents_is_refused():
    with pytest.raises(LabelError, match="its own ancestor"):
        close_labels(sparse.csr_array([[1, 0]]), [1, 0])


def test_the_most_specific_label_is_the_deepest_then_the_rarest():
    sets = LabelSets(np.array([[True, True, True], [True, False, True]]), np.array([1, 1]))

    found = specific_labels(sets, [-1, 0, -1], np.array([9, 5, 2]))

    assert found.tolist() == [1, 2]
