"""What synthetic samples are worth, against plain methods, on real or simulated samples.

Run from the checkout, on an atlas that `expressome normalize --labels` made:

    python benchmarks/augmenting.py fidelity ATLAS --label brain --label skin
    python benchmarks/augmenting.py utility ATLAS --label liver --repeats 5
    python benchmarks/augmenting.py scale                  # 384 samples x 60,000 genes

fidelity (a): half of each study's samples is held back; synthetic samples made from the
other half face the held-back half; the ceiling is the real training half against it.
fidelity (b): a study is left out whole; synthetic samples of the other studies face it;
the ceiling is real samples of the other studies. All sets of one table have equal sizes.
Both are repeated: over random halvings, and over the studies that hold most of a label.
utility: n real samples of one label, all of the others; average precision and F1 of the
label on studies left out, without augmentation, with class weights, with each method, paired
over repeats; the 1,000 genes that vary most, forests of 100 trees, one core.
"""

import argparse
import resource
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse, stats

from expressome.atlas import open_atlas
from expressome.augmentation.baselines import METHODS
from expressome.augmentation.fidelity import METRICS, compare_sets, measure_memorisation
from expressome.augmentation.generator import fit_generator
from expressome.augmentation.training_samples import collect_training, fill_missing, fit_medians
from expressome.augmentation.utility import (
    CLASS_WEIGHTS,
    Trial,
    UtilityOptions,
    measure_utility,
    summarize_utility,
)
from expressome.augmentation.workshop import fit_workshop
from expressome.engine import Resources
from expressome.errors import ExpressomeError
from expressome.normalization.recipe import Normalizer
from expressome.pipeline.augmenting import augment
from expressome.pipeline.label_reading import read_labelled
from expressome.pipeline.method_choosing import make_forest_fit

SHOWN = [*METRICS, "nearest_neighbour_ratio", "n_copies"]
# What the targets are about.
TARGETS = ["two_sample_auc", "correlation_agreement", "precision", "coverage"]
CEILING = "(real: ceiling)"
# Fewest samples of a label on either side of comparison (b).
MIN_FACING = 3


def read_all(path, min_measured=0.95):
    """All labelled samples of an atlas, on the scale before length division."""
    atlas = open_atlas(path)
    labelled = read_labelled(atlas)
    divisor = Normalizer.from_parts(atlas.normalizer_parts).divisor
    values = atlas.read(labelled.rows)
    if divisor is not None:
        values *= np.asarray(divisor, np.float32)
    genes = np.flatnonzero((~np.isnan(values)).mean(axis=0) >= min_measured)
    values = np.ascontiguousarray(values[:, genes])
    depths = atlas.obs["n_detected"].to_numpy(float)[labelled.rows]
    return values, labelled, depths


def collect(values, labelled, depths, rows):
    part = values[rows]
    fill_missing(part, fit_medians(values))
    keys = [str(key) for key in labelled.table.index]
    return collect_training(
        part,
        sparse.csr_array(labelled.labels[rows]),
        labelled.studies[rows],
        keys=keys,
        depths=depths[rows],
    )


def make_all(workshop, label, n_samples, seed, methods):
    """Give samples of every method that can work from so few real ones."""
    made = {}
    for method in methods:
        rng = np.random.default_rng([seed, *method.encode()])
        try:
            made[method] = workshop.make(method, label, n_samples, rng=rng)
        except ExpressomeError as error:
            print(f"  {method}: {error}")
            continue
        if method == "gan" and workshop.effects is not None:
            new = replace(workshop, new_studies=True)
            made["gan, new studies"] = new.make(method, label, n_samples, rng=rng)
    return made


def split_by_sample(labelled, rng):
    """Half of each label and study, the larger half for training."""
    training = np.zeros(len(labelled.studies), dtype=bool)
    names = [
        f"{study}:{row}"
        for study, row in zip(labelled.studies, labelled.labels.tolil().rows, strict=True)
    ]
    for name in np.unique(names):
        members = rng.permutation(np.flatnonzero(np.array(names) == name))
        training[members[: (len(members) + 1) // 2]] = True
    return training


def list_cuts(labelled, holders, n_repeats):
    """Give (comparison, labels, training samples) of every cut of the samples."""
    for seed in range(n_repeats):
        yield "a", list(holders), split_by_sample(labelled, np.random.default_rng(seed))
    asked = {}
    for label, holds in holders.items():
        studies, sizes = np.unique(labelled.studies[holds], return_counts=True)
        usable = [
            (int(size), str(study))
            for study, size in zip(studies, sizes, strict=True)
            if min(size, holds.sum() - size) >= MIN_FACING
        ]
        for _, study in sorted(usable, reverse=True)[:n_repeats]:
            asked.setdefault(study, []).append(label)
    for study, labels in asked.items():
        yield "b", labels, labelled.studies != study


def run_fidelity(options):
    values, labelled, depths = read_all(options.atlas)
    keys = [str(key) for key in labelled.table.index]
    print(f"{values.shape[0]} labelled samples x {values.shape[1]} genes measured in 95%")
    holders = {
        label: np.asarray(labelled.labels[:, [keys.index(label)]].todense()).ravel() > 0
        for label in options.label
    }
    found = []
    methods = options.method or METHODS
    for number, (name, labels, seen) in enumerate(list_cuts(labelled, holders, options.repeats)):
        if options.comparison not in {None, name}:
            continue
        training = collect(values, labelled, depths, np.flatnonzero(seen))
        rng = np.random.default_rng(number)
        is_new_tried = "study-effects" in methods
        workshop = fit_workshop(training, methods, new_studies=is_new_tried, rng=rng, n_workers=1)
        workshop = replace(workshop, new_studies=False)
        for label in labels:
            hidden = np.flatnonzero(holders[label] & ~seen)
            real = collect(values, labelled, depths, rng.permutation(hidden)[:100]).values
            for method, figures in face(real, workshop, label, number, methods).items():
                place = {"comparison": name, "label": label, "cut": number, "method": method}
                found.append(place | {"n": len(real)} | figures)
        print(f"({name}) cut {number}: {', '.join(labels)}", flush=True)
        if options.out is not None:
            pd.DataFrame(found).to_csv(options.out, sep="\t", index=False)
    report_fidelity(pd.DataFrame(found))


def face(real, workshop, label, seed, methods):
    """Let the ceiling, the floor and all methods face the real samples outside training."""
    rng = np.random.default_rng(seed)
    training = workshop.samples
    holders = training.values[training.holders(label)]
    n = min(len(real), len(holders))
    noise_rows = rng.integers(training.n_samples, size=(n, real.shape[1]))
    sets = {CEILING: holders[rng.permutation(len(holders))[:n]]}
    sets |= make_all(workshop, label, n, seed, methods)
    sets["(noise: floor)"] = np.take_along_axis(training.values, noise_rows, axis=0)
    figures = {}
    for method, made in sets.items():
        chosen = np.random.default_rng(seed)
        figures[method] = compare_sets(
            real[:n], made, background=training.values, rng=chosen, n_workers=1
        ) | measure_memorisation(made, holders, real[:n], rng=chosen)
    return figures


def report_fidelity(found):
    """Print means, and the paired difference from the ceiling with its 95% interval."""
    for (name, label), part in found.groupby(["comparison", "label"], sort=False):
        n_cuts = part["cut"].nunique()
        print(
            f"\n{label}, comparison ({name}), mean of {n_cuts}, {part['n'].min()} samples or more"
        )
        print(part.groupby("method", sort=False)[SHOWN].mean().T.round(3).to_string())
        if n_cuts < 2:
            continue
        ceiling = part[part["method"] == CEILING].set_index("cut")
        rows = {}
        for method, own in part[part["method"] != CEILING].groupby("method", sort=False):
            gaps = own.set_index("cut")[TARGETS] - ceiling.loc[own["cut"], TARGETS]
            reach = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std() / np.sqrt(len(gaps))
            rows[method] = {
                metric: f"{gaps[metric].mean():+.3f} ± {reach[metric]:.3f}" for metric in TARGETS
            }
        print("minus the ceiling, with 95% intervals over the cuts")
        print(pd.DataFrame(rows).T.to_string(), flush=True)


def run_utility(options):
    """The whole grid; prints a table per score."""
    values, labelled, depths = read_all(options.atlas)
    everything = collect(values, labelled, depths, np.arange(len(values)))
    genes = np.sort(np.argsort(-everything.values.var(axis=0))[: options.genes])
    samples = replace(everything, values=np.ascontiguousarray(everything.values[:, genes]))
    trials = read_trials(options.out)
    known = {trial.method for trial in trials}
    methods = [method for method in options.method or METHODS if method not in known]
    utility = UtilityOptions(
        make_forest_fit(n_trees=options.trees, n_workers=1),
        methods,
        is_weighted_tried=CLASS_WEIGHTS not in known,
    )
    for label in options.label:
        start, worked = time.perf_counter(), time.process_time()
        found = measure_utility(
            samples, [label], options=utility, sizes=options.sizes, n_repeats=options.repeats
        )
        trials += [trial for trial in found if trial.method not in known]
        elapsed_s, worked_s = time.perf_counter() - start, time.process_time() - worked
        print(f"{label}: {elapsed_s:.0f} s, processor time {worked_s:.0f} s", flush=True)
        if options.out is not None:
            table = pd.DataFrame([asdict(trial) for trial in trials])
            table.to_csv(options.out, sep="\t", index=False)
    report_utility(trials)


def read_trials(path):
    """Read the trials of an earlier run, so that only other methods are run."""
    if path is None or not path.exists():
        return []
    rows = pd.read_csv(path, sep="\t", keep_default_na=False).to_dict("records")
    return [Trial(**row) for row in rows]


def report_utility(trials):
    """Print means and 95% intervals of the paired gain over no augmentation."""
    if not trials:
        print("no label has enough samples in other studies")
        return
    for score in ("average_precision", "f1"):
        rows = [
            {"n": row["n_real"], "method": row["method"], "pairs": row["n_pairs"]} | row[score]
            for row in summarize_utility(trials)
        ]
        print(f"\n{score} on unseen studies\n{pd.DataFrame(rows).round(3).to_string(index=False)}")
    report_rivals(trials)


def report_rivals(trials):
    """Print the generator's paired difference from every other method, with 95% intervals."""
    table = pd.DataFrame([asdict(trial) for trial in trials])
    wide = table.pivot(index=["n_real", "label", "repeat"], columns="method")["average_precision"]
    if "gan" not in wide:
        return
    for n_real, part in wide.groupby(level="n_real"):
        gaps = part.drop(columns="gan").rsub(part["gan"], axis=0)
        reach = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std() / np.sqrt(len(gaps))
        print(f"\nn = {n_real}: average precision, gan minus each, {len(gaps)} pairs")
        print(pd.DataFrame({"mean": gaps.mean(), "plus or minus": reach}).round(3).to_string())


def run_scale(options):
    """384 samples of one label x 60,000 genes: training time, memory, writing time."""
    rng = np.random.default_rng(0)
    n_samples, n_genes = options.samples, options.genes
    loads = rng.normal(size=(20, n_genes)).astype(np.float32)
    level = np.abs(rng.normal(4, 4, n_genes)).astype(np.float32)
    values = rng.normal(size=(n_samples, 20)).astype(np.float32) @ loads * 0.3 + level
    values += rng.normal(size=values.shape).astype(np.float32) * 0.3
    values = np.maximum(values - np.quantile(values, 0.3), 0)
    studies = np.array([f"S{i % 24}" for i in range(n_samples)], dtype=object)
    training = collect_training(
        values, sparse.csr_array(np.ones((n_samples, 1))), studies, keys=["brain"]
    )
    start, worked = time.perf_counter(), time.process_time()
    generator = fit_generator(training, rng=rng)
    trained, worked_trained = time.perf_counter(), time.process_time()
    made = generator.sample("brain", 1000, rng=rng)
    sampled = time.perf_counter()
    from expressome.atlas.samples_file import write_samples

    with tempfile.TemporaryDirectory() as folder:
        obs = pd.DataFrame(index=[f"s{i}" for i in range(1000)])
        var = pd.DataFrame(index=[f"g{i}" for i in range(n_genes)])
        write_samples(Path(folder) / "made.h5ad", made, obs=obs, var=var, notes={})
    written = time.perf_counter()
    worked_made = time.process_time() - worked_trained
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{n_samples} samples x {n_genes} genes, {generator.n_parameters} parameters")
    print(f"trained in {trained - start:.1f} s; 1,000 samples made in {sampled - trained:.1f} s")
    print(f"and written in {written - sampled:.1f} s; peak memory {peak:.2f} GiB")
    print(f"processor time: {worked_trained - worked:.1f} s and {worked_made:.1f} s")


def run_evaluate(options):
    """Time of `augment --evaluate`."""
    with tempfile.TemporaryDirectory() as folder:
        start, worked = time.perf_counter(), time.process_time()
        augment(
            options.atlas,
            labels=options.label,
            n_samples=100,
            out=Path(folder) / "made.h5ad",
            evaluate=True,
            resources=Resources(),
        )
        elapsed_s, worked_s = time.perf_counter() - start, time.process_time() - worked
        print(f"augment --evaluate: {elapsed_s:.1f} s, processor time {worked_s:.1f} s")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    for name in ("fidelity", "utility", "evaluate"):
        part = parts.add_parser(name)
        part.add_argument("atlas", type=Path)
        part.add_argument("--label", action="append", required=True)
        part.add_argument("--repeats", type=int, default=3)
        part.add_argument("--sizes", type=int, nargs="+", default=[5, 10, 20, 50])
        part.add_argument("--method", action="append", choices=METHODS, help="all if not given")
        part.add_argument("--comparison", choices=["a", "b"], help="fidelity only; both")
        part.add_argument("--genes", type=int, default=1000, help="utility only")
        part.add_argument("--trees", type=int, default=100, help="utility only")
        part.add_argument(
            "--out",
            type=Path,
            help="every figure, TSV; utility: methods in it are not run again",
        )
    scale = parts.add_parser("scale")
    scale.add_argument("--samples", type=int, default=384)
    scale.add_argument("--genes", type=int, default=60_000)
    options = parser.parse_args()
    {
        "fidelity": run_fidelity,
        "utility": run_utility,
        "scale": run_scale,
        "evaluate": run_evaluate,
    }[options.part](options)


if __name__ == "__main__":
    main()
