"""The section on the classifier's scores."""

import numpy as np
import pandas as pd

from expressome.errors import first_few
from expressome.reporting import figures
from expressome.reporting.content import Classification
from expressome.reporting.figures.frame import Figure
from expressome.reporting.section import Section
from expressome.reporting.tables import Column, Table

__all__ = ["build_classification"]


def build_classification(part: Classification | None) -> Section:
    """Build the section on the classifier's scores.

    Parameters
    ----------
    part
        The scores; None without a model.

    Returns
    -------
    Section
        Scores beside baselines, labels, confusion, reliability, risk and coverage.
    """
    title = "Classification"
    lead = "How well labels are predicted for studies that the model never saw."
    if part is None:
        return Section(
            "classification",
            title,
            lead,
            absent="No model was given: train one with `expressome "
            "train` and pass its folder with `--model`.",
        )
    made = [_scores(part), _label_scores(part), _reliability(part), _risk(part), _confusion(part)]
    return Section(
        "classification",
        title,
        lead,
        facts={str(name): _write(value) for name, value in part.settings.items()},
        figures=tuple(figure for figure in made if figure is not None),
        tables=_score_tables(part),
    )


def _write(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _scores(part: Classification) -> Figure | None:
    if part.scores.empty:
        return None
    words = "; ".join(
        f"{name}: {score:.2f}"
        for name, score in part.scores[["title", "f1_samples"]].itertuples(index=False)
    )
    caption = "Compare this model with the grey bars: plain methods on the same test studies."
    if part.leak:
        caption += (
            " Hatched bars split at random instead: with one study on both sides they claim more "
            "than holds for new studies."
        )
    return Figure(
        "scores",
        "F1 beside baselines",
        caption,
        f"F1 over samples: {words}.",
        figures.draw_scores(part.scores),
        part.scores,
    )


def _testable(part: Classification) -> pd.DataFrame:
    per_label = part.per_label
    return per_label[per_label["support"].fillna(0) > 0] if len(per_label) else per_label


def _label_scores(part: Classification) -> Figure | None:
    tested = _testable(part)
    if tested.empty:
        return None
    weak = tested[tested["f1"] < 0.5]
    words = f"Precision against recall of {len(tested)} labels with test samples; "
    words += f"F1 is below 0.5 for {len(weak)}"
    words += f": {first_few(weak.index, 8)}." if len(weak) else "."
    return Figure(
        "label-scores",
        "Precision and recall per label",
        "Top right is perfect. Orange diamonds (F1 below 0.5) are labels whose calls need a second "
        "look; large points rest on many test samples.",
        words,
        figures.draw_label_scores(tested),
        tested.reset_index(names="label"),
    )


def _confusion(part: Classification) -> Figure | None:
    confusion = part.confusion
    if confusion is None or confusion.empty:
        return None
    counts = confusion.to_numpy()
    pairs = pd.DataFrame(
        {
            "true": np.repeat(confusion.index.to_numpy(), counts.shape[1]),
            "predicted": np.tile(confusion.columns.to_numpy(), counts.shape[0]),
            "samples": counts.ravel(),
        }
    )
    pairs = pairs[pairs["samples"] > 0]
    wrong = pairs[pairs["true"] != pairs["predicted"]].sort_values("samples", ascending=False)
    words = "No sample of the test studies was confused."
    if len(wrong):
        top = wrong.iloc[0]
        words = f"Most often {top['true']} is called {top['predicted']} ({top['samples']:,} times)."
    return Figure(
        "confusion",
        "Which label is taken for which",
        "Rows are true, columns predicted; dark cells off the diagonal are labels taken for each "
        "other.",
        words,
        figures.draw_confusion(confusion),
        pairs,
        is_wide=len(confusion) > 14,
    )


def _reliability(part: Classification) -> Figure | None:
    curve = part.reliability
    if curve is None or curve.empty:
        return None
    gap = float(np.average(np.abs(curve["confidence"] - curve["accuracy"]), weights=curve["n"]))
    return Figure(
        "reliability",
        "What a confidence means",
        "On the dashed line a confidence of 0.8 is right in 80% of the cases; below it the model "
        "is too sure of itself.",
        f"Mean gap between confidence and the share that was right: {gap:.2f}.",
        figures.draw_reliability(curve),
        curve,
    )


def _risk(part: Classification) -> Figure | None:
    curve = part.risk_coverage
    if curve is None or curve.empty:
        return None
    half = curve.iloc[(curve["coverage"] - 0.5).abs().to_numpy().argmin()]
    return Figure(
        "risk-coverage",
        "Errors when only the surest are answered",
        "The lower the line stays, the better confidence tells right from wrong.",
        f"Answering the surest {half['coverage']:.0%}, {half['risk']:.1%} of the answers are "
        "wrong.",
        figures.draw_risk_coverage(curve),
        curve,
    )


def _score_tables(part: Classification) -> tuple[Table, ...]:
    columns = (
        Column("title", "scored"),
        Column(
            "f1_samples",
            "F1 samples",
            "score",
            "Mean over samples: overlap of true and predicted labels",
        ),
        Column("low", "from", "score", "Lower end of the 95% interval of F1 samples"),
        Column("high", "to", "score", "Upper end of the 95% interval of F1 samples"),
        Column("f1_micro", "F1 micro", "score", "All label decisions in one pot"),
        Column("f1_macro", "F1 macro", "score", "Mean over labels: rare labels count as much"),
        Column("n_samples", "samples", "integer"),
        Column("n_studies", "studies", "integer"),
    )
    labels = (
        Column("index", "label"),
        Column("support", "test samples", "integer"),
        Column("precision", "precision", "score", "Share of the calls that are right"),
        Column("recall", "recall", "score", "Share of the label's samples that are found"),
        Column("f1", "F1", "score", "Harmonic mean of precision and recall"),
        Column("average_precision", "AP", "score", "Average precision over all thresholds"),
        Column(
            "auroc",
            "AUROC",
            "score",
            "Chance that a sample with the label is ranked above one without",
        ),
        Column("threshold", "threshold", "score", "Probability from which the label is called"),
    )
    tables = [Table("score-table", "Scores of the model and of baselines", columns, part.scores)]
    if len(part.per_label):
        per_label = part.per_label.sort_values("support", ascending=False, kind="stable")
        n_untested = len(per_label) - len(_testable(part))
        caption = "Labels on the test studies"
        if n_untested:
            caption += f"; {n_untested} without test samples cannot be scored"
        tables.append(Table("label-score-table", caption, labels, per_label))
    return (*tables, *_marker_tables(part))


def _marker_tables(part: Classification) -> list[Table]:
    """Say what the answers rest on, and what synthetic samples gained."""
    tables = []
    if part.markers is not None:
        genes = (
            Column("index", "label"),
            Column("high", "high in it", "text", "Most important first"),
            Column("low", "low in it", "text", "Most important first"),
            Column(
                "lost",
                "loss",
                "number",
                "What the label's separation on unseen studies loses when the first gene is "
                "shuffled between samples",
            ),
        )
        title = "Markers: genes that the model's answers rest on"
        tables.append(Table("model-markers", title, genes, part.markers))
    if part.utility is not None:
        columns = (
            Column("method", "synthetic samples by"),
            Column("average_precision", "AP", "score", "Of rare labels on validation studies"),
            Column("gain", "gain", "number", "Over no synthetic samples, paired: 0 is the floor"),
            Column("low", "from", "number", "Lower bound of the gain, for all methods together"),
            Column("high", "to", "number", "Upper bound of the gain"),
            Column("f1", "F1", "score"),
            Column("n_pairs", "comparisons", "integer"),
            Column("used", "used"),
        )
        title = "What synthetic samples of rare labels gain"
        tables.append(Table("utility-table", title, columns, part.utility))
    return tables
