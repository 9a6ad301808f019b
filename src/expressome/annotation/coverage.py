"""What a set of labels covers, and where its sources disagree."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from expressome.annotation.agreement import Agreement
from expressome.results import LabelMatrix

__all__ = ["describe_coverage", "describe_lists"]

# Names and pairs written out in a summary; the numbers are always complete.
_N_SHOWN = 20


def describe_lists(agreement: Agreement) -> dict[str, Any]:
    """Count what the sources list, whatever file they meet.

    Parameters
    ----------
    agreement
        Entries of all sources.

    Returns
    -------
    dict
        Entries, distinct samples and labels, samples with several labels,
        entries per kind, entries listed twice (beyond the first), and the
        conflicts between sources.

    Examples
    --------
    >>> from pathlib import Path
    >>> from expressome.annotation.agreement import agree
    >>> from expressome.annotation.entries import make_entries
    >>> entries = make_entries(["S1", "S1"], label="Liver", kind="tissue", source=Path("a.R"))
    >>> none = pd.DataFrame(columns=["name", "kind", "system", "parent", "ontology_id"])
    >>> describe_lists(agree([entries], none, fold=str.casefold))["n_listed_twice"]
    1
    """
    entries = agreement.entries
    repeated = entries.duplicated(["sample", "key"])
    distinct = entries.loc[~repeated]
    n_labels = distinct.groupby("sample").size()
    twice = entries.loc[repeated, ["sample", "key"]].drop_duplicates()
    return {
        "n_entries": len(entries),
        "n_entries_per_kind": entries["kind"].value_counts().to_dict(),
        "n_listed_samples": len(n_labels),
        "n_listed_labels": len(agreement.labels),
        "n_listed_samples_with_several_labels": int((n_labels > 1).sum()),
        "n_listed_twice": int(repeated.sum()),
        "n_listed_twice_in_one_source": int(entries.duplicated(["sample", "key", "source"]).sum()),
        "listed_twice": twice.head(_N_SHOWN).to_dict(orient="records"),
        "conflicts": {
            "merged_spellings": agreement.merged_spellings,
            "names_in_several_kinds": agreement.names_in_several_kinds,
            "labels_in_several_systems": agreement.labels_in_several_systems,
        },
    }


def _count_pairs(labels: LabelMatrix) -> list[dict[str, Any]]:
    """Give the pairs of labels that most samples share."""
    hot = labels.matrix.astype(np.int64)
    together = sparse.coo_array(sparse.triu(hot.T @ hot, k=1))
    order = np.argsort(-together.data, kind="stable")[:_N_SHOWN]
    return [
        {
            "labels": [labels.keys[together.row[j]], labels.keys[together.col[j]]],
            "n_samples": int(together.data[j]),
        }
        for j in order
        if together.data[j] > 0
    ]


def describe_coverage(
    labels: LabelMatrix, agreement: Agreement, samples: pd.Index
) -> dict[str, Any]:
    """Count how the labels cover the samples of a file.

    Parameters
    ----------
    labels
        Labelled samples of the file.
    agreement
        Entries of all sources.
    samples
        All sample ids of the file.

    Returns
    -------
    dict
        Labelled and unlabelled samples, listed samples that the file lacks,
        labels per sample, the pairs of labels that occur together most often,
        samples per label, labels with one sample or none, labels without
        ontology term.

    Examples
    --------
    >>> from pathlib import Path
    >>> from expressome.annotation.agreement import agree, to_label_matrix
    >>> from expressome.annotation.entries import make_entries
    >>> entries = make_entries(["S2", "S9"], label="Liver", kind="tissue", source=Path("a.R"))
    >>> none = pd.DataFrame(columns=["name", "kind", "system", "parent", "ontology_id"])
    >>> agreement, samples = agree([entries], none, fold=str.casefold), pd.Index(["S1", "S2"])
    >>> describe_coverage(to_label_matrix(agreement, samples), agreement, samples)["absent"]
    ['S9']
    """
    listed = pd.Index(agreement.entries["sample"].unique())
    absent = listed[~listed.isin(samples)]
    n_per_sample = np.asarray(labels.matrix.sum(axis=1, dtype=np.int64)).ravel()
    n_per_label = np.asarray(labels.matrix.sum(axis=0, dtype=np.int64)).ravel()
    sizes, n_samples = np.unique(n_per_sample, return_counts=True)
    unmapped = labels.labels.index[labels.labels["ontology_id"] == ""]
    return {
        "n_samples": len(samples),
        "n_labelled_samples": labels.n_samples,
        "n_unlabelled_samples": len(samples) - labels.n_samples,
        "n_absent": len(absent),
        "absent": list(absent[:_N_SHOWN]),
        "n_labels": labels.n_labels,
        "mean_labels_per_sample": float(n_per_sample.mean()),
        "n_samples_by_number_of_labels": {
            str(size): int(n) for size, n in zip(sizes, n_samples, strict=True)
        },
        "cooccurrence": _count_pairs(labels),
        "labels": {
            key: {"kind": kind, "n_samples": int(n), "ontology_id": term}
            for key, kind, term, n in zip(
                labels.keys,
                labels.labels["kind"],
                labels.labels["ontology_id"],
                n_per_label,
                strict=True,
            )
        },
        "labels_with_one_sample": [
            key for key, n in zip(labels.keys, n_per_label, strict=True) if n == 1
        ],
        "labels_without_sample": [
            str(key) for key in agreement.labels.index if key not in set(labels.keys)
        ],
        "n_labels_without_term": len(unmapped),
        "labels_without_term": list(unmapped),
    }
