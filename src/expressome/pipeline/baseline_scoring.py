"""What every model is compared with: plain methods, the original's, a random split."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.classification.baselines import answer_original, answer_plainly
from expressome.classification.classifier import Settings, prepare_values
from expressome.classification.forest_tuning import thin_rows
from expressome.classification.intervals import compare_answers
from expressome.classification.label_sets import fit_label_sets
from expressome.classification.tuning import FitOptions, Samples, training_medians

__all__ = ["N_COMPARED", "score_plain_methods"]

# Samples that settings and plain methods are compared on at most: of more, the largest
# studies lose most. The model itself is fitted on all.
N_COMPARED = 10_000
_N_TREES_PLAIN = 100
_OURS = "this_model"


def score_plain_methods(
    samples: Samples,
    fit_rows: NDArray[np.int64],
    test_rows: NDArray[np.int64],
    *,
    settings: Settings,
    options: FitOptions,
    chosen: NDArray[np.bool_] | None = None,
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
    chosen
        What the model answered for the test samples, shape (n_test, n_labels).

    Returns
    -------
    dict
        Name -> scores, each with its intervals over studies: plain_forest, original,
        logistic_regression, nearest_centroid, with ``f1_macro_lead``, by how much the
        model leads over the same draws of studies; the forests and this model on a
        random split of the same sizes, with ``leak_f1_macro``, by how much that
        flatters. Each is fitted on 10,000 samples at most, ``n_fitted_on``.
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
    answers = _answer_forests(samples, few, test_rows, settings=plain, options=options)
    train, test = samples.take(few), samples.take(test_rows)
    known, values = _filled(train, test, settings.n_genes)
    sets, classes = fit_label_sets(train.labels)
    answers |= answer_plainly(known, classes, values, sets=sets.sets)
    ours = {} if chosen is None else {_OURS: chosen}
    found = _compare(samples, test_rows, ours | answers, options.seed, reference=bool(ours))
    by_chance = _answer_forests(samples, random_few, random_test, settings=plain, options=options)
    by_chance |= {_OURS: _answer(samples, random_few, random_test, settings, options)}
    leaky = _compare(samples, random_test, by_chance, options.seed, reference=False)
    for name in {"plain_forest", _OURS} & set(found):
        leaky[name]["leak_f1_macro"] = leaky[name]["f1_macro"] - found[name]["f1_macro"]
    found |= {f"{name}_random_split": leaky[name] for name in by_chance}
    found.pop(_OURS, None)
    return {name: scores | {"n_fitted_on": len(few)} for name, scores in found.items()}


def _compare(
    samples: Samples,
    rows: NDArray[np.int64],
    answers: dict[str, NDArray[np.bool_]],
    seed: int,
    *,
    reference: bool,
) -> dict[str, dict[str, Any]]:
    """Score answers for the same samples, against the model's where asked."""
    return compare_answers(
        samples.labels[rows],
        answers,
        samples.studies[rows],
        rng=np.random.default_rng([seed, 7]),
        reference=_OURS if reference else None,
    )


def _filled(
    train: Samples, test: Samples, n_genes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fill unmeasured genes of both with the training medians."""
    medians = training_medians(train.values[:, :n_genes])
    known = prepare_values(train.values[:, :n_genes], medians)
    return known, prepare_values(test.values[:, :n_genes], medians)


def _answer_forests(
    samples: Samples,
    fit_rows: NDArray[np.int64],
    test_rows: NDArray[np.int64],
    *,
    settings: Settings,
    options: FitOptions,
) -> dict[str, NDArray[np.bool_]]:
    """Answer by the plain forest and by the original's."""
    train, test = samples.take(fit_rows), samples.take(test_rows)
    known, values = _filled(train, test, settings.n_genes)
    original = answer_original(
        known, train.labels, values, seed=options.seed, n_workers=options.n_workers
    )
    forest = _answer(samples, fit_rows, test_rows, settings, options)
    return {"plain_forest": forest, "original": original}


def _answer(
    samples: Samples,
    fit_rows: NDArray[np.int64],
    test_rows: NDArray[np.int64],
    settings: Settings,
    options: FitOptions,
) -> NDArray[np.bool_]:
    """Fit a classifier and give its most probable label sets."""
    classifier, medians = samples.take(fit_rows).fit(settings, options)
    values = prepare_values(
        samples.values[test_rows][:, : settings.n_genes], medians, use_ranks=settings.use_ranks
    )
    votes = classifier.predict_sets(values)
    return np.asarray(classifier.label_sets.sets[votes.argmax(axis=1)])
