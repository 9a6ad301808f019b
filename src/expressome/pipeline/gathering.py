"""Gather what a report shows of a model, its predictions and synthetic samples."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import MissingFieldError, ModelError
from expressome.outputs import check_input
from expressome.pipeline.prediction_reading import read_predictions
from expressome.reporting.content import Classification, Histogram, Predictions
from expressome.tables.columnar import open_h5ad

__all__ = [
    "SyntheticSamples",
    "gather_classification",
    "gather_predictions",
    "read_model_json",
    "read_synthetic",
    "tabulate_fidelity",
]

_SCORES = ("f1_samples", "f1_micro", "f1_macro", "n_samples", "n_studies")
_PER_LABEL = (
    "precision",
    "recall",
    "f1",
    "average_precision",
    "auroc",
    "support",
    "threshold",
    "testable",
)
# Key of a score, a baseline or a setting -> words; others are spelled as they are.
_WORDS = {
    "test": "this model: test",
    "validation": "this model: validation",
    "plain_forest": "plain forest",
    "original": "original method",
    "logistic_regression": "logistic regression",
    "nearest_centroid": "nearest centroid",
    "plain_forest_random_split": "plain forest, random split",
    "original_random_split": "original, random split",
    "this_model_random_split": "this model, random split",
    "n_genes": "genes",
    "n_trees": "trees",
    "n_per_label": "study-effect rows per label",
    "features": "genes ordered by",
    "linear_share": "weight of the linear scores",
    "penalty": "penalty of the linear scores",
    "use_ranks": "ranks instead of values",
    "chosen_on": "settings chosen on",
    "n_implied_labels": "labels implied by others",
}
# Genes named per label; markers.json holds more.
_N_MARKERS = 12
_CONFIDENCE_EDGES = np.linspace(0, 1, 21)


def read_model_json(model: Path, name: str) -> dict[str, Any]:
    """Read one JSON file of a model directory.

    Parameters
    ----------
    model
        Folder that `train` wrote.
    name
        Such as ``"metrics.json"``.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    ModelError
        If the file is missing or is not JSON.
    """
    place = check_input(model) / name
    if not place.is_file():
        msg = f"{model} holds no {name}, so it is not a model; pass a folder that train wrote"
        raise ModelError(msg)
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"{place} is not JSON ({error}); train the model again"
        raise ModelError(msg) from error
    if not isinstance(content, dict):
        msg = f"{place} holds a {type(content).__name__}, not an object; train the model again"
        raise ModelError(msg)
    return content


def _spell(name: str) -> str:
    """Turn a key into words."""
    return _WORDS.get(name, name.replace("_", " "))


def gather_classification(
    metrics: Mapping[str, Any], markers: Mapping[str, Any] | None = None
) -> Classification:
    """Turn a model's metrics into tables.

    Parameters
    ----------
    metrics
        Content of ``metrics.json``.
    markers
        Content of ``markers.json``.

    Returns
    -------
    Classification
        What is absent there is None or empty here.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name in ("test", "validation"):
        if isinstance(metrics.get(name), Mapping):
            rows[name] = _score_row(metrics[name], "model") | {"title": _spell(name)}
    leak = ""
    for name, scores in (metrics.get("baselines") or {}).items():
        if isinstance(scores, Mapping) and scores.get("f1_samples") is not None:
            rows[name] = _score_row(scores, "baseline") | {"title": _spell(name)}
            leak = leak or (name if name.endswith("_random_split") else "")
    test = metrics.get("test") or {}
    settings = {
        _spell(name): value
        for name, value in (metrics.get("settings") or {}).items()
        if isinstance(value, str | int | float | bool)
    }
    return Classification(
        scores=pd.DataFrame.from_dict(rows, orient="index"),
        per_label=_tabulate_labels(test.get("per_label") or {}),
        confusion=_tabulate_confusion(test.get("confusion")),
        reliability=_tabulate_curve(
            test.get("reliability"),
            {"confidence": "confidence", "right": "accuracy", "n_samples": "n"},
        ),
        risk_coverage=_tabulate_curve(
            test.get("risk_coverage"), {"coverage": "coverage", "error": "risk"}
        ),
        settings={name: _say(value) for name, value in settings.items()},
        leak=leak,
        markers=_tabulate_markers(markers or {}),
        utility=_tabulate_utility((metrics.get("settings") or {}).get("augmentation")),
    )


def _tabulate_markers(markers: Mapping[str, Any]) -> pd.DataFrame | None:
    """Name the genes of each label that are high and low in it; None where there are none."""
    rows = {
        str(key): {
            side: ", ".join(
                str(one["symbol"] or one["gene"]) for one in genes if one["direction"] == side
            )
            for side in ("high", "low")
        }
        | {"lost": float(genes[0]["importance"])}
        for key, every in markers.items()
        if (genes := every[:_N_MARKERS])
    }
    return pd.DataFrame.from_dict(rows, orient="index") if rows else None


def _tabulate_utility(augmentation: Any) -> pd.DataFrame | None:  # noqa: ANN401
    """Tabulate what each method gained over no synthetic samples; None where none was tried."""
    if not isinstance(augmentation, Mapping) or not augmentation.get("trials"):
        return None
    rows = []
    for trial in augmentation["trials"]:
        precision = trial["average_precision"]
        row = {name: precision.get(name) for name in ("gain", "low", "high")}
        rows.append(
            {"method": trial["method"], "n_pairs": trial["n_pairs"]}
            | {"average_precision": precision["mean"], "f1": trial["f1"]["mean"]}
            | row
            | {"used": _say(trial["method"] == augmentation.get("used"))}
        )
    return pd.DataFrame(rows)


def _say(value: Any) -> Any:  # noqa: ANN401 - a plain value
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def _score_row(scores: Mapping[str, Any], role: str) -> dict[str, Any]:
    """Take the figures of one row; an interval is low and high of F1 over samples."""
    row: dict[str, Any] = {name: _number(scores.get(name)) for name in _SCORES}
    interval = (scores.get("intervals") or {}).get("f1_samples")
    if isinstance(interval, list | tuple) and len(interval) == 2:
        row |= {"low": _number(interval[0]), "high": _number(interval[1])}
    return row | {"role": role}


def _number(value: Any) -> float:  # noqa: ANN401 - a plain value
    return float(value) if isinstance(value, int | float) else float("nan")


def _tabulate_labels(per_label: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    rows = {key: {name: entry.get(name) for name in _PER_LABEL} for key, entry in per_label.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=list(_PER_LABEL))
    numbers = [name for name in _PER_LABEL if name != "testable"]
    table[numbers] = table[numbers].astype(np.float64)
    return table


def _tabulate_confusion(confusion: Any) -> pd.DataFrame | None:  # noqa: ANN401
    if not isinstance(confusion, Mapping) or not confusion.get("labels"):
        return None
    rows = [str(key) for key in confusion["labels"]]
    columns = [str(key) for key in confusion.get("predicted_labels", rows)]
    return pd.DataFrame(np.asarray(confusion["matrix"]), index=rows, columns=columns)


def _tabulate_curve(curve: Any, names: Mapping[str, str]) -> pd.DataFrame | None:  # noqa: ANN401
    """Read a curve given as rows; None without the columns that are drawn."""
    table = pd.DataFrame(curve or [])
    if not set(names) <= set(table.columns):
        return None
    return table[list(names)].rename(columns=dict(names))


def gather_predictions(path: Path) -> Predictions:
    """Count what a file of predictions says.

    Parameters
    ----------
    path
        Parquet file that `predict` wrote.

    Returns
    -------
    Predictions
        Labels are counted among samples that are not unknown.

    Raises
    ------
    FileFormatError
        If it is not a Parquet file.
    MissingFieldError
        If a column is missing.
    """
    table = read_predictions(
        path, ["sample", "label", "confidence", "unknown"], optional=["reason"]
    )
    unknown = table["unknown"].to_numpy(dtype=bool)
    counts = table.loc[~unknown, "label"].astype(str).value_counts()
    confidence = table["confidence"].to_numpy(np.float64)
    reasons = (
        table.loc[unknown, "reason"].astype(str) if "reason" in table else pd.Series(dtype=str)
    )
    # A reason gives its figures in brackets, different for each sample.
    reasons = reasons.str.replace(r"\s*\(.*", "", regex=True)
    return Predictions(
        n_samples=len(table),
        n_unknown=int(unknown.sum()),
        counts=pd.DataFrame({"n_samples": counts.to_numpy(np.int64)}, index=counts.index),
        confidence_known=_bin_confidence(confidence[~unknown]),
        confidence_unknown=_bin_confidence(confidence[unknown]),
        reasons={str(name): int(n) for name, n in reasons.value_counts().head(6).items() if name},
    )


def _bin_confidence(confidence: NDArray[np.float64]) -> Histogram:
    counts, _ = np.histogram(confidence[np.isfinite(confidence)], _CONFIDENCE_EDGES)
    return Histogram(_CONFIDENCE_EDGES, counts.astype(np.float64))


@dataclass(frozen=True, slots=True)
class SyntheticSamples:
    """What `augment` wrote, as far as a report shows it.

    Attributes
    ----------
    method
        Name of the method.
    labels
        Label per sample, shape (n_samples,).
    values
        Some genes of the samples, NaN where the file lacks a gene, shape (n_samples, n_genes).
    details
        Fidelity, training curve and manifest, as the file keeps them.
    """

    method: str
    labels: NDArray[Any]
    values: NDArray[np.float64]
    details: Mapping[str, Any]


def read_synthetic(path: Path, genes: pd.Index, *, rng: np.random.Generator) -> SyntheticSamples:
    """Read labels and some genes of synthetic samples.

    Parameters
    ----------
    path
        h5ad file that `augment` wrote.
    genes
        Gene ids wanted.
    rng
        Chooses up to 500 samples per label of a larger file.

    Returns
    -------
    SyntheticSamples
        Labels of all samples; values of those chosen are finite, of others NaN.

    Raises
    ------
    MissingFieldError
        If its samples carry no label.
    """
    opened = open_h5ad(check_input(path))
    try:
        obs = opened.obs
        if "label" not in obs.columns:
            msg = f"{path} has no column label in obs; pass the file that augment wrote"
            raise MissingFieldError(msg)
        labels = obs["label"].astype(str).to_numpy(dtype=object)
        chosen = _choose_rows(labels, rng)
        columns = pd.Index(opened.var_names).get_indexer(genes)
        values = np.full((len(labels), len(genes)), np.nan)
        found = columns >= 0
        read = np.asarray(opened.X[chosen], dtype=np.float64)[:, columns[found]]
        values[np.ix_(chosen, np.flatnonzero(found))] = read
        details = _read_details(opened.uns.get("expressome"))
        method = str(obs["method"].iloc[0]) if "method" in obs.columns and len(obs) else ""
    finally:
        opened.file.close()
    return SyntheticSamples(method or "not recorded", labels, values, details)


def _choose_rows(labels: NDArray[Any], rng: np.random.Generator) -> NDArray[np.intp]:
    """Take up to 500 samples of each label, in file order."""
    chosen = []
    for label in dict.fromkeys(labels.tolist()):
        rows = np.flatnonzero(labels == label)
        chosen.append(rng.choice(rows, min(len(rows), 500), replace=False))
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.intp)


def _read_details(stored: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever stands there
    try:
        details = json.loads(str(stored)) if stored is not None else {}
    except ValueError:
        return {}
    return details if isinstance(details, dict) else {}


def tabulate_fidelity(fidelity: Mapping[str, Any]) -> pd.DataFrame:
    """Turn ``{method: {metric: {value, ceiling, floor}}}`` into rows.

    Parameters
    ----------
    fidelity
        As `augment` prints it; entries of another form are left out.

    Returns
    -------
    DataFrame
        Columns method, metric, value, ceiling, floor.

    Examples
    --------
    >>> found = tabulate_fidelity({"gan": {"auc": {"value": 0.8, "ceiling": 0.5, "floor": 1.0}}})
    >>> found.loc[0, "value"]
    np.float64(0.8)
    """
    rows = [
        (str(method), str(metric), *(_number(entry.get(n)) for n in ("value", "ceiling", "floor")))
        for method, metrics in fidelity.items()
        if isinstance(metrics, Mapping)
        for metric, entry in metrics.items()
        if isinstance(entry, Mapping) and "value" in entry
    ]
    return pd.DataFrame(rows, columns=["method", "metric", "value", "ceiling", "floor"])
