"""Questions about genes: find them, see their expression by label, and what is alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from expressome.errors import SelectionError
from expressome.pipeline.exploring import AtlasView
from expressome.pipeline.gene_indexing import GeneNames
from expressome.pipeline.gene_sketching import LOWEST_SIMILARITY
from expressome.pipeline.label_summing import LabelExpression, LabelRows

__all__ = ["GeneHit", "GenePage", "describe_gene", "find_gene", "find_genes"]

_N_SIMILAR = 20
_METRICS = (
    "biotype",
    "length_bp",
    "n_detected",
    "p95",
    "p95_ratio",
    "mean_cosine",
    "neighbours_detected",
    "rank_p95",
    "rank_p95_ratio",
    "rank_mean_cosine",
)


@dataclass(frozen=True, slots=True)
class GeneHit:
    """A gene found.

    Attributes
    ----------
    gene
        Its id.
    symbol
        Its symbol, or its id again.
    biotype
        As annotated; may be empty.
    similarity
        Estimated correlation with the gene asked for; None in a search.
    """

    gene: str
    symbol: str
    biotype: str
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class GenePage:
    """All about one gene.

    Attributes
    ----------
    gene, symbol
        Its names.
    unit
        What its values are.
    metrics
        Its columns of the gene table: length, information, ranks.
    n_genes
        Genes in the atlas, for the ranks.
    n_samples, n_unmeasured
        Samples that measured it, and that did not.
    labels
        One per label, highest median first; samples without a label last.
    similar
        Genes with the highest estimated correlation over all samples.
    lowest_similarity
        Below it nothing is listed: it could be chance.
    """

    gene: str
    symbol: str
    unit: str
    metrics: dict[str, Any]
    n_genes: int
    n_samples: int
    n_unmeasured: int
    labels: list[LabelExpression]
    similar: list[GeneHit]
    lowest_similarity: float


def find_genes(view: AtlasView, query: str, *, limit: int = 20) -> list[GeneHit]:
    """Find genes by symbol or id: the whole name first, then beginnings, then parts.

    Parameters
    ----------
    view
        The atlas.
    query
        Symbol, Ensembl id (a version is ignored) or the beginning of one; case does not count.
    limit
        Genes given at most.

    Returns
    -------
    list of GeneHit
        Best first; shorter symbols before longer ones.
    """
    return [_hit(view, int(position)) for position in _names(view).search(query, limit)]


def find_gene(view: AtlasView, name: str) -> int:
    """Find the one gene of a name.

    Parameters
    ----------
    view
        The atlas.
    name
        Symbol or id, whole.

    Returns
    -------
    int
        Its position; the first where a symbol stands for several genes.

    Raises
    ------
    SelectionError
        If no gene has that name; the message names near ones.
    """
    position = _names(view).find(name)
    if position >= 0:
        return position
    near = ", ".join(hit.symbol for hit in find_genes(view, name[:4], limit=5))
    msg = f"no gene of the atlas is named {name[:40]!r}" + (f"; near: {near}" if near else "")
    raise SelectionError(msg)


def describe_gene(view: AtlasView, name: str) -> GenePage:
    """Describe one gene: distributions by label, metrics, most similar genes.

    Parameters
    ----------
    view
        The atlas.
    name
        Symbol or id.

    Returns
    -------
    GenePage
        Computed from one chunk column of the atlas and the sketch of genes.

    Raises
    ------
    SelectionError
        If no gene has that name.
    """
    position = find_gene(view, name)
    return view.remember(("gene", position), lambda: _describe(view, position))


def _describe(view: AtlasView, position: int) -> GenePage:
    atlas = view.atlas
    values = view.gene_values(position)
    measured = np.isfinite(values)
    row = atlas.var.iloc[position]
    return GenePage(
        gene=str(atlas.var.index[position]),
        symbol=str(view.symbols[position]),
        unit=_name_unit(atlas.recipe),
        metrics={name: row[name] for name in _METRICS if name in atlas.var.columns},
        n_genes=atlas.n_genes,
        n_samples=int(measured.sum()),
        n_unmeasured=int((~measured).sum()),
        labels=_rows(view).summarise(values),
        similar=_similar(view, position),
        lowest_similarity=float(LOWEST_SIMILARITY),
    )


def _similar(view: AtlasView, position: int) -> list[GeneHit]:
    """Give the genes with the highest estimated correlation."""
    if view.map is None:
        return []
    likeness = view.map.gene_vectors @ view.map.gene_vectors[position]
    likeness[position] = -1
    n_similar = min(_N_SIMILAR, len(likeness) - 1)
    best = np.argpartition(-likeness, n_similar)[: n_similar + 1]
    best = best[np.argsort(-likeness[best], kind="stable")][:n_similar]
    return [
        _hit(view, int(g), float(likeness[g])) for g in best if likeness[g] >= LOWEST_SIMILARITY
    ]


def _hit(view: AtlasView, position: int, similarity: float | None = None) -> GeneHit:
    var = view.atlas.var
    biotype = str(var["biotype"].iloc[position]) if "biotype" in var.columns else ""
    return GeneHit(str(var.index[position]), str(view.symbols[position]), biotype, similarity)


def _names(view: AtlasView) -> GeneNames:
    return view.keep("gene names", lambda: GeneNames(view.symbols, view.atlas.var.index))


def _rows(view: AtlasView) -> LabelRows:
    studies = view.texts("study") if "study" in view.atlas.obs.columns else None
    return view.keep("label rows", lambda: LabelRows(view.atlas.labels, studies))


def _name_unit(recipe: str) -> str:
    """Say what the values of a recipe are."""
    units = {
        "log2-quantile-length": "log2(1 + count), quantile normalised, per kilobase",
        "log2-quantile": "log2(1 + count), quantile normalised",
        "log2-cpm": "log2(1 + counts per million)",
        "tpm": "log2(1 + TPM), quantile normalised",
    }
    return units.get(recipe, recipe)
