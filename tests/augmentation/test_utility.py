"""The grid pairs what it compares, leaves studies out whole and averages by hand."""

import numpy as np
import pytest
from scipy import sparse

from expressome.augmentation import utility
from expressome.augmentation.rare_labels import make_rare
from expressome.augmentation.training_samples import collect_training
from expressome.augmentation.utility import (
    Trial,
    UtilityOptions,
    measure_utility,
    score_methods,
    summarize_utility,
)
from expressome.errors import InvalidValueError, LabelError

LABELS = sparse.csr_array(np.eye(2, dtype=np.uint8)[[0] * 24 + [1] * 24])


@pytest.fixture
def samples(rng):
    """Liver and brain in eight studies each, apart by one spread in every gene."""
    centres = np.repeat([[5.0], [6.0]], 24, axis=0)
    studies = np.repeat([f"L{i}" for i in range(8)] + [f"B{i}" for i in range(8)], 3)
    values = np.maximum(centres + rng.normal(size=(48, 12)), 0)
    return collect_training(values, LABELS, studies, keys=["liver", "brain"])


class NearestCentre:
    """A classifier of the simplest kind, which notes what it was given."""

    def __init__(self):
        self.fits = []

    def __call__(self, training, *, extra, is_weighted, **_):
        self.fits.append((training, extra, is_weighted))
        values, labels = training.values, training.labels.toarray()
        if extra is not None:
            values = np.vstack([values, extra.values])
            labels = np.vstack([labels, extra.labels.toarray()])
        centres = (labels.T @ values) / np.maximum(labels.sum(axis=0), 1)[:, None]

        def score(unseen):
            distances = ((unseen[:, None] - centres[None]) ** 2).sum(axis=2)
            shares = np.exp(-distances)
            return shares / shares.sum(axis=1, keepdims=True)

        return score


def test_every_way_sees_the_same_real_samples_and_no_unseen_study(samples):
    fit = NearestCentre()
    options = UtilityOptions(fit, ["mixup", "copula"])

    trials = measure_utility(samples, ["brain"], options=options, sizes=(5,), n_repeats=2)

    assert [trial.method for trial in trials] == ["none", "class-weights", "mixup", "copula"] * 2
    for repeat in (0, 1):
        fits = fit.fits[4 * repeat : 4 * repeat + 4]
        assert len({id(training) for training, *_ in fits}) == 1
        assert [is_weighted for *_, is_weighted in fits] == [False, True, False, False]
        training = fits[0][0]
        assert len(training.holders("brain")) == 5
        # Half of the brain studies and a quarter of the others are left out whole.
        assert len(set(training.studies)) <= 4 + 6
        seen = {tuple(row) for row in training.values}
        left_out = ~np.isin(samples.studies, list(set(training.studies)))
        assert not any(tuple(row) in seen for row in samples.values[left_out])


def test_smaller_sizes_are_among_the_larger(samples):
    fit = NearestCentre()

    measure_utility(
        samples, ["liver"], options=UtilityOptions(fit, []), sizes=(5, 10, 20), n_repeats=1
    )

    kept = {}
    for training, _, is_weighted in fit.fits:
        rows = training.values[training.holders("liver")]
        kept[len(rows), is_weighted] = {tuple(row) for row in rows}
    # Twelve liver samples stay in four studies: 20 are not reached.
    assert sorted({n for n, _ in kept}) == [5, 10]
    assert kept[5, False] < kept[10, False]


def test_trials_do_not_depend_on_which_methods_stand_beside(samples):
    options = [
        UtilityOptions(NearestCentre(), methods) for methods in (["mixup"], ["copula", "mixup"])
    ]

    found = [
        measure_utility(samples, ["brain"], options=option, sizes=(5,), n_repeats=1)
        for option in options
    ]

    assert found[0][2] == found[1][3]


def test_scores_are_those_of_scikit_learn_on_unseen_samples(samples):
    from sklearn.metrics import average_precision_score, f1_score

    training, unseen = samples.select(np.r_[0:12, 24:36]), samples.select(np.r_[12:24, 36:48])
    fit = NearestCentre()

    (trial,) = score_methods(
        training,
        unseen,
        ["brain"],
        options=UtilityOptions(fit, [], is_weighted_tried=False),
    )

    found = fit(training, extra=None, is_weighted=False, seed=0)(unseen.values)[:, 1]
    truth = np.repeat([0, 1], 12)
    assert trial.average_precision == pytest.approx(average_precision_score(truth, found))
    # Two labels: the more probable one is the one above one half.
    assert trial.f1 == pytest.approx(f1_score(truth, found > 0.5))
    assert (trial.n_real, trial.n_held) == (12, 12)


def test_a_label_is_answered_where_no_other_that_excludes_it_is_more_probable(samples):
    # Organ goes with liver; brain excludes both.
    carried = sparse.csr_array(np.array([[1, 1, 0]] * 24 + [[0, 0, 1]] * 24, dtype=np.uint8))
    known = collect_training(
        samples.values, carried, samples.studies, keys=["organ", "liver", "brain"]
    )

    def fit(*_, **__):
        answers = np.array([[0.6, 0.3, 0.2]] * 24 + [[0.6, 0.3, 0.4]] * 24)
        return lambda _: answers

    (trial,) = score_methods(
        known, known, ["liver"], options=UtilityOptions(fit, [], is_weighted_tried=False)
    )

    assert trial.f1 == 1


def test_gains_are_paired_by_hand():
    trials = [
        Trial("liver", 5, repeat, method, score, 0.0, 9)
        for repeat, plain, mixed in ((0, 0.2, 0.3), (1, 0.8, 1.0))
        for method, score in (("none", plain), ("mixup", mixed))
    ]

    none, mixup = summarize_utility(trials)

    assert none["average_precision"]["gain"] == 0
    entry = mixup["average_precision"]
    assert entry["mean"] == pytest.approx(0.65)
    assert entry["gain"] == pytest.approx(0.15)
    # Gains 0.1 and 0.2: standard error 0.05, t with one degree of freedom 12.706.
    assert entry["high"] - entry["gain"] == pytest.approx(12.706 * 0.05, rel=1e-4)
    assert mixup["n_pairs"] == 2


def test_sizes_are_averaged_together_where_asked():
    trials = [Trial("liver", n, 0, "none", 0.1 * n, 0.0, 9) for n in (2, 4)]

    assert [row["n_real"] for row in summarize_utility(trials)] == [2, 4]
    (row,) = summarize_utility(trials, by_size=False)
    assert (row["n_real"], row["n_pairs"]) == (None, 2)
    assert row["average_precision"]["mean"] == pytest.approx(0.3)


def test_one_pair_has_no_interval():
    (row,) = summarize_utility([Trial("liver", 5, 0, "none", 0.5, 0.5, 3)])

    assert np.isnan(row["f1"]["low"])


def test_a_label_of_one_study_cannot_be_tested(samples):
    alone = collect_training(
        samples.values, LABELS, ["A"] * 24 + ["B"] * 24, keys=["liver", "brain"]
    )
    options = UtilityOptions(NearestCentre(), ["mixup"])

    assert measure_utility(alone, ["liver"], options=options, sizes=(5,), n_repeats=1) == []


def test_unknown_label_and_no_repeat_are_refused(samples):
    options = UtilityOptions(NearestCentre(), [])

    with pytest.raises(LabelError, match="close: brain"):
        measure_utility(samples, ["brian"], options=options)
    with pytest.raises(InvalidValueError, match="n_repeats is 0"):
        measure_utility(samples, ["brain"], options=options, n_repeats=0)


def test_the_grid_asks_about_the_sizes_of_the_field():
    assert utility.SIZES == (5, 10, 20, 50)


def test_rare_sets_keep_their_labels_and_frequent_ones_get_nothing(rng):
    # 60 samples of {0}, 4 of {0, 1}, one of {2}.
    carried = np.array([[1, 0, 0]] * 60 + [[1, 1, 0]] * 4 + [[0, 0, 1]], dtype=np.uint8)
    values = rng.gamma(3, size=(65, 6))
    studies = np.arange(65).astype(str)

    made = make_rare(
        values, sparse.csr_array(carried), studies, method="copula", n_per_set=7, rng=rng
    )

    assert made.values.shape == (7, 6)
    assert np.unique(made.labels.toarray(), axis=0).tolist() == [[1, 1, 0]]
    assert made.n_made == {(0, 1): 7}
    assert "has 1 training samples, and copula needs 2" in made.refused[2,]


def test_no_rare_set_gives_no_rows(rng):
    values = rng.gamma(3, size=(60, 4))

    made = make_rare(
        values, sparse.csr_array(np.ones((60, 1))), ["A"] * 60, method="mixup", rng=rng
    )

    assert made.values.shape == (0, 4)
    assert made.labels.shape == (0, 1)


@pytest.mark.slow
def test_the_generator_leaves_out_sets_of_two(plant, rng):
    samples = plant(rng, n_per_group=5)

    made = make_rare(
        samples.values, samples.labels, samples.studies, method="gan", n_per_set=3, rng=rng
    )

    assert made.n_made == {(0,): 3, (1,): 3}
    assert list(made.refused) == [(2,)]
    assert made.values.min() >= 0
