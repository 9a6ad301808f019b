"""Recipes on any sample and any gene set."""

import numpy as np
import pytest

from expressome.errors import IdentifierError, InvalidValueError, ShapeError
from expressome.normalization.depth import to_cpm
from expressome.normalization.quantile import apply_target, fit_target, interpolate_profile
from expressome.normalization.recipe import RECIPES, Normalizer, fit_normalizer

GENES = [f"ENSG{g}" for g in range(60)]


@pytest.fixture
def counts(rng):
    return rng.poisson(rng.gamma(0.4, 200, 60), (25, 60)).astype(np.uint32)


@pytest.fixture
def lengths(rng):
    return rng.integers(300, 9000, 60).astype(float)


def fit(recipe, counts, lengths):
    return fit_normalizer(recipe, counts, genes=GENES, length_bp=lengths)


def test_quantile_length_is_quantile_over_kilobases(counts, lengths):
    values = fit("log2-quantile-length", counts, lengths).apply(counts)

    expected = apply_target(counts, fit_target(counts)) / (lengths / 1000)
    np.testing.assert_array_equal(values, expected.astype(np.float32))


def test_bp_reproduces_the_original_numbers(counts, lengths):
    normalizer = fit_normalizer(
        "log2-quantile-length", counts, genes=GENES, length_bp=lengths, length_unit="bp"
    )

    expected = apply_target(counts, fit_target(counts)) / lengths
    np.testing.assert_allclose(normalizer.apply(counts), expected, rtol=1e-6)


def test_log2_cpm_is_the_logarithm_of_cpm(counts, lengths):
    values = fit("log2-cpm", counts, lengths).apply(counts)

    np.testing.assert_allclose(values, np.log2(1 + to_cpm(counts)), rtol=1e-6)


def test_tpm_is_quantile_normalised_without_length(counts, lengths):
    tpm = to_cpm(counts / lengths)

    values = fit("tpm", tpm, lengths).apply(tpm)

    np.testing.assert_array_equal(values, apply_target(tpm, fit_target(tpm)))


@pytest.mark.parametrize("recipe", RECIPES)
def test_order_of_columns_does_not_matter(recipe, counts, lengths, rng):
    normalizer = fit(recipe, counts, lengths)
    order = rng.permutation(60)

    values = normalizer.apply(counts[:, order], genes=[GENES[g] for g in order])

    np.testing.assert_array_equal(values, normalizer.apply(counts))


@pytest.mark.parametrize("recipe", RECIPES)
def test_unknown_genes_are_dropped_before_ranking(recipe, counts, lengths):
    normalizer = fit(recipe, counts, lengths)
    strangers = np.full((25, 7), 10**6, np.uint32)

    values = normalizer.apply(
        np.hstack([strangers, counts]), genes=[f"X{g}" for g in range(7)] + GENES
    )

    np.testing.assert_array_equal(values, normalizer.apply(counts))


def test_missing_genes_are_nan_and_the_target_is_interpolated(counts, lengths):
    normalizer = fit("log2-quantile", counts, lengths)

    values = normalizer.apply(counts[:, :40], genes=GENES[:40])

    assert np.isnan(values[:, 40:]).all()
    shorter = interpolate_profile(normalizer.target.profile, 40)
    for row, sample in zip(values[:, :40], counts[:, :40], strict=True):
        for count in np.unique(sample):
            ranks = np.flatnonzero(np.sort(sample) == count)
            np.testing.assert_allclose(row[sample == count], shorter[ranks].mean(), rtol=1e-5)


@pytest.mark.parametrize("recipe", RECIPES)
def test_mask_and_nan_and_missing_columns_agree(recipe, counts, lengths):
    normalizer = fit(recipe, counts, lengths)
    mask = np.ones(counts.shape, bool)
    mask[:, 50:] = False

    by_mask = normalizer.apply(counts, measured=mask)

    by_nan = normalizer.apply(np.where(mask, counts, np.nan))
    by_columns = normalizer.apply(counts[:, :50], genes=GENES[:50])
    np.testing.assert_array_equal(by_mask, by_nan)
    np.testing.assert_array_equal(by_mask, by_columns)


def test_each_sample_has_its_own_mask(counts, lengths):
    normalizer = fit("log2-quantile", counts, lengths)
    mask = np.ones(counts.shape, bool)
    mask[3, :30] = False
    mask[4, 10:] = False

    values = normalizer.apply(counts, measured=mask)

    for i in (3, 4, 5):
        kept = np.flatnonzero(mask[i])
        alone = normalizer.apply(counts[i : i + 1, kept], genes=[GENES[g] for g in kept])
        np.testing.assert_array_equal(values[i : i + 1], alone)


@pytest.mark.parametrize("recipe", RECIPES)
def test_parts_make_an_equal_normalizer(recipe, counts, lengths):
    normalizer = fit(recipe, counts, lengths)

    again = Normalizer.from_parts(normalizer.to_parts())

    np.testing.assert_array_equal(again.apply(counts), normalizer.apply(counts))
    assert again.genes == normalizer.genes


def test_unknown_recipe_names_the_known_ones(counts):
    with pytest.raises(InvalidValueError, match="no recipe 'tmm'; choose one of log2-quantile-len"):
        fit_normalizer("tmm", counts, genes=GENES)


def test_recipe_without_its_lengths_is_refused(counts):
    with pytest.raises(ShapeError, match="0 lengths for 60 genes"):
        fit_normalizer("log2-quantile-length", counts, genes=GENES)


def test_target_of_other_genes_is_refused(counts):
    with pytest.raises(ShapeError, match="target has 59 genes, there are 60"):
        fit_normalizer("log2-quantile", (), genes=GENES, target=fit_target(counts[:, 1:]))


def test_repeated_gene_is_named(counts, lengths):
    normalizer = fit("log2-quantile", counts, lengths)

    with pytest.raises(IdentifierError, match=r"1 gene ids occur more than once \(ENSG0\)"):
        normalizer.apply(counts[:, :2], genes=["ENSG0", "ENSG0"])


def test_repeated_stranger_is_dropped_like_any_other(counts, lengths):
    normalizer = fit("log2-quantile", counts, lengths)

    values = normalizer.apply(np.hstack([counts[:, :2], counts]), genes=["X", "X", *GENES])

    np.testing.assert_array_equal(values, normalizer.apply(counts))


def test_wrong_shapes_are_named(counts, lengths):
    normalizer = fit("log2-quantile", counts, lengths)

    with pytest.raises(ShapeError, match=r"shape \(25, 3\) for 60 genes"):
        normalizer.apply(counts[:, :3])
    with pytest.raises(ShapeError, match=r"measured has shape \(1, 60\)"):
        normalizer.apply(counts, measured=np.ones((1, 60), bool))
