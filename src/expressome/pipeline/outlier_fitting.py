"""Learn on studies outside training what is unlike training."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from expressome.classification.classifier import Settings, prepare_values
from expressome.classification.evaluation import LabelTree
from expressome.classification.folds import fold_pairs
from expressome.classification.forest_tuning import thin_rows
from expressome.classification.label_sets import fit_label_sets, specific_labels
from expressome.classification.outliers import (
    OutlierBound,
    OutlierRule,
    fit_outlier_rule,
    no_rule,
)
from expressome.classification.resemblance import Likeness, Resemblance, fit_resemblance
from expressome.classification.tuning import FitOptions, Samples, training_medians
from expressome.classification.usual_distances import FALSE_FLAGS, bound_distance

__all__ = ["fit_outliers", "learn_rule"]

# Of more samples, studies keep as many as fit: means and spread change little.
_N_FITTED = 10_000


def learn_rule(
    samples: Samples,
    rows: NDArray[np.integer],
    *,
    settings: Settings,
    options: FitOptions,
    tree: LabelTree,
    silent_share: float,
) -> tuple[OutlierRule, int, int | None]:
    """Learn the rule on folds by study, and set its bound.

    Parameters
    ----------
    samples
        All labelled samples.
    rows
        Positions outside the test part.
    settings, options
        The chosen ones, and the seed.
    tree
        Names and parents of the labels.
    silent_share
        Share of samples of known labels that no label's threshold is reached by: both
        flags together may be wrong in 5%, but distance always has half of that.

    Returns
    -------
    OutlierRule
        With a bound; infinite where there are too few studies for one.
    int
        Labels that were hidden in turn.
    int or None
        Studies of the spaces that the bound holds in, mean over folds; None without.
    """
    label_sets, classes = fit_label_sets(samples.labels)
    n_sets = len(label_sets.sets)
    rng = np.random.default_rng([options.seed, 7])
    few = thin_rows(np.asarray(rows, np.int64), samples.studies, n_samples=_N_FITTED, rng=rng)
    held_rows, found, n_fitted = [], [], []
    for train, held in fold_pairs(few, samples.labels, samples.studies, seed=options.seed):
        space, medians = _fit_space(samples.take(train), classes[train], n_sets, settings, options)
        values = prepare_values(
            samples.values[held][:, : settings.n_genes], medians, use_ranks=settings.use_ranks
        )
        is_known = space.n_studies[classes[held]] > 0
        held_rows.append(held[is_known])
        n_fitted.append(len(np.unique(samples.studies[train].astype(str))))
        found.append(space.compare(values[is_known]))
    positions = np.concatenate(held_rows) if held_rows else np.zeros(0, np.int64)
    if not len(positions):
        return no_rule(n_sets), 0, None
    best_of_set = specific_labels(label_sets, tree.parents, tree.sizes)
    labels = best_of_set[classes[positions]]
    learned = fit_outlier_rule(
        _join(found),
        samples.studies[positions],
        hidden=label_sets.sets[:, labels].T,
        labels=labels,
        rng=rng,
    )
    bound = bound_distance(
        learned.distances,
        samples.studies[positions],
        false_flags=max(FALSE_FLAGS / 2, FALSE_FLAGS - silent_share),
    )
    return replace(learned.rule, bound=bound), learned.n_hidden, round(np.mean(n_fitted))


def fit_outliers(
    samples: Samples,
    rule: OutlierRule,
    *,
    settings: Settings,
    options: FitOptions,
    n_spread_studies: int | None = None,
) -> OutlierBound:
    """Measure where the classes of these samples lie, to be judged by a learned rule.

    Parameters
    ----------
    samples
        What the shipped model may see.
    rule
        From `learn_rule`.
    settings, options
        The chosen ones, and the seed.
    n_spread_studies
        Studies whose spread is taken, as `learn_rule` gives it; None takes all.

    Returns
    -------
    OutlierBound
        As the model keeps it.
    """
    rng = np.random.default_rng([options.seed, 8])
    every = np.arange(len(samples.studies))
    few = thin_rows(every, samples.studies, n_samples=_N_FITTED, rng=rng)
    label_sets, classes = fit_label_sets(samples.labels)
    space, _ = _fit_space(
        samples.take(few),
        classes[few],
        len(label_sets.sets),
        settings,
        options,
        n_spread_studies=n_spread_studies,
    )
    return OutlierBound(space, rule)


def _fit_space(
    samples: Samples,
    classes: NDArray[np.int64],
    n_classes: int,
    settings: Settings,
    options: FitOptions,
    *,
    n_spread_studies: int | None = None,
) -> tuple[Resemblance, NDArray[np.float32]]:
    """Fit the space on these samples; give the genes' medians too."""
    chosen = samples.values[:, : settings.n_genes]
    medians = training_medians(chosen, use_ranks=settings.use_ranks)
    values = prepare_values(chosen, medians, use_ranks=settings.use_ranks)
    rng = np.random.default_rng([options.seed, 9])
    space = fit_resemblance(
        values,
        classes,
        samples.studies,
        n_classes=n_classes,
        rng=rng,
        n_spread_studies=n_spread_studies,
    )
    return space, medians


def _join(parts: list[Likeness]) -> Likeness:
    """Put the samples of all folds together."""
    return Likeness(
        np.concatenate([part.similarity for part in parts]),
        np.concatenate([part.distance for part in parts]),
        np.concatenate([part.along for part in parts]),
        np.concatenate([part.beside for part in parts]),
    )
