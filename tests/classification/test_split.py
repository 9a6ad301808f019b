"""Splits keep studies whole and share out labels."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from expressome.classification.folds import StudyKFold
from expressome.classification.split import join_duplicates, split_by_study
from expressome.classification.stratification import Demand, assign_studies
from expressome.errors import (
    EmptySelectionError,
    InvalidValueError,
    LabelWarning,
    SelectionError,
    ShapeError,
)


def one_hot(codes, n_labels):
    n = len(codes)
    return sparse.csr_array((np.ones(n, np.uint8), codes, np.arange(n + 1)), shape=(n, n_labels))


@settings(max_examples=25, deadline=None)
@given(
    n_studies=st.integers(1, 25),
    n_labels=st.integers(1, 6),
    n_samples=st.integers(1, 80),
    seed=st.integers(0, 2**16),
)
@pytest.mark.filterwarnings("ignore::expressome.errors.LabelWarning")
def test_no_study_is_ever_cut(n_studies, n_labels, n_samples, seed):
    rng = np.random.default_rng(seed)
    studies = rng.integers(0, n_studies, n_samples).astype(str)
    labels = sparse.csr_array(rng.integers(0, 2, (n_samples, n_labels)).astype(np.uint8))

    split = split_by_study(labels, studies, rng=rng)

    assert all(len(set(split.parts[studies == study])) == 1 for study in set(studies))
    assert set(split.parts) <= {"train", "validation", "test"}


def test_labels_of_one_study_stay_in_training_and_are_named(rng):
    studies = np.array(["GSE1"] * 3 + ["GSE2"] * 4 + ["GSE3"] * 4)
    labels = one_hot([0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 2)

    with pytest.warns(LabelWarning, match="1 of 2 labels cannot be tested .*: ovary"):
        split = split_by_study(labels, studies, rng=rng, label_keys=["ovary", "liver"])

    assert set(split.parts[:3]) == {"train"}
    assert split.report["untestable"] == {
        "ovary": "carried by one study only, which stays in training"
    }
    assert split.report["labels"]["liver"]["testable"]


def test_two_studies_go_to_training_and_test(rng):
    split = split_by_study(one_hot([0] * 8, 1), ["a"] * 5 + ["b"] * 3, rng=rng)

    assert split.parts.tolist() == ["train"] * 5 + ["test"] * 3


def test_every_label_of_many_studies_reaches_its_shares(rng):
    studies = np.repeat(np.arange(120), 10).astype(str)
    labels = one_hot(np.repeat(np.arange(120) % 6, 10), 6)

    split = split_by_study(labels, studies, rng=rng)

    for entry in split.report["labels"].values():
        assert (entry["train"]["studies"], entry["validation"]["studies"]) == (14, 3)


def test_samples_without_a_share_join_no_part(rng):
    split = split_by_study(one_hot([0] * 30, 1), np.arange(30), fractions=(80, 20, 0), rng=rng)

    assert set(split.parts) == {"train", "validation"}


def test_assignment_reaches_the_optimum_of_small_cases(rng):
    amounts = rng.integers(0, 6, (7, 3))
    amounts[amounts < 2] = 0
    sizes = amounts.sum(axis=1) + 1
    shares = np.array([0.6, 0.2, 0.2])
    demand = Demand(shares, np.zeros(3), np.ones(3, np.int64))

    parts = assign_studies(
        sparse.csr_array(amounts), sizes, demand=demand, fixed=np.full(7, -1), rng=rng
    )

    def cost(choice):
        held = np.vstack([amounts.T, sizes]) @ np.eye(3)[list(choice)]
        shared = held / held.sum(axis=1, keepdims=True)
        return ((shared - shares) ** 2).sum()

    best = min(cost(choice) for choice in itertools.product(range(3), repeat=7))
    assert cost(parts) == pytest.approx(best, abs=1e-9)


def test_the_same_seed_gives_the_same_split():
    studies = np.arange(60) // 3
    labels = one_hot(np.arange(60) // 3 % 4, 4)

    parts = [
        split_by_study(labels, studies, rng=np.random.default_rng(5)).parts.tolist()
        for _ in range(2)
    ]

    assert parts[0] == parts[1]


def test_synthetic_samples_are_refused_with_their_number(rng):
    with pytest.raises(SelectionError, match="2 of 4 samples are synthetic"):
        split_by_study(one_hot([0] * 4, 1), list("abcd"), rng=rng, is_synthetic=[0, 1, 1, 0])


def test_bad_input_is_named_with_numbers(rng):
    with pytest.raises(ShapeError, match="3 samples have labels but 2 have a study"):
        split_by_study(one_hot([0] * 3, 1), ["a", "b"], rng=rng)
    with pytest.raises(EmptySelectionError, match="no labelled sample"):
        split_by_study(sparse.csr_array((0, 2), dtype=np.uint8), [], rng=rng)
    with pytest.raises(InvalidValueError, match=r"fractions are \(70, 30\)"):
        split_by_study(one_hot([0], 1), ["a"], fractions=(70, 30), rng=rng)
    with pytest.raises(InvalidValueError, match="training share is 0"):
        split_by_study(one_hot([0], 1), ["a"], fractions=(0, 50, 50), rng=rng)


def test_duplicated_counts_join_their_studies():
    joined = join_duplicates(
        ["GSE5", "GSE4", "GSE4", "GSE3", "GSE9"], [b"x", b"x", b"y", b"y", b"z"]
    )

    assert joined.tolist() == ["GSE3", "GSE3", "GSE3", "GSE3", "GSE9"]


def test_folds_work_as_a_scikit_learn_splitter_with_multi_label_targets(rng):
    from sklearn.dummy import DummyClassifier
    from sklearn.model_selection import cross_val_predict

    groups = np.repeat(np.arange(12), 3)
    y = np.zeros((36, 3), int)
    y[np.arange(36), groups % 3] = 1

    predicted = cross_val_predict(
        DummyClassifier(strategy="most_frequent"),
        np.zeros((36, 1)),
        y,
        groups=groups,
        cv=StudyKFold(4),
    )

    assert predicted.shape == (36, 3)


def test_folds_test_each_sample_once_and_keep_studies_whole():
    groups = np.repeat(np.arange(10), 4)
    y = np.repeat(np.arange(10) % 2, 4)

    folds = list(StudyKFold(5).split(None, y, groups))

    assert sorted(np.concatenate([test for _, test in folds])) == list(range(40))
    assert all(not set(groups[train]) & set(groups[test]) for train, test in folds)
    assert all(len(set(y[test])) == 2 for _, test in folds)


def test_folds_name_too_few_studies():
    with pytest.raises(InvalidValueError, match="2 studies cannot fill 3 folds"):
        list(StudyKFold(3).split(None, [0, 1], ["a", "b"]))
    with pytest.raises(InvalidValueError, match="n_splits is 1"):
        StudyKFold(1)


def test_folds_ask_for_studies():
    with pytest.raises(InvalidValueError, match="pass the study of each sample as groups"):
        next(StudyKFold().split(None, [0, 1]))


@pytest.mark.parametrize("n_studies", [64, 66, 69, 70])
def test_folds_are_cut_whether_studies_exchange_places_or_are_too_many(n_studies):
    # Each fold's first study is fixed: of 69, 64 are free to exchange places.
    studies = np.repeat(np.arange(n_studies), 2)
    labels = one_hot(studies % 3, 3)

    folds = list(StudyKFold(5).split(None, labels, studies))

    held = np.concatenate([held for _, held in folds])
    assert sorted(held.tolist()) == list(range(2 * n_studies))
