"""Train a classifier on the labelled samples of an atlas."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from expressome.atlas import Atlas, open_atlas
from expressome.augmentation.study_effects import extend_training, fit_study_effects
from expressome.classification.classifier import EffectFunctions, Settings
from expressome.classification.evaluation import LabelTree
from expressome.classification.features import FEATURES
from expressome.classification.forest_tuning import choose_forest, thin_pairs
from expressome.classification.model import TrainedModel, parent_columns
from expressome.classification.model_file import write_model
from expressome.classification.tuning import (
    FitOptions,
    Samples,
    choose_settings,
    validation_pairs,
)
from expressome.engine import Resources, on_cluster
from expressome.errors import InvalidValueError
from expressome.manifest import create_manifest
from expressome.outputs import check_output, staged_output
from expressome.pipeline.baseline_scoring import N_COMPARED
from expressome.pipeline.card_writing import write_card
from expressome.pipeline.effect_learning import can_learn_effects
from expressome.pipeline.fitting import fit_shipped
from expressome.pipeline.gene_ranking import rank_genes
from expressome.pipeline.label_reading import LabelledSamples, read_labelled
from expressome.pipeline.method_choosing import (
    Augment,
    check_augment,
    choose_augmentation,
    read_divisor,
)
from expressome.pipeline.scoring import calibrate, score_test
from expressome.pipeline.value_reading import read_values
from expressome.results import Summary

__all__ = ["train"]

Refit = Literal["all", "none"]
Features = Literal["f-test", "information", "variance", "ranks"]
# Tried on validation studies, where the atlas has so many genes.
_N_GENES_TRIED = (2000, 4000)


@on_cluster
def train(
    atlas: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    study_effects: bool = True,
    features: Features = "f-test",
    n_genes: int | None = None,
    n_trees: int | None = None,
    time_budget_s: float = 60.0,
    max_error: float | None = None,
    augment: Augment = "none",
    refit: Refit = "all",
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Train, calibrate and test a classifier by study, and write the model.

    Genes are ordered by what they tell of labels, beside what they tell of studies, on
    training samples; their number,
    the penalty and the mix of forest and linear scores are chosen on validation
    studies, calibration and thresholds too; the figures come from test studies.
    The shipped model is then fitted anew, with these settings, on all labelled
    samples.

    Parameters
    ----------
    atlas
        Atlas with labels and a split, as `normalize` writes it.
    out
        New model folder.
    study_effects
        Whether training is extended by samples that carry invented study
        effects: what helps most on studies never seen.
    features
        How genes are ordered: "f-test" (difference between labels over that between
        studies of a label), "information" (signal and mean cosine) or "variance"; or
        "ranks": by F-test, then read as ranks within the sample, which needs no target.
    n_genes
        Genes the classifier reads; None chooses on validation studies.
    n_trees
        Trees of the forest; None chooses on validation studies.
    time_budget_s
        Seconds after which no further number of trees, depth or class weight is
        tried; 0 keeps the defaults.
    max_error
        Bound on the mean error over studies among answered samples; None
        leaves it to the labels' thresholds.
    augment
        Synthetic samples of rare label sets (fewer than 50 samples) in every fit
        after the settings are chosen: "none", a method of `augment`, or "auto", which
        takes the method that won on validation studies, or none.
    refit
        "all" fits the shipped model on all labelled samples, "none" on training
        and validation samples only.
    overwrite
        Whether an existing model may be replaced.
    resources
        Memory, threads and seed.

    Returns
    -------
    Summary
        Test figures, baselines, settings, where the model is.

    Raises
    ------
    AtlasError, LabelError
        If the atlas has no split, no label or no training sample.
    InvalidValueError
        If an option lies outside what it may be.

    Warns
    -----
    LabelWarning
        If there is no test or no validation study, or labels cannot be tested.
    StudyWarning
        If no label is held by two studies, so that no study effect is learned.

    Examples
    --------
    >>> train("/tmp/no-such.zarr", out="/tmp/model")
    Traceback (most recent call last):
    expressome.errors.InputNotFoundError: /tmp/no-such.zarr does not exist; ...
    """
    resources = resources or Resources()
    _check_options(
        features,
        n_genes,
        n_trees=n_trees,
        time_budget_s=time_budget_s,
        max_error=max_error,
        refit=refit,
    )
    check_augment(augment)
    opened = open_atlas(atlas)
    check_output(out, overwrite=overwrite)
    labelled = read_labelled(opened)
    default = Settings(
        features=features,
        n_trees=n_trees or Settings().n_trees,
        study_effects=study_effects,
        use_ranks=features == "ranks",
        n_genes=min(n_genes or Settings().n_genes, opened.n_genes),
    )
    effects = None
    if study_effects and can_learn_effects(labelled):
        effects = EffectFunctions(fit_study_effects, extend_training)
    options = FitOptions(
        effects, resources.seed, resources.n_workers, resources.cluster, resources.progress
    )
    pairs = validation_pairs(labelled.parts, labelled.labels, labelled.studies, seed=resources.seed)
    genes = _choose_genes(
        opened,
        labelled,
        default,
        single_split=len(pairs) == 1,
        n_genes=n_genes,
        resources=resources,
    )
    values = read_values(opened, labelled.rows, genes, use_ranks=default.use_ranks)
    samples = Samples(values, labelled.labels, labelled.studies)
    augmentation = choose_augmentation(
        augment,
        samples,
        pairs,
        keys=[str(key) for key in labelled.table.index],
        divisor=read_divisor(opened, genes),
        settings=default,
        options=options,
    )
    tried = (default.n_genes,) if n_genes else _N_GENES_TRIED
    few = thin_pairs(
        pairs, labelled.studies, n_samples=N_COMPARED, rng=resources.rng("thin training")
    )
    settings, trials = choose_settings(
        samples, few, default=default, n_genes=tried, options=options
    )
    settings, forest = choose_forest(
        samples, few, settings=settings, options=options, n_trees=n_trees, budget_s=time_budget_s
    )
    options = replace(options, augment=augmentation.augment)
    tree = LabelTree(
        [str(key) for key in labelled.table.index],
        parent_columns(labelled.table),
        np.asarray(labelled.labels.sum(axis=0)).ravel(),
        labelled.table["kind"].astype(str).tolist(),
    )
    resources.progress("calibrate", 0, 1)
    calibrated = calibrate(
        samples, pairs, settings=settings, options=options, tree=tree, max_error=max_error
    )
    resources.progress("calibrate", 1, 1)
    resources.progress("score test studies", 0, 1)
    metrics = score_test(
        samples,
        labelled.parts,
        calibrated,
        settings=settings,
        options=options,
        tree=tree,
        reads=labelled.reads,
    )
    resources.progress("score test studies", 1, 1)
    metrics["calibration"] = calibrated.choice
    metrics |= _describe_choice(opened, labelled, settings, trials, pairs=pairs, refit=refit)
    metrics["settings"]["augmentation"] = augmentation.to_plain()
    metrics["settings"]["forest"] = forest
    resources.progress("fit the final model", 0, 1)
    model = fit_shipped(
        opened,
        labelled,
        samples,
        calibrated=calibrated,
        settings=settings,
        options=options,
        genes=genes,
        refit=refit,
        metrics=metrics,
    )
    resources.progress("fit the final model", 1, 1)
    manifest = create_manifest(
        "train",
        inputs=[opened.path],
        parameters=settings.to_plain()
        | {"refit": refit, "max_error": max_error, "augment": augmentation.used},
        seed=resources.seed,
    )
    model.description["manifest"] = manifest | {"atlas": opened.manifest}
    with staged_output(out, overwrite=overwrite) as partial:
        write_model(model, partial, card=write_card(model))
    return Summary("train", _figures(metrics, Path(out), model), manifest)


def _check_options(
    features: str,
    n_genes: int | None,
    *,
    n_trees: int | None,
    time_budget_s: float,
    max_error: float | None,
    refit: str,
) -> None:
    if features not in FEATURES:
        msg = f"features is {features!r}; choose one of {', '.join(FEATURES)}"
        raise InvalidValueError(msg)
    if refit not in get_args(Refit):
        msg = f"refit is {refit!r}; choose all or none"
        raise InvalidValueError(msg)
    if n_genes is not None and n_genes < 1:
        msg = f"n_genes is {n_genes}; at least 1 gene is needed"
        raise InvalidValueError(msg)
    if time_budget_s < 0:
        msg = f"time_budget_s is {time_budget_s:g}; give seconds, or 0 to keep the defaults"
        raise InvalidValueError(msg)
    if n_trees is not None and n_trees < 1:
        msg = f"n_trees is {n_trees}; at least 1 tree is needed"
        raise InvalidValueError(msg)
    if max_error is not None and not 0 < max_error < 1:
        msg = f"max_error is {max_error:g}; it must lie between 0 and 1"
        raise InvalidValueError(msg)


def _choose_genes(
    atlas: Atlas,
    labelled: LabelledSamples,
    default: Settings,
    *,
    single_split: bool,
    n_genes: int | None,
    resources: Resources,
) -> NDArray[np.int64]:
    """Order genes on training samples; on all but test samples where folds choose settings."""
    is_used = labelled.parts == "train" if single_split else labelled.parts != "test"
    ranked = rank_genes(
        atlas,
        labelled.rows[is_used],
        order=default.features,
        labels=labelled.labels[is_used],
        studies=labelled.studies[is_used],
        resources=resources,
    )
    return ranked[: n_genes or max(*_N_GENES_TRIED, default.n_genes)]


def _describe_choice(
    atlas: Atlas,
    labelled: LabelledSamples,
    settings: Settings,
    trials: list[dict[str, Any]],
    *,
    pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    refit: str,
) -> dict[str, Any]:
    """Say how the settings were chosen, and what each figure saw."""
    counts = {
        part: {
            "n_samples": int((labelled.parts == part).sum()),
            "n_studies": len(np.unique(labelled.studies[labelled.parts == part].astype(str))),
        }
        for part in ("train", "validation", "test")
    }
    shipped = np.ones(len(labelled.rows), bool) if refit == "all" else labelled.parts != "test"
    return {
        "split": counts | {"report": atlas.description.get("split_report")},
        "settings": settings.to_plain()
        | {
            "chosen_on": "validation studies"
            if len(pairs) == 1
            else f"{len(pairs)} folds by study over all samples outside the test part"
            if pairs
            else "nothing: there is one study only; these are the defaults",
            "trials": trials,
            "n_implied_labels": labelled.n_implied,
        },
        "refit": {
            "fitted_on": refit,
            "n_samples": int(shipped.sum()),
            "figures": "from models that saw no test sample; the shipped model has other trees",
        },
    }


def _figures(metrics: dict[str, Any], out: Path, model: TrainedModel) -> dict[str, Any]:
    """Keep what is printed."""
    test = metrics["test"] or {}
    baselines = {
        name: scores["f1_macro"] for name, scores in metrics["baselines"].items() if scores
    }
    names = ("n_samples", "n_studies", "f1_samples", "f1_micro", "f1_macro", "accuracy")
    return {
        "model": out,
        **{name: test.get(name) for name in names},
        "intervals": test.get("intervals"),
        "expected_calibration_error": test.get("expected_calibration_error"),
        "per_label": test.get("per_label", {}),
        "baselines_f1_macro": baselines,
        "n_labels": len(model.labels),
        "n_label_sets": len(model.classifier.label_sets.sets),
        "n_merged_samples": model.classifier.label_sets.n_merged_samples,
        "settings": model.description["settings"],
        "augmentation": metrics["settings"]["augmentation"],
        "fitted_on": model.description["training"]["refit"],
        "n_training_samples": len(model.description["training"]["samples"]),
    }
