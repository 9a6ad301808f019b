"""Label powerset: each distinct set of labels becomes one class."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.errors import LabelError

__all__ = ["LabelSets", "close_labels", "fit_label_sets", "specific_labels"]

# A class of fewer samples cannot be told from chance by a tree.
MINIMUM_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class LabelSets:
    """The distinct label sets a classifier chooses from.

    Attributes
    ----------
    sets
        0/1, shape (n_sets, n_labels), bool.
    n_samples
        Training samples of each set after merging, shape (n_sets,).
    merged
        (labels of the rare set, labels of the set it joined, samples), column
        numbers of the labels.
    """

    sets: NDArray[np.bool_]
    n_samples: NDArray[np.int64]
    merged: tuple[tuple[tuple[int, ...], tuple[int, ...], int], ...] = ()

    @property
    def n_merged_samples(self) -> int:
        """Samples whose rare set was merged into a subset of it."""
        return sum(n for _, _, n in self.merged)

    def to_label_probabilities(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Add up, for each label, the probabilities of the sets that hold it.

        Parameters
        ----------
        probabilities
            Of each set, shape (n_samples, n_sets).

        Returns
        -------
        ndarray
            Of each label, shape (n_samples, n_labels), between 0 and 1.
        """
        return np.clip(probabilities @ self.sets.astype(np.float64), 0.0, 1.0)


def close_labels(labels: sparse.csr_array, parents: Sequence[int]) -> sparse.csr_array:
    """Give every sample the ancestors of its labels.

    Parameters
    ----------
    labels
        0/1, shape (n_samples, n_labels).
    parents
        Column of each label's parent, -1 for none, shape (n_labels,).

    Returns
    -------
    csr_array
        0/1 uint8, same shape.

    Raises
    ------
    LabelError
        If a label is its own ancestor.

    Examples
    --------
    >>> close_labels(sparse.csr_array([[0, 1], [1, 0]]), [-1, 0]).toarray().tolist()
    [[1, 1], [1, 0]]
    """
    ancestry = _ancestry(parents)
    closed = sparse.csr_array(labels.astype(np.int64) @ ancestry)
    closed.data[:] = 1
    closed.sort_indices()
    return sparse.csr_array(closed.astype(np.uint8))


def _ancestry(parents: Sequence[int]) -> sparse.csr_array:
    """Give 1 where the column's label is the row's label or an ancestor of it."""
    n_labels = len(parents)
    pairs: list[tuple[int, int]] = []
    for k in range(n_labels):
        ancestor, n_steps = k, 0
        while ancestor >= 0:
            pairs.append((k, ancestor))
            ancestor = int(parents[ancestor])
            n_steps += 1
            if n_steps > n_labels:
                msg = f"label {k} is its own ancestor; remove the circle from the label table"
                raise LabelError(msg)
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return sparse.csr_array(
        (np.ones(len(pairs), np.int64), (rows, columns)), shape=(n_labels, n_labels)
    )


def fit_label_sets(
    labels: sparse.csr_array, *, minimum_samples: int = MINIMUM_SAMPLES
) -> tuple[LabelSets, NDArray[np.int64]]:
    """Find the distinct label sets and give each sample its class.

    A set of fewer samples than the minimum joins its most frequent proper
    subset, unless one of its labels would then be in no set at all: a label is
    never lost.

    Parameters
    ----------
    labels
        0/1, shape (n_samples, n_labels); every sample carries a label.
    minimum_samples
        Sets below it are merged; 5 is where a leaf can still hold a class.

    Returns
    -------
    LabelSets
        In order of their label columns.
    ndarray
        Class of each sample, shape (n_samples,).

    Raises
    ------
    LabelError
        If a sample carries no label.

    Examples
    --------
    >>> labels = sparse.csr_array(np.array([[1, 0]] * 6 + [[0, 1]] * 5 + [[1, 1]]))
    >>> sets, classes = fit_label_sets(labels)
    >>> sets.n_samples.tolist(), sets.merged
    ([5, 7], (((0, 1), (0,), 1),))
    """
    rows = sparse.csr_array(labels)
    rows.sort_indices()
    n_empty = int((np.diff(rows.indptr) == 0).sum())
    if n_empty:
        msg = f"{n_empty} of {rows.shape[0]} samples carry no label; train on labelled samples"
        raise LabelError(msg)
    held = [
        tuple(rows.indices[rows.indptr[i] : rows.indptr[i + 1]].tolist())
        for i in range(rows.shape[0])
    ]
    counts = Counter(held)
    joins = _merge_rare(counts, minimum_samples)
    final = sorted({_follow(joins, labels_of) for labels_of in counts}, reverse=True)
    number = {labels_of: c for c, labels_of in enumerate(final)}
    classes = np.array([number[_follow(joins, labels_of)] for labels_of in held], dtype=np.int64)
    sets = np.zeros((len(final), rows.shape[1]), bool)
    for c, labels_of in enumerate(final):
        sets[c, list(labels_of)] = True
    merged = tuple((rare, _follow(joins, rare), counts[rare]) for rare in sorted(joins))
    return LabelSets(sets, np.bincount(classes, minlength=len(final)), merged), classes


def _follow(
    joins: dict[tuple[int, ...], tuple[int, ...]], labels_of: tuple[int, ...]
) -> tuple[int, ...]:
    while labels_of in joins:
        labels_of = joins[labels_of]
    return labels_of


def _merge_rare(
    counts: Counter[tuple[int, ...]], minimum_samples: int
) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Choose the subset that each rare set joins, rarest first."""
    n_sets_of = Counter(k for labels_of in counts for k in labels_of)
    joins: dict[tuple[int, ...], tuple[int, ...]] = {}
    rare = [labels_of for labels_of, n in counts.items() if n < minimum_samples]
    for labels_of in sorted(rare, key=lambda item: (counts[item], item)):
        subsets = [
            other
            for other in counts
            if other not in joins and len(other) < len(labels_of) and set(other) < set(labels_of)
        ]
        if not subsets:
            continue
        chosen = max(subsets, key=lambda item: (counts[item], item))
        lost = set(labels_of) - set(chosen)
        if any(n_sets_of[k] == 1 for k in lost):
            continue
        for k in labels_of:
            n_sets_of[k] -= 1
        joins[labels_of] = chosen
    return joins


def specific_labels(
    sets: LabelSets, parents: Sequence[int], label_sizes: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Give the most specific label of each label set.

    Parameters
    ----------
    sets
        Sets that hold at least one label each.
    parents
        Column of each label's parent, -1 for none, shape (n_labels,).
    label_sizes
        Training samples of each label, shape (n_labels,).

    Returns
    -------
    ndarray
        Column of the deepest label of each set; of equally deep ones the
        rarest, then the first; shape (n_sets,).

    Examples
    --------
    >>> sets = LabelSets(np.array([[True, True]]), np.array([3]))
    >>> specific_labels(sets, [-1, 0], np.array([9, 3])).tolist()
    [1]
    """
    depth = np.asarray(_ancestry(parents).sum(axis=1)).ravel()
    order = np.lexsort((np.arange(len(parents)), label_sizes, -depth))
    rank = np.empty(len(parents), np.int64)
    rank[order] = np.arange(len(parents))
    return np.asarray(np.where(sets.sets, rank, len(parents)).argmin(axis=1), dtype=np.int64)
