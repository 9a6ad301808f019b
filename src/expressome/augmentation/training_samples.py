"""The training samples that synthetic ones are made from, checked once."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from expressome.errors import InvalidValueError, LabelError, ShapeError, first_few

__all__ = ["TrainingSamples", "collect_training", "fill_missing", "find_label", "fit_medians"]


@dataclass(frozen=True, slots=True)
class TrainingSamples:
    """Labelled training samples, all genes measured.

    Attributes
    ----------
    values
        Normalised expression before length division, shape (n_samples, n_genes),
        float32, >= 0, no NaN.
    labels
        0/1 labels, shape (n_samples, n_labels).
    keys
        Label keys, in column order.
    studies
        Study of each sample, shape (n_samples,).
    depths
        Detected genes of each sample, shape (n_samples,): the depth condition.
    """

    values: NDArray[np.float32]
    labels: sparse.csr_array
    keys: tuple[str, ...]
    studies: NDArray[np.object_]
    depths: NDArray[np.float64]

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.values)

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return int(self.values.shape[1])

    def holders(self, label: str) -> NDArray[np.intp]:
        """Give the positions of the samples that carry a label.

        Parameters
        ----------
        label
            A label key.

        Returns
        -------
        ndarray
            Positions, ascending.

        Raises
        ------
        LabelError
            If the label is unknown; close matches are listed.
        """
        column = self.labels[:, [find_label(label, self.keys)]]
        return np.sort(np.asarray(column.nonzero()[0], dtype=np.intp))

    def select(self, samples: NDArray[np.intp]) -> "TrainingSamples":
        """Give some of the samples.

        Parameters
        ----------
        samples
            Positions.

        Returns
        -------
        TrainingSamples
            Rows as asked; the values are copied.
        """
        return TrainingSamples(
            self.values[samples],
            sparse.csr_array(self.labels[samples]),
            self.keys,
            self.studies[samples],
            self.depths[samples],
        )


def find_label(label: str, keys: Sequence[str]) -> int:
    """Find the column of a label.

    Parameters
    ----------
    label
        Key asked for.
    keys
        Keys that exist.

    Returns
    -------
    int
        Position in `keys`.

    Raises
    ------
    LabelError
        If it is not among them; close matches are listed.

    Examples
    --------
    >>> find_label("liver", ["brain", "liver"])
    1
    """
    if label in keys:
        return list(keys).index(label)
    lowered = {key.lower(): key for key in keys}
    close = difflib.get_close_matches(label.lower(), list(lowered), n=5, cutoff=0.6)
    names = [lowered[key] for key in close]
    hint = f"close: {', '.join(names)}" if names else f"known: {first_few(keys)}"
    msg = f"label {label!r} is not among the {len(keys)} labels of the training samples ({hint})"
    raise LabelError(msg)


def fit_medians(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the median of every gene over the samples that measured it.

    Parameters
    ----------
    values
        Training samples, shape (n_samples, n_genes), NaN where unmeasured.

    Returns
    -------
    ndarray
        Shape (n_genes,), float32; 0 for a gene measured nowhere.

    Examples
    --------
    >>> fit_medians(np.array([[1, np.nan], [3, np.nan]], dtype=np.float32)).tolist()
    [2.0, 0.0]
    """
    medians = np.zeros(values.shape[1], dtype=np.float32)
    missing = np.isnan(values)
    holed = missing.any(axis=0)
    medians[~holed] = np.median(values[:, ~holed], axis=0)
    partly = holed & ~missing.all(axis=0)
    medians[partly] = np.nanmedian(values[:, partly], axis=0)
    return medians


def fill_missing(values: NDArray[np.float32], medians: NDArray[np.float32]) -> int:
    """Put medians where a gene was not measured, in place.

    Parameters
    ----------
    values
        Shape (n_samples, n_genes), NaN where unmeasured. Changed.
    medians
        From `fit_medians` on training samples.

    Returns
    -------
    int
        Cells filled.

    Examples
    --------
    >>> values = np.array([[1, np.nan]], dtype=np.float32)
    >>> fill_missing(values, np.array([5, 6], dtype=np.float32)), values.tolist()
    (1, [[1.0, 6.0]])
    """
    samples, genes = np.nonzero(np.isnan(values))
    values[samples, genes] = medians[genes]
    return len(samples)


def collect_training(
    values: ArrayLike,
    labels: sparse.csr_array,
    studies: ArrayLike,
    *,
    keys: Sequence[str],
    depths: ArrayLike | None = None,
) -> TrainingSamples:
    """Check training samples once, so that every method can trust them.

    Parameters
    ----------
    values
        Expression, shape (n_samples, n_genes), >= 0, no NaN.
    labels
        0/1 labels, shape (n_samples, n_labels).
    studies
        Study of each sample, shape (n_samples,).
    keys
        Label keys, one per column of `labels`.
    depths
        Detected genes per sample; counted as the values above the sample's
        minimum if None.

    Returns
    -------
    TrainingSamples
        float32 values; nothing is copied that has the right type.

    Raises
    ------
    ShapeError
        If the numbers of samples, labels or depths disagree.
    InvalidValueError
        If a value is NaN, infinite or below 0.

    Examples
    --------
    >>> carried = sparse.csr_array([[1], [1]])
    >>> collect_training(np.eye(2), carried, ["A", "B"], keys=["liver"]).depths.tolist()
    [1.0, 1.0]
    """
    checked = np.asarray(values, dtype=np.float32)
    matrix = sparse.csr_array(labels)
    names = np.asarray(studies, dtype=object)
    if checked.ndim != 2 or not len(checked) == matrix.shape[0] == len(names):
        msg = (
            f"values of shape {checked.shape}, {matrix.shape[0]} rows of labels and {len(names)} "
            "studies; pass values of shape (n_samples, n_genes) and one row and study per sample"
        )
        raise ShapeError(msg)
    if matrix.shape[1] != len(keys):
        msg = f"{matrix.shape[1]} columns of labels but {len(keys)} keys; pass one key per label"
        raise ShapeError(msg)
    if checked.size and not (np.isfinite(checked).all() and checked.min() >= 0):
        n_wrong = int(np.count_nonzero(~(checked >= 0) | np.isinf(checked)))
        msg = (
            f"{n_wrong} of {checked.size} values are NaN, infinite or below 0; "
            "fill unmeasured genes first, for example with fill_missing"
        )
        raise InvalidValueError(msg)
    if depths is None:
        depths = (checked > checked.min(axis=1, keepdims=True)).sum(axis=1)
    known_depths = np.asarray(depths, dtype=np.float64)
    if len(known_depths) != len(checked):
        msg = f"{len(known_depths)} depths for {len(checked)} samples; pass one per sample"
        raise ShapeError(msg)
    return TrainingSamples(checked, matrix, tuple(keys), names, known_depths)
