"""The shipped profiles are real tissues, on one scale, with their sources beside them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressome.simulation.profiles import (
    PROFILES_PATH,
    decode_tpm,
    encode_tpm,
    fill_symbols,
    load_profiles,
)


@given(st.floats(0, 8e5))
def test_a_byte_keeps_expression_to_a_few_percent(tpm):
    decoded = decode_tpm(encode_tpm(np.array([tpm])))[0]

    assert abs(decoded - tpm) <= 0.034 * tpm + 0.002


def test_profiles_sum_to_a_million_over_at_least_15000_genes():
    profiles = load_profiles()

    assert len(profiles.genes) == 19_758
    assert profiles.genes.index.is_unique
    assert profiles.genes.index.str.fullmatch(r"ENSG\d{11}").all()
    np.testing.assert_allclose(profiles.tpm.sum(axis=1), 1e6, rtol=1e-9)


@pytest.mark.parametrize(
    ("profile", "marker", "other"),
    [
        ("hpa:liver", "ALB", "hpa:cerebral_cortex"),
        ("hpa:cerebral_cortex", "GFAP", "hpa:liver"),
        ("hpa:heart_muscle", "MYH6", "hpa:kidney"),
        ("tcga:PRAD", "KLK3", "tcga:LIHC"),
    ],
)
def test_tissues_express_their_markers(profile, marker, other):
    profiles = load_profiles()
    g = profiles.genes["symbol"].tolist().index(marker)

    assert profiles.row(profile)[g] > 50 * profiles.row(other)[g]


def test_spread_and_length_are_known_for_every_gene():
    profiles = load_profiles()

    assert np.isfinite(profiles.spread_log2).all()
    assert 0.2 < np.median(profiles.spread_log2) < 1
    assert profiles.genes["length_bp"].between(50, 200_000).all()


def test_sources_and_licence_stand_beside_the_data():
    sources = PROFILES_PATH.with_name("SOURCES.md").read_text(encoding="utf-8")
    licence = PROFILES_PATH.with_name("LICENSE-profiles.txt").read_text(encoding="utf-8")

    assert "Human Protein Atlas" in sources
    assert "CC BY-SA 4.0" in licence
    assert PROFILES_PATH.stat().st_size < 2_000_000


def test_a_symbol_without_newer_name_is_kept():
    symbols = load_profiles().genes["symbol"].iloc[:2]

    assert fill_symbols(symbols, {}).tolist() == symbols.tolist()
