"""Plain ways to make synthetic samples, under one interface with the generator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import ndtri

from expressome.augmentation.moments import draw_weights
from expressome.augmentation.quantile_mapping import match_genes
from expressome.augmentation.study_effects import (
    StudyEffects,
    extend_training,
    fit_study_effects,
)
from expressome.augmentation.training_samples import TrainingSamples, find_label
from expressome.errors import InvalidValueError, LabelError, MissingExtraError

__all__ = ["BASELINES", "METHODS", "Baseline", "Method", "make_baseline"]

Baseline = Literal[
    "oversampling",
    "smote",
    "mixup",
    "gaussian",
    "negative-binomial",
    "copula",
    "study-effects",
]
Method = Literal[
    "gan",
    "oversampling",
    "smote",
    "mixup",
    "gaussian",
    "negative-binomial",
    "copula",
    "study-effects",
]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
METHODS: tuple[Method, ...] = get_args(Method)

# Components of the per-label Gaussian, as many as separate tissues in practice.
_GAUSSIAN_COMPONENTS = 50
# Fewest samples of a label that a method can work from.
_FEWEST = {"smote": 2, "gaussian": 2, "negative-binomial": 2, "copula": 2}


@dataclass(frozen=True, slots=True)
class _Task:
    """What one method is asked for."""

    samples: TrainingSamples
    holders: NDArray[np.intp]
    n_samples: int
    rng: np.random.Generator

    @property
    def own(self) -> NDArray[np.float32]:
        """Values of the label's samples, shape (n_holders, n_genes)."""
        return self.samples.values[self.holders]


Maker = Callable[[_Task], NDArray[np.float32]]


def _oversample(task: _Task) -> NDArray[np.float32]:
    """Copy samples of the label at random."""
    chosen = task.rng.choice(task.holders, task.n_samples)
    return np.asarray(task.samples.values[chosen], dtype=np.float32)


def _smote(task: _Task) -> NDArray[np.float32]:
    """Interpolate between a sample and one of its nearest of the label."""
    try:
        from imblearn.over_sampling import SMOTE
    except ImportError:
        msg = "SMOTE needs imbalanced-learn; install it with: pip install 'expressome[gan]'"
        raise MissingExtraError(msg) from None
    own = task.own
    # SMOTE balances two classes: a class of zeros, as large as asked for, stands opposite.
    n_wanted = len(own) + task.n_samples
    opposite = np.zeros((1, task.samples.n_genes), dtype=np.float32)
    rows = np.vstack([own, opposite, opposite])
    classes = np.r_[np.ones(len(own), dtype=int), 0, 0]
    sampler = SMOTE(
        sampling_strategy={1: n_wanted},
        k_neighbors=min(5, len(own) - 1),
        random_state=int(task.rng.integers(2**31)),
    )
    made, _ = sampler.fit_resample(rows, classes)
    return np.asarray(made[len(rows) :], dtype=np.float32)


def _mix(task: _Task) -> NDArray[np.float32]:
    """Mix a sample of the label with any other, 0.7 to 1 of the first."""
    partners = task.rng.integers(task.samples.n_samples, size=task.n_samples)
    weights = task.rng.uniform(0.7, 1, task.n_samples).astype(np.float32)[:, None]
    own = task.own[task.rng.integers(len(task.holders), size=task.n_samples)]
    return np.asarray(
        weights * own + (1 - weights) * task.samples.values[partners], dtype=np.float32
    )


def _draw_gaussian(task: _Task) -> NDArray[np.float32]:
    """Draw from a Gaussian in the label's first 50 principal components."""
    own = task.own
    centre = own.mean(axis=0)
    _, sizes, axes = np.linalg.svd(own - centre, full_matrices=False)
    n_kept = min(_GAUSSIAN_COMPONENTS, len(own) - 1)
    spread = (sizes[:n_kept] / np.sqrt(len(own) - 1)).astype(np.float32)
    scores = task.rng.standard_normal((task.n_samples, n_kept), dtype=np.float32) * spread
    return np.asarray(np.maximum(centre + scores @ axes[:n_kept], 0), dtype=np.float32)


def _draw_negative_binomial(task: _Task) -> NDArray[np.float32]:
    """Draw counts gene by gene from negative binomials with the label's moments."""
    counts = np.exp2(task.own.astype(np.float64)) - 1
    means = np.maximum(counts.mean(axis=0), 1e-6)
    excess = np.maximum(counts.var(axis=0, ddof=1) - means, 1e-6 * means**2)
    shape = np.clip(means**2 / excess, 1e-3, 1e6)
    rates = task.rng.gamma(shape, means / shape, size=(task.n_samples, task.samples.n_genes))
    return np.log2(1 + task.rng.poisson(rates)).astype(np.float32)


def _draw_copula(task: _Task) -> NDArray[np.float32]:
    """Draw normal scores with the label's correlations, mapped onto its gene distributions."""
    own = task.own
    jitter = task.rng.random(own.shape, dtype=np.float32) * np.float32(1e-5)
    ranks = np.argsort(np.argsort(own + jitter, axis=0), axis=0)
    scores = ndtri((ranks + 0.5) / len(own)).astype(np.float32)
    weights = draw_weights(task.n_samples, len(own), task.rng)
    return match_genes(np.asarray(weights @ scores, dtype=np.float32), own)


_MAKERS: dict[str, Maker] = {
    "oversampling": _oversample,
    "smote": _smote,
    "mixup": _mix,
    "gaussian": _draw_gaussian,
    "negative-binomial": _draw_negative_binomial,
    "copula": _draw_copula,
}


def _lay_study_effects(
    samples: TrainingSamples,
    label: str,
    n_samples: int,
    *,
    rng: np.random.Generator,
    effects: StudyEffects | None,
) -> NDArray[np.float32]:
    """Make rows of other studies of one label; all samples may be partners."""
    column = find_label(label, samples.keys)
    alone = sparse.csr_array(samples.labels[:, [column]])
    if effects is None:
        effects = fit_study_effects(samples.values, samples.labels, samples.studies)
    rows, _ = extend_training(
        samples.values, alone, samples.studies, n_per_label=n_samples, rng=rng, effects=effects
    )
    return rows


def make_baseline(
    method: Baseline,
    samples: TrainingSamples,
    label: str,
    *,
    n_samples: int,
    rng: np.random.Generator,
    effects: StudyEffects | None = None,
) -> NDArray[np.float32]:
    """Make synthetic samples of a label by a plain method.

    ``oversampling`` copies; ``smote`` interpolates between near samples of the
    label; ``mixup`` adds 0 to 30% of any other sample; ``gaussian`` draws in
    the label's principal components; ``negative-binomial`` draws each gene by
    itself; ``copula`` keeps gene distributions and correlations;
    ``study-effects`` is mixup plus a new study effect.

    Parameters
    ----------
    method
        Name of the method.
    samples
        Training samples.
    label
        A label key.
    n_samples
        Samples to make.
    rng
        Source of randomness.
    effects
        For ``study-effects``; fitted here if None.

    Returns
    -------
    ndarray
        Shape (n_samples, n_genes), float32, >= 0.

    Raises
    ------
    LabelError
        If the label is unknown or has fewer samples than the method needs
        (2 for those that measure a spread, else 1).
    InvalidValueError
        If the method is unknown or `n_samples` is below 1.
    MissingExtraError
        If SMOTE is asked for and imbalanced-learn is not installed.

    References
    ----------
    Chawla et al. 2002, doi:10.1613/jair.953 (SMOTE); Zhang et al. 2018,
    arXiv:1710.09412 (mixup; there labels mix too, here 70% or more decide)

    Examples
    --------
    >>> from expressome.augmentation.training_samples import collect_training
    >>> carried = sparse.csr_array([[1], [1]])
    >>> samples = collect_training(np.eye(2), carried, ["A", "B"], keys=["liver"])
    >>> rng = np.random.default_rng(0)
    >>> make_baseline("oversampling", samples, "liver", n_samples=3, rng=rng).sum(axis=1).tolist()
    [1.0, 1.0, 1.0]
    """
    if method not in BASELINES:
        msg = f"method is {method!r}; choose one of {', '.join(BASELINES)}"
        raise InvalidValueError(msg)
    if n_samples < 1:
        msg = f"n_samples is {n_samples}; at least 1 sample must be asked for"
        raise InvalidValueError(msg)
    holders = samples.holders(label)
    fewest = _FEWEST.get(method, 1)
    if len(holders) < fewest:
        msg = (
            f"label {label!r} has {len(holders)} training samples, and {method} needs {fewest}; "
            "use method='study-effects', which works from one"
        )
        raise LabelError(msg)
    if method == "study-effects":
        return _lay_study_effects(samples, label, n_samples, rng=rng, effects=effects)
    return _MAKERS[method](_Task(samples, holders, n_samples, rng))
