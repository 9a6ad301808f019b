"""What each choice of features and forest gives on studies never seen.

    python benchmarks/comparing.py ATLAS [ATLAS ...] --seeds 3
    python benchmarks/comparing.py --simulated 20 21 22 --samples 1600 --only default F-test

The default settings are changed in one thing at a time, fitted on one side of folds by study over
all samples outside the test part (of compendia simulated for this, over all samples) and scored
on the other: share of right labels, mean over the
cells (study, label) whose label training holds. Genes are ordered on the training side of each
fold. Every seed cuts other folds and draws other trees; a cell's scores are averaged over
seeds. Gains over the default are paired over cells, of all atlases together; their standard error
takes the cells of a study together. A forest of 50 trees and 50 invented samples per label, to
save time; `--linear` leaves the forest out altogether.
"""

import argparse
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from expressome.atlas import open_atlas
from expressome.augmentation.study_effects import extend_training, fit_study_effects
from expressome.classification.cells import score_cells
from expressome.classification.classifier import EffectFunctions, Settings, prepare_values
from expressome.classification.folds import fold_pairs
from expressome.classification.tuning import FitOptions, Samples
from expressome.engine import Resources
from expressome.pipeline.annotating import annotate
from expressome.pipeline.gene_ranking import rank_genes
from expressome.pipeline.label_reading import read_labelled
from expressome.pipeline.normalizing import normalize
from expressome.pipeline.value_reading import read_values

DEFAULT = Settings(n_trees=50, n_per_label=50)
CHANGES = {
    "default": {},
    "F-test, 2,000 genes": {"n_genes": 2000},
    "F-test, 500 genes": {"n_genes": 500},
    "F-test, samples as units": {"features": "samples"},
    "information": {"features": "information"},
    "information, 2,000 genes": {"features": "information", "n_genes": 2000},
    "variance": {"features": "variance"},
    "ranks": {"features": "ranks", "use_ranks": True},
    "class weights": {"class_weights": True},
    "depth 12": {"max_depth": 12},
    "depth 6": {"max_depth": 6},
    "without study effects": {"study_effects": False},
    "forest alone": {"linear_share": 0.0},
    "forest alone, class weights": {"linear_share": 0.0, "class_weights": True},
    "forest alone, depth 12": {"linear_share": 0.0, "max_depth": 12},
    "forest alone, without study effects": {"linear_share": 0.0, "study_effects": False},
    "linear scores alone": {"linear_share": 1.0},
}


def read_samples(atlas, labelled, train, settings, n_workers):
    """Order the genes on the training side of a fold and read the best."""
    by_sample = settings.features == "samples"
    genes = rank_genes(
        atlas,
        labelled.rows[train],
        order="f-test" if by_sample else settings.features,
        labels=labelled.labels[train],
        # Every sample a study of its own.
        studies=np.arange(len(train)).astype(object) if by_sample else labelled.studies[train],
        resources=Resources(workers=n_workers),
    )[: DEFAULT.n_genes]
    values = read_values(atlas, labelled.rows, genes, use_ranks=settings.use_ranks)
    return Samples(values, labelled.labels, labelled.studies)


def score(samples, pair, settings, options):
    """Fit on one side of a fold; give the score of every cell (study, label) of the other."""
    train, held = pair
    classifier, medians = samples.take(train).fit(settings, options)
    unseen = samples.take(held)
    values = prepare_values(
        unseen.values[:, : settings.n_genes], medians, use_ranks=settings.use_ranks
    )
    sets = classifier.label_sets.sets[classifier.predict_sets(values).argmax(axis=1)]
    # A label that the fit never saw cannot be right, whatever the settings.
    is_known = np.flatnonzero(classifier.label_sets.sets.any(axis=0))
    truth = sparse.csr_array(unseen.labels[:, is_known])
    rows, columns = truth.nonzero()
    cells = sorted(set(zip(unseen.studies[rows].astype(str), columns.tolist(), strict=True)))
    found = score_cells(sets[:, is_known], truth, unseen.studies)
    keys = [(study, int(is_known[k])) for study, k in cells]
    return dict(zip(keys, found, strict=True))


def score_atlas(path, changes, seeds, n_workers, *, keeps_test=True):
    """Score every change in every cell, mean over seeds."""
    atlas = open_atlas(path)
    labelled = read_labelled(atlas)
    effects = EffectFunctions(fit_study_effects, extend_training)
    rows = np.flatnonzero((labelled.parts != "test") | (not keeps_test))
    found = {}
    for seed in range(seeds):
        for pair in fold_pairs(rows, labelled.labels, labelled.studies, seed=seed):
            read = {}
            for name, change in changes.items():
                settings = replace(DEFAULT, **change)
                order = (settings.features, settings.use_ranks)
                if order not in read:
                    # One order at a time is kept, beside that of the default.
                    read = {key: kept for key, kept in read.items() if key[0] == DEFAULT.features}
                    read[order] = read_samples(atlas, labelled, pair[0], settings, n_workers)
                options = FitOptions(effects, seed, n_workers)
                for cell, value in score(read[order], pair, settings, options).items():
                    found[str(path), *cell, seed, name] = value
    table = pd.Series(found).rename_axis(["atlas", "study", "label", "seed", "change"])
    return table.groupby(["atlas", "study", "label", "change"]).mean().unstack().dropna()


def report(cells, names):
    """Print every change's score and its gain over the default, paired over cells."""
    n_studies = cells.groupby(level=["atlas", "study"]).ngroups
    print(f"{len(cells)} cells of {n_studies} studies")
    for name in names:
        gain = cells[name] - cells["default"]
        # Cells of a study go together (Liang, Zeger 1986): their sums are what varies.
        sums = (gain - gain.mean()).groupby(level=["atlas", "study"]).sum()
        error = np.sqrt((sums**2).sum() * n_studies / (n_studies - 1)) / len(gain)
        per_atlas = gain.groupby(level="atlas", sort=False).mean()
        print(
            f"{name:38s} {cells[name].mean():.3f}  against the default {gain.mean():+.3f} "
            f"(standard error {error:.3f}; per atlas {np.round(per_atlas.to_numpy(), 3)})",
            flush=True,
        )


def make_atlas(folder, n_samples, seed):
    """Simulate and normalise a compendium."""
    from expressome.simulation.compendium import simulate_compendium

    truth = simulate_compendium(
        folder / "c.h5", n_samples=n_samples, n_studies=n_samples // 16, seed=seed
    )
    truth.labels.to_csv(folder / "labels.tsv", sep="\t", index=False)
    annotate(folder / "c.h5", [folder / "labels.tsv"], out=folder / "labels.parquet")
    normalize(folder / "c.h5", labels=folder / "labels.parquet", out=folder / "atlas.zarr")
    return folder / "atlas.zarr"


def compare(asked):
    """Score the atlases, given or simulated, and report them together."""
    changes = {name: CHANGES[name] for name in dict.fromkeys(["default", *asked.only])}
    if asked.linear:
        changes = {name: change | {"linear_share": 1.0} for name, change in changes.items()}
    tables = [score_atlas(path, changes, asked.seeds, asked.workers) for path in asked.atlases]
    for seed in asked.simulated:
        with tempfile.TemporaryDirectory() as place:
            path = make_atlas(Path(place), asked.samples, seed)
            tables.append(score_atlas(path, changes, asked.seeds, asked.workers, keeps_test=False))
        report(pd.concat(tables), changes)
    if not asked.simulated:
        report(pd.concat(tables), changes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("atlases", type=Path, nargs="*")
    parser.add_argument("--simulated", type=int, nargs="+", default=[], help="seeds of compendia")
    parser.add_argument("--samples", type=int, default=1600, help="of --simulated")
    parser.add_argument("--only", nargs="+", choices=list(CHANGES), default=list(CHANGES))
    parser.add_argument("--linear", action="store_true", help="linear scores alone")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare(parser.parse_args())
