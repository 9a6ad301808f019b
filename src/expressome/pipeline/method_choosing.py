"""Choose on validation studies whether synthetic samples help a classifier, and which."""

import functools
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.atlas import Atlas
from expressome.augmentation.baselines import METHODS, Method
from expressome.augmentation.rare_labels import RARE_BELOW, RareRows, make_rare
from expressome.augmentation.training_samples import TrainingSamples, collect_training
from expressome.augmentation.utility import (
    NONE,
    FitScores,
    Scores,
    Trial,
    UtilityOptions,
    score_methods,
    summarize_utility,
)
from expressome.classification.classifier import Settings, prepare_values
from expressome.classification.forest_growth import fit_forest
from expressome.classification.label_sets import fit_label_sets
from expressome.classification.tuning import FitOptions, Samples, training_medians
from expressome.errors import InvalidValueError, MissingExtraError
from expressome.normalization.recipe import Normalizer

__all__ = [
    "AUGMENT",
    "Augment",
    "Augmentation",
    "check_augment",
    "choose_augmentation",
    "make_forest_fit",
    "read_divisor",
]

Augment = Literal["none", "auto"] | Method
AUGMENT: tuple[str, ...] = ("none", "auto", *METHODS)

# A method must beat none by this much: smaller gains do not pay for the longer training.
_MARGIN = 0.01
# Chance of using a method that gains nothing, over all methods together.
_ERROR = 0.05
# Size of the classifier that methods are compared with.
_N_TREES_TRIED = 30
_N_GENES_TRIED = 1000
# What a method needs installed.
_NEEDS = {"gan": "torch", "smote": "imblearn"}

# Values, labels and studies.
Augmented = tuple[NDArray[np.float32], sparse.csr_array, NDArray[np.object_]]
Pairs = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Which synthetic samples training uses, and why.

    Attributes
    ----------
    asked
        "none", "auto" or a method.
    used
        "none" or a method.
    reason
        How that came about.
    rare_labels
        Labels that the choice was made on.
    trials
        Per method: average precision and F1 on unseen studies, with paired gains and
        the interval that decided.
    scale
        Factor that takes the classifier's genes to the scale before length
        division, on which methods work.
    seed
        Root of every random choice.
    """

    asked: str
    used: str
    reason: str
    rare_labels: tuple[str, ...] = ()
    trials: tuple[dict[str, Any], ...] = ()
    scale: NDArray[np.float32] = field(default_factory=lambda: np.ones(1, np.float32), repr=False)
    seed: int = 0

    def to_plain(self) -> dict[str, Any]:
        """Give what metrics.json says."""
        return {
            "asked": self.asked,
            "used": self.used,
            "reason": self.reason,
            "rare_labels": list(self.rare_labels),
            "trials": list(self.trials),
        }

    @property
    def augment(self) -> Callable[..., Augmented] | None:
        """What a fit turns its samples into; None where it takes them as they are."""
        return None if self.used == NONE else self._augment

    def _augment(
        self, values: NDArray[np.float32], labels: sparse.csr_array, studies: NDArray[np.object_]
    ) -> Augmented:
        scale = self.scale[: values.shape[1]]
        made = make_rare(
            values * scale,
            labels,
            studies,
            method=self.used,  # type: ignore[arg-type]  # not none here
            rng=np.random.default_rng([self.seed, 7]),
        )
        return _append(values, labels, studies, made=made, scale=scale)


def _append(
    values: NDArray[np.float32],
    labels: sparse.csr_array,
    studies: NDArray[np.object_],
    *,
    made: RareRows,
    scale: NDArray[np.float32],
) -> Augmented:
    """Put synthetic rows after the real ones, back on the atlas's scale."""
    return (
        np.concatenate([values, made.values / scale]),
        sparse.csr_array(sparse.vstack([labels, made.labels])),
        np.concatenate([studies, made.studies]),
    )


def check_augment(asked: str) -> None:
    """Refuse an unknown method, or one that is not installed, before any work.

    Parameters
    ----------
    asked
        "none", "auto" or a method.

    Raises
    ------
    InvalidValueError
        If it is none of them.
    MissingExtraError
        If the method needs an extra that is not installed.

    Examples
    --------
    >>> check_augment("none")
    """
    if asked not in AUGMENT:
        msg = f"augment is {asked!r}; choose one of {', '.join(AUGMENT)}"
        raise InvalidValueError(msg)
    if not _is_installed(asked):
        msg = f"{asked} needs {_NEEDS[asked]}; install it with: pip install 'expressome[gan]'"
        raise MissingExtraError(msg)


def _is_installed(method: str) -> bool:
    return method not in _NEEDS or importlib.util.find_spec(_NEEDS[method]) is not None


def read_divisor(atlas: Atlas, genes: NDArray[np.integer]) -> NDArray[np.float32] | None:
    """Read what the values of some genes are divided by; None for nothing.

    Parameters
    ----------
    atlas
        The atlas.
    genes
        Positions of the genes.

    Returns
    -------
    ndarray or None
        Shape (n_genes,).
    """
    divisor = Normalizer.from_parts(atlas.normalizer_parts).divisor
    return None if divisor is None else np.asarray(divisor, dtype=np.float32)[genes]


def make_forest_fit(*, n_trees: int = 100, n_workers: int = 2) -> FitScores:
    """Give a forest over label sets, as what `measure_utility` fits.

    Parameters
    ----------
    n_trees
        Trees.
    n_workers
        Threads.

    Returns
    -------
    FitScores
        Class weights are scikit-learn's "balanced".
    """

    def fit(
        training: TrainingSamples, *, extra: RareRows | None, is_weighted: bool, seed: int
    ) -> Scores:
        values, labels = training.values, training.labels
        if extra is not None:
            values = np.concatenate([values, extra.values])
            labels = sparse.csr_array(sparse.vstack([labels, extra.labels]))
        sets, classes = fit_label_sets(labels)
        forest = fit_forest(
            values,
            classes,
            n_classes=len(sets.sets),
            seed=seed,
            n_trees=n_trees,
            n_workers=n_workers,
            class_weight="balanced" if is_weighted else None,
        )
        return lambda unseen: sets.to_label_probabilities(forest.predict(unseen))

    return fit


def _make_classifier_fit(
    settings: Settings, options: FitOptions, scale: NDArray[np.float32]
) -> FitScores:
    """Give the classifier that `train` fits, study effects included."""

    def fit(
        training: TrainingSamples, *, extra: RareRows | None, is_weighted: bool, seed: int
    ) -> Scores:
        del is_weighted  # not tried here: the shipped classifier has no class weights
        augment = None
        if extra is not None:
            augment = functools.partial(_append, made=extra, scale=scale)
        real = Samples(training.values / scale, training.labels, training.studies)
        classifier, _ = real.fit(settings, replace(options, augment=augment, seed=seed))
        return lambda unseen: classifier.predict_labels((unseen / scale).astype(np.float32))

    return fit


def choose_augmentation(
    asked: str,
    samples: Samples,
    pairs: Pairs,
    *,
    keys: Sequence[str],
    divisor: NDArray[np.floating] | None,
    settings: Settings,
    options: FitOptions,
) -> Augmentation:
    """Choose whether training gets synthetic samples of rare labels, and by which method.

    A label is rare with fewer than 50 training samples. Each method makes
    samples of the rare labels from the training side of each pair alone; the
    classifier is fitted with and without them and answers the other side. The
    method with the largest mean gain in average precision over none wins among
    those that gain 0.01 or more and whose gain lies above 0 with a certainty of 95%
    for all methods together (Student's t over labels and pairs, Bonferroni).
    None wins otherwise.

    Parameters
    ----------
    asked
        "none", "auto" or a method.
    samples
        Labelled samples.
    pairs
        Training and validation positions; never test samples.
    keys
        Label keys.
    divisor
        What a gene's value is divided by, for the genes of `samples`; None for nothing.
    settings
        Of the classifier; the comparison takes 30 trees and 1,000 genes at most.
    options
        What every fit shares.

    Returns
    -------
    Augmentation
        What is used, with the trials.

    Raises
    ------
    InvalidValueError
        If `asked` is no method.
    """
    check_augment(asked)
    n_genes = samples.values.shape[1]
    scale = np.ones(n_genes, dtype=np.float32)
    if divisor is not None and not settings.use_ranks:
        scale = np.asarray(divisor, dtype=np.float32)
    if asked != "auto":
        reason = "asked for; not compared"
        return Augmentation(asked, asked, reason, scale=scale, seed=options.seed)
    trial = replace(
        settings,
        n_trees=min(settings.n_trees, _N_TREES_TRIED),
        n_genes=min(settings.n_genes, _N_GENES_TRIED, n_genes),
    )
    trials: list[Trial] = []
    for step, pair in enumerate(pairs):
        trials += _compare(
            samples, pair, repeat=step, keys=keys, scale=scale, settings=trial, options=options
        )
        options.progress("choose augmentation", step + 1, len(pairs))
    found = _decide(trials)
    return replace(found, scale=scale, seed=options.seed)


def _compare(
    samples: Samples,
    pair: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    repeat: int,
    keys: Sequence[str],
    scale: NDArray[np.float32],
    settings: Settings,
    options: FitOptions,
) -> list[Trial]:
    """Score every method on the rare labels of one pair."""
    chosen = slice(settings.n_genes)
    known = scale[chosen]
    train, held = (samples.take(rows) for rows in pair)
    medians = training_medians(train.values[:, chosen], use_ranks=settings.use_ranks)
    sets, classes = fit_label_sets(train.labels)
    merged = sparse.csr_array(sets.sets[classes].astype(np.uint8))
    training, unseen = (
        collect_training(
            prepare_values(part.values[:, chosen], medians, use_ranks=settings.use_ranks) * known,
            labels,
            part.studies,
            keys=keys,
        )
        for part, labels in ((train, merged), (held, held.labels))
    )
    amounts: NDArray[np.int64] = np.asarray(merged.sum(axis=0)).ravel()
    rare = [key for key, n in zip(keys, amounts, strict=True) if 0 < n < RARE_BELOW]
    methods = [method for method in METHODS if _is_installed(method)]
    utility = UtilityOptions(
        _make_classifier_fit(settings, options, known),
        methods,
        is_weighted_tried=False,
        seed=options.seed,
    )
    return score_methods(training, unseen, rare, options=utility, repeat=repeat)


def _decide(trials: Sequence[Trial]) -> Augmentation:
    """Take the method that gained most among those that gained for certain, or none.

    Each method's gain has a one-sided bound at 1 - 0.05 / n for n methods (Bonferroni): the
    best of several gains by chance.
    """
    if not trials:
        reason = (
            f"no label with fewer than {RARE_BELOW} training samples has two samples in "
            "validation studies"
        )
        return Augmentation("auto", NONE, reason)
    n_methods = max(1, len({trial.method for trial in trials} - {NONE}))
    rows = summarize_utility(trials, by_size=False, confidence=1 - 2 * _ERROR / n_methods)
    labels = tuple(dict.fromkeys(trial.label for trial in trials))
    gains = {row["method"]: row["average_precision"] for row in rows if row["method"] != NONE}
    ranked = sorted(gains, key=lambda method: gains[method]["gain"], reverse=True)
    certain = [m for m in ranked if gains[m]["low"] > 0 and gains[m]["gain"] >= _MARGIN]
    best = (certain or ranked)[0]
    gain, low = gains[best]["gain"], gains[best]["low"]
    compared = f"over {len(labels)} rare labels on validation studies"
    bound = f"at least {low:+.3f} with {1 - _ERROR:.0%} certainty for {n_methods} methods together"
    if certain:
        reason = f"gained {gain:+.3f} in average precision over none ({bound}), {compared}"
        return Augmentation("auto", best, reason, labels, tuple(rows))
    if np.isnan(low):
        bound = "one comparison, so without a bound"
    reason = (
        f"no method gained {_MARGIN:g} or more in average precision for certain {compared}; "
        f"the best, {best}, gained {gain:+.3f} ({bound})"
    )
    return Augmentation("auto", NONE, reason, labels, tuple(rows))
