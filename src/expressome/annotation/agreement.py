"""Bring the entries of several sources to one set of labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from expressome.errors import EmptySelectionError, LabelError, first_few
from expressome.results import LABEL_FIELDS, LabelMatrix

__all__ = ["Agreement", "agree", "find_label", "to_label_matrix"]

# A label key may not be the name of the column of sample ids in the label file.
_RESERVED = frozenset({"sample"})

Fold = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Entries of all sources under common labels.

    Attributes
    ----------
    entries
        One row per listed sample and label, duplicates kept; columns sample,
        label, kind, system, source and ``key``.
    labels
        One row per label, index ``key``, columns as in `LabelMatrix`.
    merged_spellings
        Key -> other spellings (case, blanks) that became this label.
    names_in_several_kinds
        Name -> kinds, for names that stand for several labels.
    labels_in_several_systems
        Key -> systems, for labels that sources place differently.
    """

    entries: pd.DataFrame
    labels: pd.DataFrame
    merged_spellings: dict[str, list[str]]
    names_in_several_kinds: dict[str, list[str]]
    labels_in_several_systems: dict[str, list[str]]


def find_label(
    name: str, vocabulary: pd.DataFrame, *, fold: Fold, kind: str | None = None
) -> str | None:
    """Find a label of the vocabulary under another spelling.

    Parameters
    ----------
    name
        As written.
    vocabulary
        Index ``key``; columns ``name`` and ``kind``.
    fold
        Gives spellings of one name the same form.
    kind
        Only labels of this kind; None takes any.

    Returns
    -------
    str or None
        Its key; None if there is no such label, or more than one.

    Examples
    --------
    >>> vocabulary = pd.DataFrame({"name": ["Liver"], "kind": ["tissue"]}, index=["Liver"])
    >>> find_label("LIVER", vocabulary, fold=str.casefold)
    'Liver'
    """
    folded = fold(name)
    matches = [
        str(key)
        for key, row_name, row_kind in zip(
            vocabulary.index, vocabulary["name"], vocabulary["kind"], strict=True
        )
        if fold(row_name) == folded and (kind is None or row_kind == kind)
    ]
    return matches[0] if len(matches) == 1 else None


def _fill_kinds(
    entries: pd.DataFrame, kind: str | None, *, vocabulary: pd.DataFrame, fold: Fold
) -> pd.DataFrame:
    """Give a kind to entries whose source names none."""
    without = entries["kind"] == ""
    if not without.any():
        return entries
    names = entries.loc[without, "label"].unique()
    if kind is not None:
        return entries.assign(kind=entries["kind"].mask(without, kind))
    found = {name: find_label(name, vocabulary, fold=fold) for name in names}
    unknown = sorted(name for name, key in found.items() if key is None)
    if unknown:
        msg = (
            f"{len(unknown)} of {entries['label'].nunique()} labels have no kind "
            f"({first_few(unknown)}): neither a folder cell_lines or tissue_types, nor a column "
            "kind, nor the vocabulary names one; pass kind='tissue' or another"
        )
        raise LabelError(msg)
    kinds = {name: str(vocabulary["kind"][key]) for name, key in found.items() if key is not None}
    return entries.assign(kind=entries["kind"].mask(without, entries["label"].map(kinds)))


def _merge_spellings(
    entries: pd.DataFrame,
) -> tuple[pd.DataFrame, dict[tuple[str, str], list[str]]]:
    """Give one spelling to names of a kind that differ in case only: the commonest."""
    sizes = entries.groupby(["kind", "label"], sort=False).size().reset_index(name="n")
    sizes["folded"] = sizes["label"].map(str.casefold)
    chosen: dict[tuple[str, str], str] = {}
    merged: dict[tuple[str, str], list[str]] = {}
    for (kind, _), group in sizes.groupby(["kind", "folded"], sort=False):
        # argmax takes the first of equals: the spelling that was read first.
        best = str(group["label"].iloc[int(group["n"].argmax())])
        chosen |= {(str(kind), name): best for name in group["label"]}
        if len(group) > 1:
            merged[(str(kind), best)] = [name for name in group["label"] if name != best]
    pairs = zip(entries["kind"], entries["label"], strict=True)
    return entries.assign(label=[chosen[pair] for pair in pairs]), merged


def _make_keys(pairs: pd.DataFrame) -> list[str]:
    """Name labels: the name as written, with the kind only where it is needed."""
    folded = pairs["label"].map(str.casefold)
    shared = folded.duplicated(keep=False) | folded.isin(_RESERVED)
    return [
        f"{name} ({kind})" if is_shared else name
        for name, kind, is_shared in zip(pairs["label"], pairs["kind"], shared, strict=True)
    ]


def _describe_labels(pairs: pd.DataFrame, vocabulary: pd.DataFrame, fold: Fold) -> pd.DataFrame:
    """Look labels up in the vocabulary; a parent must be a label itself."""
    rows = {}
    known = {
        find_label(name, vocabulary, fold=fold, kind=kind): key
        for key, name, kind in pairs[["key", "label", "kind"]].itertuples(index=False)
    }
    for key, name, kind, system in pairs[["key", "label", "kind", "system"]].itertuples(
        index=False
    ):
        entry = find_label(name, vocabulary, fold=fold, kind=kind)
        found = {} if entry is None else {str(f): str(v) for f, v in vocabulary.loc[entry].items()}
        rows[key] = [
            name,
            kind,
            found.get("system", system),
            known.get(str(found.get("parent", "")), ""),
            found.get("ontology_id", ""),
        ]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(LABEL_FIELDS)).rename_axis(
        "key"
    )


def agree(
    sources: Sequence[pd.DataFrame],
    vocabulary: pd.DataFrame,
    *,
    fold: Fold,
    kind: str | None = None,
) -> Agreement:
    """Bring the entries of several sources to one set of labels.

    Parameters
    ----------
    sources
        Entries as the readers of this room give them.
    vocabulary
        Known labels: index ``key``; columns name, kind, system, parent, ontology_id.
    fold
        Gives spellings of one name the same form when the vocabulary is asked.
    kind
        Kind of labels whose source names none. None asks the vocabulary.

    Returns
    -------
    Agreement
        Labels in the order they were first read. Names of one kind that differ
        in case alone are one label, spelled as most entries spell it.

    Raises
    ------
    LabelError
        If a label has no kind, or there is no entry.

    Examples
    --------
    >>> from pathlib import Path
    >>> from expressome.annotation.entries import make_entries
    >>> entries = make_entries(["S1"], label="brain", kind="tissue", source=Path("a.R"))
    >>> lines = make_entries(["S2"], label="brain", kind="cell_line", source=Path("b.R"))
    >>> none = pd.DataFrame(columns=["name", "kind", "system", "parent", "ontology_id"])
    >>> agree([entries, lines], none, fold=str.casefold).labels.index.tolist()
    ['brain (tissue)', 'brain (cell_line)']
    """
    entries = pd.concat(sources, ignore_index=True) if sources else pd.DataFrame()
    if entries.empty:
        msg = "the label lists hold no entry; pass lists that name samples"
        raise LabelError(msg)
    entries = _fill_kinds(entries, kind, vocabulary=vocabulary, fold=fold)
    entries, merged = _merge_spellings(entries)
    pairs = entries[["label", "kind", "system"]].drop_duplicates(["label", "kind"])
    pairs = pairs.assign(key=_make_keys(pairs))
    key_of = {
        (name, label_kind): key
        for name, label_kind, key in pairs[["label", "kind", "key"]].itertuples(index=False)
    }
    entries["key"] = [key_of[pair] for pair in zip(entries["label"], entries["kind"], strict=True)]
    systems = entries.loc[entries["system"] != ""].groupby("key")["system"].unique()
    several = pairs.groupby(pairs["label"].map(str.casefold))["kind"].unique()
    return Agreement(
        entries=entries,
        labels=_describe_labels(pairs, vocabulary, fold),
        merged_spellings={key_of[name, k]: others for (k, name), others in merged.items()},
        names_in_several_kinds={
            str(name): sorted(kinds) for name, kinds in several.items() if len(kinds) > 1
        },
        labels_in_several_systems={
            str(key): sorted(names) for key, names in systems.items() if len(names) > 1
        },
    )


def to_label_matrix(agreement: Agreement, samples: pd.Index) -> LabelMatrix:
    """Lay the labels over the samples of a file.

    Parameters
    ----------
    agreement
        From `agree`.
    samples
        Sample ids of the file, in its order.

    Returns
    -------
    LabelMatrix
        Rows: samples of the file that carry a label, in its order. Columns:
        labels that one of them carries, in the order they were read.

    Raises
    ------
    EmptySelectionError
        If no listed sample is in the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from expressome.annotation.entries import make_entries
    >>> entries = make_entries(["S2", "S9"], label="Liver", kind="tissue", source=Path("a.R"))
    >>> none = pd.DataFrame(columns=["name", "kind", "system", "parent", "ontology_id"])
    >>> agreement = agree([entries], none, fold=str.casefold)
    >>> to_label_matrix(agreement, pd.Index(["S1", "S2"])).samples.tolist()
    ['S2']
    """
    pairs = agreement.entries[["sample", "key"]].drop_duplicates()
    rows = samples.get_indexer(pd.Index(pairs["sample"]))
    found = rows >= 0
    if not found.any():
        listed = pairs["sample"].unique()
        msg = (
            f"none of the {len(listed):,} listed samples is among the {len(samples):,} samples of "
            f"the file (listed: {first_few(listed, 3)}; in the file: {first_few(samples, 3)}); "
            "check that lists and file belong together"
        )
        raise EmptySelectionError(msg)
    columns = agreement.labels.index.get_indexer(pd.Index(pairs["key"]))[found]
    used_rows, row_of = np.unique(rows[found], return_inverse=True)
    used_columns, column_of = np.unique(columns, return_inverse=True)
    labels = agreement.labels.iloc[used_columns].copy()
    labels["parent"] = labels["parent"].where(labels["parent"].isin(labels.index), "")
    matrix = sparse.csr_array(
        (np.ones(len(row_of), np.uint8), (row_of, column_of)),
        shape=(len(used_rows), len(used_columns)),
    )
    return LabelMatrix(samples[used_rows], labels, matrix)
