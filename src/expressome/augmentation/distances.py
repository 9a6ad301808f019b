"""Distances between two sets of samples, each a number with a published definition."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

__all__ = [
    "measure_adversarial_accuracy",
    "measure_energy",
    "measure_frechet",
    "measure_mmd",
    "measure_neighbourhoods",
    "measure_ks",
]

Points = NDArray[np.floating]


def measure_energy(first: Points, second: Points) -> float:
    """Measure the energy distance between two sets of points.

    Parameters
    ----------
    first, second
        Shapes (n_first, n_dimensions) and (n_second, n_dimensions).

    Returns
    -------
    float
        2 E|x - y| - E|x - x'| - E|y - y'|, 0 for equal sets, never negative.

    References
    ----------
    Szekely & Rizzo 2013, doi:10.1016/j.jspi.2013.03.018

    Examples
    --------
    >>> measure_energy(np.array([[0.0]]), np.array([[3.0]]))
    6.0
    """
    between = cdist(first, second).mean()
    return float(2 * between - cdist(first, first).mean() - cdist(second, second).mean())


def measure_neighbourhoods(
    real: Points, made: Points, *, n_neighbours: int = 5
) -> dict[str, float]:
    """Measure precision, recall, density and coverage.

    A ball around each sample reaches to its k-th nearest neighbour in its own
    set. Precision: share of made samples in a ball of a real one. Recall:
    share of real samples in a ball of a made one. Density: balls of real
    samples a made one lies in, over k (above 1 where made samples crowd).
    Coverage: share of real samples whose ball holds a made one.

    Parameters
    ----------
    real, made
        Shapes (n_real, n_dimensions), (n_made, n_dimensions).
    n_neighbours
        k; 5 as the authors of density and coverage, and fewer where a set has
        not more than 5 samples.

    Returns
    -------
    dict
        ``precision``, ``recall``, ``density``, ``coverage``.

    References
    ----------
    Kynkaanniemi et al. 2019, arXiv:1904.06991; Naeem et al. 2020, arXiv:2002.09797

    Examples
    --------
    >>> points = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> measure_neighbourhoods(points, points + 0.1, n_neighbours=1)["coverage"]
    1.0
    """
    k = max(1, min(n_neighbours, len(real) - 1, len(made) - 1))
    between = cdist(real, made)
    real_radii = np.sort(cdist(real, real), axis=1)[:, min(k, len(real) - 1)]
    made_radii = np.sort(cdist(made, made), axis=1)[:, min(k, len(made) - 1)]
    in_real = between <= real_radii[:, None]
    in_made = between <= made_radii[None, :]
    return {
        "precision": float(in_real.any(axis=0).mean()),
        "recall": float(in_made.any(axis=1).mean()),
        "density": float(in_real.sum(axis=0).mean() / k),
        "coverage": float(in_real.any(axis=1).mean()),
    }


def measure_adversarial_accuracy(real: Points, made: Points) -> float:
    """Measure how often a nearest neighbour tells the sets apart.

    Half the share of real samples nearer to another real one than to any made
    one, plus half the share of made ones nearer to another made one. 0.5: the
    sets are mixed; 1: they lie apart; 0: made samples copy real ones.

    Parameters
    ----------
    real, made
        Shapes (n_real, n_dimensions), (n_made, n_dimensions), two samples or more.

    Returns
    -------
    float
        0 to 1.

    References
    ----------
    Yale et al. 2020, doi:10.1016/j.neucom.2019.12.136

    Examples
    --------
    >>> points = np.array([[0.0], [1.0]])
    >>> measure_adversarial_accuracy(points, points + 100)
    1.0
    """
    between = cdist(real, made)
    shares = []
    for points, nearest_other in ((real, between.min(axis=1)), (made, between.min(axis=0))):
        own = cdist(points, points)
        np.fill_diagonal(own, np.inf)
        shares.append(float((nearest_other > own.min(axis=1)).mean()))
    return (shares[0] + shares[1]) / 2


def measure_frechet(real: Points, made: Points) -> float:
    """Measure the Frechet distance between two Gaussians with the sets' moments.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    Parameters
    ----------
    real, made
        Points in few dimensions, such as ten principal components: with more
        dimensions than samples the covariances are singular and the distance
        grows with sampling error.

    Returns
    -------
    float
        In squared units, >= 0.

    References
    ----------
    Dowson & Landau 1982, doi:10.1016/0047-259X(82)90077-X

    Examples
    --------
    >>> points = np.array([[0.0], [2.0]])
    >>> measure_frechet(points, points + 3)
    9.0
    """
    shift = real.mean(axis=0) - made.mean(axis=0)
    first, second = np.atleast_2d(np.cov(real.T)), np.atleast_2d(np.cov(made.T))
    variances, axes = np.linalg.eigh(first)
    root = (axes * np.sqrt(np.maximum(variances, 0))) @ axes.T
    cross = np.linalg.eigvalsh(root @ second @ root)
    overlap = np.sqrt(np.maximum(cross, 0)).sum()
    spread = np.trace(first) + np.trace(second) - 2 * overlap
    return float(max(0.0, shift @ shift + spread))


def measure_mmd(real: Points, made: Points) -> float:
    """Measure the squared maximum mean discrepancy under a Gaussian kernel.

    The unbiased estimate; its width is the median distance between the samples
    of both sets, so it has no unit. About 0 for equal distributions, and may
    be below.

    Parameters
    ----------
    real, made
        Shapes (n_real, n_dimensions), (n_made, n_dimensions), two samples or more.

    Returns
    -------
    float
        At most 2.

    References
    ----------
    Gretton et al. 2012, JMLR 13:723

    Examples
    --------
    >>> round(measure_mmd(np.array([[0.0], [0.1]]), np.array([[9.0], [9.1]])), 1)
    0.8
    """
    both = np.vstack([real, made])
    squares = cdist(both, both, "sqeuclidean")
    upper = squares[np.triu_indices(len(both), 1)]
    kernel = np.exp(-squares / (2 * max(float(np.median(upper)), 1e-12)))
    n_real, n_made = len(real), len(made)
    within_real = (kernel[:n_real, :n_real].sum() - n_real) / (n_real * (n_real - 1))
    within_made = (kernel[n_real:, n_real:].sum() - n_made) / (n_made * (n_made - 1))
    return float(within_real + within_made - 2 * kernel[:n_real, n_real:].mean())


def measure_ks(real: Points, made: Points) -> NDArray[np.float64]:
    """Measure the Kolmogorov-Smirnov distance of each gene.

    Parameters
    ----------
    real, made
        Shapes (n_real, n_genes), (n_made, n_genes).

    Returns
    -------
    ndarray
        Largest difference of the two distribution functions, shape (n_genes,), 0 to 1.

    Examples
    --------
    >>> measure_ks(np.array([[1.0], [2.0]]), np.array([[2.0], [3.0]])).tolist()
    [0.5]
    """
    n_real, n_made = len(real), len(made)
    both = np.vstack([real, made])
    order = np.argsort(both, axis=0, kind="stable")
    steps = np.where(order < n_real, 1 / n_real, -1 / n_made).cumsum(axis=0)
    ordered = np.take_along_axis(both, order, axis=0)
    # Within a tie the functions have not both stepped yet.
    is_last = np.vstack([ordered[1:] > ordered[:-1], np.ones((1, both.shape[1]), dtype=bool)])
    return np.asarray(np.abs(np.where(is_last, steps, 0)).max(axis=0), dtype=np.float64)
