"""Figures of the section on batch effects."""

from typing import Any

import pandas as pd

from expressome.reporting.figures.frame import faded, load_plotly, new_figure
from expressome.reporting.palette import CATEGORIES, MUTED

__all__ = ["draw_variance_shares"]

# Column -> name in the legend, colour and pattern: told apart without colour too.
_PARTS = {
    "label": ("label", CATEGORIES[0], ""),
    "study_within_label": ("study beyond the label", CATEGORIES[1], "/"),
    "study": ("study", CATEGORIES[1], "/"),
    "residual": ("within studies", MUTED, "."),
}


def draw_variance_shares(table: pd.DataFrame, *, has_labels: bool) -> Any:  # noqa: ANN401
    """Draw what the variance of each principal component is made of.

    Parameters
    ----------
    table
        As `expressome.reporting.content.BatchEffects` has it.
    has_labels
        Whether label and study are told apart.

    Returns
    -------
    plotly.graph_objects.Figure
        One bar per component, as high as its share of the variance.
    """
    objects = load_plotly()
    columns = ("label", "study_within_label", "residual") if has_labels else ("study", "residual")
    names = [f"PC{component}" for component in table.index]
    traces = [
        objects.Bar(
            x=names,
            y=table[column] * table["variance"],
            name=_PARTS[column][0],
            marker=faded(_PARTS[column][1]) | {"pattern": {"shape": _PARTS[column][2], "size": 5}},
            customdata=table[column],
            hovertemplate=f"%{{x}}<br>{_PARTS[column][0]}: %{{customdata:.0%}} of the component, "
            "%{y:.1%} of all variance<extra></extra>",
        )
        for column in columns
    ]
    return new_figure(
        traces,
        x="principal component",
        y="share of the variance",
        height=320,
        barmode="stack",
        yaxis={"tickformat": ".0%"},
    )
