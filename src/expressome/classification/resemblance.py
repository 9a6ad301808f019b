"""How much a sample resembles the classes once study effects are discounted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import eigh

from expressome.classification.stored_parts import StoredParts, require_parts
from expressome.classification.study_profiles import choose_cells
from expressome.errors import ModelError

__all__ = ["Likeness", "Resemblance", "fit_resemblance"]

# Directions of study effects and of spread between samples that are discounted.
_MAX_DIRECTIONS = 100
# Rows they are taken from: the largest pairs of study and class, and as many samples.
_MAX_ROWS = 1000
# Profiles kept to compare with: 500 of 5,000 genes in half precision are 5 MB.
_MAX_PROFILES = 500
# Added to each gene's spread, as a share of the median, so that no quiet gene decides alone.
_SPREAD_FLOOR = 0.3


@dataclass(frozen=True, slots=True)
class Likeness:
    """What samples have in common with each class.

    Attributes
    ----------
    similarity
        Cosine to the most similar training study of the class, shape (n_samples,
        n_classes); minus infinity for a class without training samples.
    distance
        Squared Mahalanobis distance to the class's mean, over 1 + 1 / its number of
        studies, because the mean of few studies is itself uncertain; same shape,
        infinity for a class without training samples.
    along
        Squared length within the directions of study effects, each in units of its
        variance, shape (n_samples,).
    beside
        Squared length outside of them, shape (n_samples,).
    """

    similarity: NDArray[np.float64]
    distance: NDArray[np.float64]
    along: NDArray[np.float64]
    beside: NDArray[np.float64]

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Likeness":
        """Give some of the samples."""
        return Likeness(
            self.similarity[rows], self.distance[rows], self.along[rows], self.beside[rows]
        )

    def hide(self, hidden: NDArray[np.bool_]) -> "Likeness":
        """Give the same samples as if training had not known some classes.

        Parameters
        ----------
        hidden
            Classes hidden from each sample, shape (n_samples, n_classes).

        Returns
        -------
        Likeness
            Without what concerns the hidden classes.
        """
        return Likeness(
            np.where(hidden, -np.inf, self.similarity),
            np.where(hidden, np.inf, self.distance),
            self.along,
            self.beside,
        )


@dataclass(frozen=True, slots=True)
class Resemblance(StoredParts):
    """Classes in a space where study effects and spread between samples weigh little.

    Attributes
    ----------
    centre, scale
        Mean of the classes, and spread within them, of each gene, shape (n_genes,).
    directions
        Orthonormal directions of the largest spread within classes, shape (n_genes,
        n_directions).
    spreads
        Variance along each, shape (n_directions,).
    noise
        Variance along any other direction.
    profiles
        Whitened means of pairs of study and class, of length 1, ordered by class,
        float16, shape (n_profiles, n_genes).
    owners
        Class of each profile, ascending, shape (n_profiles,).
    means
        Whitened mean of each class over its studies, shape (n_classes, n_genes).
    n_studies
        Studies of each class, shape (n_classes,).
    """

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    directions: NDArray[np.float32]
    spreads: NDArray[np.float32]
    noise: float
    profiles: NDArray[np.float16] = field(repr=False)
    owners: NDArray[np.int64]
    means: NDArray[np.float32] = field(repr=False)
    n_studies: NDArray[np.int64]

    def compare(self, values: NDArray[np.floating]) -> Likeness:
        """Compare samples with every class.

        Parameters
        ----------
        values
            Prepared expression, shape (n_samples, n_genes), no NaN.

        Returns
        -------
        Likeness
            Of each sample.
        """
        standard = (np.asarray(values, np.float32) - self.centre) / self.scale
        along = standard @ self.directions
        beside = (standard**2).sum(axis=1) - (along**2).sum(axis=1)
        axes = _Axes(self.directions, self.spreads, self.noise)
        white = axes.whiten(standard, along)
        squared = (white**2).sum(axis=1)
        cosines = white @ self.profiles.astype(np.float32).T
        cosines /= np.maximum(np.sqrt(squared), 1e-12)[:, None]
        shape = (len(values), len(self.n_studies))
        similarity, distance = np.full(shape, -np.inf), np.full(shape, np.inf)
        present, starts = np.unique(self.owners, return_index=True)
        similarity[:, present] = np.maximum.reduceat(cosines, starts, axis=1)
        means = self.means[present]
        apart = squared[:, None] + (means**2).sum(axis=1) - 2 * (white @ means.T)
        doubt = self.noise * (1 + 1 / self.n_studies[present])
        distance[:, present] = np.maximum(apart, 0) / doubt
        return Likeness(
            similarity,
            distance,
            np.asarray((along**2 / self.spreads).sum(axis=1), np.float64),
            np.asarray(np.maximum(beside, 0), np.float64),
        )

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
        n_genes, n_classes = len(found.centre), len(found.n_studies)
        shapes = (found.means.shape, found.profiles.shape, found.directions.shape)
        wanted = (
            (n_classes, n_genes),
            (len(found.owners), n_genes),
            (n_genes, len(found.spreads)),
        )
        if shapes != wanted:
            msg = f"the outlier part has arrays of shapes {shapes} instead of {wanted}"
            raise ModelError(msg)
        return cls(**{**require_parts(cls, parts, ""), "noise": float(parts["noise"])})


@dataclass(frozen=True, slots=True)
class _Axes:
    """Directions of large spread, their variance, and that of any other."""

    directions: NDArray[np.float32]
    spreads: NDArray[np.float32]
    noise: float

    def whiten(
        self, standard: NDArray[np.floating], along: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Shorten what lies along the directions until its variance is the noise."""
        cut = 1 - np.sqrt(self.noise / self.spreads)
        return np.asarray(standard - (along * cut) @ self.directions.T, dtype=np.float32)


def fit_resemblance(
    values: NDArray[np.float32],
    classes: NDArray[np.int64],
    studies: NDArray[np.object_],
    *,
    n_classes: int,
    rng: np.random.Generator,
    n_spread_studies: int | None = None,
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
        Draws the samples whose spread is taken, where there are more than 1,000.
    n_spread_studies
        Studies whose spread is taken, drawn among all; None takes all. How similar an
        unseen sample seems falls as more studies enter the spread, so that a bound
        holds only in a space whose spread is of as many studies.

    Returns
    -------
    Resemblance
        With at most 100 directions and 500 profiles.

    Notes
    -----
    The covariance within classes is a sum of two, of studies around their class and
    of samples around their study; it is kept as its largest directions and one
    variance for all others. No class mean enters it, so that a class can be hidden
    from a fitted space as if it had never been there.

    References
    ----------
    Lee et al. 2018, arXiv:1807.03888 (Mahalanobis distance to the nearest class; here
    the covariance is of studies and samples, and low-rank).

    Examples
    --------
    >>> values = np.array([[0, 9, 0], [0, 8, 0], [9, 0, 1], [8, 0, 0]], np.float32)
    >>> studies = np.array(["a", "b", "a", "b"], object)
    >>> space = fit_resemblance(
    ...     values, np.array([0, 0, 1, 1]), studies, n_classes=2, rng=np.random.default_rng(0)
    ... )
    >>> space.compare(np.array([[0, 8.5, 0]])).similarity.argmax().item()
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
    drawn = _draw_studies(int(study.max()) + 1, n_spread_studies, rng)
    is_spread = drawn[cells % len(drawn)]
    own_means, number = _class_means(cell_means[is_spread], owner[is_spread], n_classes)
    between = _differences(
        cell_means[is_spread], own_means, owner=owner[is_spread], n_studies=number
    )
    within, variance = _residuals(values[drawn[study]], cell_means, cell[drawn[study]], rng=rng)
    if len(between):
        variance = variance + (between**2).sum(axis=0)
    if not variance.any():
        variance = values.var(axis=0)
    spread = np.sqrt(variance)
    scale = np.maximum(spread + _SPREAD_FLOOR * np.median(spread), 1e-6).astype(np.float32)
    centre = class_means[present].mean(axis=0)
    axes = _find_axes(np.concatenate([between, within]) / scale)

    def place(means: NDArray[np.float32]) -> NDArray[np.float32]:
        standard = (means - centre) / scale
        return axes.whiten(standard, standard @ axes.directions)

    kept = np.sort(choose_cells(owner, sizes, n_most=max(_MAX_PROFILES, len(present))))
    profiles = place(cell_means[kept])
    profiles /= np.maximum(np.sqrt((profiles**2).sum(axis=1, keepdims=True)), 1e-12)
    placed = np.zeros_like(class_means)
    placed[present] = place(class_means[present])
    return Resemblance(
        centre,
        scale,
        axes.directions,
        axes.spreads,
        axes.noise,
        profiles.astype(np.float16),
        owner[kept],
        placed,
        n_studies,
    )


def _draw_studies(
    n_studies: int, n_drawn: int | None, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Say which studies the spread is taken of."""
    drawn = np.ones(n_studies, bool)
    if n_drawn is not None and n_drawn < n_studies:
        drawn[rng.permutation(n_studies)[n_drawn:]] = False
    return drawn


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
    if len(shared) > _MAX_ROWS:
        shared = shared[np.linspace(0, len(shared) - 1, _MAX_ROWS).astype(np.int64)]
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
    if len(repeated) > _MAX_ROWS:
        drawn = np.sort(rng.choice(repeated, _MAX_ROWS, replace=False))
    share = np.sqrt(len(repeated) / max(1, len(drawn)) / n_free)
    rows = (values[drawn] - cell_means[cell[drawn]]) * share
    return np.asarray(rows, dtype=np.float32), variance / n_free


def _find_axes(rows: NDArray[np.float32]) -> _Axes:
    """Give the directions of the largest sum of squares, theirs and that of any other."""
    n_rows, n_genes = rows.shape
    n_wanted = min(_MAX_DIRECTIONS, n_rows - 1, n_genes - 1)
    if n_wanted < 1:
        total = float((rows.astype(np.float64) ** 2).sum())
        none = np.zeros((n_genes, 0), np.float32)
        return _Axes(none, np.zeros(0, np.float32), total / n_genes or 1.0)
    products = (rows @ rows.T).astype(np.float64)
    squares, vectors = eigh(products, subset_by_index=[n_rows - n_wanted, n_rows - 1])
    total = float(np.trace(products))
    noise = max((total - squares.sum()) / (n_genes - n_wanted), 1e-3 * total / n_genes, 1e-9)
    kept = squares > noise
    directions = rows.T @ (vectors[:, kept] / np.sqrt(squares[kept])).astype(np.float32)
    return _Axes(np.asarray(directions, np.float32), squares[kept].astype(np.float32), float(noise))
