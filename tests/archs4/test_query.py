"""Queries of people become queries of FTS5; what cannot is explained."""

import re
import sqlite3

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from expressome.archs4.query import to_fts5
from expressome.errors import InvalidValueError


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("liver", '"liver"'),
        ("liver brain", '"liver" AND "brain"'),
        ('"bone marrow" blood', '"bone marrow" AND "blood"'),
        ("MCF-7", '"MCF-7"'),
        ("hepat*", '"hepat" *'),
        ('"bone mar"*', '"bone mar" *'),
        ("a OR (b NOT c)", '"a" OR ( "b" NOT "c" )'),
        ("a AND NOT b", '"a" NOT "b"'),
        ("Title:liver source_name_ch1:x", 'title : "liver" AND source : "x"'),
        ('title:"bone marrow"', 'title : "bone marrow"'),
        ("title:(a OR b)", 'title : ( "a" OR "b" )'),
        ("and or not", '"and" AND "or" AND "not"'),
        ("NEAR(a b, 3) c", 'NEAR(a b, 3) AND "c"'),
        ("x'; DROP TABLE samples; --", '"x\';" AND "DROP" AND "TABLE" AND "samples;" AND "--"'),
    ],
)
def test_a_query_is_translated(query, expected):
    assert to_fts5(query) == expected


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "it is empty"),
        ('"bone marrow', "a quotation mark is left open"),
        ("(liver", "a parenthesis is left open"),
        ("liver)", "a closing parenthesis has nothing to close"),
        ("()", "a closing parenthesis has nothing to close"),
        ("NOT liver", "NOT has nothing before it"),
        ("liver AND", "nothing follows AND"),
        ("liver OR AND brain", "AND has nothing before it"),
        ("* liver", "a star needs the beginning of a word before it"),
        ("tissue:liver", "'tissue' is no searched field (sample, series, title, source, "),
    ],
)
def test_a_broken_query_says_why_and_what_to_write(query, reason):
    message = re.escape(f"the query {query!r} cannot be searched: {reason}")

    with pytest.raises(InvalidValueError, match=message + r'.*"bone marrow".*title:liver'):
        to_fts5(query)


@given(query=st.text(alphabet="ab1 \"()*:-+^{},'\\;ANDORTé\0", max_size=30))
@example('a"*"b')
@example("NEAR(a,)")
def test_any_text_is_answered_or_refused_and_never_executed(query):
    with sqlite3.connect(":memory:") as database:
        database.execute(
            "CREATE VIRTUAL TABLE samples USING fts5(sample, series, title, source, "
            "characteristics)"
        )
        database.execute("INSERT INTO samples VALUES ('a', 'b', 'a b', 'b', '1')")
        try:
            match = to_fts5(query)
        except InvalidValueError:
            return
        said = ""
        try:
            database.execute("SELECT * FROM samples WHERE samples MATCH ?", (match,)).fetchall()
        except sqlite3.OperationalError as error:
            said = str(error)
        assert said == "" or "fts5" in said
        assert database.execute("SELECT count(*) FROM samples").fetchone() == (1,)
    database.close()
