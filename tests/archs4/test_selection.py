"""Choosing samples, and saying what was not found."""

import numpy as np
import pytest
from tests.support.build import make_archs4, make_samples

from expressome.archs4.reader import open_archs4
from expressome.archs4.selection import Condition, parse_condition, select_samples
from expressome.errors import EmptySelectionError, InvalidValueError, MissingFieldError


@pytest.fixture
def compendium(tmp_path):
    samples = make_samples(6)
    samples["series"] = ["GSE1", "GSE1,GSE2", "GSE2-GSE3", "GSE12", "", "E-MTAB-5"]
    samples["title"] = ["Liver 1", "liver 2", "brain", "GPL", "b.1", "12"]
    samples["submission_date"] = [
        "May 15 2019", "Jun 01 2019", "Dec 31 2018", "2020-01-01", "NA", "soon",
    ]  # fmt: skip
    samples["single_cell_probability"] = [0.1, 0.9, np.nan, 0.5, 0.2, 0.4]
    return open_archs4(make_archs4(tmp_path / "x.h5", samples=samples))


def test_named_samples_keep_their_order_and_unknown_ones_are_listed(compendium):
    choice = select_samples(compendium, samples=["GSM5", "GSM77", "GSM2", "GSM5"])

    assert choice.positions.tolist() == [4, 1]
    assert choice.unknown_samples == ("GSM77",)
    assert choice.n_asked == 4


@pytest.mark.parametrize(
    ("series", "positions", "unknown"),
    [
        (["GSE1"], [0, 1], ()),
        (["GSE2"], [1, 2], ()),
        (["GSE3", "GSE9"], [2], ("GSE9",)),
        (["E-MTAB-5"], [5], ()),
        (["GSE1", "GSE2"], [0, 1, 2], ()),
    ],
    ids=str,
)
def test_a_series_is_found_in_every_list_that_names_it(compendium, series, positions, unknown):
    choice = select_samples(compendium, series=series)

    assert choice.positions.tolist() == positions
    assert choice.unknown_series == unknown


def test_samples_and_series_add_up_and_conditions_narrow_down(compendium):
    choice = select_samples(
        compendium, samples=["GSM6"], series=["GSE1"], conditions=["singlecellprobability<0.5"]
    )

    assert choice.positions.tolist() == [5, 0]
    assert choice.n_per_condition == {"singlecellprobability<0.5": 3}


@pytest.mark.parametrize(
    ("condition", "positions"),
    [
        ("platform_id=GPL16791", [0, 1, 2, 3, 4, 5]),
        ("title!=brain", [0, 1, 3, 4, 5]),
        ("title~^liver", [0, 1]),
        ("title~[", None),
        ("title=12", [5]),
        ("alignedreads>4e6", [4, 5]),
        ("aligned_reads <= 2000000", [0, 1]),
        ("aligned_reads=3e6", [2]),
        ("singlecellprobability>=0.5", [1, 3]),
        ("singlecellprobability!=0.5", [0, 1, 4, 5]),
        ("submission_date>=2019-05-15", [0, 1, 3]),
        ("submission_date<2019-01-01", [2]),
        ("submission_date=2019-06-01", [1]),
        ("submission_date=2019", [0, 1]),
        ("submission_date!=2019", [2, 3]),
        ("submission_date<=2019-05", [0, 2]),
        ("submission_date>2019-05", [1, 3]),
        ("submission_date=2018-12..2019-05-15", [0, 2]),
        ("submission_date=2019..2020", [0, 1, 3]),
        ("submission_date=2019-13", None),
        ("aligned_reads=2e6..4e6", [1, 2, 3]),
        ("title=1..2", []),
        ("alignedreads>many", None),
        ("alignedreads", None),
        ("=3", None),
        ("title=", None),
    ],
)
def test_conditions_compare_text_numbers_and_dates(compendium, condition, positions):
    if not positions:
        error = InvalidValueError if positions is None else EmptySelectionError
        with pytest.raises(error):
            select_samples(compendium, conditions=[condition])
    else:
        choice = select_samples(compendium, conditions=[condition])
        assert choice.positions.tolist() == positions


def test_conditions_are_all_needed(compendium):
    conditions = ["title~liver", Condition("singlecellprobability", "<", "0.5")]

    assert select_samples(compendium, conditions=conditions).positions.tolist() == [0]


def test_an_unknown_field_is_an_error(compendium):
    with pytest.raises(MissingFieldError, match="no sample field 'sex'"):
        select_samples(compendium, conditions=["sex=male"])


def test_a_draw_repeats_with_its_seed_and_takes_all_if_there_are_fewer(compendium):
    draws = [
        select_samples(compendium, n_random=3, rng=np.random.default_rng(seed)).positions.tolist()
        for seed in (1, 1, 2)
    ]

    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) == 3
    assert len(select_samples(compendium, n_random=50).positions) == 6


def test_a_draw_needs_a_source_of_randomness(compendium):
    with pytest.raises(InvalidValueError, match="2 random samples need"):
        select_samples(compendium, n_random=2)


def test_an_empty_selection_says_what_was_not_found_and_what_each_condition_left(compendium):
    with pytest.raises(EmptySelectionError) as caught:
        select_samples(compendium, samples=["GSM77", "GSM1"], conditions=["title=brain"])

    assert str(caught.value) == (
        "no sample of x.h5 is left of 6: not found: GSM77; samples that meet each condition: "
        "title=brain (1); relax the selection"
    )


def test_a_list_with_unknown_ids_reports_each(tmp_path):
    compendium = open_archs4(make_archs4(tmp_path / "x.h5", 90, 3))
    asked = [f"GSM{i}" for i in range(1, 101)]

    choice = select_samples(compendium, samples=asked)

    assert len(choice.positions) == 90
    assert choice.unknown_samples == tuple(asked[90:])


def test_a_condition_is_parsed_into_its_parts():
    assert parse_condition(" a b >= 3 ") == Condition("a b", ">=", "3")
