"""The ensemble that `train` ships: a forest and linear scores over label sets."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.classification.calibration import apply_temperature
from expressome.classification.features import rank_within_samples
from expressome.classification.forest import Forest, fit_forest
from expressome.classification.label_maps import LabelMaps
from expressome.classification.label_sets import LabelSets, fit_label_sets
from expressome.classification.linear import LinearScores, fit_linear

__all__ = [
    "Classifier",
    "ExtendTraining",
    "Settings",
    "extend_rows",
    "fit_classifier",
    "prepare_values",
]

# extend(values, labels, studies, n_per_label=..., rng=...) -> new rows and their labels;
# handed in by the pipeline, since rooms do not import each other.
ExtendTraining = Callable[..., tuple[NDArray[np.float32], sparse.csr_array]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is chosen on validation studies.

    Attributes
    ----------
    features
        Order genes are taken in: "information", "variance" or "f-test".
    n_genes
        Genes the classifier reads.
    n_trees
        Trees of the forest.
    study_effects
        Whether training is extended with samples of invented studies.
    n_per_label
        Invented samples per label.
    linear_share
        Weight of the linear scores beside the forest, 0 to 1.
    penalty
        Of the linear scores.
    use_ranks
        Whether values are replaced by their ranks within the sample.
    """

    features: str = "information"
    n_genes: int = 2000
    n_trees: int = 100
    study_effects: bool = True
    n_per_label: int = 150
    linear_share: float = 0.5
    penalty: float = 3.0
    use_ranks: bool = False

    def to_plain(self) -> dict[str, Any]:
        """Give the settings as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Classifier:
    """A fitted ensemble.

    Attributes
    ----------
    label_sets
        Classes, as sets of labels.
    forest
        Random forest, None where its share is 0.
    linear
        Linear scores, None where their share is 0.
    linear_share
        Weight of the linear scores.
    temperature
        Of the calibration on unseen studies; 1 before it.
    label_maps
        Calibration of each label by itself, after the temperature; None where
        the temperature alone was better.
    """

    label_sets: LabelSets
    forest: Forest | None
    linear: LinearScores | None
    linear_share: float
    temperature: float = 1.0
    label_maps: LabelMaps | None = None

    def predict_sets(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute the probability of each label set.

        Parameters
        ----------
        values
            The classifier's genes, prepared as in training, shape (n_samples, n_genes).

        Returns
        -------
        ndarray
            Calibrated, shape (n_samples, n_sets), rows sum to 1.
        """
        parts = []
        if self.forest is not None:
            parts.append((1 - self.linear_share) * self.forest.predict(values))
        if self.linear is not None:
            parts.append(self.linear_share * self.linear.predict(values))
        mixed: NDArray[np.float64] = np.sum(parts, axis=0)
        return mixed if self.temperature == 1.0 else apply_temperature(mixed, self.temperature)

    def predict_labels(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute the probability of each label, shape (n_samples, n_labels)."""
        return self.to_labels(self.predict_sets(values))

    def to_labels(self, set_probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Turn calibrated probabilities of label sets into those of labels.

        Parameters
        ----------
        set_probabilities
            As `predict_sets` gives them, shape (n_samples, n_sets).

        Returns
        -------
        ndarray
            Shape (n_samples, n_labels); a parent is never less probable than its child.
        """
        summed = self.label_sets.to_label_probabilities(set_probabilities)
        return summed if self.label_maps is None else self.label_maps.apply(summed)


def prepare_values(
    values: NDArray[np.floating], medians: NDArray[np.floating], *, use_ranks: bool = False
) -> NDArray[np.float32]:
    """Fill unmeasured genes with their training median; rank where asked.

    Parameters
    ----------
    values
        Normalised expression of the classifier's genes, NaN where unmeasured,
        shape (n_samples, n_genes). Not modified.
    medians
        Training median of each gene, shape (n_genes,).
    use_ranks
        Whether values become ranks within the sample.

    Returns
    -------
    ndarray
        float32, same shape, no NaN.

    Examples
    --------
    >>> prepare_values(np.array([[1.0, np.nan]]), np.array([9.0, 7.0])).tolist()
    [[1.0, 7.0]]
    """
    filled = np.where(np.isnan(values), medians, values).astype(np.float32)
    return rank_within_samples(filled) if use_ranks else filled


def fit_classifier(
    values: NDArray[np.float32],
    labels: sparse.csr_array,
    studies: NDArray[np.object_],
    *,
    settings: Settings,
    extend: ExtendTraining | None,
    seed: int,
    n_workers: int = 1,
) -> Classifier:
    """Fit the forest and the linear scores on training samples.

    Parameters
    ----------
    values
        Prepared expression of the chosen genes, shape (n_samples, n_genes), no NaN.
    labels
        0/1, closed under parents, shape (n_samples, n_labels); every sample
        carries a label.
    studies
        Study of each sample, shape (n_samples,).
    settings
        What to fit.
    extend
        Gives samples of invented studies; None, or `settings.study_effects`
        False, trains on the real samples alone.
    seed
        Root of every random choice.
    n_workers
        Threads.

    Returns
    -------
    Classifier
        Not calibrated yet: temperature 1.
    """
    label_sets, classes = fit_label_sets(labels)
    rows, targets = values, classes
    if extend is not None and settings.study_effects:
        rows, targets = extend_rows(
            values,
            classes,
            studies,
            label_sets=label_sets,
            extend=extend,
            n_per_label=settings.n_per_label,
            rng=np.random.default_rng([seed, 1]),
        )
    n_sets = len(label_sets.sets)
    forest, linear = None, None
    if settings.linear_share < 1:
        forest = fit_forest(
            rows,
            targets,
            n_classes=n_sets,
            seed=seed,
            n_trees=settings.n_trees,
            n_workers=n_workers,
        )
    if settings.linear_share > 0:
        linear = fit_linear(rows, targets, n_classes=n_sets, penalty=settings.penalty)
    return Classifier(label_sets, forest, linear, settings.linear_share)


def extend_rows(
    values: NDArray[np.float32],
    classes: NDArray[np.int64],
    studies: NDArray[np.object_],
    *,
    label_sets: LabelSets,
    extend: ExtendTraining,
    n_per_label: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Append samples of invented studies to real ones.

    Parameters
    ----------
    values
        Prepared expression, shape (n_samples, n_genes).
    classes
        Label set of each sample, shape (n_samples,).
    studies
        Study of each sample, shape (n_samples,).
    label_sets
        The sets.
    extend
        Gives the new rows and their labels.
    n_per_label
        New rows per label.
    rng
        Source of randomness.

    Returns
    -------
    ndarray
        Real rows, then new ones.
    ndarray
        Class of each row.
    """
    held = sparse.csr_array(label_sets.sets[classes].astype(np.uint8))
    rows, labels = extend(values, held, studies, n_per_label=n_per_label, rng=rng)
    joined = np.concatenate([classes, _classes_of(labels, label_sets)])
    return np.concatenate([values, rows]), joined


def _classes_of(labels: sparse.csr_array, label_sets: LabelSets) -> NDArray[np.int64]:
    """Find the class of rows whose label sets are all known."""
    number = {tuple(np.flatnonzero(held)): c for c, held in enumerate(label_sets.sets)}
    rows = sparse.csr_array(labels)
    rows.sort_indices()
    spans = zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
    return np.array([number[tuple(rows.indices[a:b])] for a, b in spans], dtype=np.int64)
