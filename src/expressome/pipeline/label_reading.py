"""The labelled samples of an atlas, ready for training or scoring."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from expressome.atlas import Atlas
from expressome.classification.label_sets import close_labels
from expressome.classification.model import parent_columns
from expressome.errors import AtlasError, LabelError, LabelWarning, LeftOutWarning, first_few
from expressome.pipeline.label_splitting import tell_synthetic

__all__ = ["LabelledSamples", "read_labelled"]


@dataclass(frozen=True, slots=True)
class LabelledSamples:
    """Labelled samples of an atlas.

    Attributes
    ----------
    rows
        Positions in the atlas, shape (n_samples,).
    samples
        Their ids.
    parts
        "train", "validation" or "test" of each.
    labels
        0/1, closed under parents, shape (n_samples, n_labels).
    studies
        Study of each.
    table
        One row per label that a sample carries, index key.
    n_implied
        Labels that samples carry only as ancestors of others.
    reads
        Aligned reads of each, NaN where unknown; None where the atlas does not say.
    """

    rows: NDArray[np.int64]
    samples: pd.Index
    parts: NDArray[np.object_]
    labels: sparse.csr_array
    studies: NDArray[np.object_]
    table: pd.DataFrame
    n_implied: int
    reads: NDArray[np.float64] | None = None


def read_labelled(atlas: Atlas, *, needs_split: bool = True) -> LabelledSamples:
    """Collect the labelled samples of an atlas, their parts and studies.

    Parameters
    ----------
    atlas
        With labels.
    needs_split
        Whether a training part must be stored.

    Returns
    -------
    LabelledSamples
        Labels closed under their parents.

    Warns
    -----
    LeftOutWarning
        If samples are left out because they are synthetic or have no read.
    LabelWarning
        If no sample carries a label.
    """
    labels = atlas.labels
    rows = np.flatnonzero(labels.is_labelled) if labels.n_labels else np.zeros(0, np.int64)
    if not len(rows):
        msg = (
            f"{atlas.path.name} has no labelled sample among {atlas.n_samples}; annotate the "
            "file and normalize it with these labels"
        )
        raise LabelError(msg)
    obs = atlas.obs
    if needs_split and "split" not in obs:
        msg = f"{atlas.path.name} stores no split; normalize the file again with labels"
        raise AtlasError(msg)
    rows = _leave_out(obs, rows)
    own = labels.matrix[rows]
    closed = close_labels(own, parent_columns(labels.labels))
    n_implied = int(closed.sum() - own.sum())
    carried = np.flatnonzero(np.asarray(closed.sum(axis=0)).ravel() > 0)
    if len(carried) < labels.n_labels:
        absent = [key for k, key in enumerate(labels.keys) if k not in set(carried.tolist())]
        msg = f"{len(absent)} labels are carried by no sample and left out: {first_few(absent)}"
        warnings.warn(msg, LabelWarning, stacklevel=3)
    table = labels.labels.iloc[carried]
    closed = sparse.csr_array(closed[:, carried])
    parts = np.full(len(rows), "", dtype=object)
    if "split" in obs:
        parts = obs["split"].astype(str).to_numpy(dtype=object)[rows]
    if needs_split and not (parts == "train").any():
        msg = f"none of {len(rows)} labelled samples is in the training part; normalize again"
        raise AtlasError(msg)
    studies = obs["study"].astype(str).to_numpy(dtype=object)[rows]
    reads = None
    if "aligned_reads" in obs:
        reads = pd.to_numeric(obs["aligned_reads"], errors="coerce").to_numpy(np.float64)[rows]
    return LabelledSamples(rows, obs.index[rows], parts, closed, studies, table, n_implied, reads)


def _leave_out(obs: pd.DataFrame, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave synthetic samples and those without reads out, saying so."""
    n_labelled = len(rows)
    is_synthetic = tell_synthetic(obs)[rows]
    if is_synthetic.any():
        text = (
            f"{int(is_synthetic.sum())} of {n_labelled} labelled samples are synthetic and are "
            "left out: models are fitted and scored on real samples"
        )
        warnings.warn(text, LeftOutWarning, stacklevel=4)
        rows = rows[~is_synthetic]
    if "n_detected" not in obs:
        return rows
    is_silent: NDArray[np.bool_] = np.asarray(obs["n_detected"].to_numpy()[rows] == 0)
    if is_silent.any():
        names = [str(name) for name in obs.index[rows[is_silent]]]
        text = (
            f"{len(names)} of {n_labelled} labelled samples have no read in any gene and are left "
            f"out ({first_few(names)}): the run failed, or the file is damaged"
        )
        warnings.warn(text, LeftOutWarning, stacklevel=4)
    return np.asarray(rows[~is_silent], np.int64)
