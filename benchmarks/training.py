"""Time training: the accelerated forest beside plain scikit-learn; a model of full size.

    python benchmarks/training.py --accelerator --rows 6000 20000 60000
    python benchmarks/training.py --accelerator --estimate --rows 6000 20000 60000
    python benchmarks/training.py --scale --samples 80000 --genes 5000 --labels 100
    python benchmarks/training.py --predict

All data are simulated; the data's own study effects decide nothing about real ones.
`--accelerator` grows the same forest twice on a simulated compendium, split by study,
and compares time and macro-F1 on the test studies, for each number of training rows: those
beyond the real ones carry invented study effects, as in `train`. `--estimate` grows a few
trees only and gives the processor time that 100 would take: binning once, then every tree
alike. `--scale` makes samples of many labels and studies as an ARCHS4 file and runs
`normalize` and `train`. `--predict` streams an ARCHS4 file of 60,000 genes through a model.
(The calibration error on test studies: `classifying.py --simulated`.)
"""

import argparse
import resource
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from expressome.annotation.multihot import write_labels
from expressome.archs4.writing import write_archs4
from expressome.atlas import open_atlas
from expressome.augmentation.study_effects import extend_training
from expressome.classification.forest_growth import fit_forest
from expressome.classification.label_sets import fit_label_sets
from expressome.classification.scores import score_labels
from expressome.engine import Resources
from expressome.pipeline.annotating import annotate
from expressome.pipeline.gene_ranking import rank_genes
from expressome.pipeline.label_reading import read_labelled
from expressome.pipeline.normalizing import normalize
from expressome.pipeline.predicting import predict
from expressome.pipeline.training import train
from expressome.reference.identifiers import load_genes
from expressome.results import LABEL_FIELDS, LabelMatrix
from expressome.simulation.compendium import simulate_compendium


def peak_gb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def simulate_atlas(folder, *, n_samples, n_studies, seed):
    truth = simulate_compendium(
        folder / "c.h5", n_samples=n_samples, n_studies=n_studies, seed=seed
    )
    truth.labels.to_csv(folder / "labels.tsv", sep="\t", index=False)
    annotate(folder / "c.h5", [folder / "labels.tsv"], out=folder / "labels.parquet")
    normalize(folder / "c.h5", labels=folder / "labels.parquet", out=folder / "atlas.zarr")
    return folder / "atlas.zarr"


def compare_libraries(n_samples, n_genes, n_rows, n_workers, *, is_estimate, n_trees=100):
    """Grow one forest with either library on the same rows; score it on test studies."""
    with tempfile.TemporaryDirectory() as place:
        path = simulate_atlas(Path(place), n_samples=n_samples, n_studies=n_samples // 16, seed=0)
        atlas = open_atlas(path)
        labelled = read_labelled(atlas)
        is_test = labelled.parts == "test"
        genes = rank_genes(
            atlas, labelled.rows[~is_test], order="variance",
            labels=labelled.labels[~is_test], studies=labelled.studies[~is_test],
            resources=Resources(workers=n_workers),
        )[:n_genes]  # fmt: skip
        values = atlas.read(labelled.rows, genes)
    sets, classes = fit_label_sets(labelled.labels[~is_test])
    held = sparse.csr_array(sets.sets[classes].astype(np.uint8))
    number = {tuple(np.flatnonzero(row)): c for c, row in enumerate(sets.sets)}
    print(
        f"{is_test.sum()} test samples of {len(set(labelled.studies[is_test]))} studies, "
        f"{n_genes} genes, {len(sets.sets)} classes, {n_trees} trees, {n_workers} threads"
    )
    # Once for the libraries to load and compile.
    for accelerated in (True, False):
        fit_forest(values[:100], np.arange(100) % 3, n_classes=3, seed=0, n_trees=1,
                   accelerated=accelerated)  # fmt: skip
    for wanted in n_rows:
        n_per_label = max(1, (wanted - len(classes)) // len(sets.sets))
        rows, new = extend_training(
            values[~is_test], held, labelled.studies[~is_test], n_per_label=n_per_label,
            rng=np.random.default_rng(0),
        )  # fmt: skip
        more = [number[tuple(np.flatnonzero(row))] for row in new.toarray()]
        train_rows = np.concatenate([values[~is_test], rows])
        del rows
        targets = np.concatenate([classes, more])
        if is_estimate:
            estimate_ratio(train_rows, targets, len(sets.sets), n_trees)
            continue
        elapsed, cpu = {}, {}
        for accelerated in (True, False):
            start, start_cpu = time.perf_counter(), time.process_time()
            forest = fit_forest(
                train_rows, targets, n_classes=len(sets.sets), seed=0, n_trees=n_trees,
                n_workers=n_workers, accelerated=accelerated,
            )  # fmt: skip
            name = "scikit-learn-intelex" if accelerated else "scikit-learn"
            elapsed[name] = time.perf_counter() - start
            cpu[name] = time.process_time() - start_cpu
            votes = forest.predict(values[is_test])
            f1 = score_labels(
                labelled.labels[is_test], sets.sets[votes.argmax(axis=1)],
                sets.to_label_probabilities(votes),
                label_keys=[str(key) for key in labelled.table.index],
            )["f1_macro"]  # fmt: skip
            print(
                f"{len(train_rows)} rows, {name:22s} {elapsed[name]:7.1f} s elapsed "
                f"{cpu[name]:7.1f} s processor  macro-F1 {f1:.3f}",
                flush=True,
            )
        ratios = [taken["scikit-learn"] / taken["scikit-learn-intelex"] for taken in (elapsed, cpu)]
        print(f"{len(train_rows)} rows: {ratios[0]:.1f} x elapsed, {ratios[1]:.1f} x processor")


def estimate_ratio(rows, targets, n_classes, n_trees):
    """Time few trees on one thread; print what as many as asked for would take."""
    taken = {}
    for accelerated, n in ((True, 1), (True, 21), (False, 3)):
        start = time.process_time()
        fit_forest(
            rows, targets, n_classes=n_classes, seed=0, n_trees=n, accelerated=accelerated
        )  # fmt: skip
        taken[accelerated, n] = time.process_time() - start
    each = (taken[True, 21] - taken[True, 1]) / 20
    plain = taken[False, 3] / 3
    ratio = n_trees * plain / (taken[True, 1] + (n_trees - 1) * each)
    print(
        f"{len(rows)} rows: accelerated {taken[True, 1]:.1f} s for the first tree and {each:.2f} s "
        f"for each other, plain {plain:.2f} s per tree: {ratio:.1f} x for {n_trees} trees",
        flush=True,
    )


def write_large(folder, *, n_samples, n_genes, n_labels, seed=0):
    """Write an ARCHS4 file of labelled samples: label profiles, study shifts, Poisson counts."""
    rng = np.random.default_rng(seed)
    n_studies = max(n_samples // 30, 6 * n_labels)
    # Labels as unequal as ARCHS4's: the first has some hundred times the last.
    shares = 1 / np.arange(1, n_labels + 1) ** 1.0
    label_of_study = rng.choice(n_labels, n_studies, p=shares / shares.sum())
    label_of_study[: 5 * n_labels] = np.tile(np.arange(n_labels), 5)
    study = np.sort(rng.integers(0, n_studies, n_samples))
    labels = label_of_study[study]
    level = rng.normal(4, 2.5, n_genes)
    profiles = level + (rng.random((n_labels, n_genes)) < 0.05) * rng.normal(
        0, 2.5, (n_labels, n_genes)
    )
    directions = rng.normal(0, 1, (30, n_genes))
    strength = rng.normal(0, 0.3, (n_studies, 30))
    known = load_genes("human")
    known = known[known.index.str.startswith("ENSG")].head(n_genes)
    genes = pd.DataFrame(
        {"symbol": known["symbol"].to_numpy(str), "biotype": "protein_coding"},
        index=pd.Index(known.index.to_numpy(dtype=object), name="gene"),
    )
    ids = pd.Index([f"GSM{i}" for i in range(n_samples)], name="sample", dtype=object)
    samples = pd.DataFrame({"series": [f"GSE{s}" for s in study]}, index=ids)

    def blocks():
        for start in range(0, n_samples, 2000):
            part = slice(start, start + 2000)
            log2_mean = profiles[labels[part]] + strength[study[part]] @ directions
            log2_mean += rng.normal(0, 0.5, log2_mean.shape)
            yield rng.poisson(2 ** np.clip(log2_mean, -3, 15)).astype(np.uint32)

    write_archs4(folder / "c.h5", samples=samples, genes=genes, blocks=blocks(), species="human")
    names = [f"label {k:03d}" for k in range(n_labels)]
    table = pd.DataFrame(
        dict.fromkeys(LABEL_FIELDS, ""), index=pd.Index(names, name="key", dtype=object)
    )
    table["name"], table["kind"] = names, "tissue"
    matrix = sparse.csr_array(
        (np.ones(n_samples, np.uint8), (np.arange(n_samples), labels)), (n_samples, n_labels)
    )
    write_labels(LabelMatrix(ids, table, matrix), folder / "labels.parquet", {})


def run_scale(n_samples, n_genes, n_labels, n_workers, split):
    resources = Resources(workers=n_workers, progress=_print_stage())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_large(folder, n_samples=n_samples, n_genes=n_genes, n_labels=n_labels)
        normalize(
            folder / "c.h5", labels=folder / "labels.parquet", out=folder / "atlas.zarr",
            split=[float(share) for share in split.split("/")], resources=resources,
        )  # fmt: skip
        print(f"file and atlas are there; peak memory so far {peak_gb():.1f} GB", flush=True)
        start, cpu = time.perf_counter(), time.process_time()
        summary = train(
            folder / "atlas.zarr", out=folder / "model", n_genes=n_genes, resources=resources
        )
        elapsed, cpu = time.perf_counter() - start, time.process_time() - cpu
        size = sum(path.stat().st_size for path in (folder / "model").iterdir())
    print(
        f"train: {n_samples} samples x {n_genes} genes x {n_labels} labels: {elapsed / 60:.1f} min "
        f"elapsed, {cpu / 60:.1f} min processor time, peak memory {peak_gb():.1f} GB, "
        f"model {size / 1e6:.0f} MB, macro-F1 {summary.figures['f1_macro']:.3f}"
    )


def _print_stage():
    start, seen = time.perf_counter(), {}

    def show(stage, n_done, n_total):
        if n_done >= n_total and stage not in seen:
            seen[stage] = True
            print(f"  {time.perf_counter() - start:7.0f} s  {stage}", flush=True)

    return show


def run_predict(n_samples, n_workers, model):
    """Stream samples of 60,000 genes through a model, or one of the demo's size made here."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if model is None:
            model = folder / "model"
            write_large(folder, n_samples=2000, n_genes=19000, n_labels=30)
            normalize(folder / "c.h5", labels=folder / "labels.parquet", out=folder / "atlas.zarr")
            train(
                folder / "atlas.zarr", out=model, n_genes=4000, n_trees=100, time_budget_s=0.0,
                resources=Resources(workers=n_workers),
            )  # fmt: skip
            (folder / "c.h5").unlink()
            (folder / "labels.parquet").unlink()
        write_large(folder, n_samples=n_samples, n_genes=60000, n_labels=30)
        for _ in range(2):
            start, cpu = time.perf_counter(), time.process_time()
            predict(
                model, folder / "c.h5", out=folder / "p.parquet", overwrite=True,
                resources=Resources(workers=n_workers),
            )  # fmt: skip
            elapsed, cpu = time.perf_counter() - start, time.process_time() - cpu
            print(
                f"predict: {n_samples} samples in {elapsed:.1f} s, {n_samples / elapsed:.0f}/s "
                f"({cpu:.1f} s of processor time, {n_samples / cpu * n_workers:.0f}/s if "
                f"{n_workers} processors were free)",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accelerator", action="store_true")
    parser.add_argument("--estimate", action="store_true", help="of --accelerator")
    parser.add_argument("--scale", action="store_true")
    parser.add_argument("--predict", action="store_true")
    parser.add_argument("--model", type=Path, help="of --predict: a human model folder")
    parser.add_argument("--samples", type=int, default=6000)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[6000, 20000], help="of --accelerator"
    )
    parser.add_argument("--split", default="70/15/15", help="of --scale")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.accelerator:
        compare_libraries(
            options.samples, options.genes, options.rows, options.workers,
            is_estimate=options.estimate,
        )  # fmt: skip
    if options.scale:
        run_scale(options.samples, options.genes, options.labels, options.workers, options.split)
    if options.predict:
        run_predict(options.samples, options.workers, options.model)
