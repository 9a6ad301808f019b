"""What the fault suite works on: one small house, copied for each fault."""

import os
import shutil
from functools import cache

import numpy as np
import pandas as pd
import pytest
from tests.faults.commands import COMMANDS, timed_run
from tests.support.build import make_archs4, make_samples
from tests.support.studies import gene_table, make_study_atlas

from expressome.archs4.reader import open_archs4
from expressome.pipeline.training import train

TISSUES = ["brain", "heart", "liver", "lung"]
# Moments at which each command is killed: few in CI, twenty by `make faults`.
N_MOMENTS = int(os.environ.get("EXPRESSOME_FAULT_MOMENTS", "1"))


def make_newer(folder):
    """Write a newer release: 40 samples gone, 20 with other counts, 48 new ones."""
    older = open_archs4(folder / "compendium.h5")
    counts = older.counts()[40:]
    counts[:20] += 1
    samples = pd.DataFrame({"series": older.samples["series"].iloc[40:]})
    fresh = pd.DataFrame(
        {"series": [f"GSE9{i // 4}" for i in range(48)]},
        index=[f"GSM{5000 + i}" for i in range(48)],
    )
    make_archs4(
        folder / "release.h5",
        counts=np.vstack([counts, counts[:48] + 3]),
        samples=pd.concat([samples, fresh]).rename_axis("sample"),
        genes=gene_table(),
    )


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Give a folder with files, labels, an atlas and a model of 224 samples."""
    folder = tmp_path_factory.mktemp("house")
    tissues = np.repeat(TISSUES, 56)
    studies = np.repeat(np.arange(56), 4)
    make_study_atlas(folder, tissues, studies, labelled=studies % 6 != 5)
    train(folder / "atlas.zarr", out=folder / "model", n_trees=20, time_budget_s=0)
    make_newer(folder)
    # Enough samples for an index to take a moment, and a download many parts.
    make_archs4(folder / "many.h5", samples=make_samples(40_000), n_samples=40_000, n_genes=4)
    (folder / "arrived").mkdir()
    return folder


@pytest.fixture
def house(built, tmp_path):
    """Give a copy of it that a test may break."""
    folder = tmp_path / "house"
    shutil.copytree(built, folder)
    return folder


@pytest.fixture(scope="session")
def expected(built, tmp_path_factory):
    """Give the hash of what a command makes undisturbed; each runs once."""

    @cache
    def find(name):
        folder = tmp_path_factory.mktemp("undisturbed") / "house"
        shutil.copytree(built, folder)
        return timed_run(COMMANDS[name], folder)[1]

    return find
