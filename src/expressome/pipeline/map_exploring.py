"""Questions about the map: density of many samples, points of few, in four colours."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import AtlasError, InvalidValueError
from expressome.pipeline.exploring import AtlasView
from expressome.pipeline.gene_exploring import find_gene

__all__ = ["MapBox", "MapPicture", "draw_map"]

# More points than this are drawn as density: SVG stays quick and nothing hides below another.
_N_POINTS = 3000
_N_BINS = 64
_N_CATEGORIES = 8
_OTHERS, _NONE = "other", "no label"


@dataclass(frozen=True, slots=True)
class MapBox:
    """A part of the map.

    Attributes
    ----------
    x0, x1, y0, y1
        Its bounds; x0 < x1 and y0 < y1.
    """

    x0: float
    x1: float
    y0: float
    y1: float

    def __post_init__(self) -> None:
        """Refuse what is no box."""
        bounds = (self.x0, self.x1, self.y0, self.y1)
        if not np.isfinite(bounds).all() or self.x0 >= self.x1 or self.y0 >= self.y1:
            msg = f"{bounds} is no part of the map; give x0 < x1 and y0 < y1"
            raise InvalidValueError(msg)


@dataclass(frozen=True, slots=True)
class MapPicture:
    """What is to be drawn of the map.

    Attributes
    ----------
    kind
        ``points``: one mark per sample; ``density``: one mark per square with samples.
    box
        Part of the map, x0, x1, y0, y1.
    whole
        The whole map.
    n_samples
        Samples in the part.
    color
        What colours stand for, in words; empty for density alone.
    categories
        Names of the categories, most frequent first; empty for numbers.
    x, y
        Of each mark.
    n
        Samples of each mark.
    value
        Number of the category, or mean value, of each mark; None where unknown.
    samples, texts
        Id and a line for each point; empty for density.
    """

    kind: Literal["points", "density"]
    box: list[float]
    whole: list[float]
    n_samples: int
    color: str
    categories: list[str]
    x: list[float]
    y: list[float]
    n: list[int]
    value: list[float | None]
    samples: list[str]
    texts: list[str]


def draw_map(view: AtlasView, color: str = "label", *, box: MapBox | None = None) -> MapPicture:
    """Draw the samples in a part of the map.

    Parameters
    ----------
    view
        The atlas.
    color
        ``label``, ``study``, ``confidence``, ``gene:NAME``, ``label:KEY`` (carried or not)
        or ``density``.
    box
        Part of the map; all of it by default.

    Returns
    -------
    MapPicture
        Points where there are at most 3,000 samples, else squares: of categories the most
        frequent one in each, of numbers their mean.

    Raises
    ------
    AtlasError
        If the atlas is too small for a map, or there is no model to be confident.
    InvalidValueError, SelectionError
        If there is no such colour, gene or label.
    """
    if view.map is None:
        msg = "this atlas has fewer than three samples or genes, too few for a map"
        raise AtlasError(msg)
    words, categories, values = _colour(view, color)
    places = view.map.places
    whole = view.keep("whole map", lambda: _bounds(places))
    shown = box or whole
    inside = np.flatnonzero(
        (places[:, 0] >= shown.x0)
        & (places[:, 0] <= shown.x1)
        & (places[:, 1] >= shown.y0)
        & (places[:, 1] <= shown.y1)
    )
    draw = _draw_points if len(inside) <= _N_POINTS else _draw_density
    marks = draw(view, inside, shown, values, is_category=bool(categories))
    return MapPicture(
        box=_to_list(shown),
        whole=_to_list(whole),
        n_samples=len(inside),
        color=words,
        categories=categories,
        **marks,
    )


def _to_list(box: MapBox) -> list[float]:
    return [box.x0, box.x1, box.y0, box.y1]


def _bounds(places: NDArray[np.float32]) -> MapBox:
    """Frame all samples, with a margin."""
    low, high = places.min(axis=0).astype(float), places.max(axis=0).astype(float)
    margin = np.maximum(0.03 * (high - low), 1e-3)
    low, high = low - margin, high + margin
    return MapBox(float(low[0]), float(high[0]), float(low[1]), float(high[1]))


def _colour(view: AtlasView, color: str) -> tuple[str, list[str], NDArray[np.floating]]:
    """Give words, names of categories and one number per sample for a colour."""
    kind, _, name = color.partition(":")
    if kind == "gene" and name:
        position = find_gene(view, name)
        return str(view.symbols[position]), [], view.gene_values(position)
    if kind == "label" and name:
        return name, [name, _OTHERS], _without(view, name)
    if color == "confidence":
        if view.predictions is None:
            msg = "confidence needs a model; start the explorer with one"
            raise AtlasError(msg)
        return "confidence", [], view.predictions.confidence
    if color == "density":
        return "", [], np.full(view.atlas.n_samples, np.nan)
    if color in ("label", "study"):
        names = view.keep(f"map by {color}", lambda: _group(view, color))
        return color, names[0], names[1]
    msg = (
        f"there is no colour {color[:40]!r}; "
        "choose label, label:KEY, study, confidence, gene:NAME or density"
    )
    raise InvalidValueError(msg)


def _without(view: AtlasView, name: str) -> NDArray[np.float64]:
    """Give 0 for the samples of a label, 1 for the others."""
    if name not in view.keys:
        msg = f"no label of the atlas is {name[:60]!r}; it has {len(view.keys)} labels"
        raise InvalidValueError(msg)
    k, columns = view.keys.index(name), view.label_columns
    values = np.ones(view.atlas.n_samples)
    values[columns.indices[columns.indptr[k] : columns.indptr[k + 1]]] = 0
    return values


def _group(view: AtlasView, color: str) -> tuple[list[str], NDArray[np.float64]]:
    """Give the most frequent groups a number each, and all further ones the next."""
    atlas = view.atlas
    if color == "study":
        if "study" not in atlas.obs.columns:
            return [_OTHERS], np.zeros(atlas.n_samples)
        named = atlas.obs["study"].astype(str)
        counts = named.value_counts()
        shown = [str(name) for name in counts.index[:_N_CATEGORIES]]
        codes = pd.Index(shown).get_indexer(pd.Index(named)).astype(np.float64)
        names = [*shown, _OTHERS] if len(counts) > len(shown) else shown
        return names, np.where(codes < 0, len(shown), codes)
    matrix = view.label_columns
    totals = np.diff(matrix.indptr)
    order = [int(k) for k in np.argsort(-totals, kind="stable")[:_N_CATEGORIES] if totals[k]]
    keys = atlas.labels.keys
    codes = np.full(atlas.n_samples, len(order) + 1.0)
    codes[atlas.labels.is_labelled] = len(order)
    for number, k in enumerate(order):
        # From the most frequent on: a rarer label of a sample says more and stays.
        codes[matrix.indices[matrix.indptr[k] : matrix.indptr[k + 1]]] = number
    return [*(keys[k] for k in order), _OTHERS, _NONE], codes


def _draw_points(
    view: AtlasView,
    inside: NDArray[np.int64],
    _box: MapBox,
    values: NDArray[np.floating],
    *,
    is_category: bool,  # noqa: ARG001 - as `_draw_density`
) -> dict[str, Any]:
    """Give one mark per sample."""
    places = view.map.places[inside] if view.map is not None else np.zeros((0, 2))
    lines = []
    for row, title in zip(inside.tolist(), view.texts("title")[inside], strict=True):
        labels = ", ".join(view.labels_of(row)) or _NONE
        lines.append(f"{title[:60]} - {labels}" if title else labels)
    return {
        "kind": "points",
        "x": np.round(places[:, 0].astype(float), 3).tolist(),
        "y": np.round(places[:, 1].astype(float), 3).tolist(),
        "n": [1] * len(inside),
        "value": np.round(values[inside].astype(np.float64), 4).tolist(),
        "samples": view.atlas.obs.index[inside].astype(str).tolist(),
        "texts": lines,
    }


def _draw_density(
    view: AtlasView,
    inside: NDArray[np.int64],
    box: MapBox,
    values: NDArray[np.floating],
    *,
    is_category: bool,
) -> dict[str, Any]:
    """Give one mark per square that holds samples."""
    places = view.map.places[inside] if view.map is not None else np.zeros((0, 2))
    step_x, step_y = (box.x1 - box.x0) / _N_BINS, (box.y1 - box.y0) / _N_BINS
    column = np.minimum(((places[:, 0] - box.x0) / step_x).astype(np.int64), _N_BINS - 1)
    row = np.minimum(((places[:, 1] - box.y0) / step_y).astype(np.int64), _N_BINS - 1)
    square = row * _N_BINS + column
    n = np.bincount(square, minlength=_N_BINS**2)
    squares = np.flatnonzero(n)
    own = values[inside]
    if is_category:
        n_categories = int(own.max()) + 1
        votes = np.bincount(
            square * n_categories + own.astype(np.int64), minlength=_N_BINS**2 * n_categories
        )
        shown = votes.reshape(-1, n_categories)[squares].argmax(axis=1).astype(np.float64)
    else:
        shown = _average(own, square)[squares]
    return {
        "kind": "density",
        "x": np.round(box.x0 + (squares % _N_BINS + 0.5) * step_x, 3).tolist(),
        "y": np.round(box.y0 + (squares // _N_BINS + 0.5) * step_y, 3).tolist(),
        "n": n[squares].tolist(),
        "value": np.round(shown, 4).tolist(),
        "samples": [],
        "texts": [],
    }


def _average(values: NDArray[np.floating], square: NDArray[np.int64]) -> NDArray[np.float64]:
    """Average the known values in each square."""
    known = np.isfinite(values)
    sums = np.bincount(square[known], values[known], minlength=_N_BINS**2)
    counts = np.bincount(square[known], minlength=_N_BINS**2)
    means: NDArray[np.float64] = np.divide(
        sums, counts, out=np.full(_N_BINS**2, np.nan), where=counts > 0
    )
    return means
