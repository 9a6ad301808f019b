"""What every model is compared with: plain methods, the original's, a random split."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.classification.baselines import score_baselines, score_original
from expressome.classification.classifier import Settings, prepare_values
from expressome.classification.forest_tuning import thin_rows
from expressome.classification.label_sets import fit_label_sets
from expressome.classification.scores import score_labels
from expressome.classification.tuning import FitOptions, Samples, training_medians

__all__ = ["N_COMPARED", "score_plain_methods"]

# Samples that settings and plain methods are compared on at most: of more, the largest
# studies lose most. The model itself is fitted on all.
N_COMPARED = 10_000
_N_TREES_PLAIN = 100
_SCORES = ("n_samples", "f1_samples", "f1_micro", "f1_macro")


def score_plain_methods(
    samples: Samples,
    fit_rows: NDArray[np.int64],
    test_rows: NDArray[np.int64],
    *,
    settings: Settings,
    options: FitOptions,
    f1_macro: float | None,
) -> dict[str, Any]:
    """Score plain methods on the same studies, and the leak of a random split.

    Parameters
    ----------
    samples
        All labelled samples.
    fit_rows, test_rows
        Positions to fit on and to score.
    settings
        Of the model; plain methods read as many genes.
    options
        What every fit shares.
    f1_macro
        Of the model on the test studies.

    Returns
    -------
    dict
        Name -> scores: plain_forest, original, logistic_regression,
        nearest_centroid; the forests and this model on a random split of the same
        sizes, with ``leak_f1_macro``, by how much that flatters. Each is fitted on
        10,000 samples at most, ``n_fitted_on``.
    """
    # Plain means real samples alone, and the random split mixes test samples in.
    options = replace(options, augment=None)
    rng = np.random.default_rng([options.seed, 4])
    shuffled = rng.permutation(len(samples.studies))
    random_fit, random_test = shuffled[len(test_rows) :], shuffled[: len(test_rows)]
    few, random_few = (
        thin_rows(rows, samples.studies, n_samples=N_COMPARED, rng=rng)
        for rows in (fit_rows, random_fit)
    )
    plain = Settings(
        n_genes=settings.n_genes,
        n_trees=_N_TREES_PLAIN,
        study_effects=False,
        linear_share=0.0,
    )
    by_study = _score_plain(samples, few, test_rows, settings=plain, options=options)
    by_chance = _score_plain(samples, random_few, random_test, settings=plain, options=options)
    ours = _score_fit(samples, random_few, random_test, settings=settings, options=options)
    train, test = samples.take(few), samples.take(test_rows)
    known, values = _filled(train, test, settings.n_genes)
    sets, classes = fit_label_sets(train.labels)
    linear = score_baselines(known, classes, values, sets=sets.sets, test_labels=test.labels)
    found = by_study | linear
    found |= {f"{name}_random_split": scores for name, scores in by_chance.items()}
    found["this_model_random_split"] = ours
    leaks = (
        ("plain_forest_random_split", by_study["plain_forest"]["f1_macro"]),
        ("this_model_random_split", f1_macro),
    )
    for name, honest in leaks:
        if honest is not None:
            found[name]["leak_f1_macro"] = found[name]["f1_macro"] - honest
    return {name: scores | {"n_fitted_on": len(few)} for name, scores in found.items()}


def _filled(
    train: Samples, test: Samples, n_genes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fill unmeasured genes of both with the training medians."""
    medians = training_medians(train.values[:, :n_genes])
    known = prepare_values(train.values[:, :n_genes], medians)
    return known, prepare_values(test.values[:, :n_genes], medians)


def _score_plain(
    samples: Samples,
    fit_rows: NDArray[np.int64],
    test_rows: NDArray[np.int64],
    *,
    settings: Settings,
    options: FitOptions,
) -> dict[str, dict[str, Any]]:
    """Fit and score the plain forest and the original's forest."""
    forest = _score_fit(samples, fit_rows, test_rows, settings=settings, options=options)
    train, test = samples.take(fit_rows), samples.take(test_rows)
    known, values = _filled(train, test, settings.n_genes)
    original = score_original(
        known,
        train.labels,
        values,
        test_labels=test.labels,
        seed=options.seed,
        n_workers=options.n_workers,
    )
    return {"plain_forest": forest, "original": original}


def _score_fit(
    samples: Samples,
    fit_rows: NDArray[np.int64],
    test_rows: NDArray[np.int64],
    *,
    settings: Settings,
    options: FitOptions,
) -> dict[str, Any]:
    """Fit a classifier and score its most probable label sets."""
    test = samples.take(test_rows)
    classifier, medians = samples.take(fit_rows).fit(settings, options)
    values = prepare_values(
        test.values[:, : settings.n_genes], medians, use_ranks=settings.use_ranks
    )
    sets, votes = classifier.label_sets, classifier.predict_sets(values)
    scores = score_labels(
        test.labels,
        sets.sets[votes.argmax(axis=1)],
        sets.to_label_probabilities(votes),
        label_keys=[str(k) for k in range(test.labels.shape[1])],
    )
    return {name: scores[name] for name in _SCORES}
