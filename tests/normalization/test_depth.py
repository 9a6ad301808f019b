"""CPM, TPM and length division: by hand and equal to RNAnorm."""

import numpy as np
import pandas as pd
import pytest
from rnanorm import CPM, TPM

from expressome.errors import InvalidValueError, ShapeError
from expressome.normalization.depth import to_cpm, to_tpm
from expressome.normalization.length import divide_by_length, to_divisor


@pytest.fixture
def counts(rng):
    return rng.poisson(rng.gamma(0.3, 300, 500), (12, 500))


def test_cpm_equals_rnanorm(counts):
    expected = CPM().fit_transform(counts)

    np.testing.assert_allclose(to_cpm(counts), expected, rtol=1e-12)


def test_tpm_equals_rnanorm(counts, rng):
    genes = [f"ENSG{g:011d}" for g in range(500)]
    lengths = pd.Series(rng.integers(200, 20_000, 500), index=genes)
    table = pd.DataFrame(counts, columns=genes)

    expected = TPM(gene_lengths=lengths).fit(table).transform(table)

    np.testing.assert_allclose(to_tpm(counts, lengths.to_numpy()), expected, rtol=1e-12)


def test_sample_without_reads_stays_zero():
    np.testing.assert_array_equal(to_cpm(np.zeros((1, 3))), np.zeros((1, 3)))


def test_unmeasured_genes_do_not_count_for_depth():
    np.testing.assert_allclose(to_cpm(np.array([[1.0, np.nan, 3.0]])), [[250e3, np.nan, 750e3]])


def test_bp_is_a_thousandth_of_kb():
    values = np.array([[3.0, 6.0]])

    by_bp = divide_by_length(values, [1500, 3000], "bp")

    np.testing.assert_allclose(by_bp * 1000, divide_by_length(values, [1500, 3000]), rtol=1e-6)


def test_length_zero_is_named():
    with pytest.raises(InvalidValueError, match=r"1 of 2 .* 0.0 at gene 1"):
        to_divisor([100, 0])


def test_unknown_unit_is_refused():
    with pytest.raises(InvalidValueError, match="'mb'; choose 'kb' or 'bp'"):
        to_divisor([100], "mb")


@pytest.mark.parametrize("function", [divide_by_length, to_tpm])
def test_wrong_number_of_lengths_is_named(function):
    with pytest.raises(ShapeError, match="1 lengths for 2 genes"):
        function(np.ones((1, 2)), [100])
