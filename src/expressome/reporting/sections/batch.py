"""The section on batch effects: what quantile normalisation leaves."""

import numpy as np

from expressome.reporting import figures
from expressome.reporting.content import BatchEffects
from expressome.reporting.figures.frame import Figure
from expressome.reporting.section import Section
from expressome.reporting.tables import Column, Table

__all__ = ["build_batch"]

_COLUMNS = (
    Column("component", "component", "integer", "Principal component, the largest first."),
    Column("variance", "variance", "score", "Share of all variance of the genes used."),
    Column("label", "label", "score", "Share of the component that labels explain."),
    Column(
        "study_within_label",
        "study beyond label",
        "score",
        "Share that the study explains among samples of the same label: the batch effect.",
    ),
    Column(
        "study", "study", "score", "Share between studies, also because they hold other tissues."
    ),
    Column("residual", "within studies", "score", "Share within studies and labels."),
    Column("depth", "depth", "score", "Squared correlation with log10 of the aligned reads."),
)
_ADVICE = (
    (
        "Quantile normalisation gives every sample the same distribution: it removes differences "
        "of depth, and nothing that moves one gene against another. Laboratory, library kit, RNA "
        "quality and sorting do that."
    ),
    (
        "Scores on unseen studies already contain this. Comparisons of labels from different "
        "studies do not: use the column study of the samples as batch in a model (a design with "
        "study as covariate, ComBat, scVI), and none if a label occurs in one study only, because "
        "then study and label cannot be told apart."
    ),
)


def build_batch(part: BatchEffects | None) -> Section:
    """Build the section on batch effects.

    Parameters
    ----------
    part
        What was measured; None where there are too few samples.

    Returns
    -------
    Section
        Shares of the variance per principal component, and what to do about them.
    """
    title = "Batch effects"
    lead = "What quantile normalisation does not remove."
    if part is None:
        return Section(
            "batch",
            title,
            lead,
            points=_ADVICE,
            absent="Fewer than three samples, or no gene that varies: there is nothing to measure.",
        )
    overall = {name: f"{value:.0%}" for name, value in part.overall.items() if np.isfinite(value)}
    facts = {
        "samples analysed": f"{part.n_samples:,} of {part.n_studies:,} studies",
        "genes": f"the {part.n_genes:,} that vary most",
    }
    names = {
        "label": "explained by the label",
        "study_within_label": "by the study beyond the label",
        "study": "by the study alone",
        "residual": "within studies",
        "depth": "correlated with depth",
    }
    facts |= {names[name]: overall[name] for name in names if name in overall}
    text = ", ".join(f"{names[name]} {overall[name]}" for name in names if name in overall)
    figure = Figure(
        "variance-shares",
        "What the largest differences between samples are",
        "The hatched part is study, not biology: where it is as high as the label, samples of "
        "different studies should not be compared directly.",
        f"Average over {len(part.table)} components, weighted by their variance: {text}.",
        figures.draw_variance_shares(part.table, has_labels=part.has_labels),
        part.table.reset_index(),
        is_wide=True,
    )
    shown = (
        part.table if part.has_labels else part.table.drop(columns=["label", "study_within_label"])
    )
    caption = "Shares of each principal component"
    table = Table("batch-shares", caption, _COLUMNS, shown.reset_index())
    return Section(
        "batch", title, lead, facts=facts, figures=(figure,), tables=(table,), points=_ADVICE
    )
