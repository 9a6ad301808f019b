"""Study effects: learn how studies differ within a label, and sample new ones."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from expressome.errors import InvalidValueError, LabelError, ShapeError, StudyWarning

__all__ = ["StudyEffects", "extend_training", "fit_study_effects"]

# Lowest share of the labelled sample in a mixture; below one half the label would be lost.
_LOWEST_WEIGHT = 0.7
# Share of the spread within a study that is added as independent noise.
_NOISE_SHARE = 0.1
# Differences kept at most: 1,000 x 60,000 float32 values are 240 MB.
_MAX_DIFFERENCES = 1000


@dataclass(frozen=True, slots=True)
class StudyEffects:
    """How studies of one label differ from each other.

    Attributes
    ----------
    differences
        Mean of a label in one study minus its mean over studies, times
        sqrt(s / (s - 1)) for s studies so that the variance is unbiased; shape
        (n_differences, n_genes), float32. No row where every label is held by one study.
    spread
        Standard deviation within a label and study per gene, shape (n_genes,),
        float32; 0 where no label and study holds two samples.
    n_labels
        Labels that several studies share, which the differences come from.
    """

    differences: NDArray[np.float32]
    spread: NDArray[np.float32]
    n_labels: int

    @property
    def n_differences(self) -> int:
        """Differences that new effects are combined from."""
        return len(self.differences)

    def sample(
        self, n_samples: int, *, rng: np.random.Generator, strength: float = 1.0
    ) -> NDArray[np.float32]:
        """Draw new study effects.

        An effect is a normal combination of the differences, with variance
        1 / n_differences each: its covariance over genes is theirs.

        Parameters
        ----------
        n_samples
            Effects to draw.
        rng
            Source of randomness.
        strength
            Factor on every effect; 1 is as strong as those seen.

        Returns
        -------
        ndarray
            Shape (n_samples, n_genes), float32; zeros where there is no difference.
        """
        n_differences = self.n_differences
        if n_differences == 0:
            return np.zeros((n_samples, self.differences.shape[1]), dtype=np.float32)
        weights = rng.standard_normal((n_samples, n_differences), dtype=np.float32)
        weights *= np.float32(strength / np.sqrt(n_differences))
        return np.asarray(weights @ self.differences, dtype=np.float32)

    def lay_on(
        self,
        values: NDArray[np.float32],
        pool: NDArray[np.float32],
        *,
        rng: np.random.Generator,
        strength: float = 1.0,
        lowest_weight: float = _LOWEST_WEIGHT,
    ) -> NDArray[np.float32]:
        """Move samples to studies that nobody has seen.

        w times the sample plus (1 - w) times any of the pool, w uniform in `lowest_weight` to 1,
        plus a new effect each, plus independent noise of a tenth of the spread within studies.

        Parameters
        ----------
        values
            Real or synthetic samples, shape (n_samples, n_genes). Not modified.
        pool
            Training samples of any label, same genes.
        rng
            Source of randomness.
        strength
            Factor on every effect.
        lowest_weight
            Lowest share of the sample itself; 1 mixes nothing.

        Returns
        -------
        ndarray
            Shape of `values`, float32, clipped at 0 where the pool has nothing below 0.
        """
        partners = rng.integers(len(pool), size=len(values))
        weights = rng.uniform(lowest_weight, 1, len(values)).astype(np.float32)[:, None]
        rows = self.sample(len(values), rng=rng, strength=strength)
        rows += weights * values
        rows += (1 - weights) * pool[partners]
        noise = rng.standard_normal(rows.shape, dtype=np.float32) * np.float32(_NOISE_SHARE)
        rows += noise * self.spread
        if pool.size and pool.min() >= 0:
            np.maximum(rows, 0, out=rows)
        return rows


def _check_values(values: ArrayLike) -> NDArray[np.float32]:
    """Give the values as float32, refusing other than two axes and NaN."""
    checked = np.asarray(values, dtype=np.float32)
    if checked.ndim != 2:
        msg = f"the values have {checked.ndim} axes; pass an array of shape (n_samples, n_genes)"
        raise ShapeError(msg)
    n_missing = checked.size - int(np.count_nonzero(np.isfinite(checked)))
    if n_missing:
        msg = (
            f"{n_missing} of {checked.size} values are NaN or infinite; "
            "fill unmeasured genes first, for example with their training median"
        )
        raise InvalidValueError(msg)
    return checked


def _check_rows(
    values: NDArray[np.float32], labels: sparse.csr_array, studies: ArrayLike
) -> tuple[sparse.csr_array, NDArray[np.object_]]:
    """Refuse labels or studies of another number of samples than the values."""
    matrix = sparse.csr_array(labels)
    names = np.asarray(studies, dtype=object)
    if not len(values) == matrix.shape[0] == len(names):
        msg = (
            f"{len(values)} samples, {matrix.shape[0]} rows of labels and {len(names)} studies; "
            "pass one row of labels and one study per sample"
        )
        raise ShapeError(msg)
    return matrix, names


def _group(
    labels: sparse.csr_array, studies: NDArray[np.object_]
) -> tuple[sparse.csr_array, NDArray[np.intp]]:
    """Give the 0/1 membership of samples in pairs of label and study, and each pair's label."""
    _, study_codes = np.unique(studies.astype(str), return_inverse=True)
    samples, keys = labels.nonzero()
    n_studies = int(study_codes.max(initial=0)) + 1
    pairs, groups = np.unique(
        keys.astype(np.intp) * n_studies + study_codes[samples], return_inverse=True
    )
    membership = sparse.csr_array(
        (np.ones(len(groups), np.float32), (groups, samples)), shape=(len(pairs), len(studies))
    )
    return membership, pairs // n_studies


def _shared_groups(sizes: NDArray[np.float32], group_labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Choose the groups of labels that several studies share, the largest where too many."""
    kept: NDArray[np.intp] = np.flatnonzero(np.bincount(group_labels)[group_labels] > 1)
    if len(kept) > _MAX_DIFFERENCES:
        largest = np.argsort(-sizes[kept], kind="stable")[:_MAX_DIFFERENCES]
        kept = np.sort(kept[largest])
        kept = kept[np.bincount(group_labels[kept])[group_labels[kept]] > 1]
    return kept


def _measure_spread(
    values: NDArray[np.float32], membership: sparse.csr_array, sizes: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Pool the standard deviation of each gene within groups of two or more samples."""
    repeated = np.flatnonzero(sizes > 1)[:_MAX_DIFFERENCES]
    if len(repeated) == 0:
        return np.zeros(values.shape[1], dtype=np.float32)
    members, sizes = membership[repeated], sizes[repeated]
    squares = np.zeros(values.shape[1])
    n_free = float((sizes - 1).sum())
    for genes in range(0, values.shape[1], 2048):
        part = values[:, genes : genes + 2048].astype(np.float64)
        totals = members @ part
        squares[genes : genes + 2048] = (members.sum(axis=0) @ part**2) - (
            totals**2 / sizes[:, None]
        ).sum(axis=0)
    return np.sqrt(np.maximum(squares, 0) / n_free).astype(np.float32)


def fit_study_effects(
    values: ArrayLike, labels: sparse.csr_array, studies: ArrayLike
) -> StudyEffects:
    """Learn how studies differ from labels that several of them share.

    The difference of a study is the mean of a label in it minus the mean of
    the label over its studies (each study counts once). A difference mixes
    laboratory, protocol and donors; that mixture is what separates a new study
    from the training studies. Fit on training samples only.

    Parameters
    ----------
    values
        Normalised expression, shape (n_samples, n_genes), no NaN. Any subset of
        genes serves. Not modified.
    labels
        0/1 labels, sparse, shape (n_samples, n_labels). A sample with several
        labels counts in each.
    studies
        Study of each sample, shape (n_samples,).

    Returns
    -------
    StudyEffects
        Without differences where no label is held by two studies.

    Raises
    ------
    ShapeError
        If the numbers of samples disagree or the values have not two axes.
    InvalidValueError
        If a value is NaN or infinite.

    Warns
    -----
    StudyWarning
        If no label is held by two studies: there is nothing to learn from.

    Notes
    -----
    Memory: one row per pair of label and study, at most 1,000 pairs (those
    with most samples). The spread is a plain pooled standard deviation.

    Examples
    --------
    >>> values = np.array([[1.0, 5.0], [3.0, 5.0], [9.0, 0.0]])
    >>> labels = sparse.csr_array([[1, 0], [1, 0], [0, 1]])
    >>> effects = fit_study_effects(values, labels, ["A", "B", "B"])
    >>> (effects.differences / np.sqrt(2)).round(3).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    checked = _check_values(values)
    matrix, names = _check_rows(checked, labels, studies)
    membership, group_labels = _group(matrix, names)
    sizes = np.asarray(membership.sum(axis=1), dtype=np.float32)
    spread = _measure_spread(checked, membership, sizes)
    kept = _shared_groups(sizes, group_labels)
    if len(kept) == 0:
        msg = (
            f"none of {matrix.shape[1]} labels is held by two of the "
            f"{len(np.unique(names.astype(str)))} studies; study effects cannot be learned and "
            "none are added"
        )
        warnings.warn(msg, StudyWarning, stacklevel=2)
        empty = np.zeros((0, checked.shape[1]), dtype=np.float32)
        return StudyEffects(empty, spread, 0)
    means = np.asarray(membership[kept] @ checked, dtype=np.float32)
    means /= sizes[kept, None]
    _, label_codes = np.unique(group_labels[kept], return_inverse=True)
    n_studies = np.bincount(label_codes).astype(np.float32)
    averaging = sparse.csr_array(
        (1 / n_studies[label_codes], (label_codes, np.arange(len(kept)))),
        shape=(len(n_studies), len(kept)),
    )
    means -= (averaging @ means)[label_codes]
    means *= np.sqrt(n_studies / (n_studies - 1))[label_codes, None]
    return StudyEffects(np.asarray(means, dtype=np.float32), spread, len(n_studies))


def _choose_bases(
    labels: sparse.csr_array,
    n_per_label: int,
    rng: np.random.Generator,
    *,
    studies: NDArray[np.object_] | None,
) -> NDArray[np.intp]:
    """Choose the labelled sample each new row starts from, label after label."""
    columns = sparse.csc_array(labels)
    columns.sort_indices()
    held = [
        columns.indices[columns.indptr[k] : columns.indptr[k + 1]] for k in range(labels.shape[1])
    ]
    chosen = [
        rng.choice(samples, n_per_label, p=None if studies is None else _even(studies[samples]))
        for samples in held
        if len(samples)
    ]
    if not chosen:
        msg = (
            f"none of {labels.shape[0]} samples carries one of {labels.shape[1]} labels; label some"
        )
        raise LabelError(msg)
    return np.concatenate(chosen).astype(np.intp)


def _even(studies: NDArray[np.object_]) -> NDArray[np.float64]:
    """Weigh samples so that every study counts the same."""
    _, owner, sizes = np.unique(studies.astype(str), return_inverse=True, return_counts=True)
    return np.asarray(1 / sizes[owner] / len(sizes), dtype=np.float64)


def extend_training(  # noqa: PLR0913 - samples, then how far they are moved
    values: ArrayLike,
    labels: sparse.csr_array,
    studies: ArrayLike,
    *,
    n_per_label: int = 150,
    rng: np.random.Generator,
    effects: StudyEffects | None = None,
    strength: float = 1.0,
    lowest_weight: float = _LOWEST_WEIGHT,
    by_study: bool = False,
) -> tuple[NDArray[np.float32], sparse.csr_array]:
    """Make training rows that look as if they came from other studies.

    Each new row is a sample of the label, mixed with any other and moved by a new study
    effect as `StudyEffects.lay_on` says, and carries all labels of its first sample. A
    classifier trained on them learns which directions studies move in and stops trusting those.

    Parameters
    ----------
    values
        Normalised expression of training samples, shape (n_samples, n_genes),
        no NaN; all genes or any subset. Not modified.
    labels
        0/1 labels, sparse, shape (n_samples, n_labels).
    studies
        Study of each sample, shape (n_samples,).
    n_per_label
        New rows per label that has a sample; one is enough.
    rng
        Source of randomness.
    effects
        From `fit_study_effects`; fitted here on the same rows if None.
    strength
        Factor on the study effects; 1 is as strong as those seen.
    lowest_weight
        Lowest share of the labelled sample in a mixture, 0.5 to 1; 1 mixes nothing.
    by_study
        Whether the first sample comes from each study of the label equally often, so
        that a large study does not stand for the label; else each sample does.

    Returns
    -------
    new_values
        Shape (n_new, n_genes), float32: only the new rows, clipped at 0 where
        `values` has nothing below 0.
    new_labels
        Shape (n_new, n_labels), the type of `labels`.

    Raises
    ------
    ShapeError
        If the numbers of samples or genes disagree.
    InvalidValueError
        If a value is NaN or infinite, `n_per_label` below 1, `lowest_weight` outside 0.5 to 1.
    LabelError
        If no sample carries a label.

    Warns
    -----
    StudyWarning
        If no label is held by two studies (only when effects are fitted here).

    Examples
    --------
    >>> values = np.array([[1.0, 5.0], [3.0, 5.0], [9.0, 0.0]])
    >>> labels = sparse.csr_array([[1, 0], [1, 0], [0, 1]])
    >>> rng = np.random.default_rng(0)
    >>> rows, carried = extend_training(values, labels, ["A", "B", "B"], n_per_label=4, rng=rng)
    >>> rows.shape, carried.sum(axis=0).tolist()
    ((8, 2), [4, 4])
    """
    checked = _check_values(values)
    matrix, names = _check_rows(checked, labels, studies)
    if n_per_label < 1:
        msg = f"n_per_label is {n_per_label}; at least 1 new row per label is needed"
        raise InvalidValueError(msg)
    if not 0.5 <= lowest_weight <= 1:
        msg = f"lowest_weight is {lowest_weight:g}; it must lie between 0.5 and 1"
        raise InvalidValueError(msg)
    if effects is None:
        effects = fit_study_effects(checked, matrix, names)
    if effects.differences.shape[1] != checked.shape[1]:
        msg = (
            f"the study effects cover {effects.differences.shape[1]} genes, but the values have "
            f"{checked.shape[1]}; fit both on the same genes"
        )
        raise ShapeError(msg)
    bases = _choose_bases(matrix, n_per_label, rng, studies=names if by_study else None)
    rows = effects.lay_on(
        checked[bases], checked, rng=rng, strength=strength, lowest_weight=lowest_weight
    )
    return rows, matrix[bases]
