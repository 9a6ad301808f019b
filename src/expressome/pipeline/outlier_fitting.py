"""Learn on studies outside training what is unlike training."""

import numpy as np
from numpy.typing import NDArray

from expressome.classification.classifier import Settings, prepare_values
from expressome.classification.features import rank_within_samples
from expressome.classification.folds import StudyKFold
from expressome.classification.forest_tuning import thin_rows
from expressome.classification.label_sets import fit_label_sets
from expressome.classification.outliers import (
    OutlierBound,
    OutlierRule,
    fit_outlier_rule,
    no_rule,
)
from expressome.classification.resemblance import Resemblance, fit_resemblance
from expressome.classification.tuning import Samples, training_medians
from expressome.classification.usual_distances import FALSE_FLAGS

__all__ = ["fit_outliers", "learn_rule"]

# Of more samples, studies keep as many as fit: means and spread change little.
_N_FITTED = 10_000
# How similar an unseen sample seems depends on how many studies are known, so that the
# spaces the bound is learned in should lack as few of them as time allows.
_N_FOLDS = 15


def learn_rule(
    samples: Samples,
    rows: NDArray[np.integer],
    *,
    settings: Settings,
    seed: int,
    silent_share: float,
) -> OutlierRule:
    """Learn on folds by study how little unseen samples may resemble their classes.

    Parameters
    ----------
    samples
        All labelled samples.
    rows
        Positions outside the test part.
    settings
        The chosen ones.
    seed
        Root of the folds.
    silent_share
        Share of samples of known labels that no label's threshold is reached by: both
        flags together may be wrong in 5%, but distance always has half of that.

    Returns
    -------
    OutlierRule
        With an infinite bound where there is one study only.
    """
    label_sets, classes = fit_label_sets(samples.labels)
    n_sets = len(label_sets.sets)
    rng = np.random.default_rng([seed, 7])
    few = thin_rows(np.asarray(rows, np.int64), samples.studies, n_samples=_N_FITTED, rng=rng)
    n_studies = len(np.unique(samples.studies[few].astype(str)))
    if n_studies < 2:
        return no_rule(n_sets)
    held_rows, found = [], []
    folds = StudyKFold(min(_N_FOLDS, n_studies), seed=seed)
    for train, held in folds.split(None, samples.labels[few], samples.studies[few]):
        space = _fit_space(samples.take(few[train]), classes[few[train]], n_sets, settings, seed)
        known = few[held][space.n_studies[classes[few[held]]] > 0]
        held_rows.append(known)
        found.append(space.compare(_take_genes(samples.values[known], settings)))
    positions = np.concatenate(held_rows)
    if not len(positions):
        return no_rule(n_sets)
    return fit_outlier_rule(
        np.concatenate(found),
        samples.studies[positions],
        false_flags=max(FALSE_FLAGS / 2, FALSE_FLAGS - silent_share),
    )


def fit_outliers(
    samples: Samples,
    rows: NDArray[np.integer],
    rule: OutlierRule,
    *,
    settings: Settings,
    seed: int,
) -> OutlierBound:
    """Measure where the classes of samples lie, to be judged by a learned rule.

    Parameters
    ----------
    samples
        All labelled samples, as `learn_rule` took them: they number the classes.
    rows
        Positions of those the shipped model may see.
    rule
        From `learn_rule`.
    settings
        The chosen ones.
    seed
        Thins large studies.

    Returns
    -------
    OutlierBound
        As the model keeps it.
    """
    rng = np.random.default_rng([seed, 8])
    few = thin_rows(np.asarray(rows, np.int64), samples.studies, n_samples=_N_FITTED, rng=rng)
    label_sets, classes = fit_label_sets(samples.labels)
    space = _fit_space(samples.take(few), classes[few], len(label_sets.sets), settings, seed)
    return OutlierBound(space, rule)


def _take_genes(values: NDArray[np.float32], settings: Settings) -> NDArray[np.float32]:
    """Take the chosen genes, NaN where unmeasured, on the scale of the classifier."""
    chosen = values[:, : settings.n_genes]
    return rank_within_samples(chosen) if settings.use_ranks else chosen


def _fit_space(
    samples: Samples,
    classes: NDArray[np.int64],
    n_classes: int,
    settings: Settings,
    seed: int,
) -> Resemblance:
    """Fit the space on these samples."""
    values = _take_genes(samples.values, settings)
    return fit_resemblance(
        prepare_values(values, training_medians(values)),
        classes,
        samples.studies,
        n_classes=n_classes,
        rng=np.random.default_rng([seed, 9]),
    )
