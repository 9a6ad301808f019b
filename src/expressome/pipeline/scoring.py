"""Calibrate on studies outside training, and score on test studies."""

import warnings
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.classification.calibration import (
    apply_temperature,
    fit_confidence_bound,
    fit_thresholds,
    study_weights,
)
from expressome.classification.classifier import (
    Classifier,
    Settings,
    prepare_values,
)
from expressome.classification.evaluation import (
    LabelTree,
    Origins,
    choose_answers,
    score_answers,
)
from expressome.classification.folds import fold_pairs
from expressome.classification.importance import (
    Importance,
    measure_importance,
    merge_importance,
)
from expressome.classification.label_maps import LabelMaps, choose_calibration
from expressome.classification.label_sets import LabelSets, fit_label_sets, specific_labels
from expressome.classification.model import choose_labels
from expressome.classification.outliers import OutlierRule, no_rule
from expressome.classification.tuning import FitOptions, Samples
from expressome.errors import LabelWarning, first_few
from expressome.pipeline.baseline_scoring import score_plain_methods
from expressome.pipeline.outlier_fitting import learn_rule

__all__ = ["Calibrated", "calibrate", "score_test"]

# With more training samples the model that calibration fitted is tested too, instead of
# one fitted anew on training and validation samples: half an hour is saved, little lost.
_N_FITTED_ANEW = 20_000


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What studies outside training taught about the classifier's answers.

    Attributes
    ----------
    temperature
        Of the set probabilities.
    thresholds
        Per label.
    lowest_confidence
        Below it a sample is unknown.
    rule
        Tells samples unlike training, so that with those below all thresholds 5% of
        the samples of unseen studies are flagged.
    scores
        As `score_answers` gives them, of the calibration samples; None without.
    label_maps
        Calibration of each label by itself, where it won over the temperature.
    choice
        How the calibration was chosen.
    importance
        Of each gene for each label, on unseen studies; None without.
    fitted
        The model of the training studies and its medians, where there was one only.
    """

    temperature: float
    thresholds: NDArray[np.float64]
    lowest_confidence: float
    rule: OutlierRule
    scores: dict[str, Any] | None
    label_maps: LabelMaps | None = None
    choice: dict[str, Any] = field(default_factory=dict)
    importance: Importance | None = None
    fitted: tuple[Classifier, NDArray[np.float32]] | None = None

    def calibrate(self, classifier: Classifier) -> Classifier:
        """Give a classifier this calibration."""
        return replace(classifier, temperature=self.temperature, label_maps=self.label_maps)


@dataclass(frozen=True, slots=True)
class _Unseen:
    """Answers for samples whose study was left out of the fit."""

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    importance: Importance | None
    fitted: tuple[Classifier, NDArray[np.float32]] | None


def _predict_unseen(
    samples: Samples,
    pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    *,
    settings: Settings,
    options: FitOptions,
    label_sets: LabelSets,
) -> _Unseen:
    """Fit on each pair's training samples and answer its held-out samples."""
    rows, probabilities, importance = [], [], []
    rng = np.random.default_rng([options.seed, 6])
    number = {tuple(np.flatnonzero(held)): c for c, held in enumerate(label_sets.sets)}
    for train, held in pairs:
        part = samples.take(train)
        classifier, medians = part.fit(settings, options)
        values = prepare_values(
            samples.values[held][:, : settings.n_genes], medians, use_ranks=settings.use_ranks
        )
        own = classifier.predict_sets(values)
        aligned = np.zeros((len(held), len(label_sets.sets)))
        # Rare sets may be classes here and not in the whole: then the first stands for them.
        targets = [number.get(tuple(np.flatnonzero(s)), -1) for s in classifier.label_sets.sets]
        for c, target in enumerate(targets):
            if target >= 0:
                aligned[:, target] += own[:, c]
        rows.append(held)
        probabilities.append(aligned / np.maximum(aligned.sum(axis=1, keepdims=True), 1e-12))
        importance.append(
            measure_importance(
                classifier, values, samples.labels[held], studies=samples.studies[held], rng=rng
            )
        )
    return _Unseen(
        np.concatenate(rows),
        np.concatenate(probabilities),
        merge_importance(importance),
        (classifier, medians) if len(pairs) == 1 else None,
    )


def calibrate(
    samples: Samples,
    pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    *,
    settings: Settings,
    options: FitOptions,
    tree: LabelTree,
    max_error: float | None,
) -> Calibrated:
    """Fit temperature, thresholds and bounds on samples of studies left out of the fit.

    Parameters
    ----------
    samples
        All labelled samples.
    pairs
        Training and validation positions.
    settings
        The chosen ones.
    options
        What every fit shares.
    tree
        Names and parents of the labels.
    max_error
        Bound on the error among answered samples; None for none. With it every study
        outside the test part is left out once, instead of the validation studies alone.

    Returns
    -------
    Calibrated
        With thresholds of 0.5 and no bound where there is nothing to learn from.
    """
    label_sets, classes = fit_label_sets(samples.labels)
    if not pairs:
        msg = (
            "all samples belong to one study, so nothing can be validated: probabilities are "
            "not calibrated and thresholds are 0.5; add studies"
        )
        warnings.warn(msg, LabelWarning, stacklevel=3)
        n_sets, n_labels = label_sets.sets.shape
        return Calibrated(1.0, np.full(n_labels, 0.5), 0.0, no_rule(n_sets), None)
    if max_error is not None and len(pairs) == 1:
        # What can be promised grows with the number of studies: leave each out once.
        pairs = fold_pairs(
            np.sort(np.concatenate(pairs[0])), samples.labels, samples.studies, seed=options.seed
        )
    unseen = _predict_unseen(
        samples, pairs, settings=settings, options=options, label_sets=label_sets
    )
    studies, labels = samples.studies[unseen.rows], samples.labels[unseen.rows]
    # A label that only its own study carries cannot be right when that study is held out.
    is_learned = _is_learnable(samples, pairs)[unseen.rows]
    best_of_set = specific_labels(label_sets, tree.parents, tree.sizes)
    temperature, label_maps, choice = choose_calibration(
        unseen.probabilities[is_learned],
        classes[unseen.rows][is_learned],
        studies[is_learned],
        label_sets=label_sets,
        parents=tree.parents,
        best_of_set=best_of_set,
    )
    probabilities = apply_temperature(unseen.probabilities, temperature)
    calibrated = Classifier(label_sets, None, None, 0.0, label_maps=label_maps)
    by_label = calibrated.to_labels(probabilities)
    thresholds = fit_thresholds(labels[is_learned], by_label[is_learned], studies[is_learned])
    bound = 0.0
    if max_error is not None:
        best = best_of_set[probabilities.argmax(axis=1)]
        rows = np.arange(len(best))
        is_right = labels.toarray().astype(bool)[rows, best]
        found_bound = fit_confidence_bound(
            by_label[rows, best], is_right, studies, max_error=max_error
        )
        bound = found_bound.bound
        choice = choice | {"error_bound": asdict(found_bound)}
    is_silent = ~choose_labels(by_label[is_learned], thresholds, tree.parents).any(axis=1)
    rule = learn_rule(
        samples,
        np.unique(np.concatenate([np.concatenate(pair) for pair in pairs])),
        settings=settings,
        seed=options.seed,
        silent_share=float(study_weights(studies[is_learned])[is_silent].sum()),
    )
    choice = choice | {"n_studies_for_unknown": rule.n_studies}
    scores = score_answers(
        labels,
        Origins(studies),
        probabilities,
        classifier=calibrated,
        thresholds=thresholds,
        tree=tree,
        rng=np.random.default_rng([options.seed, 2]),
    )
    return Calibrated(
        temperature,
        thresholds,
        bound,
        rule,
        scores,
        label_maps=label_maps,
        choice=choice,
        importance=unseen.importance,
        fitted=unseen.fitted,
    )


def _is_learnable(
    samples: Samples, pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> NDArray[np.bool_]:
    """Say for each sample whether the fit that answers it knew all its labels."""
    learnable = np.zeros(len(samples.studies), bool)
    for train, held in pairs:
        is_known = np.asarray(samples.labels[train].sum(axis=0)).ravel() > 0
        unknown = np.asarray(samples.labels[held][:, ~is_known].sum(axis=1)).ravel()
        learnable[held] = unknown == 0
    return learnable


def score_test(
    samples: Samples,
    parts: NDArray[np.object_],
    calibrated: Calibrated,
    *,
    settings: Settings,
    options: FitOptions,
    tree: LabelTree,
    reads: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Score a model of training and validation samples on the test samples, beside baselines.

    Parameters
    ----------
    samples
        All labelled samples.
    parts
        "train", "validation" or "test" of each.
    calibrated
        From `calibrate`.
    settings
        The chosen ones.
    options
        What every fit shares.
    tree
        Names and parents of the labels.
    reads
        Aligned reads of each sample; None where unknown.

    Returns
    -------
    dict
        ``test``, ``validation`` and ``baselines``, as metrics.json holds them.
    """
    is_test = parts == "test"
    fit_rows, test_rows = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    if not len(test_rows):
        msg = (
            f"none of {len(parts)} labelled samples is in the test part, so the model cannot be "
            "scored on unseen studies; add studies or choose another split"
        )
        warnings.warn(msg, LabelWarning, stacklevel=3)
        return {"test": None, "validation": calibrated.scores, "baselines": {}}
    plain, medians, fitted_on = _fit_for_test(samples, fit_rows, calibrated, settings, options)
    classifier = calibrated.calibrate(plain)
    values = prepare_values(
        samples.values[test_rows][:, : settings.n_genes], medians, use_ranks=settings.use_ranks
    )
    votes = classifier.predict_sets(values)
    chosen, _ = choose_answers(
        votes, classifier=classifier, thresholds=calibrated.thresholds, tree=tree
    )
    scores = score_answers(
        samples.labels[test_rows],
        Origins(samples.studies[test_rows], None if reads is None else reads[test_rows]),
        votes,
        classifier=classifier,
        thresholds=calibrated.thresholds,
        tree=tree,
        rng=np.random.default_rng([options.seed, 3]),
    )
    _warn_without_support(scores, tree)
    return {
        "test": scores | {"fitted_on": fitted_on},
        "validation": calibrated.scores,
        "baselines": score_plain_methods(
            samples,
            fit_rows,
            test_rows,
            settings=settings,
            options=options,
            chosen=chosen,
        ),
    }


def _warn_without_support(scores: dict[str, Any], tree: LabelTree) -> None:
    absent = scores["without_support"]
    if absent:
        msg = (
            f"{len(absent)} of {len(tree.keys)} labels have no sample in the test part and are "
            f"not scored: {first_few(absent)}"
        )
        warnings.warn(msg, LabelWarning, stacklevel=4)


def _fit_for_test(
    samples: Samples,
    rows: NDArray[np.int64],
    calibrated: Calibrated,
    settings: Settings,
    options: FitOptions,
) -> tuple[Classifier, NDArray[np.float32], str]:
    """Fit what is tested; of very many samples take what calibration fitted."""
    if calibrated.fitted is not None and len(rows) > _N_FITTED_ANEW:
        return *calibrated.fitted, "training studies"
    return *samples.take(rows).fit(settings, options), "training and validation studies"
