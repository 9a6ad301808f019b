"""Figures of the data section: labels, co-occurrence, distributions, map."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from expressome.reporting.content import Histogram
from expressome.reporting.figures.frame import (
    EVEN_LEGEND,
    faded,
    load_plotly,
    new_figure,
    reference_line,
)
from expressome.reporting.figures.grid import draw_cells, name_axis
from expressome.reporting.palette import CATEGORIES, MUTED, SYMBOLS, plot_text

__all__ = [
    "N_BARS",
    "bar_height",
    "draw_cooccurrence",
    "draw_histogram",
    "draw_label_counts",
    "draw_plane",
    "draw_sizes",
    "write_number",
]

# Bars that fit a page at a readable size; the table lists every label.
N_BARS = 40


def bar_height(n_bars: int) -> int:
    """Give the height in pixels of a figure with so many bars.

    Parameters
    ----------
    n_bars
        Bars to draw; above the limit the rest is left to the table.

    Returns
    -------
    int
        Pixels.
    """
    return 96 + 19 * max(min(n_bars, N_BARS), 3)


def draw_label_counts(labels: pd.DataFrame) -> Any:  # noqa: ANN401
    """Draw the samples per label as bars, coloured by kind.

    Parameters
    ----------
    labels
        Index label keys, columns ``kind``, ``n_samples``, ``n_studies``; the
        first 40 rows are drawn.

    Returns
    -------
    plotly.graph_objects.Figure
        One horizontal bar per label, the most frequent on top.
    """
    objects = load_plotly()
    shown = labels.iloc[:N_BARS]
    position = np.arange(len(shown))
    traces = []
    for i, kind in enumerate(dict.fromkeys(shown["kind"])):
        rows = (shown["kind"] == kind).to_numpy()
        traces.append(
            objects.Bar(
                x=shown["n_samples"].to_numpy()[rows],
                y=position[rows],
                orientation="h",
                width=0.78,
                name=plot_text(str(kind).replace("_", " ") or "no kind", 30),
                marker=faded(CATEGORIES[i % len(CATEGORIES)]),
                text=[f"{n:,}" for n in shown["n_samples"].to_numpy()[rows]],
                textposition="outside",
                cliponaxis=False,
                customdata=[
                    [plot_text(key), f"{n:,}"]
                    for key, n in zip(shown.index[rows], shown["n_studies"][rows], strict=True)
                ],
                hovertemplate="<b>%{customdata[0]}</b><br>%{x:,} samples in "
                "%{customdata[1]} studies"
                "<extra></extra>",
            )
        )
    ticks = {
        "tickvals": position,
        "ticktext": [plot_text(key, 28) for key in shown.index],
        "range": [len(shown) - 0.4, -0.6],
        "showgrid": False,
        "ticks": "",
    }
    return new_figure(
        traces,
        x="samples",
        height=bar_height(len(shown)),
        yaxis=ticks,
        # Room for the number beside the longest bar, on narrow pages too.
        xaxis={"showgrid": True, "range": [0, 1.18 * shown["n_samples"].to_numpy().max(initial=1)]},
        margin={"l": 56, "r": 48, "t": 12, "b": 48},
        barmode="overlay",
        showlegend=len(traces) > 1,
    )


def draw_cooccurrence(cooccurrence: pd.DataFrame) -> Any:  # noqa: ANN401
    """Draw how often two labels sit on one sample, as a grid of cells.

    Parameters
    ----------
    cooccurrence
        Samples with both labels, square; index and columns are label keys.

    Returns
    -------
    plotly.graph_objects.Figure
        Colour: share of the row label's samples that carry the column label too.
    """
    counts = cooccurrence.to_numpy(float)
    share = np.divide(
        counts,
        np.diag(counts)[:, None],
        out=np.zeros_like(counts),
        where=np.diag(counts)[:, None] > 0,
    )
    np.fill_diagonal(share, np.nan)
    keys = list(cooccurrence.index)
    grid = draw_cells(
        share,
        counts,
        keys=(keys, keys),
        hover="<b>%{y}</b> and <b>%{x}</b><br>%{customdata:,} samples (%{z:.0%} of the first)",
        title="share of the row",
    )
    # Few labels get cells like those of many, not slabs as wide as the page.
    width = min(1.0, 0.06 * len(keys))
    grid.colorbar.update(x=width + 0.02, lenmode="pixels", len=150)
    return new_figure(
        [grid],
        height=min(max(320, 17 * len(keys) + 160), 860),
        xaxis={**name_axis(keys), "domain": [0, width]},
        yaxis=name_axis(keys, vertical=True),
    )


def draw_histogram(
    histogram: Histogram,
    *,
    x: str,
    counted: str = "samples",
    log10: bool = False,
    cut: float | None = None,
    cut_name: str = "",
) -> Any:  # noqa: ANN401
    """Draw a distribution as bars.

    Parameters
    ----------
    histogram
        Bins and what falls into them.
    x
        Title of the axis, with the unit.
    counted
        What is counted.
    log10
        Whether the bins are in log10, so that the axis is labelled with powers of ten.
    cut, cut_name
        Place and name of a dashed line, such as a threshold.

    Returns
    -------
    plotly.graph_objects.Figure
        One bar per bin.
    """
    objects = load_plotly()
    edges = 10**histogram.edges if log10 else histogram.edges
    spans = [[write_number(low), write_number(high)] for low, high in pairwise(edges)]
    bars = objects.Bar(
        x=(histogram.edges[1:] + histogram.edges[:-1]) / 2,
        y=histogram.counts,
        width=np.diff(histogram.edges) * 0.94,
        marker=faded(CATEGORIES[0]),
        customdata=spans,
        hovertemplate="%{customdata[0]} to %{customdata[1]}<br>"
        f"%{{y:,}} {counted}<extra></extra>",
    )
    axis: dict[str, Any] = {}
    if log10:
        powers = np.arange(np.floor(histogram.edges[0]), np.ceil(histogram.edges[-1]) + 1)
        axis = {"tickvals": powers, "ticktext": [write_number(10**power) for power in powers]}
    shapes = [reference_line(cut, cut_name)] if cut is not None else []
    return new_figure(
        [bars], x=x, y=counted, height=260, xaxis=axis, shapes=shapes, showlegend=False
    )


def draw_sizes(histogram: Histogram, *, x: str, counted: str) -> Any:  # noqa: ANN401
    """Draw counts of whole numbers in bins of unequal width, as bars of equal width.

    Parameters
    ----------
    histogram
        Whole-number borders; a bin holds its lower border, not its upper.
    x
        Title of the axis.
    counted
        What is counted.

    Returns
    -------
    plotly.graph_objects.Figure
        One bar per bin, named like ``5 to 8``.
    """
    objects = load_plotly()
    spans = [(int(low), int(high) - 1) for low, high in pairwise(histogram.edges)]
    names = [f"{low:,}" if low == high else f"{low:,} to {high:,}" for low, high in spans]
    position = np.arange(len(names))
    bars = objects.Bar(
        x=position,
        y=histogram.counts,
        marker=faded(CATEGORIES[0]),
        customdata=names,
        hovertemplate=f"%{{customdata}} {x}<br>%{{y:,}} {counted}<extra></extra>",
    )
    axis = {"tickvals": position, "ticktext": names, "ticks": ""}
    return new_figure([bars], x=x, y=counted, height=260, xaxis=axis, showlegend=False)


def write_number(value: float) -> str:
    """Write a number as people do, with three digits and a unit.

    Parameters
    ----------
    value
        Any number.

    Returns
    -------
    str
        Such as ``"1.5M"``.

    Examples
    --------
    >>> write_number(20_000), write_number(0.25)
    ('20k', '0.25')
    """
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def draw_plane(plane: pd.DataFrame, explained: tuple[float, float], *, height: int = 460) -> Any:  # noqa: ANN401
    """Draw samples in the plane of two principal components, coloured by label.

    Parameters
    ----------
    plane
        Columns ``x``, ``y``, ``group``, ``sample``, ``study``; at most a few
        thousand rows. Groups named ``other labels`` and ``unlabelled`` are drawn grey.
    explained
        Share of the variance on each axis.
    height
        Height in pixels.

    Returns
    -------
    plotly.graph_objects.Figure
        One series per group; a click on the legend hides it.
    """
    objects = load_plotly()
    quiet = [name for name in ("unlabelled", "other labels") if (plane["group"] == name).any()]
    groups = [*quiet, *(g for g in dict.fromkeys(plane["group"]) if g not in quiet)]
    traces = []
    for i, group in enumerate(groups):
        rows = plane[plane["group"] == group]
        k = i - len(quiet)
        marker = {
            "size": 6,
            "opacity": 0.8,
            "color": CATEGORIES[k % len(CATEGORIES)],
            "symbol": SYMBOLS[k % len(SYMBOLS)],
            "line": {"width": 0},
        }
        if group in quiet:
            marker |= {"color": MUTED, "opacity": 0.35, "size": 4, "symbol": "circle"}
        traces.append(
            objects.Scatter(
                x=rows["x"],
                y=rows["y"],
                mode="markers",
                name=plot_text(group, 24),
                marker=marker,
                customdata=[
                    [plot_text(sample, 40), plot_text(study, 40), plot_text(group, 40)]
                    for sample, study in zip(rows["sample"], rows["study"], strict=True)
                ],
                hovertemplate="<b>%{customdata[2]}</b><br>sample %{customdata[0]}<br>"
                "study %{customdata[1]}<extra></extra>",
            )
        )
    return new_figure(
        traces,
        x=f"component 1 ({explained[0]:.0%} of the variance)",
        y=f"component 2 ({explained[1]:.0%})",
        height=height,
        legend=EVEN_LEGEND,
    )
