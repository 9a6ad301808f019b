"""Choose the forest's size, depth and class weights on studies training has not seen."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.classification.cells import score_cells
from expressome.classification.classifier import Settings, prepare_values
from expressome.classification.forest import Forest, merge_forests
from expressome.classification.tuning import FitOptions, Samples

__all__ = ["choose_forest", "thin_pairs", "thin_rows"]

Pairs = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]

# Trees tried where their number is not given, counted on one forest; as many again are
# grown only where the second number gained over the first. Class weights and depths are
# compared at the second number at most: what they gain does not hang on more trees.
_N_TREES_TRIED = (50, 100)
_MANY_TREES = 200
# Fewer trees are taken where they lose less than this: more cost time and space.
_TREES_MARGIN = 0.005
# A depth or class weights must gain this much: smaller differences are chance.
_MARGIN = 0.01
_DEPTHS_TRIED = (12, 20)


def choose_forest(
    samples: Samples,
    pairs: Pairs,
    *,
    settings: Settings,
    options: FitOptions,
    n_trees: int | None,
    budget_s: float,
) -> tuple[Settings, dict[str, Any]]:
    """Choose number of trees, depth and class weights by the score of held-out studies.

    First a forest of 100 trees is grown and scored by its first 50 and by all; where
    the latter gain 0.005, another 100 join them. Then balanced class weights, then depths
    of 12 and 20 (where trees grow deeper), each kept if it gains 0.01 over as many trees,
    100 at most. No further candidate starts once the time is used up.

    Parameters
    ----------
    samples
        Labelled samples.
    pairs
        Training and validation positions; nothing is chosen without.
    settings
        Chosen so far; its linear share mixes the votes that are scored.
    options
        What every fit shares.
    n_trees
        Trees, where they are given.
    budget_s
        Time after which no candidate starts; 0 tries nothing.

    Returns
    -------
    Settings
        With n_trees, max_depth and class_weights set.
    dict
        ``trials`` (n_trees, max_depth, class_weights, score), ``n_skipped`` for
        lack of time and ``elapsed_s``.

    Notes
    -----
    On a slower machine fewer candidates may be tried; with the same candidates
    the same are chosen.
    """
    start = time.perf_counter()
    chosen = replace(settings, n_trees=n_trees or settings.n_trees)
    report: dict[str, Any] = {"trials": [], "n_skipped": 0}
    candidates: list[dict[str, Any]] = [
        {"n_trees": n_trees or max(_N_TREES_TRIED)},
        *([] if n_trees else [{"n_trees": _MANY_TREES}]),
        {"class_weights": True},
        *({"max_depth": depth} for depth in _DEPTHS_TRIED),
    ]
    linear: list[NDArray[np.float64] | None] | None = None
    first: list[Forest | None] = []
    # Score of the chosen settings with as many trees as candidates are compared at.
    best, n_compared = -np.inf, n_trees or max(_N_TREES_TRIED)
    depth = np.inf
    for step, change in enumerate(candidates if pairs and settings.linear_share < 1 else []):
        is_first, is_many = step == 0, not n_trees and step == 1
        # Where 100 trees gained nothing over 50, or no tree grows so deep, nothing can change.
        if (is_many and chosen.n_trees < max(_N_TREES_TRIED)) or (
            change.get("max_depth", 0) >= depth
        ):
            continue
        if time.perf_counter() - start >= budget_s:
            report["n_skipped"] += 1
            continue
        trial = replace(chosen, **change)
        grown = replace(trial, n_trees=n_compared)
        # Other trees than the first forest's, where they are to join them.
        seeded = replace(options, seed=options.seed + 1) if is_many else options
        held, forests, linear = _vote(samples, pairs, grown, options=seeded, linear=linear)
        if is_many:
            forests = _join(first, forests)
        if is_first:
            first = forests
        n_grown = _MANY_TREES if is_many else n_compared
        counts = _N_TREES_TRIED if is_first and n_trees is None else (n_grown,)
        scores = {
            n: _score(held, forests, linear, n_trees=n, linear_share=trial.linear_share)
            for n in counts
        }
        report["trials"] += [
            _describe(replace(trial, n_trees=n)) | {"score": score} for n, score in scores.items()
        ]
        last = scores[counts[-1]]
        if is_first:
            enough = max(scores.values()) - _TREES_MARGIN
            n_compared = min(n for n, score in scores.items() if score >= enough)
            chosen, best = replace(trial, n_trees=n_compared), scores[n_compared]
            depth = max(_measure_depth(forest) for forest in forests if forest is not None)
        elif is_many and last >= best + _TREES_MARGIN:
            chosen = trial
        elif not is_many and last >= best + _MARGIN:
            chosen, best = trial, last
        options.progress("choose forest", step + 1, len(candidates))
    report["elapsed_s"] = round(time.perf_counter() - start, 1)
    return chosen, report


def _join(some: list[Forest | None], others: list[Forest | None]) -> list[Forest | None]:
    """Join the forests of each pair."""
    return [
        None if one is None or other is None else merge_forests([one, other])
        for one, other in zip(some, others, strict=True)
    ]


def _measure_depth(forest: Forest) -> int:
    """Count the questions from a root to the deepest leaf."""
    depth, nodes = 0, forest.roots
    while True:
        nodes = nodes[forest.genes[nodes] >= 0]
        if not len(nodes):
            return depth
        nodes = np.concatenate([forest.left[nodes], forest.right[nodes]])
        depth += 1


def _describe(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in ("n_trees", "max_depth", "class_weights")}


Held = list[tuple[Samples, NDArray[np.float32], NDArray[np.bool_]]]


def _vote(
    samples: Samples,
    pairs: Pairs,
    settings: Settings,
    *,
    options: FitOptions,
    linear: list[NDArray[np.float64] | None] | None,
) -> tuple[Held, list[Forest | None], list[NDArray[np.float64] | None]]:
    """Fit on each pair's training side; the linear scores only once for all candidates."""
    held: Held = []
    forests: list[Forest | None] = []
    votes: list[NDArray[np.float64] | None] = []
    trial = settings if linear is None else replace(settings, linear_share=0.0)
    for train, rows in pairs:
        part = samples.take(rows)
        classifier, medians = samples.take(train).fit(trial, options)
        values = prepare_values(
            part.values[:, : settings.n_genes], medians, use_ranks=settings.use_ranks
        )
        held.append((part, values, classifier.label_sets.sets))
        forests.append(classifier.forest)
        votes.append(None if classifier.linear is None else classifier.linear.predict(values))
    return held, forests, votes if linear is None else linear


def _score(
    held: Held,
    forests: list[Forest | None],
    linear: list[NDArray[np.float64] | None],
    *,
    n_trees: int,
    linear_share: float,
) -> float:
    """Score the mix of the first trees and the linear scores, mean over all cells."""
    scores = []
    for (part, values, sets), forest, votes in zip(held, forests, linear, strict=True):
        mixed = np.zeros((len(values), len(sets)))
        if forest is not None:
            mixed += (1 - linear_share) * replace(forest, roots=forest.roots[:n_trees]).predict(
                values
            )
        if votes is not None:
            mixed += linear_share * votes
        scores.append(score_cells(sets[mixed.argmax(axis=1)], part.labels, part.studies))
    return float(np.concatenate(scores).mean())


def thin_pairs(
    pairs: Pairs, studies: NDArray[np.object_], *, n_samples: int, rng: np.random.Generator
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Leave out samples of the largest studies until a fit has few enough.

    Settings are compared on these: samples of one study say much the same, so
    that all studies are kept and the largest lose most.

    Parameters
    ----------
    pairs
        Training and validation positions.
    studies
        Study of every sample.
    n_samples
        Samples wanted on either side, about.
    rng
        Chooses within a study.

    Returns
    -------
    list of tuple
        The same pairs where they are small enough.

    Examples
    --------
    >>> studies = np.array(["a"] * 90 + ["b"] * 10, dtype=object)
    >>> thinned = thin_pairs([(np.arange(100), np.arange(0))], studies, n_samples=20,
    ...                      rng=np.random.default_rng(0))
    >>> len(thinned[0][0])
    20
    """
    return [
        (
            thin_rows(train, studies, n_samples=n_samples, rng=rng),
            thin_rows(held, studies, n_samples=n_samples, rng=rng),
        )
        for train, held in pairs
    ]


def thin_rows(
    rows: NDArray[np.int64],
    studies: NDArray[np.object_],
    *,
    n_samples: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Take the first samples of every study, then the second ones, and so on.

    Parameters
    ----------
    rows
        Positions.
    studies
        Study of every sample.
    n_samples
        Samples wanted.
    rng
        Chooses within a study.

    Returns
    -------
    ndarray
        Some of the positions, in their order; all where they are few enough.

    Examples
    --------
    >>> studies = np.array(["a", "a", "a", "b"], dtype=object)
    >>> 3 in thin_rows(np.arange(4), studies, n_samples=2, rng=np.random.default_rng(0))
    True
    """
    if len(rows) <= n_samples:
        return rows
    _, owner = np.unique(studies[rows].astype(str), return_inverse=True)
    shuffled = rng.permutation(len(rows))
    order = shuffled[np.argsort(owner[shuffled], kind="stable")]
    starts = np.r_[0, np.flatnonzero(np.diff(owner[order])) + 1]
    place = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    kept = np.zeros(len(rows), bool)
    kept[order[np.argsort(place, kind="stable")[:n_samples]]] = True
    return rows[kept]
