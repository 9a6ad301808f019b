"""A small atlas with a model, opened for questions."""

import numpy as np
import pandas as pd
from tests.support.studies import make_study_atlas

from expressome.pipeline.exploring import open_view
from expressome.pipeline.measuring import measure
from expressome.pipeline.training import train

TISSUES = ["brain", "heart", "liver", "lung"]
# Genes 20 k to 20 k + 20 are raised in tissue k.
MARKER_OF_LIVER = 45


def make_explored(folder):
    """Four tissues in nine studies of three samples; every ninth study without labels."""
    tissues = np.repeat(TISSUES, 27)
    studies = np.repeat(np.arange(36), 3)
    labelled = studies % 9 != 8
    truth, counts = make_study_atlas(folder, tissues, studies, labelled=labelled)
    measure(folder / "atlas.zarr")
    train(folder / "atlas.zarr", out=folder / "model", n_trees=10, n_genes=60, study_effects=False)
    view = open_view(folder / "atlas.zarr", model=folder / "model")
    return folder, truth, counts, view


def write_table(path, view, counts, names):
    """Write counts, samples x genes, as people's tables are: genes x samples."""
    table = pd.DataFrame(counts.T, index=view.atlas.var.index, columns=names)
    table.rename_axis("gene").to_csv(path, sep="\t")
    return path
