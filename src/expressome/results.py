"""Objects that more than one room handles, and how they become JSON."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from expressome.errors import ShapeError
from expressome.notebook import render_facts

__all__ = ["LABEL_FIELDS", "LabelMatrix", "Summary", "Target", "to_json", "to_plain"]

# Columns of a label table; its index is the label key.
LABEL_FIELDS = ("name", "kind", "system", "parent", "ontology_id")


@dataclass(frozen=True, slots=True)
class Target:
    """The distribution that samples are mapped onto.

    Attributes
    ----------
    profile
        Mean of the sorted log2(1 + count) samples, shape (n_genes,), ascending.
    n_samples
        Samples the mean was taken over.
    genes
        Ids of the genes it was fitted on, in the order of the counts; empty
        where only arrays were seen.
    """

    profile: NDArray[np.float64]
    n_samples: int
    genes: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        low, middle, high = np.quantile(self.profile, [0, 0.5, 1]).tolist()
        facts = {
            "genes": self.n_genes,
            "samples": self.n_samples,
            "log2(1 + count): lowest, median, highest": [low, middle, high],
        }
        return render_facts("Quantile target", facts)

    @property
    def n_genes(self) -> int:
        """Genes the target was fitted on."""
        return int(self.profile.size)


@dataclass(frozen=True, slots=True)
class LabelMatrix:
    """The multi-hot annotation: which sample carries which label.

    Attributes
    ----------
    samples
        Sample ids, shape (n_samples,).
    labels
        One row per label, index ``key`` (the name as written; ``name (kind)``
        where a name exists in two kinds), columns ``name``, ``kind``,
        ``system``, ``parent`` (a key or empty) and ``ontology_id`` (or empty).
    matrix
        Sparse 0/1 uint8, shape (n_samples, n_labels).
    """

    samples: pd.Index
    labels: pd.DataFrame
    matrix: sparse.csr_array

    def __post_init__(self) -> None:
        """Refuse axes that do not fit the matrix."""
        expected = (len(self.samples), len(self.labels))
        if self.matrix.shape != expected:
            msg = (
                f"the label matrix is {self.matrix.shape[0]} x {self.matrix.shape[1]}, but there "
                f"are {expected[0]} samples and {expected[1]} labels"
            )
            raise ShapeError(msg)

    def _repr_html_(self) -> str:
        sizes = pd.Series(self.matrix.astype(np.int64).sum(axis=0), index=self.keys)
        facts = {
            "samples": self.n_samples,
            "labelled": int(self.is_labelled.sum()),
            "labels": self.n_labels,
            "most samples": sizes.sort_values(ascending=False, kind="stable")[:12].to_dict(),
        }
        return render_facts("Labels", facts)

    @property
    def keys(self) -> list[str]:
        """Label keys, in column order."""
        return [str(key) for key in self.labels.index]

    @property
    def n_samples(self) -> int:
        """Number of samples, labelled or not."""
        return len(self.samples)

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return len(self.labels)

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """Whether each sample carries a label, shape (n_samples,)."""
        return np.asarray(self.matrix.sum(axis=1)).ravel() > 0

    def reindex(self, samples: pd.Index) -> "LabelMatrix":
        """Give the labels of other samples, in their order.

        Parameters
        ----------
        samples
            Sample ids; one that is unknown here carries no label.

        Returns
        -------
        LabelMatrix
            Same labels, rows as asked.
        """
        rows = self.samples.get_indexer(samples)
        found = np.flatnonzero(rows >= 0)
        picker = sparse.csr_array(
            (np.ones(len(found), np.uint8), (found, rows[found])),
            shape=(len(samples), self.n_samples),
        )
        return LabelMatrix(samples, self.labels, sparse.csr_array(picker @ self.matrix))


@dataclass(frozen=True, slots=True)
class Summary:
    """What a verb did, as it is printed and written to manifests.

    Attributes
    ----------
    verb
        What ran.
    figures
        Plain values: counts, paths, names.
    manifest
        Origin of the output.
    """

    verb: str
    figures: Mapping[str, Any]
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        plain = {name: to_plain(value) for name, value in self.figures.items()}
        shown = {name: value for name, value in plain.items() if not isinstance(value, dict | list)}
        return render_facts(self.verb, shown)

    def to_json(self) -> str:
        """Write the figures as one JSON object."""
        return to_json({"verb": self.verb, **self.figures})


def to_plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 - any result goes in, JSON comes out
    """Turn results into what JSON can hold; NaN and infinity become None.

    Parameters
    ----------
    value
        Dataclasses, mappings, sequences, arrays, tables, paths, numbers, text.

    Returns
    -------
    object
        Dictionaries, lists, text, numbers, booleans and None only.

    Examples
    --------
    >>> to_plain({"f1": np.float32("nan"), "support": np.array([1, 2])})
    {'f1': None, 'support': [1, 2]}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, pd.DataFrame):
        return {str(key): to_plain(row) for key, row in value.to_dict(orient="index").items()}
    if isinstance(value, np.ndarray | pd.Series | pd.Index):
        return [to_plain(item) for item in value.tolist()]
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path | os.PathLike) else value


def to_json(value: Any) -> str:  # noqa: ANN401
    """Write any result as strict JSON, indented by two.

    Parameters
    ----------
    value
        What `to_plain` takes.

    Returns
    -------
    str
        JSON text; NaN is null.

    Examples
    --------
    >>> print(to_json({"n_samples": np.int64(4)}))
    {
      "n_samples": 4
    }
    """
    return json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
