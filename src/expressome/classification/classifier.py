"""The ensemble that `train` ships: a forest and linear scores over label sets."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.classification.calibration import apply_temperature
from expressome.classification.discriminant import LinearProblem, pose_linear, share_evenly
from expressome.classification.features import rank_within_samples
from expressome.classification.forest import Forest
from expressome.classification.forest_growth import fit_forest
from expressome.classification.label_maps import LabelMaps
from expressome.classification.label_sets import LabelSets, fit_label_sets
from expressome.classification.linear import LinearScores

__all__ = [
    "Classifier",
    "EffectFunctions",
    "Settings",
    "extend_rows",
    "fit_classifier",
    "pose_linear_half",
    "prepare_values",
    "solve_linear_half",
]

# Genes at which a penalty of 1 is the variance of one gene: a sample's sum of squares,
# and with it the penalty, grows with the number of genes.
_GENES_OF_PENALTY = 2000


@dataclass(frozen=True, slots=True)
class EffectFunctions:
    """How study effects are learned and invented, handed in by the pipeline.

    Attributes
    ----------
    learn
        ``learn(values, labels, studies)`` gives an object whose ``differences`` say
        how studies differ within a label, shape (n_differences, n_genes).
    extend
        ``extend(values, labels, studies, n_per_label=, rng=, effects=, strength=,
        lowest_weight=, by_study=)`` gives new rows and their labels.
    """

    learn: Callable[..., Any]
    extend: Callable[..., tuple[NDArray[np.float32], sparse.csr_array]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is chosen on validation studies.

    Attributes
    ----------
    features
        Order genes are taken in: "f-test", "information" or "variance".
    n_genes
        Genes the classifier reads.
    n_trees
        Trees of the forest.
    max_depth
        Questions from the root to a leaf at most; None for no limit.
    class_weights
        Whether every label set weighs the same in the forest, however many
        samples carry it.
    study_effects
        Whether training is extended with samples of invented studies.
    n_per_label
        Invented samples per label.
    effect_strength
        Factor on the study effects that the forest's invented samples carry.
    lowest_weight
        Lowest share of the labelled sample where two samples are mixed.
    linear_share
        Weight of the linear scores beside the forest, 0 to 1.
    penalty
        Of the linear scores, for 2,000 genes; it grows with their number.
    linear_strength
        Factor on the study differences that the linear scores discount.
    use_ranks
        Whether values are replaced by their ranks within the sample.
    """

    features: str = "f-test"
    n_genes: int = 4000
    n_trees: int = 100
    max_depth: int | None = None
    class_weights: bool = False
    study_effects: bool = True
    n_per_label: int = 150
    effect_strength: float = 1.0
    lowest_weight: float = 0.7
    linear_share: float = 0.5
    penalty: float = 1.0
    linear_strength: float = 1.0
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
        Training median of each gene, or of its rank, shape (n_genes,).
    use_ranks
        Whether values become ranks within the sample, of the genes it measures.

    Returns
    -------
    ndarray
        float32, same shape, no NaN.

    Examples
    --------
    >>> prepare_values(np.array([[1.0, np.nan]]), np.array([9.0, 7.0])).tolist()
    [[1.0, 7.0]]
    """
    given = rank_within_samples(values) if use_ranks else values
    return np.where(np.isnan(given), medians, given).astype(np.float32)


def fit_classifier(
    values: NDArray[np.float32],
    labels: sparse.csr_array,
    studies: NDArray[np.object_],
    *,
    settings: Settings,
    effects: EffectFunctions | None,
    seed: int,
    growing: Mapping[str, Any] = MappingProxyType({}),
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
    effects
        Learns and invents study effects; None, or `settings.study_effects`
        False, trains on the real samples alone.
    seed
        Root of every random choice.
    growing
        What grows the trees, for `fit_forest`: ``n_workers``, ``cluster``.

    Returns
    -------
    Classifier
        Not calibrated yet: temperature 1.
    """
    label_sets, classes = fit_label_sets(labels)
    n_sets = len(label_sets.sets)
    known = None
    if effects is not None and settings.study_effects:
        known = effects.learn(values, _held(label_sets, classes), studies)
    forest, linear = None, None
    if settings.linear_share > 0:
        problem = pose_linear_half(values, classes, studies, n_classes=n_sets, known=known)
        linear = solve_linear_half(problem, settings)
    if settings.linear_share < 1:
        rows, targets = values, classes
        if effects is not None and known is not None:
            rows, targets = extend_rows(
                values,
                classes,
                studies,
                label_sets=label_sets,
                extend=effects.extend,
                rng=np.random.default_rng([seed, 1]),
                n_per_label=settings.n_per_label,
                effects=known,
                strength=settings.effect_strength,
                lowest_weight=settings.lowest_weight,
            )
        forest = fit_forest(
            rows,
            targets,
            n_classes=n_sets,
            seed=seed,
            n_trees=settings.n_trees,
            **growing,
            max_depth=settings.max_depth,
            class_weight="balanced" if settings.class_weights else None,
        )
    return Classifier(label_sets, forest, linear, settings.linear_share)


def pose_linear_half(
    values: NDArray[np.float32],
    classes: NDArray[np.int64],
    studies: NDArray[np.object_],
    *,
    n_classes: int,
    known: Any,  # noqa: ANN401 - what `EffectFunctions.learn` gives
) -> LinearProblem:
    """Sum what the linear scores of any penalty need, every study of a class alike.

    Parameters
    ----------
    values
        Prepared expression, shape (n_samples, n_genes).
    classes
        Label set of each sample, shape (n_samples,).
    studies
        Study of each sample, shape (n_samples,).
    n_classes
        Number of label sets.
    known
        Study effects, with ``differences``; None for none.

    Returns
    -------
    LinearProblem
        For `solve_linear_half`.
    """
    return pose_linear(
        values,
        classes,
        n_classes=n_classes,
        shares=share_evenly(classes, studies),
        differences=None if known is None else known.differences,
    )


def solve_linear_half(problem: LinearProblem, settings: Settings) -> LinearScores:
    """Give the linear scores of some settings; the penalty grows with the genes.

    Parameters
    ----------
    problem
        From `pose_linear_half`.
    settings
        Their penalty and strength are used.

    Returns
    -------
    LinearScores
        The linear half of the ensemble.
    """
    n_genes = problem.rows.shape[1]
    return problem.solve(settings.penalty * n_genes / _GENES_OF_PENALTY, settings.linear_strength)


def _held(label_sets: LabelSets, classes: NDArray[np.int64]) -> sparse.csr_array:
    """Give the labels of each sample's class."""
    return sparse.csr_array(label_sets.sets[classes].astype(np.uint8))


def extend_rows(
    values: NDArray[np.float32],
    classes: NDArray[np.int64],
    studies: NDArray[np.object_],
    *,
    label_sets: LabelSets,
    extend: Callable[..., tuple[NDArray[np.float32], sparse.csr_array]],
    rng: np.random.Generator,
    **options: Any,  # noqa: ANN401 - of `extend`
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
    rng
        Source of randomness.
    **options
        Of `extend`: ``n_per_label``, ``effects``, ``strength``, ``lowest_weight``.

    Returns
    -------
    ndarray
        Real rows, then new ones.
    ndarray
        Class of each row.
    """
    held = _held(label_sets, classes)
    rows, labels = extend(values, held, studies, rng=rng, by_study=True, **options)
    joined = np.concatenate([classes, _classes_of(labels, label_sets)])
    return np.concatenate([values, rows]), joined


def _classes_of(labels: sparse.csr_array, label_sets: LabelSets) -> NDArray[np.int64]:
    """Find the class of rows whose label sets are all known."""
    number = {tuple(np.flatnonzero(held)): c for c, held in enumerate(label_sets.sets)}
    rows = sparse.csr_array(labels)
    rows.sort_indices()
    spans = zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
    return np.array([number[tuple(rows.indices[a:b])] for a, b in spans], dtype=np.int64)
