"""Score answers in every pair of study and label, each pair counting the same."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

__all__ = ["score_cells"]


def score_cells(
    chosen: NDArray[np.bool_], labels: sparse.csr_array, studies: ArrayLike
) -> NDArray[np.float64]:
    """Compute F1 per sample between chosen and true labels, mean in each (study, label).

    Every cell counts the same in their mean, so that neither a large study nor a
    common label decides. With one label per sample it is the share of right answers.

    Parameters
    ----------
    chosen
        Labels answered, shape (n_samples, n_labels).
    labels
        True labels, 0/1, same shape.
    studies
        Study of each sample, shape (n_samples,).

    Returns
    -------
    ndarray
        Shape (n_cells,), by study, then label.

    Examples
    --------
    >>> labels = sparse.csr_array([[1, 0], [1, 0], [0, 1]])
    >>> chosen = np.array([[True, False], [False, True], [False, True]])
    >>> score_cells(chosen, labels, list("aaa")).tolist()
    [0.5, 1.0]
    """
    rows, columns = sparse.csr_array(labels).nonzero()
    _, study = np.unique(np.asarray(studies, dtype=str), return_inverse=True)
    truth = sparse.csr_array(labels).toarray().astype(bool)
    n_both = (truth & chosen).sum(axis=1)
    f1 = 2 * n_both / np.maximum(truth.sum(axis=1) + chosen.sum(axis=1), 1)
    _, cell = np.unique(study[rows] * truth.shape[1] + columns, return_inverse=True)
    return np.asarray(np.bincount(cell, f1[rows]) / np.bincount(cell))
