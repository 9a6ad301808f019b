"""The scikit-learn face."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import expressome
from expressome.errors import IdentifierError, InvalidCountsError
from expressome.normalization.estimator import QuantileNormalizer
from expressome.normalization.quantile import apply_target, fit_target, load_target, save_target


@pytest.fixture
def table(rng):
    counts = rng.poisson(rng.gamma(0.4, 200, 30), (12, 30))
    return pd.DataFrame(
        counts, index=[f"GSM{i}" for i in range(12)], columns=[f"ENSG{g}" for g in range(30)]
    )


@parametrize_with_checks([QuantileNormalizer()])
def test_passes_the_checks_of_scikit_learn(estimator, check):
    if "array_api" in str(check):
        pytest.skip("needs SCIPY_ARRAY_API before scipy is imported")
    check(estimator)


def test_equals_the_functions(table):
    counts = table.to_numpy()

    values = QuantileNormalizer().fit(counts[:8]).transform(counts)

    np.testing.assert_array_equal(values, apply_target(counts, fit_target(counts[:8])))


def test_pandas_comes_out_with_names(table):
    normalizer = QuantileNormalizer().set_output(transform="pandas")

    values = normalizer.fit_transform(table)

    assert list(values.index) == list(table.index)
    assert list(values.columns) == list(table.columns)
    assert (values.dtypes == np.float32).all()


def test_saved_target_makes_an_equal_transformer(table, tmp_path):
    fitted = QuantileNormalizer().fit(table)
    save_target(fitted.target_, tmp_path / "target.npz")

    again = QuantileNormalizer.from_target(load_target(tmp_path / "target.npz"))

    np.testing.assert_array_equal(again.transform(table), fitted.transform(table))


def test_other_gene_sets_are_aligned_when_asked(table):
    normalizer = QuantileNormalizer(align_genes=True).fit(table)
    other = table[table.columns[:20][::-1]].assign(UNKNOWN=7)

    values = normalizer.set_output(transform="pandas").transform(other)

    assert list(values.columns) == list(table.columns)
    assert values.iloc[:, 20:].isna().all(axis=None)
    assert values.iloc[:, :20].notna().all(axis=None)


def test_aligning_needs_gene_ids(table):
    normalizer = QuantileNormalizer(align_genes=True).fit(table.to_numpy())

    with pytest.raises(IdentifierError, match="names no genes"):
        normalizer.transform(table)


def test_works_in_a_pipeline_and_clones(table):
    pipe = make_pipeline(clone(QuantileNormalizer()), StandardScaler())

    assert pipe.fit_transform(table.to_numpy()).shape == table.shape


def test_logarithms_are_refused(table):
    with pytest.raises(InvalidCountsError, match="Negative values in data: 12 of 360"):
        QuantileNormalizer().fit(table.assign(ENSG0=-1.0))


def test_unfitted_says_so(table):
    with pytest.raises(NotFittedError):
        QuantileNormalizer().transform(table)


def test_importing_the_package_loads_no_scikit_learn():
    code = "import sys, expressome; sys.exit('sklearn' in sys.modules or 'numba' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert expressome.QuantileNormalizer is QuantileNormalizer
