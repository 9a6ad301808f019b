"""What synthetic samples are worth: how well a classifier finds a rare label in unseen studies."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from expressome.augmentation.baselines import METHODS, Method
from expressome.augmentation.rare_labels import RareRows, make_rare
from expressome.augmentation.training_samples import TrainingSamples
from expressome.engine import Progress, ignore_progress
from expressome.errors import InvalidValueError

__all__ = [
    "CLASS_WEIGHTS",
    "NONE",
    "SIZES",
    "FitScores",
    "Trial",
    "UtilityOptions",
    "measure_utility",
    "score_methods",
    "summarize_utility",
]

# Real training samples of the rare label that the grid asks about.
SIZES = (5, 10, 20, 50)
# Names of the two ways without synthetic samples.
NONE = "none"
CLASS_WEIGHTS = "class-weights"
# Share of the label's studies, and of the others, that are left out whole.
_UNSEEN_OWN = 0.5
_UNSEEN_OTHER = 0.25
# Fewer held-out samples of a label say nothing of how it is ranked.
_MIN_HELD = 2

Scores = Callable[[NDArray[np.float32]], NDArray[np.float64]]


class FitScores(Protocol):
    """A classifier, handed in by who calls: rooms do not import each other."""

    def __call__(
        self,
        training: TrainingSamples,
        *,
        extra: RareRows | None,
        is_weighted: bool,
        seed: int,
    ) -> Scores:
        """Fit on real samples and extra rows; give the function that scores labels.

        That function takes values of shape (n_samples, n_genes) and gives the
        probability of each label, shape (n_samples, n_labels).
        """
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """Scores of one label by one method.

    Attributes
    ----------
    label
        Label key.
    n_real
        Real training samples of the label.
    repeat
        Which drawing of studies and samples, or which fold.
    method
        A method, or ``"none"``, or ``"class-weights"``.
    average_precision
        Over the samples of unseen studies.
    f1
        Where the label is answered: it is more probable than every label that no
        training sample carries beside it (at least one half where there is none).
    n_held
        Samples of the label in unseen studies.
    """

    label: str
    n_real: int
    repeat: int
    method: str
    average_precision: float
    f1: float
    n_held: int


@dataclass(frozen=True, slots=True)
class UtilityOptions:
    """What every comparison shares.

    Attributes
    ----------
    fit
        The classifier.
    methods
        Methods to try, beside none and class weights.
    n_new
        Synthetic samples per label set.
    is_weighted_tried
        Whether class weights are tried.
    seed
        Root of every random choice.
    """

    fit: FitScores
    methods: Sequence[Method] = METHODS
    n_new: int = 150
    is_weighted_tried: bool = True
    seed: int = 0


def score_methods(
    training: TrainingSamples,
    unseen: TrainingSamples,
    labels: Sequence[str],
    *,
    options: UtilityOptions,
    repeat: int = 0,
) -> list[Trial]:
    """Score rare labels with each method, with none and with class weights.

    All fits see the same real samples; only what is added differs. A label with
    too few samples for a method is scored without synthetic samples of it.

    Parameters
    ----------
    training
        Real samples, on the genes that the classifier reads.
    unseen
        Samples of other studies, same genes and labels.
    labels
        The rare labels.
    options
        Classifier, methods, seed.
    repeat
        Written to the trials; moves the seed.

    Returns
    -------
    list of Trial
        For each way and each label with two samples in unseen studies.
    """
    columns = [training.keys.index(label) for label in labels]
    truth = unseen.labels[:, columns].toarray() > 0
    carried = np.asarray(training.labels[:, columns].sum(axis=0)).ravel()
    scored = [i for i in range(len(labels)) if truth[:, i].sum() >= _MIN_HELD]
    trials: list[Trial] = []
    seed = options.seed + repeat

    def add(name: str, extra: RareRows | None, *, is_weighted: bool = False) -> None:
        scores = options.fit(training, extra=extra, is_weighted=is_weighted, seed=seed)
        found = scores(unseen.values)
        for i in scored:
            n_held = int(truth[:, i].sum())
            rivals = found[:, _exclusive(training.labels, columns[i])].max(axis=1, initial=0.0)
            own = found[:, columns[i]]
            figures = _score(truth[:, i], own, own > np.where(rivals > 0, rivals, 0.5))
            trials.append(Trial(labels[i], int(carried[i]), repeat, name, *figures, n_held))

    if not scored:
        return trials
    add(NONE, None)
    if options.is_weighted_tried:
        add(CLASS_WEIGHTS, None, is_weighted=True)
    for method in options.methods:
        rng = np.random.default_rng([seed, *method.encode()])
        extra = make_rare(
            training.values,
            training.labels,
            training.studies,
            method=method,
            n_per_set=options.n_new,
            columns=columns,
            rng=rng,
        )
        add(method, extra)
    return trials


def _exclusive(labels: sparse.csr_array, column: int) -> NDArray[np.intp]:
    """Give the labels that no sample carries beside one label."""
    together = labels.T @ labels[:, [column]]
    others = np.flatnonzero(together.toarray().ravel() == 0)
    return np.asarray(others[others != column], dtype=np.intp)


def _score(
    truth: NDArray[np.bool_], found: NDArray[np.float64], answered: NDArray[np.bool_]
) -> tuple[float, float]:
    """Give average precision, and F1 of the answers."""
    from sklearn.metrics import average_precision_score, f1_score

    return (
        float(average_precision_score(truth, found)),
        float(f1_score(truth, answered, zero_division=0)),
    )


def _cut(
    samples: TrainingSamples, label: str, sizes: Iterable[int], *, rng: np.random.Generator
) -> Iterator[tuple[TrainingSamples, TrainingSamples]]:
    """Leave studies out, and keep n samples of the label in the others; smaller n are nested."""
    holders = samples.holders(label)
    holds = np.zeros(samples.n_samples, dtype=bool)
    holds[holders] = True
    studies = samples.studies.astype(str)
    own = rng.permutation(np.unique(studies[holds]))
    other = rng.permutation(np.setdiff1d(np.unique(studies), own))
    n_own = min(len(own) - 1, max(1, round(_UNSEEN_OWN * len(own))))
    left_out = [*own[: max(n_own, 0)], *other[: round(_UNSEEN_OTHER * len(other))]]
    is_unseen = np.isin(studies, left_out)
    kept = rng.permutation(np.flatnonzero(holds & ~is_unseen))
    unseen = samples.select(np.flatnonzero(is_unseen))
    for n in sizes:
        if n <= len(kept) and n_own > 0:
            rows = np.concatenate([np.flatnonzero(~holds & ~is_unseen), kept[:n]])
            yield samples.select(np.sort(rows)), unseen


def measure_utility(
    samples: TrainingSamples,
    labels: Sequence[str],
    *,
    options: UtilityOptions,
    sizes: Sequence[int] = SIZES,
    n_repeats: int = 5,
    progress: Progress = ignore_progress,
) -> list[Trial]:
    """Make each label rare in turn, and score every method on studies left out whole.

    Half of the label's studies and a quarter of the others are left out, at
    random; of the label's samples in the studies that stay, n are kept. All
    methods of one repeat face the same cut, and 5 real samples are among the
    10, so differences are paired.

    Parameters
    ----------
    samples
        Labelled samples, on the genes that the classifier reads.
    labels
        Labels to make rare.
    options
        Classifier, methods, seed.
    sizes
        Real training samples of the label.
    n_repeats
        Drawings of studies and samples per label.
    progress
        Told of each label and repeat.

    Returns
    -------
    list of Trial
        Sizes that a label does not reach in the studies that stay are absent.

    Raises
    ------
    LabelError
        If a label is unknown.
    InvalidValueError
        If `n_repeats` is below 1.
    """
    if n_repeats < 1:
        msg = f"n_repeats is {n_repeats}; at least 1 is needed"
        raise InvalidValueError(msg)
    trials: list[Trial] = []
    n_done = 0
    for label in labels:
        for repeat in range(n_repeats):
            rng = np.random.default_rng([options.seed, repeat, *label.encode()])
            for training, unseen in _cut(samples, label, sizes, rng=rng):
                trials += score_methods(training, unseen, [label], options=options, repeat=repeat)
            n_done += 1
            progress("measure utility", n_done, len(labels) * n_repeats)
    return trials


def summarize_utility(
    trials: Sequence[Trial], *, by_size: bool = True, confidence: float = 0.95
) -> list[dict[str, Any]]:
    """Average the trials per size and method, with paired gains over no augmentation.

    The interval is that of Student's t over the pairs of one label and repeat.
    Pairs of one label share samples, so it is somewhat too narrow.

    Parameters
    ----------
    trials
        From `measure_utility` or `score_methods`.
    by_size
        Whether trials of another number of real samples are kept apart.
    confidence
        Of the intervals.

    Returns
    -------
    list of dict
        ``n_real`` (None over all sizes), ``method``, ``n_pairs``; ``average_precision`` and ``f1``,
        each with ``mean``, ``gain``, ``low`` and ``high`` (NaN with one pair).

    Examples
    --------
    >>> trials = [Trial("liver", 5, r, m, ap, 0.0, 9) for r in (0, 1)
    ...           for m, ap in (("none", 0.5), ("mixup", 0.6 + 0.1 * r))]
    >>> entry = summarize_utility(trials)[1]["average_precision"]
    >>> round(entry["mean"], 3), round(entry["gain"], 3)
    (0.65, 0.15)
    """
    names = list(dict.fromkeys(trial.method for trial in trials))
    sizes: list[int | None] = [*sorted({trial.n_real for trial in trials})] if by_size else [None]
    plain = {(t.n_real, t.label, t.repeat): t for t in trials if t.method == NONE}
    found = []
    for n_real, method in itertools.product(sizes, names):
        own = [t for t in trials if t.method == method and n_real in {None, t.n_real}]
        if not own:
            continue
        pairs = [plain[t.n_real, t.label, t.repeat] for t in own]
        entry: dict[str, Any] = {"n_real": n_real, "method": method, "n_pairs": len(own)}
        for score in ("average_precision", "f1"):
            values = np.array([getattr(t, score) for t in own])
            gains = values - np.array([getattr(t, score) for t in pairs])
            entry[score] = {"mean": float(values.mean())} | _interval(gains, confidence)
        found.append(entry)
    return found


def _interval(gains: NDArray[np.float64], confidence: float) -> dict[str, float]:
    """Give the mean gain and its interval."""
    mean, n_pairs = float(gains.mean()), len(gains)
    if n_pairs < 2:
        return {"gain": mean, "low": float("nan"), "high": float("nan")}
    quantile = stats.t.ppf((1 + confidence) / 2, n_pairs - 1)
    reach = float(quantile * gains.std(ddof=1) / np.sqrt(n_pairs))
    return {"gain": mean, "low": mean - reach, "high": mean + reach}
