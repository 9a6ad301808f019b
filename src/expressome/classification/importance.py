"""Which genes a classifier relies on for each label, measured on unseen studies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.classification.calibration import study_weights
from expressome.classification.classifier import Classifier
from expressome.classification.forest import Forest
from expressome.classification.linear import LinearScores

__all__ = ["Importance", "list_markers", "measure_importance", "merge_importance"]

# Samples a gene is permuted among; more change the order of the leading genes little.
_MAX_SAMPLES = 400
_N_REPEATS = 3
_N_PARTS = 8


@dataclass(frozen=True, slots=True)
class Importance:
    """What each gene adds to telling each label from the rest.

    Attributes
    ----------
    lost
        Separation lost when the gene is permuted, shape (n_genes, n_labels);
        separation is the label's mean vote among carriers minus that among
        other samples, every study weighing the same. 0 for labels without
        both.
    effects
        Mean of the carriers minus mean of the others, in standard deviations of
        the gene, same shape; above 0 the gene is high in the label.
    n_studies
        Studies that carry each label, shape (n_labels,); 0: not measured.
    """

    lost: NDArray[np.float64]
    effects: NDArray[np.float64]
    n_studies: NDArray[np.int64]


def measure_importance(
    classifier: Classifier,
    values: NDArray[np.float32],
    labels: sparse.csr_array,
    *,
    studies: NDArray[np.object_],
    rng: np.random.Generator,
) -> Importance:
    """Permute each gene among samples of unseen studies and see which labels suffer.

    The votes of the forest and of the linear scores are taken before
    calibration, mixed as the classifier mixes them.

    Parameters
    ----------
    classifier
        Fitted on other studies.
    values
        Prepared expression of its genes, shape (n_samples, n_genes), no NaN.
    labels
        0/1, shape (n_samples, n_labels).
    studies
        Study of each sample, shape (n_samples,).
    rng
        Draws 400 samples where there are more, and permutes.

    Returns
    -------
    Importance
        Of the classifier's genes, in their order.

    References
    ----------
    Breiman 2001, doi:10.1023/A:1010933404324 (there by out-of-bag samples, here by
    samples of studies left out of training).
    """
    rows = np.arange(len(values))
    if len(rows) > _MAX_SAMPLES:
        rows = np.sort(rng.choice(rows, _MAX_SAMPLES, replace=False))
    checked = np.ascontiguousarray(values[rows], dtype=np.float32)
    weights, n_studies = _separation_weights(labels[rows], studies[rows])
    donors = np.stack([rng.permutation(len(rows)) for _ in range(_N_REPEATS)])
    sets = classifier.label_sets.sets.astype(np.float64)
    lost = np.zeros((values.shape[1], labels.shape[1]))
    if classifier.forest is not None:
        by_forest = _permute_forest(classifier.forest, checked, donors, weights=weights, sets=sets)
        lost += (1 - classifier.linear_share) * by_forest
    if classifier.linear is not None:
        by_scores = _permute_linear(classifier.linear, checked, donors, weights=weights, sets=sets)
        lost += classifier.linear_share * by_scores
    spread = checked.std(axis=0, dtype=np.float64)
    effects = (checked.T.astype(np.float64) @ weights) / np.where(spread > 0, spread, 1)[:, None]
    return Importance(lost, effects, n_studies)


def _separation_weights(
    labels: sparse.csr_array, studies: NDArray[np.object_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Weigh carriers +, others -, each side summing to 1 with equal studies; 0 without both."""
    carries = sparse.csr_array(labels).toarray().astype(bool)
    weights = np.zeros(carries.shape)
    n_studies = np.zeros(carries.shape[1], np.int64)
    for k in range(carries.shape[1]):
        held = carries[:, k]
        if not held.any() or held.all():
            continue
        weights[held, k] = study_weights(studies[held])
        weights[~held, k] = -study_weights(studies[~held])
        n_studies[k] = len(np.unique(studies[held].astype(str)))
    return weights, n_studies


def _permute_forest(
    forest: Forest,
    values: NDArray[np.float32],
    donors: NDArray[np.int64],
    *,
    weights: NDArray[np.float64],
    sets: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Compute the separation of the forest's votes lost by permuting each gene."""
    parts: NDArray[np.float64] = _lose(
        values,
        donors,
        (forest.roots, forest.genes, forest.thresholds, forest.left, forest.right),
        (forest.leaf_starts, forest.leaf_classes, forest.leaf_shares),
        # Weight of a class in each label's separation, for every sample.
        (weights, sets),
        _N_PARTS,
    )
    return np.asarray(parts.sum(axis=0) / (len(donors) * forest.n_trees))


@numba.njit(cache=True, nogil=True)
def _find_leaf(values: Any, i: int, nodes: Any, tree: int, gene: int, other: float) -> int:  # noqa: ANN401, PLR0917 - numba takes no keyword-only arguments
    """Send one sample down one tree with the value of one gene replaced."""
    roots, genes, thresholds, left, right = nodes
    node = roots[tree]
    while genes[node] >= 0:
        value = other if genes[node] == gene else values[i, genes[node]]
        node = left[node] if value <= thresholds[node] else right[node]
    return int(left[node])


@numba.njit(cache=True, parallel=True, nogil=True)
def _lose(values: Any, donors: Any, nodes: Any, leaves: Any, weighing: Any, n_parts: int) -> Any:  # noqa: ANN401, PLR0917 - numba takes no keyword-only arguments
    """Add up what each sample's votes lose when a gene on its path is replaced."""
    roots, genes, thresholds, left, right = nodes
    leaf_starts, leaf_classes, leaf_shares = leaves
    weights, sets = weighing
    n_samples, n_genes = values.shape
    n_labels = weights.shape[1]
    lost = np.zeros((n_parts, n_genes, n_labels))
    for part in numba.prange(n_parts):
        seen = np.full(n_genes, -1, np.int64)
        for i in range(part, n_samples, n_parts):
            for t in range(len(roots)):
                mark = i * len(roots) + t
                own = _find_leaf(values, i, nodes, t, -1, 0.0)
                node = roots[t]
                while genes[node] >= 0:
                    g = genes[node]
                    if seen[g] != mark:
                        seen[g] = mark
                        for r in range(donors.shape[0]):
                            other = values[donors[r, i], g]
                            leaf = _find_leaf(values, i, nodes, t, g, other)
                            if leaf == own:
                                continue
                            for sign, chosen in ((1.0, own), (-1.0, leaf)):
                                for entry in range(leaf_starts[chosen], leaf_starts[chosen + 1]):
                                    c = leaf_classes[entry]
                                    for k in range(n_labels):
                                        if sets[c, k] > 0:
                                            lost[part, g, k] += (
                                                sign * leaf_shares[entry] * weights[i, k]
                                            )
                    node = left[node] if values[i, g] <= thresholds[node] else right[node]
    return lost


def _permute_linear(
    scores: LinearScores,
    values: NDArray[np.float32],
    donors: NDArray[np.int64],
    *,
    weights: NDArray[np.float64],
    sets: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Compute the separation of the linear votes lost by permuting each gene."""
    logits = scores.to_logits(values)
    standard = scores.standardise(values)
    kept = _separation(logits, weights, sets)
    lost = np.zeros((values.shape[1], weights.shape[1]))
    # One permutation is enough here: the votes are smooth in every gene.
    moved = standard[donors[0]] - standard
    for g in range(values.shape[1]):
        shifted = logits + moved[:, g : g + 1] * scores.logit_weights(g)
        lost[g] = kept - _separation(shifted, weights, sets)
    return lost


def _separation(
    logits: NDArray[np.floating], weights: NDArray[np.float64], sets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Give each label's mean vote among carriers minus that among others."""
    votes = np.exp(logits - logits.max(axis=1, keepdims=True))
    votes /= votes.sum(axis=1, keepdims=True)
    return np.asarray(((weights.T @ votes) * sets.T).sum(axis=1), dtype=np.float64)


def merge_importance(parts: Sequence[Importance]) -> Importance | None:
    """Average importance over folds, each label over the folds that measured it.

    Parameters
    ----------
    parts
        Of the same genes and labels.

    Returns
    -------
    Importance or None
        Weighted by the studies that carry the label; None without parts.
    """
    if not parts:
        return None
    n_studies = np.sum([part.n_studies for part in parts], axis=0)
    shares = [part.n_studies / np.maximum(n_studies, 1) for part in parts]
    lost = np.sum([part.lost * share for part, share in zip(parts, shares, strict=True)], axis=0)
    effects = np.sum(
        [part.effects * share for part, share in zip(parts, shares, strict=True)], axis=0
    )
    return Importance(lost, effects, n_studies)


def list_markers(
    importance: Importance,
    genes: Sequence[str],
    symbols: Sequence[str],
    *,
    label_keys: Sequence[str],
    n_markers: int = 50,
) -> dict[str, list[dict[str, Any]]]:
    """List the genes that matter most for each label.

    Parameters
    ----------
    importance
        From unseen studies.
    genes, symbols
        Ids and symbols of its genes.
    label_keys
        Names of its labels.
    n_markers
        Genes per label at most; only those whose loss costs separation.

    Returns
    -------
    dict
        Label -> genes, most important first: gene, symbol, importance, effect,
        direction ("high" or "low" in the label). Empty for a label that no unseen
        study carries.

    Examples
    --------
    >>> found = Importance(np.array([[0.1], [0.0]]), np.array([[-2.0], [0.0]]), np.array([3]))
    >>> list_markers(found, ["G1", "G2"], ["ALB", ""], label_keys=["liver"])["liver"]
    [{'gene': 'G1', 'symbol': 'ALB', 'importance': 0.1, 'effect': -2.0, 'direction': 'low'}]
    """
    markers: dict[str, list[dict[str, Any]]] = {}
    for k, key in enumerate(label_keys):
        order = np.argsort(-importance.lost[:, k], kind="stable")[:n_markers]
        chosen = order[importance.lost[order, k] > 0] if importance.n_studies[k] else order[:0]
        markers[str(key)] = [
            {
                "gene": str(genes[g]),
                "symbol": str(symbols[g]),
                "importance": round(float(importance.lost[g, k]), 6),
                "effect": round(float(importance.effects[g, k]), 3),
                "direction": "high" if importance.effects[g, k] > 0 else "low",
            }
            for g in chosen
        ]
    return markers
