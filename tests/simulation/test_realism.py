"""The realism figures are what they say, by hand and on data of known variance."""

import numpy as np
import pandas as pd
import pytest
from scripts.estimate_realism import read_groups

from expressome.errors import EmptySelectionError
from expressome.simulation.realism import (
    CountGroup,
    between_study_share,
    depth_spread,
    load_realism,
    mean_variance_slope,
    measure_realism,
    zero_fractions,
)


def draw_log_normal(rng, sd_between, sd_within, sizes=(20, 30, 25, 15, 40, 20)):
    """Counts so deep that only the two standard deviations (log2) vary."""
    n_genes = 3000
    base = rng.uniform(8, 11, n_genes)
    rows, studies = [], []
    for s, size in enumerate(sizes):
        shift = rng.normal(0, sd_between, n_genes)
        rows.append(base + shift + rng.normal(0, sd_within, (size, n_genes)))
        studies += [f"study{s}"] * size
    return np.round(np.exp2(np.concatenate(rows)) * 1000), studies


@pytest.mark.parametrize(("sd_between", "sd_within"), [(1.0, 0.5), (0.4, 0.8), (0.7, 0.7)])
def test_share_recovers_known_variances(rng, sd_between, sd_within):
    counts, studies = draw_log_normal(rng, sd_between, sd_within)

    share = between_study_share(counts, studies)

    expected = sd_between**2 / (sd_between**2 + sd_within**2)
    assert share == pytest.approx(expected, abs=0.02)


def test_share_equals_analysis_of_variance_by_hand():
    # One expressed gene beside a filler that keeps the depth at 1e6, so CPM = counts.
    gene = np.array([7.0, 31, 127, 15, 63])
    counts = np.column_stack([gene, 1e6 - gene])
    # log2(1 + CPM): 3, 5 | 7, 4, 6; the filler's logarithm moves by less than 1e-4.
    within = (1 + 1 + (4 / 3) ** 2 + (5 / 3) ** 2 + (1 / 3) ** 2) / 3
    between = (2 * (4 - 5) ** 2 + 3 * (17 / 3 - 5) ** 2 - within) / (5 - 13 / 5)

    share = between_study_share(counts, ["a", "a", "b", "b", "b"])

    assert share == pytest.approx(max(0, between) / (max(0, between) + within), abs=1e-6)


@pytest.mark.parametrize("studies", [["a", "a"], ["a", "b"]])
def test_share_is_unknown_without_two_studies_and_replicates(studies):
    assert np.isnan(between_study_share(np.ones((2, 3)), studies))


def test_slope_is_near_two_for_a_constant_coefficient_of_variation(rng):
    means = np.geomspace(100, 1e6, 2000)
    counts = rng.poisson(means * rng.gamma(4, 1 / 4, (60, 2000)))

    assert mean_variance_slope(counts) == pytest.approx(2, abs=0.05)


def test_slope_is_unknown_for_four_samples(rng):
    assert np.isnan(mean_variance_slope(rng.poisson(100, (4, 50))))


def test_zero_fraction_equals_thinning_many_times(rng):
    counts = rng.poisson(rng.gamma(0.3, 10, 400), (1, 400))
    depth = int(counts.sum() // 4)

    thinned = rng.multivariate_hypergeometric(counts[0], depth, size=400)

    assert zero_fractions(counts, depth)[0] == pytest.approx((thinned == 0).mean(), abs=0.005)


def test_depth_spread_by_hand():
    depths = np.array([1e6] * 3 + [1e8] * 3 + [1e7] * 2)

    within, between = depth_spread(depths, ["a"] * 6 + ["b"] * 2)

    assert within == pytest.approx(np.std([6, 6, 6, 8, 8, 8], ddof=1))
    assert between == pytest.approx(0)


def test_tissues_are_compared_over_the_genes_all_groups_measured(rng):
    counts, studies = draw_log_normal(rng, 0.7, 0.7)
    genes = np.array([f"g{i}" for i in range(counts.shape[1])])
    half = np.array(studies) < "study3"
    order = rng.permutation(2000)
    shuffled = CountGroup("late", "liver", counts[~half][:, order], genes[order])
    whole = CountGroup("early", "liver", counts[half], genes)

    figures = measure_realism([whole, shuffled])

    both = np.concatenate([counts[half][:, :2000], counts[~half][:, :2000]])
    names = ["early"] * half.sum() + ["late"] * (~half).sum()
    assert figures.between_study_share == pytest.approx(between_study_share(both, names))


def test_zeros_are_not_counted_where_genes_were_filtered(rng):
    counts = rng.poisson(2000, (5, 1000))
    genes = np.arange(1000).astype(str)

    figures = measure_realism([CountGroup("a", "liver", counts, genes, is_complete=False)])

    assert np.isnan(figures.zero_fraction[1_000_000])


def test_no_group_is_an_error():
    with pytest.raises(EmptySelectionError, match="no group of samples"):
        measure_realism([])


@pytest.mark.slow
def test_committed_figures_are_what_the_script_estimates(shared_data):
    groups, unused = read_groups(shared_data / "human-bulk-counts")

    estimated = pd.Series(measure_realism(groups).figures())

    committed = pd.Series(load_realism().figures())
    pd.testing.assert_series_equal(estimated, committed, atol=1e-4)
    assert unused == ["GSE91061_melanoma", "seqc_ilm_coh", "seqc_lif_liv"]
