"""The README of a model: what it is for, what its figures mean, what it saw."""

from typing import Any

from expressome.augmentation.rare_labels import RARE_BELOW
from expressome.classification.model import TrainedModel
from expressome.manifest import ARCHS4_CITATION

__all__ = ["write_card"]

_N_MARKERS = 5


def write_card(model: TrainedModel) -> str:
    """Write the model card as Markdown.

    Parameters
    ----------
    model
        With its metrics.

    Returns
    -------
    str
        Text of README.md.
    """
    described, metrics = model.description, model.metrics
    training = described["training"]
    sections = [
        "# Expression classifier\n",
        (
            f"Labels {described.get('species') or 'unnamed species'} RNA-seq samples with "
            f"{len(model.labels)} labels from the counts of {len(model.genes):,} genes "
            f"({described['recipe']}).\n"
        ),
        "## What it was fitted on\n",
        (
            f"The shipped forest and weights saw {len(training['samples']):,} labelled samples of "
            f"{training['n_studies']:,} studies ({_fitted_on(training['refit'])}).\n"
        ),
        _augmentation_text(metrics),
        "## Figures\n",
        _figures_text(metrics),
        _label_table(model),
        "## Limits\n",
        (
            "It answers with the labels above, whatever the sample is; `unknown` marks samples "
            "unlike training or without a label above its threshold. Figures hold for studies "
            "like the test studies. It reads raw counts, not TPM or FPKM, of bulk RNA-seq.\n"
        ),
        "## Source of the data\n",
        f"{ARCHS4_CITATION}\n",
    ]
    return "\n".join(sections)


def _fitted_on(refit: str) -> str:
    if refit == "all":
        return "training, validation and test part: the settings chosen by study, fitted anew"
    return "training and validation part only"


def _augmentation_text(metrics: dict[str, Any]) -> str:
    """Say which synthetic samples every fit was given, if any."""
    found = metrics.get("settings", {}).get("augmentation")
    if not found or found["asked"] == "none":
        return "No synthetic sample was added.\n"
    if found["used"] == "none":
        return f"No synthetic sample was added: {found['reason']}.\n"
    return (
        f"Synthetic samples of label sets with fewer than {RARE_BELOW} samples were added to "
        f"training (`{found['used']}`: {found['reason']}). "
        "None is among the samples of any figure.\n"
    )


def _figures_text(metrics: dict[str, Any]) -> str:
    test = metrics.get("test")
    if not test:
        return "No study was left for a test: this model has no figure on unseen studies.\n"
    lines = [
        (
            "These figures belong to the split by study: a model of the training and "
            f"validation studies, scored on {test['n_samples']:,} samples of "
            f"{test['n_studies']:,} test studies. "
            "The shipped model itself was not scored on samples it saw.\n"
        ),
        "| model | F1 samples | F1 micro | F1 macro |",
        "|---|---|---|---|",
        _row("this model, test studies", test),
    ]
    if metrics.get("validation"):
        lines.append(_row("this model, validation studies", metrics["validation"]))
    lines += [_row(name.replace("_", " "), row) for name, row in metrics["baselines"].items()]
    return "\n".join(lines) + "\n"


def _row(name: str, scores: dict[str, Any]) -> str:
    cells = [_number(scores[key]) for key in ("f1_samples", "f1_micro", "f1_macro")]
    return f"| {name} | {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _label_table(model: TrainedModel) -> str:
    scored = (model.metrics.get("test") or {}).get("per_label", {})
    lines = [
        "| label | kind | samples seen | threshold | test samples | test F1 | marker genes |",
        "|---|---|---|---|---|---|---|",
    ]
    records = model.labels.to_dict(orient="records")
    for k, (key, row) in enumerate(zip(model.keys, records, strict=True)):
        entry = scored.get(key, {})
        lines.append(
            f"| {key} | {row['kind']} | {row['n_samples']} | {model.thresholds[k]:.2f} | "
            f"{entry.get('support', 0)} | {_number(entry.get('f1'))} | {_markers(model, key)} |"
        )
    return "\n".join(lines) + "\n"


def _markers(model: TrainedModel, key: str) -> str:
    """Name the leading marker genes; those that are low in the label with a minus."""
    leading = model.markers.get(key, [])[:_N_MARKERS]
    signs = {"high": "", "low": "-"}
    return ", ".join(signs[row["direction"]] + (row["symbol"] or row["gene"]) for row in leading)
