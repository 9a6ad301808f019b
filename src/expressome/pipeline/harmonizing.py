"""Harmonise what submitters wrote of samples, and suggest labels from it."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from expressome.annotation.harmonization import ATTRIBUTES, harmonize_texts
from expressome.annotation.multihot import read_labels
from expressome.annotation.suggestions import (
    Agreement,
    compare_with_labels,
    compare_with_predictions,
    suggest_labels,
    sum_agreements,
)
from expressome.atlas import Atlas
from expressome.engine import Resources
from expressome.errors import FileFormatError
from expressome.manifest import create_manifest
from expressome.outputs import check_input, check_output, staged_output
from expressome.pipeline.prediction_reading import read_predictions
from expressome.pipeline.text_reading import TEXT_FIELDS, Texts, open_texts
from expressome.reference.vocabulary import fold_name, load_vocabulary
from expressome.results import LabelMatrix, Summary, to_json
from expressome.tables.sample_writing import open_sample_table

__all__ = ["compare_texts", "harmonize", "read_metadata", "suggest_for_unlabelled"]

_ANSWERS = ("sample", "label", "unknown")
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
        If the ending of `out` is not one of the above, or the predictions are no Parquet file.
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
    texts = open_texts(file)
    known = texts.labels if labels is None else read_labels(check_input(labels))
    answers = None
    if predictions is not None:
        answers = read_predictions(predictions, _ANSWERS, optional=["labels"])
    inputs = [path for path in (file, labels, predictions) if path is not None]
    manifest = create_manifest("harmonize", inputs=inputs)
    tally = _Tally(known, answers)
    with (
        staged_output(place, overwrite=overwrite) as partial,
        open_sample_table(partial, place.name, notes=manifest) as write,
    ):
        for metadata, suggestions in _suggest_blocks(texts, known, resources):
            tally.add(metadata, suggestions)
            own = suggestions[~suggestions["sample"].isin(tally.labelled)]
            write(_join_suggestions(metadata, own))
    if place.suffix != ".parquet":
        beside = place.with_name(f"{place.name}.manifest.json")
        with staged_output(beside, overwrite=True) as partial:
            partial.write_text(to_json(manifest) + "\n", encoding="utf-8")
    return Summary("harmonize", {"out": place} | tally.to_figures(), manifest)


def read_metadata(
    texts: pd.DataFrame, *, species: str, resources: Resources | None = None
) -> pd.DataFrame:
    """Harmonise texts, some thousand samples at a time.

    Parameters
    ----------
    texts
        One row per sample; columns as `harmonize_texts` takes them.
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
    tally, found = _Tally(labels, None), []
    for metadata, suggestions in _suggest_blocks(open_texts(file), labels, Resources()):
        tally.add(metadata, suggestions)
        found.append(suggestions[~suggestions["sample"].isin(tally.labelled)])
    return pd.concat(found, ignore_index=True), tally.to_figures()["suggestions"]


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
    names = [name for name in TEXT_FIELDS if name in atlas.obs.columns]
    if not names or not atlas.labels.n_labels:
        return None
    answers = read_predictions(predictions, [], optional=[*_ANSWERS, "labels"])
    if not {*_ANSWERS} <= {*answers}:
        return None
    texts = atlas.obs.loc[atlas.obs.index.isin(answers["sample"]), names]
    species = str(atlas.description.get("species", "human"))
    metadata = read_metadata(texts, species=species)
    return compare_with_predictions(
        suggest_labels(metadata, atlas.labels.labels, fold=fold_name), answers
    )


def _suggest_blocks(
    texts: Texts, known: LabelMatrix | None, resources: Resources
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Harmonise block by block, with the labels that each block's texts suggest."""
    labels = load_vocabulary() if known is None else known.labels
    n_done = 0
    for block in texts.blocks():
        metadata = harmonize_texts(block, species=texts.species)
        n_done += len(block)
        resources.progress("read texts", n_done, texts.n_samples)
        yield metadata, suggest_labels(metadata, labels, fold=fold_name)


class _Tally:
    """Counts over all blocks."""

    def __init__(self, known: LabelMatrix | None, answers: pd.DataFrame | None) -> None:
        self.labelled = set() if known is None else set(known.samples[known.is_labelled])
        self._known, self._answers = known, answers
        self._n_samples = self._n_unlabelled = self._n_suggested = 0
        self._n_found: Counter[str] = Counter()
        self._per_label: Counter[str] = Counter()
        self._with_labels: list[Agreement] = []
        self._with_answers: list[Agreement] = []

    def add(self, metadata: pd.DataFrame, suggestions: pd.DataFrame) -> None:
        """Count a block; compare it with labels and predictions."""
        own = suggestions[~suggestions["sample"].isin(self.labelled)]
        self._n_samples += len(metadata)
        self._n_unlabelled += int((~metadata.index.isin(self.labelled)).sum())
        self._n_suggested += int(own["sample"].nunique())
        self._per_label.update(own["label"].astype(str).tolist())
        for name in ATTRIBUTES:
            self._n_found[name] += int(metadata[f"{name}_confidence"].notna().sum())
        if self._known is not None:
            self._with_labels.append(compare_with_labels(suggestions, self._known))
        if self._answers is not None:
            self._with_answers.append(compare_with_predictions(suggestions, self._answers))

    def to_figures(self) -> dict[str, Any]:
        """Give all counts as plain values."""
        found: dict[str, Any] = {
            "n_unlabelled": self._n_unlabelled,
            "n_suggested": self._n_suggested,
            "n_per_label": dict(self._per_label.most_common()),
        }
        if self._known is not None:
            found["agreement_with_labels"] = sum_agreements(self._with_labels).to_figures()
        figures = {
            "n_samples": self._n_samples,
            "n_found": {name: self._n_found[name] for name in ATTRIBUTES},
            "suggestions": found,
        }
        if self._answers is not None:
            agreement = sum_agreements(self._with_answers)
            figures["agreement_with_predictions"] = agreement.to_figures()
        return figures


def _join_suggestions(metadata: pd.DataFrame, suggestions: pd.DataFrame) -> pd.DataFrame:
    """Put suggestions beside the metadata."""
    grouped = suggestions.groupby("sample", sort=False)
    joined = pd.DataFrame(
        {
            "suggested_labels": grouped["label"].agg(";".join),
            "suggestion_source": grouped["source"].first(),
            "suggestion_confidence": grouped["confidence"].first(),
        }
    ).reindex(metadata.index)
    texts = ["suggested_labels", "suggestion_source"]
    # Stated types: a block without any suggestion tells none.
    joined = joined.astype(dict.fromkeys(texts, object) | {"suggestion_confidence": float})
    joined[texts] = joined[texts].fillna("")
    return metadata.join(joined)
