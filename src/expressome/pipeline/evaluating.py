"""Score a model on an atlas, on samples it has not seen."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from expressome.atlas import open_atlas
from expressome.classification.classifier import prepare_values
from expressome.classification.evaluation import LabelTree, Origins, score_answers
from expressome.classification.model import TrainedModel
from expressome.classification.model_file import read_model
from expressome.engine import Resources
from expressome.errors import LabelError, ModelError, first_few
from expressome.manifest import create_manifest
from expressome.outputs import check_input
from expressome.pipeline.input_reading import open_input
from expressome.pipeline.label_reading import LabelledSamples, read_labelled
from expressome.results import Summary

__all__ = ["evaluate"]

_STORED = (
    "the figures stored when the model was trained: of a model of the training and validation "
    "studies, scored on the test studies; the shipped model was fitted anew on all labelled "
    "samples and has seen these"
)
_UNSEEN = "computed now, on labelled samples that the shipped model has not seen"


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Rows of the labelled samples to score, and how they were found."""

    rows: NDArray[np.int64]
    n_seen: int
    part: str


def evaluate(
    model: str | os.PathLike[str],
    atlas: str | os.PathLike[str],
    *,
    resources: Resources | None = None,
) -> Summary:
    """Score a model on the test studies of an atlas.

    A model that was fitted anew on all labelled samples has seen the test
    samples of its own atlas: for these the figures stored at training are given,
    which belong to a model that had not. Samples the model never saw are scored
    directly.

    Parameters
    ----------
    model
        Model folder.
    atlas
        Atlas with labels.
    resources
        Memory, threads and seed of the intervals.

    Returns
    -------
    Summary
        The scores; ``source`` says where they come from, ``n_seen_by_model`` how
        many samples were left out because training had them.

    Raises
    ------
    LabelError
        If the atlas shares no label with the model.
    ModelError
        If all labelled samples were seen and no stored figures apply.

    Examples
    --------
    >>> evaluate("/tmp/no-such-model", "human.zarr")
    Traceback (most recent call last):
    expressome.errors.InputNotFoundError: /tmp/no-such-model does not exist; ...
    """
    resources = resources or Resources()
    trained = read_model(check_input(model))
    opened = open_atlas(atlas)
    labelled = read_labelled(opened, needs_split=False)
    manifest = create_manifest(
        "evaluate", inputs=[Path(model) / "SHA256SUMS", opened.path], seed=resources.seed
    )
    shown = {"model": Path(model), "atlas": opened.path}
    chosen = _choose(trained, labelled)
    if not len(chosen.rows):
        stored = _stored(trained, labelled, chosen)
        figures = shown | {"source": _STORED, "n_seen_by_model": chosen.n_seen} | stored
        return Summary("evaluate", figures, manifest)
    scores = _score(trained, opened.path, labelled, rows=chosen.rows, resources=resources)
    figures = shown | {
        "source": _UNSEEN,
        "part": chosen.part,
        "n_seen_by_model": chosen.n_seen,
    }
    return Summary("evaluate", figures | scores, manifest)


def _choose(trained: TrainedModel, labelled: LabelledSamples) -> _Chosen:
    """Take unseen test samples; where there is no test part, all unseen ones."""
    seen = labelled.samples.isin(pd.Index(trained.description["training"]["samples"]))
    in_part = labelled.parts == "test"
    part = "test part"
    if not in_part.any() or (not (~seen & in_part).any() and (~seen).any()):
        in_part, part = np.ones(len(seen), bool), "all labelled samples"
    rows = np.flatnonzero(in_part & ~seen)
    return _Chosen(rows, int((in_part & seen).sum()), part)


def _stored(trained: TrainedModel, labelled: LabelledSamples, chosen: _Chosen) -> dict[str, Any]:
    """Give the figures of training where the atlas holds the same test samples."""
    test = trained.metrics.get("test")
    then = set(trained.description["training"]["test_samples"])
    now = set(labelled.samples[labelled.parts == "test"])
    if test is None:
        msg = (
            f"the model has seen all {chosen.n_seen} samples to be scored, and was trained without "
            "a test part, so that it has no figure on unseen studies; evaluate on an atlas of new "
            "studies"
        )
        raise ModelError(msg)
    if then != now:
        msg = (
            f"the model has seen all {chosen.n_seen} samples to be scored, and its stored figures "
            f"belong to {len(then)} other test samples; evaluate on an atlas of new studies"
        )
        raise ModelError(msg)
    return {**test, "baselines": trained.metrics.get("baselines", {})}


def _score(
    trained: TrainedModel,
    path: Path,
    labelled: LabelledSamples,
    *,
    rows: NDArray[np.int64],
    resources: Resources,
) -> dict[str, Any]:
    """Answer the samples and compare with their labels, matched by key."""
    opened = open_input(trained, path, resources=resources)
    pieces = [values for _, values in opened.blocks(labelled.rows[rows])]
    values = prepare_values(np.concatenate(pieces), trained.medians, use_ranks=trained.use_ranks)
    columns = labelled.table.index.get_indexer(trained.labels.index)
    shared = np.flatnonzero(columns >= 0)
    foreign = sorted(set(map(str, labelled.table.index)) - set(trained.keys))
    if not len(shared):
        msg = (
            f"the atlas's labels ({first_few(foreign)}) are none of the model's "
            f"{len(trained.labels)}; train on this atlas or annotate it with the same names"
        )
        raise LabelError(msg)
    picker = sparse.csr_array(
        (np.ones(len(shared), np.uint8), (columns[shared], shared)),
        shape=(len(labelled.table), len(trained.labels)),
    )
    truth = sparse.csr_array(labelled.labels[rows] @ picker)
    is_known = np.asarray(truth.sum(axis=1)).ravel() > 0
    scores = score_answers(
        truth[is_known],
        Origins(
            labelled.studies[rows][is_known],
            None if labelled.reads is None else labelled.reads[rows][is_known],
        ),
        trained.classifier.predict_sets(values[is_known]),
        classifier=trained.classifier,
        thresholds=trained.thresholds,
        tree=LabelTree(
            trained.keys,
            trained.parents,
            trained.labels["n_samples"].to_numpy(),
            trained.labels["kind"].astype(str).tolist(),
        ),
        rng=resources.rng("evaluate"),
    )
    return scores | {
        "baselines_at_training": trained.metrics.get("baselines", {}),
        "labels_unknown_to_model": foreign,
        "n_samples_without_known_label": int((~is_known).sum()),
    }
