"""Folds for scikit-learn that keep studies whole and share out every label."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from expressome.classification.split import check_samples, count_per_study
from expressome.classification.stratification import Demand, assign_studies
from expressome.errors import InvalidValueError

__all__ = ["StudyKFold", "fold_pairs"]

_N_FOLDS = 5


class StudyKFold:
    """Folds that keep studies whole and share out every label.

    Works wherever scikit-learn takes a splitter (``cv=``), with multi-label
    targets, which its own grouped and stratified splitters refuse.

    Parameters
    ----------
    n_splits
        Number of folds; each study is tested once.
    seed
        Root of the random orders; the same seed gives the same folds.

    Examples
    --------
    >>> folds = StudyKFold(n_splits=2)
    >>> y = np.array([0, 1, 0, 1])
    >>> [test.tolist() for _, test in folds.split(None, y, groups=["a", "a", "b", "b"])]
    [[0, 1], [2, 3]]
    """

    def __init__(self, n_splits: int = 5, *, seed: int = 0) -> None:
        if n_splits < 2:
            msg = f"n_splits is {n_splits}; at least 2 folds are needed"
            raise InvalidValueError(msg)
        self.n_splits = n_splits
        self.seed = seed

    def get_n_splits(
        self,
        X: object = None,  # noqa: ARG002, N803 - scikit-learn's interface
        y: object = None,  # noqa: ARG002
        groups: object = None,  # noqa: ARG002
    ) -> int:
        """Give the number of folds."""
        return self.n_splits

    def split(
        self,
        X: object,  # noqa: ARG002, N803 - scikit-learn's interface
        y: ArrayLike | sparse.csr_array,
        groups: ArrayLike | None = None,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Give training and test positions of each fold.

        Parameters
        ----------
        X
            Not used.
        y
            Classes, shape (n_samples,), or multi-hot labels, shape (n_samples,
            n_labels).
        groups
            Study of each sample, shape (n_samples,); needed, though scikit-learn's
            functions can be called without.

        Yields
        ------
        tuple
            Positions of the training and of the test samples.

        Raises
        ------
        InvalidValueError
            If there are fewer studies than folds, or no studies are given.
        """
        if groups is None:
            msg = "groups is None; pass the study of each sample as groups"
            raise InvalidValueError(msg)
        labels = _to_multi_hot(y)
        names, owner = check_samples(labels, groups, None)
        if len(names) < self.n_splits:
            msg = (
                f"{len(names)} studies cannot fill {self.n_splits} folds; lower n_splits "
                "or add studies"
            )
            raise InvalidValueError(msg)
        amounts, sizes = count_per_study(labels, owner, len(names))
        demand = Demand(
            np.full(self.n_splits, 1 / self.n_splits),
            np.ones(self.n_splits),
            np.full(self.n_splits, self.n_splits),
        )
        fixed = np.full(len(names), -1, np.int64)
        # Each fold starts with one of the largest studies, so that none stays empty.
        fixed[np.argsort(-sizes, kind="stable")[: self.n_splits]] = np.arange(self.n_splits)
        rng = np.random.default_rng(self.seed)
        fold = assign_studies(amounts, sizes, demand=demand, fixed=fixed, rng=rng)[owner]
        for k in range(self.n_splits):
            yield np.flatnonzero(fold != k), np.flatnonzero(fold == k)


def fold_pairs(
    rows: NDArray[np.integer],
    labels: sparse.csr_array,
    studies: NDArray[np.object_],
    *,
    seed: int,
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Leave every study out once, in up to 5 folds.

    Parameters
    ----------
    rows
        Positions of the samples to use.
    labels
        0/1, of all samples, shape (n_samples, n_labels).
    studies
        Study of each sample, shape (n_samples,).
    seed
        Root of the folds.

    Returns
    -------
    list of tuple
        Training and held-out positions; empty where there is only one study.
    """
    chosen = np.asarray(rows, np.int64)
    n_studies = len(np.unique(studies[chosen].astype(str)))
    if n_studies < 2:
        return []
    folds = StudyKFold(min(_N_FOLDS, n_studies), seed=seed)
    pairs = folds.split(None, labels[chosen], studies[chosen])
    return [(chosen[a], chosen[b]) for a, b in pairs]


def _to_multi_hot(y: ArrayLike | sparse.csr_array) -> sparse.csr_array:
    if sparse.issparse(y):
        return sparse.csr_array(y)
    classes = np.asarray(y)
    if classes.ndim == 2:
        return sparse.csr_array(classes)
    _, codes = np.unique(classes, return_inverse=True)
    n = len(codes)
    return sparse.csr_array((np.ones(n, np.uint8), codes, np.arange(n + 1)))
