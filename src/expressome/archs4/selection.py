"""Choose samples: by id, by series, by conditions on fields, at random; say what was not found."""

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.metadata import decode_numbers, series_ids
from expressome.archs4.reader import Compendium
from expressome.errors import EmptySelectionError, InvalidValueError, first_few

__all__ = ["Condition", "SampleChoice", "parse_condition", "select_samples"]

# Longest first, so that ">=" is not read as ">".
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_CONDITION = re.compile(r"\s*([^<>=!~]+?)\s*(>=|<=|!=|=|>|<|~)\s*(.*?)\s*")
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


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


@dataclass(frozen=True, slots=True)
class SampleChoice:
    """Samples that were chosen, and what was asked for in vain.

    Attributes
    ----------
    positions
        Positions in the file, shape (n,); named ids first, in the order asked.
    n_asked
        Sample ids and series asked for.
    unknown_samples
        Sample ids that are not in the file.
    unknown_series
        Series that no sample of the file belongs to.
    n_per_condition
        Condition -> samples of the whole file that meet it.
    """

    positions: NDArray[np.int64]
    n_asked: int
    unknown_samples: tuple[str, ...]
    unknown_series: tuple[str, ...]
    n_per_condition: dict[str, int]


def parse_condition(text: str) -> Condition:
    """Read a condition such as ``alignedreads>5e6``.

    Parameters
    ----------
    text
        Field, operator (``= != < <= > >= ~``), value. Dates are written
        ``2019-05-31``.

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
    return Condition(match[1], match[2], match[3])


def _meets(values: NDArray[Any], condition: Condition) -> NDArray[np.bool_]:
    """Compare one field: as dates, as numbers or as text, by what the value looks like."""
    if condition.operator == "~":
        return _holds_pattern(values, condition)
    compare = _OPERATORS[condition.operator]
    if _ISO_DATE.fullmatch(condition.value):
        # GEO writes "May 15 2019"; what is no date meets no condition.
        dates = pd.to_datetime(pd.Series(values, dtype=object), errors="coerce", format="mixed")
        return np.asarray(compare(dates, pd.Timestamp(condition.value)) & dates.notna())
    number = pd.to_numeric(condition.value, errors="coerce")
    is_number = not pd.isna(number)
    if values.dtype.kind in "iuf" or (is_number and condition.operator not in {"=", "!="}):
        if not is_number:
            msg = f"{condition.field} holds numbers, but {condition.value!r} is none"
            raise InvalidValueError(msg)
        numbers = decode_numbers(values)
        return np.asarray(compare(numbers, number) & ~np.isnan(numbers))
    return np.asarray(compare(values.astype(object), condition.value), dtype=np.bool_)


def _holds_pattern(values: NDArray[Any], condition: Condition) -> NDArray[np.bool_]:
    """Search a regular expression, ignoring case, in each distinct text once."""
    try:
        pattern = re.compile(condition.value, re.IGNORECASE)
    except re.error as error:
        msg = f"{condition.value!r} is no regular expression: {error}"
        raise InvalidValueError(msg) from None
    codes, distinct = pd.factorize(pd.Series(values, dtype=object))
    holds = np.array([bool(pattern.search(str(text))) for text in distinct], dtype=np.bool_)
    return holds[codes] if len(holds) else np.zeros(len(values), dtype=np.bool_)


def _find_series(
    compendium: Compendium, series: Sequence[str]
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Mark samples of any of the series; a field may list several."""
    codes, texts = pd.factorize(pd.Series(compendium.field("series"), dtype=object))
    wanted, seen = set(series), set[str]()
    is_wanted = np.zeros(len(texts), dtype=np.bool_)
    for i, text in enumerate(texts):
        found = wanted.intersection(series_ids(text))
        is_wanted[i] = bool(found)
        seen |= found
    return is_wanted[codes], tuple(name for name in dict.fromkeys(series) if name not in seen)


def select_samples(
    compendium: Compendium,
    *,
    samples: Sequence[str] | None = None,
    series: Sequence[str] | None = None,
    conditions: Iterable[str | Condition] = (),
    n_random: int | None = None,
    rng: np.random.Generator | None = None,
) -> SampleChoice:
    """Choose samples of a file.

    Parameters
    ----------
    compendium
        The file.
    samples
        Sample ids; together with `series` they name samples, all by default.
    series
        Series ids; a sample that belongs to several is found under each.
    conditions
        All must hold, such as ``"platform_id=GPL16791"`` or
        ``"submission_date>=2019-01-01"``. A missing number or date meets none.
    n_random
        Draw so many of what is left; all if there are fewer.
    rng
        Source of the draw; needed with `n_random`.

    Returns
    -------
    SampleChoice
        Positions, and what was not found.

    Raises
    ------
    EmptySelectionError
        If no sample is left.
    InvalidValueError
        If a condition is none, or `n_random` comes without `rng`.
    MissingFieldError
        If the file has no such field.

    Examples
    --------
    >>> import tempfile
    >>> from expressome.archs4.writing import write_archs4
    >>> place = tempfile.mkdtemp() + "/two.h5"
    >>> samples = pd.DataFrame({"series": ["GSE1", "GSE2"]}, index=["GSM1", "GSM2"])
    >>> genes = pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"])
    >>> write_archs4(place, samples=samples, genes=genes, blocks=[np.array([[3], [5]])])
    >>> from expressome.archs4.reader import open_archs4
    >>> choice = select_samples(open_archs4(place), series=["GSE2", "GSE8"])
    >>> choice.positions.tolist(), choice.unknown_series
    ([1], ('GSE8',))
    """
    positions = np.arange(compendium.n_samples)
    unknown: tuple[str, ...] = ()
    unknown_series: tuple[str, ...] = ()
    if samples is not None or series is not None:
        asked = list(dict.fromkeys(samples or ()))
        rows = compendium.sample_ids.get_indexer(pd.Index(asked, dtype=object))
        unknown = tuple(name for name, row in zip(asked, rows, strict=True) if row < 0)
        positions = rows[rows >= 0].astype(np.int64)
        if series:
            is_member, unknown_series = _find_series(compendium, series)
            positions = pd.unique(np.concatenate([positions, np.flatnonzero(is_member)]))
    n_per_condition: dict[str, int] = {}
    for condition in conditions:
        parsed = parse_condition(condition) if isinstance(condition, str) else condition
        is_met = _meets(compendium.field(parsed.field), parsed)
        n_per_condition[f"{parsed.field}{parsed.operator}{parsed.value}"] = int(is_met.sum())
        positions = positions[is_met[positions]]
    if n_random is not None and n_random < len(positions):
        if rng is None:
            msg = f"{n_random} random samples need a source of randomness; pass rng"
            raise InvalidValueError(msg)
        positions = np.sort(rng.choice(positions, size=n_random, replace=False))
    if len(positions) == 0:
        missing = first_few([*unknown, *unknown_series])
        met = first_few(f"{text} ({n})" for text, n in n_per_condition.items())
        msg = (
            f"no sample of {compendium.path.name} is left of {compendium.n_samples}: not found: "
            f"{missing or 'nothing'}; samples that meet each condition: {met or 'none asked'}; "
            "relax the selection"
        )
        raise EmptySelectionError(msg)
    n_asked = len(samples or ()) + len(series or ())
    return SampleChoice(positions, n_asked, unknown, unknown_series, n_per_condition)
