"""Figures separate real from noise, and their parts equal hand-made values."""

import numpy as np
import pytest

from expressome.augmentation import fidelity
from expressome.augmentation.fidelity import (
    METRICS,
    Yardstick,
    measure_fidelity,
    measure_memorisation,
)
from expressome.errors import ShapeError

HIGH_IS_GOOD = ("precision", "coverage", "correlation_agreement", "markers_kept")
LOW_IS_GOOD = ("frechet_distance", "mmd", "ks_distance", "two_sample_auc", "medoid_distance")


@pytest.fixture
def real(planted):
    return planted.values[planted.holders("liver")]


def test_real_samples_beat_noise_on_every_metric(planted, real, rng):
    yardstick = Yardstick(real, planted.values, rng=rng)

    for metric in HIGH_IS_GOOD:
        assert yardstick.ceiling[metric] > yardstick.floor[metric], metric
    for metric in LOW_IS_GOOD:
        assert yardstick.ceiling[metric] < yardstick.floor[metric], metric


def test_other_real_samples_score_like_the_ceiling(plant, rng):
    planted = plant(rng, n_per_group=80)
    holders = rng.permutation(planted.holders("liver"))
    real, others = planted.values[holders[:80]], planted.values[holders[80:]]

    found = measure_fidelity(real, others, background=planted.values, rng=rng)

    assert list(found) == list(METRICS)
    assert found["two_sample_auc"]["value"] < 0.8
    assert found["two_sample_auc"]["floor"] > 0.9
    ceiling = found["correlation_agreement"]["ceiling"]
    assert found["correlation_agreement"]["value"] == pytest.approx(ceiling, abs=0.15)


def test_the_same_seed_gives_the_same_figures(planted, real):
    found = [
        measure_fidelity(real, real[:9], background=planted.values, rng=np.random.default_rng(5))
        for _ in range(2)
    ]

    assert found[0] == found[1]


def test_five_real_samples_are_too_few_and_give_nan(planted, real, rng):
    found = measure_fidelity(real[:5], real, background=planted.values, rng=rng)

    assert all(np.isnan(entry["value"]) for entry in found.values())


def test_zero_fraction_counts_values_at_the_samples_minimum():
    values = np.array([[0.5, 0.5, 2.0], [0.7, 3.0, 0.9]])

    assert fidelity._zero_fraction(values).tolist() == [1.0, 0.5, 0.0]


def test_medoid_distance_by_hand():
    # Medoid 1; the real ones lie 1 and 3 from it, mean 2; the made ones 5 and 7.
    real, made = np.array([[0.0], [1.0], [4.0]]), np.array([[6.0], [8.0]])

    assert fidelity._medoid_distance(real, made) == pytest.approx(6 / 2)


def test_correlation_agreement_of_a_set_with_itself_is_1(rng):
    values = rng.normal(size=(20, 8))

    assert fidelity._correlation_agreement(values, values * 3 + 1) == pytest.approx(1)


def test_correlation_agreement_equals_numpy(rng):
    real, made = rng.normal(size=(20, 5)), rng.normal(size=(20, 5))
    pairs = np.triu_indices(5, 1)
    expected = np.corrcoef(np.corrcoef(real.T)[pairs], np.corrcoef(made.T)[pairs])[0, 1]

    assert fidelity._correlation_agreement(real, made) == pytest.approx(expected)


def test_other_genes_are_refused(planted, real, rng):
    with pytest.raises(ShapeError, match="real samples have 60 genes, the background 59"):
        Yardstick(real, planted.values[:, :59], rng=rng)


def test_copies_are_counted(rng):
    training = rng.normal(size=(20, 30)).astype(np.float32)
    held = rng.normal(size=(10, 30)).astype(np.float32)
    made = np.vstack([training[:4], held])

    found = measure_memorisation(made, training, held, rng=rng)

    assert found["n_copies"] == 4
    assert found["nearest_neighbour_ratio"] == pytest.approx(1, abs=0.15)


def test_memorisation_by_hand(rng):
    training = np.array([[0.0], [10.0]], dtype=np.float32)
    held = np.array([[2.0], [14.0]], dtype=np.float32)
    made = np.array([[1.0], [13.0]], dtype=np.float32)

    found = measure_memorisation(made, training, held, rng=rng)

    # Medians of 1 and 3, and of 2 and 4.
    assert found == {"nearest_neighbour_ratio": pytest.approx(2 / 3), "n_copies": 0}


def test_real_replicates_far_from_the_held_back_study_are_no_copies():
    training = np.array([[0.0], [1.0], [2.0]], dtype=np.float32)
    held = np.array([[102.0], [104.0]], dtype=np.float32)
    made = np.array([[0.5], [1.05]], dtype=np.float32)

    found = measure_memorisation(made, training, held, rng=np.random.default_rng(0))

    # A tenth of 101 would hold both; a tenth of the spacing, 1, holds the second alone.
    assert found["n_copies"] == 1
    assert found["nearest_neighbour_ratio"] == pytest.approx(0.275 / 101)
