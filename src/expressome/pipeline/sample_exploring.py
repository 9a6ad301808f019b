"""Questions about samples: find them, see their labels, predictions and neighbours."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import InvalidValueError, SelectionError
from expressome.pipeline.exploring import AtlasView
from expressome.pipeline.searching import search

__all__ = [
    "Prediction",
    "SampleHit",
    "SampleHits",
    "SamplePage",
    "describe_sample",
    "find_samples",
    "to_prediction",
]

_N_NEAREST = 12
_N_PROBABILITIES = 8
_HIGHEST_LIMIT = 200
_TEXTS = ("series", "study", "title", "source", "characteristics")


@dataclass(frozen=True, slots=True)
class SampleHit:
    """A sample found.

    Attributes
    ----------
    sample
        Its id.
    study, title, source
        As written; empty where unknown.
    labels
        Labels that it carries.
    in_atlas
        False for a sample of the ARCHS4 file that the atlas lacks.
    distance
        To the sample asked about, in principal components; None in a search.
    """

    sample: str
    study: str
    title: str
    source: str
    labels: list[str]
    in_atlas: bool = True
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class SampleHits:
    """A page of samples found.

    Attributes
    ----------
    n_found
        Samples found in all.
    offset
        Rank of the first one given, from 0.
    hits
        In order.
    ranked
        Whether the order is that of relevance; otherwise the atlas's.
    """

    n_found: int
    offset: int
    hits: list[SampleHit]
    ranked: bool


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


@dataclass(frozen=True, slots=True)
class SamplePage:
    """All about one sample.

    Attributes
    ----------
    sample
        Its id.
    fields
        Its row of the sample table.
    labels
        Labels that it carries.
    prediction
        What the model says; None without a model.
    is_labelled
        Whether a model trained on this atlas has seen it: its answer is then no test.
    place
        On the map; None without one.
    nearest
        Nearest samples in principal components.
    """

    sample: str
    fields: dict[str, Any]
    labels: list[str]
    prediction: Prediction | None
    is_labelled: bool
    place: list[float] | None
    nearest: list[SampleHit]


def find_samples(
    view: AtlasView, query: str = "", *, label: str = "", offset: int = 0, limit: int = 25
) -> SampleHits:
    """Find samples by words and label.

    Parameters
    ----------
    view
        The atlas. With an ARCHS4 file the catalogue's full-text search answers.
    query
        Words that must all occur in id, series, title, source or characteristics; with an
        ARCHS4 file also phrases, ``OR``, ``NOT`` and ``title:liver``.
    label
        Only samples that carry this label.
    offset, limit
        Which part of the samples found, at most 200 at once.

    Returns
    -------
    SampleHits
        Ranked by relevance with an ARCHS4 file, else in the atlas's order.

    Raises
    ------
    InvalidValueError
        If the query is none, or offset or limit are out of bounds.
    SelectionError
        If there is no such label.
    """
    if offset < 0 or not 1 <= limit <= _HIGHEST_LIMIT:
        msg = f"offset is {offset} and limit {limit}; ask for 1 to {_HIGHEST_LIMIT} samples from 0"
        raise InvalidValueError(msg)
    if view.compendium is not None and query.strip() and not label:
        return _search(view, query, offset=offset, limit=limit)
    rows = np.arange(view.atlas.n_samples) if not label else _carriers(view, label)
    words = query.lower().split()
    if words:
        texts = _texts(view)
        rows = np.array([i for i in rows if all(word in texts[i] for word in words)], np.int64)
    shown = rows[offset : offset + limit]
    return SampleHits(len(rows), offset, [to_hit(view, int(i)) for i in shown], ranked=False)


def describe_sample(view: AtlasView, sample: str) -> SamplePage:
    """Describe one sample of the atlas.

    Parameters
    ----------
    view
        The atlas.
    sample
        Its id.

    Returns
    -------
    SamplePage
        One block of the atlas is read for the model's answer.

    Raises
    ------
    SelectionError
        If the atlas has no such sample.
    """
    rows = view.atlas.obs.index.get_indexer(pd.Index([sample]))
    if rows[0] < 0:
        msg = f"no sample of the atlas is named {sample[:40]!r}; search for it"
        raise SelectionError(msg)
    row = int(rows[0])
    return view.remember(("sample", row), lambda: _describe(view, row))


def to_prediction(answers: pd.DataFrame, i: int) -> Prediction:
    """Turn one row of a model's answers into a prediction.

    Parameters
    ----------
    answers
        As `predict` writes them.
    i
        Position of the row.

    Returns
    -------
    Prediction
        With the eight most probable labels.
    """
    row = answers.iloc[i]
    columns = [name for name in answers.columns if str(name).startswith("p:")]
    values = row[columns].to_numpy(np.float64)
    best = np.argsort(-values, kind="stable")[:_N_PROBABILITIES]
    return Prediction(
        label=str(row["label"]),
        confidence=float(row["confidence"]),
        unknown=bool(row["unknown"]),
        reason=str(row["reason"]),
        labels=[str(key) for key in row["labels"]],
        probabilities=[
            {"label": columns[k].removeprefix("p:"), "probability": float(values[k])} for k in best
        ],
    )


def to_hit(view: AtlasView, row: int, distance: float | None = None) -> SampleHit:
    """Describe a sample of the atlas in a line.

    Parameters
    ----------
    view
        The atlas.
    row
        Its position.
    distance
        To the sample asked about.

    Returns
    -------
    SampleHit
        The line.
    """
    obs = view.atlas.obs

    def text(name: str) -> str:
        return str(obs[name].iloc[row]) if name in obs.columns else ""

    return SampleHit(
        sample=str(obs.index[row]),
        study=text("study"),
        title=text("title"),
        source=text("source"),
        labels=view.labels_of(row),
        distance=distance,
    )


def _describe(view: AtlasView, row: int) -> SamplePage:
    atlas = view.atlas
    place, nearest = None, []
    if view.map is not None:
        place = [float(x) for x in view.map.places[row]]
        found, distances = view.map.nearest_samples(view.map.scores[row], _N_NEAREST + 1)
        pairs = [(int(i), float(d)) for i, d in zip(found, distances, strict=True) if i != row]
        nearest = [to_hit(view, i, distance) for i, distance in pairs[:_N_NEAREST]]
    labels = view.labels_of(row)
    return SamplePage(
        sample=str(atlas.obs.index[row]),
        fields={str(name): atlas.obs[name].iloc[row] for name in atlas.obs.columns},
        labels=labels,
        prediction=_predict(view, row),
        is_labelled=bool(labels),
        place=place,
        nearest=nearest,
    )


def _predict(view: AtlasView, row: int) -> Prediction | None:
    opened = view.prediction_input
    if view.model is None or opened is None:
        return None
    rows = np.array([row])
    for span, values in opened.blocks(rows):
        samples = opened.samples[rows[span]]
        answers = view.model.trained.answer(values, samples, n_missing=opened.n_missing)
        return to_prediction(answers, 0)
    return None


def _search(view: AtlasView, query: str, *, offset: int, limit: int) -> SampleHits:
    """Rank the samples of the ARCHS4 file."""
    if view.compendium is None:
        msg = "no ARCHS4 file was opened to search in"
        raise InvalidValueError(msg)
    table = search(view.compendium, query, limit=offset + limit, resources=view.resources)
    shown = table.iloc[offset:]
    rows = view.atlas.obs.index.get_indexer(shown.index)
    hits = []
    for i, row in enumerate(rows):
        if row >= 0:
            hits.append(to_hit(view, int(row)))
        else:
            line = shown.iloc[i]
            hits.append(
                SampleHit(
                    str(shown.index[i]),
                    str(line["series"]),
                    str(line["title"]),
                    str(line["source"]),
                    [],
                    in_atlas=False,
                )
            )
    return SampleHits(int(table.attrs["n_found"]), offset, hits, ranked=True)


def _carriers(view: AtlasView, label: str) -> NDArray[np.int64]:
    keys = view.atlas.labels.keys
    if label not in keys:
        msg = f"no label of the atlas is {label[:60]!r}; it has {len(keys)} labels"
        raise SelectionError(msg)
    k, columns = keys.index(label), view.label_columns
    rows: NDArray[np.int64] = np.sort(columns.indices[columns.indptr[k] : columns.indptr[k + 1]])
    return rows.astype(np.int64)


def _texts(view: AtlasView) -> list[str]:
    """Join what is searched of each sample, in small letters."""

    def join() -> list[str]:
        obs = view.atlas.obs
        columns = [obs[name].astype(str) for name in _TEXTS if name in obs.columns]
        rows = zip(obs.index.astype(str), *columns, strict=True)
        return ["\n".join(row).lower() for row in rows]

    return view.remember("sample texts", join)
