"""Marker genes by permutation on unseen studies, and effects of single genes."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from expressome.classification.classifier import Classifier, Settings
from expressome.classification.importance import (
    list_markers,
    measure_importance,
    merge_importance,
)
from expressome.classification.label_sets import LabelSets
from expressome.classification.reasons import measure_effects
from expressome.classification.study_profiles import StudyProfiles, fit_study_profiles
from expressome.classification.tuning import FitOptions, Samples
from expressome.errors import ModelError


@pytest.fixture(scope="module")
def fitted():
    """Three labels, each with two genes of its own among 12; label 2 is low in gene 5."""
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], 40)
    values = rng.normal(5, 1, (120, 12)).astype(np.float32)
    for k, genes, shift in ((0, [0, 1], 4), (1, [2, 3], 4), (2, [4], 4), (2, [5], -5)):
        values[np.ix_(classes == k, genes)] += shift
    studies = np.array([f"s{i % 6}" for i in range(120)], dtype=object)
    labels = sparse.csr_array(np.eye(3, dtype=np.uint8)[classes])
    settings = Settings(n_trees=60, linear_share=0.25, penalty=500.0, study_effects=False)
    is_train = np.arange(120) % 2 == 0
    train = Samples(values, labels, studies).take(is_train)
    classifier, _ = train.fit(settings, FitOptions())
    return classifier, values[~is_train], labels[~is_train], studies[~is_train]


def test_the_genes_planted_for_a_label_lead_with_their_direction(fitted):
    classifier, values, labels, studies = fitted

    found = measure_importance(
        classifier, values, labels, studies=studies, rng=np.random.default_rng(0)
    )

    markers = list_markers(
        found, [f"G{g}" for g in range(12)], [""] * 12, label_keys=["a", "b", "c"], n_markers=2
    )
    assert {row["gene"] for row in markers["a"]} == {"G0", "G1"}
    assert {row["gene"] for row in markers["b"]} == {"G2", "G3"}
    assert {row["gene"]: row["direction"] for row in markers["c"]} == {"G4": "high", "G5": "low"}


def test_the_forests_share_equals_permuting_whole_columns(fitted):
    classifier, values, labels, _ = fitted
    studies = np.arange(len(values)).astype(str).astype(object)
    only_forest = Classifier(classifier.label_sets, classifier.forest, None, 0.0)

    found = measure_importance(
        only_forest, values, labels, studies=studies, rng=np.random.default_rng(3)
    )

    rng = np.random.default_rng(3)
    donors = [rng.permutation(len(values)) for _ in range(3)]
    truth = labels.toarray().astype(bool)

    def separation(votes):
        return np.array(
            [votes[truth[:, k], k].mean() - votes[~truth[:, k], k].mean() for k in range(3)]
        )

    sets = classifier.label_sets.sets.astype(float)
    whole = separation(classifier.forest.predict(values) @ sets)
    for g in range(12):
        lost = np.zeros(3)
        for rows in donors:
            moved = values.copy()
            moved[:, g] = values[rows, g]
            lost += (whole - separation(classifier.forest.predict(moved) @ sets)) / 3
        np.testing.assert_allclose(found.lost[g], lost, atol=1e-9)


def test_a_label_of_no_unseen_study_has_no_markers_and_folds_are_averaged(fitted):
    classifier, values, labels, studies = fitted
    held = labels.toarray()[:, 2] == 0
    whole = measure_importance(
        classifier, values, labels, studies=studies, rng=np.random.default_rng(0)
    )
    part = measure_importance(
        classifier, values[held], labels[held], studies=studies[held], rng=np.random.default_rng(0)
    )

    merged = merge_importance([whole, part])

    assert (
        list_markers(part, list("abcdefghijkl"), [""] * 12, label_keys=["a", "b", "c"])["c"] == []
    )
    np.testing.assert_allclose(merged.lost[:, 2], whole.lost[:, 2])
    np.testing.assert_allclose(merged.lost[:, 0], (whole.lost[:, 0] + part.lost[:, 0]) / 2)
    assert merge_importance([]) is None


def test_setting_a_genes_value_to_the_median_is_what_its_effect_says(fitted):
    classifier, values, labels, _ = fitted
    medians = np.median(values, axis=0).astype(np.float32)
    sample = values[labels.toarray()[:, 0] == 1][0]

    effects = measure_effects(classifier, sample, medians, label=0)

    moved = sample.copy()
    moved[0] = medians[0]
    # Whatever the temperature: votes are asked before calibration.
    assert measure_effects(
        replace(classifier, temperature=0.1), sample, medians, label=0
    ).vote == pytest.approx(effects.vote)
    copies = np.repeat(sample[None], len(sample), axis=0)
    np.fill_diagonal(copies, medians)
    np.testing.assert_allclose(effects.without, classifier.predict_labels(copies)[:, 0], atol=1e-6)
    assert effects.without[0] == pytest.approx(classifier.predict_labels(moved[None])[0, 0])
    assert effects.vote == pytest.approx(classifier.predict_labels(sample[None])[0, 0])
    assert effects.log_odds[:2].sum() > 0
    assert effects.log_odds[:2].mean() > effects.log_odds[6:].mean()


def test_profiles_find_the_study_a_sample_comes_from_and_stay_few():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(1500, 30)).astype(np.float32)
    studies = np.array([f"s{i}" for i in range(1500)], dtype=object)
    labels = np.repeat([0, 1], [1400, 100])

    found = fit_study_profiles(centres, labels, studies)

    assert len(found.studies) <= 1000
    assert (found.labels == 1).sum() == 100
    nearest = found.compare(centres[1450]).argmax()
    assert (found.studies[nearest], found.labels[nearest]) == ("s1450", 1)
    again = StudyProfiles.from_parts(found.to_parts())
    np.testing.assert_array_equal(again.profiles, found.profiles)
    with pytest.raises(ModelError, match="study_profiles lacks profiles"):
        StudyProfiles.from_parts({k: v for k, v in found.to_parts().items() if k != "profiles"})


def test_a_sample_of_two_labels_counts_for_both():
    sets = LabelSets(np.array([[True, True], [False, True]]), np.array([5, 5]))
    values = np.array([[0.0], [1.0]] * 5, np.float32)
    labels = sparse.csr_array(sets.sets[[0, 1] * 5].astype(np.uint8))
    settings = Settings(n_trees=5, linear_share=0.0, study_effects=False)
    studies = np.array(list("aabbccddee"), dtype=object)
    classifier, _ = Samples(values, labels, studies).fit(settings, FitOptions())

    found = measure_importance(
        classifier, values, labels, studies=studies, rng=np.random.default_rng(0)
    )

    # Every sample carries the second label: nothing separates it.
    assert found.lost[0, 0] > 0
    assert found.n_studies.tolist() == [5, 0]
    assert found.lost[0, 1] == 0
