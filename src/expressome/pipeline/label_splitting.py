"""Labels of a file's samples, and their split by study."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from expressome.annotation.multihot import read_labels
from expressome.archs4.reader import Compendium
from expressome.classification.split import join_duplicates, split_by_study
from expressome.engine import Resources
from expressome.errors import LabelError, LabelWarning, LeftOutWarning, StudyWarning, first_few
from expressome.pipeline.copy_finding import name_contents
from expressome.results import LABEL_FIELDS, LabelMatrix

__all__ = ["SampleSplit", "join_copies", "match_labels", "split_labelled", "tell_synthetic"]


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


@dataclass(frozen=True, slots=True)
class SampleSplit:
    """Which part each sample of a file belongs to.

    Attributes
    ----------
    parts
        Part of each sample, empty text without label, shape (n_samples,).
    studies
        Study of each sample; studies that hold copies of one sample are one.
    report
        What balance was reached, ``copies`` and ``n_synthetic``; empty without labels.
    """

    parts: NDArray[np.object_]
    studies: NDArray[np.object_]
    report: dict[str, Any]


def split_labelled(
    labels: LabelMatrix,
    compendium: Compendium,
    *,
    columns: NDArray[np.int64],
    fractions: Sequence[float],
    resources: Resources,
) -> SampleSplit:
    """Split the labelled samples by study; copies of a sample never cross.

    Parameters
    ----------
    labels
        One row per sample of the file.
    compendium
        The file, for its studies and to compare counts.
    columns
        Positions of the genes that decide whether two samples are copies.
    fractions
        Shares of training, validation and test.
    resources
        Gives the seed.

    Returns
    -------
    SampleSplit
        Synthetic samples (a field ``synthetic`` of the file) have no part.

    Warns
    -----
    StudyWarning
        If copies joined studies.
    LeftOutWarning
        If labelled samples are synthetic.
    """
    samples = compendium.samples
    parts = np.full(labels.n_samples, "", object)
    studies = samples["study"].to_numpy(dtype=object)
    if not labels.n_labels:
        return SampleSplit(parts, studies, {})
    is_synthetic = tell_synthetic(samples)
    rows = np.flatnonzero(labels.is_labelled & ~is_synthetic)
    n_synthetic = int((labels.is_labelled & is_synthetic).sum())
    if n_synthetic:
        text = (
            f"{n_synthetic} of {int(labels.is_labelled.sum())} labelled samples are synthetic and "
            "belong to no part: what they were made from is not known here"
        )
        warnings.warn(text, LeftOutWarning, stacklevel=3)
    contents = name_contents(compendium, rows, columns=columns, resources=resources)
    studies, copies = join_copies(studies, rows, contents, samples.index)
    found = split_by_study(
        labels.matrix[rows],
        studies[rows],
        fractions=fractions,
        rng=resources.rng("split"),
        label_keys=labels.keys,
        is_synthetic=is_synthetic[rows],
    )
    parts[rows] = found.parts
    return SampleSplit(
        parts, studies, found.report | {"copies": copies, "n_synthetic": n_synthetic}
    )


def tell_synthetic(samples: pd.DataFrame) -> NDArray[np.bool_]:
    """Say which samples were generated, from the field ``synthetic`` if there is one.

    Parameters
    ----------
    samples
        One row per sample.

    Returns
    -------
    ndarray
        Shape (n_samples,).

    Examples
    --------
    >>> tell_synthetic(pd.DataFrame({"synthetic": ["True", "no", ""]})).tolist()
    [True, False, False]
    """
    if "synthetic" not in samples:
        return np.zeros(len(samples), np.bool_)
    texts = samples["synthetic"].astype(str).str.strip().str.casefold()
    return texts.isin(["true", "1", "1.0", "yes"]).to_numpy(dtype=bool)


def join_copies(
    studies: NDArray[np.object_],
    rows: NDArray[np.int64],
    contents: NDArray[np.object_],
    samples: pd.Index,
) -> tuple[NDArray[np.object_], dict[str, Any]]:
    """Make one study of those that hold the same counts under two ids.

    Parameters
    ----------
    studies
        Study of every sample, shape (n_samples,).
    rows
        Positions of the samples that were compared.
    contents
        Name of the counts of each of these.
    samples
        Ids of every sample.

    Returns
    -------
    tuple
        Study of every sample after joining, and figures: ``n_samples`` that have a copy,
        ``n_studies_joined`` and a few ``examples``.

    Warns
    -----
    StudyWarning
        If studies were joined.
    """
    counted = pd.Series(contents, index=samples[rows], dtype=object)
    repeated = counted[counted.duplicated(keep=False)]
    renamed = dict(zip(studies[rows], join_duplicates(studies[rows], contents), strict=True))
    n_joined = len(renamed) - len(set(renamed.values()))
    groups = repeated.groupby(repeated, sort=False)
    examples = [list(group.index[:5]) for _, group in islice(groups, 5)]
    figures = {
        "n_samples": len(repeated),
        "n_studies_joined": n_joined,
        "examples": examples,
    }
    if n_joined:
        text = (
            f"{len(repeated)} labelled samples have the counts of another "
            f"({first_few('='.join(group) for group in examples)}); "
            f"{n_joined} studies were joined with others so that copies never cross the split"
        )
        warnings.warn(text, StudyWarning, stacklevel=4)
    joined = np.array([renamed.get(study, study) for study in studies], dtype=object)
    return joined, figures
