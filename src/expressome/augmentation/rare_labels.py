"""Synthetic samples for the rare label sets of a training set."""

import warnings
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.spatial.distance import cdist

from expressome.augmentation.baselines import Method
from expressome.augmentation.sampling import MIN_SAMPLES
from expressome.augmentation.training_samples import collect_training
from expressome.augmentation.workshop import fit_workshop
from expressome.errors import LabelError, StudyWarning

__all__ = ["RARE_BELOW", "RareRows", "make_rare"]

# A label set of fewer training samples is rare: the largest size the utility grid asks about.
RARE_BELOW = 50


@dataclass(frozen=True, slots=True)
class RareRows:
    """Synthetic training rows.

    Attributes
    ----------
    values
        Shape (n_new, n_genes), float32, >= 0.
    labels
        0/1, shape (n_new, n_labels).
    studies
        Study of the nearest real sample of the same label set, shape (n_new,): a study
        of its own would count as one more that holds the label.
    n_made
        Label columns of each set to the rows made of it.
    refused
        Label columns of each set that has too few samples for the method, to the reason.
    """

    values: NDArray[np.float32]
    labels: sparse.csr_array
    studies: NDArray[np.object_]
    n_made: dict[tuple[int, ...], int] = field(default_factory=dict)
    refused: dict[tuple[int, ...], str] = field(default_factory=dict)


def _number_sets(
    labels: sparse.csr_array,
) -> tuple[list[tuple[int, ...]], NDArray[np.intp]]:
    """Give the distinct label sets and each sample's set."""
    rows = sparse.csr_array(labels)
    rows.sort_indices()
    spans = zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
    held = [tuple(int(k) for k in rows.indices[a:b]) for a, b in spans]
    sets = sorted(set(held))
    number = {columns: c for c, columns in enumerate(sets)}
    return sets, np.array([number[columns] for columns in held], dtype=np.intp)


def make_rare(
    values: ArrayLike,
    labels: sparse.csr_array,
    studies: ArrayLike,
    *,
    method: Method,
    n_per_set: int = 150,
    columns: Collection[int] | None = None,
    rng: np.random.Generator,
) -> RareRows:
    """Make synthetic samples of every rare label set, from training samples only.

    A synthetic sample carries the whole label set of those it was made from.
    The generator's samples carry study effects drawn anew, since it is unseen
    studies that they are to prepare for.

    Parameters
    ----------
    values
        Training samples before length division, any subset of genes, shape
        (n_samples, n_genes), >= 0, no NaN.
    labels
        0/1, sparse, shape (n_samples, n_labels).
    studies
        Study of each sample, shape (n_samples,).
    method
        How samples are made.
    n_per_set
        Rows per rare set.
    columns
        If given, the sets that hold one of these labels, however frequent. Sets of
        fewer than 50 samples if None.
    rng
        Source of randomness.

    Returns
    -------
    RareRows
        Without rows where no set is rare or each has too few samples for the method.

    Raises
    ------
    MissingExtraError
        If torch (for ``"gan"``) or imbalanced-learn (for ``"smote"``) is not installed.

    Examples
    --------
    >>> labels = sparse.csr_array([[1, 0], [1, 0], [0, 1]])
    >>> rng = np.random.default_rng(0)
    >>> made = make_rare(np.eye(3), labels, list("ABB"), method="mixup", columns=[1],
    ...                  n_per_set=2, rng=rng)
    >>> made.values.shape, made.labels.toarray().tolist(), made.n_made
    ((2, 3), [[0, 1], [0, 1]], {(1,): 2})
    """
    checked = np.asarray(values, dtype=np.float32)
    matrix = sparse.csr_array(labels)
    sets, codes = _number_sets(matrix)
    sizes = np.bincount(codes, minlength=len(sets))
    wanted = [
        c
        for c, held in enumerate(sets)
        if (sizes[c] < RARE_BELOW if columns is None else not set(columns).isdisjoint(held))
    ]
    n_made: dict[tuple[int, ...], int] = {}
    refused: dict[tuple[int, ...], str] = {}
    names_of_studies = np.asarray(studies, dtype=object)
    nothing = RareRows(checked[:0], matrix[:0], names_of_studies[:0])
    if not wanted or (method == "gan" and sizes.max() < MIN_SAMPLES):
        return nothing
    one_hot = sparse.csr_array(np.eye(len(sets), dtype=np.uint8)[codes])
    names = [str(c) for c in range(len(sets))]
    samples = collect_training(checked, one_hot, studies, keys=names)
    blocks, nearest = [], []
    with warnings.catch_warnings():
        # Said once by the caller, not once per fit.
        warnings.simplefilter("ignore", StudyWarning)
        workshop = fit_workshop(samples, [method], new_studies=True, rng=rng)
        for c in wanted:
            try:
                blocks.append(workshop.make(method, names[c], n_per_set, rng=rng))
            except LabelError as error:
                refused[sets[c]] = str(error)
                continue
            n_made[sets[c]] = n_per_set
            own = np.flatnonzero(codes == c)
            nearest.append(own[cdist(blocks[-1], checked[own]).argmin(axis=1)])
    if not blocks:
        return replace(nothing, refused=refused)
    seats = np.concatenate(nearest)
    made = np.concatenate(blocks)
    return RareRows(made, matrix[seats], names_of_studies[seats], n_made, refused)
