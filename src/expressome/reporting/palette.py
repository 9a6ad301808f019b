"""Colours of the figures, in light and dark, told apart by all kinds of colour vision."""

__all__ = ["CATEGORIES", "DARK", "GRID", "MUTED", "SEQUENTIAL", "SYMBOLS", "TEXT", "plot_text"]

# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), with slate for black and with a
# darker yellow that shows on white.
CATEGORIES = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#D55E00",
    "#56B4E9",
    "#A89B00",
    "#475569",
)
# Shapes repeat what the colours say.
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "star", "x")

TEXT = "#334155"
GRID = "#E2E8F0"
MUTED = "#94A3B8"

# From little to much; lightness is monotone, so grey prints read the same.
SEQUENTIAL = ("#F4F7FB", "#CFE1F0", "#8DBBDD", "#3F8DC4", "#0B5C9A", "#083260")

# Light colour -> the same role on a dark page.
DARK = {
    "#0072B2": "#5AB0EA",
    "#E69F00": "#F2B544",
    "#009E73": "#3CC7A0",
    "#CC79A7": "#E3A3C6",
    "#D55E00": "#F58A4B",
    "#56B4E9": "#9AD6FA",
    "#A89B00": "#D9CC3C",
    "#475569": "#E2E8F0",
    TEXT: "#CBD5E1",
    GRID: "#2B3648",
    MUTED: "#64748B",
    "#F4F7FB": "#182233",
    "#CFE1F0": "#1D3A56",
    "#8DBBDD": "#22628F",
    "#3F8DC4": "#3C94CC",
    "#0B5C9A": "#86C5EE",
    "#083260": "#E3F3FF",
}


def plot_text(name: object, n_most: int | None = None) -> str:
    """Write a name so that a figure shows it as it is, never as markup.

    Parameters
    ----------
    name
        Any text, such as a label's key; it is data and may hold anything.
    n_most
        Characters shown; a longer name ends in an ellipsis.

    Returns
    -------
    str
        The name with ``&``, ``<`` and ``>`` escaped.

    Examples
    --------
    >>> plot_text("<b>liver")
    '&lt;b&gt;liver'
    >>> plot_text("connective tissue", n_most=8)
    'connect…'
    """
    text = " ".join(str(name).split())
    if n_most is not None and len(text) > n_most:
        text = text[: n_most - 1].rstrip() + "…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
