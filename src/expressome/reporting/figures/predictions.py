"""Figures of the prediction section."""

from typing import Any

import numpy as np
import pandas as pd

from expressome.reporting.content import Predictions
from expressome.reporting.figures.frame import faded, load_plotly, new_figure
from expressome.reporting.figures.samples import N_BARS, bar_height
from expressome.reporting.palette import CATEGORIES, MUTED, plot_text

__all__ = ["draw_confidence", "draw_predicted_labels"]


def draw_predicted_labels(counts: pd.DataFrame) -> Any:  # noqa: ANN401
    """Draw how many samples were given each label.

    Parameters
    ----------
    counts
        Index label keys, column ``n_samples``; the first 40 rows are drawn.

    Returns
    -------
    plotly.graph_objects.Figure
        One horizontal bar per label, the most frequent on top.
    """
    objects = load_plotly()
    shown = counts.iloc[:N_BARS]
    position = np.arange(len(shown))
    bars = objects.Bar(
        x=shown["n_samples"],
        y=position,
        orientation="h",
        width=0.78,
        marker=faded(CATEGORIES[0]),
        text=[f"{n:,}" for n in shown["n_samples"]],
        textposition="outside",
        cliponaxis=False,
        customdata=[plot_text(key) for key in shown.index],
        hovertemplate="<b>%{customdata}</b><br>%{x:,} samples<extra></extra>",
    )
    return new_figure(
        [bars],
        x="samples without annotation",
        height=bar_height(len(shown)),
        showlegend=False,
        margin={"l": 56, "r": 48, "t": 12, "b": 48},
        xaxis={"showgrid": True, "rangemode": "tozero"},
        yaxis={
            "tickvals": position,
            "ticktext": [plot_text(key, 28) for key in shown.index],
            "range": [len(shown) - 0.4, -0.6],
            "showgrid": False,
            "ticks": "",
        },
    )


def draw_confidence(predictions: Predictions) -> Any:  # noqa: ANN401
    """Draw the confidence of the predictions, known and unknown stacked.

    Parameters
    ----------
    predictions
        Both histograms share their bins.

    Returns
    -------
    plotly.graph_objects.Figure
        Stacked bars.
    """
    objects = load_plotly()
    edges = predictions.confidence_known.edges
    traces = [
        objects.Bar(
            x=(edges[1:] + edges[:-1]) / 2,
            y=histogram.counts,
            width=np.diff(edges) * 0.94,
            name=name,
            marker=faded(colour) | {"pattern": {"shape": pattern, "size": 5}},
            hovertemplate=f"confidence %{{x:.2f}}<br>%{{y:,}} samples, {name}<extra></extra>",
        )
        for name, colour, pattern, histogram in (
            ("labelled", CATEGORIES[0], "", predictions.confidence_known),
            ("called unknown", MUTED, "/", predictions.confidence_unknown),
        )
    ]
    return new_figure(
        traces,
        x="confidence: calibrated probability of the label",
        y="samples",
        height=300,
        barmode="stack",
        xaxis={"range": [0, 1]},
    )
