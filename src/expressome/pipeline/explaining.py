"""Explain why a model gives one sample its label."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.classification.classifier import prepare_values
from expressome.classification.model import TrainedModel
from expressome.classification.model_file import read_model
from expressome.classification.reasons import measure_effects
from expressome.engine import Resources
from expressome.errors import InvalidValueError, LabelError, SelectionError, first_few
from expressome.manifest import create_manifest
from expressome.outputs import check_input
from expressome.pipeline.input_reading import CountSource, PredictionInput, open_input
from expressome.results import Summary

__all__ = ["explain", "list_effects"]

_N_SHOWN = 5


def explain(
    model: str | os.PathLike[str],
    file: CountSource,
    *,
    sample: str,
    label: str | None = None,
    n_genes: int = 20,
    resources: Resources | None = None,
) -> Summary:
    """Say which genes argue for and against one sample's label, and what it resembles.

    Each gene is set to its training median in turn, all others as they are, and
    the sample is voted on again: the change of the log odds of the label's vote
    (its probability before calibration) is the gene's effect. Genes that say the
    same thing share it, so that single effects may be small where the label is safe.

    Parameters
    ----------
    model
        Model folder.
    file
        ARCHS4 file, atlas, count table, or a DataFrame of counts, genes x samples.
    sample
        Id of the sample.
    label
        Label to explain; by default the one that `predict` answers.
    n_genes
        Genes listed for and against.
    resources
        Memory and threads.

    Returns
    -------
    Summary
        The answer as `predict` gives it; ``probabilities`` of the likeliest
        labels; ``vote``, ``genes_for`` and ``genes_against`` {gene, symbol, value,
        training_median, log_odds, vote_without, is_missing}; ``markers``
        of the label with this sample's values; ``nearest_labels`` and
        ``nearest_studies`` of training, by cosine.

    Raises
    ------
    SelectionError
        If the input has no such sample.
    LabelError
        If the model has no such label.
    InvalidValueError
        If `n_genes` is below 1.
    ModelError
        If the model is altered, or more than half of its genes are missing.

    Examples
    --------
    >>> explain("/tmp/no-such-model", "human.h5", sample="GSM1")
    Traceback (most recent call last):
    expressome.errors.InputNotFoundError: /tmp/no-such-model does not exist; ...
    """
    resources = resources or Resources()
    if n_genes < 1:
        msg = f"n_genes is {n_genes}; at least 1 gene is needed"
        raise InvalidValueError(msg)
    trained = read_model(check_input(model))
    if label is not None and label not in trained.keys:
        msg = (
            f"the model has no label {label!r} among its {len(trained.labels)}; "
            f"it knows {first_few(trained.keys)}"
        )
        raise LabelError(msg)
    opened = open_input(trained, file, resources=resources)
    given = _read_sample(opened, sample)
    answer = trained.answer(given, pd.Index([sample]), n_missing=opened.n_missing).iloc[0]
    prepared = prepare_values(given, trained.medians, use_ranks=trained.use_ranks)[0]
    asked = label or str(answer["label"])
    named = file if not isinstance(file, pd.DataFrame) else "a table in memory"
    figures = {
        "model": Path(model),
        "input": named,
        **{name: answer[name] for name in ("sample", "label", "confidence", "unknown", "reason")},
        "labels": list(answer["labels"]),
        "probabilities": _list_probabilities(trained, answer),
        "explained_label": asked,
        **list_effects(trained, prepared, np.isnan(given[0]), asked, n_genes),
        "markers": _compare_markers(trained, prepared, asked, n_genes),
        **_list_neighbours(trained, prepared),
        "distance": float(trained.measure_distance(given)[0]),
        "distance_bound": bound if np.isfinite(bound := trained.outliers.bound) else None,
        "n_missing_genes": int(np.isnan(given[0]).sum()),
        "n_model_genes": len(trained.genes),
    }
    inputs = [Path(model) / "SHA256SUMS", *([] if isinstance(file, pd.DataFrame) else [file])]
    manifest = create_manifest(
        "explain", inputs=inputs, parameters={"sample": sample, "label": label}
    )
    return Summary("explain", figures, manifest)


def _read_sample(opened: PredictionInput, sample: str) -> NDArray[np.float32]:
    """Read the model's genes of one sample, shape (1, n_genes)."""
    rows = np.flatnonzero(opened.samples == sample)
    if not len(rows):
        msg = (
            f"the input has no sample {sample!r} among its {len(opened.samples)} "
            f"(it has {first_few(opened.samples)}); check the id"
        )
        raise SelectionError(msg)
    return np.concatenate([values for _, values in opened.blocks(rows[:1])])


def _list_probabilities(model: TrainedModel, answer: "pd.Series[Any]") -> list[dict[str, Any]]:
    """List the likeliest labels with their thresholds."""
    found = np.array([float(answer[f"p:{key}"]) for key in model.keys])
    return [
        {
            "label": model.keys[k],
            "probability": float(found[k]),
            "threshold": float(model.thresholds[k]),
        }
        for k in np.argsort(-found, kind="stable")[:_N_SHOWN]
    ]


def _describe_gene(model: TrainedModel, prepared: NDArray[np.float32], gene: int) -> dict[str, Any]:
    return {
        "gene": str(model.genes[gene]),
        "symbol": model.symbols[gene] if model.symbols else "",
        "value": float(prepared[gene]),
        "training_median": float(model.medians[gene]),
    }


def list_effects(
    model: TrainedModel,
    prepared: NDArray[np.float32],
    is_missing: NDArray[np.bool_],
    label: str,
    n_genes: int,
) -> dict[str, Any]:
    """List the genes with the strongest effects on either side.

    Parameters
    ----------
    model
        The model.
    prepared
        Values of its genes in one sample, as the classifier reads them, shape (n_genes,).
    is_missing
        Genes that the sample lacks, same shape.
    label
        Key of the label.
    n_genes
        Genes listed on each side at most.

    Returns
    -------
    dict
        ``vote``, ``genes_for`` and ``genes_against``, as in `explain`.
    """
    effects = measure_effects(
        model.classifier, prepared, model.medians, label=model.keys.index(label)
    )
    order = np.argsort(-effects.log_odds, kind="stable")

    def describe(genes: NDArray[np.int64]) -> list[Mapping[str, Any]]:
        return [
            _describe_gene(model, prepared, g)
            | {
                "log_odds": float(effects.log_odds[g]),
                "vote_without": float(effects.without[g]),
                "is_missing": bool(is_missing[g]),
            }
            for g in genes
        ]

    speaks_for, speaks_against = effects.log_odds[order] > 0, effects.log_odds[order] < 0
    return {
        "vote": effects.vote,
        "genes_for": describe(order[speaks_for][:n_genes]),
        "genes_against": describe(order[speaks_against][::-1][:n_genes]),
    }


def _compare_markers(
    model: TrainedModel, prepared: NDArray[np.float32], label: str, n_genes: int
) -> list[dict[str, Any]]:
    """Set the label's marker genes beside this sample's values."""
    listed = []
    for marker in model.markers.get(label, [])[:n_genes]:
        g = int(model.genes.get_indexer(pd.Index([marker["gene"]]))[0])
        is_high = prepared[g] > model.medians[g]
        listed.append(
            marker
            | {
                "value": float(prepared[g]),
                "training_median": float(model.medians[g]),
                "agrees": bool(is_high == (marker["direction"] == "high")),
            }
        )
    return listed


def _list_neighbours(model: TrainedModel, prepared: NDArray[np.float32]) -> dict[str, Any]:
    """List the training studies, and the labels, whose mean profiles lie nearest."""
    profiles = model.study_profiles
    if profiles is None:
        return {"nearest_labels": [], "nearest_studies": []}
    cosine = profiles.compare(prepared)
    order = np.argsort(-cosine, kind="stable")
    _, first = np.unique(profiles.labels[order], return_index=True)

    def describe(cell: int) -> dict[str, Any]:
        return {"label": model.keys[profiles.labels[cell]], "cosine": float(cosine[cell])}

    return {
        "nearest_labels": [describe(cell) for cell in order[np.sort(first)][:_N_SHOWN]],
        "nearest_studies": [
            {"study": str(profiles.studies[cell])}
            | describe(cell)
            | {"n_samples": int(profiles.n_samples[cell])}
            for cell in order[:_N_SHOWN]
        ],
    }
