"""Read sex, age, disease, tissue, cell line and treatment from what submitters wrote."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from expressome.annotation.ages import read_age
from expressome.annotation.characteristics import fold_text, split_characteristics
from expressome.annotation.rules import FieldRule, Match, Rules, load_rules

__all__ = ["ATTRIBUTES", "Finding", "harmonize_texts", "read_sample"]

# Column of values -> attribute of the rules.
ATTRIBUTES = {
    "sex": "sex",
    "age_years": "age",
    "developmental_stage": "developmental_stage",
    "disease": "disease",
    "tissue": "tissue",
    "cell_type": "cell_type",
    "cell_line": "cell_line",
    "treatment": "treatment",
}
# What a value found within a longer text, and one that no term knows, are worth.
_PARTIAL, _UNKNOWN = 0.9, 0.75
# What says that nothing was done: an agent that another field names outweighs it.
_NOTHING = frozenset({"untreated", "vehicle", "placebo", "sham", "non-targeting control"})
_FIELDS = {"source": "source_name_ch1", "title": "title"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a field says of one attribute.

    Attributes
    ----------
    value
        Harmonised value: text, or years.
    source
        Field it came from, such as ``characteristics_ch1: tissue``.
    confidence
        0 to 1; docs/metadata.md has the measured precision.
    """

    value: str | float
    source: str
    confidence: float


def harmonize_texts(samples: pd.DataFrame, *, species: str = "human") -> pd.DataFrame:
    """Read attributes from the texts of samples; the texts stay as they are.

    Parameters
    ----------
    samples
        One row per sample; of the columns ``title``, ``source`` and
        ``characteristics`` those that exist are read.
    species
        Ages without unit are years in human only.

    Returns
    -------
    DataFrame
        Same index. Per attribute three columns, such as ``tissue``,
        ``tissue_source`` (field and key it came from) and ``tissue_confidence``
        (0 to 1, NaN where nothing was found; values are then empty, years NaN).
        Attributes: sex, age_years, developmental_stage, disease (``normal`` where
        a sample was called healthy or a control), tissue, cell_type, cell_line
        and treatment.

    Notes
    -----
    The characteristics come first, then source name, then title; of several keys
    the most trusted one. What the terms do not know is kept as written where its
    key names the attribute, and is left out elsewhere.

    Examples
    --------
    >>> texts = pd.DataFrame({"characteristics": ["gender: F,age: 6 months,tissue: Liver"]})
    >>> harmonize_texts(texts)[["sex", "tissue", "tissue_source"]].iloc[0].tolist()
    ['female', 'liver', 'characteristics_ch1: tissue']
    """
    rules = load_rules()
    texts = [
        samples[name].fillna("").astype(str).tolist()
        if name in samples.columns
        else [""] * len(samples)
        for name in ("title", "source", "characteristics")
    ]
    found = [
        read_sample(title, source, characteristics, species=species, rules=rules)
        for title, source, characteristics in zip(*texts, strict=True)
    ]
    columns: dict[str, object] = {}
    for column, attribute in ATTRIBUTES.items():
        per_sample = [findings.get(attribute) for findings in found]
        missing = np.nan if column == "age_years" else ""
        columns[column] = [missing if f is None else f.value for f in per_sample]
        columns[f"{column}_source"] = ["" if f is None else f.source for f in per_sample]
        columns[f"{column}_confidence"] = np.array(
            [np.nan if f is None else f.confidence for f in per_sample], dtype=np.float64
        )
    return pd.DataFrame(columns, index=samples.index)


def read_sample(
    title: str,
    source: str,
    characteristics: str,
    *,
    species: str = "human",
    rules: Rules | None = None,
) -> dict[str, Finding]:
    """Read attributes of one sample.

    Parameters
    ----------
    title, source, characteristics
        Texts as submitted; empty where there is none.
    species
        As in `harmonize_texts`.
    rules
        The shipped ones by default.

    Returns
    -------
    dict
        Attribute of the rules -> the best finding.

    Examples
    --------
    >>> read_sample("HeLa, untreated", "", "")["cell_line"].value
    'HeLa'
    """
    rules = rules or load_rules()
    best: dict[str, Finding] = dict(_read_characteristics(rules, characteristics, species))
    for name, text in (("source", source), ("title", title)):
        _merge(
            rules, best, _read_field(rules, f"@{name}", text, place=_FIELDS[name], species=species)
        )
    return best


def _merge(
    rules: Rules, best: dict[str, Finding], findings: tuple[tuple[str, Finding], ...]
) -> None:
    """Keep the finding that is trusted more, or says the same more exactly."""
    for attribute, finding in findings:
        known = best.get(attribute)
        if known is None:
            best[attribute] = finding
            continue
        new, old = str(finding.value), str(known.value)
        if attribute == "treatment" and not {new, old} & _NOTHING and _is_keyed(finding, known):
            both = " + ".join(dict.fromkeys(f"{old} + {new}".split(" + ")))
            best[attribute] = Finding(both, known.source, min(known.confidence, finding.confidence))
            continue
        if attribute == "treatment" and (new in _NOTHING) != (old in _NOTHING):
            is_better = old in _NOTHING
        elif old in rules.wider(attribute, new):
            is_better = True
        elif new in rules.wider(attribute, old):
            is_better = False
        else:
            is_better = finding.confidence > known.confidence
        if is_better:
            best[attribute] = finding


def _is_keyed(*findings: Finding) -> bool:
    """Tell whether all come from a key of the characteristics."""
    return all(finding.source.startswith("characteristics_ch1: ") for finding in findings)


@lru_cache(maxsize=50_000)
def _read_characteristics(
    rules: Rules, characteristics: str, species: str
) -> tuple[tuple[str, Finding], ...]:
    """Read all keys; samples of a study share many of them."""
    best: dict[str, Finding] = {}
    for key, value in split_characteristics(characteristics):
        # A text without any key is no more than a source name.
        place = f"characteristics_ch1: {key}" if key else "characteristics_ch1"
        _merge(
            rules, best, _read_field(rules, key or "@source", value, place=place, species=species)
        )
    return tuple(best.items())


@lru_cache(maxsize=200_000)
def _read_field(
    rules: Rules, key: str, text: str, *, place: str, species: str
) -> tuple[tuple[str, Finding], ...]:
    """Read one field for every attribute that its key may tell."""
    folded = fold_text(text)
    # Of a key that names it, "none" can be a value: no treatment, no disease.
    is_missing = rules.match("missing", folded, ("keyed",)) is not None and folded != "none"
    if not text or is_missing:
        return ()
    found = []
    for rule in rules.fields_of(key):
        if rule.attribute == "age":
            age = read_age(text, unit=rule.unit or "year", rules=rules, species=species)
            if age is not None:
                finding = Finding(age[0], place, round(rule.confidence * age[1], 3))
                found.append(("age", finding))
            continue
        read = _read_term(rules, rule, text=text, folded=folded, is_keyed=not key.startswith("@"))
        if read is not None:
            found.append((rule.attribute, replace(read, source=place)))
    return tuple(found)


def _read_term(
    rules: Rules, rule: FieldRule, *, text: str, folded: str, is_keyed: bool
) -> Finding | None:
    """Find the term that a value is, or holds; keep an unknown value of a trusted key."""
    attribute = rule.attribute
    whole = rules.match(attribute, folded, ("any", "keyed", "part")) if is_keyed else None
    if whole is not None:
        return Finding(whole, "", rule.confidence)
    factor = _PARTIAL if is_keyed else 1.0
    value = ""
    if attribute == "treatment":
        value = _find_agents(rules, folded, is_keyed=is_keyed)
    if not value:
        scopes = ("any", "part") if is_keyed else ("any", "text")
        found = rules.search(attribute, folded, scopes)
        matches = [
            match
            for match in found
            if not _is_denied(rules, match, attribute=attribute, folded=folded)
        ]
        value = _choose(rules, attribute, folded, matches=matches) if matches else ""
    if not value and rule.keeps_unknown:
        value, factor = _keep_unknown(rules, attribute, text, folded=folded), _UNKNOWN
    return Finding(value, "", round(rule.confidence * factor, 3)) if value else None


def _keep_unknown(rules: Rules, attribute: str, text: str, *, folded: str) -> str:
    """Give what no term knows as it was written, unless it says nothing."""
    empty = {"tissue": "not_tissue", "cell_line": "primary", "cell_type": "cell_line"}.get(
        attribute
    )
    if len(folded) < 3 or not any(letter.isalpha() for letter in folded) or folded == "none":
        return ""
    if empty is not None and rules.match(empty, folded, ("any", "keyed")) is not None:
        return ""
    return " ".join(text.split())


def _find_agents(rules: Rules, folded: str, *, is_keyed: bool) -> str:
    """Name the known agents of a treatment, in the order of the text."""
    if not is_keyed and next(rules.search("treated", folded, ("any",)), None) is None:
        return ""
    matches = list(rules.search("treatment", folded, ("agent",)))
    names = [match.value for match in matches if not _is_left_out(rules, folded[: match.start])]
    return " + ".join(dict.fromkeys(names)) or ("untreated" if matches else "")


def _is_left_out(rules: Rules, before: str) -> bool:
    """Tell an agent that was not given, as in "no EPO"."""
    last = before.split()[-1:]
    return bool(last) and rules.match("negation_agent", last[0], ("any",)) is not None


def _is_denied(rules: Rules, match: Match, *, attribute: str, folded: str) -> bool:
    """Tell a disease that a text denies, as in "HIV negative"."""
    if attribute != "disease" or match.value == "normal":
        return False
    before, after = folded[: match.start].split()[-2:], folded[match.end :].split()[:1]
    return any(rules.match("negation_before", word, ("any",)) is not None for word in before) or (
        any(rules.match("negation_after", word, ("any",)) is not None for word in after)
    )


def _choose(rules: Rules, attribute: str, folded: str, *, matches: list[Match]) -> str:
    """Take the first term, or a later one that lies within it; two sexes are mixed."""
    if attribute == "cell_type" and "derived" in folded:
        # "A derived B" are B.
        place = folded.rindex("derived")
        matches = [match for match in matches if match.end > place] or matches
    values = list(dict.fromkeys(match.value for match in matches))
    if attribute == "sex" and len(values) > 1:
        return "mixed"
    chosen = values[0]
    for value in values[1:]:
        if chosen in rules.wider(attribute, value):
            chosen = value
    return chosen
