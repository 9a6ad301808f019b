"""Choose settings on studies that training has not seen."""

import warnings
from collections.abc import Callable, Sequence
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
_N_TREES_TRIED = 50


def _ignore_progress(_stage: str, _n_done: int, _n_total: int) -> None:
    """Draw nothing."""


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
    progress: Callable[[str, int, int], None] = _ignore_progress


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


def score_cells(
    probabilities: NDArray[np.float64], labels: sparse.csr_array, studies: ArrayLike
) -> float:
    """Compute the share of right best labels, mean over (study, label).

    Parameters
    ----------
    probabilities
        Of each label, shape (n_samples, n_labels).
    labels
        True labels, 0/1, same shape.
    studies
        Study of each sample, shape (n_samples,).

    Returns
    -------
    float
        Right means: the sample's best answer is one of its labels. NaN without
        samples.

    Examples
    --------
    >>> labels = sparse.csr_array([[1, 0], [1, 0], [0, 1]])
    >>> score_cells(np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]]), labels, list("aaa"))
    0.75
    """
    rows, columns = sparse.csr_array(labels).nonzero()
    if len(rows) == 0:
        return float("nan")
    _, study = np.unique(np.asarray(studies, dtype=str), return_inverse=True)
    truth = sparse.csr_array(labels).toarray().astype(bool)
    is_right = truth[np.arange(len(truth)), probabilities.argmax(axis=1)]
    _, cell = np.unique(study[rows] * truth.shape[1] + columns, return_inverse=True)
    return float((np.bincount(cell, is_right[rows]) / np.bincount(cell)).mean())


def choose_settings(
    samples: Samples,
    pairs: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    *,
    default: Settings,
    n_genes: Sequence[int],
    options: FitOptions,
) -> tuple[Settings, list[dict[str, Any]]]:
    """Choose the number of genes, the penalty and the mix of forest and linear scores.

    Each choice is tried on every pair; the score is the share of right best
    labels, mean over (study, label) of the validation samples. The default
    stays unless another setting beats it by 0.01.

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
    scores: dict[tuple[int, float, float], list[float]] = {}
    tried = sorted({min(n, samples.values.shape[1]) for n in (*n_genes, default.n_genes)})
    n_total = len(tried) * len(pairs)
    for a, n in enumerate(tried):
        for b, (train, held) in enumerate(pairs):
            _try_settings(
                samples.take(train),
                samples.take(held),
                settings=replace(default, n_genes=n),
                options=options,
                scores=scores,
            )
            options.progress("choose settings", a * len(pairs) + b + 1, n_total)
    means = {key: float(np.mean(values)) for key, values in scores.items()}
    trials = [
        {"n_genes": n, "penalty": penalty, "linear_share": share, "score": score}
        for (n, penalty, share), score in means.items()
    ]
    base = (min(default.n_genes, samples.values.shape[1]), default.penalty, default.linear_share)
    best = max(means, key=lambda key: means[key])
    if means[best] < means.get(base, -1.0) + _MARGIN:
        best = base
    chosen = replace(default, n_genes=best[0], penalty=best[1], linear_share=best[2])
    return chosen, trials


def _try_settings(
    train: Samples,
    held: Samples,
    *,
    settings: Settings,
    options: FitOptions,
    scores: dict[tuple[int, float, float], list[float]],
) -> None:
    """Fit one forest and one set of weights per penalty; score all mixes of them."""
    has_both = 0 < settings.linear_share < 1
    forest_settings = replace(settings, n_trees=min(settings.n_trees, _N_TREES_TRIED))
    for penalty in _PENALTIES if settings.linear_share > 0 else (settings.penalty,):
        is_first = penalty == _PENALTIES[0] or settings.linear_share == 0
        share = settings.linear_share if is_first or not has_both else 1.0
        trial = replace(forest_settings, penalty=penalty, linear_share=share)
        classifier, medians = train.fit(trial, options)
        values = prepare_values(
            held.values[:, : settings.n_genes], medians, use_ranks=settings.use_ranks
        )
        sets = classifier.label_sets
        if classifier.forest is not None:
            forest_votes = classifier.forest.predict(values)
        linear_votes = None if classifier.linear is None else classifier.linear.predict(values)
        shares = _LINEAR_SHARES if has_both else (settings.linear_share,)
        for mix in shares:
            votes = np.zeros((len(values), len(sets.sets)))
            if mix < 1:
                votes += (1 - mix) * forest_votes
            if mix > 0 and linear_votes is not None:
                votes += mix * linear_votes
            probabilities = sets.to_label_probabilities(votes)
            score = score_cells(probabilities, held.labels, held.studies)
            scores.setdefault((settings.n_genes, penalty, mix), []).append(score)
