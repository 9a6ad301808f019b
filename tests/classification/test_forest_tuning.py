"""The size and depth of the forest, chosen on held-out studies."""

import numpy as np
import pytest
from scipy import sparse

from expressome.classification import forest_tuning
from expressome.classification.classifier import Settings
from expressome.classification.forest_tuning import choose_forest
from expressome.classification.tuning import FitOptions, Samples

N_SAMPLES = 120


@pytest.fixture
def samples():
    """Two labels of six studies that only a question after a question tells apart."""
    rng = np.random.default_rng(0)
    values = rng.random((N_SAMPLES, 4)).astype(np.float32)
    is_first = (values[:, 0] > 0.5) ^ (values[:, 1] > 0.5)
    labels = sparse.csr_array(np.column_stack([is_first, ~is_first]).astype(np.uint8))
    studies = np.array([f"GSE{i % 6}" for i in range(N_SAMPLES)], dtype=object)
    return Samples(values, labels, studies)


def choose(samples, budget_s=60.0):
    is_held = np.isin(samples.studies, ["GSE0", "GSE1"])
    pairs = [(np.flatnonzero(~is_held), np.flatnonzero(is_held))]
    settings = Settings(n_genes=4, study_effects=False, linear_share=0.0)
    return choose_forest(
        samples, pairs, settings=settings, options=FitOptions(), n_trees=20, budget_s=budget_s
    )


def test_a_depth_that_cuts_trees_short_is_tried_and_refused(samples, monkeypatch):
    monkeypatch.setattr(forest_tuning, "_DEPTHS_TRIED", (1, 1000))

    chosen, report = choose(samples)

    tried = {trial["max_depth"]: trial["score"] for trial in report["trials"]}
    # One question cannot tell the labels apart; no tree asks a thousand.
    assert set(tried) == {None, 1}
    assert tried[1] < tried[None]
    assert chosen.max_depth is None
    assert chosen.n_trees == 20


def test_nothing_is_tried_without_time(samples):
    chosen, report = choose(samples, budget_s=0.0)

    assert report["trials"] == []
    assert report["n_skipped"] > 0
    assert chosen.max_depth is None


def test_more_trees_join_the_first_and_candidates_are_compared_at_as_many(samples, monkeypatch):
    monkeypatch.setattr(forest_tuning, "_N_TREES_TRIED", (1, 20))
    monkeypatch.setattr(forest_tuning, "_MANY_TREES", 40)
    monkeypatch.setattr(forest_tuning, "_DEPTHS_TRIED", (1,))
    is_held = np.isin(samples.studies, ["GSE0", "GSE1"])
    pairs = [(np.flatnonzero(~is_held), np.flatnonzero(is_held))]
    settings = Settings(n_genes=4, study_effects=False, linear_share=0.0)

    chosen, report = choose_forest(
        samples, pairs, settings=settings, options=FitOptions(), n_trees=None, budget_s=60.0
    )

    tried = [(trial["n_trees"], trial["max_depth"]) for trial in report["trials"]]
    # The fourth is class weights, the fifth a depth.
    assert tried == [(1, None), (20, None), (40, None), (20, None), (20, 1)]
    assert [trial["class_weights"] for trial in report["trials"]][:4] == [False] * 3 + [True]
    one, twenty, forty, *_ = (trial["score"] for trial in report["trials"])
    # Twenty trees gain over one; twice as many are kept only where they gain again.
    assert twenty >= one + 0.005
    assert chosen.n_trees == (40 if forty >= twenty + 0.005 else 20)
