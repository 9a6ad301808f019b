"""How much a sample resembles the classes once study effects are discounted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import eigh

from expressome.classification.stored_parts import StoredParts, require_parts
from expressome.errors import ModelError

__all__ = ["Resemblance", "fit_resemblance"]

# Directions of study effects and of spread between samples that are discounted: 300 of
# 5,000 genes in half precision are 3 MB.
_MAX_DIRECTIONS = 300
# Rows they are taken from: the largest pairs of study and class, and some samples.
_MAX_PAIRS, _MAX_SAMPLES = 700, 300
# Added to each gene's spread, as a share of the median, so that no quiet gene decides alone.
_SPREAD_FLOOR = 0.3
# Samples compared at a time: their values and what is made of them stay below 30 MB.
_N_AT_A_TIME = 256


@dataclass(frozen=True, slots=True)
class Resemblance(StoredParts):
    """Classes in a space where study effects and spread between samples weigh little.

    Attributes
    ----------
    centre, scale
        Mean of the classes, and spread within them, of each gene, shape (n_genes,).
    directions
        Orthonormal directions of the largest spread within classes, float16, shape
        (n_genes, n_directions).
    shrinkage
        Share by which a profile is shortened along each, so that its spread becomes
        that of all other directions, shape (n_directions,).
    profiles
        Mean of each class over its studies, so shortened, of length 1, float16, shape
        (n_classes, n_genes); 0 for a class without training samples.
    n_studies
        Studies of each class, shape (n_classes,).
    """

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    directions: NDArray[np.float16] = field(repr=False)
    shrinkage: NDArray[np.float32]
    profiles: NDArray[np.float16] = field(repr=False)
    n_studies: NDArray[np.int64]

    def compare(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compare samples with every class.

        Parameters
        ----------
        values
            Expression, shape (n_samples, n_genes), NaN where unmeasured: such genes
            are left out of the comparison.

        Returns
        -------
        ndarray
            Cosine to each class, shape (n_samples, n_classes); minus infinity for a
            class without training samples.
        """
        axes = _Axes(self.directions.astype(np.float32), self.shrinkage)
        cosines = np.full((len(values), len(self.n_studies)), -np.inf)
        present = np.flatnonzero(self.n_studies)
        profiles = self.profiles[present].astype(np.float32)
        for start in range(0, len(values), _N_AT_A_TIME):
            span = slice(start, start + _N_AT_A_TIME)
            standard = (np.asarray(values[span], np.float32) - self.centre) / self.scale
            is_measured = ~np.isnan(standard)
            white = axes.shorten(np.where(is_measured, standard, 0))
            if is_measured.all():
                lengths = np.ones((len(white), len(present)), np.float32)
            else:
                white[~is_measured] = 0
                lengths = np.sqrt(is_measured.astype(np.float32) @ (profiles**2).T)
            lengths *= np.sqrt((white**2).sum(axis=1, keepdims=True))
            cosines[span, present] = white @ profiles.T / np.maximum(lengths, 1e-12)
        return cosines

    @classmethod
    def from_parts(cls, parts: Mapping[str, NDArray[Any]]) -> "Resemblance":
        """Build the space from its arrays.

        Parameters
        ----------
        parts
            As `to_parts` gives them.

        Returns
        -------
        Resemblance
            Equal to the one written.

        Raises
        ------
        ModelError
            If an array is absent or of another shape.
        """
        found = cls(**require_parts(cls, parts, "the outlier part"))
        n_genes = len(found.centre)
        shapes = (found.profiles.shape, found.directions.shape)
        wanted = ((len(found.n_studies), n_genes), (n_genes, len(found.shrinkage)))
        if shapes != wanted:
            msg = f"the outlier part has arrays of shapes {shapes} instead of {wanted}"
            raise ModelError(msg)
        return found


@dataclass(frozen=True, slots=True)
class _Axes:
    """Directions of large spread, and by how much profiles are shortened along them."""

    directions: NDArray[np.float32]
    shrinkage: NDArray[np.float32]

    def shorten(self, standard: NDArray[np.floating]) -> NDArray[np.float32]:
        """Shorten what lies along the directions until it spreads like all else."""
        along = standard @ self.directions
        return np.asarray(standard - (along * self.shrinkage) @ self.directions.T, dtype=np.float32)


def fit_resemblance(
    values: NDArray[np.float32],
    classes: NDArray[np.int64],
    studies: NDArray[np.object_],
    *,
    n_classes: int,
    rng: np.random.Generator,
) -> Resemblance:
    """Learn the spread within classes, between studies and between samples.

    Parameters
    ----------
    values
        Prepared training samples, shape (n_samples, n_genes), no NaN.
    classes
        Class of each, shape (n_samples,).
    studies
        Study of each, shape (n_samples,).
    n_classes
        Number of classes, of which some may have no sample.
    rng
        Draws the samples whose spread is taken, where there are more than 300.

    Returns
    -------
    Resemblance
        With at most 300 directions.

    Notes
    -----
    The covariance within classes is a sum of two, of studies around their class and
    of samples around their study; it is kept as its largest directions and one
    variance for all others. A class is one direction from the mean of all classes:
    the cosine does not ask how far a sample went along it, which depth and purity
    change from study to study.

    References
    ----------
    Lee et al. 2018, arXiv:1807.03888 (unknown samples lie far from all classes where
    the covariance within classes is one; here it is of studies and samples, low-rank,
    and the angle takes the place of the distance).

    Examples
    --------
    >>> values = np.array([[0, 9, 0], [0, 8, 0], [9, 0, 1], [8, 0, 0]], np.float32)
    >>> studies = np.array(["a", "b", "a", "b"], object)
    >>> space = fit_resemblance(
    ...     values, np.array([0, 0, 1, 1]), studies, n_classes=2, rng=np.random.default_rng(0)
    ... )
    >>> space.compare(np.array([[0, 8.5, 0]])).argmax().item()
    0
    """
    _, study = np.unique(studies.astype(str), return_inverse=True)
    cells, cell, sizes = np.unique(
        classes * (int(study.max()) + 1) + study, return_inverse=True, return_counts=True
    )
    owner = cells // (int(study.max()) + 1)
    cell_means = _average(values, cell, sizes)
    class_means, n_studies = _class_means(cell_means, owner, n_classes)
    present = np.flatnonzero(n_studies)
    between = _differences(cell_means, class_means, owner=owner, n_studies=n_studies)
    within, variance = _residuals(values, cell_means, cell, rng=rng)
    if len(between):
        variance = variance + (between**2).sum(axis=0)
    if not variance.any():
        variance = values.var(axis=0)
    spread = np.sqrt(variance)
    scale = np.maximum(spread + _SPREAD_FLOOR * np.median(spread), 1e-6).astype(np.float32)
    centre = class_means[present].mean(axis=0)
    axes = _find_axes(np.concatenate([between, within]) / scale)
    profiles = np.zeros_like(class_means)
    profiles[present] = axes.shorten((class_means[present] - centre) / scale)
    profiles /= np.maximum(np.sqrt((profiles**2).sum(axis=1, keepdims=True)), 1e-12)
    return Resemblance(
        centre,
        scale,
        axes.directions.astype(np.float16),
        axes.shrinkage,
        profiles.astype(np.float16),
        n_studies,
    )


def _class_means(
    cell_means: NDArray[np.float32], owner: NDArray[np.int64], n_classes: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Average the studies of each class, and count them."""
    n_studies = np.bincount(owner, minlength=n_classes)
    present = np.flatnonzero(n_studies)
    means = np.zeros((n_classes, cell_means.shape[1]), np.float32)
    means[present] = _average(cell_means, np.searchsorted(present, owner), n_studies[present])
    return means, n_studies


def _average(
    values: NDArray[np.float32], group: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Average the rows of each group."""
    n = len(group)
    member = sparse.csr_array(
        (np.ones(n, np.float32), (group, np.arange(n))), shape=(len(sizes), n)
    )
    return np.asarray((member @ values) / sizes[:, None], dtype=np.float32)


def _differences(
    cell_means: NDArray[np.float32],
    class_means: NDArray[np.float32],
    *,
    owner: NDArray[np.int64],
    n_studies: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Give rows whose sum of squares is the variance of studies within classes."""
    shared = np.flatnonzero(n_studies[owner] > 1)
    if len(shared) > _MAX_PAIRS:
        shared = shared[np.linspace(0, len(shared) - 1, _MAX_PAIRS).astype(np.int64)]
    n = n_studies[owner[shared]]
    unbiased = np.sqrt(n / np.maximum(n - 1, 1) / max(1, len(shared)))
    rows = (cell_means[shared] - class_means[owner[shared]]) * unbiased[:, None]
    return np.asarray(rows, dtype=np.float32)


def _residuals(
    values: NDArray[np.float32],
    cell_means: NDArray[np.float32],
    cell: NDArray[np.int64],
    *,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Give rows whose sum of squares is the variance within studies, and that variance."""
    repeated = np.flatnonzero(np.bincount(cell)[cell] > 1)
    n_free = max(1, len(repeated) - len(np.unique(cell[repeated])))
    variance = np.zeros(values.shape[1])
    for start in range(0, len(repeated), 1024):
        rows = repeated[start : start + 1024]
        variance += ((values[rows] - cell_means[cell[rows]]) ** 2).sum(axis=0, dtype=np.float64)
    drawn = repeated
    if len(repeated) > _MAX_SAMPLES:
        drawn = np.sort(rng.choice(repeated, _MAX_SAMPLES, replace=False))
    share = np.sqrt(len(repeated) / max(1, len(drawn)) / n_free)
    rows = (values[drawn] - cell_means[cell[drawn]]) * share
    return np.asarray(rows, dtype=np.float32), variance / n_free


def _find_axes(rows: NDArray[np.float32]) -> _Axes:
    """Give the directions of the largest sum of squares, to be shortened to all others."""
    n_rows, n_genes = rows.shape
    n_wanted = min(_MAX_DIRECTIONS, n_rows - 1, n_genes - 1)
    if n_wanted < 1:
        return _Axes(np.zeros((n_genes, 0), np.float32), np.zeros(0, np.float32))
    products = (rows @ rows.T).astype(np.float64)
    squares, vectors = eigh(products, subset_by_index=[n_rows - n_wanted, n_rows - 1])
    total = float(np.trace(products))
    noise = max((total - squares.sum()) / (n_genes - n_wanted), 1e-3 * total / n_genes, 1e-9)
    kept = squares > noise
    directions = rows.T @ (vectors[:, kept] / np.sqrt(squares[kept])).astype(np.float32)
    shrinkage = 1 - np.sqrt(noise / squares[kept])
    return _Axes(np.asarray(directions, np.float32), shrinkage.astype(np.float32))
