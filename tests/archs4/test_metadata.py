"""Decoding of text and numbers; grouping into studies."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressome.archs4.metadata import (
    decode_numbers,
    decode_text,
    gene_keys,
    group_studies,
    strip_gene_version,
)
from expressome.errors import IdentifierWarning, StudyWarning


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"liver", "liver"),
        (b"liver   ", "liver"),
        (b"liver\0\0", "liver"),
        ("Müller".encode(), "Müller"),
        ("Müller".encode("latin-1"), "Müller"),
        (b"NA", ""),
        (b"na", ""),
        (b"null", ""),
        (b"NULL", ""),
        (b"missing", ""),
        (b"", ""),
        (b"Na", "Na"),
        (b"b'RTEL1P1'", "RTEL1P1"),
        (b'b"5\'UTR"', "5'UTR"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [object, "S"], ids=["variable", "fixed"])
def test_text_is_decoded_whatever_way_it_is_stored(raw, text, dtype):
    decoded = decode_text(np.array([raw], dtype=dtype))

    assert decoded.tolist() == [text]


def test_equal_texts_share_one_object_across_slices():
    pool = {}

    first = decode_text(np.array([b"a long protocol"]), pool=pool)
    second = decode_text(np.array([b"a long protocol "]), pool=pool)

    assert first[0] is second[0]


@pytest.mark.parametrize("name", ["NA", "missing", "b'1'"])
def test_any_string_is_a_sample_id(name):
    assert decode_text(np.array([name.encode()]), is_id=True).tolist() == [name]


def test_str_objects_and_numbers_become_text_too():
    assert decode_text(np.array(["liver", "NA"], dtype=object)).tolist() == ["liver", ""]
    assert decode_text(np.array([3, 4])).tolist() == ["3", "4"]


@pytest.mark.parametrize(
    "raw",
    [
        np.array([b"1.5", b"NA", b"x"]),
        np.array([b"1.5", b"", b"null"], dtype=object),
        np.array([1.5, np.nan, np.nan], dtype=">f4"),
    ],
    ids=["fixed", "variable", "big-endian"],
)
def test_numbers_are_read_from_text_and_numbers(raw):
    np.testing.assert_array_equal(decode_numbers(raw), [1.5, np.nan, np.nan])


@pytest.mark.parametrize(
    ("gene", "expected"),
    [
        ("ENSG00000141510.18", "ENSG00000141510"),
        ("ENSMUST00000103301.3", "ENSMUST00000103301"),
        ("ENSG00000002586.20_PAR_Y", "ENSG00000002586_PAR_Y"),
        ("ENSG00000002586", "ENSG00000002586"),
        ("AP000349.2", "AP000349.2"),
    ],
)
def test_only_ensembl_versions_are_stripped(gene, expected):
    assert strip_gene_version(gene) == expected


def test_genes_without_any_name_are_keyed_by_row():
    assert gene_keys(["", ""], ["", "TP53"]) == ["row:0", "symbol:TP53"]


def test_a_par_gene_keeps_a_key_of_its_own():
    keys = gene_keys(["ENSG00000002586.20", "ENSG00000002586.20_PAR_Y"], ["CD99", "CD99"])

    assert keys == ["ENSG00000002586", "ENSG00000002586_PAR_Y"]


def test_a_repeated_ensembl_id_is_made_unique_and_told():
    with pytest.warns(IdentifierWarning, match=r"1 of 2 gene ids repeat an earlier one \(ENSG1\)"):
        keys = gene_keys(["ENSG1", "ENSG1"], ["A", "B"])

    assert keys == ["ENSG1", "ENSG1#2"]


@pytest.mark.parametrize(
    ("series", "studies"),
    [
        (["GSE1,GSE2", "GSE2"], ["GSE1", "GSE1"]),
        (["GSE99825-GSE99900", "GSE99900"], ["GSE99825", "GSE99825"]),
        (["GSE1Xx-xXGSE2", "GSE2"], ["GSE1", "GSE1"]),
        (["GSE1", "GSE11"], ["GSE1", "GSE11"]),
        (["GSE3,GSE2", "GSE2,GSE1", "GSE3"], ["GSE1", "GSE1", "GSE1"]),
        (["GSE10", "GSE9,GSE10"], ["GSE10", "GSE10"]),
        (["E-MTAB-305", "E-MTAB-306"], ["E-MTAB-305", "E-MTAB-306"]),
        (["E-MTAB-305; E-MTAB-1", "E-MTAB-1"], ["E-MTAB-1", "E-MTAB-1"]),
        ([" SRP1 ", "SRP1"], ["SRP1", "SRP1"]),
    ],
    ids="|".join,
)
def test_a_chain_of_shared_series_is_one_study(series, studies):
    assert group_studies(series, [f"GSM{i}" for i in range(len(series))]) == studies


def test_a_sample_without_series_is_a_study_of_its_own():
    with pytest.warns(StudyWarning, match="2 of 3 samples have no series id"):
        studies = group_studies(["", "GSE1", "NA"], ["GSM1", "GSM2", "GSM3"])

    assert studies == ["GSM1", "GSE1", "GSM3"]


def test_a_sample_called_like_a_study_does_not_join_it():
    with pytest.warns(StudyWarning):
        studies = group_studies(["GSE1", ""], ["GSM1", "GSE1"])

    assert studies == ["GSE1", "GSE1 (sample)"]


@given(
    links=st.lists(
        st.lists(st.integers(1, 12), min_size=1, max_size=3, unique=True), min_size=1, max_size=12
    )
)
def test_studies_are_the_connected_components(links):
    series = [",".join(f"GSE{number}" for number in ids) for ids in links]

    studies = group_studies(series, [f"GSM{i}" for i in range(len(links))])

    components = [set(ids) for ids in links]
    for _ in links:
        components = [
            set().union(*(other for other in components if other & own)) for own in components
        ]
    expected = [min(f"GSE{number}" for number in own) for own in components]
    assert studies == expected


def test_a_million_series_fields_are_grouped_in_seconds():
    n_samples = 1_000_000
    series = [f"GSE{i // 20},GSE{i // 400 + 900_000}" for i in range(n_samples)]
    start = time.process_time()

    studies = group_studies(series, series)

    assert len(set(studies)) == 2_500
    assert time.process_time() - start < 20


def test_a_million_strings_are_decoded_in_seconds(rng):
    words = np.array([f"GSM{i}".encode() for i in range(1000)], dtype="S12")
    raw = words[rng.integers(0, 1000, size=1_000_000)]
    start = time.process_time()

    decoded = decode_text(raw)

    assert decoded[0] == raw[0].decode()
    assert time.process_time() - start < 10
