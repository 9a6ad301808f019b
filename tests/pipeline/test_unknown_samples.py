"""Samples that a model must not answer: a new tissue, single cells; and why."""

import warnings

import numpy as np
import pandas as pd
import pytest
from tests.support.studies import gene_table, make_study_atlas

from expressome.errors import LabelWarning
from expressome.pipeline.predicting import load_model
from expressome.pipeline.training import train

TISSUES = np.array(["brain", "heart", "kidney", "liver", "lung", "skin"])


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Six tissues in 10 studies; skin and a sixth of the studies carry no label."""
    folder = tmp_path_factory.mktemp("unknown")
    studies = np.repeat(np.arange(60), 4)
    tissues = TISSUES[studies % 6]
    is_new = tissues == "skin"
    is_held = studies % 10 >= 8
    with warnings.catch_warnings():
        # The tissue without label cannot be tested.
        warnings.simplefilter("ignore", LabelWarning)
        _, counts = make_study_atlas(
            folder, tissues, studies, labelled=~is_new & ~is_held, study_strength=0.4
        )
        train(folder / "atlas.zarr", out=folder / "model", n_trees=10, time_budget_s=0)
    model = load_model(folder / "model")

    def ask(rows):
        frame = pd.DataFrame(rows.T, index=gene_table().index)
        return model.predict(frame.set_axis([f"S{i}" for i in range(len(rows))], axis=1))

    return ask, counts, is_new, is_held & ~is_new


def test_a_tissue_left_out_of_training_is_unknown_and_unseen_studies_are_not(answers):
    ask, counts, is_new, is_known = answers

    new, known = ask(counts[is_new]), ask(counts[is_known])

    assert new["unknown"].mean() >= 0.8
    assert known["unknown"].mean() <= 0.15
    assert (
        new.loc[new["unknown"], "reason"].str.contains("unlike the training samples|no label").all()
    )
    assert (known.loc[~known["unknown"], "reason"] == "").all()


def test_single_cells_are_unknown(answers, rng):
    ask, counts, _, is_known = answers

    cells = ask(rng.binomial(counts[is_known].astype(np.int64), 0.003))

    assert cells["unknown"].mean() >= 0.8
    assert (cells.loc[cells["unknown"], "reason"] != "").all()
