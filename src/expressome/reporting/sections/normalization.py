"""The section on normalisation."""

import numpy as np
import pandas as pd

from expressome.reporting import figures
from expressome.reporting.content import Normalization
from expressome.reporting.figures.frame import Figure
from expressome.reporting.palette import CATEGORIES
from expressome.reporting.section import Section, share

__all__ = ["build_normalization"]


def build_normalization(part: Normalization | None) -> Section:
    """Build the section on normalisation.

    Parameters
    ----------
    part
        What normalisation changed; None where the atlas recorded nothing.

    Returns
    -------
    Section
        Densities before and after, target, length effect.
    """
    title, lead = "Normalisation", "How counts of unlike samples were made comparable."
    if part is None:
        return Section(
            "normalisation",
            title,
            lead,
            absent="The atlas recorded no distributions; "
            "normalise again with this version to see them.",
        )
    facts = {"recipe": part.recipe, "target averaged over": f"{part.n_target_samples:,} samples"}
    total = sum(part.length_sources.values())
    for source, n_genes in part.length_sources.items():
        facts[f"gene length: {source}"] = f"{n_genes:,} genes ({share(n_genes, total)})"
    made = [_densities(part, after=False), _densities(part, after=True)]
    if part.target.size:
        made.append(_target(part))
    if part.length_effect is not None:
        made.append(_length_effect(part.length_effect))
    return Section("normalisation", title, lead, facts=facts, figures=tuple(made))


def _densities(part: Normalization, *, after: bool) -> Figure:
    densities = part.after if after else part.before
    table = pd.DataFrame(densities.T).add_prefix("sample ")
    table.insert(0, "log2(1 + count)", part.points)
    caption = (
        "Every line is one sample; after normalisation they should lie on each other, but for "
        "genes with few reads, which share ranks."
        if after
        else "Every line is one sample; lines that differ are differences of depth and protocol."
    )
    expressed = part.points > 1.5
    spread = float(np.mean(np.std(densities[:, expressed], axis=0)))
    return Figure(
        "after" if after else "before",
        "After quantile normalisation" if after else "Before normalisation",
        caption,
        f"Smoothed distribution of log2(1 + count) over the genes of {len(densities)} samples "
        f"(bandwidth {part.bandwidth:g}; the peak of genes without reads is cut). Mean standard "
        f"deviation between samples: {spread:.2%} of the genes per unit.",
        figures.draw_densities(
            part.points,
            densities,
            top=_find_top(part),
            colour=CATEGORIES[0] if after else CATEGORIES[1],
        ),
        table,
    )


def _find_top(part: Normalization) -> float:
    """End both axes where nearly all samples' expressed genes show."""
    expressed = part.points > 1.5
    peaks = [densities[:, expressed].max(axis=1) for densities in (part.before, part.after)]
    return 1.25 * max(float(np.quantile(peak, 0.9)) for peak in peaks)


def _target(part: Normalization) -> Figure:
    zero = float(np.mean(part.target < 0.05))
    return Figure(
        "target",
        "The target distribution",
        "The gene of a given rank gets the value at this rank, in every sample; fitted once and "
        "kept in the atlas.",
        f"The average sorted profile of {part.n_target_samples:,} samples: {zero:.0%} of the "
        f"genes are practically zero, the highest value is {part.target.max():.1f}.",
        figures.draw_target(part.target),
        pd.DataFrame(
            {
                "share of genes": (np.arange(part.target.size) + 0.5) / part.target.size,
                "log2(1 + count)": part.target,
            }
        ),
    )


def _length_effect(effect: pd.DataFrame) -> Figure:
    return Figure(
        "length-effect",
        "Effect of gene length",
        "Before, long genes collect more reads; division by length turns the order round, because "
        "it divides a logarithm: compare samples within a gene, not genes with each other.",
        f"Median of the genes' means in {len(effect)} bins of length: from "
        f"{effect['before'].iloc[0]:.2f} to {effect['before'].iloc[-1]:.2f} before, from "
        f"{effect['after'].iloc[0]:.2f} to {effect['after'].iloc[-1]:.2f} after.",
        figures.draw_length_effect(effect),
        effect,
    )
