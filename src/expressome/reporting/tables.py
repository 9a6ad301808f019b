"""Tables of the page: columns with meaning, compact as data, safe as text."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd

__all__ = ["Column", "Table", "embed_json", "significant", "to_columns", "write_value"]

Kind = Literal["text", "integer", "number", "score"]

# Rows that are all written into the page; a longer table shows pages of 25.
_N_WHOLE = 250
_N_PAGE = 25

# What could end a script element or a line of script inside it.
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name
        Column of the frame; the index is called ``"index"``.
    title
        Heading, short.
    kind
        How values are written: text, whole numbers with separators, numbers
        with three significant digits, or scores with two decimals.
    explanation
        What the heading means, in a sentence; shown on demand.
    """

    name: str
    title: str
    kind: Kind = "text"
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A sortable, searchable table.

    Attributes
    ----------
    key
        Short name, unique on the page.
    caption
        What the rows are.
    columns
        Columns shown, in order; those that the frame lacks are left out.
    frame
        The rows.
    linked
        Key of the figure whose marks follow the rows chosen, or empty.
    """

    key: str
    caption: str
    columns: tuple[Column, ...]
    frame: pd.DataFrame
    linked: str = ""

    @property
    def shown(self) -> tuple[Column, ...]:
        """Columns that the frame has."""
        return tuple(c for c in self.columns if c.name == "index" or c.name in self.frame.columns)

    @property
    def page_rows(self) -> int:
        """Rows on the page at once."""
        return len(self.frame) if len(self.frame) <= _N_WHOLE else _N_PAGE

    @property
    def first_rows(self) -> list[list[str]]:
        """The first page, written out; it is what a reader without scripts sees."""
        columns = [
            (to_columns(self._values(column)[: self.page_rows]), column.kind)
            for column in self.shown
        ]
        return [
            [write_value(values[i], kind) for values, kind in columns]
            for i in range(min(self.page_rows, len(self.frame)))
        ]

    def to_embedded(self) -> str:
        """Write all rows as JSON that may stand inside a script element."""
        return embed_json(
            {
                "columns": [{"title": c.title, "kind": c.kind} for c in self.shown],
                "values": [to_columns(self._values(column)) for column in self.shown],
                "pageRows": self.page_rows,
                "linked": self.linked,
            }
        )

    def _values(self, column: Column) -> Sequence[Any]:
        values = self.frame.index if column.name == "index" else self.frame[column.name]
        return list(values) if column.kind == "text" else np.asarray(values, dtype=float).tolist()


def write_value(value: object, kind: Kind) -> str:
    """Write one value as the table shows it.

    Parameters
    ----------
    value
        Text or a number; NaN and None become a dash.
    kind
        As in `Column`.

    Returns
    -------
    str
        Plain text, not escaped.

    Examples
    --------
    >>> write_value(12345.0, "integer"), write_value(4.2, "number"), write_value(None, "score")
    ('12,345', '4.20', '-')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    if kind == "text" or not isinstance(value, int | float):
        return str(value)
    if kind == "integer":
        return f"{value:,.0f}"
    # The exact number, halves away from zero: as the browser rounds it.
    exact = Decimal(value)
    places = 2 if kind == "score" else 2 - (exact.adjusted() if exact else 0)
    rounded = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    if kind == "number" and rounded and rounded.adjusted() > exact.adjusted():
        places -= 1
    return f"{rounded:,.{max(0, places)}f}"


def significant(value: float, n_digits: int = 4) -> float:
    """Round to so many significant digits.

    Parameters
    ----------
    value
        Any finite number.
    n_digits
        Four tell figures apart that a reader could.

    Returns
    -------
    float
        The rounded number.

    Examples
    --------
    >>> significant(123456.0), significant(0.000123456)
    (123500.0, 0.0001235)
    """
    return float(f"{value:.{n_digits}g}")


def to_columns(values: Sequence[Any]) -> list[Any]:
    """Give values for JSON: numbers with few digits, NaN as None, the rest as text.

    Parameters
    ----------
    values
        One column.

    Returns
    -------
    list
        Numbers (whole ones as int), None and text.

    Examples
    --------
    >>> to_columns([1.0, 0.123456, float("nan"), "liver"])
    [1, 0.1235, None, 'liver']
    """
    return [_to_compact(value) for value in values]


def _to_compact(value: Any) -> Any:  # noqa: ANN401 - whatever a column holds
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | None):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value == int(value) else significant(value)
    return str(value)


def embed_json(value: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    r"""Write JSON that may stand inside a script element.

    Parameters
    ----------
    value
        Plain values, or JSON text already.

    Returns
    -------
    str
        JSON without ``<``, ``>`` and ``&``: nothing in it can end the element.

    Examples
    --------
    >>> embed_json({"label": "</script>"})
    '{"label":"\\u003c/script\\u003e"}'
    """
    text = value
    if not isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character, escape in _UNSAFE.items():
        text = text.replace(character, escape)
    return str(text)
