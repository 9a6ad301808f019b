"""The section on gene metrics."""

from expressome.reporting import figures
from expressome.reporting.content import Genes
from expressome.reporting.figures.frame import Figure
from expressome.reporting.section import Section
from expressome.reporting.tables import Column, Table

__all__ = ["build_genes"]


_GENE_COLUMNS = (
    Column("symbol", "symbol"),
    Column("index", "gene", explanation="Ensembl id"),
    Column("biotype", "biotype"),
    Column("p95_ratio", "signal", "number", "95th percentile over mean, before length division"),
    Column("rank_p95_ratio", "signal rank", "integer", "1 is the strongest"),
    Column(
        "mean_cosine",
        "mean cosine",
        "number",
        "Mean similarity of the samples around the "
        "gene's 95th percentile: 1 means they are alike in all other genes too",
    ),
    Column("rank_mean_cosine", "cosine rank", "integer", "1 is the most alike"),
    Column(
        "neighbours_detected",
        "detected there",
        "score",
        "Share of those samples in which the gene has a read at all; below 0.5 it is not ranked",
    ),
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
            "genes",
            title,
            lead,
            absent="The atlas was not measured: run `expressome measure` on "
            "it, then the report again.",
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
        per_label = (
            Column("index", "label"),
            Column("genes", "genes that tell it apart, best first"),
            Column("n_samples", "samples used", "integer"),
        )
        tables.append(Table("markers", "Top genes per label", per_label, part.markers))
    return Section("genes", title, lead, figures=tuple(made), tables=tuple(tables))


def _gene_plane(part: Genes) -> Figure:
    assert part.density is not None  # noqa: S101 - the caller looked
    best = part.table.dropna(subset=["p95_ratio", "mean_cosine"]).head(60)
    n_drawn = int(part.density.counts.sum())
    return Figure(
        "gene-plane",
        "Signal against mean cosine",
        "Top right are genes that are strong in few samples, and these samples are alike: markers "
        "of a tissue or a cell type. Genes on the left are expressed evenly.",
        f"{n_drawn:,} genes as density, the {len(best)} best in both ranks as points, first "
        f"{', '.join(map(str, best['symbol'].head(5)))}.",
        figures.draw_gene_plane(part.density, best),
        best.reset_index(names="gene"),
        is_wide=True,
    )
