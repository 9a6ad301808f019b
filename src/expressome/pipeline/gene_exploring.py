"""Questions about genes: find them, see their expression by label, and what is alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import SelectionError
from expressome.pipeline.exploring import AtlasView
from expressome.pipeline.gene_sketching import LOWEST_SIMILARITY

__all__ = ["GeneHit", "GenePage", "LabelExpression", "describe_gene", "find_gene", "find_genes"]

# Enough for a violin that looks the same with all values.
_N_QUANTILES = 101
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
class LabelExpression:
    """A gene in the samples of one label.

    Attributes
    ----------
    label
        Its key; empty for samples without a label.
    kind
        Kind of the label.
    n_samples
        Samples that carry it and measured the gene.
    n_studies
        Studies they come from.
    q25, median, q75
        Quartiles.
    quantiles
        101 evenly spaced quantiles, or all values in order where there are fewer.
    """

    label: str
    kind: str
    n_samples: int
    n_studies: int
    q25: float
    median: float
    q75: float
    quantiles: list[float]


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
    wanted = _plain(query)
    if not wanted:
        return []
    symbols, ids = _names(view)
    ranked = []
    for position, (symbol, gene) in enumerate(zip(symbols, ids, strict=True)):
        if wanted in (symbol, gene):
            rank = 0
        elif symbol.startswith(wanted) or gene.startswith(wanted):
            rank = 1
        elif wanted in symbol:
            rank = 2
        else:
            continue
        ranked.append((rank, len(symbol), symbol, position))
    return [_hit(view, position) for *_, position in sorted(ranked)[:limit]]


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
    wanted = _plain(name)
    symbols, ids = _names(view)
    for names in (ids, symbols):
        if wanted and wanted in names:
            return int(names.index(wanted))
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
        labels=_by_label(view, values),
        similar=_similar(view, position),
        lowest_similarity=float(LOWEST_SIMILARITY),
    )


def _by_label(view: AtlasView, values: NDArray[np.float32]) -> list[LabelExpression]:
    """Summarise the values of each label's samples."""
    labels, columns = view.atlas.labels, view.label_columns
    studies = view.remember("study codes", lambda: _study_codes(view))
    kinds = labels.labels["kind"].astype(str).to_numpy()
    found = []
    for k, key in enumerate(labels.keys):
        rows = columns.indices[columns.indptr[k] : columns.indptr[k + 1]]
        found.append(_summarise(key, kinds[k], values[rows], studies[rows]))
    found.sort(key=lambda one: -one.median if one.n_samples else np.inf)
    bare = ~labels.is_labelled if labels.n_labels else np.ones(len(values), bool)
    found.append(_summarise("", "", values[bare], studies[bare]))
    return [one for one in found if one.n_samples]


def _summarise(
    label: str, kind: str, values: NDArray[np.float32], studies: NDArray[np.int64]
) -> LabelExpression:
    measured = np.isfinite(values)
    kept = np.sort(values[measured]).astype(np.float64)
    if not kept.size:
        return LabelExpression(label, kind, 0, 0, np.nan, np.nan, np.nan, [])
    low, middle, high = np.quantile(kept, [0.25, 0.5, 0.75])
    is_large = kept.size > _N_QUANTILES
    drawn = np.quantile(kept, np.linspace(0, 1, _N_QUANTILES)) if is_large else kept
    return LabelExpression(
        label,
        kind,
        int(kept.size),
        len(np.unique(studies[measured])),
        float(low),
        float(middle),
        float(high),
        np.round(drawn, 4).tolist(),
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


def _plain(name: str) -> str:
    """Write a name as it is compared: small letters, no version of an Ensembl id."""
    text = name.strip().lower()
    stem, dot, version = text.partition(".")
    return stem if dot and stem.startswith("ens") and version.isdigit() else text


def _names(view: AtlasView) -> tuple[list[str], list[str]]:
    def lower() -> tuple[list[str], list[str]]:
        symbols = [str(symbol).lower() for symbol in view.symbols]
        return symbols, [_plain(str(gene)) for gene in view.atlas.var.index]

    return view.remember("gene names", lower)


def _study_codes(view: AtlasView) -> NDArray[np.int64]:
    obs = view.atlas.obs
    if "study" not in obs.columns:
        return np.arange(len(obs))
    return pd.factorize(obs["study"].astype(str))[0].astype(np.int64)


def _name_unit(recipe: str) -> str:
    """Say what the values of a recipe are."""
    units = {
        "log2-quantile-length": "log2(1 + count), quantile normalised, per kilobase",
        "log2-quantile": "log2(1 + count), quantile normalised",
        "log2-cpm": "log2(1 + counts per million)",
        "tpm": "log2(1 + TPM), quantile normalised",
    }
    return units.get(recipe, recipe)
