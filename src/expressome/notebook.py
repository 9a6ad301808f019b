"""How the main objects look in a notebook."""

from collections.abc import Mapping
from html import escape
from typing import Any

__all__ = ["render_facts"]

_CELL = 'style="text-align:left;padding:0.1em 0.8em 0.1em 0"'
_LONGEST = 300


def render_facts(title: str, facts: Mapping[str, Any]) -> str:
    """Write a small table, heading first, as HTML.

    Parameters
    ----------
    title
        What it is, in a word or two.
    facts
        Name to value. Whole numbers get thousands separators, sequences are
        joined by commas, long text is cut; empty values are left out.

    Returns
    -------
    str
        HTML without scripts; names and values are escaped.

    Examples
    --------
    >>> "2,400" in render_facts("Atlas", {"samples": 2400, "model": None})
    True
    """
    rows = "".join(
        f"<tr><th {_CELL}>{escape(str(name))}</th><td {_CELL}>{escape(_as_text(value))}</td></tr>"
        for name, value in facts.items()
        if _as_text(value)
    )
    return (
        f'<table><caption style="text-align:left;font-weight:bold">{escape(title)}</caption>'
        f"<tbody>{rows}</tbody></table>"
    )


def _as_text(value: Any) -> str:  # noqa: ANN401 - any fact
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        value = [f"{name} {_as_text(item)}" for name, item in value.items()]
    text = ", ".join(map(_as_text, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
