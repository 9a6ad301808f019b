"""Choose settings on studies that training has not seen."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from expressome.classification.classifier import (
    Classifier,
    ExtendTraining,
    Settings,
    fit_classifier,
    prepare_values,
)
from expressome.classification.folds import StudyKFold
from expressome.engine import Progress, ignore_progress
from expressome.errors import StudyWarning

__all__ = ["FitOptions", "Samples", "choose_settings", "score_cells", "validation_pairs"]

# A candidate must beat the default by this much: with few validation studies smaller
# differences are chance.
_MARGIN = 0.01
# With fewer validation studies, folds over all non-test studies decide instead.
_MIN_VALIDATION_STUDIES = 5
_N_FOLDS = 5
# The forest always has a say: what it votes holds where effects are not linear.
_LINEAR_SHARES = (0.0, 0.25, 0.5, 0.75)
_PENALTIES = (1.0, 3.0, 10.0)
_N_TREES_TRIED = 30


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What every fit of a run shares.

    Attributes
    ----------
    extend
        Gives samples of invented studies; None trains on real samples alone.
    seed
        Root of every random choice.
    n_workers
        Threads.
    progress
        Called as ``progress(stage, n_done, n_total)``.
    """

    extend: ExtendTraining | None = None
    seed: int = 0
    n_workers: int = 1
    progress: Progress = ignore_progress


@dataclass(frozen=True, slots=True)
class Samples:
    """Labelled samples and the order in which genes are to be taken.

    Attributes
    ----------
    values
        Normalised expression of candidate genes, best first, NaN where
        unmeasured, shape (n_samples, n_candidates).
    labels
        0/1, closed under parents, shape (n_samples, n_labels).
    studies
        Study of each sample, shape (n_samples,).
    """

    values: NDArray[np.float32]
    labels: sparse.csr_array
    studies: NDArray[np.object_]

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Samples":
        """Give some of the samples."""
        return Samples(self.values[rows], self.labels[rows], self.studies[rows])

    def fit(
        self, settings: Settings, options: FitOptions
    ) -> tuple[Classifier, NDArray[np.float32]]:
        """Fit a classifier on these samples; give it and the genes' medians."""
        medians = training_medians(self.values[:, : settings.n_genes])
        values = prepare_values(
            self.values[:, : settings.n_genes], medians, use_ranks=settings.use_ranks
        )
        with warnings.catch_warnings():
            # The pipeline says once, not per fit, that no label is held by two studies.
            warnings.simplefilter("ignore", StudyWarning)
            classifier = fit_classifier(
                values,
                self.labels,
                self.studies,
                settings=settings,
                extend=options.extend,
                seed=options.seed,
                n_workers=options.n_workers,
            )
        return classifier, medians


def training_medians(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute each gene's median over the samples that measured it.

    Parameters
    ----------
    values
        Shape (n_samples, n_genes), NaN where unmeasured.

    Returns
    -------
    ndarray
        float32, shape (n_genes,); 0 for a gene that no sample measured.

    Examples
    --------
    >>> training_medians(np.array([[1, np.nan], [3, np.nan]], np.float32)).tolist()
    [2.0, 0.0]
    """
    if not np.isnan(values).any():
        return np.asarray(np.median(values, axis=0), dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        medians = np.nanmedian(values, axis=0)
    return np.nan_to_num(medians).astype(np.float32)


def validation_pairs(
    parts: NDArray[np.object_],
    labels: sparse.csr_array,
    studies: NDArray[np.object_],
    *,
    seed: int,
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Give (training, validation) positions for choosing settings; never a test sample.

    Parameters
    ----------
    parts
        "train", "validation" or "test" per sample, shape (n_samples,).
    labels
        0/1, shape (n_samples, n_labels).
    studies
        Study of each sample, shape (n_samples,).
    seed
        Root of the folds.

    Returns
    -------
    list of tuple
        The stored split where it has 5 or more validation studies, else up to
        5 folds by study over all samples outside the test part; empty where
        there is only one study.
    """
    train, validation = np.flatnonzero(parts == "train"), np.flatnonzero(parts == "validation")
    if len(np.unique(studies[validation].astype(str))) >= _MIN_VALIDATION_STUDIES:
        return [(train, validation)]
    usable = np.flatnonzero(parts != "test")
    n_studies = len(np.unique(studies[usable].astype(str)))
    if n_studies < 2:
        return []
    folds = StudyKFold(min(_N_FOLDS, n_studies), seed=seed)
    pairs = folds.split(None, labels[usable], studies[usable])
    return [(usable[a], usable[b]) for a, b in pairs]


def score_cells(chosen: NDArray[np.bool_], labels: sparse.csr_array, studies: ArrayLike) -> float:
    """Compute F1 per sample between chosen and true labels, mean over (study, label).

    Every cell counts the same, so that neither a large study nor a common
    label decides. With one label per sample it is the share of right answers.

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
    float
        NaN without samples.

    Examples
    --------
    >>> labels = sparse.csr_array([[1, 0], [1, 0], [0, 1]])
    >>> score_cells(np.array([[True, False], [False, True], [False, True]]), labels, list("aaa"))
    0.75
    """
    rows, columns = sparse.csr_array(labels).nonzero()
    if len(rows) == 0:
        return float("nan")
    _, study = np.unique(np.asarray(studies, dtype=str), return_inverse=True)
    truth = sparse.csr_array(labels).toarray().astype(bool)
    n_both = (truth & chosen).sum(axis=1)
    f1 = 2 * n_both / np.maximum(truth.sum(axis=1) + chosen.sum(axis=1), 1)
    _, cell = np.unique(study[rows] * truth.shape[1] + columns, return_inverse=True)
    return float((np.bincount(cell, f1[rows]) / np.bincount(cell)).mean())


def choose_settings(
    samples: Samples,
    pairs: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    *,
    default: Settings,
    n_genes: Sequence[int],
    options: FitOptions,
) -> tuple[Settings, list[dict[str, Any]]]:
    """Choose the number of genes, the mix of forest and linear scores, and the penalty.

    First the number of genes and the mix are tried with the default penalty,
    then other penalties with the number so chosen. The score is `score_cells`
    of the most probable label sets, mean over the pairs. The default stays
    unless another setting beats it by 0.01.

    Parameters
    ----------
    samples
        Labelled samples.
    pairs
        Positions from `validation_pairs`.
    default
        What to start from, and to keep where nothing can be compared.
    n_genes
        Numbers of genes to try.
    options
        What every fit shares.

    Returns
    -------
    Settings
        The chosen ones.
    list of dict
        Every setting tried, with its score.
    """
    if not pairs:
        return default, []
    n_available = samples.values.shape[1]
    default = replace(default, n_genes=min(default.n_genes, n_available))
    tried = sorted({min(n, n_available) for n in (*n_genes, default.n_genes)})
    trials: dict[Settings, float] = {}
    votes: dict[int, list[_Votes]] = {}
    for step, n in enumerate(tried):
        start = replace(default, n_genes=n)
        votes[n] = [_vote(samples, pair, settings=start, options=options) for pair in pairs]
        trials |= {mixed: _score(votes[n], mixed.linear_share) for mixed in _mixes(start)}
        options.progress("choose settings", step + 1, len(tried) + 1)
    chosen = _best(trials, default)
    for penalty in _PENALTIES if chosen.linear_share > 0 else ():
        if penalty != default.penalty:
            start = replace(chosen, penalty=penalty)
            linear = replace(start, linear_share=1.0)
            again = [_vote(samples, pair, settings=linear, options=options) for pair in pairs]
            joined = [
                replace(new, forest=old.forest)
                for new, old in zip(again, votes[chosen.n_genes], strict=True)
            ]
            trials |= {mixed: _score(joined, mixed.linear_share) for mixed in _mixes(start)}
    options.progress("choose settings", len(tried) + 1, len(tried) + 1)
    shown = ("n_genes", "penalty", "linear_share")
    return _best(trials, default), [
        {name: getattr(trial, name) for name in shown} | {"score": score}
        for trial, score in trials.items()
    ]


def _best(trials: dict[Settings, float], default: Settings) -> Settings:
    """Give the best trial, or the default where it is as good but for the margin."""
    best = max(trials, key=lambda trial: trials[trial])
    return best if trials[best] >= trials[default] + _MARGIN else default


def _mixes(settings: Settings) -> list[Settings]:
    """Give the same settings with each mix of forest and linear scores."""
    if settings.linear_share in {0.0, 1.0}:
        return [settings]
    shares = {*_LINEAR_SHARES, settings.linear_share}
    return [replace(settings, linear_share=share) for share in sorted(shares)]


@dataclass(frozen=True, slots=True)
class _Votes:
    """What both halves of the ensemble say about held-out samples."""

    held: Samples
    sets: NDArray[np.bool_]
    forest: NDArray[np.float64] | None
    linear: NDArray[np.float64] | None


def _vote(
    samples: Samples,
    pair: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    settings: Settings,
    options: FitOptions,
) -> _Votes:
    """Fit on one side of a pair and answer the other."""
    train, held = (samples.take(rows) for rows in pair)
    trial = replace(settings, n_trees=min(settings.n_trees, _N_TREES_TRIED))
    classifier, medians = train.fit(trial, options)
    values = prepare_values(
        held.values[:, : settings.n_genes], medians, use_ranks=settings.use_ranks
    )
    forest = None if classifier.forest is None else classifier.forest.predict(values)
    linear = None if classifier.linear is None else classifier.linear.predict(values)
    return _Votes(held, classifier.label_sets.sets, forest, linear)


def _score(votes: list[_Votes], linear_share: float) -> float:
    """Score one mix, mean over pairs."""
    scores = []
    for vote in votes:
        mixed = np.zeros((len(vote.held.studies), len(vote.sets)))
        if vote.forest is not None:
            mixed += (1 - linear_share) * vote.forest
        if vote.linear is not None:
            mixed += linear_share * vote.linear
        chosen = vote.sets[mixed.argmax(axis=1)]
        scores.append(score_cells(chosen, vote.held.labels, vote.held.studies))
    return float(np.mean(scores))
