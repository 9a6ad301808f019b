"""Gene lengths, by hand and from the shipped tables."""

import numpy as np
import pandas as pd
import pytest

from expressome.errors import (
    IdentifierError,
    ImputedLengthWarning,
    InvalidValueError,
    MissingFieldError,
)
from expressome.reference.lengths import DEFINITIONS, load_lengths, resolve_lengths


@pytest.fixture
def lengths():
    """Three coding genes of 1, 2 and 9 kb and one short RNA."""
    return pd.DataFrame(
        {
            "length_bp": [1000.0, 2000.0, 9000.0, 100.0],
            "biotype": ["protein_coding"] * 3 + ["snRNA"],
            "symbol": ["A", "B", "C", "U"],
        },
        index=pd.Index(["G1", "G2", "G3", "G4"], name="gene"),
    )


def genes_of(*ids, biotypes=None):
    biotype = biotypes or ["protein_coding"] * len(ids)
    return pd.DataFrame({"symbol": "", "biotype": biotype}, index=list(ids))


def test_a_missing_length_is_the_median_of_its_biotype(lengths):
    genes = genes_of("G4", "G9", "G1", "G8", biotypes=["snRNA", "protein_coding", "", "snRNA"])

    with pytest.warns(ImputedLengthWarning, match=r"2 of 4 genes have no length.*G9, G8"):
        resolved = resolve_lengths(genes, lengths)

    assert resolved.index.tolist() == ["G4", "G9", "G1", "G8"]
    assert resolved["length_bp"].tolist() == [100.0, 2000.0, 1000.0, 100.0]
    assert resolved["length_source"].tolist() == ["annotation", "imputed", "annotation", "imputed"]


def test_an_unknown_biotype_gets_the_median_of_all(lengths):
    with pytest.warns(ImputedLengthWarning, match="1 of 2 genes"):
        resolved = resolve_lengths(genes_of("G1", "G9", biotypes=["", "odd"]), lengths)

    assert resolved.loc["G9", "length_bp"] == 1500.0


def test_drop_leaves_out_and_says_how_many(lengths):
    with pytest.warns(ImputedLengthWarning, match="1 of 2 genes .* left out"):
        resolved = resolve_lengths(genes_of("G9", "G2"), lengths, missing="drop")

    assert resolved.index.tolist() == ["G2"]


def test_error_names_both_numbers_and_what_to_do(lengths):
    with pytest.raises(MissingFieldError, match=r"1 of 2 genes .*G9.*missing='median'"):
        resolve_lengths(genes_of("G9", "G2"), lengths, missing="error")


def test_no_length_at_all_is_an_error(lengths):
    with pytest.raises(IdentifierError, match=r"2 of 2 genes have no length.*check the species"):
        resolve_lengths(genes_of("X", "Y"), lengths)


def test_a_gene_without_id_is_found_by_its_symbol(lengths):
    resolved = resolve_lengths(genes_of("symbol:C", "G1"), lengths)

    assert resolved["length_bp"].tolist() == [9000.0, 1000.0]


def test_the_y_copy_of_a_gene_is_as_long_as_the_gene_on_x(lengths):
    resolved = resolve_lengths(genes_of("G2_PAR_Y", "G2"), lengths, missing="error")

    assert resolved["length_bp"].tolist() == [2000.0, 2000.0]


def test_all_found_warns_of_nothing(lengths):
    resolved = resolve_lengths(genes_of("G1", "G2"), lengths, missing="error")

    assert resolved["length_bp"].dtype == np.float64


@pytest.mark.parametrize("species", ["human", "mouse"])
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_shipped_lengths_are_positive_and_unique(species, definition):
    lengths = load_lengths(species, definition=definition)

    assert len(lengths) > 50_000
    assert lengths.index.is_unique
    assert (lengths["length_bp"] > 0).all()
    assert definition in lengths.attrs["source"]


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_exact_spliced_lengths_do_not_exceed_the_union(species):
    spliced = load_lengths(species).query("basis == 'exact'")["length_bp"]
    union = load_lengths(species, definition="union")["length_bp"]

    both = spliced.index.intersection(union.index)

    assert len(both) > 30_000
    assert (spliced[both] <= union[both]).all()


def test_unknown_choices_name_the_choices():
    with pytest.raises(InvalidValueError, match=r"'exon'; choose one of spliced, union, span"):
        load_lengths("human", definition="exon")
    with pytest.raises(InvalidValueError, match="'zebrafish'; write human or mouse"):
        load_lengths("zebrafish")
    with pytest.raises(InvalidValueError, match="'guess'; choose one of median, drop, error"):
        resolve_lengths(genes_of("G1"), pd.DataFrame(), missing="guess")
