"""When the classifier answers, is it right; and does it know what it does not know?

    python benchmarks/answering.py --unknown        tissues left out of training
    python benchmarks/answering.py --max-error      the error bound over many splits
    python benchmarks/answering.py --distance       the same by distance alone, cheaper
    python benchmarks/answering.py --missing        accuracy against missing genes
    python benchmarks/answering.py --real --data ../shared/data/human-bulk-counts

All but `--real` on simulated compendia (not real data). `--distance` fits the genes and the rule
that `train` fits, without its classifier: nothing is flagged for its probabilities. `--real` does
so on real counts: it leaves out tissues of several studies one by one; and studies, in 5 folds,
to count false flags. `--unknown` and `--missing` run the commands with
their defaults; `--quick` gives `train` the number of genes and trees (4,000 and 50) instead of
letting it choose, which saves most of its time. `--max-error` splits one compendium by study
again and again, with a smaller forest and fewer genes than `train` takes, to save time.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from classifying import pack_real

from expressome.atlas import open_atlas
from expressome.augmentation.study_effects import extend_training, fit_study_effects
from expressome.classification.classifier import EffectFunctions, Settings, prepare_values
from expressome.classification.evaluation import LabelTree
from expressome.classification.folds import fold_pairs
from expressome.classification.label_sets import specific_labels
from expressome.classification.model import parent_columns
from expressome.classification.tuning import FitOptions, Samples
from expressome.engine import Resources
from expressome.pipeline.annotating import annotate
from expressome.pipeline.gene_ranking import rank_genes
from expressome.pipeline.label_reading import read_labelled
from expressome.pipeline.normalizing import normalize
from expressome.pipeline.outlier_fitting import fit_outliers, learn_rule
from expressome.pipeline.predicting import load_model, predict
from expressome.pipeline.scoring import calibrate
from expressome.pipeline.training import train
from expressome.simulation.compendium import simulate_compendium

TISSUES = ("liver", "colon", "lung", "heart", "skin", "kidney", "breast", "testis")


def build_atlas(folder, lists, name="c.h5"):
    """Annotate and normalise the compendium with these label lists."""
    file, labels = folder / name, folder / "l.parquet"
    lists.to_csv(folder / "labels.tsv", sep="\t", index=False)
    annotate(file, [folder / "labels.tsv"], out=labels, overwrite=True)
    normalize(file, labels=labels, out=folder / "a.zarr", overwrite=True)


def run_unknown(folder, tissues, resources, options):
    """Leave one tissue after the other out of the lists; see which samples are flagged."""
    simulated = simulate_compendium(folder / "c.h5", seed=resources.seed)
    truth, lists = simulated.truth, simulated.labels
    found = {}
    for tissue in tissues:
        build_atlas(folder, lists[lists["label"] != tissue])
        train(folder / "a.zarr", out=folder / "m", overwrite=True, resources=resources, **options)
        predict(folder / "m", folder / "a.zarr", out=folder / "p.parquet", overwrite=True)
        answers = pd.read_parquet(folder / "p.parquet").set_index("sample")
        seen = truth.loc[~truth.index.isin(answers.index), "study"].unique()
        asked = answers.join(truth, rsuffix="_true")
        new = asked[asked["label_true"] == tissue]
        # Known labels, in studies of which training saw nothing.
        known = asked[(asked["label_true"] != tissue) & ~asked["study"].isin(seen)]
        false = known.groupby("study")["unknown"].mean()
        is_far = known["reason"].str.contains("unlike")
        found[tissue] = (new["unknown"].mean(), false.mean())
        print(
            f"{tissue:16s} flagged {new['unknown'].mean():.2f} of {len(new)} "
            f"({new['reason'].str.contains('unlike').mean():.2f} by distance); false flags "
            f"{false.mean():.3f} ({is_far.groupby(known['study']).mean().mean():.3f} by distance; "
            f"mean over {len(false)} studies, {len(known)} samples)",
            flush=True,
        )
    flagged, false = np.mean(list(found.values()), axis=0)
    print(f"mean over {len(found)} tissues: flagged {flagged:.2f}, false flags {false:.3f}")


def flag_others(folder, lists, others, resources, name="c.h5"):
    """Fit the rule on the listed samples as `train` does; say which others are unlike them."""
    build_atlas(folder, lists, name)
    atlas = open_atlas(folder / "a.zarr")
    labelled = read_labelled(atlas)
    is_train = labelled.parts != "test"
    settings = Settings()
    genes = rank_genes(
        atlas,
        labelled.rows[is_train],
        order=settings.features,
        labels=labelled.labels[is_train],
        studies=labelled.studies[is_train],
        resources=resources,
    )[: settings.n_genes]
    fitted = Samples(atlas.read(labelled.rows, genes), labelled.labels, labelled.studies)
    rule = learn_rule(
        fitted,
        np.flatnonzero(is_train),
        settings=settings,
        seed=resources.seed,
        silent_share=0.0,
    )
    every = np.arange(len(is_train))
    outliers = fit_outliers(fitted, every, rule, settings=settings, seed=resources.seed)
    values = atlas.read(atlas.obs.index.get_indexer(others), genes)
    return outliers.distance(values) > outliers.bound


def run_distance(folder, tissues, n_samples, resources):
    """Leave one tissue after the other out of the lists of a simulated compendium."""
    simulated = simulate_compendium(
        folder / "c.h5", n_samples=n_samples, n_studies=n_samples // 16, seed=resources.seed
    )
    truth, lists = simulated.truth, simulated.labels
    seen = truth.loc[~truth.index.isin(simulated.unlabelled), "study"].unique()
    found = []
    for tissue in tissues:
        is_new = truth["label"] == tissue
        others = truth[is_new | ~truth["study"].isin(seen)]
        far = flag_others(folder, lists[lists["label"] != tissue], others.index, resources)
        others = others.assign(flagged=far)
        new, known = (others[(others["label"] == tissue) == side] for side in (True, False))
        rates = known.groupby("study")["flagged"].mean()
        found.append((new["flagged"].mean(), rates.mean()))
        print(
            f"{tissue:16s} flagged {found[-1][0]:.2f} of {len(new)}; false flags "
            f"{found[-1][1]:.3f} (mean over {len(rates)} studies)",
            flush=True,
        )
    flagged, false = np.mean(found, axis=0)
    print(f"mean over {len(found)} tissues: flagged {flagged:.2f}, false flags {false:.3f}")


def run_real(folder, data, resources):
    """Leave tissues out of real counts, then studies."""
    samples = pack_real(data, folder)
    tissue, study = samples["tissue"], samples["study"]

    def flag(is_known):
        known, others = samples[is_known], samples[~is_known]
        lists = pd.DataFrame({"sample": known.index, "label": known["tissue"], "kind": "tissue"})
        far = flag_others(folder, lists, others.index, resources, "real.h5")
        return others.assign(flagged=far)

    per_tissue = samples.groupby("tissue")["study"].nunique()
    flagged = {}
    for left_out in per_tissue.index[per_tissue > 1]:
        others = flag(tissue != left_out)
        flagged[left_out] = others["flagged"].mean()
        print(f"{left_out:10s} flagged {flagged[left_out]:.2f} of {len(others)}", flush=True)
    print(f"mean over {len(flagged)} tissues: flagged {np.mean(list(flagged.values())):.2f}")
    names = np.random.default_rng(resources.seed).permutation(study.unique())
    rates = {}
    for fold in np.array_split(names, 5):
        others = flag(~study.isin(fold))
        can_know = others["tissue"].isin(set(tissue[~study.isin(fold)]))
        rates |= others[can_know].groupby("study")["flagged"].mean().to_dict()
    print(
        f"false flags {np.mean(list(rates.values())):.3f} (mean over {len(rates)} studies): "
        + ", ".join(f"{name} {rate:.2f}" for name, rate in rates.items() if rate)
    )


def run_max_error(folder, n_splits, n_samples, resources, max_error=0.05):
    """Split by study; bound the error on one side, count errors on the other."""
    simulated = simulate_compendium(
        folder / "c.h5", n_samples=n_samples, n_studies=n_samples // 16, seed=resources.seed
    )
    build_atlas(folder, simulated.labels)
    atlas = open_atlas(folder / "a.zarr")
    labelled = read_labelled(atlas)
    genes = rank_genes(
        atlas,
        labelled.rows,
        order="variance",
        labels=labelled.labels,
        studies=labelled.studies,
        resources=resources,
    )[:1000]
    samples = Samples(atlas.read(labelled.rows, genes), labelled.labels, labelled.studies)
    settings = Settings(n_genes=len(genes), n_trees=30, n_per_label=30)
    errors, answered, promised = [], [], []
    for split in range(n_splits):
        options = FitOptions(
            EffectFunctions(fit_study_effects, extend_training), split, resources.n_workers
        )
        error, share, low = split_once(samples, labelled, settings, options, max_error)
        errors.append(error)
        answered.append(share)
        promised.append(low)
        print(f"split {split}: error {error:.3f}, answered {share:.2f}", flush=True)
    margin = 2 * np.std(errors, ddof=1) / np.sqrt(n_splits)
    print(
        f"{n_splits} splits, --max-error {max_error}: mean error among answered "
        f"{np.mean(errors):.4f} (2 standard errors {margin:.4f}), "
        f"answered {np.mean(answered):.2f}, "
        f"promised {np.mean(promised):.3f}"
    )


def split_once(samples, labelled, settings, options, max_error):
    """Calibrate and fit on 70% of the studies, answer the others; mean over studies."""
    rng = np.random.default_rng([options.seed, 70])
    names = np.unique(samples.studies.astype(str))
    held = set(rng.choice(names, len(names) * 3 // 10, replace=False))
    is_held = np.array([str(name) in held for name in samples.studies])
    known, unseen = samples.take(~is_held), samples.take(is_held)
    tree = LabelTree(
        [str(key) for key in labelled.table.index],
        parent_columns(labelled.table),
        np.asarray(known.labels.sum(axis=0)).ravel(),
    )
    rows = np.arange(len(known.studies))
    pairs = fold_pairs(rows, known.labels, known.studies, seed=options.seed)
    calibrated = calibrate(
        known, pairs, settings=settings, options=options, tree=tree, max_error=max_error
    )
    plain, medians = known.fit(settings, options)
    classifier = calibrated.calibrate(plain)
    sets = classifier.predict_sets(prepare_values(unseen.values, medians))
    best = specific_labels(classifier.label_sets, tree.parents, tree.sizes)[sets.argmax(axis=1)]
    at = np.arange(len(best))
    is_right = unseen.labels.toarray().astype(bool)[at, best]
    is_answered = classifier.to_labels(sets)[at, best] >= calibrated.lowest_confidence
    table = (
        pd.DataFrame(
            {
                "study": unseen.studies.astype(str),
                "answered": is_answered,
                "wrong": is_answered & ~is_right,
            }
        )
        .groupby("study")
        .sum()
    )
    error = (table["wrong"] / table["answered"].clip(lower=1)).mean()
    return error, is_answered.mean(), calibrated.choice["error_bound"]["promised"]


def run_missing(folder, resources, options):
    """Take genes away from unlabelled samples of studies training never saw."""
    simulated = simulate_compendium(folder / "c.h5", seed=resources.seed)
    build_atlas(folder, simulated.labels)
    train(folder / "a.zarr", out=folder / "m", overwrite=True, resources=resources, **options)
    model = load_model(folder / "m")
    from expressome.archs4.reader import open_archs4

    truth = simulated.truth
    seen = truth.loc[~truth.index.isin(simulated.unlabelled), "study"].unique()
    chosen = truth[~truth["study"].isin(seen)]
    compendium = open_archs4(folder / "c.h5")
    counts = compendium.counts(samples=list(chosen.index))
    table = pd.DataFrame(counts.T, index=compendium.genes.index, columns=chosen.index)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(table))
    print(f"{len(chosen)} samples of {chosen['study'].nunique()} unseen studies")
    for share in (0.0, 0.1, 0.2, 0.3, 0.4, 0.49):
        kept = np.sort(order[: round(len(table) * (1 - share))])
        answers = model.predict(table.iloc[kept], resources=resources)
        is_right = answers["label"].to_numpy() == chosen["label"].to_numpy()
        print(
            f"{share:.0%} of genes missing: {is_right.mean():.3f} right, "
            f"{answers['unknown'].mean():.2f} unknown",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unknown", action="store_true")
    parser.add_argument("--max-error", action="store_true")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--tissues", nargs="+", default=TISSUES)
    parser.add_argument("--distance", action="store_true")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/human-bulk-counts"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--splits", type=int, default=50)
    parser.add_argument("--samples", type=int, default=2400, help="of --max-error, --distance")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    run_resources = Resources(workers=asked.workers, seed=asked.seed)
    given = {"n_genes": 4000, "n_trees": 50, "time_budget_s": 0.0} if asked.quick else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for wanted, run in (
            (asked.missing, lambda place: run_missing(place, run_resources, given)),
            (
                asked.max_error,
                lambda place: run_max_error(place, asked.splits, asked.samples, run_resources),
            ),
            (
                asked.distance,
                lambda place: run_distance(place, asked.tissues, asked.samples, run_resources),
            ),
            (asked.real, lambda place: run_real(place, asked.data, run_resources)),
            (asked.unknown, lambda place: run_unknown(place, asked.tissues, run_resources, given)),
        ):
            if wanted:
                with tempfile.TemporaryDirectory() as created:
                    run(Path(created))
