"""What each choice of features and forest gives on studies never seen.

    python benchmarks/comparing.py ATLAS --seeds 3

The default settings are changed in one thing at a time, fitted on the training studies of the
atlas and scored on its validation studies (never on its test studies; folds by study where there
are few): share of right labels, mean over the cells (study, label) whose label training holds. A
forest of 50 trees and 50 invented samples per label, to save time.
"""

import argparse
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import sparse

from expressome.atlas import open_atlas
from expressome.augmentation.study_effects import extend_training, fit_study_effects
from expressome.classification.cells import score_cells
from expressome.classification.classifier import EffectFunctions, Settings, prepare_values
from expressome.classification.tuning import FitOptions, Samples, validation_pairs
from expressome.engine import Resources
from expressome.pipeline.gene_ranking import rank_genes
from expressome.pipeline.label_reading import read_labelled
from expressome.pipeline.value_reading import read_values

DEFAULT = Settings(n_trees=50, n_per_label=50)
CHANGES = {
    "default (information, 4,000 genes)": {},
    "information, 2,000 genes": {"n_genes": 2000},
    "information, 500 genes": {"n_genes": 500},
    "variance": {"features": "variance"},
    "F-test": {"features": "f-test"},
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


def read_samples(atlas, labelled, pairs, settings, n_workers):
    """Order the genes on the training side of the pairs and read the best."""
    is_used = labelled.parts == "train" if len(pairs) == 1 else labelled.parts != "test"
    genes = rank_genes(
        atlas,
        labelled.rows[is_used],
        order=settings.features,
        labels=labelled.labels[is_used],
        resources=Resources(workers=n_workers),
    )[: settings.n_genes]
    values = read_values(atlas, labelled.rows, genes, use_ranks=settings.use_ranks)
    return Samples(values, labelled.labels, labelled.studies)


def score(samples, pairs, settings, options):
    """Fit on one side of each pair; give the score of every cell of the other."""
    scores = []
    for train, held in pairs:
        classifier, medians = samples.take(train).fit(settings, options)
        unseen = samples.take(held)
        values = prepare_values(
            unseen.values[:, : settings.n_genes], medians, use_ranks=settings.use_ranks
        )
        sets = classifier.label_sets.sets[classifier.predict_sets(values).argmax(axis=1)]
        # A label that the fit never saw cannot be right, whatever the settings.
        is_known = np.flatnonzero(classifier.label_sets.sets.any(axis=0))
        truth = sparse.csr_array(unseen.labels[:, is_known])
        scores.append(score_cells(sets[:, is_known], truth, unseen.studies))
    return np.concatenate(scores)


def compare(path, n_seeds, n_workers):
    atlas = open_atlas(path)
    labelled = read_labelled(atlas)
    effects = EffectFunctions(fit_study_effects, extend_training)
    pairs = validation_pairs(labelled.parts, labelled.labels, labelled.studies, seed=0)
    read, first = {}, None
    for name, change in CHANGES.items():
        settings = replace(DEFAULT, **change)
        order = settings.features
        if order not in read:
            wide = replace(settings, n_genes=min(DEFAULT.n_genes, atlas.n_genes))
            # One order at a time is kept, beside that of the default.
            read = {key: kept for key, kept in read.items() if key == DEFAULT.features}
            read[order] = read_samples(atlas, labelled, pairs, wide, n_workers)
        cells = np.mean(
            [
                score(read[order], pairs, settings, FitOptions(effects, seed, n_workers))
                for seed in range(n_seeds)
            ],
            axis=0,
        )
        first = cells if first is None else first
        gain = cells - first
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        print(
            f"{name:38s} {cells.mean():.3f}  against the default {gain.mean():+.3f} "
            f"(standard error {error:.3f}, {len(cells)} cells)",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("atlas", type=Path)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare(asked.atlas, asked.seeds, asked.workers)
