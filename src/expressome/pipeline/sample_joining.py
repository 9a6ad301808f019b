"""Join the tables, studies, labels and split of old and new samples."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from expressome.archs4.metadata import group_studies
from expressome.classification.split import join_duplicates, split_by_study
from expressome.engine import Resources
from expressome.errors import LabelWarning, StudyWarning, first_few
from expressome.normalization.fingerprints import find_repeated
from expressome.pipeline.label_splitting import tell_synthetic
from expressome.results import LABEL_FIELDS, LabelMatrix

__all__ = ["JoinedSplit", "join_labels", "join_split", "stack_tables"]


def stack_tables(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Put new rows below old ones; a column that one of them lacks is empty there.

    Parameters
    ----------
    old, new
        Tables with a text index.

    Returns
    -------
    DataFrame
        Columns of both. Missing text is empty, missing numbers NaN, missing booleans False.

    Examples
    --------
    >>> old = pd.DataFrame({"title": ["a"], "depth": [1.0]}, index=["s1"])
    >>> stack_tables(old, pd.DataFrame({"title": ["b"]}, index=["s2"])).to_numpy().tolist()
    [['a', 1.0], ['b', nan]]
    """
    index = pd.Index([*old.index, *new.index], name=old.index.name, dtype=object)
    columns: dict[str, Any] = {}
    fill: Any
    for name in dict.fromkeys([*old.columns, *new.columns]):
        present = [table[name] for table in (old, new) if name in table]
        kinds = {getattr(column.dtype, "kind", "O") for column in present}
        if kinds <= set("b"):
            fill, dtype = False, "bool"
        elif kinds <= set("iuf"):
            fill, dtype = np.nan, "float64"
        else:
            fill, dtype = "", "object"
        parts = [
            table[name].astype(object).where(table[name].notna(), fill).to_numpy(dtype)
            if name in table
            else np.full(len(table), fill, dtype)
            for table in (old, new)
        ]
        columns[name] = np.concatenate(parts)
    return pd.DataFrame(columns, index=index)


def join_labels(old: LabelMatrix, new: LabelMatrix, *, rows: NDArray[np.int64]) -> LabelMatrix:
    """Put the labels of new samples below those of old ones.

    Parameters
    ----------
    old
        Labels of some samples of the older atlas.
    new
        Labels of the new samples.
    rows
        Rows of `old` that are kept, in order.

    Returns
    -------
    LabelMatrix
        Labels of both. A new key that names a label of another kind becomes ``name (kind)``.

    Warns
    -----
    LabelWarning
        If keys were changed so.
    """
    keys = {key: key for key in new.keys}
    for key in set(keys) & set(old.keys):
        kind = str(new.labels.at[key, "kind"])
        if kind != str(old.labels.at[key, "kind"]):
            keys[key] = f"{key} ({kind})"
    changed = [key for key, now in keys.items() if key != now]
    if changed:
        text = f"{len(changed)} new labels carry the name of another kind's ({first_few(changed)})"
        warnings.warn(f"{text}; they became 'name (kind)'", LabelWarning, stacklevel=3)
    table = new.labels.rename(index=keys)
    added = table[~table.index.isin(old.labels.index)]
    labels = pd.concat([old.labels[list(LABEL_FIELDS)], added[list(LABEL_FIELDS)]])
    kept = sparse.csr_array(old.matrix[rows])
    above = sparse.csr_array((kept.data, kept.indices, kept.indptr), shape=(len(rows), len(labels)))
    picked = new.matrix.tocoo()
    places = labels.index.get_indexer(table.index)
    below = sparse.csr_array(
        (picked.data, (picked.row, places[picked.col])), shape=(new.n_samples, len(labels))
    )
    samples = pd.Index([*old.samples[rows], *new.samples], dtype=object)
    matrix = sparse.csr_array(sparse.vstack([above, below], format="csr"), dtype=np.uint8)
    return LabelMatrix(samples, labels.rename_axis("key"), matrix)


@dataclass(frozen=True, slots=True)
class JoinedSplit:
    """Parts and studies of old and new samples together.

    Attributes
    ----------
    parts
        Part of each sample; that of an old one is as it was. Shape (n_samples,).
    studies
        Study of each sample.
    report
        Of the whole split; empty where nothing new was split.
    figures
        Plain values: new samples per part, samples that belong to none.
    """

    parts: NDArray[np.object_]
    studies: NDArray[np.object_]
    report: dict[str, Any]
    figures: dict[str, Any]


def join_split(
    obs: pd.DataFrame,
    is_new: NDArray[np.bool_],
    labels: LabelMatrix,
    *,
    fractions: Sequence[float],
    resources: Resources,
) -> JoinedSplit:
    """Give new labelled samples a part without tearing a study.

    A new sample takes the part of the study it belongs to (by a chain of series ids, or by
    a copy of its counts); new studies are shared out so that all samples together come close to the
    fractions. A new sample that ties together studies of different parts gets none.

    Parameters
    ----------
    obs
        All samples: ``series``, ``study``, ``split`` (empty for new ones), ``counts_hash``,
        ``n_detected``.
    is_new
        Whether a sample is new, shape (n_samples,).
    labels
        Labels of all samples.
    fractions
        Shares of training, validation and test.
    resources
        Gives the seed.

    Returns
    -------
    JoinedSplit
        For every sample.

    Warns
    -----
    StudyWarning
        If studies of different parts turn out to be connected.
    """
    parts = obs["split"].astype(str).to_numpy(dtype=object)
    is_labelled = labels.is_labelled if labels.n_labels else np.zeros(len(obs), bool)
    groups = _group(obs, is_new, is_labelled)
    studies, is_torn = _name_groups(
        groups, obs["study"].astype(str).to_numpy(object), is_new, parts
    )
    is_open = is_new & is_labelled & ~is_torn & ~tell_synthetic(obs)
    report: dict[str, Any] = {}
    if is_open.any():
        rows = np.flatnonzero((parts != "") | is_open)
        found = split_by_study(
            labels.matrix[rows],
            studies[rows],
            fractions=fractions,
            rng=resources.rng("split"),
            label_keys=labels.keys,
            known=parts[rows],
        )
        parts[rows], report = found.parts, found.report
    n_torn = len(set(groups[is_torn]))
    if n_torn:
        text = (
            f"{n_torn} studies of different parts turn out to be connected "
            f"({first_few(sorted(set(groups[is_torn])))}); their samples keep their parts and "
            f"{int((is_torn & is_new & is_labelled).sum())} new labelled ones get none: normalize "
            "all samples anew for a split without leaks"
        )
        warnings.warn(text, StudyWarning, stacklevel=4)
    counts = pd.Series(parts[is_new & is_labelled]).value_counts()
    figures = {
        "n_new_per_part": {str(part): int(n) for part, n in counts.items() if part},
        "n_new_without_part": int(counts.get("", 0)),
        "n_studies_torn": n_torn,
    }
    return JoinedSplit(parts, studies, report, figures)


def _group(
    obs: pd.DataFrame, is_new: NDArray[np.bool_], is_labelled: NDArray[np.bool_]
) -> NDArray[np.object_]:
    """Name the connected group of each sample: series ids, old studies, copies."""
    series = obs["series"].astype(str).tolist() if "series" in obs else [""] * len(obs)
    with warnings.catch_warnings():
        # Said already when the files were read.
        warnings.simplefilter("ignore", StudyWarning)
        by_series = group_studies(series, [str(sample) for sample in obs.index])
    alone = np.array([f"row-{i}" for i in range(len(obs))], dtype=object)
    contents = find_repeated(obs["counts_hash"], obs["n_detected"].to_numpy(np.int64))
    joined = join_duplicates(by_series, np.where(is_labelled, contents, alone))
    # Old samples of one study stay together, whatever joined them.
    old = "study-" + obs["study"].astype(str).to_numpy(dtype=object)
    return join_duplicates(joined, np.where(is_new, alone, old))


def _name_groups(
    groups: NDArray[np.object_],
    studies: NDArray[np.object_],
    is_new: NDArray[np.bool_],
    parts: NDArray[np.object_],
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Name each sample's study; tell groups whose old samples lie in several parts."""
    table = pd.DataFrame({"group": groups, "study": studies, "part": parts})
    known = table[(table["part"] != "") & ~is_new]
    n_parts = known.groupby("group")["part"].nunique()
    is_torn = table["group"].isin(n_parts.index[n_parts > 1]).to_numpy(dtype=bool)
    first = table[~is_new].groupby("group")["study"].min()
    named = table["group"].map(first).fillna(table["group"]).to_numpy(dtype=object)
    # In a torn group old samples keep the study that the split was made by.
    return np.where(is_torn & ~is_new, studies, named), is_torn
