"""A trained model in memory: from a sample's values to its answer."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.classification.classifier import Classifier, prepare_values
from expressome.classification.features import rank_within_samples
from expressome.classification.label_sets import specific_labels
from expressome.classification.outliers import OutlierBound
from expressome.classification.study_profiles import StudyProfiles
from expressome.errors import ModelError

__all__ = ["HIGHEST_MISSING", "MISSING_FLAGGED", "TrainedModel"]

# Above the first share of missing genes an answer is flagged, above the second refused.
MISSING_FLAGGED = 0.2
HIGHEST_MISSING = 0.5


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """Everything needed to label a sample.

    Attributes
    ----------
    classifier
        Forest and linear scores, calibrated.
    outliers
        Bound on the distance to the classes.
    labels
        One row per label, index key; columns name, kind, system, parent,
        ontology_id, n_samples (in training).
    thresholds
        Probability from which a label is answered, shape (n_labels,).
    lowest_confidence
        Below it a sample is unknown; 0 where the thresholds alone decide.
    genes
        Ids the classifier reads, in order.
    medians
        Their training medians, shape (n_genes,).
    normalizer_parts
        Arrays and text that turn counts into values.
    use_ranks
        Whether values are ranked within the sample.
    description
        Plain values: species, level, unit, settings, training, manifest.
    metrics
        Scores, as in metrics.json.
    symbols
        Symbols of the genes; empty where a model was written without them.
    markers
        Label -> genes that matter most for it on validation studies.
    study_profiles
        Mean profiles of the training studies; None in a model without them.
    """

    classifier: Classifier
    outliers: OutlierBound
    labels: pd.DataFrame
    thresholds: NDArray[np.float64]
    lowest_confidence: float
    genes: pd.Index
    medians: NDArray[np.float32]
    normalizer_parts: dict[str, Any]
    use_ranks: bool
    description: dict[str, Any]
    metrics: dict[str, Any] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()
    markers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    study_profiles: StudyProfiles | None = None

    def __post_init__(self) -> None:
        """Refuse parts that do not belong together."""
        n_genes, n_labels = len(self.genes), len(self.labels)
        is_sound = (
            len(self.medians) == self.outliers.n_genes == n_genes
            and len(self.thresholds) == self.classifier.label_sets.sets.shape[1] == n_labels
        )
        if not is_sound:
            msg = f"the parts of the model disagree on {n_genes} genes or {n_labels} labels"
            raise ModelError(msg)

    @property
    def keys(self) -> list[str]:
        """Label keys, in column order."""
        return [str(key) for key in self.labels.index]

    @property
    def parents(self) -> list[int]:
        """Column of each label's parent, -1 for none."""
        return parent_columns(self.labels)

    def answer(
        self, values: NDArray[np.floating], samples: pd.Index, *, n_missing: int = 0
    ) -> pd.DataFrame:
        """Label samples.

        Parameters
        ----------
        values
            Normalised expression of the model's genes, NaN where unmeasured,
            shape (n_samples, n_genes).
        samples
            Their ids.
        n_missing
            Genes of the model that the input lacks altogether.

        Returns
        -------
        DataFrame
            Columns sample, label, confidence, unknown, reason, labels and
            ``p:<key>`` per label, in the order of `samples`.
        """
        prepared = prepare_values(values, self.medians, use_ranks=self.use_ranks)
        set_probabilities = self.classifier.predict_sets(prepared)
        sets = self.classifier.label_sets
        probabilities = self.classifier.to_labels(set_probabilities)
        sizes = self.labels["n_samples"].to_numpy()
        specific = specific_labels(sets, self.parents, sizes)
        best = specific[set_probabilities.argmax(axis=1)]
        confidence = probabilities[np.arange(len(values)), best]
        chosen = self.choose_labels(probabilities)
        distance = self.measure_distance(values)
        is_unknown, reasons = self._judge(chosen, confidence, best=best, distance=distance)
        # The input's missing genes, and those one sample lacks, count alike.
        shares = np.maximum(n_missing, np.isnan(values).sum(axis=1)) / max(1, len(self.genes))
        flagged = shares > MISSING_FLAGGED
        reasons[flagged] = [
            "; ".join(filter(None, [reason, f"{share:.0%} of the model's genes are missing"]))
            for reason, share in zip(reasons[flagged], shares[flagged], strict=True)
        ]
        keys = np.array(self.keys, dtype=object)
        columns: dict[str, Any] = {
            "sample": np.asarray(samples, dtype=object),
            "label": keys[best],
            "confidence": confidence,
            "unknown": is_unknown,
            "reason": reasons,
            "labels": pd.Series(
                [
                    [] if unknown else keys[held].tolist()
                    for held, unknown in zip(chosen, is_unknown, strict=True)
                ],
                dtype=object,
            ),
        }
        columns |= {f"p:{key}": probabilities[:, k] for k, key in enumerate(keys)}
        return pd.DataFrame(columns)

    def measure_distance(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute how unlike training samples are.

        Parameters
        ----------
        values
            Normalised expression of the model's genes, NaN where unmeasured, shape
            (n_samples, n_genes).

        Returns
        -------
        ndarray
            Shape (n_samples,); beyond ``outliers.bound`` a sample is unknown.
        """
        return self.outliers.distance(rank_within_samples(values) if self.use_ranks else values)

    def choose_labels(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Choose all labels above their thresholds, with their ancestors.

        Parameters
        ----------
        probabilities
            Of each label, shape (n_samples, n_labels).

        Returns
        -------
        ndarray
            bool, same shape.
        """
        return choose_labels(probabilities, self.thresholds, self.parents)

    def _judge(
        self,
        chosen: NDArray[np.bool_],
        confidence: NDArray[np.float64],
        *,
        best: NDArray[np.int64],
        distance: NDArray[np.float64],
    ) -> tuple[NDArray[np.bool_], NDArray[np.object_]]:
        """Decide which samples are unknown, and say why."""
        bound = np.maximum(self.lowest_confidence, 0.0)
        is_far = distance > self.outliers.bound
        is_unsure = confidence < bound
        is_silent: NDArray[np.bool_] = np.asarray(~chosen.any(axis=1))
        reasons = np.full(len(confidence), "", dtype=object)
        for i in np.flatnonzero(is_far | is_unsure | is_silent):
            words = []
            if is_silent[i]:
                threshold = self.thresholds[best[i]]
                words.append(
                    f"no label reaches its threshold (best {self.keys[best[i]]}: "
                    f"{confidence[i]:.2f} of {threshold:.2f})"
                )
            elif is_unsure[i]:
                words.append(f"confidence {confidence[i]:.2f} is below {bound:.2f}")
            if is_far[i]:
                words.append(
                    "unlike the training samples "
                    f"(distance {distance[i]:.2f} beyond {self.outliers.bound:.2f})"
                )
            reasons[i] = "; ".join(words)
        return is_far | is_unsure | is_silent, reasons


def parent_columns(labels: pd.DataFrame) -> list[int]:
    """Give the column of each label's parent.

    Parameters
    ----------
    labels
        Label table; index key, column ``parent`` (a key or empty).

    Returns
    -------
    list of int
        -1 for no parent, or one that is not in the table.

    Examples
    --------
    >>> parent_columns(pd.DataFrame({"parent": ["", "nervous"]}, index=["nervous", "brain"]))
    [-1, 0]
    """
    number = {str(key): k for k, key in enumerate(labels.index)}
    return [number.get(str(parent), -1) if parent else -1 for parent in labels["parent"]]


def choose_labels(
    probabilities: NDArray[np.float64], thresholds: NDArray[np.float64], parents: list[int]
) -> NDArray[np.bool_]:
    """Choose all labels at or above their thresholds, with their ancestors.

    Parameters
    ----------
    probabilities
        Of each label, shape (n_samples, n_labels).
    thresholds
        Shape (n_labels,).
    parents
        Column of each label's parent, -1 for none.

    Returns
    -------
    ndarray
        bool, shape (n_samples, n_labels).

    Examples
    --------
    >>> choose_labels(np.array([[0.2, 0.6]]), np.array([0.5, 0.5]), [-1, 0]).tolist()
    [[True, True]]
    """
    chosen = probabilities >= thresholds
    for _ in range(len(parents)):
        before = chosen.sum()
        for k, parent in enumerate(parents):
            if parent >= 0:
                chosen[:, parent] |= chosen[:, k]
        if chosen.sum() == before:
            break
    return chosen
