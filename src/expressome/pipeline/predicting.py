"""Label samples with a trained model."""

import json
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from expressome.annotation.multihot import read_labels
from expressome.atlas import open_atlas
from expressome.classification.model import TrainedModel
from expressome.classification.model_file import read_model
from expressome.engine import Resources
from expressome.errors import ConfigurationError, LabelWarning
from expressome.manifest import create_manifest
from expressome.notebook import render_facts
from expressome.outputs import check_input, check_output, check_parquet_name, staged_output
from expressome.pipeline.input_reading import CountSource, PredictionInput, open_input
from expressome.results import Summary, to_json

__all__ = ["Model", "load_model", "predict"]


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model, ready to label samples.

    Attributes
    ----------
    trained
        Its parts.
    path
        Where it was read.
    """

    trained: TrainedModel
    path: Path

    def __repr__(self) -> str:
        n_genes, n_labels = len(self.trained.genes), len(self.trained.labels)
        return f"Model({str(self.path)!r}: {n_labels} labels from {n_genes} genes)"

    def _repr_html_(self) -> str:
        test = self.metrics.get("test") or {}
        scores = ("n_samples", "n_studies", "f1_macro", "f1_samples")
        facts = {
            "folder": str(self.path),
            "labels": [str(key) for key in self.labels.index[:40]],
            "genes": len(self.genes),
            "unseen test studies": {name: test[name] for name in scores if name in test},
        }
        return render_facts("Model", facts)

    @property
    def labels(self) -> pd.DataFrame:
        """One row per label, index key."""
        return self.trained.labels

    @property
    def genes(self) -> pd.Index:
        """Ids of the genes it reads."""
        return self.trained.genes

    @property
    def metrics(self) -> dict[str, Any]:
        """Scores on unseen studies, as metrics.json holds them."""
        return self.trained.metrics

    def predict(
        self, counts_table: CountSource, *, resources: Resources | None = None
    ) -> pd.DataFrame:
        """Label the samples of a count table.

        Parameters
        ----------
        counts_table
            Raw counts, genes x samples, gene ids (Ensembl, symbol or Entrez) as
            index; or the path of such a table, an ARCHS4 file or an atlas.
        resources
            Memory and threads.

        Returns
        -------
        DataFrame
            Columns sample, label, confidence, unknown, reason, labels and
            ``p:<key>`` per label; one row per sample, in the table's order.

        Raises
        ------
        ModelError
            If more than half of the model's genes are missing.
        IdentifierError, ScaleMismatchError, InvalidCountsError
            If the table is of another species or scale, or holds no counts.
        """
        opened = open_input(self.trained, counts_table, resources=resources or Resources())
        pieces = list(_answer(self.trained, opened, np.arange(len(opened.samples))))
        return pd.concat(pieces, ignore_index=True)


def load_model(path: str | os.PathLike[str]) -> Model:
    """Read a model that `train` wrote, checking every part.

    Parameters
    ----------
    path
        Model folder.

    Returns
    -------
    Model
        Works without scikit-learn.

    Raises
    ------
    InputNotFoundError
        If there is no such folder.
    ModelError
        If a part is absent or altered; it is named.

    Examples
    --------
    >>> load_model("/tmp/no-such-model")
    Traceback (most recent call last):
    expressome.errors.InputNotFoundError: /tmp/no-such-model does not exist; ...
    """
    return Model(read_model(path), Path(path))


def _answer(
    model: TrainedModel, opened: PredictionInput, rows: NDArray[np.int64]
) -> Iterator[pd.DataFrame]:
    """Label samples block by block; an input without samples gives one empty table."""
    if not len(rows):
        empty = np.zeros((0, len(model.genes)), np.float32)
        yield model.answer(empty, opened.samples[:0])
        return
    for span, values in opened.blocks(rows):
        yield model.answer(values, opened.samples[rows[span]], n_missing=opened.n_missing)


def predict(
    model: str | os.PathLike[str],
    file: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str],
    unlabelled: str | os.PathLike[str] | None = None,
    all_samples: bool = False,
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Label the samples of a file, an atlas or a count table, as a stream.

    Parameters
    ----------
    model
        Model folder.
    file
        ARCHS4 file, atlas, or count table (TSV, CSV, Parquet, h5ad).
    out
        New Parquet file: ``sample``; ``label``: the most specific label of the
        most probable label set, always filled; ``confidence``: its calibrated
        probability; ``unknown`` and ``reason``; ``labels``: all above their
        thresholds with their ancestors, empty when unknown; ``p:<key>`` per label.
    unlabelled
        Label file or atlas: only samples without a label there are predicted.
        An atlas as `file` is its own.
    all_samples
        Whether an atlas's labelled samples are predicted too.
    overwrite
        Whether an existing output may be replaced.
    resources
        Memory and threads.

    Returns
    -------
    Summary
        How many samples, how many unknown, how many of each label; what became of
        the gene ids of a table that are not the model's own.

    Raises
    ------
    ModelError
        If the model is altered, or more than half of its genes are missing.
    IdentifierError, ScaleMismatchError
        If the input is of another species or scale.
    ConfigurationError
        If `unlabelled` and `all_samples` are both given.
    InvalidValueError
        If the name of `out` promises another format than Parquet.

    Warns
    -----
    LabelWarning
        If no sample is left to label; the output is empty but well-formed.

    Examples
    --------
    >>> predict("/tmp/no-such-model", "human.h5", out="/tmp/predictions.parquet")
    Traceback (most recent call last):
    expressome.errors.InputNotFoundError: /tmp/no-such-model does not exist; ...
    """
    resources = resources or Resources()
    if unlabelled is not None and all_samples:
        msg = "unlabelled and all_samples contradict each other; give one of them"
        raise ConfigurationError(msg)
    trained = read_model(check_input(model))
    check_parquet_name(out)
    check_output(out, overwrite=overwrite)
    opened = open_input(trained, file, resources=resources)
    rows = _choose_samples(opened, unlabelled, all_samples=all_samples)
    manifest = create_manifest(
        "predict",
        inputs=[Path(model) / "SHA256SUMS", file],
        parameters={"unlabelled": unlabelled, "all_samples": all_samples},
    )
    start_s = time.perf_counter()
    tally = _Tally()
    with staged_output(out, overwrite=overwrite) as partial:
        _write(
            partial,
            _answer(trained, opened, rows),
            tally,
            manifest=manifest,
            n_samples=len(rows),
            resources=resources,
        )
    figures = {
        "out": Path(out),
        "n_samples": len(rows),
        "n_left_out_as_labelled": len(opened.samples) - len(rows),
        "n_unknown": tally.n_unknown,
        "n_per_label": dict(sorted(tally.labels.items(), key=lambda item: -item[1])),
        "n_missing_genes": opened.n_missing,
        "n_model_genes": len(trained.genes),
        "gene_mapping": opened.gene_mapping,
        "elapsed_s": round(time.perf_counter() - start_s, 3),
    }
    return Summary("predict", figures, manifest)


def _choose_samples(
    opened: PredictionInput, unlabelled: str | os.PathLike[str] | None, *, all_samples: bool
) -> NDArray[np.int64]:
    """Leave out samples that carry a label already."""
    is_labelled = np.zeros(len(opened.samples), bool)
    if unlabelled is not None:
        path = check_input(unlabelled)
        labels = open_atlas(path).labels if path.is_dir() else read_labels(path)
        carried = labels.samples[labels.is_labelled]
        is_labelled = opened.samples.isin(carried)
    elif opened.is_labelled is not None and not all_samples:
        is_labelled = opened.is_labelled
    rows = np.flatnonzero(~is_labelled)
    if not len(rows):
        msg = (
            f"all {len(opened.samples)} samples carry a label already, so there is nothing to "
            "predict; pass all_samples=True to label them all the same"
        )
        warnings.warn(msg, LabelWarning, stacklevel=3)
    return rows


@dataclass(slots=True)
class _Tally:
    """What was answered."""

    n_unknown: int = 0
    labels: dict[str, int] = field(default_factory=dict)

    def add(self, answers: pd.DataFrame) -> None:
        """Count one block."""
        self.n_unknown += int(answers["unknown"].sum())
        for label, n in answers["label"].value_counts().items():
            self.labels[str(label)] = self.labels.get(str(label), 0) + int(n)


def _write(
    path: Path,
    blocks: Iterator[pd.DataFrame],
    tally: _Tally,
    *,
    manifest: dict[str, Any],
    n_samples: int,
    resources: Resources,
) -> None:
    """Write blocks of answers to one Parquet file."""
    writer: pq.ParquetWriter | None = None
    n_done = 0
    try:
        for answers in blocks:
            schema = _schema(answers, manifest)
            if writer is None:
                writer = pq.ParquetWriter(path, schema)
            writer.write_table(pa.Table.from_pandas(answers, schema=schema, preserve_index=False))
            tally.add(answers)
            n_done += len(answers)
            resources.progress("predict", n_done, n_samples)
    finally:
        if writer is not None:
            writer.close()


def _schema(answers: pd.DataFrame, manifest: dict[str, Any]) -> pa.Schema:
    types = {
        "sample": pa.string(),
        "label": pa.string(),
        "confidence": pa.float64(),
        "unknown": pa.bool_(),
        "reason": pa.string(),
        "labels": pa.list_(pa.string()),
    }
    fields = [pa.field(name, types.get(name, pa.float64())) for name in answers.columns]
    text = json.dumps(json.loads(to_json({"manifest": manifest})))
    return pa.schema(fields, metadata={b"expressome": text.encode()})
