"""How close synthetic samples are to real ones, beside what real ones reach and noise reaches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from expressome.augmentation.distances import (
    measure_adversarial_accuracy,
    measure_frechet,
    measure_ks,
    measure_mmd,
    measure_neighbourhoods,
)
from expressome.errors import ShapeError

__all__ = ["METRICS", "Yardstick", "compare_sets", "measure_fidelity", "measure_memorisation"]

Points = NDArray[np.float32]

METRICS = (
    "precision",
    "recall",
    "density",
    "coverage",
    "adversarial_accuracy",
    "frechet_distance",
    "mmd",
    "ks_distance",
    "mean_difference",
    "variance_log2_ratio",
    "zero_fraction_difference",
    "correlation_agreement",
    "two_sample_auc",
    "markers_kept",
    "medoid_distance",
)
# Bounds of the cost: samples per side, genes for distances, genes for correlations.
_MAX_SAMPLES = 100
_MAX_GENES = 2000
_MAX_CORRELATED = 500
_N_MARKERS = 50
_FRECHET_COMPONENTS = 10
_N_TREES = 100
# Random ways of halving the real samples that figures are averaged over.
_N_SPLITS = 3
# Halves of three samples are the fewest that have a spread.
_MIN_REAL = 6
# Fewer values than this are learned faster by one thread.
_MIN_SHARED = 300_000
# Nearer to a training sample than this share of the median real distance: a copy.
_COPY_SHARE = 0.1
# Training samples whose distance to the others is looked at.
_MAX_SPACED = 500


@dataclass(frozen=True, slots=True)
class _View:
    """What every comparison of one yardstick uses."""

    genes: NDArray[np.intp]
    correlated: NDArray[np.intp]
    axes: Points
    background_mean: Points
    background_spread: Points
    seed: int
    n_workers: int


def _choose_view(
    real: Points, background: Points, *, rng: np.random.Generator, n_workers: int
) -> _View:
    spread = background.std(axis=0)
    varying = np.flatnonzero((spread > 0) & (real.std(axis=0) > 0))
    if len(varying) == 0:
        varying = np.arange(real.shape[1])
    genes = np.sort(rng.choice(varying, min(_MAX_GENES, len(varying)), replace=False))
    correlated = np.sort(rng.choice(varying, min(_MAX_CORRELATED, len(varying)), replace=False))
    rows = rng.choice(len(background), min(5 * _MAX_SAMPLES, len(background)), replace=False)
    part = background[np.ix_(rows, genes)]
    axes = np.linalg.svd(part - part.mean(axis=0), full_matrices=False)[2][:_FRECHET_COMPONENTS]
    return _View(
        genes,
        correlated,
        axes,
        background.mean(axis=0),
        spread,
        int(rng.integers(2**31)),
        n_workers,
    )


def _two_sample_auc(real: Points, made: Points, view: _View) -> float:
    """Area under the curve of a forest that tells the sets apart, out of bag, all genes."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    both = np.vstack([real, made])
    is_made = np.repeat([0, 1], [len(real), len(made)])
    n_jobs = view.n_workers if both.size > _MIN_SHARED else 1
    forest = RandomForestClassifier(_N_TREES, oob_score=True, random_state=view.seed, n_jobs=n_jobs)
    forest.fit(both, is_made)
    return float(roc_auc_score(is_made, forest.oob_decision_function_[:, 1]))


def _correlation_agreement(real: Points, made: Points) -> float:
    """Pearson correlation between the two sets' gene-gene correlations."""
    pairs = np.triu_indices(real.shape[1], 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        first = np.atleast_2d(np.nan_to_num(np.corrcoef(real.T)))
        second = np.atleast_2d(np.nan_to_num(np.corrcoef(made.T)))
        agreement = np.atleast_2d(np.corrcoef(np.vstack([first[pairs], second[pairs]])))
    return float(np.nan_to_num(agreement[0, -1]))


def _choose_markers(values: Points, view: _View) -> set[int]:
    """Choose the 50 genes that stand highest above all labels, in their spread."""
    height = (values.mean(axis=0) - view.background_mean) / (view.background_spread + 0.1)
    return set(np.argsort(-height, kind="stable")[:_N_MARKERS].tolist())


def _medoid_distance(real: Points, made: Points) -> float:
    """Mean distance of made samples to the real medoid, over that of the real ones."""
    own = cdist(real, real)
    medoid = int(own.sum(axis=1).argmin())
    reference = own[medoid].sum() / (len(real) - 1)
    return float(cdist(made, real[[medoid]]).mean() / max(reference, 1e-12))


def _zero_fraction(values: Points) -> NDArray[np.float64]:
    """Share of samples in which a gene lies at the sample's minimum."""
    return np.asarray((values <= values.min(axis=1, keepdims=True)).mean(axis=0))


def _compare(real: Points, made: Points, view: _View) -> dict[str, float]:
    """Measure everything between two sets of about equal size."""
    near_real, near_made = real[:, view.genes], made[:, view.genes]
    found = measure_neighbourhoods(near_real, near_made)
    found["adversarial_accuracy"] = measure_adversarial_accuracy(near_real, near_made)
    found["frechet_distance"] = measure_frechet(near_real @ view.axes.T, near_made @ view.axes.T)
    found["mmd"] = measure_mmd(near_real, near_made)
    found["ks_distance"] = float(measure_ks(real, made).mean())
    found["mean_difference"] = float(np.abs(real.mean(axis=0) - made.mean(axis=0)).mean())
    variances = [part[:, view.correlated].var(axis=0, ddof=1) + 1e-6 for part in (made, real)]
    found["variance_log2_ratio"] = float(np.abs(np.log2(variances[0] / variances[1])).mean())
    zeros = np.abs(_zero_fraction(real) - _zero_fraction(made))
    found["zero_fraction_difference"] = float(zeros.mean())
    found["correlation_agreement"] = _correlation_agreement(
        real[:, view.correlated], made[:, view.correlated]
    )
    found["two_sample_auc"] = _two_sample_auc(real, made, view)
    kept = _choose_markers(real, view) & _choose_markers(made, view)
    found["markers_kept"] = len(kept) / min(_N_MARKERS, real.shape[1])
    found["medoid_distance"] = _medoid_distance(near_real, near_made)
    return {name: found[name] for name in METRICS}


def compare_sets(
    real: Points,
    made: Points,
    *,
    background: Points,
    rng: np.random.Generator,
    n_workers: int = 2,
) -> dict[str, float]:
    """Measure every metric between two sets, without ceiling or floor.

    Parameters
    ----------
    real, made
        Shapes (n_real, n_genes) and (n_made, n_genes), of about equal size: at
        other sizes the figures cannot be compared.
    background
        Training samples of any label, shape (n_background, n_genes).
    rng
        Chooses genes where there are many.
    n_workers
        Threads.

    Returns
    -------
    dict
        Metric to value.
    """
    view = _choose_view(real, background, rng=rng, n_workers=n_workers)
    return _compare(real, made, view)


def _mean_of(tables: list[dict[str, float]]) -> dict[str, float]:
    """Average each metric over repeats."""
    return {name: float(np.mean([table[name] for table in tables])) for name in METRICS}


class Yardstick:
    """Real samples of one label, with the ceiling and the floor measured once.

    Two halves of the real samples face each other: the ceiling. The first half
    faces noise, in which every gene is drawn by itself from training samples of
    any label: the floor. The first half faces as many synthetic samples as the
    second half holds: the value. So all three have equal sizes. Each is the mean
    over three random ways of halving.

    Parameters
    ----------
    real
        Real samples that the method has not seen, shape (n_real, n_genes).
    background
        Training samples of any label, shape (n_background, n_genes).
    rng
        Chooses halves, noise, and samples and genes where there are more than
        100 per half, 2,000 genes for distances and 500 for correlations.
    n_workers
        Threads.

    Raises
    ------
    ShapeError
        If the numbers of genes disagree.
    """

    def __init__(
        self, real: Points, background: Points, *, rng: np.random.Generator, n_workers: int = 2
    ) -> None:
        if real.shape[1] != background.shape[1]:
            msg = (
                f"the real samples have {real.shape[1]} genes, the background "
                f"{background.shape[1]}; pass the same genes"
            )
            raise ShapeError(msg)
        self.is_usable = len(real) >= _MIN_REAL
        self.ceiling: dict[str, float] = dict.fromkeys(METRICS, float("nan"))
        self.floor: dict[str, float] = dict.fromkeys(METRICS, float("nan"))
        if not self.is_usable:
            return
        self._view = _choose_view(real, background, rng=rng, n_workers=n_workers)
        self._halves = []
        ceilings, floors = [], []
        for _ in range(_N_SPLITS):
            order = rng.permutation(len(real))[: 2 * _MAX_SAMPLES]
            half, other = real[order[: len(order) // 2]], real[order[len(order) // 2 :]]
            rows = rng.integers(len(background), size=other.shape)
            noise = np.take_along_axis(background, rows, axis=0)
            self._halves.append(half)
            self._n_compared = len(other)
            ceilings.append(_compare(half, other, self._view))
            floors.append(_compare(half, noise, self._view))
        self.ceiling, self.floor = _mean_of(ceilings), _mean_of(floors)

    def measure(self, made: Points, *, rng: np.random.Generator) -> dict[str, dict[str, float]]:
        """Measure synthetic samples.

        Parameters
        ----------
        made
            Shape (n_samples, n_genes). If there are more than real samples in
            a half, as many are chosen; if fewer, all are used.
        rng
            Chooses them.

        Returns
        -------
        dict
            Metric to ``value``, ``ceiling`` and ``floor``; NaN throughout where
            there are fewer than 6 real or 2 synthetic samples.
        """
        value = dict.fromkeys(METRICS, float("nan"))
        if self.is_usable and len(made) >= 2:
            drawn = [rng.permutation(len(made))[: self._n_compared] for _ in self._halves]
            value = _mean_of(
                [
                    _compare(half, made[rows], self._view)
                    for half, rows in zip(self._halves, drawn, strict=True)
                ]
            )
        return {
            name: {
                "value": value[name],
                "ceiling": self.ceiling[name],
                "floor": self.floor[name],
            }
            for name in METRICS
        }


def measure_memorisation(
    made: Points, training: Points, held_back: Points, *, rng: np.random.Generator
) -> dict[str, float]:
    """Measure whether synthetic samples repeat training samples.

    Parameters
    ----------
    made
        Synthetic samples, shape (n_made, n_genes).
    training
        Samples the method saw, shape (n_training, n_genes).
    held_back
        Real samples of the label it did not see, shape (n_held, n_genes). If
        there is none, each training sample's distance to the others stands in.
    rng
        Chooses at most 2,000 genes.

    Returns
    -------
    dict
        ``nearest_neighbour_ratio``: median distance of made samples to the
        nearest training sample, over that of held-back real ones; near 1 is
        right, far below is memorised. ``n_copies``: made samples nearer to a
        training sample than a tenth of the real median or, where that is smaller, of
        the median distance of training samples to each other: held-back samples
        of another study lie so far away that real replicates would count as copies.

    Examples
    --------
    >>> real = np.arange(8, dtype=np.float32).reshape(4, 2)
    >>> rng = np.random.default_rng(0)
    >>> measure_memorisation(real[:2], real, real[:0], rng=rng)["n_copies"]
    2
    """
    n_genes = training.shape[1]
    genes = np.sort(rng.choice(n_genes, min(_MAX_GENES, n_genes), replace=False))
    seen = training[:, genes]
    nearest = cdist(made[:, genes], seen).min(axis=1)
    spacing = _measure_spacing(seen)
    median = spacing
    if len(held_back):
        median = float(np.median(cdist(held_back[:, genes], seen).min(axis=1)))
    if not np.isfinite(median) or median == 0:
        return {"nearest_neighbour_ratio": float("nan"), "n_copies": int((nearest == 0).sum())}
    # Equal samples in training say nothing of the distance of a copy.
    usual = min(median, spacing) if spacing > 0 else median
    return {
        "nearest_neighbour_ratio": float(np.median(nearest)) / median,
        "n_copies": int((nearest < _COPY_SHARE * usual).sum()),
    }


def _measure_spacing(seen: Points) -> float:
    """Give the median distance of a training sample to the nearest other one."""
    chosen = np.linspace(0, len(seen) - 1, min(len(seen), _MAX_SPACED)).astype(np.intp)
    between = cdist(seen[chosen], seen)
    between[np.arange(len(chosen)), chosen] = np.inf
    return float(np.median(between.min(axis=1)))


def measure_fidelity(
    real: Points,
    made: Points,
    *,
    background: Points,
    rng: np.random.Generator,
    n_workers: int = 2,
) -> dict[str, dict[str, float]]:
    """Measure synthetic samples of one label against real ones.

    Parameters
    ----------
    real
        Real samples of the label that the method has not seen, shape (n_real, n_genes).
    made
        Synthetic samples, shape (n_made, n_genes).
    background
        Training samples of any label, shape (n_background, n_genes).
    rng
        Source of randomness.
    n_workers
        Threads.

    Returns
    -------
    dict
        Metric to ``value``, ``ceiling`` and ``floor``, see `Yardstick`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> values = rng.normal(5, 1, (60, 30)).astype(np.float32)
    >>> found = measure_fidelity(values[:40], values[40:], background=values, rng=rng)
    >>> sorted(found["precision"])
    ['ceiling', 'floor', 'value']
    """
    return Yardstick(real, background, rng=rng, n_workers=n_workers).measure(made, rng=rng)
