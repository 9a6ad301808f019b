"""What grids of labels share: the heatmap, its axes, the bar of colours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.reporting.figures.frame import colour_scale, load_plotly
from expressome.reporting.palette import plot_text

__all__ = ["draw_cells", "name_axis"]

# Above this number names of rows and columns would run into each other: hovering tells them.
_N_NAMED = 60


def draw_cells(
    share: NDArray[np.float64],
    counts: NDArray[np.float64],
    *,
    keys: tuple[Sequence[object], Sequence[object]],
    hover: str,
    title: str,
) -> Any:  # noqa: ANN401
    """Draw shares as a grid of coloured cells.

    Parameters
    ----------
    share
        What the colour shows, 0 to 1 or NaN, shape (n_rows, n_columns).
    counts
        What hovering tells besides, same shape.
    keys
        Names of the rows and of the columns; text that may hold anything.
    hover
        Plotly's template for hovering: ``%{y}`` is the row, ``%{x}`` the column.
    title
        What the colours mean.

    Returns
    -------
    plotly trace
        A heatmap on axes of categories.
    """
    gap = 1 if len(keys[0]) <= _N_NAMED else 0
    rows, columns = ([plot_text(key) for key in side] for side in keys)
    return load_plotly().Heatmap(
        x=columns,
        y=rows,
        z=share,
        zmin=0,
        zmax=1,
        colorscale=colour_scale(),
        xgap=gap,
        ygap=gap,
        customdata=counts,
        hovertemplate=f"{hover}<extra></extra>",
        hoverongaps=False,
        colorbar={
            "title": {"text": title, "side": "right", "font": {"size": 12}},
            "thickness": 10,
            "len": 0.8,
            "outlinewidth": 0,
            "tickformat": ".0%",
        },
    )


def name_axis(keys: Sequence[object], *, vertical: bool = False) -> dict[str, Any]:
    """Give the axis of a grid, with names where they fit.

    Parameters
    ----------
    keys
        Names in order.
    vertical
        Whether it is the vertical axis, which starts on top.

    Returns
    -------
    dict
        Settings of a plotly axis.

    Examples
    --------
    >>> name_axis(["liver"])["ticktext"]
    ['liver']
    """
    shown = list(range(len(keys))) if len(keys) <= _N_NAMED else []
    return {
        "type": "category",
        "tickmode": "array",
        "tickvals": shown,
        "ticktext": [plot_text(keys[k], 22) for k in shown],
        "showgrid": False,
        "ticks": "",
        **({"autorange": "reversed"} if vertical else {"tickangle": -50}),
    }
