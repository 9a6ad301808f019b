"""Mean profiles of the training studies, to say which of them a sample resembles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.classification.stored_parts import StoredParts, require_parts

__all__ = ["StudyProfiles", "fit_study_profiles"]

# Profiles a model keeps: 1,000 of 5,000 genes in half precision are 10 MB.
_MAX_PROFILES = 1000


@dataclass(frozen=True, slots=True)
class StudyProfiles(StoredParts):
    """Mean standardised profile of each pair of study and label.

    Attributes
    ----------
    studies
        Study of each profile, shape (n_profiles,).
    labels
        Column of its label, shape (n_profiles,).
    n_samples
        Training samples behind it, shape (n_profiles,).
    centre, scale
        Training mean and spread of each gene, shape (n_genes,).
    profiles
        Of length 1, float16, shape (n_profiles, n_genes).
    """

    studies: NDArray[np.str_]
    labels: NDArray[np.int64]
    n_samples: NDArray[np.int64]
    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    profiles: NDArray[np.float16]

    def compare(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute the cosine between one standardised sample and each profile.

        Parameters
        ----------
        values
            Prepared expression of one sample, shape (n_genes,), no NaN.

        Returns
        -------
        ndarray
            Between -1 and 1, shape (n_profiles,).
        """
        standard = (np.asarray(values, np.float64) - self.centre) / self.scale
        length = float(np.sqrt((standard**2).sum()))
        return np.asarray(self.profiles.astype(np.float64) @ standard / max(length, 1e-12))

    @classmethod
    def from_parts(cls, parts: Mapping[str, NDArray[Any]]) -> "StudyProfiles":
        """Build the profiles from their arrays.

        Parameters
        ----------
        parts
            As `to_parts` gives them.

        Returns
        -------
        StudyProfiles
            Equal to the one written.

        Raises
        ------
        ModelError
            If an array is absent.
        """
        return cls(**require_parts(cls, parts, "the part study_profiles"))


def fit_study_profiles(
    values: NDArray[np.float32],
    labels: NDArray[np.integer],
    studies: NDArray[np.object_],
) -> StudyProfiles:
    """Average the samples of each pair of study and label.

    Where there are more than 1,000 pairs, each label keeps its largest ones.

    Parameters
    ----------
    values
        Prepared training samples, shape (n_samples, n_genes), no NaN.
    labels
        Column of the most specific label of each, shape (n_samples,).
    studies
        Study of each, shape (n_samples,).

    Returns
    -------
    StudyProfiles
        Ordered by label, then by number of samples.

    Examples
    --------
    >>> values = np.array([[0, 1], [0, 1], [1, 0]], np.float32)
    >>> found = fit_study_profiles(values, np.array([0, 0, 1]), np.array(["a", "a", "b"], object))
    >>> found.studies[found.compare(np.array([0.9, 0.1])).argmax()].item()
    'b'
    """
    names, owner = np.unique(studies.astype(str), return_inverse=True)
    cells, cell, sizes = np.unique(
        labels.astype(np.int64) * len(names) + owner, return_inverse=True, return_counts=True
    )
    kept = _choose_cells(cells // len(names), sizes, n_most=_MAX_PROFILES)
    member = sparse.csr_array(
        (np.ones(len(cell), np.float32), (cell, np.arange(len(cell)))), (len(cells), len(cell))
    )
    means = (member[kept] @ values) / sizes[kept, None]
    centre = values.mean(axis=0, dtype=np.float64)
    scale = np.sqrt(_variance(values, centre))
    scale += max(0.1 * float(scale.mean()), 1e-6)
    standard = (means - centre) / scale
    standard /= np.maximum(np.sqrt((standard**2).sum(axis=1, keepdims=True)), 1e-12)
    return StudyProfiles(
        names[cells[kept] % len(names)],
        cells[kept] // len(names),
        sizes[kept],
        centre.astype(np.float32),
        scale.astype(np.float32),
        standard.astype(np.float16),
    )


def _variance(values: NDArray[np.float32], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute each gene's variance, blocks of samples at a time."""
    total = np.zeros(values.shape[1])
    for start in range(0, len(values), 1024):
        total += ((values[start : start + 1024] - centre) ** 2).sum(axis=0)
    return total / max(1, len(values))


def _choose_cells(
    labels: NDArray[np.int64], sizes: NDArray[np.int64], *, n_most: int
) -> NDArray[np.int64]:
    """Take the largest pairs of study and label, as many of each label as fit.

    Parameters
    ----------
    labels
        Label of each pair, shape (n_pairs,).
    sizes
        Samples of each, shape (n_pairs,).
    n_most
        Pairs wanted at most.

    Returns
    -------
    ndarray
        Positions, ordered by label, the largest first.

    Examples
    --------
    >>> _choose_cells(np.array([0, 0, 1]), np.array([3, 9, 1]), n_most=2).tolist()
    [1, 2]
    """
    order = np.lexsort((-sizes, labels))
    first = np.r_[0, np.flatnonzero(np.diff(labels[order])) + 1]
    place = np.arange(len(order)) - np.repeat(first, np.diff(np.r_[first, len(order)]))
    n_each = len(order)
    while n_each > 1 and (place < n_each).sum() > n_most:
        n_each = n_each * 9 // 10
    return np.asarray(order[place < n_each][: max(n_most, 1)], dtype=np.int64)
