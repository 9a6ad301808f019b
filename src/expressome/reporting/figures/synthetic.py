"""Figures of the synthetic section: the same plane, the same distances, for real and made."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.reporting.content import Histogram
from expressome.reporting.figures.frame import EVEN_LEGEND, load_plotly, new_figure, outline
from expressome.reporting.palette import CATEGORIES, MUTED, SYMBOLS, plot_text

__all__ = [
    "draw_distances",
    "draw_fidelity",
    "draw_synthetic_plane",
    "draw_training",
    "scale_fidelity",
]


def draw_synthetic_plane(plane: pd.DataFrame, explained: tuple[float, float]) -> Any:  # noqa: ANN401
    """Draw synthetic samples over the real ones, in the plane of the real ones.

    Parameters
    ----------
    plane
        Columns ``x``, ``y``, ``group`` (a label or ``other labels``), ``synthetic``.
    explained
        Share of the variance on each axis.

    Returns
    -------
    plotly.graph_objects.Figure
        Real samples filled, synthetic ones open, one colour per label.
    """
    objects = load_plotly()
    groups = [g for g in dict.fromkeys(plane["group"]) if g != "other labels"]
    traces = []
    for synthetic in (False, True):
        for i, group in enumerate(["other labels", *groups]):
            rows = plane[(plane["group"] == group) & (plane["synthetic"] == synthetic)]
            if rows.empty:
                continue
            symbol = SYMBOLS[(i - 1) % len(SYMBOLS)]
            colour = CATEGORIES[(i - 1) % len(CATEGORIES)] if i else MUTED
            marker: dict[str, Any] = {"color": colour, "size": 7, "symbol": symbol}
            if not i:
                marker |= {"size": 4, "opacity": 0.35, "symbol": "circle"}
            if synthetic:
                marker |= {"symbol": f"{symbol}-open", "size": 8, "line": {"width": 1.3}}
            words = f"{plot_text(group, 22)}, {'synthetic' if synthetic else 'real'}"
            traces.append(
                objects.Scatter(
                    x=rows["x"],
                    y=rows["y"],
                    mode="markers",
                    name=words,
                    marker=marker,
                    hovertemplate=f"{words}<extra></extra>",
                )
            )
    return new_figure(
        traces,
        x=f"component 1 ({explained[0]:.0%} of the variance of real samples)",
        y=f"component 2 ({explained[1]:.0%})",
        height=460,
        legend=EVEN_LEGEND,
    )


def draw_distances(distances: Mapping[str, Histogram], *, to: str) -> Any:  # noqa: ANN401
    """Draw the distances to a real sample, one stepped line per comparison.

    Parameters
    ----------
    distances
        Name of the comparison -> histogram; shares are drawn, so that sizes may differ.
    to
        Which real sample: the nearest, or the most central.

    Returns
    -------
    plotly.graph_objects.Figure
        To the nearest, a synthetic line far left of the real one would mean copied samples.
    """
    objects = load_plotly()
    traces = []
    for i, (name, histogram) in enumerate(distances.items()):
        edges = outline(histogram.edges)[1:-1]
        shares = outline(histogram.counts / max(histogram.total, 1))
        colour = CATEGORIES[i % len(CATEGORIES)]
        traces.append(
            objects.Scatter(
                x=edges,
                y=shares,
                mode="lines",
                name=plot_text(name, 48),
                line={"width": 2.2, "color": colour, "dash": ("solid", "dash", "dot")[i % 3]},
                hovertemplate="distance %{x:.3g}<br>%{y:.1%}<extra></extra>",
            )
        )
    return new_figure(
        traces,
        x=f"distance to the {to} real sample",
        y="share of samples",
        height=300,
        yaxis={"tickformat": ".0%", "rangemode": "tozero"},
    )


def scale_fidelity(fidelity: pd.DataFrame) -> NDArray[np.float64]:
    """Scale each value so that the floor is 0 and the ceiling 1.

    Parameters
    ----------
    fidelity
        Columns ``value``, ``ceiling``, ``floor``.

    Returns
    -------
    ndarray
        Shape (n_rows,); NaN where ceiling and floor are equal or unknown.

    Examples
    --------
    >>> scale_fidelity(pd.DataFrame({"value": [0.75], "ceiling": [0.5], "floor": [1.0]}))
    array([0.5])
    """
    span = (fidelity["ceiling"] - fidelity["floor"]).to_numpy(float)
    offset = (fidelity["value"] - fidelity["floor"]).to_numpy(float)
    usable = np.isfinite(span) & (np.abs(span) > 1e-12)
    scaled: NDArray[np.float64] = np.divide(
        offset, span, out=np.full(len(span), np.nan), where=usable
    )
    return scaled


def draw_fidelity(fidelity: pd.DataFrame, method: str = "") -> Any:  # noqa: ANN401
    """Draw where each method lies between noise and real data, per metric.

    Parameters
    ----------
    fidelity
        Columns ``method``, ``metric``, ``value``, ``ceiling``, ``floor``.
    method
        The method of interest, drawn larger and over the others.

    Returns
    -------
    plotly.graph_objects.Figure
        0 is the floor (noise), 1 the ceiling (real against real); metrics
        whose ceiling equals their floor are left out.
    """
    objects = load_plotly()
    scaled = scale_fidelity(fidelity)
    usable = np.isfinite(scaled)
    shown, place = fidelity[usable], scaled[usable]
    metrics = list(dict.fromkeys(shown["metric"]))
    traces = []
    names = sorted(dict.fromkeys(shown["method"]), key=lambda name: name != method)
    for i, name in reversed(list(enumerate(names))):
        rows = (shown["method"] == name).to_numpy()
        values = place[rows]
        traces.append(
            objects.Scatter(
                x=np.clip(values, -0.25, 1.25),
                y=[metrics.index(metric) for metric in shown["metric"][rows]],
                mode="markers",
                name=plot_text(name, 24),
                marker={
                    "size": 13 if name == method else 9,
                    "color": CATEGORIES[i % len(CATEGORIES)],
                    "symbol": SYMBOLS[i % len(SYMBOLS)],
                },
                customdata=[
                    [plot_text(metric), f"{value:.3g}", f"{ceiling:.3g}", f"{floor:.3g}"]
                    for metric, value, ceiling, floor in shown.loc[
                        shown.index[rows], ["metric", "value", "ceiling", "floor"]
                    ].itertuples(index=False)
                ],
                hovertemplate="<b>%{customdata[0]}</b><br>value %{customdata[1]}, ceiling "
                "%{customdata[2]}, floor %{customdata[3]}<extra></extra>",
            )
        )
    return new_figure(
        traces,
        x="0 = noise, 1 = as good as real samples",
        legend=EVEN_LEGEND | {"traceorder": "reversed"},
        height=110 + 30 * max(len(metrics), 3),
        xaxis={"range": [-0.3, 1.3], "showgrid": True, "dtick": 0.25},
        yaxis={
            "tickvals": list(range(len(metrics))),
            "ticktext": [plot_text(metric.replace("_", " "), 34) for metric in metrics],
            "range": [len(metrics) - 0.5, -0.5],
            "ticks": "",
        },
    )


def draw_training(training: pd.DataFrame) -> Any:  # noqa: ANN401
    """Draw the curves of a generator's training.

    Parameters
    ----------
    training
        Index the step, one column per curve.

    Returns
    -------
    plotly.graph_objects.Figure
        One line per curve.
    """
    objects = load_plotly()
    traces = [
        objects.Scatter(
            x=training.index,
            y=training[name],
            mode="lines",
            name=plot_text(str(name).replace("_", " "), 30),
            line={"width": 2, "color": CATEGORIES[i % len(CATEGORIES)]},
        )
        for i, name in enumerate(training.columns)
    ]
    return new_figure(traces, x="step", y="loss", height=260)
