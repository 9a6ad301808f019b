"""Fingerprints of counts."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressome.errors import InvalidCountsError, ShapeError
from expressome.normalization.fingerprints import find_repeated, fingerprint_counts, hash_genes

GENES = [f"ENSG{g:011d}" for g in range(40)]
MASK = 2**64 - 1


def mix(number):
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


def test_equals_the_definition_in_plain_python():
    counts = {"ENSG1": 5, "ENSG2": 0, "ENSG3": 4_000_000_000}
    expected = 0
    for gene, count in counts.items():
        key = int.from_bytes(hashlib.blake2b(gene.encode(), digest_size=8).digest(), "little")
        if count:
            expected += mix((key + count * 0x9E3779B97F4A7C15) & MASK)

    found = fingerprint_counts(np.array([list(counts.values())]), hash_genes(counts))

    assert found == [f"{expected & MASK:016x}"]


@given(seed=st.integers(0, 2**16), cut=st.integers(1, 7))
def test_order_of_genes_zeros_and_cut_of_samples_leave_no_trace(seed, cut):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.3, 50, 40), (8, 40))
    order = rng.permutation(40)
    keys = hash_genes(GENES)
    kept = (counts > 0).any(axis=0)

    whole = fingerprint_counts(counts, keys)
    pieces = fingerprint_counts(counts[:cut], keys) + fingerprint_counts(counts[cut:], keys)

    assert pieces == whole
    assert fingerprint_counts(counts[:, order], keys[order]) == whole
    assert fingerprint_counts(counts[:, kept], keys[kept]) == whole


@pytest.mark.parametrize("dtype", ["i4", "i8", "u2", "f4", "f8"])
def test_type_of_the_numbers_leaves_no_trace(dtype, rng):
    counts = rng.integers(0, 60_000, (5, 40)).astype("u4")

    keys = hash_genes(GENES)

    narrow = counts.clip(0, 30_000)
    assert fingerprint_counts(narrow.astype(dtype), keys) == fingerprint_counts(narrow, keys)


def test_unmeasured_adds_nothing_and_fractions_count():
    keys = hash_genes(["A", "B"])

    assert fingerprint_counts(np.array([[3.0, np.nan]]), keys) == fingerprint_counts(
        np.array([[3, 0]]), keys
    )
    assert fingerprint_counts(np.array([[3.5, 1.0]]), keys) != fingerprint_counts(
        np.array([[3.25, 1.0]]), keys
    )


def test_a_count_moved_to_another_gene_changes_it(rng):
    counts = rng.permutation(np.arange(1, 41))[None, :]
    swapped = counts.copy()
    swapped[0, [3, 9]] = swapped[0, [9, 3]]

    assert fingerprint_counts(counts, hash_genes(GENES)) != fingerprint_counts(
        swapped, hash_genes(GENES)
    )


def test_a_sample_without_counts_is_all_zeros():
    assert fingerprint_counts(np.zeros((1, 2), int), hash_genes(["A", "B"])) == ["0" * 16]


def test_wrong_input_is_named():
    with pytest.raises(ShapeError, match=r"2 gene hashes for counts of shape \(1, 3\)"):
        fingerprint_counts(np.ones((1, 3)), hash_genes(["A", "B"]))
    with pytest.raises(InvalidCountsError, match="negative or infinite"):
        fingerprint_counts(np.array([[np.nan, -1.0]]), hash_genes(["A", "B"]))


def test_failed_runs_are_not_copies():
    assert find_repeated(["x", "x", "x"], np.array([9, 10, 11])).tolist() == ["alone-0", "x", "x"]
