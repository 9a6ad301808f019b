"""Label the samples of a file from lists, folders and sheets."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

from expressome.annotation.agreement import to_label_matrix
from expressome.annotation.coverage import describe_coverage, describe_lists
from expressome.annotation.multihot import write_labels
from expressome.archs4.reader import open_archs4
from expressome.engine import Resources
from expressome.errors import EmptySelectionError, LabelError, LabelWarning, first_few
from expressome.manifest import create_manifest
from expressome.outputs import check_input, check_output, check_parquet_name, staged_output
from expressome.pipeline.harmonizing import suggest_for_unlabelled
from expressome.pipeline.label_gathering import gather_lists
from expressome.results import Summary

__all__ = ["annotate"]


def _warn(figures: dict[str, Any]) -> None:
    """Say what one may not expect: rare labels, absent samples, conflicts."""
    messages = []
    if figures["labels_with_one_sample"]:
        names = figures["labels_with_one_sample"]
        messages.append(
            f"{len(names)} of {figures['n_labels']} labels have one sample ({first_few(names)}); "
            "they are kept for training and cannot be tested"
        )
    if figures["labels_without_sample"]:
        names = figures["labels_without_sample"]
        messages.append(
            f"{len(names)} of {figures['n_listed_labels']} listed labels have no sample in the "
            f"file and were left out ({first_few(names)})"
        )
    if figures["n_absent"]:
        messages.append(
            f"{figures['n_absent']:,} of {figures['n_listed_samples']:,} listed samples are not "
            f"in the file ({first_few(figures['absent'])})"
        )
    merged = figures["conflicts"]["merged_spellings"]
    if merged:
        spellings = first_few(f"{', '.join(others)} -> {key}" for key, others in merged.items())
        messages.append(f"{len(merged)} labels were written in several ways ({spellings})")
    places = figures["conflicts"]["labels_in_several_systems"]
    if places:
        names = first_few(f"{key}: {' and '.join(systems)}" for key, systems in places.items())
        messages.append(f"{len(places)} labels are listed under several systems ({names})")
    for message in messages:
        warnings.warn(message, LabelWarning, stacklevel=3)


def annotate(
    file: str | os.PathLike[str],
    lists: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str],
    kind: str | None = None,
    label_columns: Sequence[str] | None = None,
    suggest: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Summary:
    r"""Label the samples of an ARCHS4 file from all sources at once.

    Parameters
    ----------
    file
        ARCHS4 file; only its sample ids are read.
    lists
        Any of: ARCHS4's R scripts (read, never run); folders of scripts or of
        expression matrices as ``<label>/*.tsv`` (only their header lines are
        read); tables with columns ``sample`` or ``gsm``, ``label`` and, if there,
        ``kind``; sheets with one row per sample.
    out
        New label file in Parquet.
    kind
        Kind of labels whose source names none. None asks the shipped vocabulary.
    label_columns
        Columns of a sheet that name labels; a column's name is the kind of its
        labels. None takes those of tissue, cell_type, cell_line and disease
        that exist.
    suggest
        New table (TSV) of labels that the samples' texts suggest, for samples that no
        list labels: sample, label, attribute, value, source and confidence. They never
        enter the label file. None suggests nothing.
    overwrite
        Whether existing files may be replaced.
    resources
        The same for every verb; nothing here needs it.

    Returns
    -------
    Summary
        What the lists hold (entries, samples, labels, listed twice, conflicts)
        and how they cover the file (labelled, unlabelled, absent samples; labels
        per sample and together; samples per label; labels without a term). With
        `suggest`: how many samples have a suggestion, and how often suggestions agree with the
        lists where both speak.

    Raises
    ------
    InputNotFoundError, FileFormatError, DamagedFileError
        If a source is not there, or cannot be read.
    MissingFieldError, IdentifierError
        If a table lacks a column, or names a sample twice where it may not.
    LabelError
        If a source lists no sample, or a label has no kind.
    EmptySelectionError
        If no listed sample is in the file.
    OutputExistsError
        If the output exists and `overwrite` is False.
    InvalidValueError
        If the name of `out` promises another format than Parquet.

    Warns
    -----
    LabelWarning
        If labels have one sample or none, samples are absent from the file, or
        sources disagree.

    Notes
    -----
    The same name in two kinds stays two labels, with keys ``name (kind)``.

    Examples
    --------
    >>> import tempfile, numpy as np, pandas as pd
    >>> from pathlib import Path
    >>> from expressome.archs4.writing import write_archs4
    >>> folder = Path(tempfile.mkdtemp())
    >>> samples = pd.DataFrame({"series": ["GSE1"] * 3}, index=["S1", "S2", "S3"])
    >>> genes = pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"])
    >>> write_archs4(folder / "x.h5", samples=samples, genes=genes, blocks=[np.ones((3, 1))])
    >>> _ = (folder / "sheet.csv").write_text("sample,tissue\nS1,liver\nS3,liver\n")
    >>> summary = annotate(folder / "x.h5", [folder / "sheet.csv"], out=folder / "l.parquet")
    >>> summary.figures["labels"]["liver"]["n_samples"]
    2
    """
    del resources
    given = [lists] if isinstance(lists, str | os.PathLike) else list(lists)
    paths = [check_input(path) for path in given]
    if not paths:
        msg = "no label list was given; pass scripts, folders, tables or a sheet"
        raise LabelError(msg)
    check_parquet_name(out)
    for path in (out, suggest):
        if path is not None:
            check_output(path, overwrite=overwrite)
    compendium = open_archs4(file)
    samples = compendium.sample_ids
    agreement = gather_lists(paths, kind=kind, label_columns=label_columns)
    try:
        labels = to_label_matrix(agreement, samples)
    except EmptySelectionError as error:
        error.add_note(f"while labelling the samples of {file}")
        raise
    manifest = create_manifest(
        "annotate",
        inputs=[compendium.path, *paths],
        parameters={"kind": kind, "label_columns": label_columns},
    )
    figures = {
        "out": out,
        "n_sources": len(paths),
        **describe_lists(agreement),
        **describe_coverage(labels, agreement, samples),
    }
    if suggest is not None:
        suggestions, found = suggest_for_unlabelled(file, labels)
        figures["suggestions"] = {"out": os.fspath(suggest), **found}
        with staged_output(suggest, overwrite=overwrite) as partial:
            suggestions.to_csv(partial, sep="\t", index=False)
    _warn(figures)
    write_labels(labels, out, manifest | {"summary": figures}, overwrite=overwrite)
    return Summary("annotate", figures, manifest)
