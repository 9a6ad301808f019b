"""Classify studies never seen: the shipped classifier beside plain methods.

Real counts, one study left out after the other:

    python benchmarks/classifying.py --data ../shared/data/human-bulk-counts

Score: share of samples with the right label, mean over the cells (study, tissue) of human
samples, without `mix` and `reference mix`, whose tissue another study holds too; beside it the
macro-F1 of the same samples. The
samples of the left-out study are unlabelled in the atlas: target, genes, settings and fit
come from the other studies. Genes and settings are those that `train` chooses with its
defaults, by the same functions; its calibration and test figures, which change no best label,
are left out. Every seed draws invented samples and trees anew. For the last study `train` and
`predict` themselves run as well and must give the same labels.

Simulated compendia, each with training, validation and test studies of its own:

    python benchmarks/classifying.py --simulated --samples 2400 --seeds 3

All figures are those of `metrics.json` on the test studies; intervals draw studies with
replacement, the lead of ours over the same draws.
"""

import argparse
import json
import tempfile
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from expressome.annotation.multihot import read_labels
from expressome.archs4.reader import open_archs4
from expressome.atlas import open_atlas
from expressome.augmentation.study_effects import extend_training, fit_study_effects
from expressome.classification.classifier import EffectFunctions, Settings, prepare_values
from expressome.classification.intervals import compare_answers
from expressome.classification.tuning import (
    FitOptions,
    Samples,
    choose_settings,
    validation_pairs,
)
from expressome.engine import Resources
from expressome.pipeline.annotating import annotate
from expressome.pipeline.gene_ranking import rank_genes
from expressome.pipeline.label_reading import read_labelled
from expressome.pipeline.normalizing import normalize
from expressome.pipeline.packing import pack
from expressome.pipeline.predicting import predict
from expressome.pipeline.training import train

LEFT_OUT = {"mix", "reference mix"}
OURS = "expressome train"
# As in `train`.
N_GENES_TRIED = (2000, 4000)
# Other methods are fitted with fewer seeds, to save time; most draw nothing.
N_RIVAL_SEEDS = 2


def pack_real(data, folder):
    """Pack the human tables with the genes common to all of them; give the sample table."""
    sheet = pd.read_csv(data / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    sheet = sheet[(sheet["organism"] == "human") & ~sheet["tissue"].isin(LEFT_OUT)]
    tables = [data / f"{name}.tsv.gz" for name in sheet["dataset"].unique()]
    sheet.drop(columns="dataset").to_csv(folder / "sheet.tsv", sep="\t", index=False)
    pack(tables, samples=folder / "sheet.tsv", out=folder / "real.h5", species="human")
    compendium = open_archs4(folder / "real.h5")
    samples = compendium.samples.assign(tissue=sheet.set_index("sample")["tissue"])
    print(
        f"{len(samples)} samples, {samples['study'].nunique()} studies, "
        f"{len(compendium.genes)} genes, {samples['tissue'].nunique()} tissues"
    )
    return samples


def cells_of(samples):
    """Give the cells (study, tissue) whose tissue another study holds too."""
    table = samples[["study", "tissue"]].drop_duplicates()
    return table[table["tissue"].map(table["tissue"].value_counts()) > 1]


def build_fold(folder, samples, held_out):
    """Write labels without those of one study, and an atlas whose target never saw it."""
    known = samples[samples["study"] != held_out]
    listed = pd.DataFrame({"sample": known.index, "label": known["tissue"], "kind": "tissue"})
    listed.to_csv(folder / "labels.tsv", sep="\t", index=False)
    annotate(
        folder / "real.h5", [folder / "labels.tsv"], out=folder / "labels.parquet", overwrite=True
    )
    labels = read_labels(folder / "labels.parquet")
    if not set(labels.samples) <= set(known.index):
        msg = "a left-out sample carries a label"
        raise SystemExit(msg)
    normalize(
        folder / "real.h5",
        labels=folder / "labels.parquet",
        out=folder / "atlas.zarr",
        overwrite=True,
    )
    return open_atlas(folder / "atlas.zarr")


def answer_commands(folder, n_workers, features):
    """Train on the labelled samples with all defaults; label the others."""
    resources = Resources(workers=n_workers, seed=0)
    train(folder / "atlas.zarr", out=folder / "model", features=features, resources=resources)
    predict(folder / "model", folder / "atlas.zarr", out=folder / "p.parquet", resources=resources)
    return pd.read_parquet(folder / "p.parquet").set_index("sample")


def choose_as_train(atlas, n_workers, features):
    """Order genes and choose settings on the labelled samples, as `train` does."""
    labelled = read_labelled(atlas)
    options = FitOptions(EffectFunctions(fit_study_effects, extend_training), 0, n_workers)
    pairs = validation_pairs(labelled.parts, labelled.labels, labelled.studies, seed=0)
    is_used = labelled.parts == "train" if len(pairs) == 1 else labelled.parts != "test"
    genes = rank_genes(
        atlas,
        labelled.rows[is_used],
        order=features,
        labels=labelled.labels[is_used],
        studies=labelled.studies[is_used],
        resources=Resources(workers=n_workers),
    )[: max(N_GENES_TRIED)]
    samples = Samples(atlas.read(labelled.rows, genes), labelled.labels, labelled.studies)
    default = Settings(features=features, use_ranks=features == "ranks")
    settings, _ = choose_settings(
        samples, pairs, default=default, n_genes=N_GENES_TRIED, options=options
    )
    return samples, np.array(labelled.table.index, str), genes, settings, options


def answer_ours(chosen, others, seed):
    """Fit the chosen settings; give the best label of each unseen sample."""
    samples, names, _, settings, options = chosen
    classifier, medians = samples.fit(settings, replace(options, seed=seed))
    prepared = prepare_values(others[:, : settings.n_genes], medians, use_ranks=settings.use_ranks)
    return names[classifier.predict_labels(prepared).argmax(axis=1)]


def answer_rivals(chosen, others, seed):
    """Answer with plain methods, fitted on all labelled samples and the same genes."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestCentroid
    from sklearn.preprocessing import StandardScaler

    samples, names, _, settings, _ = chosen
    values, others = samples.values[:, : settings.n_genes], others[:, : settings.n_genes]
    codes = samples.labels.indices
    scaler = StandardScaler().fit(values)
    standard, standard_others = scaler.transform(values), scaler.transform(others)
    original = RandomForestClassifier(10, random_state=seed).fit(values, np.eye(len(names))[codes])
    votes = original.predict(others).astype(bool)
    # All tissues above the vote, or none: right where it is the true one alone.
    voted = np.array(["|".join(names[row]) for row in votes], dtype=object)
    fitted = {"plain forest": RandomForestClassifier(100, random_state=seed).fit(values, codes)}
    if seed == 0:
        # The others draw nothing.
        fitted["logistic regression"] = LogisticRegression(C=0.01, max_iter=200).fit(
            standard, codes
        )
        fitted["nearest centroid"] = NearestCentroid().fit(standard, codes)
    answers = {
        name: names[method.predict(others if "forest" in name else standard_others)]
        for name, method in fitted.items()
    }
    return answers | {"original (10 multi-output trees, votes > 0.5)": voted}


@dataclass(frozen=True)
class Fold:
    """One left-out study: what `train` chose without it, and its own samples."""

    name: str
    chosen: tuple
    others: np.ndarray
    truth: np.ndarray
    tissues: list[str]

    @property
    def is_scored(self):
        """Say which samples belong to a cell: others' tissue is nowhere else."""
        return np.isin(self.truth, self.tissues)

    def score(self, labels):
        """Give the share of right labels in each cell of the study."""
        return {
            (self.name, t): (labels == self.truth)[self.truth == t].mean() for t in self.tissues
        }


def prepare_fold(folder, samples, cells, held_out, n_workers, features):
    """Build the atlas without the study's labels and choose genes and settings."""
    atlas = build_fold(folder, samples, held_out)
    unseen = samples[samples["study"] == held_out]
    chosen = choose_as_train(atlas, n_workers, features)
    others = atlas.read(atlas.obs.index.get_indexer(unseen.index), chosen[2])
    tissues = list(cells.loc[cells["study"] == held_out, "tissue"])
    return Fold(held_out, chosen, others, unseen["tissue"].to_numpy(str), tissues)


def run_real(data, n_seeds, n_workers, features, checks_commands):
    right, given, folds = {}, {}, []
    start_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(place)
        samples = pack_real(data, folder)
        cells = cells_of(samples)
        print(f"{len(cells)} cells", flush=True)
        for held_out in sorted(cells["study"].unique()):
            fold = prepare_fold(folder, samples, cells, held_out, n_workers, features)
            folds.append(fold)
            answers = {OURS: answer_ours(fold.chosen, fold.others, 0)}
            answers |= answer_rivals(fold.chosen, fold.others, 0)
            for method, labels in answers.items():
                right.setdefault((method, 0), {}).update(fold.score(labels))
                given.setdefault((method, 0), []).append(labels[fold.is_scored])
            so_far = np.mean(list(right[OURS, 0].values()))
            print(
                f"{held_out}: {np.mean(list(fold.score(answers[OURS]).values())):.2f} right; "
                f"{len(right[OURS, 0])} cells so far {so_far:.3f}; settings {fold.chosen[3]}; "
                f"{time.perf_counter() - start_s:.0f} s",
                flush=True,
            )
        settings = [fold.chosen[3].to_plain() for fold in folds]
        report_real(pd.DataFrame(right), settings)
        report_macro(given, folds)
        for seed in range(1, n_seeds):
            for fold in folds:
                answers = {OURS: answer_ours(fold.chosen, fold.others, seed)}
                if seed < N_RIVAL_SEEDS:
                    answers |= answer_rivals(fold.chosen, fold.others, seed)
                for method, labels in answers.items():
                    right.setdefault((method, seed), {}).update(fold.score(labels))
                    given.setdefault((method, seed), []).append(labels[fold.is_scored])
            print(f"seed {seed}: {np.mean(list(right[OURS, seed].values())):.3f}", flush=True)
        report_real(pd.DataFrame(right), settings)
        report_macro(given, folds)
        if checks_commands:
            check_commands(folder, folds[-1], samples, n_workers, features)


def check_commands(folder, fold, samples, n_workers, features):
    """Run `train` and `predict` on the last fold's atlas and compare the labels."""
    unseen = samples.index[samples["study"] == fold.name]
    found = answer_commands(folder, n_workers, features).loc[unseen, "label"].to_numpy(str)
    n_other = int((found != answer_ours(fold.chosen, fold.others, 0)).sum())
    print(f"train and predict on {fold.name}: {n_other} of {len(found)} labels differ")


def report_real(table, settings):
    """Print mean and range over seeds, intervals over studies, and the cells of ours."""
    print(
        f"\nshare right, mean over {len(table)} cells (range over {table[OURS].shape[1]} seeds; "
        "95% interval, studies drawn with replacement)"
    )
    for method in table.columns.get_level_values(0).unique():
        per_seed = table[method].mean().dropna()
        low, high = draw_studies(table[method].mean(axis=1))
        print(
            f"{method:46s} {per_seed.mean():.3f} ({per_seed.min():.3f}-{per_seed.max():.3f}; "
            f"{low:.2f}-{high:.2f})"
        )
    ours = table[OURS].mean(axis=1)
    print("\ncells below 1 (ours, mean over seeds)")
    print(ours[ours < 1].round(2).to_string())
    names = (
        "n_genes",
        "penalty",
        "linear_strength",
        "linear_share",
        "effect_strength",
        "lowest_weight",
    )
    chosen = pd.DataFrame(settings)[list(names)]
    print("\nsettings chosen inside the folds")
    print(chosen.value_counts().to_string())


def report_macro(given, folds):
    """Print macro-F1 of the left-out samples of all cells, all folds' answers together."""
    studies = np.concatenate([np.repeat(fold.name, fold.is_scored.sum()) for fold in folds])
    truth = pd.Series(np.concatenate([fold.truth[fold.is_scored] for fold in folds]))
    truth = truth.str.get_dummies("|")
    print(
        f"\nmacro-F1 of {len(truth)} left-out samples over {truth.shape[1]} tissues "
        "(95% interval, studies drawn with replacement; lead of ours)"
    )
    for seed in sorted({seed for _, seed in given}):
        answers = {
            method: pd.Series(np.concatenate(parts))
            .str.get_dummies("|")
            .reindex(columns=truth.columns, fill_value=0)
            .to_numpy(bool)
            for (method, of_seed), parts in given.items()
            if of_seed == seed
        }
        found = compare_answers(
            sparse.csr_array(truth.to_numpy(np.uint8)), answers, studies,
            rng=np.random.default_rng(0), reference=OURS,
        )  # fmt: skip
        for method, row in found.items():
            print(f"seed {seed}  {method:46s} {describe_scores(row)}")


def draw_studies(per_cell, n_draws=2000):
    """Draw studies with replacement; give the 2.5th and 97.5th percentile of the mean."""
    rng = np.random.default_rng(0)
    groups = [part.to_numpy() for _, part in per_cell.groupby(level=0)]
    picks = rng.integers(len(groups), size=(n_draws, len(groups)))
    means = [np.concatenate([groups[i] for i in pick]).mean() for pick in picks]
    return np.percentile(means, [2.5, 97.5])


def run_simulated(n_samples, n_seeds, n_workers, features):
    """Train on simulated compendia; print every method's figures on their test studies."""
    tables = []
    for seed in range(n_seeds):
        metrics, elapsed_s, cpu_s = train_simulated(n_samples, n_workers, seed, features)
        test = metrics["test"]
        print(
            f"\nsimulated compendium (not real data), seed {seed}: {test['n_samples']} test "
            f"samples of {test['n_studies']} studies, {test['n_labels_scored']} labels with "
            f"{describe_imbalance(test)}; training took {elapsed_s:.0f} s ({cpu_s:.0f} s of "
            f"processor time), calibration error {test['expected_calibration_error']:.3f} "
            f"{np.round(test['intervals']['expected_calibration_error'], 3).tolist()}"
        )
        rows = {OURS: test, **metrics["baselines"]}
        tables.append(rows)
        for name, row in rows.items():
            print(f"{name:28s} {describe_scores(row)}")
        settings = {k: v for k, v in metrics["settings"].items() if k not in {"trials", "forest"}}
        print(f"settings {settings}", flush=True)
    print(f"\nmean of {n_seeds} compendia, macro-F1 (lowest-highest), lead of ours")
    for name in tables[0]:
        f1 = np.array([rows[name]["f1_macro"] for rows in tables])
        leads = [
            rows[name]["f1_macro_lead"]["value"] for rows in tables if "f1_macro_lead" in rows[name]
        ]
        lead = f"{np.mean(leads):+.3f}" if leads else ""
        print(f"{name:28s} {f1.mean():.3f} ({f1.min():.3f}-{f1.max():.3f})  {lead}")


def train_simulated(n_samples, n_workers, seed, features):
    """Simulate, normalise and train with all defaults; give metrics.json and the time."""
    from expressome.simulation.compendium import simulate_compendium

    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(place)
        truth = simulate_compendium(
            folder / "c.h5", n_samples=n_samples, n_studies=n_samples // 16, seed=seed
        )
        truth.labels.to_csv(folder / "labels.tsv", sep="\t", index=False)
        annotate(folder / "c.h5", [folder / "labels.tsv"], out=folder / "labels.parquet")
        normalize(folder / "c.h5", labels=folder / "labels.parquet", out=folder / "atlas.zarr")
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        train(
            folder / "atlas.zarr", out=folder / "model", features=features,
            resources=Resources(workers=n_workers, seed=seed),
        )  # fmt: skip
        elapsed_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
        metrics = json.loads((folder / "model" / "metrics.json").read_text())
    return metrics, elapsed_s, cpu_s


def describe_imbalance(test):
    """Say how unequal the labels of the test samples are."""
    support = sorted(row["support"] for row in test["per_label"].values() if row["support"])
    return f"{support[0]} to {support[-1]} test samples (median {np.median(support):.0f})"


def describe_scores(row):
    """Print three F1 scores with their intervals, and the lead of ours."""
    parts = []
    for key in ("f1_macro", "f1_samples", "f1_micro"):
        low, high = row["intervals"][key]
        parts.append(f"{key} {row[key]:.3f} ({low:.2f}-{high:.2f})")
    if "f1_macro_lead" in row:
        low, high = row["f1_macro_lead"]["interval"]
        parts.append(f"lead {row['f1_macro_lead']['value']:+.3f} ({low:+.3f} to {high:+.3f})")
    if "leak_f1_macro" in row:
        parts.append(f"leak {row['leak_f1_macro']:+.3f}")
    return "  ".join(parts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/human-bulk-counts"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--samples", type=int, default=2400, help="of --simulated")
    parser.add_argument("--features", default=Settings().features, help="as of train")
    parser.add_argument("--no-commands", action="store_true", help="leave out train and predict")
    chosen_options = parser.parse_args()
    if chosen_options.simulated:
        run_simulated(
            chosen_options.samples,
            chosen_options.seeds,
            chosen_options.workers,
            chosen_options.features,
        )
    else:
        run_real(
            chosen_options.data,
            chosen_options.seeds,
            chosen_options.workers,
            chosen_options.features,
            not chosen_options.no_commands,
        )
