"""What synthetic samples are worth, against plain methods, on real or simulated samples.

Run from the checkout, on an atlas that `expressome normalize --labels` made:

    python benchmarks/augmenting.py fidelity ATLAS --label brain --label skin
    python benchmarks/augmenting.py utility ATLAS --label liver --repeats 5
    python benchmarks/augmenting.py scale                  # 384 samples x 60,000 genes

fidelity (a): half of each study's samples is held back; synthetic samples made from the
other half face the held-back half; the ceiling is the real training half against it.
fidelity (b): a study is left out whole; synthetic samples of the other studies face it;
the ceiling is real samples of the other studies. All sets of one table have equal sizes.
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
from scipy import sparse

from expressome.atlas import open_atlas
from expressome.augmentation.baselines import METHODS, make_baseline
from expressome.augmentation.fidelity import METRICS, compare_sets, measure_memorisation
from expressome.augmentation.generator import fit_generator
from expressome.augmentation.study_effects import fit_study_effects
from expressome.augmentation.training_samples import collect_training, fill_missing, fit_medians
from expressome.augmentation.utility import (
    CLASS_WEIGHTS,
    Trial,
    UtilityOptions,
    measure_utility,
    summarize_utility,
)
from expressome.engine import Resources
from expressome.errors import ExpressomeError
from expressome.normalization.recipe import Normalizer
from expressome.pipeline.augmenting import augment
from expressome.pipeline.label_reading import read_labelled
from expressome.pipeline.method_choosing import make_forest_fit

SHOWN = [*METRICS, "nearest_neighbour_ratio", "n_copies"]


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


def make_all(training, label, n_samples, seed, methods=METHODS):
    """Give the samples of every method that can work, and the generator's training time."""
    made = {}
    effects = fit_study_effects(training.values, training.labels, training.studies)
    for method in methods:
        rng = np.random.default_rng([seed, *method.encode()])
        try:
            if method.startswith("gan"):
                generator = fit_generator(training, rng=rng)
                made["gan"] = generator.sample(label, n_samples, rng=rng)
                made["gan, new studies"] = generator.sample(
                    label, n_samples, rng=rng, effects=effects
                )
            else:
                made[method] = make_baseline(
                    method, training, label, n_samples=n_samples, rng=rng, effects=effects
                )
        except ExpressomeError as error:
            print(f"  {method}: {error}")
    return made


def measure(real, made, training, holders, seed):
    """Compare every method's samples with the same real ones."""
    rows = {}
    for method, values in made.items():
        rng = np.random.default_rng(seed)
        n = min(len(values), len(real))
        found = compare_sets(real[:n], values[:n], background=training.values, rng=rng)
        memory = measure_memorisation(values[:n], holders, real, rng=rng)
        rows[method] = found | memory
    return pd.DataFrame(rows).loc[SHOWN]


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


def run_fidelity(options):
    values, labelled, depths = read_all(options.atlas)
    keys = [str(key) for key in labelled.table.index]
    print(f"{values.shape[0]} labelled samples x {values.shape[1]} genes measured in 95%")
    for label in options.label:
        holds = np.asarray(labelled.labels[:, [keys.index(label)]].todense()).ravel() > 0
        tables = {"a": [], "b": []}
        for seed in range(options.repeats):
            rng = np.random.default_rng(seed)
            is_training = split_by_sample(labelled, rng)
            tables["a"].append(face(values, labelled, depths, label, is_training, holds, seed))
            studies = [
                study
                for study in np.unique(labelled.studies[holds])
                if (holds & (labelled.studies == study)).sum() >= 6
                and (holds & (labelled.studies != study)).sum() >= 6
            ]
            for study in studies[: options.repeats] if seed == 0 else []:
                seen = labelled.studies != study
                tables["b"].append(face(values, labelled, depths, label, seen, holds, seed))
        for name, found in tables.items():
            if found:
                print(f"\n{label}, comparison ({name}), mean of {len(found)}")
                print((sum(found) / len(found)).round(3).to_string(), flush=True)


def face(values, labelled, depths, label, is_training, holds, seed):
    """Let the ceiling and all methods face the real samples outside training."""
    rng = np.random.default_rng(seed)
    training = collect(values, labelled, depths, np.flatnonzero(is_training))
    hidden = rng.permutation(np.flatnonzero(holds & ~is_training))[:100]
    real = collect(values, labelled, depths, hidden).values
    holders = training.values[training.holders(label)]
    n = min(len(real), len(holders))
    ceiling = holders[rng.permutation(len(holders))[:n]]
    noise_rows = rng.integers(training.n_samples, size=(n, values.shape[1]))
    made = {"(real: ceiling)": ceiling}
    made |= make_all(training, label, n, seed)
    made["(noise: floor)"] = np.take_along_axis(training.values, noise_rows, axis=0)
    return measure(real[:n], made, training, holders, seed)


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
        part.add_argument("--method", action="append", choices=METHODS, help="utility only")
        part.add_argument("--genes", type=int, default=1000, help="utility only")
        part.add_argument("--trees", type=int, default=100, help="utility only")
        part.add_argument(
            "--out",
            type=Path,
            help="utility only: every trial, TSV; methods in it are not run again",
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
