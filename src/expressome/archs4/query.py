"""What people search for, as a query that SQLite's FTS5 takes."""

import re

from expressome.archs4.layouts import CANONICAL_FIELDS
from expressome.errors import InvalidValueError

__all__ = ["FIELD_NAMES", "SEARCHED_FIELDS", "to_fts5"]

# Fields of the full-text index, in the order of its columns.
SEARCHED_FIELDS = ("sample", "series", "title", "source", "characteristics")

# What such a field may be called -> its name here.
FIELD_NAMES = {name: name for name in SEARCHED_FIELDS} | {
    old: name for name in SEARCHED_FIELDS for old in CANONICAL_FIELDS.get(name, ("geo_accession",))
}
_OPERATORS = {"AND", "OR", "NOT"}
_PIECE = re.compile(
    r"""\s*(?:
        (?P<near>NEAR\s*\([^()]*\))
      | (?P<open>\()
      | (?P<close>\))
      | (?P<field>\w+)\s*:\s*(?=["(\w*])
      | "(?P<phrase>(?:[^"]|"")*)"(?P<phrase_prefix>\s*\*)?
      | (?P<word>[^\s()"]+)
      | (?P<quote>")
    )""",
    re.VERBOSE,
)
_ADVICE = (
    'write words (liver), phrases ("bone marrow"), AND, OR, NOT between them, parentheses, '
    "hepat* for a beginning, title:liver for one field"
)


def _explain(query: str, reason: str) -> InvalidValueError:
    return InvalidValueError(f"the query {query!r} cannot be searched: {reason}; {_ADVICE}")


def to_fts5(query: str) -> str:
    """Turn a query into FTS5's language; every word is quoted, so none is code.

    Parameters
    ----------
    query
        Words, ``"phrases"``, ``AND``, ``OR``, ``NOT`` (capitals), parentheses,
        ``hepat*`` for a beginning, ``title:liver`` for one field,
        ``NEAR(a b, 5)``. Words side by side must all be there. ``NOT`` binds
        tightest, then ``AND``, then ``OR``. ``MCF-7`` is the phrase "MCF 7".

    Returns
    -------
    str
        The same query for ``MATCH``.

    Raises
    ------
    InvalidValueError
        If a quotation mark or parenthesis is left open, an operator lacks a side,
        or nothing is asked.

    Examples
    --------
    >>> to_fts5("liver AND NOT MCF-7")
    '"liver" NOT "MCF-7"'
    >>> to_fts5("title:hepat* (adult OR fetal)")
    'title : "hepat" * AND ( "adult" OR "fetal" )'
    """
    text = query.replace("\0", " ").strip()
    parts: list[str] = []
    depth = 0
    for match in _PIECE.finditer(text):
        kind = str(match.lastgroup).removesuffix("_prefix")
        if kind == "quote":
            raise _explain(query, "a quotation mark is left open")
        if kind == "field" and match["field"].lower() not in FIELD_NAMES:
            known = ", ".join(SEARCHED_FIELDS)
            name = match["field"]
            msg = f"{name!r} is no searched field ({known}); pass where='{name}=...' to ask it"
            raise _explain(query, f'{msg}, or quote it as "{match[0].strip()}..." if it is text')
        if kind == "word" and match["word"] in _OPERATORS:
            _add_operator(parts, match["word"], query)
            continue
        if kind == "close":
            depth -= 1
            if depth < 0 or not _ends_operand(parts):
                raise _explain(query, "a closing parenthesis has nothing to close")
            parts.append(")")
            continue
        if _ends_operand(parts):
            parts.append("AND")
        depth += kind == "open"
        parts += _write(kind, match)
    if depth:
        raise _explain(query, "a parenthesis is left open")
    if not _ends_operand(parts):
        last = f"nothing follows {parts[-1]}" if parts else "it is empty"
        raise _explain(query, last)
    return " ".join(parts)


def _ends_operand(parts: list[str]) -> bool:
    """Whether the query so far could end here."""
    return bool(parts) and parts[-1] not in {*_OPERATORS, "(", ":"}


def _add_operator(parts: list[str], word: str, query: str) -> None:
    """Append an operator; ``AND NOT`` is FTS5's ``NOT``."""
    if word == "NOT" and parts and parts[-1] == "AND":
        parts.pop()
    if not _ends_operand(parts):
        raise _explain(query, f"{word} has nothing before it")
    parts.append(word)


def _write(kind: str, match: re.Match[str]) -> list[str]:
    """Write one operand, or what opens one."""
    if kind == "field":
        return [FIELD_NAMES[match["field"].lower()], ":"]
    if kind in {"near", "open"}:
        return [match[kind]]
    if kind == "phrase":
        return [f'"{match["phrase"]}"', *(["*"] if match["phrase_prefix"] else [])]
    word = match["word"]
    if not word.strip("*"):
        raise _explain(match.string, "a star needs the beginning of a word before it")
    return [f'"{word.rstrip("*")}"', *(["*"] if word.endswith("*") else [])]
