"""Figures of the gene section: how strong, and how alike where it is strong."""

from typing import Any

import numpy as np
import pandas as pd

from expressome.reporting.content import Density
from expressome.reporting.figures.frame import colour_scale, load_plotly, new_figure
from expressome.reporting.palette import CATEGORIES, plot_text

__all__ = ["draw_gene_plane"]

# Genes named in the figure at most; a name that would cover another is left to hovering.
_N_NAMED = 16


def draw_gene_plane(density: Density, genes: pd.DataFrame) -> Any:  # noqa: ANN401
    """Draw signal against mean cosine: all genes as density, the best as points.

    Parameters
    ----------
    density
        Genes in the plane of log10 `p95_ratio` and `mean_cosine`.
    genes
        The genes drawn as points, columns ``symbol``, ``p95_ratio``,
        ``mean_cosine``; up to 16 are named.

    Returns
    -------
    plotly.graph_objects.Figure
        The third series is empty: the page fills it with the genes chosen in its table.
    """
    objects = load_plotly()
    counts = np.where(density.counts > 0, density.counts, np.nan)
    cells = objects.Heatmap(
        x=(density.x_edges[1:] + density.x_edges[:-1]) / 2,
        y=(density.y_edges[1:] + density.y_edges[:-1]) / 2,
        z=np.log10(counts),
        customdata=density.counts,
        colorscale=_visible_scale(),
        showscale=False,
        hovertemplate="%{customdata:,} genes here<extra></extra>",
        hoverongaps=False,
        name="all genes",
    )
    symbols = [plot_text(symbol, 20) for symbol in genes["symbol"]]
    best = objects.Scatter(
        x=np.log10(genes["p95_ratio"].to_numpy(float)),
        y=genes["mean_cosine"],
        mode="markers+text",
        name="best in both ranks",
        text=_names_apart(symbols, genes, density),
        textposition="top center",
        textfont={"size": 11},
        customdata=[
            [s, f"{ratio:.3g}"] for s, ratio in zip(symbols, genes["p95_ratio"], strict=True)
        ],
        marker={"size": 7, "color": CATEGORIES[1], "symbol": "diamond", "line": {"width": 0}},
        hovertemplate="<b>%{customdata[0]}</b><br>signal %{customdata[1]}<br>"
        "mean cosine %{y:.3f}<extra></extra>",
    )
    chosen = objects.Scatter(
        x=[],
        y=[],
        mode="markers+text",
        name="chosen in the table",
        text=[],
        textposition="top center",
        marker={"size": 12, "color": CATEGORIES[4], "symbol": "circle-open", "line": {"width": 3}},
        hovertemplate="<b>%{text}</b><br>mean cosine %{y:.3f}<extra></extra>",
    )
    ticks = np.array([1, 1.5, 2, 3, 5, 10, 20, 50, 100])
    return new_figure(
        [cells, best, chosen],
        x="signal: 95th percentile over mean",
        y="mean cosine of the samples around the 95th percentile",
        height=460,
        xaxis={"tickvals": np.log10(ticks), "ticktext": [f"{tick:g}" for tick in ticks]},
    )


def _visible_scale() -> list[list[Any]]:
    """Leave out the palest colour: one gene must show on the page."""
    scale = [colour for _, colour in colour_scale()[1:]]
    return [[i / (len(scale) - 1), colour] for i, colour in enumerate(scale)]


def _names_apart(symbols: list[str], genes: pd.DataFrame, density: Density) -> list[str]:
    """Name the best genes, leaving out names that would lie on one another."""
    x = np.log10(genes["p95_ratio"].to_numpy(float))
    y = genes["mean_cosine"].to_numpy(float)
    wide = 0.075 * np.ptp(density.x_edges)
    high = 0.04 * np.ptp(density.y_edges)
    named: list[int] = []
    for i in range(len(symbols)):
        if len(named) < _N_NAMED and all(
            abs(x[i] - x[j]) > wide or abs(y[i] - y[j]) > high for j in named
        ):
            named.append(i)
    return [symbol if i in named else "" for i, symbol in enumerate(symbols)]
