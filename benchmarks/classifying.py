"""Classify studies never seen: the shipped classifier beside plain methods.

Real counts (leave one study out) and a simulated compendium (split by study):

    python benchmarks/classifying.py --data ../shared/data/human-bulk-counts
    python benchmarks/classifying.py --simulated

Real counts: human samples without `mix` and `reference mix`; score = share with the
right label, mean over the cells (study, tissue) whose tissue occurs in another study.
Settings are chosen by folds inside the training studies of each left-out study; the
shipped classifier is fitted with several seeds, the other rows with one. No step sees
the left-out study.
"""

import argparse
import json
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from expressome.archs4.reader import open_archs4
from expressome.augmentation.study_effects import extend_training
from expressome.classification.classifier import Settings, prepare_values
from expressome.classification.features import order_genes
from expressome.classification.tuning import (
    FitOptions,
    Samples,
    choose_settings,
    validation_pairs,
)
from expressome.metrics.signal import upper_percentile
from expressome.metrics.similarity import mean_cosine
from expressome.normalization.recipe import fit_normalizer
from expressome.pipeline.packing import pack

N_GENES_TRIED = (1000, 2000)
LEFT_OUT = {"mix", "reference mix"}


def read_real(folder):
    """Pack the human tables with the genes common to all of them."""
    sheet = pd.read_csv(folder / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    sheet = sheet[(sheet["organism"] == "human") & ~sheet["tissue"].isin(LEFT_OUT)]
    tables = [folder / f"{name}.tsv.gz" for name in sheet["dataset"].unique()]
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sheet_path, packed = Path(place) / "sheet.tsv", Path(place) / "packed.h5"
        sheet.drop(columns="dataset").to_csv(sheet_path, sep="\t", index=False)
        pack(tables, samples=sheet_path, out=packed, species="human")
        compendium = open_archs4(packed)
        samples, genes = compendium.samples, compendium.genes.index
        counts = compendium.counts()
    return counts, genes, samples["tissue"].to_numpy(str), samples["study"].to_numpy(str)


def cells_of(tissue, study):
    """Give the cells (study, tissue) whose tissue another study holds too."""
    table = pd.DataFrame({"study": study, "tissue": tissue}).drop_duplicates()
    shared = table["tissue"].value_counts()
    return [(row.study, row.tissue) for row in table.itertuples() if shared[row.tissue] > 1]


def prepare_fold(counts, genes, codes, study, held_out, n_labels):
    """Normalise onto the training studies' target; order genes on training samples."""
    is_train = study != held_out
    normalizer = fit_normalizer("log2-quantile", counts[is_train], genes=list(genes))
    values = normalizer.apply(counts)
    train = values[is_train]
    found = mean_cosine(train, detected=counts[is_train] > 0)
    order = order_genes(upper_percentile(train, 95), found)[: max(*N_GENES_TRIED, 2000)]
    labels = sparse.csr_array(
        (np.ones(len(codes), np.uint8), codes, np.arange(len(codes) + 1)),
        shape=(len(codes), n_labels),
    )
    samples = Samples(values[:, order], labels, study.astype(object))
    return samples.take(np.flatnonzero(is_train)), samples.take(np.flatnonzero(~is_train))


def answer(train, test, settings, options):
    """Fit, and give the most probable label of each left-out sample."""
    classifier, medians = train.fit(settings, options)
    values = prepare_values(test.values[:, : settings.n_genes], medians)
    return classifier.predict_labels(values).argmax(axis=1)


def linear_rivals(train, test, n_genes):
    """Logistic regression and nearest centroid on standardised genes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestCentroid
    from sklearn.preprocessing import StandardScaler

    codes = train.labels.indices
    scaler = StandardScaler().fit(train.values[:, :n_genes])
    known, unseen = (scaler.transform(part.values[:, :n_genes]) for part in (train, test))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "logistic regression": LogisticRegression(C=0.01, max_iter=100)
            .fit(known, codes)
            .predict(unseen),
            "nearest centroid": NearestCentroid().fit(known, codes).predict(unseen),
        }


def run_real(folder, n_seeds, n_workers):
    counts, genes, tissue, study = read_real(folder)
    names, codes = np.unique(tissue, return_inverse=True)
    cells = cells_of(tissue, study)
    print(
        f"{len(tissue)} samples, {len(set(study))} studies, {len(genes)} genes, {len(cells)} cells"
    )
    right, chosen = {}, {}
    for held_out in sorted({name for name, _ in cells}):
        start_s = time.perf_counter()
        train, test = prepare_fold(counts, genes, codes, study, held_out, len(names))
        parts = np.full(len(train.studies), "train", dtype=object)
        pairs = validation_pairs(parts, train.labels, train.studies, seed=0)
        options = FitOptions(extend_training, 0, n_workers)
        settings, _ = choose_settings(
            train, pairs, default=Settings(), n_genes=N_GENES_TRIED, options=options
        )
        chosen[held_out] = (settings.n_genes, settings.penalty, settings.linear_share)
        plain = replace(settings, linear_share=0.0, study_effects=False)
        answers = {
            ("plain forest", 0): answer(train, test, plain, options),
            ("forest with study effects", 0): answer(
                train, test, replace(settings, linear_share=0.0), options
            ),
            ("without study effects", 0): answer(
                train, test, replace(settings, study_effects=False), options
            ),
        }
        for seed in range(n_seeds):
            seeded = replace(options, seed=seed)
            answers["shipped classifier", seed] = answer(train, test, settings, seeded)
        for method, labels in linear_rivals(train, test, settings.n_genes).items():
            answers[method, 0] = labels
        truth = test.labels.indices
        for key, labels in answers.items():
            for name, label in cells:
                if name == held_out:
                    rows = names[truth] == label
                    right.setdefault(key, {})[name, label] = float((labels == truth)[rows].mean())
        print(f"{held_out}: {chosen[held_out]}, {time.perf_counter() - start_s:.0f} s", flush=True)
    report(right, cells)


def report(right, cells):
    """Print mean and range over seeds, and the cells of the shipped classifier."""
    table = pd.DataFrame(right)
    means = table.mean()
    print(f"\nshare right, mean over {len(cells)} cells (range over seeds)")
    for method in dict.fromkeys(key[0] for key in right):
        per_seed = means[method]
        print(f"{method:28s} {per_seed.mean():.3f} ({per_seed.min():.3f}-{per_seed.max():.3f})")
    ours = table["shipped classifier"].mean(axis=1)
    print("\ncells below 1 (shipped classifier, mean over seeds)")
    print(ours[ours < 1].round(2).to_string())


def run_simulated(n_workers, seed):
    """Train on a simulated compendium and print the figures of metrics.json."""
    from expressome.engine import Resources
    from expressome.pipeline.annotating import annotate
    from expressome.pipeline.normalizing import normalize
    from expressome.pipeline.training import train
    from expressome.simulation.compendium import simulate_compendium

    resources = Resources(workers=n_workers, seed=seed)
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(place)
        truth = simulate_compendium(folder / "c.h5", seed=seed)
        truth.labels.to_csv(folder / "labels.tsv", sep="\t", index=False)
        annotate(folder / "c.h5", [folder / "labels.tsv"], out=folder / "labels.parquet")
        normalize(folder / "c.h5", labels=folder / "labels.parquet", out=folder / "atlas.zarr")
        start_s = time.perf_counter()
        train(folder / "atlas.zarr", out=folder / "model", resources=resources)
        elapsed_s = time.perf_counter() - start_s
        metrics = json.loads((folder / "model" / "metrics.json").read_text())
    print(f"simulated compendium (not real data), training took {elapsed_s:.0f} s")
    rows = {"shipped classifier": metrics["test"], **metrics["baselines"]}
    for name, row in rows.items():
        scores = "  ".join(
            f"{key} {row[key]:.3f}" for key in ("f1_samples", "f1_micro", "f1_macro")
        )
        print(f"{name:28s} {scores}")
    print(f"intervals {metrics['test']['intervals']}")
    print(f"expected calibration error {metrics['test']['expected_calibration_error']:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/human-bulk-counts"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--simulated", action="store_true")
    chosen_options = parser.parse_args()
    if chosen_options.simulated:
        run_simulated(chosen_options.workers, 0)
    else:
        run_real(chosen_options.data, chosen_options.seeds, chosen_options.workers)
