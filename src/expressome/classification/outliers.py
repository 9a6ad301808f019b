"""Recognise samples unlike anything in training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.classification.calibration import study_weights
from expressome.classification.resemblance import Likeness, Resemblance
from expressome.classification.stored_parts import StoredParts, require_parts
from expressome.classification.usual_distances import fit_class_offsets
from expressome.errors import ModelError

__all__ = [
    "LearnedRule",
    "OutlierBound",
    "OutlierRule",
    "fit_outlier_rule",
    "no_rule",
]

# With fewer, nothing can be learned from hiding labels: likeness alone decides.
_MIN_STUDIES = 4
_MIN_LABELS = 3
# Studies are set aside in so many parts to see how the rule does on unseen ones.
_N_PARTS = 5
# Inverse strength of the rule's ridge penalty, per study.
_FREEDOM = 10.0
# Place of the adjusted likeness among the measures.
_LIKENESS, _N_MEASURES = 2, 7


@dataclass(frozen=True, slots=True)
class OutlierRule(StoredParts):
    """How measures of likeness become one distance.

    Attributes
    ----------
    similarity_offsets
        How much less than usual samples of unseen studies resemble each class, shape
        (n_classes,).
    distance_offsets
        How much farther than usual, on a logarithmic scale, they lie from each class,
        shape (n_classes,).
    weights
        Of each measure, shape (7,): least likeness, lead over the second class, both
        less what is usual (likeness, distance), distance, length along and beside the
        directions of study effects.
    intercept
        Added to the weighted sum.
    bound
        Distance beyond which a sample is unlike training; infinite where
        nothing was there to set it.
    """

    similarity_offsets: NDArray[np.float64]
    distance_offsets: NDArray[np.float64]
    weights: NDArray[np.float64]
    intercept: float = 0.0
    bound: float = np.inf

    def judge(self, likeness: Likeness) -> NDArray[np.float64]:
        """Compute how unlike training samples are.

        Parameters
        ----------
        likeness
            With at least one class that is not hidden per sample.

        Returns
        -------
        ndarray
            Log odds of a label that training lacks, for even numbers of known and
            unknown samples; shape (n_samples,).
        """
        nearest = _Nearest.find(likeness)
        measures = nearest.measure(
            self.similarity_offsets[nearest.most_similar], self.distance_offsets[nearest.closest]
        )
        return np.asarray(measures @ self.weights + self.intercept, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class OutlierBound:
    """How weakly a sample may resemble every class.

    Attributes
    ----------
    space
        Classes, and the spread that means nothing.
    rule
        From likeness to distance, learned on unseen studies.
    """

    space: Resemblance
    rule: OutlierRule

    @property
    def n_genes(self) -> int:
        """Genes that the values must have."""
        return len(self.space.centre)

    @property
    def bound(self) -> float:
        """Distance beyond which a sample is unlike training."""
        return self.rule.bound

    def distance(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute how unlike training samples are.

        Parameters
        ----------
        values
            Shape (n_samples, n_genes), no NaN.

        Returns
        -------
        ndarray
            Shape (n_samples,); the larger, the less like training.
        """
        return self.rule.judge(self.space.compare(values))

    def to_parts(self) -> dict[str, NDArray[Any]]:
        """Give plain arrays that `from_parts` reads back."""
        return self.space.to_parts() | self.rule.to_parts()

    @classmethod
    def from_parts(cls, parts: Mapping[str, NDArray[Any]]) -> "OutlierBound":
        """Build the bound from its arrays.

        Parameters
        ----------
        parts
            As `to_parts` gives them.

        Returns
        -------
        OutlierBound
            Equal to the one written.

        Raises
        ------
        ModelError
            If an array is absent or of another shape.
        """
        found = require_parts(OutlierRule, parts, "the outlier rule")
        space = Resemblance.from_parts(parts)
        n_classes = len(space.n_studies)
        n_offsets = {len(found["similarity_offsets"]), len(found["distance_offsets"])}
        if n_offsets != {n_classes} or len(found["weights"]) != _N_MEASURES:
            msg = (
                f"the outlier rule has {sorted(n_offsets)} offsets for {n_classes} classes and "
                f"{len(found['weights'])} of {_N_MEASURES} weights; train the model again"
            )
            raise ModelError(msg)
        numbers = {name: float(found[name]) for name in ("intercept", "bound")}
        return cls(space, OutlierRule(**{**found, **numbers}))


@dataclass(frozen=True, slots=True)
class _Nearest:
    """What single samples share with the class nearest to each."""

    most_similar: NDArray[np.int64]
    closest: NDArray[np.int64]
    similarity: NDArray[np.float64]
    lead: NDArray[np.float64]
    distance: NDArray[np.float64]
    lengths: NDArray[np.float64]

    @classmethod
    def find(cls, likeness: Likeness) -> "_Nearest":
        """Find the most similar and the closest class of each sample."""
        similarity, distance = likeness.similarity, likeness.distance
        rows = np.arange(len(similarity))
        most_similar, closest = similarity.argmax(axis=1), distance.argmin(axis=1)
        highest = similarity[rows, most_similar]
        others = similarity.copy()
        others[rows, most_similar] = -np.inf
        second = others.max(axis=1)
        lengths = np.stack([likeness.along, likeness.beside], axis=1)
        return cls(
            most_similar,
            closest,
            highest,
            # A single class leads over nothing.
            np.where(np.isfinite(second), highest - second, 0.0),
            np.log(np.maximum(distance[rows, closest], 1e-12)),
            np.log(np.maximum(lengths, 1e-12)),
        )

    def measure(
        self, similarity_offsets: NDArray[np.float64], distance_offsets: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """List the measures of each sample, less its own offsets where they have any."""
        columns = [
            -self.similarity,
            self.lead,
            -self.similarity - similarity_offsets,
            self.distance - distance_offsets,
            self.distance,
        ]
        return np.column_stack([*columns, self.lengths])


@dataclass(frozen=True, slots=True)
class LearnedRule:
    """A rule, and how far samples of known labels lie by rules that had not seen them.

    Attributes
    ----------
    rule
        Without a bound yet.
    distances
        Of samples of unseen studies and known labels, each judged by a rule learned
        without its study, shape (n_samples,).
    n_hidden
        Labels that were hidden in turn to learn the rule; 0 where likeness alone decides.
    """

    rule: OutlierRule
    distances: NDArray[np.float64]
    n_hidden: int


def no_rule(n_classes: int) -> OutlierRule:
    """Give the rule that flags nothing, for where nothing can be learned.

    Parameters
    ----------
    n_classes
        Classes of the model.

    Returns
    -------
    OutlierRule
        With an infinite bound.

    Examples
    --------
    >>> float(no_rule(2).bound)
    inf
    """
    none = np.zeros(n_classes)
    return OutlierRule(none, none, np.zeros(_N_MEASURES))


def fit_outlier_rule(
    likeness: Likeness,
    studies: NDArray[np.object_],
    *,
    hidden: NDArray[np.bool_],
    labels: NDArray[np.integer],
    rng: np.random.Generator,
) -> LearnedRule:
    """Learn to tell known labels from unknown ones by hiding each label in turn.

    Every sample of an unseen study is judged twice: as it is, and as if training had
    not known its label. Logistic regression on seven measures tells the two apart.

    Parameters
    ----------
    likeness
        Of samples of studies left out of the space, whose label the space knows.
    studies
        Study of each, shape (n_samples,).
    hidden
        Classes that go where the sample's label goes, shape (n_samples, n_classes).
    labels
        Label of each sample, shape (n_samples,); every label counts the same among
        the unknown, every study among the known.
    rng
        Sets studies aside.

    Returns
    -------
    LearnedRule
        Where fewer than 4 studies or 3 labels are there, the adjusted likeness alone.

    References
    ----------
    Hendrycks et al. 2019, arXiv:1812.04606 (learning from other unknown samples).
    """
    n_classes = likeness.similarity.shape[1]
    near = _Nearest.find(likeness)
    similar = fit_class_offsets(-near.similarity, near.most_similar, studies, n_classes=n_classes)
    close = fit_class_offsets(near.distance, near.closest, studies, n_classes=n_classes)
    plain = np.zeros(_N_MEASURES)
    plain[_LIKENESS] = 1.0
    rule = OutlierRule(similar.offsets, close.offsets, plain)
    # Each known sample's offsets come from the other studies alone.
    known = near.measure(-near.similarity - similar.adjusted, near.distance - close.adjusted)
    can_hide: NDArray[np.bool_] = np.asarray(
        (~hidden & np.isfinite(likeness.similarity)).any(axis=1)
    )
    names, study = np.unique(studies.astype(str), return_inverse=True)
    n_labels = len(np.unique(labels[can_hide]))
    if len(names) < _MIN_STUDIES or n_labels < _MIN_LABELS:
        return LearnedRule(rule, known @ plain, 0)
    far = _Nearest.find(likeness.take(can_hide).hide(hidden[can_hide]))
    unknown = far.measure(similar.offsets[far.most_similar], close.offsets[far.closest])
    part = (rng.permutation(len(names)) % _N_PARTS)[study]
    distances = np.empty(len(known))
    for k in range(_N_PARTS):
        kept = part != k
        if not (kept & can_hide).any():
            # All that can be hidden stands in one part: then no rule can do without it.
            kept = np.ones(len(part), bool)
        weights, intercept = _separate(
            known[kept],
            unknown[kept[can_hide]],
            studies=studies[kept],
            labels=labels[kept & can_hide],
        )
        is_held = part == k
        distances[is_held] = known[is_held] @ weights + intercept
    weights, intercept = _separate(known, unknown, studies=studies, labels=labels[can_hide])
    return LearnedRule(replace(rule, weights=weights, intercept=intercept), distances, n_labels)


def _separate(
    known: NDArray[np.float64],
    unknown: NDArray[np.float64],
    *,
    studies: NDArray[np.object_],
    labels: NDArray[np.integer],
) -> tuple[NDArray[np.float64], float]:
    """Fit weights and intercept that tell unknown samples from known ones."""
    from sklearn.linear_model import LogisticRegression

    measures = np.concatenate([known, unknown])
    shares = np.concatenate([study_weights(studies), study_weights(labels)])
    centre = np.average(measures, axis=0, weights=shares)
    scale = np.sqrt(np.average((measures - centre) ** 2, axis=0, weights=shares)) + 1e-9
    n_studies = len(np.unique(studies.astype(str)))
    model = LogisticRegression(C=_FREEDOM * n_studies, max_iter=1000)
    model.fit((measures - centre) / scale, np.arange(len(measures)) >= len(known), shares)
    weights = model.coef_[0] / scale
    return weights, float(model.intercept_[0] - weights @ centre)
