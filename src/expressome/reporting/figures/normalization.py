"""Figures of the normalisation section: densities, target, length effect."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.reporting.figures.frame import load_plotly, new_figure
from expressome.reporting.palette import CATEGORIES

__all__ = ["draw_densities", "draw_length_effect", "draw_target"]

# Lines in one drawing: enough to see the spread, few enough to draw at once.
_N_LINES = 60


def draw_densities(
    points: NDArray[np.float64],
    densities: NDArray[np.float64],
    *,
    top: float,
    colour: str = CATEGORIES[0],
) -> Any:  # noqa: ANN401
    """Draw the distribution of each sample as a thin line, and their median.

    Parameters
    ----------
    points
        Values on the scale log2(1 + count), shape (n_points,).
    densities
        Share of genes per unit of that scale, shape (n_samples, n_points); at
        most 60 rows are drawn, evenly spread, the median is over all.
    top
        Where the vertical axis ends; the peak of the zeros may lie beyond it.
    colour
        Colour of the lines.

    Returns
    -------
    plotly.graph_objects.Figure
        Figures with the same `top` can be compared.
    """
    objects = load_plotly()
    chosen = np.unique(np.linspace(0, len(densities) - 1, min(_N_LINES, len(densities)))).astype(
        int
    )
    gap = np.full(len(chosen), np.nan)
    spread = objects.Scatter(
        x=np.tile(np.append(points, np.nan), len(chosen)),
        y=np.column_stack([densities[chosen], gap]).ravel(),
        mode="lines",
        line={"width": 0.8, "color": colour},
        opacity=0.3,
        name=f"{len(chosen)} samples",
        hoverinfo="skip",
    )
    median = objects.Scatter(
        x=points,
        y=np.median(densities, axis=0),
        mode="lines",
        line={"width": 2.5, "color": colour},
        name="median",
        hovertemplate="log2(1 + count) %{x:.1f}<br>%{y:.1%} of the genes per unit<extra></extra>",
    )
    return new_figure(
        [spread, median],
        x="log2(1 + count)",
        y="share of genes per unit",
        height=300,
        yaxis={"tickformat": ".0%", "range": [0, top]},
    )


def draw_target(target: NDArray[np.float64]) -> Any:  # noqa: ANN401
    """Draw the distribution that every sample is mapped onto.

    Parameters
    ----------
    target
        Values at evenly spaced ranks, ascending, on the scale log2(1 + count).

    Returns
    -------
    plotly.graph_objects.Figure
        Value against the share of genes at or below it.
    """
    objects = load_plotly()
    share = (np.arange(target.size) + 0.5) / max(target.size, 1)
    line = objects.Scatter(
        x=share,
        y=target,
        mode="lines",
        line={"width": 2.5, "color": CATEGORIES[0]},
        hovertemplate="%{x:.0%} of the genes are at or below %{y:.2f}<extra></extra>",
    )
    return new_figure(
        [line],
        x="share of genes at or below",
        y="log2(1 + count)",
        height=300,
        xaxis={"tickformat": ".0%"},
        showlegend=False,
    )


def draw_length_effect(effect: pd.DataFrame) -> Any:  # noqa: ANN401
    """Draw the genes' mean value against their length, before and after division.

    Parameters
    ----------
    effect
        One row per bin of genes, columns ``length_bp``, ``before``,
        ``before_low``, ``before_high`` and the same for ``after``.

    Returns
    -------
    plotly.graph_objects.Figure
        Median line and quartile band for each.
    """
    objects = load_plotly()
    traces = []
    for name, colour, words in (
        ("before", CATEGORIES[1], "before division by length"),
        ("after", CATEGORIES[0], "after division (per kilobase)"),
    ):
        length = effect["length_bp"].to_numpy()
        band = np.concatenate([effect[f"{name}_low"], effect[f"{name}_high"][::-1]])
        traces += [
            objects.Scatter(
                x=np.concatenate([length, length[::-1]]),
                y=band,
                fill="toself",
                mode="none",
                fillcolor=colour,
                opacity=0.18,
                hoverinfo="skip",
                showlegend=False,
            ),
            objects.Scatter(
                x=length,
                y=effect[name],
                mode="lines+markers",
                line={"width": 2.5, "color": colour},
                marker={"size": 5, "symbol": "circle" if name == "after" else "square"},
                name=words,
                hovertemplate="genes of about %{x:,.0f} bp<br>median %{y:.2f}<extra></extra>",
            ),
        ]
    return new_figure(
        traces,
        x="gene length (bp)",
        y="mean value of a gene",
        height=300,
        xaxis={"type": "log", "dtick": 1, "tickformat": ","},
    )
