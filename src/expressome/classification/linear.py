"""Linear scores: the linear half of the ensemble."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.classification.stored_parts import StoredParts, require_parts
from expressome.errors import ModelError, ShapeError

__all__ = ["LinearScores"]

# Scores are regressions on 0/1 and lie near that range; at 0.1 a lead of 0.25 is
# a probability of 0.9. Calibration on unseen studies corrects the rest.
_SOFTNESS = 0.1


@dataclass(frozen=True, slots=True)
class LinearScores(StoredParts):
    """A linear score per class, and its softmax.

    Attributes
    ----------
    centre, scale
        Mean and spread of each gene in training, shape (n_genes,).
    weights
        Shape (n_genes, n_classes), of standardised values.
    intercepts
        Shape (n_classes,).
    has_samples
        Classes seen in training, shape (n_classes,); others get probability 0.
    """

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    weights: NDArray[np.float32]
    intercepts: NDArray[np.float32]
    has_samples: NDArray[np.bool_]

    def predict(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute class probabilities as a softmax of the linear scores.

        Parameters
        ----------
        values
            Shape (n_samples, n_genes), no NaN.

        Returns
        -------
        ndarray
            Shape (n_samples, n_classes), rows sum to 1.

        Raises
        ------
        ShapeError
            If the number of genes is another than in training.
        """
        if values.shape[1] != len(self.centre):
            msg = f"the values have {values.shape[1]} genes; the weights cover {len(self.centre)}"
            raise ShapeError(msg)
        scores = self.to_logits(values)
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))

    def to_logits(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute the scores whose softmax is the answer, shape (n_samples, n_classes)."""
        standard = self.standardise(values)
        scores = (standard @ self.weights + self.intercepts).astype(np.float64) / _SOFTNESS
        scores[:, ~self.has_samples] = -np.inf
        return np.asarray(scores)

    def standardise(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Express values in spreads from the training mean, same shape."""
        return np.asarray((np.asarray(values, np.float32) - self.centre) / self.scale)

    @property
    def softness(self) -> float:
        """What weighted values are divided by to give logits."""
        return _SOFTNESS

    def logit_weights(self, gene: int) -> NDArray[np.float64]:
        """Give what one spread of a gene adds to each class's score, shape (n_classes,)."""
        return np.asarray(self.weights[gene] / _SOFTNESS, dtype=np.float64)

    @classmethod
    def from_parts(cls, parts: Mapping[str, NDArray[Any]]) -> "LinearScores":
        """Build the scores from their arrays.

        Parameters
        ----------
        parts
            As `to_parts` gives them.

        Returns
        -------
        LinearScores
            Equal to the one written.

        Raises
        ------
        ModelError
            If an array is absent or their shapes disagree.
        """
        scores = cls(**require_parts(cls, parts, "the linear half"))
        expected = (len(scores.centre), len(scores.intercepts))
        if scores.weights.shape != expected or len(scores.has_samples) != expected[1]:
            msg = f"linear weights of shape {scores.weights.shape} should be {expected}"
            raise ModelError(msg)
        return scores
