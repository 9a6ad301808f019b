"""The rules that read metadata from text: two shipped tables, compiled."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from expressome.annotation.characteristics import fold_text

__all__ = ["FieldRule", "Match", "Rules", "load_rules"]

# Words that stand alone, and what may follow a letter: digits do not end a word here.
_START, _END = r"(?<![a-z0-9+])", r"(?![a-z0-9])"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """How far a field can be trusted to tell an attribute.

    Attributes
    ----------
    attribute
        sex, age, developmental_stage, disease, tissue, cell_type, cell_line or treatment.
    key
        Pattern of the folded key, matched as a whole; ``@source`` and ``@title`` are fields
        without keys.
    confidence
        Share of values that are right, as the rules' author expects it of this field.
    unit
        Of numbers without one, for ages.
    keeps_unknown
        Whether a value that no term knows is kept as it was written.
    """

    attribute: str
    key: re.Pattern[str]
    confidence: float
    unit: str
    keeps_unknown: bool


@dataclass(frozen=True, slots=True)
class Match:
    """A term found in a text.

    Attributes
    ----------
    value
        The harmonised value.
    start, end
        Place in the folded text.
    """

    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Term:
    value: str
    pattern: str
    scope: str


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules.

    Attributes
    ----------
    fields
        In the order of the table.
    within
        (attribute, value) -> wider value of the same attribute.
    """

    fields: tuple[FieldRule, ...]
    terms: dict[str, tuple[_Term, ...]]
    within: dict[tuple[str, str], str]

    def fields_of(self, key: str) -> list[FieldRule]:
        """Give the rules for a key.

        Parameters
        ----------
        key
            As written, or ``@source`` or ``@title``.

        Returns
        -------
        list of FieldRule
            The first that fits of each attribute.
        """
        return list(_find_fields(self, key))

    def search(self, attribute: str, folded: str, scopes: tuple[str, ...]) -> Iterator[Match]:
        """Find terms anywhere in a text.

        Parameters
        ----------
        attribute
            Whose terms.
        folded
            Folded text.
        scopes
            Scopes of the terms to look for.

        Yields
        ------
        Match
            In the order of the text; where two begin together, the one whose
            rule comes first (terms within another before that one).
        """
        compiled, values = _compile(self, attribute, scopes)
        for match in compiled.finditer(folded):
            if match.lastgroup is not None:
                yield Match(values[match.lastgroup], match.start(), match.end())

    def match(self, attribute: str, folded: str, scopes: tuple[str, ...]) -> str | None:
        """Find the term that a whole text is.

        Parameters
        ----------
        attribute, folded, scopes
            As in `search`.

        Returns
        -------
        str or None
            The harmonised value.
        """
        compiled, values = _compile(self, attribute, scopes)
        match = compiled.fullmatch(folded)
        return None if match is None or match.lastgroup is None else values[match.lastgroup]

    def wider(self, attribute: str, value: str) -> Iterator[str]:
        """Name what a value lies within, nearest first.

        Parameters
        ----------
        attribute, value
            The value.

        Yields
        ------
        str
            Wider values.
        """
        place = self.within.get((attribute, value))
        while place:
            yield place
            place = self.within.get((attribute, place))

    def __hash__(self) -> int:
        """Tell rule sets apart by identity, so that compiled patterns can be kept."""
        return id(self)


@lru_cache(maxsize=10_000)
def _find_fields(rules: Rules, key: str) -> tuple[FieldRule, ...]:
    """Find the rules for a key; a compendium repeats few keys often."""
    folded = key if key.startswith("@") else fold_text(key)
    found: dict[str, FieldRule] = {}
    for rule in rules.fields:
        if rule.attribute not in found and rule.key.fullmatch(folded):
            found[rule.attribute] = rule
    return tuple(found.values())


@cache
def _compile(
    rules: Rules, attribute: str, scopes: tuple[str, ...]
) -> tuple[re.Pattern[str], dict[str, str]]:
    """Join all terms of an attribute into one pattern, one named group per term."""
    terms = [term for term in rules.terms.get(attribute, ()) if term.scope in scopes]
    # Terms within another are the more exact: they are tried first.
    terms.sort(key=lambda term: -len(list(rules.wider(attribute, term.value))))
    parts = [f"(?P<t{i}>{term.pattern})" for i, term in enumerate(terms)]
    values = {f"t{i}": term.value for i, term in enumerate(terms)}
    return re.compile(f"{_START}(?:{'|'.join(parts) or '(?!)'}){_END}"), values


def _read(name: str) -> list[dict[str, str]]:
    source = files("expressome.annotation").joinpath("data", name)
    with source.open(encoding="utf-8") as file:
        lines = (line for line in file if not line.startswith("#"))
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


@cache
def load_rules() -> Rules:
    """Load the shipped rules.

    Returns
    -------
    Rules
        From ``fields.tsv`` (which field tells what) and ``terms.tsv`` (which words mean
        what), both written for this project.

    Examples
    --------
    >>> load_rules().match("sex", "women", ("any",))
    'female'
    """
    terms: dict[str, list[_Term]] = {}
    within = {}
    for row in _read("terms.tsv"):
        term = _Term(row["value"], row["pattern"], row["scope"])
        terms.setdefault(row["attribute"], []).append(term)
        if row["within"]:
            within[row["attribute"], row["value"]] = row["within"]
    fields = tuple(
        FieldRule(
            row["attribute"],
            re.compile(row["key"]),
            float(row["confidence"]),
            row["unit"],
            row["unknown"] == "keep",
        )
        for row in _read("fields.tsv")
    )
    return Rules(fields, {name: tuple(rows) for name, rows in terms.items()}, within)
