import re

import numpy as np
import pandas as pd
import pytest

from expressome.annotation.ages import read_age
from expressome.annotation.characteristics import fold_text, split_characteristics
from expressome.annotation.harmonization import ATTRIBUTES, harmonize_texts, read_sample
from expressome.annotation.rules import load_rules


def read(characteristics="", source="", title="", **options):
    return read_sample(title, source, characteristics, **options)


def value_of(attribute, **texts):
    finding = read(**texts).get(attribute)
    return None if finding is None else finding.value


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("tissue: liver,age: 5", [("tissue", "liver"), ("age", "5")]),
        ("tissue: liver|age: 5", [("tissue", "liver"), ("age", "5")]),
        ("tissue: liverXx-xXage: 5", [("tissue", "liver"), ("age", "5")]),
        ("tissue: liver, left; Sex: F", [("tissue", "liver, left"), ("Sex", "F")]),
        ("link: https://x.org/a,b", [("link", "https://x.org/a,b")]),
        ("HeLa cells", [("", "HeLa cells")]),
        ("a:,b: 2", [("b", "2")]),
        ("", []),
    ],
    ids=str,
)
def test_characteristics_are_split_at_keys(text, pairs):
    assert split_characteristics(text) == pairs


def test_folding_keeps_words_signs_and_decimals():
    assert fold_text("CD8+ T_cells (naïve), 2.5%, S. aureus") == "cd8+ t cells naive 2.5 s aureus"


@pytest.mark.parametrize(
    ("text", "sex"),
    [
        ("gender: M", "male"),
        ("Sex: 1 (female)", "female"),
        ("donor sex: Women", "female"),
        ("sex: pooled male and female", "mixed"),
        ("sex: not collected", None),
        ("patient: M", None),
        ("sex: unknown", None),
    ],
)
def test_sex_is_read_from_its_keys(text, sex):
    assert value_of("sex", characteristics=text) == sex


@pytest.mark.parametrize(
    ("text", "unit", "years"),
    [
        ("52", "year", (52, 1)),
        ("52 years old", "year", (52, 1)),
        ("6 months", "year", (0.5, 1)),
        ("3", "month", (0.25, 1)),
        ("20-29", "year", (24.5, 0.8)),
        (">89", "year", (89, 0.6)),
        ("90+", "year", (90, 0.6)),
        ("adult, 48 years", "year", (48, 1)),
        ("6 y, when sampled", "year", (6, 1)),
        ("280", "year", None),
        ("30-20", "year", None),
        ("12 rpm", "year", None),
        ("adult", "year", None),
        ("", "year", None),
    ],
)
def test_ages_are_years(text, unit, years):
    assert read_age(text, unit=unit, rules=load_rules()) == years


def test_a_mouse_without_unit_has_no_age():
    assert value_of("age", characteristics="age: 8", species="mouse") is None
    assert value_of("age", characteristics="age: 8 weeks", species="mouse") == pytest.approx(
        8 * 7 / 365.25, abs=1e-4
    )


@pytest.mark.parametrize(
    "text", ["paternal age: 50", "age at onset: 12", "passage: 5", "age: NA", "time: 24"]
)
def test_other_numbers_are_no_age(text):
    assert value_of("age", characteristics=text) is None


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("age: fetal", "fetal"),
        ("developmental stage: E14.5", "embryonic"),
        ("age: 22 weeks gestation", "fetal"),
        ("dev stage: young adult", "adult"),
    ],
)
def test_stages_are_read(text, stage):
    assert value_of("developmental_stage", characteristics=text) == stage


@pytest.mark.parametrize(
    ("texts", "disease"),
    [
        ({"characteristics": "disease state: healthy control"}, "normal"),
        ({"characteristics": "diagnosis: AML with normal karyotype"}, "acute myeloid leukemia"),
        ({"characteristics": "disease: HIV negative"}, "HIV negative"),
        ({"source": "liver from HIV-negative donor"}, None),
        ({"characteristics": "tissue: lung,histology: adenocarcinoma"}, "cancer"),
        ({"characteristics": "disease: Fanconi anemia"}, "Fanconi anemia"),
        ({"source": "no tumor"}, None),
        ({"source": "non-tumor tissue"}, "normal"),
    ],
    ids=str,
)
def test_diseases_are_named_kept_or_denied(texts, disease):
    assert value_of("disease", **texts) == disease


def test_the_more_exact_of_two_findings_wins():
    found = read(characteristics="tissue: brain,brain region: hippocampus")

    assert found["tissue"].value == "hippocampus"
    assert found["tissue"].source == "characteristics_ch1: brain region"


def test_characteristics_come_before_source_and_title():
    found = read(characteristics="tissue: kidney", source="liver", title="lung 1")

    assert (found["tissue"].value, found["tissue"].confidence) == ("kidney", 0.95)


def test_what_is_derived_is_the_cell_type():
    assert value_of("cell_type", source="Cord blood CD34+ derived dendritic cells") == (
        "dendritic cell"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cell line: MCF7", "MCF-7"),
        ("cell line: Hep G2", "HepG2"),
        ("cell line: K562", "K-562"),
        ("cell line: XYZ-12", "XYZ-12"),
        ("cell line: primary cells", None),
        ("cells: PC3", "PC-3"),
    ],
)
def test_cell_lines_have_one_spelling(text, line):
    assert value_of("cell_line", characteristics=text) == line


@pytest.mark.parametrize(
    ("text", "treatment"),
    [
        ("treatment: none", "untreated"),
        ("treatment: DMSO", "vehicle"),
        ("treatment: LPS + IFNg, 4 h", "LPS + interferon gamma"),
        ("treatment: Placebo", "placebo"),
        ("treatment: compound 17b", "compound 17b"),
        ("treatment: control,stimulation: LPS", "LPS"),
        ("treatment: NA", None),
        ("treatment: 10 ng/ml EGF and no EPO", "EGF"),
        ("treatment: no EPO", "untreated"),
        ("treatment: no therapy", "untreated"),
        ("treatment: control siRNA", "non-targeting control"),
        ("infection: uninfected", "untreated"),
        ("virus: DENV2", "dengue virus"),
        ("culture condition: 1% oxygen, hypoxia", "hypoxia"),
        ("treatment: 100 nM paclitaxel, 24h", "paclitaxel"),
        ("stimulation: anti-CD3/CD28", "anti-CD3 + anti-CD28"),
    ],
)
def test_treatments_are_named(text, treatment):
    assert value_of("treatment", characteristics=text) == treatment


def test_the_table_keeps_order_and_says_where_values_come_from():
    samples = pd.DataFrame(
        {"title": ["lung 1", ""], "characteristics": ["gender: F", np.nan]}, index=["S2", "S1"]
    )

    table = harmonize_texts(samples)

    assert table.index.tolist() == ["S2", "S1"]
    expected = [c for name in ATTRIBUTES for c in (name, f"{name}_source", f"{name}_confidence")]
    assert table.columns.tolist() == expected
    first = table.loc["S2"]
    assert (first["sex"], first["sex_source"]) == ("female", "characteristics_ch1: gender")
    assert (first["tissue"], first["tissue_source"]) == ("lung", "title")
    assert table.loc["S1", "tissue"] == ""
    assert np.isnan(table.loc["S1", "age_years"])
    assert np.isnan(table.loc["S1", "tissue_confidence"])


def test_no_text_at_all_gives_no_value():
    table = harmonize_texts(pd.DataFrame(index=["S1"]))

    assert table.filter(like="_confidence").isna().all(axis=None)


def test_every_rule_is_well_formed():
    rules = load_rules()

    attributes = {*ATTRIBUTES.values()}
    helpers = {
        "negation_before",
        "negation_after",
        "negation_agent",
        "missing",
        "age_unit",
        "primary",
        "treated",
    }
    assert {rule.attribute for rule in rules.fields} == attributes
    assert set(rules.terms) == attributes - {"age"} | helpers | {"not_tissue"}
    assert all(0 < rule.confidence < 1 for rule in rules.fields)
    values = {(name, term.value) for name, terms in rules.terms.items() for term in terms}
    assert {(name, wider) for (name, _), wider in rules.within.items()} <= values
    scopes = {term.scope for terms in rules.terms.values() for term in terms}
    assert scopes == {"any", "keyed", "part", "text", "agent"}
    for terms in rules.terms.values():
        for term in terms:
            assert not re.fullmatch(term.pattern, "") or term.value == ""


@pytest.mark.parametrize("text", ["", "::::", "|||", "a" * 5000, "\x00,\x01:", "age: " + "9" * 400])
def test_odd_texts_are_read_without_harm(text):
    read(characteristics=text, source=text, title=text)
