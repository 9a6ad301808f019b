"""Sections about the atlas itself: data, normalisation, genes."""

import numpy as np
import pandas as pd

from expressome.reporting import figures
from expressome.reporting.content import Genes, Normalization, Samples
from expressome.reporting.figures.frame import Figure, histogram_table
from expressome.reporting.figures.samples import N_BARS
from expressome.reporting.palette import CATEGORIES
from expressome.reporting.sections import Section, share
from expressome.reporting.tables import Column, Table

__all__ = ["build_data", "build_genes", "build_normalization"]


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
    made = [_label_counts(samples), _map(samples), _cooccurrence(samples), *_distributions(samples)]
    return Section(
        "data",
        "Data",
        "What went in: samples, the studies they come from and the labels they carry.",
        facts=samples.facts | _label_facts(samples),
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
    return Figure(
        "sample-map",
        "Map of the samples",
        "Samples that express the same genes lie close together; look for labels that form groups "
        "of their own. Click a name to hide it, drag to zoom.",
        f"{shown:,} of {samples.n_samples:,} samples in the plane of the first two principal "
        f"components, which hold {sum(samples.explained):.0%} of the variance of the genes used.",
        figures.draw_plane(samples.plane, samples.explained),
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
        words = (
            f"{len(pairs)} pairs of labels share samples; the most, {top['samples']:,}, "
            f"carry {top['label']} and {top['other label']}."
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
        made.append(
            Figure(
                "study-sizes",
                "Size of the studies",
                "A few large studies can dominate a label; scores are taken on whole studies.",
                f"Samples per study; {_middle(samples.study_sizes, log10=True)}.",
                drawn(
                    samples.study_sizes, x="samples per study", counted="studies", log10=True
                ),
                histogram_table(samples.study_sizes, "log10 samples", "studies"),
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


def _middle(histogram: object, *, log10: bool = False) -> str:
    """Say where the middle of a distribution lies, to the bin."""
    edges, counts = histogram.edges, histogram.counts  # type: ignore[attr-defined]
    k = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    k = min(k, len(counts) - 1)
    low, high = (10 ** edges[k : k + 2]) if log10 else edges[k : k + 2]
    return f"the median lies between {low:,.0f} and {high:,.0f}"


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
        tables.append(Table("labels", "Labels", columns, samples.labels))
    columns = (
        Column("index", "part"),
        Column("n_samples", "samples", "integer"),
        Column("n_studies", "studies", "integer"),
    )
    tables.append(
        Table("parts", "Split by study: no study is in two parts", columns, samples.parts)
    )
    return tuple(tables)


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
            "normalisation", title, lead, absent="The atlas recorded no distributions; "
            "normalise again with this version to see them."
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
    edges = part.edges_after if after else part.edges_before
    shares = part.after if after else part.before
    table = pd.DataFrame(shares.T).add_prefix("sample ")
    table.insert(0, "log2(1 + count) from", edges[:-1])
    caption = (
        "Every line is one sample; after normalisation all should lie on each other."
        if after
        else "Every line is one sample; lines that differ are differences of depth and protocol."
    )
    spread = float(np.mean(np.std(shares, axis=0)))
    return Figure(
        "after" if after else "before",
        "After quantile normalisation" if after else "Before",
        caption,
        f"Distribution of log2(1 + count) in {len(shares)} samples; the mean standard deviation "
        f"between samples is {spread:.2%} of the genes per bin.",
        figures.draw_densities(edges, shares, colour=CATEGORIES[0] if after else CATEGORIES[1]),
        table,
    )


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


_GENE_COLUMNS = (
    Column("symbol", "symbol"),
    Column("index", "gene", explanation="Ensembl id"),
    Column("biotype", "biotype"),
    Column("p95_ratio", "signal", "number", "95th percentile over mean, before length division"),
    Column("rank_p95_ratio", "signal rank", "integer", "1 is the strongest"),
    Column("mean_cosine", "mean cosine", "number", "Mean similarity of the samples around the "
           "gene's 95th percentile: 1 means they are alike in all other genes too"),
    Column("rank_mean_cosine", "cosine rank", "integer", "1 is the most alike"),
    Column("neighbours_detected", "detected there", "score", "Share of those samples in which the "
           "gene has a read at all; below 0.5 it is not ranked"),
    Column("p95", "p95", "number", "95th percentile, normalised value"),
    Column("n_detected", "samples detected", "integer"),
    Column("length_bp", "length (bp)", "integer"),
)


def build_genes(part: Genes | None) -> Section:
    """Build the section on gene metrics.

    Parameters
    ----------
    part
        The metrics; None where the atlas was not measured.

    Returns
    -------
    Section
        Signal against mean cosine, the table of genes, top genes per label.
    """
    title, lead = "Genes", "Which genes tell samples apart, and which of them agree with the rest."
    if part is None:
        return Section(
            "genes", title, lead, absent="The atlas was not measured: run `expressome measure` on "
            "it, then the report again."
        )
    made, tables = [], []
    if part.density is not None:
        made.append(_gene_plane(part))
    tables.append(
        Table(
            "gene-table",
            "All genes; choose one to find it in the figure",
            _GENE_COLUMNS,
            part.table,
            linked="gene-plane" if made else "",
        )
    )
    if part.markers is not None and len(part.markers):
        columns = (
            Column("index", "label"),
            Column("genes", "genes that tell it apart, best first"),
            Column("n_samples", "samples used", "integer"),
        )
        tables.append(Table("markers", "Top genes per label", columns, part.markers))
    return Section("genes", title, lead, figures=tuple(made), tables=tuple(tables))


def _gene_plane(part: Genes) -> Figure:
    assert part.density is not None  # noqa: S101 - the caller looked
    best = part.table.dropna(subset=["p95_ratio", "mean_cosine"]).head(60)
    n_drawn = int(part.density.counts.sum())
    return Figure(
        "gene-plane",
        "Signal against mean cosine",
        "Top right are genes that are strong in few samples, and these samples are alike: markers "
        "of a tissue or a cell type. Genes high but left are on everywhere.",
        f"{n_drawn:,} genes as density, the {len(best)} best in both ranks as points, first "
        f"{', '.join(map(str, best['symbol'].head(5)))}.",
        figures.draw_gene_plane(part.density, best),
        best.reset_index(names="gene"),
        is_wide=True,
    )
