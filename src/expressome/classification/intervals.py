"""How far scores may be off: studies drawn with replacement, samples by depth."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from expressome.classification.scores import calibration_error, score_labels

__all__ = ["compare_answers", "draw_intervals", "score_depths"]

_N_DRAWS = 200
_F1_NAMES = ("f1_samples", "f1_micro", "f1_macro")
_N_DEPTHS = 4
_N_BINS = 10
# Fewer scored samples per group say nothing about depth.
_MIN_PER_DEPTH = 5


def draw_intervals(
    true: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    *,
    confidence: NDArray[np.float64],
    is_right: NDArray[np.bool_],
    studies: NDArray[np.object_],
    rng: np.random.Generator,
) -> tuple[dict[str, list[float] | None], list[list[float] | None]]:
    """Draw studies with replacement 200 times and score each draw.

    Samples of one study succeed and fail together, so studies are drawn, not
    samples: intervals over samples would be far too narrow.

    Parameters
    ----------
    true, chosen
        True and answered labels, shape (n_samples, n_labels).
    probabilities
        Of each label, same shape.
    confidence, is_right
        Of each sample's best label, shape (n_samples,).
    studies
        Study of each sample.
    rng
        Draws the studies.

    Returns
    -------
    dict
        [2.5th, 97.5th percentile] of f1_samples, f1_micro, f1_macro,
        average_precision_macro, auroc_macro, accuracy and
        expected_calibration_error; None with fewer than two studies.
    list
        The same of each label's F1; None where no draw holds the label.

    References
    ----------
    Efron, Tibshirani 1993, An Introduction to the Bootstrap, chapter 8 (groups drawn
    whole).
    """
    names = (
        *_F1_NAMES, "average_precision_macro", "auroc_macro",
        "accuracy", "expected_calibration_error",
    )  # fmt: skip
    owner, weights = _draw_studies(studies, rng)
    if weights is None:
        return dict.fromkeys(names), [None] * true.shape[1]
    f1 = _draw_f1(true, chosen, owner=owner, weights=weights)
    ranked = _draw_ranked(true, probabilities, weights[:, owner])
    answers = _draw_answers(confidence, is_right, weights[:, owner])
    draws = np.column_stack([*f1[:2], _mean(f1[2]), *(_mean(part) for part in ranked), *answers])
    bounds = np.nanpercentile(draws, [2.5, 97.5], axis=0)
    found: dict[str, list[float] | None] = {
        name: [float(bounds[0, j]), float(bounds[1, j])] for j, name in enumerate(names)
    }
    return found, [_bound(f1[2][:, k]) for k in range(true.shape[1])]


def compare_answers(
    truth: sparse.csr_array,
    answers: Mapping[str, NDArray[np.bool_]],
    studies: NDArray[np.object_],
    *,
    rng: np.random.Generator,
    reference: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Score several methods' answers for the same samples on the same draws of studies.

    Parameters
    ----------
    truth
        0/1, shape (n_samples, n_labels).
    answers
        Method -> answered labels, shape (n_samples, n_labels).
    studies
        Study of each sample.
    rng
        Draws the studies.
    reference
        Method that the others are held against; None for none.

    Returns
    -------
    dict
        Method -> n_samples, f1_samples, f1_micro, f1_macro, ``intervals`` of these (95%,
        studies drawn with replacement; None with fewer than two), and for all but the
        reference ``f1_macro_lead`` of the reference, with its interval.

    Examples
    --------
    >>> truth = sparse.csr_array([[1, 0], [0, 1], [0, 1]])
    >>> right = truth.toarray().astype(bool)
    >>> found = compare_answers(truth, {"a": right, "b": ~right}, np.array(list("xyz")),
    ...                         rng=np.random.default_rng(0), reference="a")
    >>> found["a"]["intervals"]["f1_macro"], found["b"]["f1_macro_lead"]
    ([1.0, 1.0], {'value': 1.0, 'interval': [1.0, 1.0]})
    """
    true = truth.toarray().astype(bool)
    keys = [str(k) for k in range(true.shape[1])]
    owner, weights = _draw_studies(studies, rng)
    found: dict[str, dict[str, Any]] = {}
    draws: dict[str, NDArray[np.float64]] = {}
    for name, chosen in answers.items():
        scores = score_labels(truth, chosen, chosen.astype(np.float64), label_keys=keys)
        found[name] = {figure: scores[figure] for figure in ("n_samples", *_F1_NAMES)}
        found[name]["intervals"] = dict.fromkeys(_F1_NAMES)
        if weights is not None:
            parts = _draw_f1(true, chosen, owner=owner, weights=weights)
            draws[name] = _mean(parts[2])
            drawn = zip(_F1_NAMES, (*parts[:2], draws[name]), strict=True)
            found[name]["intervals"] = {figure: _bound(one) for figure, one in drawn}
    if reference is not None:
        for name in found.keys() - {reference}:
            found[name]["f1_macro_lead"] = {
                "value": _subtract(found[reference]["f1_macro"], found[name]["f1_macro"]),
                "interval": _bound(draws[reference] - draws[name]) if draws else None,
            }
    return found


def _subtract(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _draw_studies(
    studies: NDArray[np.object_], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Draw studies: the number of each sample's, and how often each draw holds each."""
    _, owner = np.unique(studies.astype(str), return_inverse=True)
    n_studies = int(owner.max(initial=-1)) + 1
    if n_studies < 2:
        return owner, None
    drawn = [rng.integers(n_studies, size=n_studies) for _ in range(_N_DRAWS)]
    return owner, np.stack([np.bincount(one, minlength=n_studies) for one in drawn])


def _mean(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average each draw over the labels it holds."""
    is_there = np.isfinite(draws)
    total = np.where(is_there, draws, 0).sum(axis=1)
    return np.asarray(total / np.maximum(is_there.sum(axis=1), 1))


def _bound(draws: NDArray[np.float64]) -> list[float] | None:
    known = draws[np.isfinite(draws)]
    return np.percentile(known, [2.5, 97.5]).tolist() if len(known) else None


def _draw_f1(
    true: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    *,
    owner: NDArray[np.int64],
    weights: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Give F1 over samples and over decisions per draw, and per label (NaN if absent)."""
    members = sparse.csr_array(
        (np.ones(len(owner)), (owner, np.arange(len(owner)))), (weights.shape[1], len(owner))
    )
    per_sample = (
        2 * (true & chosen).sum(axis=1) / np.maximum(true.sum(axis=1) + chosen.sum(axis=1), 1)
    )
    both, real, given = (
        weights @ (members @ part.astype(np.float64)) for part in (true & chosen, true, chosen)
    )
    totals = weights @ (members @ np.column_stack([per_sample, np.ones(len(owner))]))
    micro = 2 * both.sum(axis=1) / np.maximum(real.sum(axis=1) + given.sum(axis=1), 1)
    labels = np.where(real > 0, 2 * both / np.maximum(real + given, 1), np.nan)
    return totals[:, 0] / totals[:, 1], micro, labels


def _draw_ranked(
    true: NDArray[np.bool_], probabilities: NDArray[np.float64], weights: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give average precision and AUROC per draw and label; NaN where undefined."""
    shape = (len(weights), true.shape[1])
    precision, roc = np.full(shape, np.nan), np.full(shape, np.nan)
    for k in np.flatnonzero(true.any(axis=0)):
        order = np.argsort(-probabilities[:, k], kind="stable")
        last = np.append(np.diff(probabilities[order, k]) != 0, True)
        drawn = weights[:, order].astype(np.float64)
        hits = np.cumsum(drawn * true[order, k], axis=1)[:, last]
        given = np.cumsum(drawn, axis=1)[:, last]
        alarms = given - hits
        n_true, n_false = hits[:, -1], alarms[:, -1]
        recall = hits / np.maximum(n_true, 1)[:, None]
        steps = np.diff(recall, axis=1, prepend=0.0)
        found = (steps * hits / np.maximum(given, 1)).sum(axis=1)
        false_rate = alarms / np.maximum(n_false, 1)[:, None]
        widths = np.diff(false_rate, axis=1, prepend=0.0)
        area = (widths * (recall - steps / 2)).sum(axis=1)
        precision[:, k] = np.where(n_true > 0, found, np.nan)
        roc[:, k] = np.where((n_true > 0) & (n_false > 0), area, np.nan)
    return precision, roc


def _draw_answers(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], weights: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the share of right answers and the calibration error per draw."""
    total = weights.sum(axis=1).astype(np.float64)
    bins = np.minimum((confidence * _N_BINS).astype(int), _N_BINS - 1)
    gap = np.zeros(len(weights))
    for b in np.unique(bins):
        gap += np.abs(weights[:, bins == b] @ (confidence - is_right)[bins == b])
    return weights @ is_right.astype(np.float64) / total, gap / total


def score_depths(
    reads: ArrayLike, figures: Mapping[str, NDArray[Any]]
) -> list[dict[str, float | int | None]]:
    """Average per-sample figures over quarters of the samples by sequencing depth.

    Parameters
    ----------
    reads
        Aligned reads of each sample, shape (n_samples,); NaN and 0 are unknown.
    figures
        ``f1_samples``, ``accuracy`` and ``confidence`` of each sample.

    Returns
    -------
    list of dict
        Shallowest first: lowest_reads, highest_reads, n_samples, f1_samples,
        accuracy, expected_calibration_error. Samples of unknown depth come last,
        with None as reads. Equal depths are never cut.

    Examples
    --------
    >>> right = np.repeat([0.0, 1.0], 10)
    >>> rows = score_depths(np.repeat([1e6, 9e6], 10),
    ...                     {"f1_samples": right, "accuracy": right, "confidence": right})
    >>> [(row["lowest_reads"], row["accuracy"]) for row in rows]
    [(1000000.0, 0.0), (9000000.0, 1.0)]
    """
    depth = np.asarray(reads, dtype=np.float64)
    known = np.isfinite(depth) & (depth > 0)
    group = np.full(len(depth), -1)
    if known.sum() >= _N_DEPTHS * _MIN_PER_DEPTH:
        cuts = np.quantile(depth[known], np.arange(1, _N_DEPTHS) / _N_DEPTHS)
        group[known] = np.searchsorted(cuts, depth[known], side="left")
    elif known.any():
        group[known] = 0
    rows: list[dict[str, float | int | None]] = []
    for g in [*np.unique(group[known]), *([-1] if (~known).any() else [])]:
        held = group == g
        rows.append(
            {
                "lowest_reads": float(depth[held].min()) if g >= 0 else None,
                "highest_reads": float(depth[held].max()) if g >= 0 else None,
                "n_samples": int(held.sum()),
                "f1_samples": float(figures["f1_samples"][held].mean()),
                "accuracy": float(figures["accuracy"][held].mean()),
                "expected_calibration_error": calibration_error(
                    figures["confidence"][held], figures["accuracy"][held]
                ),
            }
        )
    return rows
