"""The section on predictions for samples without labels."""

from expressome.reporting import figures
from expressome.reporting.content import Predictions
from expressome.reporting.figures.frame import Figure, histogram_table
from expressome.reporting.section import Section, share

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
