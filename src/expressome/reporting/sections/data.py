"""The section on samples, studies and labels."""

import numpy as np
import pandas as pd

from expressome.reporting import figures
from expressome.reporting.content import Histogram, Samples
from expressome.reporting.figures.frame import Figure, histogram_table
from expressome.reporting.figures.samples import N_BARS, bar_height, write_number
from expressome.reporting.section import Section, share
from expressome.reporting.tables import Column, Table

__all__ = ["build_data"]


def build_data(samples: Samples) -> Section:
    """Build the section on samples, studies and labels.

    Parameters
    ----------
    samples
        What the atlas holds.

    Returns
    -------
    Section
        Labels, co-occurrence, distributions and the map, as far as they are there.
    """
    made = [_label_counts(samples), _map(samples), *_distributions(samples), _cooccurrence(samples)]
    return Section(
        "data",
        "Data",
        "What went in: samples, the studies they come from and the labels they carry.",
        facts={**samples.facts, **_label_facts(samples)},
        figures=tuple(figure for figure in made if figure is not None),
        tables=_label_tables(samples),
    )


def _label_facts(samples: Samples) -> dict[str, str]:
    facts = {}
    if len(samples.labels):
        several = int(samples.labels_per_sample[2:].sum())
        facts["several labels"] = f"{several:,} samples ({share(several, samples.n_labelled)})"
    if samples.single_cell is not None:
        n_known = int(samples.single_cell.total)
        facts["probably single cells"] = (
            f"{samples.n_single_cell:,} of {n_known:,} ({share(samples.n_single_cell, n_known)})"
        )
    return facts


def _label_counts(samples: Samples) -> Figure | None:
    if samples.labels.empty:
        return None
    labels = samples.labels
    first = labels.iloc[0]
    left_out = f", the {N_BARS} most frequent of {len(labels)}" if len(labels) > N_BARS else ""
    return Figure(
        "label-counts",
        f"Samples per label{left_out}",
        "Look for labels with few samples: they are hard to learn and to test.",
        f"Bars of samples per label. {labels.index[0]} is the most frequent with "
        f"{first['n_samples']:,} samples in {first['n_studies']:,} studies; "
        f"{int((labels['n_samples'] < 10).sum())} of {len(labels)} labels have fewer than 10.",
        figures.draw_label_counts(labels),
        labels.reset_index(names="label"),
    )


def _map(samples: Samples) -> Figure | None:
    if samples.plane is None:
        return None
    shown = len(samples.plane)
    # As tall as the bars beside it.
    height = min(max(460, bar_height(len(samples.labels))), 720)
    return Figure(
        "sample-map",
        "Map of the samples",
        "Samples that express the same genes lie close together; look for labels that form groups "
        "of their own. Click a name to hide it, drag to zoom.",
        f"{shown:,} of {samples.n_samples:,} samples in the plane of the first two principal "
        f"components, which hold {sum(samples.explained):.0%} of the variance of the genes used.",
        figures.draw_plane(samples.plane, samples.explained, height=height),
        samples.plane,
        is_wide=samples.labels.empty,
    )


def _cooccurrence(samples: Samples) -> Figure | None:
    counts = samples.cooccurrence
    if len(counts) < 2:
        return None
    rows, columns = np.triu_indices(len(counts), k=1)
    pairs = pd.DataFrame(
        {
            "label": counts.index[rows],
            "other label": counts.index[columns],
            "samples": counts.to_numpy()[rows, columns],
        }
    )
    pairs = pairs[pairs["samples"] > 0].sort_values("samples", ascending=False)
    words = "No two of these labels share a sample."
    if len(pairs):
        top = pairs.iloc[0]
        many = f"{len(pairs)} pairs of labels share samples; the most,"
        words = (
            f"{many if len(pairs) > 1 else 'One pair of labels shares samples:'} "
            f"{top['samples']:,} carry {top['label']} and {top['other label']}."
        )
    return Figure(
        "cooccurrence",
        "Labels that occur together",
        "A dark cell: most samples of the row's label carry the column's label too, as a part "
        "does of its whole.",
        words,
        figures.draw_cooccurrence(counts),
        pairs,
    )


def _distributions(samples: Samples) -> list[Figure | None]:
    drawn = figures.draw_histogram
    made: list[Figure | None] = []
    if samples.depth is not None:
        made.append(
            Figure(
                "depth",
                "Sequencing depth",
                "Look for a tail on the left: shallow samples miss weak genes.",
                f"Aligned reads per sample; {_middle(samples.depth, log10=True)}.",
                drawn(samples.depth, x="aligned reads per sample", log10=True),
                histogram_table(samples.depth, "log10 aligned reads", "samples"),
            )
        )
    if samples.detected is not None:
        made.append(
            Figure(
                "detected",
                "Genes detected",
                "Genes with at least one read; samples far to the left are shallow, degraded or "
                "single cells.",
                f"Detected genes per sample; {_middle(samples.detected)}.",
                drawn(samples.detected, x="genes with at least one read"),
                histogram_table(samples.detected, "genes detected", "samples"),
            )
        )
    if samples.study_sizes is not None:
        sizes = samples.study_sizes
        made.append(
            Figure(
                "study-sizes",
                "Size of the studies",
                "A few large studies can dominate a label; scores are taken on whole studies.",
                f"{int(sizes.counts[:3].sum()):,} of {samples.n_studies:,} studies have at most 4 "
                "samples.",
                figures.draw_sizes(sizes, x="samples per study", counted="studies"),
                histogram_table(sizes, "samples per study", "studies"),
            )
        )
    if samples.single_cell is not None:
        made.append(
            Figure(
                "single-cell",
                "Single cells among the samples",
                "ARCHS4's estimate of whether a sample is a single cell; right of the dashed line "
                "it calls it one.",
                f"{samples.n_single_cell:,} of {int(samples.single_cell.total):,} samples have a "
                "probability of 0.5 or more.",
                drawn(
                    samples.single_cell, x="single-cell probability", cut=0.5, cut_name="usual cut"
                ),
                histogram_table(samples.single_cell, "probability", "samples"),
            )
        )
    return made


def _middle(histogram: Histogram, *, log10: bool = False) -> str:
    """Say where the middle of a distribution lies, to the bin."""
    low, high = histogram.median_bin
    if log10:
        low, high = 10**low, 10**high
    return f"the median lies between {write_number(low)} and {write_number(high)}"


def _label_tables(samples: Samples) -> tuple[Table, ...]:
    tables = []
    if len(samples.labels):
        columns = (
            Column("index", "label"),
            Column("kind", "kind", explanation="What sort of label: tissue, cell line, ..."),
            Column("parent", "part of"),
            Column("ontology_id", "ontology id", explanation="UBERON, CL or CLO term, where known"),
            Column("n_samples", "samples", "integer"),
            Column("n_studies", "studies", "integer"),
        )
        kind = samples.labels["kind"].str.replace("_", " ")
        tables.append(Table("labels", "Labels", columns, samples.labels.assign(kind=kind)))
    sizes = (
        Column("index", "part"),
        Column("n_samples", "samples", "integer"),
        Column("n_studies", "studies", "integer"),
    )
    tables.append(Table("parts", "Split by study: no study is in two parts", sizes, samples.parts))
    return tuple(tables)
