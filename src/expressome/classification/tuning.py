"""Choose settings on studies that training has not seen."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.classification.cells import score_cells
from expressome.classification.classifier import (
    Classifier,
    EffectFunctions,
    Settings,
    fit_classifier,
    pose_linear_half,
    prepare_values,
    solve_linear_half,
)
from expressome.classification.features import rank_within_samples
from expressome.classification.folds import fold_pairs
from expressome.classification.label_sets import fit_label_sets
from expressome.engine import Progress, ignore_progress
from expressome.errors import StudyWarning

__all__ = ["FitOptions", "Samples", "choose_settings", "validation_pairs"]

# A candidate must beat the default by this much, and by one standard error of the
# difference: with few validation studies smaller differences are chance.
_MARGIN = 0.01
# With fewer validation studies, folds over all non-test studies decide instead.
_MIN_VALIDATION_STUDIES = 5
# The forest always has a say: what it votes holds where effects are not linear.
_LINEAR_SHARES = (0.0, 0.25, 0.5, 0.75)
_PENALTIES = (0.3, 1.0, 3.0)
_LINEAR_STRENGTHS = (0.0, 1.0, 2.0)
# Strength and lowest weight of the forest's invented samples, beside the default.
_EFFECTS_TRIED = ((2.0, 0.7), (1.0, 0.5))
_N_TREES_TRIED = 30
_N_PER_LABEL_TRIED = 50


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What every fit of a run shares.

    Attributes
    ----------
    effects
        Learns and invents study effects; None trains on real samples alone.
    seed
        Root of every random choice.
    n_workers
        Threads.
    cluster
        Address of a Dask cluster that grows the trees.
    progress
        Called as ``progress(stage, n_done, n_total)``.
    augment
        Gives real samples and synthetic ones of rare label sets: values, labels and
        studies of both; None for real samples alone.
    """

    effects: EffectFunctions | None = None
    seed: int = 0
    n_workers: int = 1
    cluster: str | None = None
    progress: Progress = ignore_progress
    augment: Callable[..., tuple[Any, sparse.csr_array, NDArray[np.object_]]] | None = None


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
        medians = training_medians(self.values[:, : settings.n_genes], use_ranks=settings.use_ranks)
        values = prepare_values(
            self.values[:, : settings.n_genes], medians, use_ranks=settings.use_ranks
        )
        labels, studies = self.labels, self.studies
        if options.augment is not None:
            values, labels, studies = options.augment(values, labels, studies)
        with warnings.catch_warnings():
            # The pipeline says once, not per fit, that no label is held by two studies.
            warnings.simplefilter("ignore", StudyWarning)
            classifier = fit_classifier(
                values,
                labels,
                studies,
                settings=settings,
                effects=options.effects,
                seed=options.seed,
                growing={"n_workers": options.n_workers, "cluster": options.cluster},
            )
        return classifier, medians


def training_medians(
    values: NDArray[np.float32], *, use_ranks: bool = False
) -> NDArray[np.float32]:
    """Compute each gene's median over the samples that measured it.

    Parameters
    ----------
    values
        Shape (n_samples, n_genes), NaN where unmeasured.
    use_ranks
        Whether medians of the ranks within samples are wanted.

    Returns
    -------
    ndarray
        float32, shape (n_genes,); 0 for a gene that no sample measured.

    Examples
    --------
    >>> training_medians(np.array([[1, np.nan], [3, np.nan]], np.float32)).tolist()
    [2.0, 0.0]
    """
    if use_ranks:
        values = rank_within_samples(values)
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
    return fold_pairs(np.flatnonzero(parts != "test"), labels, studies, seed=seed)


def choose_settings(
    samples: Samples,
    pairs: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    *,
    default: Settings,
    n_genes: Sequence[int],
    options: FitOptions,
) -> tuple[Settings, list[dict[str, Any]]]:
    """Choose genes, the mix of forest and linear scores, penalty and study effects.

    First the number of genes, the mix, and the linear scores' penalty and
    strength of study effects; then, with these, the strength and the mixing of the
    forest's invented samples. The score is `score_cells` of the most probable
    label sets on studies left out of the fit, mean over the cells of all pairs. The
    default stays unless another setting beats it by 0.01 and by one standard error
    of the difference over cells.

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
    trials: dict[Settings, NDArray[np.float64]] = {}
    votes: dict[int, list[_Votes]] = {}
    for step, n in enumerate(tried):
        start = replace(default, n_genes=n)
        votes[n] = [_vote(samples, pair, settings=start, options=options) for pair in pairs]
        trials |= {mixed: _score(votes[n], mixed) for mixed in _mixes(start, options)}
        options.progress("choose settings", step + 1, len(tried) + 1)
    chosen = _best(trials, default)
    if chosen.linear_share < 1 and options.effects is not None and chosen.study_effects:
        for strength, weight in _EFFECTS_TRIED:
            trial = replace(chosen, effect_strength=strength, lowest_weight=weight)
            again = [
                replace(old, forest=_vote_forest(samples, pair, settings=trial, options=options))
                for old, pair in zip(votes[chosen.n_genes], pairs, strict=True)
            ]
            trials[trial] = _score(again, trial)
        # The winner of the first round is what the second has to beat.
        chosen = _best({t: trials[t] for t in trials if _same_genes(t, chosen)}, chosen)
    options.progress("choose settings", len(tried) + 1, len(tried) + 1)
    shown = (
        "n_genes",
        "penalty",
        "linear_strength",
        "linear_share",
        "effect_strength",
        "lowest_weight",
    )
    return chosen, [
        {name: getattr(trial, name) for name in shown}
        | {"score": float(scores.mean()) if len(scores) else None}
        for trial, scores in trials.items()
    ]


def _same_genes(one: Settings, other: Settings) -> bool:
    """Say whether settings differ in the forest's study effects at most."""
    return replace(one, effect_strength=0, lowest_weight=1) == replace(
        other, effect_strength=0, lowest_weight=1
    )


def _best(trials: dict[Settings, NDArray[np.float64]], default: Settings) -> Settings:
    """Give the best trial that clearly beats the default, or the default.

    The rule of one standard error: Breiman et al. 1984, Classification and
    Regression Trees, section 3.4.3.
    """
    leads = {}
    for trial, scores in trials.items() if len(trials[default]) else ():
        gain = scores - trials[default]
        error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
        if gain.mean() >= max(_MARGIN, error):
            leads[trial] = float(gain.mean())
    return max(leads, key=lambda trial: leads[trial]) if leads else default


def _mixes(settings: Settings, options: FitOptions) -> list[Settings]:
    """Give the same settings with each mix, penalty and strength of the linear scores."""
    if settings.linear_share == 0:
        return [settings]
    shares = {settings.linear_share}
    if settings.linear_share < 1:
        shares |= set(_LINEAR_SHARES)
    knows_effects = options.effects is not None and settings.study_effects
    strengths = {settings.linear_strength, *(_LINEAR_STRENGTHS if knows_effects else ())}
    penalties = {settings.penalty, *_PENALTIES}
    return [
        replace(settings, linear_share=share, penalty=penalty, linear_strength=strength)
        for share in sorted(shares)
        for penalty in sorted(penalties)
        for strength in sorted(strengths)
        # Without linear scores their settings do not matter.
        if share > 0 or (penalty, strength) == (settings.penalty, settings.linear_strength)
    ]


@dataclass(frozen=True, slots=True)
class _Votes:
    """What both halves of the ensemble say about held-out samples.

    The linear scores stand under (penalty, strength).
    """

    held: Samples
    sets: NDArray[np.bool_]
    forest: NDArray[np.float64] | None
    linear: dict[tuple[float, float], NDArray[np.float64]]


def _vote(
    samples: Samples,
    pair: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    settings: Settings,
    options: FitOptions,
) -> _Votes:
    """Fit on one side of a pair and answer the other."""
    train, held = (samples.take(rows) for rows in pair)
    label_sets, classes = fit_label_sets(train.labels)
    forest = None
    if settings.linear_share < 1:
        forest = _vote_forest(samples, pair, settings=settings, options=options)
    medians = training_medians(train.values[:, : settings.n_genes], use_ranks=settings.use_ranks)
    known, unseen = (
        prepare_values(part.values[:, : settings.n_genes], medians, use_ranks=settings.use_ranks)
        for part in (train, held)
    )
    linear = {}
    if settings.linear_share > 0:
        learned = None
        if options.effects is not None and settings.study_effects:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", StudyWarning)
                learned = options.effects.learn(known, train.labels, train.studies)
        problem = pose_linear_half(
            known, classes, train.studies, n_classes=len(label_sets.sets), known=learned
        )
        linear = {
            (trial.penalty, trial.linear_strength): solve_linear_half(problem, trial).predict(
                unseen
            )
            for trial in _mixes(replace(settings, linear_share=1.0), options)
        }
    return _Votes(held, label_sets.sets, forest, linear)


def _vote_forest(
    samples: Samples,
    pair: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    settings: Settings,
    options: FitOptions,
) -> NDArray[np.float64]:
    """Grow a small forest on one side of a pair and let it answer the other."""
    train, held = (samples.take(rows) for rows in pair)
    n_trees, n_rows = min(settings.n_trees, _N_TREES_TRIED), _N_PER_LABEL_TRIED
    small = replace(settings, linear_share=0.0, n_trees=n_trees, n_per_label=n_rows)
    classifier, medians = train.fit(small, options)
    values = prepare_values(
        held.values[:, : settings.n_genes], medians, use_ranks=settings.use_ranks
    )
    return classifier.predict_sets(values)


def _score(votes: list[_Votes], settings: Settings) -> NDArray[np.float64]:
    """Score one mix in each cell whose label the fit knew."""
    share = settings.linear_share
    scores = []
    for vote in votes:
        mixed = np.zeros((len(vote.held.studies), len(vote.sets)))
        if vote.forest is not None:
            mixed += (1 - share) * vote.forest
        if share > 0:
            mixed += share * vote.linear[settings.penalty, settings.linear_strength]
        chosen = vote.sets[mixed.argmax(axis=1)]
        is_known = np.flatnonzero(vote.sets.any(axis=0))
        truth = sparse.csr_array(vote.held.labels[:, is_known])
        scores.append(score_cells(chosen[:, is_known], truth, vote.held.studies))
    return np.concatenate(scores)
