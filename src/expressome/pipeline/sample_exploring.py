"""Questions about samples: find them, see their labels, predictions and neighbours."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from expressome.errors import InvalidValueError, SelectionError
from expressome.pipeline.answer_keeping import Prediction
from expressome.pipeline.exploring import TEXTS, AtlasView
from expressome.pipeline.searching import search

__all__ = [
    "SampleHit",
    "SampleHits",
    "SamplePage",
    "describe_sample",
    "find_samples",
    "to_hit",
]

_N_NEAREST = 12
_HIGHEST_LIMIT = 200


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
    found = np.ones(view.atlas.n_samples, bool)
    for word in query.lower().split():
        found &= pc.match_substring(_texts(view), word).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(found) if not label else _carriers(view, label)
    rows = rows[found[rows]]
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
        From what is in memory; no value is read.

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
    return SampleHit(
        sample=str(view.atlas.obs.index[row]),
        study=view.texts("study")[row],
        title=view.texts("title")[row],
        source=view.texts("source")[row],
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
        prediction=None if view.predictions is None else view.predictions.find(row),
        is_labelled=bool(labels),
        place=place,
        nearest=nearest,
    )


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
    keys = view.keys
    if label not in keys:
        msg = f"no label of the atlas is {label[:60]!r}; it has {len(keys)} labels"
        raise SelectionError(msg)
    k, columns = keys.index(label), view.label_columns
    rows: NDArray[np.int64] = np.sort(columns.indices[columns.indptr[k] : columns.indptr[k + 1]])
    return rows.astype(np.int64)


def _texts(view: AtlasView) -> pa.Array:
    """Join what is searched of each sample, in small letters."""

    def join() -> pa.Array:
        rows = zip(view.atlas.obs.index.astype(str), *map(view.texts, TEXTS), strict=True)
        return pa.array(["\n".join(row).lower() for row in rows], pa.large_string())

    return view.keep("sample texts", join)
