"""Quantile normalisation: by hand, against qnorm, by property."""

import itertools

import numpy as np
import pandas as pd
import pytest
import qnorm
from hypothesis import given, settings
from hypothesis import strategies as st

from expressome.engine import Resources
from expressome.errors import (
    EmptySelectionError,
    FileFormatError,
    InputNotFoundError,
    InvalidCountsError,
    OutputExistsError,
    ShapeError,
)
from expressome.normalization.quantile import (
    apply_target,
    fit_target,
    interpolate_profile,
    load_target,
    save_target,
)
from expressome.normalization.rows import retile
from expressome.results import Target

# https://en.wikipedia.org/wiki/Quantile_normalization: genes A-D by arrays 1-3, ties averaged.
WIKIPEDIA = np.array([[5, 4, 3], [2, 1, 4], [3, 4, 6], [4, 2, 8]])
WIKIPEDIA_RESULT = np.array(
    [[5 + 2 / 3, 5 + 1 / 6, 2], [2, 2, 3], [3, 5 + 1 / 6, 4 + 2 / 3], [4 + 2 / 3, 3, 5 + 2 / 3]]
)


def counts_like_rnaseq(n_samples, n_genes, seed=0):
    """Many zeros and ties, and a few counts above the kernel's table of 2^14."""
    rng = np.random.default_rng(seed)
    means = np.exp(rng.normal(2, 3, n_genes)) * (rng.random(n_genes) < 0.7)
    return rng.poisson(means * rng.gamma(2, 0.5, (n_samples, 1))).astype(np.uint32)


def test_wikipedia_example():
    # The example has no logarithm: 2^x - 1 enters, so that log2(1 + .) gives x.
    counts = 2**WIKIPEDIA.T - 1

    values = apply_target(counts, fit_target(counts))

    np.testing.assert_allclose(values.T, WIKIPEDIA_RESULT, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["u4", "i4", "i8", "u2", "f4", "f8"])
def test_equals_qnorm_for_every_type_of_counts(dtype):
    counts = np.minimum(counts_like_rnaseq(30, 2000), 60_000).astype(dtype)

    values = apply_target(counts, fit_target(counts))

    expected = qnorm.quantile_normalize(np.log2(1 + counts.T.astype(float)), ncpus=1).T
    # qnorm works in float64, the result here is float32 with values up to 16.
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_tpm_equals_qnorm():
    tpm = np.random.default_rng(1).gamma(0.3, 50, (20, 800)) * (counts_like_rnaseq(20, 800) > 0)

    values = apply_target(tpm, fit_target(tpm))

    expected = qnorm.quantile_normalize(np.log2(1 + tpm.T), ncpus=1).T
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_whole_floats_give_the_bits_of_integers():
    counts = counts_like_rnaseq(9, 300)

    target, from_floats = fit_target(counts), fit_target(counts.astype(float))

    np.testing.assert_array_equal(from_floats.profile, target.profile)
    np.testing.assert_array_equal(
        apply_target(counts.astype(float), target), apply_target(counts, target)
    )


@settings(max_examples=30, deadline=None)
@given(
    n_samples=st.integers(1, 700),
    cuts=st.lists(st.integers(0, 700), max_size=6),
    workers=st.integers(1, 3),
    seed=st.integers(0, 2**16),
)
def test_target_has_the_same_bits_for_every_cut_and_any_threads(n_samples, cuts, workers, seed):
    counts = counts_like_rnaseq(n_samples, 7, seed)
    edges = [0, *sorted(min(cut, n_samples) for cut in cuts), n_samples]
    blocks = [counts[a:b] for a, b in itertools.pairwise(edges)]

    whole = fit_target(counts, resources=Resources(workers=1))
    cut = fit_target(iter(blocks), resources=Resources(workers=workers))

    np.testing.assert_array_equal(cut.profile, whole.profile)
    assert cut.n_samples == n_samples


@settings(max_examples=20, deadline=None)
@given(n_samples=st.integers(1, 600), seed=st.integers(0, 2**16))
def test_target_does_not_depend_on_the_order_of_samples_or_genes(n_samples, seed):
    counts = counts_like_rnaseq(n_samples, 11, seed)
    rng = np.random.default_rng(seed)

    shuffled = counts[rng.permutation(n_samples)][:, rng.permutation(11)]

    np.testing.assert_allclose(
        fit_target(shuffled).profile, fit_target(counts).profile, rtol=1e-12, atol=1e-12
    )


def test_a_sample_does_not_depend_on_its_neighbours():
    counts = counts_like_rnaseq(300, 50)
    target = fit_target(counts[:200])

    together = apply_target(counts, target)

    np.testing.assert_array_equal(together[260:261], apply_target(counts[260:261], target))


def test_normalising_again_changes_nothing():
    # Without ties the values of a sample are the target, whose ranks are the same.
    counts = np.random.default_rng(0).permuted(np.tile(np.arange(100) * 7, (5, 1)), axis=1)
    target = fit_target(counts)
    values = apply_target(counts, target)

    again = apply_target(values.astype(float), target)

    np.testing.assert_array_equal(again, values)


def test_all_zero_sample_gets_the_mean_of_the_target():
    target = fit_target(np.array([[7, 1, 3], [3, 0, 15]]))

    values = apply_target(np.zeros((1, 3), int), target)

    np.testing.assert_allclose(values, 2.0)


def test_counts_above_32_bits_keep_their_order():
    counts = np.array([[2**40, 1, 2**41]])

    values = apply_target(counts, Target(np.array([0.0, 1.0, 2.0]), 1))

    np.testing.assert_array_equal(values, [[1, 0, 2]])


def test_unmeasured_genes_stay_nan_and_the_others_span_the_target():
    target = Target(np.array([0.0, 1.0, 2.0, 3.0]), 1)
    counts = np.array([[np.nan, 5.0, 2.0, np.nan], [1.0, 2.0, 3.0, 4.0]])

    values = apply_target(counts, target)

    np.testing.assert_allclose(values, [[np.nan, 2.5, 0.5, np.nan], [0, 1, 2, 3]])


def test_unmeasured_genes_do_not_weaken_a_sample_in_the_target():
    counts = np.array([[np.nan, 3.0, 3.0], [3.0, 3.0, 3.0]])

    assert fit_target(counts).profile.tolist() == [2.0, 2.0, 2.0]


def test_counts_are_not_modified():
    counts = counts_like_rnaseq(3, 40)
    before = counts.copy()

    apply_target(counts, fit_target(counts))

    np.testing.assert_array_equal(counts, before)


def test_a_table_and_a_transposed_array_are_taken():
    counts = counts_like_rnaseq(4, 20)
    target = fit_target(pd.DataFrame(counts))

    np.testing.assert_array_equal(
        apply_target(np.asfortranarray(counts), target), apply_target(counts, target)
    )


def test_gene_mismatch_names_both_sizes():
    with pytest.raises(ShapeError, match="has 2 genes, but the blocks before it have 3"):
        fit_target([np.ones((1, 3)), np.ones((1, 2))])


def test_target_for_other_genes_names_both_sizes():
    with pytest.raises(ShapeError, match="have 2 genes, but the target was fitted on 3"):
        apply_target(np.ones((1, 2)), fit_target(np.ones((1, 3))))


def test_negative_count_is_named():
    counts = np.array([[1, 2], [3, -4]])

    with pytest.raises(InvalidCountsError, match=r"1 of 4 .* -4 at sample 1, gene 1"):
        fit_target(counts)


def test_infinite_count_is_named():
    with pytest.raises(InvalidCountsError, match="inf at sample 0, gene 1"):
        apply_target(np.array([[1.0, np.inf]]), Target(np.array([0.0, 1.0]), 1))


def test_text_is_no_count():
    with pytest.raises(InvalidCountsError, match="not numbers"):
        fit_target(np.array([["1", "2"]]))


def test_sample_without_measured_gene_is_refused():
    with pytest.raises(InvalidCountsError, match="sample 1 measured no gene"):
        fit_target(np.array([[1.0, 2.0], [np.nan, np.nan]]))


def test_no_sample_is_refused():
    with pytest.raises(EmptySelectionError, match="0 samples"):
        fit_target([])


def test_wrong_number_of_gene_ids_is_refused():
    with pytest.raises(ShapeError, match="1 gene ids for 2 columns"):
        fit_target(np.ones((1, 2)), genes=["A"])


def test_interpolated_target_reads_at_rank_minus_half_over_m():
    profile = np.array([0.0, 10.0, 20.0, 30.0, 40.0])

    # (rank - 0.5) / 2 = 0.25 and 0.75; the profile is known at 0.1, 0.3, 0.5, 0.7, 0.9.
    np.testing.assert_allclose(interpolate_profile(profile, 2), [7.5, 32.5])


def test_saved_target_is_equal_to_the_bit(tmp_path):
    target = fit_target(counts_like_rnaseq(5, 30), genes=[f"ENSG{g}" for g in range(30)])
    save_target(target, tmp_path / "target.npz")

    loaded = load_target(tmp_path / "target.npz")

    np.testing.assert_array_equal(loaded.profile, target.profile)
    assert (loaded.n_samples, loaded.genes) == (target.n_samples, target.genes)


def test_saved_target_is_not_overwritten_unasked(tmp_path):
    target = fit_target(np.ones((1, 2)))
    save_target(target, tmp_path / "target.npz")

    with pytest.raises(OutputExistsError, match="exists"):
        save_target(target, tmp_path / "target.npz")


def test_other_files_are_no_target(tmp_path):
    (tmp_path / "target.npz").write_text("no")
    np.savez(tmp_path / "descending.npz", profile=np.array([2.0, 1.0]), n_samples=1, genes=[])

    with pytest.raises(FileFormatError, match="not a saved target"):
        load_target(tmp_path / "target.npz")
    with pytest.raises(FileFormatError, match="not an ascending list"):
        load_target(tmp_path / "descending.npz")
    with pytest.raises(InputNotFoundError, match="does not exist"):
        load_target(tmp_path / "absent.npz")


def test_target_with_another_number_of_genes_is_refused(tmp_path):
    np.savez(tmp_path / "t.npz", profile=np.array([1.0, 2.0]), n_samples=1, genes=["A"])

    with pytest.raises(FileFormatError, match="2 values for 1 genes"):
        load_target(tmp_path / "t.npz")


def test_retiling_keeps_rows_and_order():
    blocks = [np.arange(3)[:, None], np.arange(3, 10)[:, None]]

    tiles = list(retile(blocks, 4))

    assert [len(tile) for tile in tiles] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(tiles).ravel(), np.arange(10))
