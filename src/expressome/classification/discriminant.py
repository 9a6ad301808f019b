"""Fit the linear half: shrunken discriminant analysis that knows study effects."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve

from expressome.classification.linear import LinearScores

__all__ = ["LinearProblem", "fit_linear", "pose_linear", "share_evenly"]

# Added to every gene's spread, as a share of the mean spread, so that a nearly
# constant gene is not blown up.
_SPREAD_FLOOR = 0.1


def share_evenly(classes: NDArray[np.integer], studies: ArrayLike) -> NDArray[np.float64]:
    """Weigh samples so that every class counts the same, and in it every study.

    Parameters
    ----------
    classes
        Class of each sample, shape (n_samples,).
    studies
        Study of each sample, shape (n_samples,).

    Returns
    -------
    ndarray
        Shape (n_samples,), sums to 1.

    Examples
    --------
    >>> share_evenly(np.array([0, 0, 0, 1]), ["a", "a", "b", "c"]).tolist()
    [0.125, 0.125, 0.25, 0.5]
    """
    _, study = np.unique(np.asarray(studies, dtype=str), return_inverse=True)
    cells, cell, sizes = np.unique(
        np.asarray(classes, np.int64) * (study.max(initial=0) + 1) + study,
        return_inverse=True,
        return_counts=True,
    )
    present, owner = np.unique(cells // (study.max(initial=0) + 1), return_inverse=True)
    n_studies = np.bincount(owner)
    return np.asarray(1 / sizes[cell] / n_studies[owner][cell] / max(1, len(present)))


@dataclass(frozen=True, slots=True)
class LinearProblem:
    """Sums over training samples from which weights of any penalty follow.

    Attributes
    ----------
    centre, scale
        Mean and spread of each gene, shape (n_genes,).
    rows
        Standardised samples times the root of their share, then study
        differences over the root of their number, shape (n_rows, n_genes).
    targets
        Centred classes times the root of the share, 0 for the differences, shape
        (n_rows, n_classes).
    products
        Of all rows with each other, shape (n_rows, n_rows); None where genes are fewer.
    n_samples
        Rows that are samples.
    mean_value, mean_target
        Weighted means, shapes (n_genes,) and (n_classes,).
    has_samples
        Classes seen, shape (n_classes,).
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    rows: NDArray[np.float32]
    targets: NDArray[np.float64]
    products: NDArray[np.float64] | None
    n_samples: int
    mean_value: NDArray[np.float64]
    mean_target: NDArray[np.float64]
    has_samples: NDArray[np.bool_]

    def solve(self, penalty: float, strength: float = 1.0) -> LinearScores:
        """Give the weights of one penalty and one strength of study effects.

        Parameters
        ----------
        penalty
            In units of a standardised gene's variance.
        strength
            Factor on the study differences; 0 leaves them out.

        Returns
        -------
        LinearScores
            The closed-form solution.

        Notes
        -----
        Solved over samples or over genes, whichever are fewer.
        """
        factors = np.ones(len(self.rows))
        factors[self.n_samples :] = strength
        if self.products is not None:
            moments = self.products * factors[:, None] * factors
            moments[np.diag_indices(len(moments))] += penalty
            found = solve(moments, self.targets, assume_a="pos", overwrite_a=True)
            weights = np.asarray(self.rows.T @ (found * factors[:, None]), np.float64)
        else:
            scaled = self.rows * factors[:, None].astype(np.float32)
            moments = (scaled.T @ scaled).astype(np.float64)
            moments[np.diag_indices(len(moments))] += penalty
            crossed = scaled.T @ self.targets
            weights = solve(moments, crossed, assume_a="pos", overwrite_a=True)
        return LinearScores(
            centre=self.centre.astype(np.float32),
            scale=self.scale.astype(np.float32),
            weights=weights.astype(np.float32),
            intercepts=(self.mean_target - self.mean_value @ weights).astype(np.float32),
            has_samples=self.has_samples,
        )


def pose_linear(
    values: NDArray[np.floating],
    classes: NDArray[np.integer],
    *,
    n_classes: int,
    shares: NDArray[np.float64] | None = None,
    differences: NDArray[np.floating] | None = None,
) -> LinearProblem:
    """Standardise samples and sum what every penalty needs.

    Parameters
    ----------
    values
        Shape (n_samples, n_genes), no NaN.
    classes
        Class of each sample, shape (n_samples,).
    n_classes
        Number of classes, of which some may have no sample.
    shares
        Weight of each sample, shape (n_samples,), summing to 1; None weighs every
        class the same.
    differences
        How studies differ within a label, in the scale of the values, shape
        (n_differences, n_genes).

    Returns
    -------
    LinearProblem
        To be solved.
    """
    centre = values.mean(axis=0, dtype=np.float64)
    spread = values.std(axis=0, dtype=np.float64)
    scale = spread + max(float(spread.mean()) * _SPREAD_FLOOR, 1e-6)
    sizes = np.bincount(classes, minlength=n_classes)
    if shares is None:
        shares = np.asarray(1 / sizes[classes] / (sizes > 0).sum(), np.float64)
    n_samples, n_differences = len(values), 0 if differences is None else len(differences)
    rows = np.empty((n_samples + n_differences, values.shape[1]), np.float32)
    np.subtract(values, centre.astype(np.float32), out=rows[:n_samples])
    rows[:n_samples] /= scale.astype(np.float32)
    mean_value = shares @ rows[:n_samples]
    root = np.sqrt(shares)[:, None]
    rows[:n_samples] -= mean_value.astype(np.float32)
    rows[:n_samples] *= root.astype(np.float32)
    if differences is not None and n_differences:
        rows[n_samples:] = differences / (scale * np.sqrt(n_differences))
    one_hot = np.zeros((n_samples, n_classes))
    one_hot[np.arange(n_samples), classes] = 1
    mean_target = shares @ one_hot
    targets = np.zeros((len(rows), n_classes))
    targets[:n_samples] = (one_hot - mean_target) * root
    is_wide = len(rows) < values.shape[1]
    return LinearProblem(
        centre=centre,
        scale=scale,
        rows=rows,
        targets=targets,
        products=(rows @ rows.T).astype(np.float64) if is_wide else None,
        n_samples=n_samples,
        mean_value=mean_value,
        mean_target=mean_target,
        has_samples=sizes > 0,
    )


def fit_linear(
    values: NDArray[np.floating],
    classes: NDArray[np.integer],
    *,
    n_classes: int,
    penalty: float = 3.0,
    shares: NDArray[np.float64] | None = None,
    differences: NDArray[np.floating] | None = None,
    strength: float = 1.0,
) -> LinearScores:
    """Regress each class on all genes, discounting what separates studies.

    Minimises, over weights W and intercepts, the weighted sum over samples of
    |one-hot - z W|^2, plus strength^2 times the mean over study differences d of
    |d W|^2, plus penalty |W|^2, with z the standardised values. The second term is
    what infinitely many samples with invented study effects would add: a score
    must not move when a sample moves as studies do. With equal class weights it
    is linear discriminant analysis with a shrunken within-class covariance.

    Parameters
    ----------
    values
        Shape (n_samples, n_genes), no NaN.
    classes
        Class of each sample, shape (n_samples,).
    n_classes
        Number of classes, of which some may have no sample.
    penalty
        In units of a standardised gene's variance.
    shares
        Weight of each sample, shape (n_samples,), summing to 1; None weighs every
        class the same.
    differences
        How studies differ within a label, in the scale of the values, shape
        (n_differences, n_genes); None for none.
    strength
        Factor on the differences.

    Returns
    -------
    LinearScores
        The closed-form solution.

    References
    ----------
    Hastie, Buja, Tibshirani 1995, doi:10.1214/aos/1176324456 (penalised
    discriminant analysis by regression on class indicators); Bishop 1995,
    doi:10.1162/neco.1995.7.1.108 (training with noise is such a penalty).

    Examples
    --------
    >>> values = np.array([[0.0, 1], [1, 0], [5, 1], [6, 0]])
    >>> scores = fit_linear(values, np.array([0, 0, 1, 1]), n_classes=2, penalty=0.01)
    >>> scores.predict(np.array([[0.2, 1], [5.5, 0]])).argmax(axis=1).tolist()
    [0, 1]
    """
    problem = pose_linear(
        values, classes, n_classes=n_classes, shares=shares, differences=differences
    )
    return problem.solve(penalty, strength)
