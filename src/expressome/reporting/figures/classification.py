"""Figures of the classification section."""

from typing import Any

import numpy as np
import pandas as pd

from expressome.reporting.figures.frame import (
    faded,
    load_plotly,
    new_figure,
    reference_line,
)
from expressome.reporting.figures.grid import draw_cells, name_axis
from expressome.reporting.palette import CATEGORIES, MUTED, plot_text

__all__ = [
    "draw_confusion",
    "draw_label_scores",
    "draw_reliability",
    "draw_risk_coverage",
    "draw_scores",
]


def draw_scores(scores: pd.DataFrame) -> Any:  # noqa: ANN401
    """Draw the F1 of the model beside its baselines.

    Parameters
    ----------
    scores
        Columns ``title``, ``f1_samples`` and ``role``; ``low`` and ``high``
        become an error bar where they are known.

    Returns
    -------
    plotly.graph_objects.Figure
        One bar per row: the model coloured, baselines grey, random splits hatched.
    """
    objects = load_plotly()
    position = np.arange(len(scores))
    value = scores["f1_samples"].to_numpy(float)
    error = None
    if {"low", "high"} <= set(scores.columns):
        low, high = scores["low"].to_numpy(float), scores["high"].to_numpy(float)
        error = {
            "type": "data",
            "symmetric": False,
            "array": high - value,
            "arrayminus": value - low,
            "thickness": 1.5,
            "width": 4,
        }
    colours = [CATEGORIES[0] if role == "model" else MUTED for role in scores["role"]]
    hatches = ["/" if "random split" in title else "" for title in scores["title"]]
    bars = objects.Bar(
        x=value,
        y=position,
        orientation="h",
        width=0.7,
        error_x=error,
        marker=faded(CATEGORIES[0])
        | {
            "color": colours,
            "pattern": {
                "shape": hatches,
                "size": 6,
                "fillmode": "overlay",
                "fgcolor": "#FFFFFF",
                "fgopacity": 0.45,
            },
        },
        text=[f"{score:.2f}" for score in value],
        textposition="auto",
        textangle=0,
        insidetextanchor="start",
        insidetextfont={"color": "#FFFFFF"},
        customdata=[plot_text(name) for name in scores["title"]],
        hovertemplate="<b>%{customdata}</b><br>F1 %{x:.3f}<extra></extra>",
    )
    return new_figure(
        [bars],
        x="F1 over samples",
        height=90 + 34 * max(len(scores), 2),
        showlegend=False,
        xaxis={"range": [0, 1.02], "showgrid": True},
        yaxis={
            "tickvals": position,
            "ticktext": [plot_text(name, 42) for name in scores["title"]],
            "range": [len(scores) - 0.4, -0.6],
            "showgrid": False,
            "ticks": "",
        },
    )


def draw_label_scores(per_label: pd.DataFrame) -> Any:  # noqa: ANN401
    """Draw precision against recall, one point per testable label.

    Parameters
    ----------
    per_label
        Index label keys, columns ``precision``, ``recall``, ``f1``, ``support``.

    Returns
    -------
    plotly.graph_objects.Figure
        The area of a point grows with the label's test samples.
    """
    objects = load_plotly()
    support = per_label["support"].to_numpy(float)
    weak = per_label["f1"].fillna(0).to_numpy() < 0.5
    names = [plot_text(key, 22) for key in per_label.index]
    named = _names_to_show(per_label)
    spread = 20 if len(per_label) <= 60 else 10
    points = objects.Scatter(
        x=per_label["recall"],
        y=per_label["precision"],
        mode="markers+text",
        text=[name if show else "" for name, show in zip(names, named, strict=True)],
        # Names of points at the right edge would leave the page.
        textposition=[
            "top left" if recall > 0.8 else "top center" for recall in per_label["recall"]
        ],
        textfont={"size": 11},
        marker={
            "size": 6 + spread * np.sqrt(support / max(support.max(initial=1), 1)),
            "color": [CATEGORIES[4] if is_weak else CATEGORIES[0] for is_weak in weak],
            "symbol": ["diamond" if is_weak else "circle" for is_weak in weak],
            "opacity": 0.75,
            "line": {"width": 0},
        },
        customdata=[
            [plot_text(key), f"{f1:.2f}", f"{n:,.0f}"]
            for key, f1, n in zip(per_label.index, per_label["f1"], support, strict=True)
        ],
        hovertemplate="<b>%{customdata[0]}</b><br>precision %{y:.2f}, recall %{x:.2f}, "
        "F1 %{customdata[1]}<br>%{customdata[2]} test samples<extra></extra>",
        cliponaxis=False,
    )
    axis = {"range": [-0.1, 1.12], "showgrid": True, "tick0": 0, "dtick": 0.25}
    return new_figure(
        [points],
        x="recall: share of the label's samples found",
        y="precision: share of the calls that are right",
        height=420,
        showlegend=False,
        xaxis=axis,
        yaxis=axis,
    )


def _names_to_show(per_label: pd.DataFrame) -> list[bool]:
    """Name the weakest labels, up to 16, and only where names do not pile up."""
    taken: list[tuple[float, float]] = []
    show = dict.fromkeys(per_label.index, False)
    for key, row in per_label.sort_values("f1").iterrows():
        place = (float(row["recall"]), float(row["precision"]))
        if len(taken) < 16 and all(
            abs(place[0] - x) > 0.16 or abs(place[1] - y) > 0.1 for x, y in taken
        ):
            show[key] = True
            taken.append(place)
    return list(show.values())


def draw_confusion(confusion: pd.DataFrame) -> Any:  # noqa: ANN401
    """Draw which label is taken for which.

    Parameters
    ----------
    confusion
        Test samples by true label (rows) and predicted label (columns).

    Returns
    -------
    plotly.graph_objects.Figure
        Colour: share of the true label's samples.
    """
    counts = confusion.to_numpy(float)
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
    rows, columns = list(confusion.index), list(confusion.columns)
    grid = draw_cells(
        share,
        counts,
        keys=(rows, columns),
        hover="<b>%{y}</b> called <b>%{x}</b><br>%{customdata:,} samples (%{z:.0%})",
        title="share of the true label",
    )
    return new_figure(
        [grid],
        x="predicted",
        y="true",
        height=min(max(340, 17 * len(rows) + 160), 900),
        xaxis=name_axis(columns),
        yaxis=name_axis(rows, vertical=True),
    )


def draw_reliability(reliability: pd.DataFrame) -> Any:  # noqa: ANN401
    """Draw how often the model is right at each level of confidence.

    Parameters
    ----------
    reliability
        Columns ``confidence`` (mean of a bin), ``accuracy`` (share that was right), ``n``.

    Returns
    -------
    plotly.graph_objects.Figure
        With the diagonal of a perfectly calibrated model.
    """
    objects = load_plotly()
    diagonal = objects.Scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": MUTED, "dash": "dash", "width": 1.5},
        name="perfectly calibrated",
        hoverinfo="skip",
    )
    points = objects.Scatter(
        x=reliability["confidence"],
        y=reliability["accuracy"],
        mode="lines+markers",
        line={"width": 2.5, "color": CATEGORIES[0]},
        marker={"size": 8},
        name="this model",
        customdata=reliability["n"],
        hovertemplate="confidence %{x:.2f}<br>right %{y:.0%} of %{customdata:,} samples"
        "<extra></extra>",
    )
    axis = {"range": [0, 1.02], "showgrid": True, "dtick": 0.25}
    return new_figure(
        [diagonal, points],
        x="confidence",
        y="share that was right",
        height=320,
        xaxis=axis,
        yaxis=axis,
    )


def draw_risk_coverage(curve: pd.DataFrame) -> Any:  # noqa: ANN401
    """Draw the share of errors when only the most confident samples are answered.

    Parameters
    ----------
    curve
        Columns ``coverage`` (share answered) and ``risk`` (share of those that is wrong).

    Returns
    -------
    plotly.graph_objects.Figure
        With the risk at full coverage as a dashed line.
    """
    objects = load_plotly()
    line = objects.Scatter(
        x=curve["coverage"],
        y=curve["risk"],
        mode="lines",
        line={"width": 2.5, "color": CATEGORIES[0]},
        hovertemplate="%{x:.0%} answered<br>%{y:.1%} of those wrong<extra></extra>",
    )
    full = float(curve["risk"].iloc[curve["coverage"].to_numpy().argmax()])
    return new_figure(
        [line],
        x="share of samples answered, most confident first",
        y="share of answers that is wrong",
        height=320,
        showlegend=False,
        xaxis={"range": [0, 1.02], "tickformat": ".0%"},
        yaxis={"rangemode": "tozero", "tickformat": ".2~p"},
        shapes=[reference_line(full, f"all answered: {full:.1%}", vertical=False)],
    )
