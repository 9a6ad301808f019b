"""What the demo leaves, made of a fifth of its samples, tissues only, and a small forest."""

from expressome.pipeline.annotating import annotate
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize
from expressome.pipeline.training import train
from expressome.simulation.compendium import list_labels, simulate_compendium

SIZES = {"n_samples": 480, "n_studies": 60, "seed": 3}


def make_small_demo(folder):
    """Write compendium.h5, labels.parquet, atlas.zarr and model into a folder."""
    simulate_compendium(folder / "compendium.h5", **SIZES)
    lists = list_labels(**SIZES).labels
    # Tissues only: a cell line of liver would stand beside liver in what it expresses.
    lists[lists["kind"] == "tissue"].to_csv(folder / "lists.tsv", sep="\t", index=False)
    annotate(folder / "compendium.h5", folder / "lists.tsv", out=folder / "labels.parquet")
    normalize(folder / "compendium.h5", labels=folder / "labels.parquet", out=folder / "atlas.zarr")
    measure(folder / "atlas.zarr")
    train(folder / "atlas.zarr", out=folder / "model", n_trees=20, n_genes=500, study_effects=False)
    return folder
