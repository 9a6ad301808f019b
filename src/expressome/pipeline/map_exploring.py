"""Questions about the map: density of many samples, points of few, in four colours."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from expressome.errors import AtlasError, InvalidValueError
from expressome.pipeline.exploring import AtlasView
from expressome.pipeline.map_colouring import Colouring, choose_colouring, pool_groups

__all__ = ["GroupCount", "MapBox", "MapPicture", "draw_map"]

# More points than this are drawn as density: SVG stays quick and nothing hides below another.
_N_POINTS = 3000
# Squares along a side of a picture as high as wide.
_N_SQUARES = 64
_WIDEST = 5.0
_N_COUNTED = 200
# Names written on the map at most, and how coarsely the middle of a group is looked for.
_N_NAMED, _N_COARSE = 24, 24
_NONE = "no label"


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
class GroupCount:
    """A group in a part of the map.

    Attributes
    ----------
    name
        Label or study.
    n_samples
        Its samples there.
    place
        Where most of them lie, to write its name; None but for the first 24.
    """

    name: str
    n_samples: int
    place: list[float] | None = None


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
        Names of the categories: the eight most frequent groups in this part, in the order of
        the atlas, then ``other`` and ``no label``; empty for numbers.
    groups
        Groups in this part, most frequent first, 200 at most; empty for numbers.
    grid
        Squares along x and y; empty for points.
    x, y
        Of each mark.
    n
        Samples of each mark.
    value
        Number of the category, or mean value, of each mark; None where unknown.
    samples
        Id of each point; empty for density.
    texts
        A line for each mark: of a point its title and labels, of a square its most frequent
        group; empty for squares of numbers.
    """

    kind: Literal["points", "density"]
    box: list[float]
    whole: list[float]
    n_samples: int
    color: str
    categories: list[str]
    groups: list[GroupCount]
    grid: list[int]
    x: list[float]
    y: list[float]
    n: list[int]
    value: list[float | None]
    samples: list[str]
    texts: list[str]


def draw_map(
    view: AtlasView, color: str = "label", *, box: MapBox | None = None, ratio: float = 1.0
) -> MapPicture:
    """Draw the samples in a part of the map.

    Parameters
    ----------
    view
        The atlas.
    color
        What colours stand for, as `choose_colouring` takes it.
    box
        Part of the map; all of it by default.
    ratio
        Width over height of the picture, 0.2 to 5, so that squares look square in it.

    Returns
    -------
    MapPicture
        Points where there are at most 3,000 samples, else squares: of categories the most
        frequent one in each, of numbers their mean.

    Raises
    ------
    AtlasError
        If the atlas is too small for a map.
    InvalidValueError
        If the ratio is out of bounds.
    ExpressomeError
        As `choose_colouring` raises them.
    """
    if view.map is None:
        msg = "this atlas has fewer than three samples or genes, too few for a map"
        raise AtlasError(msg)
    if not 1 / _WIDEST <= ratio <= _WIDEST:
        msg = f"ratio is {ratio}; give the width over the height of the picture, 0.2 to 5"
        raise InvalidValueError(msg)
    colouring = choose_colouring(view, color)
    places = view.map.places
    whole = view.keep("whole map", lambda: _bounds(places))
    shown = box or whole
    inside = np.flatnonzero(
        (places[:, 0] >= shown.x0)
        & (places[:, 0] <= shown.x1)
        & (places[:, 1] >= shown.y0)
        & (places[:, 1] <= shown.y1)
    )
    if len(inside) <= _N_POINTS:
        marks = _draw_points(view, inside, places, colouring)
    else:
        marks = _draw_density(places[inside], colouring, colouring.values[inside], shown, ratio)
    marks |= _count_groups(colouring, colouring.values[inside], places[inside], marks["value"])
    return MapPicture(
        box=_to_list(shown),
        whole=_to_list(whole),
        n_samples=len(inside),
        color=colouring.words,
        **marks,
    )


def _count_groups(
    colouring: Colouring,
    own: NDArray[Any],
    places: NDArray[np.float32],
    values: NDArray[Any],
) -> dict[str, Any]:
    """Turn groups into categories and count them; round what are numbers."""
    if not colouring.groups:
        rounded = np.round(values.astype(np.float64), 4).tolist()
        return {"categories": [], "groups": [], "value": rounded}
    counts = np.bincount(own.astype(np.int64), minlength=len(colouring.groups))
    categories, numbers = pool_groups(colouring, counts)
    order = [g for g in np.argsort(-counts, kind="stable")[:_N_COUNTED].tolist() if counts[g]]
    named = [g for g in order if g != colouring.without][:_N_NAMED]
    middles = {g: _find_middle(places[own == g]) for g in named}
    return {
        "categories": categories,
        "groups": [GroupCount(colouring.groups[g], int(counts[g]), middles.get(g)) for g in order],
        "value": numbers[values.astype(np.int64)].tolist(),
    }


def _to_list(box: MapBox) -> list[float]:
    return [box.x0, box.x1, box.y0, box.y1]


def _bounds(places: NDArray[np.float32]) -> MapBox:
    """Frame all samples, with a margin."""
    low, high = places.min(axis=0).astype(float), places.max(axis=0).astype(float)
    margin = np.maximum(0.03 * (high - low), 1e-3)
    low, high = low - margin, high + margin
    return MapBox(float(low[0]), float(high[0]), float(low[1]), float(high[1]))


def _find_middle(places: NDArray[np.float32]) -> list[float]:
    """Give the mean place of the samples in the fullest part: a group may lie in several."""
    low, high = places.min(axis=0), places.max(axis=0)
    step = np.maximum((high - low) / _N_COARSE, 1e-6)
    column, row = np.minimum(((places - low) / step).astype(np.int64), _N_COARSE - 1).T
    square = row * _N_COARSE + column
    fullest = square == np.bincount(square).argmax()
    return [round(float(x), 3) for x in places[fullest].mean(axis=0)]


def _draw_points(
    view: AtlasView,
    inside: NDArray[np.int64],
    places: NDArray[np.float32],
    colouring: Colouring,
) -> dict[str, Any]:
    """Give one mark per sample."""
    lines = []
    for row, title in zip(inside.tolist(), view.texts("title")[inside], strict=True):
        labels = ", ".join(view.labels_of(row)) or _NONE
        lines.append(f"{title[:60]} - {labels}" if title else labels)
    return {
        "kind": "points",
        "grid": [],
        "x": np.round(places[inside, 0].astype(float), 3).tolist(),
        "y": np.round(places[inside, 1].astype(float), 3).tolist(),
        "n": [1] * len(inside),
        "value": colouring.values[inside],
        "samples": view.atlas.obs.index[inside].astype(str).tolist(),
        "texts": lines,
    }


def _draw_density(
    places: NDArray[np.float32],
    colouring: Colouring,
    values: NDArray[Any],
    box: MapBox,
    ratio: float,
) -> dict[str, Any]:
    """Give one mark per square that holds samples."""
    n_x, n_y = (round(_N_SQUARES * ratio**power) for power in (0.5, -0.5))
    step_x, step_y = (box.x1 - box.x0) / n_x, (box.y1 - box.y0) / n_y
    column = np.minimum(((places[:, 0] - box.x0) / step_x).astype(np.int64), n_x - 1)
    row = np.minimum(((places[:, 1] - box.y0) / step_y).astype(np.int64), n_y - 1)
    square = row * n_x + column
    n = np.bincount(square, minlength=n_x * n_y)
    squares = np.flatnonzero(n)
    texts: list[str] = []
    shown: NDArray[Any]
    if colouring.groups:
        winner, n_winner = _find_most_frequent(square, values, n_x * n_y, colouring.without)
        shown = winner[squares]
        shares = (n_winner / np.maximum(n, 1))[squares]
        texts = [
            f"{colouring.groups[g]}, {share:.0%}"
            for g, share in zip(shown.tolist(), shares.tolist(), strict=True)
        ]
    else:
        shown = _average(values, square, n_x * n_y)[squares]
    return {
        "kind": "density",
        "grid": [n_x, n_y],
        "x": np.round(box.x0 + (squares % n_x + 0.5) * step_x, 3).tolist(),
        "y": np.round(box.y0 + (squares // n_x + 0.5) * step_y, 3).tolist(),
        "n": n[squares].tolist(),
        "value": shown,
        "samples": [],
        "texts": texts,
    }


def _find_most_frequent(
    square: NDArray[np.int64], groups: NDArray[np.integer], n_squares: int, without: int = -1
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the most frequent group of each square and its samples there."""
    n_groups = int(groups.max()) + 1
    pairs, counts = np.unique(square * n_groups + groups, return_counts=True)
    # The last one written stays: the most frequent, of equals the one that the atlas has more of;
    # samples without a group say nothing of a square that holds others.
    order = np.lexsort((-(pairs % n_groups), counts, pairs % n_groups != without))
    winner, n_winner = np.zeros((2, n_squares), np.int64)
    winner[(pairs // n_groups)[order]] = (pairs % n_groups)[order]
    n_winner[(pairs // n_groups)[order]] = counts[order]
    return winner, n_winner


def _average(
    values: NDArray[np.floating], square: NDArray[np.int64], n_squares: int
) -> NDArray[np.float64]:
    """Average the known values in each square."""
    known = np.isfinite(values)
    sums = np.bincount(square[known], values[known], minlength=n_squares)
    counts = np.bincount(square[known], minlength=n_squares)
    means: NDArray[np.float64] = np.divide(
        sums, counts, out=np.full(n_squares, np.nan), where=counts > 0
    )
    return means
