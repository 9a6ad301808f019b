"""Conditions on sample fields: read from text, met or not by each sample."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.layouts import CANONICAL_FIELDS
from expressome.archs4.metadata import decode_numbers, series_ids
from expressome.errors import InvalidValueError

__all__ = ["Condition", "FieldValues", "meets_condition", "parse_condition"]

# Longest first, so that ">=" is not read as ">".
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_CONDITION = re.compile(r"\s*([^<>=!~]+?)\s*(>=|<=|!=|==|=|>|<|~)\s*(.*?)\s*", re.DOTALL)
_ISO_DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?")
_YEAR = re.compile(r"\d{4}")
_RANGE = re.compile(r"(\S+?)\s*\.\.\s*(\S+)")
_SERIES_FIELDS = {"series", *CANONICAL_FIELDS["series"]}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on one sample field.

    Attributes
    ----------
    field
        Our name of the field or the file's.
    operator
        ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, or ``~`` (holds the regular expression).
    value
        What to compare with.
    """

    field: str
    operator: str
    value: str

    def __str__(self) -> str:
        """Write it as it is read."""
        return f"{self.field}{self.operator}{self.value}"


@dataclass(frozen=True, slots=True)
class FieldValues:
    """One sample field, each distinct text once, so that a test runs once per text.

    Attributes
    ----------
    distinct
        Numbers of all samples, shape (n_samples,); or distinct texts.
    codes
        Which text each sample has, shape (n_samples,); None for numbers.
    """

    distinct: NDArray[Any]
    codes: NDArray[Any] | None

    @classmethod
    def of(cls, values: NDArray[Any]) -> "FieldValues":
        """Find the distinct texts of a field.

        Parameters
        ----------
        values
            Numbers, or text of dtype object, shape (n_samples,).

        Returns
        -------
        FieldValues
            The same field.
        """
        if values.dtype.kind in "iufb":
            return cls(values, None)
        codes, distinct = pd.factorize(pd.Series(values, dtype=object))
        return cls(np.asarray(distinct, dtype=object), codes)


def parse_condition(text: str) -> Condition:
    """Read a condition such as ``alignedreads>5e6``.

    Parameters
    ----------
    text
        Field, operator (``= != < <= > >= ~``), value. Dates are written
        ``2019-05-31``; ``2019-05`` and ``2019`` stand for all days of the month or
        year. ``FIRST..LAST`` after ``=`` is a range of dates or numbers, both ends in it.

    Returns
    -------
    Condition
        Its parts.

    Raises
    ------
    InvalidValueError
        If it has no field, operator or value.

    Examples
    --------
    >>> parse_condition("singlecellprobability < 0.5")
    Condition(field='singlecellprobability', operator='<', value='0.5')
    """
    match = _CONDITION.fullmatch(text)
    if match is None or not match[3]:
        msg = (
            f"{text!r} is no condition; write a field, one of = != < <= > >= ~, and a value, "
            "such as platform_id=GPL16791 or alignedreads>5e6"
        )
        raise InvalidValueError(msg)
    return Condition(match[1], "=" if match[2] == "==" else match[2], match[3])


def meets_condition(values: FieldValues, condition: Condition) -> NDArray[np.bool_]:
    """Tell which samples meet a condition.

    Parameters
    ----------
    values
        The field.
    condition
        Dates are compared as dates, numbers as numbers, all else as text; what
        is missing meets no comparison with a number or date.

    Returns
    -------
    ndarray
        Boolean, shape (n_samples,).

    Raises
    ------
    InvalidValueError
        If numbers are compared with text, or the pattern is no regular expression.

    Examples
    --------
    >>> titles = FieldValues.of(np.array(["liver 1", "brain", "liver 2"], dtype=object))
    >>> meets_condition(titles, Condition("title", "~", "^liver")).tolist()
    [True, False, True]
    """
    is_met = _compare(values.distinct, condition)
    if values.codes is None:
        return is_met
    return is_met[values.codes] if len(is_met) else np.zeros(len(values.codes), np.bool_)


def _compare(values: NDArray[Any], condition: Condition) -> NDArray[np.bool_]:
    """Compare as dates, as numbers or as text, by what the value looks like."""
    if condition.operator == "~":
        return _holds_pattern(values, condition)
    compare = _OPERATORS[condition.operator]
    span = _RANGE.fullmatch(condition.value) if condition.operator == "=" else None
    if span and (_is_date(span[1], condition.field) or values.dtype.kind in "iufb"):
        ends = Condition(condition.field, ">=", span[1]), Condition(condition.field, "<=", span[2])
        return _compare(values, ends[0]) & _compare(values, ends[1])
    if _is_date(condition.value, condition.field):
        return _compare_dates(values, condition)
    if condition.field.lower() in _SERIES_FIELDS and condition.operator in {"=", "!="}:
        names = np.array([condition.value in series_ids(text) for text in values], np.bool_)
        return names if condition.operator == "=" else ~names
    number = pd.to_numeric(condition.value, errors="coerce")
    is_number = not pd.isna(number)
    if values.dtype.kind in "iufb" or (is_number and condition.operator not in {"=", "!="}):
        if not is_number:
            msg = f"{condition.field} holds numbers, but {condition.value!r} is none"
            raise InvalidValueError(msg)
        numbers = decode_numbers(values)
        return np.asarray(compare(numbers, number) & ~np.isnan(numbers))
    return np.asarray(compare(values.astype(object), condition.value), dtype=np.bool_)


def _is_date(text: str, field: str) -> bool:
    """Tell a date; four digits are a year where the field holds dates."""
    is_year = _YEAR.fullmatch(text) and "date" in field.lower()
    return bool(is_year or _ISO_DATE.fullmatch(text))


def _compare_dates(values: NDArray[Any], condition: Condition) -> NDArray[np.bool_]:
    """Compare with the days of a date, month or year; what is no date meets no condition."""
    try:
        span = pd.Period(condition.value)
    except ValueError:
        msg = f"{condition.value!r} in {condition} is no date; write it as 2019-05-31"
        raise InvalidValueError(msg) from None
    # GEO writes "May 15 2019".
    dates = pd.to_datetime(pd.Series(values, dtype=object), errors="coerce", format="mixed")
    is_before, is_after = dates < span.start_time, dates > span.end_time
    is_met = {
        "=": ~is_before & ~is_after,
        "!=": is_before | is_after,
        "<": is_before,
        "<=": ~is_after,
        ">": is_after,
        ">=": ~is_before,
    }[condition.operator]
    return np.asarray(is_met & dates.notna())


def _holds_pattern(values: NDArray[Any], condition: Condition) -> NDArray[np.bool_]:
    """Search a regular expression, ignoring case."""
    try:
        pattern = re.compile(condition.value, re.IGNORECASE)
    except re.error as error:
        msg = f"{condition.value!r} is no regular expression: {error}"
        raise InvalidValueError(msg) from None
    return np.array([bool(pattern.search(str(text))) for text in values], dtype=np.bool_)
