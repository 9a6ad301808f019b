"""The section on predictions for samples without labels."""

import pandas as pd

from expressome.reporting import figures
from expressome.reporting.content import Predictions
from expressome.reporting.figures.frame import Figure, histogram_table
from expressome.reporting.section import Section, share
from expressome.reporting.tables import Column, Table

__all__ = ["build_predictions"]


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
            "predictions",
            title,
            lead,
            absent="No predictions were given: make them with "
            "`expressome predict` and pass the file with `--predictions`.",
        )
    facts = {
        "samples": f"{part.n_samples:,}",
        "called unknown": f"{part.n_unknown:,} ({share(part.n_unknown, part.n_samples)})",
    }
    facts |= {f"unknown: {reason}": f"{n:,} samples" for reason, n in part.reasons.items()}
    if part.n_compared:
        agreed = f"{part.n_agree:,} of {part.n_compared:,} ({share(part.n_agree, part.n_compared)})"
        facts["text and expression agree"] = agreed
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
    tables = () if part.agreement is None else (_agreement(part.agreement),)
    return Section("predictions", title, lead, facts=facts, figures=tuple(made), tables=tables)


def _agreement(table: pd.DataFrame) -> Table:
    """List how often the model confirms what the samples' texts suggest."""
    shown = table.assign(share=table["n_agree"] / table["n_compared"]).reset_index(names="label")
    columns = (
        Column(
            "label",
            "suggested by text",
            "text",
            "Label that title, source or characteristics suggest.",
        ),
        Column(
            "n_compared", "samples", "integer", "Samples with that suggestion that are not unknown."
        ),
        Column("n_agree", "same prediction", "integer", "Of these, the model names it too."),
        Column("share", "share", "score", "Share of the samples where both agree."),
    )
    return Table("text-agreement", "Labels that texts suggest, and the model", columns, shown)
