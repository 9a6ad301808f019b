"""Describe an atlas, its model and what was made with them on one page."""

import dataclasses
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expressome.atlas import Atlas, open_atlas
from expressome.engine import Resources
from expressome.manifest import ARCHS4_CITATION, create_manifest
from expressome.outputs import check_input, check_output, staged_output
from expressome.pipeline.batch_measuring import measure_batch
from expressome.pipeline.gathering import (
    gather_classification,
    gather_predictions,
    read_model_json,
    read_synthetic,
    tabulate_fidelity,
)
from expressome.pipeline.harmonizing import compare_texts
from expressome.pipeline.mapping import (
    Excerpt,
    SamplePlane,
    fit_plane,
    measure_distances,
    measure_representative,
    name_groups,
    read_excerpt,
)
from expressome.pipeline.tallying import tally_genes, tally_normalization, tally_samples
from expressome.reporting.content import Predictions, ReportContent, Samples, Synthetic
from expressome.reporting.page import render_page
from expressome.reporting.palette import CATEGORIES
from expressome.results import Summary

__all__ = ["collect_content", "report"]

# Points of a scatter: what a browser draws without a wait.
_N_POINTS = 4000

# Method -> what to cite for it. ARCHS4 itself always comes first.
_CITATIONS = {
    "quantile": "Bolstad BM, Irizarry RA, Astrand M, Speed TP. A comparison of normalization "
    "methods for high density oligonucleotide array data based on variance and bias. "
    "Bioinformatics 19, 185-193 (2003). doi:10.1093/bioinformatics/19.2.185 "
    "(quantile normalisation)",
    "length": "Frankish A, Diekhans M, Jungreis I, et al. GENCODE 2021. Nucleic Acids Research 49, "
    "D916-D923 (2021). doi:10.1093/nar/gkaa1087 (transcripts behind gene lengths)",
    "forest": "Breiman L. Random forests. Machine Learning 45, 5-32 (2001). "
    "doi:10.1023/A:1010933404324 (classifier)",
    "powerset": "Tsoumakas G, Katakis I. Multi-label classification: an overview. International "
    "Journal of Data Warehousing and Mining 3, 1-13 (2007). doi:10.4018/jdwm.2007070101 (label "
    "powerset)",
    "gan": "Vinas R, Andres-Terre H, Lio P, Bryson K. Adversarial generation of gene expression "
    "data. Bioinformatics 38, 730-737 (2022). doi:10.1093/bioinformatics/btab035 (conditional "
    "WGAN-GP)",
    "hpa": "Uhlen M, Fagerberg L, Hallstrom BM, et al. Tissue-based map of the human proteome. "
    "Science 347, 1260419 (2015). doi:10.1126/science.1260419 (profiles of the simulator; Human "
    "Protein Atlas, CC BY-SA 4.0)",
    "gtex": "The GTEx Consortium. The GTEx Consortium atlas of genetic regulatory effects across "
    "human tissues. Science 369, 1318-1330 (2020). doi:10.1126/science.aaz1776 (spread of the "
    "simulator)",
    "anndata": "Virshup I, Rybakov S, Theis FJ, Angerer P, Wolf FA. anndata: Access and store "
    "annotated data matrices. Journal of Open Source Software 9, 4371 (2024). "
    "doi:10.21105/joss.04371 (format of the atlas)",
}


def report(
    atlas: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    model: str | os.PathLike[str] | None = None,
    predictions: str | os.PathLike[str] | None = None,
    synthetic: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Write one self-contained HTML page about an atlas and what was made with it.

    Parameters
    ----------
    atlas
        Folder that `normalize` wrote. Measured or not, labelled or not: a part that
        is missing is left out, and the page says how to get it.
    out
        HTML file to write. It opens without a network.
    model
        Folder that `train` wrote.
    predictions
        File that `predict` wrote.
    synthetic
        File that `augment` wrote.
    overwrite
        Whether an existing page may be replaced.
    resources
        Its seed chooses the samples of the map.

    Returns
    -------
    Summary
        Path, size in bytes, sections shown, whether the data are simulated, shares of the
        variance that label, study and depth explain (``batch``).

    Raises
    ------
    AtlasError, ModelError, FileFormatError, MissingFieldError
        If an input is not what its verb writes.
    MissingExtraError
        If plotly or jinja2 is not installed.

    Examples
    --------
    >>> report("/tmp", out="/tmp/expressome-report.html")
    Traceback (most recent call last):
    ...
    expressome.errors.AtlasError: /tmp is not an atlas; make one with normalize
    """
    resources = resources or Resources()
    opened, out = open_atlas(atlas), check_output(out, overwrite=overwrite)
    parts = {"model": model, "predictions": predictions, "synthetic": synthetic}
    paths = {name: check_input(path) for name, path in parts.items() if path is not None}
    content = collect_content(opened, resources=resources, **paths)
    manifest = create_manifest(
        "report",
        inputs=[opened.path, *paths.values()],
        parameters=dict.fromkeys(paths, True),
        seed=resources.seed,
    )
    content = dataclasses.replace(content, manifests={**content.manifests, "report": manifest})
    page = render_page(content)
    with staged_output(out, overwrite=overwrite) as partial:
        partial.write_text(page, encoding="utf-8")
    figures = {
        "report": out,
        "bytes": out.stat().st_size,
        "sections": _name_sections(content),
        "simulated": content.simulated,
        "batch": None if content.batch is None else content.batch.overall,
    }
    return Summary("report", figures, manifest)


def _name_sections(content: ReportContent) -> list[str]:
    optional = ("normalization", "batch", "genes", "classification", "predictions", "synthetic")
    return ["samples", *(name for name in optional if getattr(content, name) is not None)]


def collect_content(
    atlas: Atlas,
    *,
    model: Path | None = None,
    predictions: Path | None = None,
    synthetic: Path | None = None,
    resources: Resources,
) -> ReportContent:
    """Compute all that a report shows.

    Parameters
    ----------
    atlas
        The atlas.
    model, predictions, synthetic
        What was made with it, where it is there.
    resources
        Its seed chooses the samples of the map.

    Returns
    -------
    ReportContent
        Ready to be drawn.
    """
    manifests: dict[str, Any] = {"atlas": atlas.manifest}
    classification = None
    if model is not None:
        classification = gather_classification(
            read_model_json(model, "metrics.json"),
            read_model_json(model, "markers.json") if (model / "markers.json").is_file() else None,
        )
        described = read_model_json(model, "model.json")
        manifests["model"] = described.get("manifest", described)
    predicted = None if predictions is None else _add_texts(atlas, predictions)
    excerpt = read_excerpt(atlas, resources=resources)
    plane = fit_plane(excerpt, seed=resources.seed)
    made = None
    if synthetic is not None:
        made, manifest = _describe_synthetic(atlas, synthetic, excerpt, plane, resources)
        manifests["synthetic samples"] = manifest
    simulated = _is_simulated(atlas)
    return ReportContent(
        title=atlas.path.name,
        created=f"{datetime.now(UTC):%d %B %Y}".lstrip("0"),
        samples=_place_samples(tally_samples(atlas, _state_facts(atlas)), atlas, excerpt, plane),
        simulated=simulated,
        normalization=tally_normalization(atlas, excerpt.length_effect(atlas.var)),
        batch=measure_batch(atlas, excerpt, resources=resources),
        genes=tally_genes(atlas, excerpt.markers),
        classification=classification,
        predictions=predicted,
        synthetic=made,
        manifests=manifests,
        citations=_choose_citations(
            atlas, simulated=simulated, has_model=model is not None, synthetic=made
        ),
    )


def _add_texts(atlas: Atlas, path: Path) -> Predictions:
    """Set what texts suggest beside what the model says."""
    predicted = gather_predictions(path)
    found = compare_texts(atlas, path)
    if found is None or not found.n_compared:
        return predicted
    return dataclasses.replace(
        predicted,
        agreement=found.per_label,
        n_compared=found.n_compared,
        n_agree=found.n_agree,
    )


def _state_facts(atlas: Atlas) -> dict[str, str]:
    """Name what the atlas is, in words."""
    described = atlas.description
    facts = {
        name: str(described[name])
        for name in ("species", "level", "unit", "release")
        if described.get(name)
    }
    return facts | {"recipe": atlas.recipe}


def _is_simulated(atlas: Atlas) -> bool:
    """Tell whether the samples come from the simulator, by what the file says of them."""
    if "simulated" in atlas.description or "simulated" in atlas.manifest:
        return bool(atlas.description.get("simulated") or atlas.manifest.get("simulated"))
    if "title" not in atlas.obs.columns or not atlas.n_samples:
        return False
    titles = atlas.obs["title"].astype(str).str.lower()
    return bool(titles.str.startswith("simulated").mean() > 0.5)


def _place_samples(
    samples: Samples, atlas: Atlas, excerpt: Excerpt, plane: SamplePlane | None
) -> Samples:
    """Add the map to what was counted."""
    if plane is None:
        return samples
    placed = plane.place(excerpt.values)
    groups, shown = name_groups(atlas, excerpt.rows)
    obs = atlas.obs.iloc[excerpt.rows]
    table = pd.DataFrame(
        {
            "x": placed[:, 0],
            "y": placed[:, 1],
            "group": groups,
            "sample": obs.index.astype(str),
            "study": obs["study"].astype(str).to_numpy(),
        }
    )
    order = {name: i for i, name in enumerate(["unlabelled", "other labels", *shown])}
    table = table.iloc[:_N_POINTS].sort_values("group", key=lambda g: g.map(order), kind="stable")
    return dataclasses.replace(samples, plane=table, explained=plane.explained)


def _describe_synthetic(
    atlas: Atlas,
    path: Path,
    excerpt: Excerpt,
    plane: SamplePlane | None,
    resources: Resources,
) -> tuple[Synthetic, dict[str, Any]]:
    """Set synthetic samples beside the real ones that were read."""
    genes = atlas.var.index[excerpt.genes]
    made = read_synthetic(path, genes, rng=resources.rng("report: synthetic"))
    labels = list(dict.fromkeys(made.labels.tolist()))
    totals = dict(
        zip(atlas.labels.keys, np.asarray(atlas.labels.matrix.sum(axis=0)).ravel(), strict=True)
    )
    counts = pd.DataFrame(
        {
            "n_synthetic": [int((made.labels == label).sum()) for label in labels],
            "n_real": [int(totals.get(label, 0)) for label in labels],
        },
        index=pd.Index(labels, dtype=object),
    )
    chosen = np.isfinite(made.values).any(axis=1)
    table, distances, central, explained = None, {}, {}, (0.0, 0.0)
    if plane is not None and chosen.any():
        own, is_labelled = _own_labels(atlas, excerpt, labels)
        real = plane.place(excerpt.values)
        drawn = plane.place(made.values[chosen] * excerpt.lengths[excerpt.genes])
        table = _join_planes(real, own, drawn, made.labels[chosen])
        compared = real[is_labelled], own[is_labelled], drawn, made.labels[chosen]
        distances = dict(measure_distances(*compared))
        central = dict(measure_representative(*compared))
        explained = plane.explained
    found = made.details
    described = Synthetic(
        made.method,
        counts,
        table,
        explained,
        tabulate_fidelity(found.get("fidelity") or {}),
        distances,
        _tabulate_training(found.get("training")),
        _state_synthesis(found, made.method),
        central,
    )
    return described, dict(found.get("manifest") or {})


def _state_synthesis(details: Mapping[str, Any], method: str) -> dict[str, str]:
    """Name what a reader should know of how the samples were made and checked."""
    facts = {}
    generator = details.get("generator") or {}
    if generator.get("n_training_samples"):
        facts["generator trained on"] = f"{generator['n_training_samples']:,} samples"
    copies = details.get("n_copies") or {}
    n_copies = [int(counts[method]) for counts in copies.values() if method in counts]
    if n_copies:
        facts["copies of real samples"] = f"{sum(n_copies):,}"
    for label, words in (details.get("compared_with") or {}).items():
        facts[f"{label}: compared with"] = str(words)
    return facts


def _own_labels(
    atlas: Atlas, excerpt: Excerpt, labels: list[str]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Give each real sample the synthetic label that it carries, or nothing."""
    matrix = atlas.labels.matrix.tocsr()[excerpt.rows]
    keys = atlas.labels.keys
    own = np.full(len(excerpt.rows), "", dtype=object)
    for label in reversed(labels):
        if label in keys:
            own[np.asarray(matrix[:, [keys.index(label)]].todense()).ravel() > 0] = label
    return own, np.asarray(matrix.sum(axis=1)).ravel() > 0


def _join_planes(
    real: np.ndarray[Any, Any],
    own: np.ndarray[Any, Any],
    drawn: np.ndarray[Any, Any],
    labels: np.ndarray[Any, Any],
) -> pd.DataFrame:
    """Join real and synthetic samples in one table; only the first labels have a colour."""
    coloured = list(dict.fromkeys(labels.tolist()))[: len(CATEGORIES)]
    parts = [
        pd.DataFrame(
            {"x": placed[:, 0], "y": placed[:, 1], "group": group, "synthetic": synthetic}
        ).iloc[: _N_POINTS // 2]
        for placed, group, synthetic in (
            (real[own == ""], "other labels", False),
            (real[own != ""], own[own != ""], False),
            (drawn, labels, True),
        )
    ]
    table = pd.concat(parts, ignore_index=True)
    table["group"] = table["group"].where(table["group"].isin(coloured), "other labels")
    return table


def _tabulate_training(training: Any) -> pd.DataFrame | None:  # noqa: ANN401 - as it was stored
    """Read a training curve given as rows."""
    if not training:
        return None
    table = pd.DataFrame(training)
    if "step" in table.columns:
        table = table.set_index("step")
    table = table.select_dtypes("number")
    return table if len(table.columns) else None


def _choose_citations(
    atlas: Atlas, *, simulated: bool, has_model: bool, synthetic: Synthetic | None
) -> tuple[str, ...]:
    """Name what to cite for what was used."""
    used = [
        ("quantile", "quantile" in atlas.recipe),
        ("length", "length" in atlas.recipe or atlas.recipe == "tpm"),
        ("forest", has_model),
        ("powerset", has_model),
        ("gan", synthetic is not None and "gan" in synthetic.method.lower()),
        ("hpa", simulated),
        ("gtex", simulated),
        ("anndata", True),
    ]
    return (ARCHS4_CITATION, *(_CITATIONS[name] for name, is_used in used if is_used))
