"""Labels of a file's samples, and their split by study."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from expressome.annotation.multihot import read_labels
from expressome.archs4.reader import Compendium
from expressome.classification.split import split_by_study
from expressome.engine import Resources
from expressome.errors import LabelError, LabelWarning, LeftOutWarning, first_few
from expressome.results import LABEL_FIELDS, LabelMatrix

__all__ = ["match_labels", "split_labelled"]


def match_labels(path: str | os.PathLike[str] | None, compendium: Compendium) -> LabelMatrix:
    """Read labels and bring them into the order of a file's samples.

    Parameters
    ----------
    path
        What `annotate` wrote; None gives a matrix without columns.
    compendium
        The file.

    Returns
    -------
    LabelMatrix
        One row per sample of the file.

    Raises
    ------
    LabelError
        If there is no label, or none belongs to a sample of the file.

    Warns
    -----
    LeftOutWarning
        If labelled samples are not in the file.
    LabelWarning
        If every sample of the file carries a label.
    """
    samples = compendium.sample_ids
    if path is None:
        table = pd.DataFrame(columns=list(LABEL_FIELDS), index=pd.Index([], name="key"))
        empty = sparse.csr_array(np.empty((len(samples), 0), np.uint8))
        return LabelMatrix(samples, table, empty)
    labels = read_labels(path)
    absent = labels.samples[labels.is_labelled].difference(samples, sort=False)
    matched = labels.reindex(samples)
    n_labelled = int(matched.is_labelled.sum())
    if not n_labelled:
        msg = (
            f"none of the {labels.n_labels} labels in {path} belongs to one of the {len(samples)} "
            f"samples of {compendium.path.name}; annotate this file"
        )
        raise LabelError(msg)
    if len(absent):
        text = (
            f"{len(absent)} of {int(labels.is_labelled.sum())} labelled samples are not in "
            f"{compendium.path.name} and were left out ({first_few(absent)})"
        )
        warnings.warn(text, LeftOutWarning, stacklevel=3)
    if n_labelled == len(samples):
        text = f"all {len(samples)} samples carry a label, so none is left to be predicted"
        warnings.warn(text, LabelWarning, stacklevel=3)
    return matched


def split_labelled(
    labels: LabelMatrix,
    compendium: Compendium,
    *,
    fractions: Sequence[float],
    resources: Resources,
) -> tuple[NDArray[np.object_], dict[str, Any]]:
    """Split the labelled samples by study.

    Parameters
    ----------
    labels
        One row per sample of the file.
    compendium
        The file, for its studies.
    fractions
        Shares of training, validation and test.
    resources
        Gives the seed.

    Returns
    -------
    tuple
        Part of each sample (empty text without label), shape (n_samples,), and the report.
    """
    parts = np.full(labels.n_samples, "", object)
    if not labels.n_labels:
        return parts, {}
    rows = np.flatnonzero(labels.is_labelled)
    found = split_by_study(
        labels.matrix[rows],
        compendium.samples["study"].to_numpy()[rows],
        fractions=fractions,
        rng=resources.rng("split"),
        label_keys=labels.keys,
    )
    parts[rows] = found.parts
    return parts, found.report
