"""Values are written as readers expect them, and embedded so that nothing can break out."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressome.reporting.palette import CATEGORIES, DARK, SEQUENTIAL, plot_text
from expressome.reporting.section import share
from expressome.reporting.tables import Column, Table, embed_json, to_columns, write_value


@pytest.mark.parametrize(
    ("value", "kind", "written"),
    [
        (1234567, "integer", "1,234,567"),
        (0.5, "score", "0.50"),
        (0.004567, "number", "0.00457"),
        (4.2, "number", "4.20"),
        (12345.6, "number", "12,300"),
        (0.0, "number", "0.00"),
        (9.996, "number", "10.0"),
        (-0.0999, "number", "-0.0999"),
        (0.125, "score", "0.13"),
        (float("nan"), "number", "-"),
        (None, "text", "-"),
        ("liver", "text", "liver"),
    ],
)
def test_values_are_written_by_kind(value, kind, written):
    assert write_value(value, kind) == written


@given(st.text())
def test_embedded_json_holds_nothing_that_ends_a_script(text):
    embedded = embed_json({"name": text})

    assert not set(embedded) & set("<>&\u2028\u2029")
    assert json.loads(embedded) == {"name": text}


@given(st.text())
def test_text_on_a_figure_is_never_markup(text):
    shown = plot_text(text)

    assert "<" not in shown
    assert ">" not in shown


def test_numbers_are_embedded_short():
    values = [np.float64(1 / 3), np.int64(7), np.bool_(True), np.float32("inf"), 2e9]

    assert to_columns(values) == [0.3333, 7, "true", None, 2_000_000_000]


def test_columns_the_frame_lacks_are_left_out():
    frame = pd.DataFrame({"n": [3]}, index=["liver"])
    columns = (Column("index", "label"), Column("n", "samples", "integer"), Column("x", "x"))

    table = Table("labels", "Labels", columns, frame)

    assert [column.title for column in table.shown] == ["label", "samples"]
    assert table.first_rows == [["liver", "3"]]


def test_only_long_tables_are_paged():
    short = Table("a", "a", (Column("index", "i"),), pd.DataFrame(index=range(250)))
    long = Table("b", "b", (Column("index", "i"),), pd.DataFrame(index=range(251)))

    assert (short.page_rows, long.page_rows) == (250, 25)
    assert len(long.first_rows) == 25


@pytest.mark.parametrize(
    ("part", "whole", "written"), [(1, 3, "33%"), (0, 5, "0%"), (1, 2000, "0.05%"), (1, 0, "-")]
)
def test_shares_are_percentages(part, whole, written):
    assert share(part, whole) == written


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(colour, ground):
    low, high = sorted((luminance(colour), luminance(ground)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colour", CATEGORIES)
def test_colours_stand_out_on_both_grounds(colour):
    # 3:1 is what WCAG 2.1 asks of graphics; Okabe and Ito's light ones are told by shape besides.
    assert contrast(colour, "#FFFFFF") > 2
    assert contrast(DARK[colour], "#151E2E") > 5


def test_sequential_colours_are_monotone_in_lightness_on_both_grounds():
    light = [luminance(colour) for colour in SEQUENTIAL]
    dark = [luminance(DARK[colour]) for colour in SEQUENTIAL]

    assert light == sorted(light, reverse=True)
    assert dark == sorted(dark)
