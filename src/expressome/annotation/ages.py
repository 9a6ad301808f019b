"""Read ages that people wrote."""

import re

from expressome.annotation.characteristics import fold_text
from expressome.annotation.rules import Rules

__all__ = ["read_age"]

_DAYS = {"year": 365.25, "month": 30.4375, "week": 7.0, "day": 1.0}
_NUMBER = r"\d+(?:\.\d+)?"
_AGE = re.compile(
    rf"^(?:[a-z ]+,\s*)?(?P<bound>[<>~≥≤]=?|about |approx\.? )?\s*(?P<low>{_NUMBER})\s*"
    rf"(?:(?:-|\u2013|to|/)\s*(?P<high>{_NUMBER}))?\s*(?P<plus>\+)?\s*"
    r"(?:-?\s*(?P<unit>[a-z.]+(?: old)?))?(?:[\s,;(_].*)?$"
)
# Older than anybody: a mistake, or another unit.
_OLDEST_YEARS = 120.0


def read_age(
    text: str, *, unit: str, rules: Rules, species: str = "human"
) -> tuple[float, float] | None:
    """Read an age in years.

    Parameters
    ----------
    text
        As written: ``52``, ``6 months``, ``20-29``, ``>89``.
    unit
        Unit of a number that has none: year, month, week or day.
    rules
        They know the spellings of units.
    species
        Of a species other than human a number without unit, taken as years, is no age.

    Returns
    -------
    tuple of float, or None
        Years, and a factor for the confidence: 1 for a plain number, 0.8 for the
        middle of a range, 0.6 for a bound. None if it is no age.

    Examples
    --------
    >>> from expressome.annotation.rules import load_rules
    >>> read_age("6 months", unit="year", rules=load_rules())
    (0.5, 1.0)
    >>> read_age("20-29", unit="year", rules=load_rules())
    (24.5, 0.8)
    """
    match = _AGE.match(text.strip().lower())
    if match is None:
        return None
    written = match["unit"]
    known = None if written is None else rules.match("age_unit", fold_text(written), ("keyed",))
    if written is not None and known is None:
        return None
    if known is None and unit == "year" and species != "human":
        return None
    low, high = float(match["low"]), float(match["high"] or match["low"])
    years = (low + high) / 2 * _DAYS[known or unit] / _DAYS["year"]
    if high < low or years > _OLDEST_YEARS:
        return None
    factor = 0.8 if high > low else 1.0
    if match["bound"] or match["plus"]:
        factor = 0.6
    return round(years, 4), factor
