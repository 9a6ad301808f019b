"""Gene ids of every kind become Ensembl ids, or are reported."""

import numpy as np
import pytest

from expressome.errors import InvalidValueError
from expressome.reference.identifiers import (
    IdentifierTable,
    guess_species,
    load_identifiers,
    strip_version,
)


@pytest.fixture
def toy():
    """Two genes; OLD was a name of the first, BOTH of both, LATE of neither."""
    names = {
        "symbol": {"ONE": "ENSG00000000001", "Two": "ENSG00000000002", "LATE": ""},
        "synonym": {"OLD": "ENSG00000000001"},
        "entrez": {"11": "ENSG00000000001"},
    }
    shared = {
        "symbol": {},
        "synonym": {"BOTH": ("ENSG00000000001", "ENSG00000000002")},
        "entrez": {"22": ("ENSG00000000001", "ENSG00000000002")},
    }
    return IdentifierTable("human", names, shared)


def test_kinds_mix_in_one_list(toy):
    mapped = toy.map(["ENSG00000000002.7", "ONE", "OLD", 11, "11.0", " ONE "])

    assert mapped.kinds.tolist() == ["ensembl", "symbol", "synonym", "entrez", "entrez", "symbol"]
    assert [gene[-1] for gene in mapped.genes] == ["2", "1", "1", "1", "1", "1"]
    assert mapped.n_mapped == 6


def test_what_several_genes_claim_is_reported_not_guessed(toy):
    mapped = toy.map(["BOTH", "22", "both", "nonsense", "99"])

    assert mapped.genes.tolist() == [""] * 5
    assert set(mapped.ambiguous) == {"BOTH", "22", "both"}
    assert mapped.ambiguous["BOTH"] == ("ENSG00000000001", "ENSG00000000002")
    assert mapped.unknown == ["nonsense", "99"]


def test_case_is_ignored_only_when_one_gene_is_left(toy):
    mapped = toy.map(["TWO", "old", "one"])

    assert mapped.genes.tolist() == ["ENSG00000000002", "ENSG00000000001", "ENSG00000000001"]
    assert mapped.kinds.tolist() == ["symbol", "synonym", "symbol"]


def test_agreement_of_two_columns_counts_rows_that_have_both(toy):
    ids = ["ENSG00000000001.4", "ENSG00000000001", "NA", "ENSG00000000002", "ENSG00000000002"]
    symbols = ["ONE", "Two", "ONE", "nonsense", "two"]

    assert toy.share_agreeing(ids, symbols) == pytest.approx(2 / 3)
    assert np.isnan(toy.share_agreeing(["NA"], ["ONE"]))


def test_a_symbol_whose_gene_ensembl_lacks_is_unknown(toy):
    assert toy.map(["LATE", "late"]).unknown == ["LATE", "late"]


@pytest.mark.parametrize(
    ("written", "stripped"),
    [
        ("ENSG00000141510.19", "ENSG00000141510"),
        ("ENSMUSG00000059552", "ENSMUSG00000059552"),
        ("ENST00000456328.2", "ENST00000456328"),
        ("ENSG00000182378.15_PAR_Y", "ENSG00000182378_PAR_Y"),
        ("ENSG00000182378_PAR_Y", "ENSG00000182378_PAR_Y"),
        ("ENSGR0000182378.10", "ENSG00000182378_PAR_Y"),
        ("RP11-34P13.7", "RP11-34P13.7"),
        ("TP53", "TP53"),
        ("ENSG0000014151.3", "ENSG0000014151.3"),
    ],
)
def test_versions_are_stripped_from_ensembl_ids_only(written, stripped):
    assert strip_version(written) == stripped


@pytest.mark.parametrize(
    ("name", "gene", "kind"),
    [
        ("TP53", "ENSG00000141510", "symbol"),
        ("p53", "ENSG00000141510", "synonym"),
        ("tp53", "ENSG00000141510", "symbol"),
        ("7157", "ENSG00000141510", "entrez"),
        ("MLL", "ENSG00000118058", "synonym"),
        ("HLA-A", "ENSG00000206503", "symbol"),
        ("SHOX", "ENSG00000185960", "symbol"),
        ("C1orf112", "ENSG00000000460", "synonym"),
    ],
)
def test_human_names_find_their_gene(name, gene, kind):
    mapped = load_identifiers("human").map([name])

    assert (mapped.genes[0], mapped.kinds[0]) == (gene, kind)


def test_a_famous_ambiguous_name_is_ambiguous():
    # MLL2 was the name of KMT2D and of KMT2B.
    mapped = load_identifiers("human").map(["MLL2"])

    assert mapped.ambiguous == {"MLL2": ("ENSG00000167548", "ENSG00000272333")}


def test_upper_case_mouse_symbols_find_their_gene():
    mapped = load_identifiers("mouse").map(["TRP53", "ACTB", "0610007P14RIK", "Gapdh", "22059"])

    assert mapped.n_mapped == 5
    assert mapped.genes[0] == mapped.genes[4] == "ENSMUSG00000059552"


@pytest.mark.parametrize(
    ("ids", "species"),
    [
        (["ENSG00000141510.1", "ENSG00000163631"], "human"),
        (["ENSMUSG00000059552"], "mouse"),
        (["ENSMUST00000000001.4"], "mouse"),
        (["TP53", "ALB", "GAPDH"], "human"),
        (["Trp53", "Alb", "Gapdh"], "mouse"),
        (["TRP53", "GM10000", "0610009B22RIK"], "mouse"),
        (["7157", "213", "1956"], "human"),
        (["22059", "11657"], "mouse"),
        (["what", "ever"], ""),
        (["ENSG00000141510", "ENSMUSG00000059552"], ""),
        ([], ""),
    ],
)
def test_the_species_is_told_by_the_ids(ids, species):
    assert guess_species(ids) == species


def test_tables_are_loaded_once():
    assert load_identifiers("human") is load_identifiers("human")


def test_another_species_is_refused():
    with pytest.raises(InvalidValueError, match="'yeast'; write human or mouse"):
        load_identifiers("yeast")
