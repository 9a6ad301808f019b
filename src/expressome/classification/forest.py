"""Random forest as plain arrays, read by our own code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from expressome.classification.stored_parts import StoredParts, require_parts
from expressome.errors import ModelError, ShapeError

__all__ = ["Forest", "merge_forests"]


@dataclass(frozen=True, slots=True)
class Forest(StoredParts):
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
        arrays = require_parts(cls, parts, "the forest")
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
    >>> one = Forest(np.zeros(1, np.int64), np.full(1, -1, np.int32), np.zeros(1),
    ...              np.zeros(1, np.int32), np.zeros(1, np.int32), np.array([0, 1]),
    ...              np.zeros(1, np.int32), np.ones(1), n_classes=2, n_genes=1)
    >>> merge_forests([one, one]).predict(values).tolist()
    [[1.0, 0.0], [1.0, 0.0]]
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
