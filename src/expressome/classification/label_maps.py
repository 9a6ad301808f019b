"""Calibrate each label by itself: a monotone map from its probability to its frequency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from expressome.classification.calibration import apply_temperature, fit_temperature, study_weights
from expressome.classification.label_sets import LabelSets
from expressome.errors import ModelError

__all__ = ["LabelMaps", "choose_calibration", "fit_label_maps"]

# A label carried by fewer validation studies takes the map of all labels together.
_MIN_STUDIES = 3
_N_FOLDS = 5
# Of the mean squared error: below it the two cannot be told apart, and one number
# (the temperature) generalises better than a curve per label.
_MARGIN = 0.002


@dataclass(frozen=True, slots=True)
class LabelMaps:
    """A monotone map per label, straight between its knots.

    Attributes
    ----------
    starts
        Where the knots of each label start, shape (n_labels + 1,).
    inputs, outputs
        Knots, ascending within a label, shape (n_knots,).
    parents
        Column of each label's parent, -1 for none, shape (n_labels,): a parent is
        never less probable than its child.
    """

    starts: NDArray[np.int64]
    inputs: NDArray[np.float64]
    outputs: NDArray[np.float64]
    parents: NDArray[np.int64]

    def apply(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map the probability of each label, shape (n_samples, n_labels), kept."""
        n_labels = len(self.parents)
        mapped = np.empty((len(probabilities), n_labels))
        for k in range(n_labels):
            knots = slice(self.starts[k], self.starts[k + 1])
            mapped[:, k] = np.interp(probabilities[:, k], self.inputs[knots], self.outputs[knots])
        for _ in range(n_labels):
            before = mapped.sum()
            for k, parent in enumerate(self.parents):
                if parent < 0:
                    continue
                mapped[:, parent] = np.maximum(mapped[:, parent], mapped[:, k])
            if mapped.sum() == before:
                break
        return mapped

    def to_plain(self) -> dict[str, list[Any]]:
        """Give lists that `from_plain` reads back."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}

    @classmethod
    def from_plain(cls, content: Mapping[str, Sequence[Any]]) -> "LabelMaps":
        """Build the maps from their lists.

        Parameters
        ----------
        content
            As `to_plain` gives them.

        Returns
        -------
        LabelMaps
            Equal to the one written.

        Raises
        ------
        ModelError
            If a list is absent or they do not fit each other.
        """
        missing = [name for name in cls.__slots__ if name not in content]
        if missing:
            msg = f"the label maps lack {', '.join(missing)}; train the model again"
            raise ModelError(msg)
        maps = cls(
            np.array(content["starts"], np.int64),
            np.array(content["inputs"], np.float64),
            np.array(content["outputs"], np.float64),
            np.array(content["parents"], np.int64),
        )
        n_labels = len(maps.starts) - 1
        if len(maps.parents) != n_labels or (np.diff(maps.starts) < 1).any():
            msg = f"the label maps of {n_labels} labels do not fit each other; train again"
            raise ModelError(msg)
        return maps


def fit_label_maps(
    truth: sparse.csr_array,
    probabilities: NDArray[np.floating],
    studies: ArrayLike,
    *,
    parents: Sequence[int],
) -> LabelMaps:
    """Fit an isotonic map per label, every study weighing the same.

    Flat stretches of the isotonic fit become one knot each, at their mean, and
    the map is straight between knots, so that order within a label is kept; with K
    studies no map promises more than 1 - 1 / (2 K + 2). A
    label that fewer than 3 studies carry takes the map of all labels together.

    Parameters
    ----------
    truth
        0/1, shape (n_samples, n_labels).
    probabilities
        Of studies left out of training, same shape.
    studies
        Study of each sample, shape (n_samples,).
    parents
        Column of each label's parent, -1 for none.

    Returns
    -------
    LabelMaps
        One map per label.

    References
    ----------
    Zadrozny, Elkan 2002, doi:10.1145/775047.775151; Oron, Flournoy 2017,
    arXiv:1701.05964 (knots at the centres of the flat stretches).

    Examples
    --------
    >>> truth = sparse.csr_array([[0], [0], [1], [1]])
    >>> maps = fit_label_maps(truth, np.array([[0.1], [0.2], [0.3], [0.4]]), list("abcd"),
    ...                       parents=[-1])
    >>> maps.apply(np.array([[0.15], [0.25], [0.35]])).round(2).ravel().tolist()
    [0.0, 0.45, 0.9]
    """
    true = sparse.csr_array(truth).toarray().astype(np.float64)
    names = np.asarray(studies, dtype=str)
    weights = study_weights(names)
    scores = np.asarray(probabilities, np.float64)
    n_labels = true.shape[1]
    pooled = _fit_knots(scores.ravel(), true.ravel(), np.repeat(weights, n_labels))
    inputs, outputs, starts = [], [], [0]
    for k in range(n_labels):
        n_studies = len(np.unique(names[true[:, k] > 0]))
        own = n_studies >= _MIN_STUDIES
        knots = _fit_knots(scores[:, k], true[:, k], weights) if own else pooled
        inputs.append(knots[0])
        outputs.append(knots[1])
        starts.append(starts[-1] + len(knots[0]))
    # K studies without a mistake cannot show that the next one holds none.
    highest = 1 - 1 / (2 * len(np.unique(names)) + 2)
    return LabelMaps(
        np.array(starts),
        np.concatenate(inputs),
        np.minimum(np.concatenate(outputs), highest),
        np.array(parents),
    )


def _fit_knots(
    scores: NDArray[np.float64], true: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the centres of the flat stretches of an isotonic fit."""
    from sklearn.isotonic import IsotonicRegression

    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    isotonic.fit(scores, true, sample_weight=weights)
    fitted = isotonic.predict(scores)
    levels, stretch = np.unique(fitted, return_inverse=True)
    total = np.bincount(stretch, weights)
    centres = np.bincount(stretch, weights * scores) / total
    return centres, levels


def choose_calibration(
    set_probabilities: NDArray[np.float64],
    classes: NDArray[np.int64],
    studies: NDArray[np.object_],
    *,
    label_sets: LabelSets,
    parents: Sequence[int],
    best_of_set: NDArray[np.int64],
) -> tuple[float, LabelMaps | None, dict[str, Any]]:
    """Choose between one temperature and a map per label, whichever errs less on other studies.

    Both are fitted on four fifths of the validation studies and judged on the
    rest, in turn: the mean squared difference between confidence and being right,
    every study weighing the same. The maps come on top of the temperature and must
    win by 0.002.

    Parameters
    ----------
    set_probabilities
        Of each label set, of samples of studies left out of the fit, shape
        (n_samples, n_sets).
    classes
        Right set of each sample.
    studies
        Study of each sample.
    label_sets
        The sets.
    parents
        Column of each label's parent, -1 for none.
    best_of_set
        Label that stands for each set in an answer, shape (n_sets,).

    Returns
    -------
    float
        Temperature, fitted on all samples.
    LabelMaps or None
        Maps, where they won.
    dict
        ``chosen`` ("temperature" or "isotonic"), ``squared_error`` of both, and
        ``n_studies``.
    """
    temperature = fit_temperature(set_probabilities, classes, studies)
    names = np.unique(studies.astype(str))
    report: dict[str, Any] = {"chosen": "temperature", "n_studies": len(names)}
    if len(names) < _N_FOLDS:
        return temperature, None, report | {"squared_error": None}
    truth = sparse.csr_array(label_sets.sets[classes].astype(np.uint8))
    errors = {"temperature": 0.0, "isotonic": 0.0}
    weights = study_weights(studies)
    _, owner = np.unique(studies.astype(str), return_inverse=True)
    fold = np.random.default_rng(len(names)).permutation(np.arange(len(names)) % _N_FOLDS)[owner]
    for k in range(_N_FOLDS):
        train, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        own = fit_temperature(set_probabilities[train], classes[train], studies[train])
        scaled = apply_temperature(set_probabilities, own)
        by_label = label_sets.to_label_probabilities(scaled)
        maps = fit_label_maps(truth[train], by_label[train], studies[train], parents=parents)
        best = best_of_set[scaled[held].argmax(axis=1)]
        rows = np.arange(len(held))
        right = label_sets.sets[classes[held], best]
        for name, given in (
            ("temperature", by_label[held]),
            ("isotonic", maps.apply(by_label[held])),
        ):
            errors[name] += float((weights[held] * (given[rows, best] - right) ** 2).sum())
    report["squared_error"] = errors
    if errors["isotonic"] > errors["temperature"] - _MARGIN:
        return temperature, None, report
    by_label = label_sets.to_label_probabilities(apply_temperature(set_probabilities, temperature))
    maps = fit_label_maps(truth, by_label, studies, parents=parents)
    return temperature, maps, report | {"chosen": "isotonic"}
