"""What the fault suite works on: one small house, copied for each fault."""

import os
import shutil

import numpy as np
import pytest
from tests.support.studies import make_study_atlas

from expressome.pipeline.training import train

TISSUES = ["brain", "heart", "liver", "lung"]
# Moments at which each command is killed: few in CI, twenty by `make faults`.
N_MOMENTS = int(os.environ.get("EXPRESSOME_FAULT_MOMENTS", "1"))


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Give a folder with a file, labels, an atlas and a model of 224 samples."""
    folder = tmp_path_factory.mktemp("house")
    tissues = np.repeat(TISSUES, 56)
    studies = np.repeat(np.arange(56), 4)
    make_study_atlas(folder, tissues, studies, labelled=studies % 6 != 5)
    train(folder / "atlas.zarr", out=folder / "model", n_trees=20)
    return folder


@pytest.fixture
def house(built, tmp_path):
    """Give a copy of it that a test may break."""
    folder = tmp_path / "house"
    shutil.copytree(built, folder)
    return folder
