"""The frame every figure shares: axes, colours, type."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import MissingExtraError
from expressome.reporting.content import Histogram
from expressome.reporting.palette import GRID, MUTED, SEQUENTIAL, TEXT

__all__ = [
    "EVEN_LEGEND",
    "Figure",
    "colour_scale",
    "faded",
    "histogram_table",
    "load_plotly",
    "new_figure",
    "outline",
    "reference_line",
]


# Above the figure, so that it never covers a mark; marks of one size where sizes differ.
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 12}}
EVEN_LEGEND = LEGEND | {"itemsizing": "constant"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with the words and the data that belong to it.

    Attributes
    ----------
    key
        Short name, unique on the page.
    title
        What is shown.
    caption
        One sentence: what to look for.
    text
        What a reader who cannot see the figure should know, with its numbers.
    plot
        The plotly figure.
    table
        The data behind it, one row per mark.
    is_wide
        Whether it takes the full width of the page.
    """

    key: str
    title: str
    caption: str
    text: str
    plot: Any
    table: pd.DataFrame
    is_wide: bool = False


def load_plotly() -> Any:  # noqa: ANN401 - plotly is not typed
    """Import plotly's figure objects.

    Returns
    -------
    module
        ``plotly.graph_objects``.

    Raises
    ------
    MissingExtraError
        If plotly is not installed.
    """
    try:
        import plotly.graph_objects as objects
    except ImportError:
        msg = (
            "a report needs plotly and jinja2; install them with: pip install 'expressome[report]'"
        )
        raise MissingExtraError(msg) from None
    return objects


def new_figure(
    traces: list[Any],
    *,
    x: str = "",
    y: str = "",
    height: int = 340,
    **layout: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    """Put traces into the frame that all figures share.

    Parameters
    ----------
    traces
        Plotly traces.
    x, y
        Titles of the axes, with units.
    height
        Height in pixels; the width follows the page.
    **layout
        Settings of plotly's layout that differ from the shared ones.

    Returns
    -------
    plotly.graph_objects.Figure
        Without a title: the page writes it.
    """
    objects = load_plotly()
    settings: dict[str, Any] = {
        "template": objects.layout.Template(),
        "height": height,
        "margin": {"l": 56, "r": 16, "t": 12, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": TEXT, "size": 12, "family": "system-ui, sans-serif"},
        "legend": LEGEND,
        "hoverlabel": {"align": "left", "namelength": -1},
        "bargap": 0.04,
        "dragmode": "zoom",
    }
    # One construction: every later update of a plotly figure costs as much again.
    axes = {
        "xaxis": _AXIS | {"showgrid": False} | layout.pop("xaxis", {}) | _title(x),
        "yaxis": _AXIS | layout.pop("yaxis", {}) | _title(y),
    }
    return objects.Figure(data=traces, layout=settings | layout | axes)


_AXIS = {
    "gridcolor": GRID,
    "linecolor": GRID,
    "zeroline": False,
    "ticks": "outside",
    "ticklen": 4,
    "tickcolor": GRID,
    "automargin": True,
}


def _title(text: str) -> dict[str, Any]:
    return {"title": {"text": text, "standoff": 10, "font": {"size": 13}}}


def colour_scale() -> list[list[Any]]:
    """Give the sequential colours as plotly wants them."""
    return [[i / (len(SEQUENTIAL) - 1), colour] for i, colour in enumerate(SEQUENTIAL)]


def faded(colour: str) -> dict[str, Any]:
    """Give a bar's look: soft fill, clear border of the same colour.

    Parameters
    ----------
    colour
        Hexadecimal colour.

    Returns
    -------
    dict
        A plotly marker.
    """
    return {"color": colour, "opacity": 0.85, "line": {"width": 0}}


def outline(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Repeat each value at both ends of its bin, for a stepped line.

    Parameters
    ----------
    values
        One value per bin.

    Returns
    -------
    ndarray
        Twice as many values.
    """
    return np.repeat(values, 2)


def histogram_table(histogram: Histogram, quantity: str, counted: str) -> pd.DataFrame:
    """Write a histogram as a table of bins.

    Parameters
    ----------
    histogram
        What is drawn.
    quantity, counted
        Names of the measured quantity and of the things counted.

    Returns
    -------
    DataFrame
        Columns ``<quantity> from``, ``<quantity> to`` and `counted`.
    """
    return pd.DataFrame(
        {
            f"{quantity} from": histogram.edges[:-1],
            f"{quantity} to": histogram.edges[1:],
            counted: histogram.counts,
        }
    )


def reference_line(value: float, name: str, *, vertical: bool = True) -> dict[str, Any]:
    """Give a thin dashed line across the figure, with its name.

    Parameters
    ----------
    value
        Where it crosses the axis, in data units.
    name
        Written at its end.
    vertical
        Whether it stands upright.

    Returns
    -------
    dict
        A plotly shape.
    """
    label: dict[str, Any] = {
        "text": name,
        "font": {"color": TEXT, "size": 11},
        "textposition": "end",
    }
    if vertical:
        label |= {"textangle": 0, "xanchor": "left", "yanchor": "top", "padding": 6}
    ends = {"x0": value, "x1": value, "y0": 0, "y1": 1, "yref": "paper"}
    if not vertical:
        ends = {"y0": value, "y1": value, "x0": 0, "x1": 1, "xref": "paper"}
    return {
        "type": "line",
        "line": {"color": MUTED, "width": 1.5, "dash": "dash"},
        "label": label,
    } | ends
