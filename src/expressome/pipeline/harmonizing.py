"""Harmonise what submitters wrote of samples, and suggest labels from it."""

import json
import os
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from expressome.annotation.harmonization import ATTRIBUTES, harmonize_texts
from expressome.annotation.multihot import read_labels
from expressome.annotation.suggestions import (
    Agreement,
    compare_with_labels,
    compare_with_predictions,
    suggest_labels,
)
from expressome.archs4.reader import open_archs4
from expressome.atlas import Atlas, open_atlas
from expressome.engine import Resources
from expressome.errors import FileFormatError, MissingFieldError
from expressome.manifest import create_manifest
from expressome.outputs import check_input, check_output, staged_output
from expressome.pipeline.inspection import tell_kind
from expressome.reference.vocabulary import fold_name, load_vocabulary
from expressome.results import LabelMatrix, Summary, to_json

__all__ = ["compare_texts", "harmonize", "read_metadata", "read_texts", "suggest_for_unlabelled"]

_TEXTS = ("title", "source", "characteristics")
_FORMATS = (".parquet", ".tsv", ".tsv.gz", ".csv", ".csv.gz")
# Texts in memory at once: a few megabytes.
_BLOCK = 10_000

StrPath = str | os.PathLike[str]


def harmonize(
    file: StrPath,
    *,
    out: StrPath,
    labels: StrPath | None = None,
    predictions: StrPath | None = None,
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Summary:
    r"""Write harmonised metadata of all samples, with label suggestions from text.

    Sex, age, developmental stage, disease, tissue, cell type, cell line and
    treatment are read from the characteristics, the source name and the title.
    Each comes with the field it was read from and a confidence. The file and its
    texts stay as they are.

    Parameters
    ----------
    file
        ARCHS4 file or atlas.
    out
        New table, one row per sample: ``.parquet``, ``.tsv``, ``.csv`` (also ``.gz``).
    labels
        What `annotate` wrote: labels are suggested out of these, for samples that
        carry none, and the suggestions are measured on samples that carry some.
        None takes an atlas's own labels, or the shipped vocabulary.
    predictions
        What `predict` wrote: how often texts and expression agree is reported.
    overwrite
        Whether an existing table may be replaced.
    resources
        Progress.

    Returns
    -------
    Summary
        Samples and values found per attribute; suggestions; their agreement with
        the labels of labelled samples and with the predictions.

    Raises
    ------
    MissingFieldError
        If the samples have no text at all.
    FileFormatError
        If the ending of `out` is not one of the above.
    OutputExistsError
        If the table exists and `overwrite` is False.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from expressome.archs4.writing import write_archs4
    >>> folder = Path(tempfile.mkdtemp())
    >>> samples = pd.DataFrame(
    ...     {"series": ["GSE1"], "characteristics": ["tissue: Liver,Sex: F"]}, index=["S1"]
    ... )
    >>> genes = pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"])
    >>> write_archs4(folder / "x.h5", samples=samples, genes=genes, blocks=[np.ones((1, 1))])
    >>> harmonize(folder / "x.h5", out=folder / "m.tsv").figures["n_found"]["tissue"]
    1
    """
    resources = resources or Resources()
    place = check_output(out, overwrite=overwrite)
    if not place.name.endswith(_FORMATS):
        msg = f"the output {place.name} ends in none of {', '.join(_FORMATS)}; choose one of them"
        raise FileFormatError(msg)
    texts, species, own = read_texts(file)
    metadata = read_metadata(texts, species=species, resources=resources)
    known = own if labels is None else read_labels(check_input(labels))
    suggestions = suggest_labels(
        metadata, load_vocabulary() if known is None else known.labels, fold=fold_name
    )
    figures: dict[str, Any] = {
        "out": place,
        "n_samples": len(metadata),
        "n_found": {name: int(metadata[f"{name}_confidence"].notna().sum()) for name in ATTRIBUTES},
        "suggestions": _describe_suggestions(suggestions, metadata, known),
    }
    if predictions is not None:
        answers = pd.read_parquet(check_input(predictions))
        agreement = compare_with_predictions(suggestions, answers)
        figures["agreement_with_predictions"] = agreement.to_figures()
    inputs = [path for path in (file, labels, predictions) if path is not None]
    manifest = create_manifest("harmonize", inputs=inputs)
    _write(_join_suggestions(metadata, suggestions, known), place, manifest, overwrite=overwrite)
    return Summary("harmonize", figures, manifest)


def read_texts(file: StrPath) -> tuple[pd.DataFrame, str, LabelMatrix | None]:
    """Read the texts of all samples of an ARCHS4 file or an atlas.

    Parameters
    ----------
    file
        Either of them.

    Returns
    -------
    texts : DataFrame
        Those of title, source and characteristics that there are; index: samples.
    species : str
        As the file says.
    labels : LabelMatrix or None
        Of an atlas.

    Raises
    ------
    MissingFieldError
        If there is none of the three.
    """
    if tell_kind(file) == "archs4":
        compendium = open_archs4(file)
        columns = {}
        for name in _TEXTS:
            try:
                columns[name] = compendium.field(name)
            except MissingFieldError:
                continue
        texts = pd.DataFrame(columns, index=compendium.sample_ids)
        species, labels = compendium.species, None
    else:
        atlas = open_atlas(file)
        texts = atlas.obs[[name for name in _TEXTS if name in atlas.obs.columns]]
        species, labels = str(atlas.description.get("species", "human")), atlas.labels
    if texts.columns.empty:
        msg = (
            f"{file} holds none of the sample fields {', '.join(_TEXTS)}; there is no text to read"
        )
        raise MissingFieldError(msg)
    return texts, str(species), labels


def read_metadata(
    texts: pd.DataFrame, *, species: str, resources: Resources | None = None
) -> pd.DataFrame:
    """Harmonise texts, some thousand samples at a time.

    Parameters
    ----------
    texts
        From `read_texts`.
    species
        Decides what an age without unit means.
    resources
        Progress.

    Returns
    -------
    DataFrame
        As `harmonize_texts` gives it.
    """
    resources = resources or Resources()
    parts = [harmonize_texts(texts.iloc[:0])]
    for start in range(0, len(texts), _BLOCK):
        parts.append(harmonize_texts(texts.iloc[start : start + _BLOCK], species=species))
        resources.progress("read texts", min(start + _BLOCK, len(texts)), len(texts))
    return pd.concat(parts[1:] or parts)


def suggest_for_unlabelled(
    file: StrPath, labels: LabelMatrix
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Suggest labels from text for the samples of a file that carry none.

    Parameters
    ----------
    file
        ARCHS4 file.
    labels
        Of some of its samples.

    Returns
    -------
    suggestions : DataFrame
        As `suggest_labels` gives them.
    figures : dict
        How many, and their agreement with the labels of labelled samples.
    """
    texts, species, _ = read_texts(file)
    metadata = read_metadata(texts, species=species)
    suggestions = suggest_labels(metadata, labels.labels, fold=fold_name)
    labelled = labels.samples[labels.is_labelled]
    figures = _describe_suggestions(suggestions, metadata, labels)
    return suggestions[~suggestions["sample"].isin(labelled)].reset_index(drop=True), figures


def compare_texts(atlas: Atlas, predictions: Path) -> Agreement | None:
    """Measure how often the texts of an atlas and the predictions for it agree.

    Parameters
    ----------
    atlas
        Its texts and labels.
    predictions
        What `predict` wrote.

    Returns
    -------
    Agreement or None
        None if the atlas holds no texts or no labels, or the predictions lack a column.
    """
    names = [name for name in _TEXTS if name in atlas.obs.columns]
    answers = pd.read_parquet(predictions)
    if not names or not atlas.labels.n_labels or not {"sample", "label", "unknown"} <= {*answers}:
        return None
    texts = atlas.obs.loc[atlas.obs.index.isin(answers["sample"]), names]
    species = str(atlas.description.get("species", "human"))
    metadata = read_metadata(texts, species=species)
    return compare_with_predictions(
        suggest_labels(metadata, atlas.labels.labels, fold=fold_name), answers
    )


def _describe_suggestions(
    suggestions: pd.DataFrame, metadata: pd.DataFrame, known: LabelMatrix | None
) -> dict[str, Any]:
    """Count suggestions, and measure them where labels are known."""
    labelled = set() if known is None else set(known.samples[known.is_labelled])
    own = suggestions[~suggestions["sample"].isin(labelled)]
    figures: dict[str, Any] = {
        "n_unlabelled": int((~metadata.index.isin(list(labelled))).sum()),
        "n_suggested": int(own["sample"].nunique()),
        "n_per_label": {str(name): int(n) for name, n in own["label"].value_counts().items()},
    }
    if known is not None:
        figures["agreement_with_labels"] = compare_with_labels(suggestions, known).to_figures()
    return figures


def _join_suggestions(
    metadata: pd.DataFrame, suggestions: pd.DataFrame, known: LabelMatrix | None
) -> pd.DataFrame:
    """Put the suggestions for samples without a label beside the metadata."""
    if known is not None:
        labelled = known.samples[known.is_labelled]
        suggestions = suggestions[~suggestions["sample"].isin(labelled)]
    grouped = suggestions.groupby("sample", sort=False)
    joined = pd.DataFrame(
        {
            "suggested_labels": grouped["label"].agg(";".join),
            "suggestion_source": grouped["source"].first(),
            "suggestion_confidence": grouped["confidence"].first(),
        }
    ).reindex(metadata.index)
    texts = ["suggested_labels", "suggestion_source"]
    joined[texts] = joined[texts].fillna("")
    return metadata.join(joined).rename_axis("sample")


def _write(table: pd.DataFrame, place: Path, manifest: dict[str, Any], *, overwrite: bool) -> None:
    """Write the table; its manifest goes into Parquet, or beside a text file."""
    with staged_output(place, overwrite=overwrite) as partial:
        if place.suffix == ".parquet":
            content = pa.Table.from_pandas(table.reset_index(), preserve_index=False)
            notes = json.dumps(json.loads(to_json({"manifest": manifest}))).encode()
            metadata = {**(content.schema.metadata or {}), b"expressome": notes}
            pq.write_table(content.replace_schema_metadata(metadata), partial, compression="zstd")
        else:
            separator = "," if ".csv" in place.name else "\t"
            packing: Literal["gzip"] | None = "gzip" if place.suffix == ".gz" else None
            table.to_csv(partial, sep=separator, compression=packing)
    if place.suffix != ".parquet":
        beside = place.with_name(f"{place.name}.manifest.json")
        with staged_output(beside, overwrite=True) as partial:
            partial.write_text(to_json(manifest) + "\n", encoding="utf-8")
