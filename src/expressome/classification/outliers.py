"""Recognise samples unlike anything in training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.classification.resemblance import Resemblance
from expressome.classification.stored_parts import StoredParts, require_parts
from expressome.classification.usual_distances import bound_distance, fit_class_offsets
from expressome.errors import ModelError

__all__ = ["OutlierBound", "OutlierRule", "fit_outlier_rule", "no_rule"]


@dataclass(frozen=True, slots=True)
class OutlierRule(StoredParts):
    """From which distance a sample is unlike training.

    Attributes
    ----------
    offsets
        How much farther than others samples of unseen studies usually lie from each
        class, shape (n_classes,).
    bound
        Distance, less the offset of the nearest class, beyond which a sample is unlike
        training; infinite where nothing was there to set it.
    n_studies
        Unseen studies that set it.
    """

    offsets: NDArray[np.float64]
    bound: float = np.inf
    n_studies: int = 0


@dataclass(frozen=True, slots=True)
class OutlierBound:
    """How weakly a sample may resemble every class.

    Attributes
    ----------
    space
        Classes, and the spread that means nothing.
    rule
        What is usual and what is not, learned on unseen studies.
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
            Shape (n_samples, n_genes), NaN where unmeasured.

        Returns
        -------
        ndarray
            1 minus the cosine to the nearest class, less what is usual for that class;
            shape (n_samples,).
        """
        distances, nearest = find_nearest(self.space.compare(values))
        return distances - self.rule.offsets[nearest]

    def to_parts(self) -> dict[str, NDArray[Any]]:
        """Give plain arrays that `from_parts` reads back."""
        rule = self.rule.to_parts()
        return self.space.to_parts() | {f"rule_{name}": part for name, part in rule.items()}

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
        own = {name.removeprefix("rule_"): a for name, a in parts.items() if "rule_" in name}
        found = require_parts(OutlierRule, own, "the outlier rule")
        space = Resemblance.from_parts(parts)
        if len(found["offsets"]) != len(space.n_studies):
            msg = (
                f"the outlier rule has {len(found['offsets'])} offsets for "
                f"{len(space.n_studies)} classes; train the model again"
            )
            raise ModelError(msg)
        rule = OutlierRule(found["offsets"], float(found["bound"]), int(found["n_studies"]))
        return cls(space, rule)


def find_nearest(
    cosines: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the class nearest to each sample.

    Parameters
    ----------
    cosines
        To each class, shape (n_samples, n_classes).

    Returns
    -------
    ndarray
        1 minus the largest, shape (n_samples,).
    ndarray
        Its class.
    """
    nearest = cosines.argmax(axis=1)
    return 1 - cosines[np.arange(len(cosines)), nearest], nearest


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
    >>> no_rule(2).bound
    inf
    """
    return OutlierRule(np.zeros(n_classes))


def fit_outlier_rule(
    cosines: NDArray[np.float64], studies: NDArray[np.object_], *, false_flags: float
) -> OutlierRule:
    """Learn what is usual for samples of unseen studies and known classes.

    Parameters
    ----------
    cosines
        Of samples of studies left out of the space, to each class, shape (n_samples,
        n_classes).
    studies
        Study of each, shape (n_samples,); every study counts the same.
    false_flags
        Share of samples of new studies that may be flagged although their class is
        known.

    Returns
    -------
    OutlierRule
        Its bound is set on distances adjusted by the other studies alone.

    Examples
    --------
    >>> cosines = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.5], [0.0, 0.6]])
    >>> rule = fit_outlier_rule(cosines, np.array(list("abcd"), object), false_flags=0.25)
    >>> rule.offsets.round(2).tolist(), round(rule.bound, 2)
    ([-0.05, 0.05], 0.48)
    """
    distances, nearest = find_nearest(cosines)
    usual = fit_class_offsets(distances, nearest, studies, n_classes=cosines.shape[1])
    bound = bound_distance(usual.adjusted, studies, false_flags=false_flags)
    return OutlierRule(usual.offsets, bound, len(np.unique(studies.astype(str))))
