"""The shipped vocabulary is what the site writes, and its terms are checked."""

import re
from pathlib import Path

import pandas as pd
import pytest

from expressome.reference.vocabulary import fold_name, load_vocabulary

VOCABULARY = load_vocabulary()


def test_there_are_116_labels_of_two_kinds():
    assert len(VOCABULARY) == 116
    assert VOCABULARY["kind"].value_counts().to_dict() == {"tissue": 69, "cell_line": 47}


def test_no_two_labels_are_spellings_of_one_name():
    assert VOCABULARY["name"].map(fold_name).is_unique


def test_every_parent_is_a_label_and_no_label_is_its_own_ancestor():
    for key in VOCABULARY.index:
        seen = [key]
        while parent := VOCABULARY.loc[seen[-1], "parent"]:
            assert parent in VOCABULARY.index
            assert parent not in seen
            seen.append(parent)


def test_terms_are_of_the_ontology_of_their_kind():
    terms = VOCABULARY["ontology_id"]
    is_line = VOCABULARY["kind"] == "cell_line"

    assert all(re.fullmatch(r"CLO:\d{7}", term) for term in terms[is_line] if term)
    assert all(re.fullmatch(r"(UBERON|CL):\d{7}", term) for term in terms[~is_line] if term)
    assert ((terms == "") == (VOCABULARY["verified"] == "")).all()
    assert ((terms == "") == (VOCABULARY["ontology_name"] == "")).all()
    assert terms[terms != ""].is_unique


def test_only_one_tissue_has_no_term():
    tissues = VOCABULARY[VOCABULARY["kind"] == "tissue"]

    assert tissues.index[tissues["ontology_id"] == ""].tolist() == ["Primary Liver Cell"]


def test_the_labels_kinds_and_systems_are_those_of_the_site(shared_data):
    path = shared_data / "archs4-label-lists" / "archs4_site_lists_2018_all.tsv.gz"
    listed = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)

    systems = listed.groupby(["label", "kind"])["system"].unique()

    assert set(systems.index) == set(zip(VOCABULARY.index, VOCABULARY["kind"], strict=True))
    for (label, _), names in systems.items():
        assert VOCABULARY.loc[label, "system"] in names


@pytest.fixture(scope="module")
def curated_terms(shared_data):
    """Names that curated sample tables give to ontology ids."""
    folder = shared_data / "archs4-label-lists" / "metahq"
    named = set()
    for path in sorted(folder.glob("*.parquet")):
        table = pd.read_parquet(path)
        name = "term_name" if "term_name" in table else "term_label"
        if "term_id" in table:
            named |= set(zip(table["term_id"], table[name].astype(str).str.lower(), strict=True))
    mapped = pd.read_csv(folder / "johnson_rnaseq_uberon_map.csv", dtype=str).dropna()
    for ids, names in zip(mapped["uber_id"], mapped["uber_name"], strict=True):
        named |= {(i, n.lower()) for i, n in zip(ids.split("|"), names.split("|"), strict=False)}
    return named


def test_verified_terms_carry_their_name_in_curated_sample_tables(curated_terms):
    verified = VOCABULARY[VOCABULARY["verified"] == "metadata tables"]

    wrong = [
        key
        for key, term, name in zip(
            verified.index, verified["ontology_id"], verified["ontology_name"], strict=True
        )
        if (term, name.lower()) not in curated_terms
    ]

    assert len(verified) == 63
    assert wrong == []


def test_labels_without_a_term_are_listed_in_the_docs():
    page = Path(__file__).resolve().parents[2] / "docs" / "annotation.md"
    words = page.read_text(encoding="utf-8").replace("\n  ", " ")

    unmapped = VOCABULARY.index[VOCABULARY["ontology_id"] == ""]

    assert [key for key in unmapped if key not in words] == []
