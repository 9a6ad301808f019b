"""What a model says of every sample of an atlas: computed once, kept in the atlas."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.atlas import Atlas
from expressome.engine import Resources
from expressome.pipeline.input_reading import open_input
from expressome.pipeline.predicting import Model

__all__ = ["KeptAnswers", "Prediction", "keep_answers", "to_predictions"]

_SECTION = "predictions"
# Raised when what is kept changes: answers of another form are computed anew.
_FORM = "2"
_N_PROBABILITIES = 8
_PLAIN = ("label", "confidence", "unknown", "reason")


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model says of a sample.

    Attributes
    ----------
    label, confidence
        Most specific label of the most probable label set, and its calibrated probability.
    unknown, reason
        Whether no label can be answered for, and why.
    labels
        All above their thresholds with their ancestors.
    probabilities
        The most probable labels, as label and probability.
    """

    label: str
    confidence: float
    unknown: bool
    reason: str
    labels: list[str]
    probabilities: list[dict[str, Any]]


@dataclass(frozen=True)
class KeptAnswers:
    """A model's answers for all samples of an atlas.

    Attributes
    ----------
    table
        One row per sample: label, confidence, unknown, reason, labels (as a JSON list), and
        the most probable labels, ``best_0`` (positions among `keys`) with ``p_0`` and so on.
    keys
        Labels of the model.
    """

    table: pd.DataFrame
    keys: list[str]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Confidence of each sample, shape (n_samples,)."""
        return self.table["confidence"].to_numpy(np.float64)

    def find(self, row: int) -> Prediction:
        """Give the answer for one sample.

        Parameters
        ----------
        row
            Its position.

        Returns
        -------
        Prediction
            As the model gave it.
        """
        fields = self.table.iloc[row]
        n_best = sum(name.startswith("best_") for name in self.table.columns)
        return Prediction(
            label=str(fields["label"]),
            confidence=float(fields["confidence"]),
            unknown=bool(fields["unknown"]),
            reason=str(fields["reason"]),
            labels=json.loads(fields["labels"]),
            probabilities=[
                {
                    "label": self.keys[int(fields[f"best_{k}"])],
                    "probability": float(fields[f"p_{k}"]),
                }
                for k in range(n_best)
            ],
        )


def keep_answers(atlas: Atlas, model: Model, *, resources: Resources) -> KeptAnswers:
    """Label every sample once per model, and keep the answers in the atlas.

    Parameters
    ----------
    atlas
        The atlas. If it cannot be written to, the answers live as long as the process.
    model
        What labels.
    resources
        Memory, threads and progress.

    Returns
    -------
    KeptAnswers
        Read where they were kept for exactly these values and this model.
    """
    keys = model.trained.keys
    sums = (model.path / "SHA256SUMS").read_bytes()
    key = hashlib.sha256(sums + f"{atlas.fingerprint} {_FORM}".encode()).hexdigest()
    stored = atlas.read_section(_SECTION)
    if stored is not None and atlas.read_note(_SECTION).get("key") == key:
        return KeptAnswers(stored, keys)
    opened = open_input(model.trained, atlas, resources=resources)
    pieces = []
    for span, values in opened.blocks(np.arange(atlas.n_samples)):
        samples = opened.samples[span]
        answers = model.trained.answer(values, samples, n_missing=opened.n_missing)
        pieces.append(_shorten(answers))
        resources.progress("serve: label samples", span.stop, atlas.n_samples)
    table = pd.concat(pieces)
    try:
        atlas.write_section(_SECTION, table)
        atlas.write_note(_SECTION, {"key": key})
    except OSError:
        return KeptAnswers(table, keys)  # labelled again at the next start
    return KeptAnswers(table, keys)


def to_predictions(answers: pd.DataFrame, keys: list[str]) -> list[Prediction]:
    """Turn a model's answers into predictions.

    Parameters
    ----------
    answers
        As `predict` writes them.
    keys
        Labels of the model.

    Returns
    -------
    list of Prediction
        In order, each with the eight most probable labels.
    """
    kept = KeptAnswers(_shorten(answers), keys)
    return [kept.find(i) for i in range(len(answers))]


def _shorten(answers: pd.DataFrame) -> pd.DataFrame:
    """Keep what is shown of a model's answers."""
    columns = [name for name in answers.columns if str(name).startswith("p:")]
    probabilities = answers[columns].to_numpy(np.float64)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :_N_PROBABILITIES]
    values = np.take_along_axis(probabilities, best, axis=1)
    kept = answers.set_index("sample")[list(_PLAIN)]
    kept["labels"] = [json.dumps(list(held), ensure_ascii=False) for held in answers["labels"]]
    for k in range(best.shape[1]):
        kept[f"best_{k}"] = best[:, k].astype(np.int32)
        kept[f"p_{k}"] = values[:, k]
    return kept
