"""Sections about a model and what was made with it: scores, predictions, synthetic samples."""

import numpy as np
import pandas as pd

from expressome.reporting import figures
from expressome.reporting.content import Classification, Predictions, Synthetic
from expressome.reporting.figures.frame import Figure, histogram_table
from expressome.reporting.sections import Section, share
from expressome.reporting.tables import Column, Table

__all__ = ["build_classification", "build_predictions", "build_synthetic"]


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
            "classification", title, lead, absent="No model was given: train one with `expressome "
            "train` and pass its folder with `--model`."
        )
    made = [_scores(part), _label_scores(part), _confusion(part), _reliability(part), _risk(part)]
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
    words = "; ".join(f"{name}: {score:.2f}" for name, score in part.scores["f1_samples"].items())
    caption = "Compare the model's bar on unseen studies (test) with the grey ones."
    if part.leak:
        caption += (
            " The random split puts samples of one study on both sides and so claims more than "
            "holds for new studies."
        )
    return Figure(
        "scores",
        "F1 beside baselines",
        caption,
        f"F1 over samples: {words}.",
        figures.draw_scores(part.scores),
        part.scores.reset_index(names="name"),
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
    words += f"{len(weak)} have an F1 below 0.5" + (
        f": {', '.join(map(str, weak.index[:8]))}." if len(weak) else "."
    )
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
        is_wide=len(confusion) > 60,
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
        Column("index", "samples of"),
        Column("f1_samples", "F1 samples", "score", "Mean over samples: overlap of true and "
               "predicted labels"),
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
        Column("auroc", "AUROC", "score", "Chance that a sample with the label is ranked above one "
               "without"),
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
    return tuple(tables)


def build_predictions(part: Predictions | None) -> Section:
    """Build the section on predictions for samples without labels.

    Parameters
    ----------
    part
        The predictions; None where there are none.

    Returns
    -------
    Section
        Labels given, confidence, share of unknown.
    """
    title, lead = "Predictions", "What the model says of samples that nobody had labelled."
    if part is None:
        return Section(
            "predictions", title, lead, absent="No predictions were given: make them with "
            "`expressome predict` and pass the file with `--predictions`."
        )
    facts = {
        "samples": f"{part.n_samples:,}",
        "called unknown": f"{part.n_unknown:,} ({share(part.n_unknown, part.n_samples)})",
    }
    facts |= {f"unknown: {reason}": f"{n:,} samples" for reason, n in part.reasons.items()}
    made = []
    if len(part.counts):
        top = part.counts.iloc[0]
        made.append(
            Figure(
                "predicted-labels",
                "Labels given",
                "Look for labels that are given far more often than they occur among labelled "
                "samples.",
                f"{part.counts.index[0]} was given most often, to {top['n_samples']:,} samples; "
                "samples called unknown are not counted.",
                figures.draw_predicted_labels(part.counts),
                part.counts.reset_index(names="label"),
            )
        )
    table = histogram_table(part.confidence_known, "confidence", "labelled")
    table["called unknown"] = part.confidence_unknown.counts
    made.append(
        Figure(
            "confidence",
            "Confidence of the predictions",
            "A heap on the right means the samples look like those the model learnt from.",
            f"{share(part.n_unknown, part.n_samples)} of {part.n_samples:,} samples are called "
            "unknown.",
            figures.draw_confidence(part),
            table,
        )
    )
    return Section("predictions", title, lead, facts=facts, figures=tuple(made))


def build_synthetic(part: Synthetic | None) -> Section:
    """Build the section on synthetic samples.

    Parameters
    ----------
    part
        Synthetic beside real samples; None where there are none.

    Returns
    -------
    Section
        Plane, distances, fidelity, training curve.
    """
    title = "Synthetic against real"
    lead = "Whether made-up samples look like real ones, without copying them."
    if part is None:
        return Section(
            "synthetic", title, lead, absent="No synthetic samples were given: make them with "
            "`expressome augment` and pass the file with `--synthetic`."
        )
    made = [_synthetic_plane(part), _distances(part), _fidelity(part), _training(part)]
    columns = (
        Column("index", "label"),
        Column("n_synthetic", "synthetic", "integer"),
        Column("n_real", "real", "integer"),
    )
    tables = [Table("synthetic-counts", "Synthetic and real samples per label", columns, part.counts)]
    if len(part.fidelity):
        columns = (
            Column("method", "method"),
            Column("metric", "metric"),
            Column("value", "value", "number"),
            Column("ceiling", "ceiling", "number", "Real samples against other real samples"),
            Column("floor", "floor", "number", "Noise against real samples"),
        )
        frame = part.fidelity.assign(metric=part.fidelity["metric"].str.replace("_", " "))
        tables.append(Table("fidelity-table", "Fidelity per method and metric", columns, frame))
    return Section(
        "synthetic",
        title,
        lead,
        facts={"method": part.method},
        figures=tuple(figure for figure in made if figure is not None),
        tables=tuple(tables),
    )


def _synthetic_plane(part: Synthetic) -> Figure | None:
    if part.plane is None:
        return None
    n_synthetic = int(part.plane["synthetic"].sum())
    return Figure(
        "synthetic-plane",
        "Real and synthetic samples in one plane",
        "Open marks (synthetic) should spread as far as filled ones (real) of their colour, not "
        "sit in one spot.",
        f"{n_synthetic:,} synthetic and {len(part.plane) - n_synthetic:,} real samples in the "
        "plane of the real samples' first two principal components.",
        figures.draw_synthetic_plane(part.plane, part.explained),
        part.plane,
    )


def _distances(part: Synthetic) -> Figure | None:
    if not part.distances:
        return None
    tables = {
        name: histogram_table(histogram, "distance", "samples").assign(comparison=name)
        for name, histogram in part.distances.items()
    }
    return Figure(
        "distances",
        "Distance to the nearest real sample",
        "Synthetic far left of real would mean copies; far right, samples unlike any real one.",
        "Distances between samples in the space of the principal components, as shares: "
        + "; ".join(part.distances)
        + ".",
        figures.draw_distances(part.distances),
        pd.concat(tables.values(), ignore_index=True),
    )


def _fidelity(part: Synthetic) -> Figure | None:
    if part.fidelity.empty:
        return None
    methods = ", ".join(dict.fromkeys(map(str, part.fidelity["method"])))
    return Figure(
        "fidelity",
        "Between noise and real",
        "1 is as good as other real samples, 0 no better than noise; a method should lie right of "
        "the plain ones. Places beyond the axis are drawn at its end.",
        f"Fidelity of {methods}, each metric scaled from floor to ceiling.",
        figures.draw_fidelity(part.fidelity),
        part.fidelity,
    )


def _training(part: Synthetic) -> Figure | None:
    if part.training is None or part.training.empty:
        return None
    return Figure(
        "training",
        "Training of the generator",
        "Curves that level off: it has learnt what it can; a curve that runs away: it has not.",
        f"{len(part.training.columns)} curves over {len(part.training)} recorded steps.",
        figures.draw_training(part.training),
        part.training.reset_index(names="step"),
    )
