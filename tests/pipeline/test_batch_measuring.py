import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.decomposition import PCA
from tests.support.build import make_archs4, make_genes, make_samples

from expressome.atlas import open_atlas
from expressome.engine import Resources
from expressome.pipeline.annotating import annotate
from expressome.pipeline.batch_measuring import measure_batch, partition_variance
from expressome.pipeline.mapping import read_excerpt
from expressome.pipeline.normalizing import normalize

STUDY = np.repeat(np.arange(8), 15)
LABEL = np.tile(np.repeat([0, 1, 2], 5), 8)


def design(rng, *, study=0.0, label=0.0, noise=1.0):
    return (
        study * rng.normal(size=8)[STUDY] + label * rng.normal(size=3)[LABEL]
        + noise * rng.normal(size=120)
    )  # fmt: skip


def share(values, **options):
    columns = np.column_stack(values) if isinstance(values, list) else values[:, None]
    return partition_variance(columns, studies=STUDY, labels=LABEL, **options)


def test_shares_by_hand():
    # Two labels at 0 and 4, two studies at +1 and -1 within each: 16 and 4 of 20 squares.
    scores = np.array([[-3.0], [-1.0], [1.0], [3.0]]).repeat(100, axis=0)
    labels = np.repeat([0, 0, 1, 1], 100)
    studies = np.repeat([0, 1, 0, 1], 100)

    row = partition_variance(scores, studies=studies, labels=labels).iloc[0]

    assert row["label"] == pytest.approx(0.8, abs=1e-3)
    assert row["study_within_label"] == pytest.approx(0.2, abs=1e-3)
    assert row["residual"] == pytest.approx(0, abs=1e-9)
    assert row["study"] == pytest.approx(0.2, abs=3e-3)


def test_shares_are_the_adjusted_r_squared_of_linear_models():
    rng = np.random.default_rng(1)
    values = design(rng, study=1.0, label=2.0)
    columns = {
        "label": pd.get_dummies(LABEL, drop_first=True),
        "study": pd.get_dummies(STUDY, drop_first=True),
        "cells": pd.get_dummies(3 * STUDY + LABEL, drop_first=True),
    }
    expected = {
        name: sm.OLS(values, sm.add_constant(table.astype(float))).fit().rsquared_adj
        for name, table in columns.items()
    }

    row = share(values).iloc[0]

    assert row["label"] == pytest.approx(expected["label"], abs=1e-12)
    assert row["study"] == pytest.approx(expected["study"], abs=1e-12)
    within = expected["cells"] - expected["label"]
    assert row["study_within_label"] == pytest.approx(within, abs=1e-12)


def test_groups_without_effect_explain_nothing_on_average():
    rng = np.random.default_rng(2)

    table = share([design(rng) for _ in range(300)])

    # Without the adjustment 24 cells of 120 samples would explain 0.19 by chance.
    assert table["study_within_label"].mean() < 0.06
    assert table["label"].mean() < 0.02


def test_depth_is_the_squared_correlation():
    rng = np.random.default_rng(3)
    depth = rng.normal(size=120)
    values = 2 * depth + rng.normal(size=120)
    depth[:7] = np.nan

    row = share(values, depth=depth).iloc[0]

    known = np.isfinite(depth)
    expected = np.corrcoef(values[known], depth[known])[0, 1] ** 2
    assert row["depth"] == pytest.approx(expected, abs=1e-12)


def test_without_labels_the_study_alone_is_told():
    rng = np.random.default_rng(4)
    values = design(rng, study=2.0)[:, None]

    row = partition_variance(values, studies=STUDY, labels=np.full(120, -1)).iloc[0]

    assert row["study"] > 0.5
    assert np.isnan(row["label"])
    assert row["residual"] == pytest.approx(1 - row["study"])


def test_only_labelled_samples_are_analysed():
    rng = np.random.default_rng(5)
    values = design(rng, label=3.0)
    some = np.where(np.arange(120) % 4 == 0, -1, LABEL)

    row = partition_variance(values[:, None], studies=STUDY, labels=some).iloc[0]

    used = some >= 0
    expected = partition_variance(values[used][:, None], studies=STUDY[used], labels=LABEL[used])
    assert row.equals(expected.iloc[0])


def test_one_sample_per_study_cannot_be_told():
    table = partition_variance(np.arange(5.0)[:, None], studies=np.arange(5), labels=np.full(5, -1))

    assert np.isnan(table["study"].iloc[0])


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("batch")
    rng = np.random.default_rng(6)
    n_samples, n_genes = 600, 300
    samples = make_samples(n_samples)
    studies = np.arange(n_samples) // 20
    samples["series"] = [f"GSE{100 + study}" for study in studies]
    labels = np.arange(n_samples) % 3
    level = rng.normal(4, 1.5, n_genes)
    shift = rng.normal(0, 1.0, (30, n_genes))[studies] + rng.normal(0, 2.0, (3, n_genes))[labels]
    counts = rng.poisson(np.exp2(np.clip(level + shift, 0, 14)))
    path = make_archs4(folder / "x.h5", samples=samples, genes=make_genes(n_genes), counts=counts)
    sheet = pd.DataFrame({"sample": samples.index, "tissue": np.array(["a", "b", "c"])[labels]})
    # A few without label, as in any compendium.
    sheet.iloc[6:].to_csv(folder / "sheet.csv", index=False)
    annotate(path, folder / "sheet.csv", out=folder / "l.parquet")
    normalize(path, labels=folder / "l.parquet", out=folder / "a.zarr", recipe="log2-quantile")
    return open_atlas(folder / "a.zarr")


def test_components_are_those_of_all_samples(atlas):
    resources = Resources(workers=1)
    excerpt = read_excerpt(atlas, resources=resources)

    found = measure_batch(atlas, excerpt, resources=resources)

    expected = PCA(n_components=10, svd_solver="full").fit(
        atlas.read(genes=excerpt.genes).astype(np.float64)
    )
    np.testing.assert_allclose(
        found.table["variance"], expected.explained_variance_ratio_, rtol=1e-8
    )
    assert (found.n_samples, found.n_studies, found.has_labels) == (594, 30, True)


def test_planted_effects_are_found_and_depth_is_not_one(atlas):
    resources = Resources(workers=1)

    overall = measure_batch(
        atlas, read_excerpt(atlas, resources=resources), resources=resources
    ).overall

    assert overall["label"] > 0.5
    assert 0.1 < overall["study_within_label"] < 0.4
    assert overall["depth"] < 0.1


def test_a_small_budget_gives_the_same_bits(atlas, monkeypatch):
    excerpt = read_excerpt(atlas, resources=Resources(workers=1))

    plenty = measure_batch(atlas, excerpt, resources=Resources(workers=1))
    monkeypatch.setattr("expressome.pipeline.batch_measuring._fits", lambda *_: False)
    little = measure_batch(atlas, excerpt, resources=Resources(2**26, workers=2))

    pd.testing.assert_frame_equal(plenty.table, little.table, check_exact=True)
