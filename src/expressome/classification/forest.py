"""Random forest as plain arrays: grown by scikit-learn, read by our own code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from expressome.engine import Resources, map_blocks
from expressome.errors import ModelError, ShapeError

__all__ = ["Forest", "fit_forest", "has_accelerator", "merge_forests"]

# Past the bend on every data set tried; the linear scores beside it smooth the rest.
_N_TREES = 100
# Trees grown and copied at once: scikit-learn keeps a dense table of class shares per
# tree, 16 MB at 20,000 nodes and 100 classes, which ours does not.
_TREES_AT_ONCE = 25


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees, node after node; leaves hold sparse class shares.

    Attributes
    ----------
    roots
        First node of each tree, shape (n_trees,).
    genes
        Gene each node asks about, -1 at a leaf, shape (n_nodes,).
    thresholds
        A sample goes left where its float32 value is <= this, shape (n_nodes,).
    left, right
        Next nodes, shape (n_nodes,); at a leaf `left` is the leaf's number.
    leaf_starts
        Where the entries of each leaf start, shape (n_leaves + 1,).
    leaf_classes, leaf_shares
        Classes of a leaf and their shares of its samples, summing to 1.
    n_classes
        Number of classes.
    n_genes
        Columns the values must have.
    """

    roots: NDArray[np.int64]
    genes: NDArray[np.int32]
    thresholds: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    leaf_starts: NDArray[np.int64]
    leaf_classes: NDArray[np.int32]
    leaf_shares: NDArray[np.float64]
    n_classes: int
    n_genes: int

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.roots)

    def predict(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Average the class shares of the leaves a sample falls into.

        Parameters
        ----------
        values
            Shape (n_samples, n_genes), no NaN; compared as float32.

        Returns
        -------
        ndarray
            Probability of each class, shape (n_samples, n_classes).

        Raises
        ------
        ShapeError
            If the number of genes is another than in training.
        """
        checked = np.ascontiguousarray(values, dtype=np.float32)
        if checked.ndim != 2 or checked.shape[1] != self.n_genes:
            msg = f"the values have shape {checked.shape}; the forest reads {self.n_genes} genes"
            raise ShapeError(msg)
        shares: NDArray[np.float64] = _walk(
            checked,
            (self.roots, self.genes, self.thresholds, self.left, self.right),
            (self.leaf_starts, self.leaf_classes, self.leaf_shares),
            self.n_classes,
        )
        return shares

    def gene_importance(self) -> NDArray[np.int64]:
        """Count the nodes that ask about each gene, shape (n_genes,)."""
        return np.bincount(self.genes[self.genes >= 0], minlength=self.n_genes)

    def to_parts(self) -> dict[str, NDArray[Any]]:
        """Give plain arrays that `from_parts` reads back."""
        return {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_parts(cls, parts: Mapping[str, NDArray[Any]]) -> "Forest":
        """Build the forest from its arrays, checking that every index is in range.

        Parameters
        ----------
        parts
            As `to_parts` gives them.

        Returns
        -------
        Forest
            Equal to the one written.

        Raises
        ------
        ModelError
            If an array is absent or points outside another.
        """
        missing = [f.name for f in fields(cls) if f.name not in parts]
        if missing:
            msg = f"the forest lacks {', '.join(missing)}; the model is incomplete, train it again"
            raise ModelError(msg)
        arrays: dict[str, Any] = {f.name: parts[f.name] for f in fields(cls)}
        arrays |= {name: int(arrays[name]) for name in ("n_classes", "n_genes")}
        forest = cls(**arrays)
        _check_indices(forest)
        return forest


def _check_indices(forest: Forest) -> None:
    """Refuse a forest whose walk would leave its arrays or never end."""
    n_nodes, n_leaves = len(forest.genes), len(forest.leaf_starts) - 1
    inner = np.flatnonzero(forest.genes >= 0)
    leaves = np.flatnonzero(forest.genes < 0)
    is_sound = (
        len(forest.thresholds) == len(forest.left) == len(forest.right) == n_nodes
        and (forest.genes < forest.n_genes).all()
        # Children come after their parent, so that every walk ends.
        and (forest.left[inner] > inner).all()
        and (forest.right[inner] > inner).all()
        and (forest.left[inner] < n_nodes).all()
        and (forest.right[inner] < n_nodes).all()
        and ((forest.left[leaves] >= 0) & (forest.left[leaves] < n_leaves)).all()
        and ((forest.roots >= 0) & (forest.roots < n_nodes)).all()
        and (np.diff(forest.leaf_starts) >= 0).all()
        and forest.leaf_starts[0] == 0
        and forest.leaf_starts[-1] == len(forest.leaf_classes) == len(forest.leaf_shares)
        and ((forest.leaf_classes >= 0) & (forest.leaf_classes < forest.n_classes)).all()
    )
    if not is_sound:
        msg = f"the forest of {n_nodes} nodes points outside its own arrays; train it again"
        raise ModelError(msg)


@numba.njit(cache=True, parallel=True, nogil=True)
def _walk(values: Any, nodes: Any, leaves: Any, n_classes: int) -> Any:  # noqa: ANN401, PLR0917 - numba takes no keyword-only arguments
    """Send each sample down each tree and average the shares of its leaves."""
    roots, genes, thresholds, left, right = nodes
    leaf_starts, leaf_classes, leaf_shares = leaves
    n_samples = values.shape[0]
    shares = np.zeros((n_samples, n_classes))
    for i in numba.prange(n_samples):
        for t in range(len(roots)):
            node = roots[t]
            while genes[node] >= 0:
                is_left = values[i, genes[node]] <= thresholds[node]
                node = left[node] if is_left else right[node]
            leaf = left[node]
            for entry in range(leaf_starts[leaf], leaf_starts[leaf + 1]):
                shares[i, leaf_classes[entry]] += leaf_shares[entry]
        for c in range(n_classes):
            shares[i, c] /= len(roots)
    return shares


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
    elsewhere; the two give different trees of equal quality. Trees are grown 25 at
    once, each lot from a seed of its own, here or by the workers of a cluster.

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
    n_lots = -(-n_trees // _TREES_AT_ONCE)
    seeds = np.random.SeedSequence(seed).generate_state(n_lots) >> np.uint32(1)
    lots = [
        (int(seeds[j]), min(_TREES_AT_ONCE, n_trees - j * _TREES_AT_ONCE)) for j in range(n_lots)
    ]
    grow = partial(
        _grow,
        values=checked,
        codes=codes,
        present=present,
        n_classes=n_classes,
        accelerated=options.pop("accelerated", has_accelerator()),
        # A cluster's worker takes what it has.
        options=options if cluster else options | {"n_jobs": n_workers},
    )
    if cluster is None:
        # One lot after the other: each uses all threads.
        return merge_forests([grow(lot) for lot in lots])
    resources = Resources(cluster=cluster)
    return merge_forests(list(map_blocks(grow, lots, resources=resources, n_ahead=n_lots)))


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
    grower = _choose_estimator(accelerated=accelerated)
    estimator = grower(n_estimators=n_trees, random_state=seed, **options)
    estimator.fit(values, codes)
    return to_forest(estimator, present, n_classes)


def merge_forests(forests: Sequence[Forest]) -> Forest:
    """Join forests of the same genes and classes into one.

    Parameters
    ----------
    forests
        At least one.

    Returns
    -------
    Forest
        All trees, in order; answers the mean of the forests' answers, each
        weighing as many trees as it has.

    Examples
    --------
    >>> values = np.array([[0.0], [3.0]], dtype=np.float32)
    >>> one = fit_forest(values, np.array([0, 1]), n_classes=2, seed=0, n_trees=2)
    >>> merge_forests([one, one]).n_trees
    4
    """
    n_nodes = np.cumsum([0, *(len(forest.genes) for forest in forests)])
    n_leaves = np.cumsum([0, *(len(forest.leaf_starts) - 1 for forest in forests)])
    n_entries = np.cumsum([0, *(len(forest.leaf_classes) for forest in forests)])

    def join(pieces: list[NDArray[Any]], kind: type) -> NDArray[Any]:
        return np.concatenate(pieces).astype(kind)

    return Forest(
        roots=join([f.roots + n_nodes[j] for j, f in enumerate(forests)], np.int64),
        genes=join([f.genes for f in forests], np.int32),
        thresholds=join([f.thresholds for f in forests], np.float64),
        left=join(
            [
                f.left + np.where(f.genes < 0, n_leaves[j], n_nodes[j])
                for j, f in enumerate(forests)
            ],
            np.int32,
        ),
        right=join(
            [f.right + np.where(f.genes < 0, 0, n_nodes[j]) for j, f in enumerate(forests)],
            np.int32,
        ),
        leaf_starts=join(
            [np.zeros(1)] + [f.leaf_starts[1:] + n_entries[j] for j, f in enumerate(forests)],
            np.int64,
        ),
        leaf_classes=join([f.leaf_classes for f in forests], np.int32),
        leaf_shares=join([f.leaf_shares for f in forests], np.float64),
        n_classes=forests[0].n_classes,
        n_genes=forests[0].n_genes,
    )


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
