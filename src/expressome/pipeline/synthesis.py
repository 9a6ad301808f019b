"""The real samples that synthetic ones are made from and compared with."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.atlas import Atlas
from expressome.augmentation.training_samples import (
    TrainingSamples,
    collect_training,
    fill_missing,
    find_label,
    fit_medians,
)
from expressome.engine import Resources
from expressome.normalization.recipe import Normalizer
from expressome.pipeline.label_reading import LabelledSamples, read_labelled

__all__ = ["Material", "read_material"]

# A label with so many training samples has a quarter of them held back by sample.
_MIN_HELD_FROM = 20
_HELD_SHARE = 0.25
_MAX_HELD = 200
# Copies of the training values that fitting, sampling and measuring hold at once.
_COPIES = 6
_MAX_VALIDATION = 512


@dataclass(frozen=True, slots=True)
class Material:
    """Real samples on the scale before length division, unmeasured genes filled.

    Attributes
    ----------
    training
        What methods see.
    validation
        Samples of validation studies, None if there is none.
    held_back
        Label to real samples of training studies that no method sees; absent
        for labels with fewer than 20 training samples.
    divisor
        What a gene's value is divided by on the atlas's scale, shape (n_genes,).
    recipe
        Name of the atlas's normalisation.
    n_left_out
        Training samples of other labels left out to keep within memory.
    n_filled
        Unmeasured cells filled with training medians.
    """

    training: TrainingSamples
    validation: TrainingSamples | None
    held_back: dict[str, NDArray[np.float32]]
    divisor: NDArray[np.float32]
    recipe: str
    n_left_out: int
    n_filled: int


def _choose_rows(
    labelled: LabelledSamples, labels: Sequence[str], n_most: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], int]:
    """Choose training rows: those of the labels first, then others at random."""
    keys = [str(key) for key in labelled.table.index]
    columns = [find_label(label, keys) for label in labels]
    training = np.flatnonzero(labelled.parts == "train")
    asked = np.asarray(labelled.labels[training][:, columns].sum(axis=1)).ravel() > 0
    order = np.concatenate([rng.permutation(training[asked]), rng.permutation(training[~asked])])
    return np.sort(order[:n_most]), max(0, len(training) - n_most)


def _choose_held(
    labelled: LabelledSamples,
    rows: NDArray[np.intp],
    labels: Sequence[str],
    rng: np.random.Generator,
) -> dict[str, NDArray[np.intp]]:
    """Hold back a quarter of each frequent label's samples, by sample."""
    keys = [str(key) for key in labelled.table.index]
    held: dict[str, NDArray[np.intp]] = {}
    for label in labels:
        column = labelled.labels[rows][:, [keys.index(label)]]
        holders = rows[np.unique(column.nonzero()[0])]
        if len(holders) < _MIN_HELD_FROM:
            continue
        n_held = min(_MAX_HELD, max(6, round(_HELD_SHARE * len(holders))))
        held[label] = np.sort(rng.permutation(holders)[:n_held])
    return held


def _collect(
    atlas: Atlas,
    labelled: LabelledSamples,
    rows: NDArray[np.intp],
    values: NDArray[np.float32],
) -> TrainingSamples:
    keys = [str(key) for key in labelled.table.index]
    depths = None
    if "n_detected" in atlas.obs:
        depths = atlas.obs["n_detected"].to_numpy(np.float64)[labelled.rows[rows]]
    matrix = sparse.csr_array(labelled.labels[rows])
    return collect_training(values, matrix, labelled.studies[rows], keys=keys, depths=depths)


def read_material(atlas: Atlas, labels: Sequence[str], *, resources: Resources) -> Material:
    """Read training, validation and held-back samples of an atlas.

    Parameters
    ----------
    atlas
        With labels and a split.
    labels
        Labels asked for.
    resources
        Bounds the number of samples: a sixth of the memory holds the training values.

    Returns
    -------
    Material
        Test samples are never read.

    Raises
    ------
    LabelError
        If a label is unknown; close matches are listed.
    """
    labelled = read_labelled(atlas)
    rng = resources.rng("augment: choice of samples")
    n_most = max(200, resources.memory_bytes // (4 * atlas.n_genes * _COPIES))
    rows, n_left_out = _choose_rows(labelled, labels, n_most, rng)
    held = _choose_held(labelled, rows, labels, rng)
    hidden = np.unique(np.concatenate([np.zeros(0, np.intp), *held.values()]))
    seen = np.setdiff1d(rows, hidden)
    divisor = Normalizer.from_parts(atlas.normalizer_parts).divisor
    if divisor is None:
        divisor = np.ones(atlas.n_genes)
    scale = np.asarray(divisor, dtype=np.float32)
    values = atlas.read(labelled.rows[seen]) * scale
    medians = fit_medians(values)
    n_filled = fill_missing(values, medians)

    def read(positions: NDArray[np.intp]) -> NDArray[np.float32]:
        part = atlas.read(labelled.rows[positions]) * scale
        fill_missing(part, medians)
        return part

    training = _collect(atlas, labelled, seen, values)
    checked = np.flatnonzero(labelled.parts == "validation")
    checked = np.sort(rng.permutation(checked)[: min(_MAX_VALIDATION, n_most)])
    validation = _collect(atlas, labelled, checked, read(checked)) if len(checked) else None
    return Material(
        training,
        validation,
        {label: read(positions) for label, positions in held.items()},
        scale,
        atlas.recipe,
        n_left_out,
        n_filled,
    )
