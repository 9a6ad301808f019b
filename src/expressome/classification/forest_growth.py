"""Grow a random forest by scikit-learn, plain or accelerated, here or on a cluster."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.classification.forest import Forest, merge_forests
from expressome.engine import Resources, map_blocks

__all__ = ["fit_forest", "has_accelerator", "to_forest"]

# Past the bend on every data set tried; the linear scores beside it smooth the rest.
_N_TREES = 100
# Trees grown and copied at once: scikit-learn keeps a dense table of class shares per
# tree, 16 MB at 20,000 nodes and 100 classes, which ours does not.
_TREES_AT_ONCE = 25
# The accelerator sorts values into bins anew for every lot, which takes as long as 10 to
# 15 trees: it grows more at once where the tables will hardly exceed this.
_TABLES_BYTES = 2**30


def has_accelerator() -> bool:
    """Say whether scikit-learn-intelex is installed."""
    from importlib.util import find_spec

    return find_spec("sklearnex") is not None


def _choose_estimator(*, accelerated: bool) -> Callable[..., Any]:
    """Give the accelerated or the plain forest."""
    if accelerated:
        from sklearnex.ensemble import RandomForestClassifier as Accelerated

        grower: Callable[..., Any] = Accelerated
        return grower
    from sklearn.ensemble import RandomForestClassifier

    plain: Callable[..., Any] = RandomForestClassifier
    return plain


def fit_forest(
    values: NDArray[np.floating],
    classes: NDArray[np.integer],
    *,
    n_classes: int,
    seed: int,
    n_trees: int = _N_TREES,
    n_workers: int = 1,
    cluster: str | None = None,
    **options: Any,  # noqa: ANN401 - scikit-learn's own names
) -> Forest:
    """Grow a random forest and keep it as plain arrays.

    scikit-learn-intelex grows it where installed (x86 only), scikit-learn
    elsewhere; the two give different trees of equal quality. Trees are grown in lots
    (of 25; accelerated, of as many as 1 GiB of class shares allow), each from a seed
    of its own, here or by the workers of a cluster.

    Parameters
    ----------
    values
        Shape (n_samples, n_genes), no NaN; used as float32.
    classes
        Class of each sample, shape (n_samples,), 0 <= class < `n_classes`.
    n_classes
        Number of classes, of which some may have no sample.
    seed
        Root of the bootstrap and of the candidate genes.
    n_trees
        More trees never hurt, they cost time.
    n_workers
        Threads.
    cluster
        Address of a Dask cluster that grows the trees; its workers need the same
        libraries. None grows them here.
    **options
        Handed to scikit-learn: ``max_depth``, ``min_samples_leaf``,
        ``max_features``, ``class_weight``; and ``accelerated``: whether
        scikit-learn-intelex grows the trees, by default where it is installed.

    Returns
    -------
    Forest
        The same for the same seed and library, for any number of threads, here
        or on a cluster.

    Examples
    --------
    >>> values = np.array([[0.0], [0.1], [3.0], [3.1]], dtype=np.float32)
    >>> forest = fit_forest(values, np.array([0, 0, 1, 1]), n_classes=2, seed=0, n_trees=20)
    >>> forest.predict(np.array([[-1.0], [9.0]])).argmax(axis=1).tolist()
    [0, 1]
    """
    present, codes = np.unique(np.asarray(classes), return_inverse=True)
    checked = np.ascontiguousarray(values, dtype=np.float32)
    if len(present) == 1:
        return _constant_forest(int(present[0]), n_classes, checked.shape[1])
    accelerated = bool(options.pop("accelerated", has_accelerator()))
    n_each = _choose_lot(len(checked), n_classes) if accelerated else _TREES_AT_ONCE
    n_lots = -(-n_trees // n_each)
    seeds = np.random.SeedSequence(seed).generate_state(n_lots) >> np.uint32(1)
    lots = [(int(seeds[j]), min(n_each, n_trees - j * n_each)) for j in range(n_lots)]
    grow = partial(
        _grow,
        values=checked,
        codes=codes,
        present=present,
        n_classes=n_classes,
        accelerated=accelerated,
        # A cluster's worker takes what it has.
        options=options if cluster else options | {"n_jobs": n_workers},
    )
    if cluster is None:
        # One lot after the other: each uses all threads.
        return merge_forests([grow(lot) for lot in lots])
    resources = Resources(cluster=cluster)
    return merge_forests(list(map_blocks(grow, lots, resources=resources, n_ahead=n_lots)))


def _choose_lot(n_rows: int, n_classes: int) -> int:
    """Give the trees whose tables of class shares fit, 8 bytes per node and class.

    A tree has fewer than 2 n nodes; those of expression have 0.1 to 0.3 n.
    """
    return max(_TREES_AT_ONCE, 2 * _TABLES_BYTES // (8 * n_rows * n_classes))


def _grow(
    lot: tuple[int, int],
    *,
    values: NDArray[np.float32],
    codes: NDArray[np.integer],
    present: NDArray[np.integer],
    n_classes: int,
    accelerated: bool,
    options: Mapping[str, Any],
) -> Forest:
    """Grow one lot of trees from its seed."""
    seed, n_trees = lot
    # What Dask sends may lie at an odd address, which scikit-learn-intelex refuses.
    values = np.require(values, requirements="A")
    grower = _choose_estimator(accelerated=accelerated)
    estimator = grower(n_estimators=n_trees, random_state=seed, **options)
    estimator.fit(values, codes)
    return to_forest(estimator, present, n_classes)


def _constant_forest(only_class: int, n_classes: int, n_genes: int) -> Forest:
    """Give the forest of one leaf that always answers one class."""
    return Forest(
        roots=np.zeros(1, np.int64),
        genes=np.full(1, -1, np.int32),
        thresholds=np.zeros(1),
        left=np.zeros(1, np.int32),
        right=np.zeros(1, np.int32),
        leaf_starts=np.array([0, 1]),
        leaf_classes=np.array([only_class], np.int32),
        leaf_shares=np.ones(1),
        n_classes=n_classes,
        n_genes=n_genes,
    )


def to_forest(estimator: Any, present: NDArray[np.integer], n_classes: int) -> Forest:  # noqa: ANN401
    """Copy the trees of a fitted scikit-learn forest into plain arrays.

    Parameters
    ----------
    estimator
        Fitted RandomForestClassifier of one output, plain or accelerated.
    present
        Class number of each column of its probabilities.
    n_classes
        Number of classes in all.

    Returns
    -------
    Forest
        Predicts what the estimator's `predict_proba` gives.
    """
    pieces: dict[str, list[NDArray[Any]]] = {
        name: [] for name in ("genes", "thresholds", "left", "right", "rows", "columns", "shares")
    }
    n_nodes, n_leaves, roots = 0, 0, []
    for tree in (member.tree_ for member in estimator.estimators_):
        roots.append(n_nodes)
        is_leaf = tree.children_left < 0
        leaf_values = tree.value[is_leaf, 0, :]
        leaf_values = leaf_values / leaf_values.sum(axis=1, keepdims=True)
        rows, columns = np.nonzero(leaf_values)
        numbers = np.cumsum(is_leaf) - 1 + n_leaves
        pieces["genes"].append(np.where(is_leaf, -1, tree.feature))
        pieces["thresholds"].append(np.where(is_leaf, 0.0, tree.threshold))
        pieces["left"].append(np.where(is_leaf, numbers, tree.children_left + n_nodes))
        pieces["right"].append(np.where(is_leaf, 0, tree.children_right + n_nodes))
        pieces["rows"].append(rows + n_leaves)
        pieces["columns"].append(columns)
        pieces["shares"].append(leaf_values[rows, columns])
        n_nodes += len(is_leaf)
        n_leaves += int(is_leaf.sum())
    joined = {name: np.concatenate(arrays) for name, arrays in pieces.items()}
    starts = np.searchsorted(joined["rows"], np.arange(n_leaves + 1))
    return Forest(
        roots=np.array(roots, dtype=np.int64),
        genes=joined["genes"].astype(np.int32),
        thresholds=joined["thresholds"].astype(np.float64),
        left=joined["left"].astype(np.int32),
        right=joined["right"].astype(np.int32),
        leaf_starts=starts.astype(np.int64),
        leaf_classes=np.asarray(present)[joined["columns"]].astype(np.int32),
        leaf_shares=joined["shares"].astype(np.float64),
        n_classes=n_classes,
        n_genes=int(estimator.n_features_in_),
    )
