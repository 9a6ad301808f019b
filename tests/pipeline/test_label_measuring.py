"""measure --by label, --approximate and --table."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tests.pipeline.test_normalizing import write_label_file
from tests.support.build import make_archs4, make_counts, make_samples

from expressome.atlas import open_atlas, verify_atlas
from expressome.cli.main import cli
from expressome.engine import Resources
from expressome.errors import InvalidValueError, LabelError, LabelWarning, OutputExistsError
from expressome.metrics.similarity import mean_cosine
from expressome.metrics.within_labels import tau
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize

N_SAMPLES, N_GENES = 420, 300
MEMBERS = {"liver": range(150), "brain": range(150, 300), "rare": range(300, 302)}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("by")
    counts = make_counts(N_SAMPLES, N_GENES, seed=4)
    counts[150:, 7] = 0
    counts[:150, 7] = 90_000
    make_archs4(folder / "x.h5", counts=counts)
    write_label_file(folder / "l.parquet", MEMBERS, make_samples(N_SAMPLES).index)
    with pytest.warns(LabelWarning, match="1 of 3 labels cannot be tested"):
        normalize(
            folder / "x.h5",
            out=folder / "a.zarr",
            labels=folder / "l.parquet",
            recipe="log2-quantile",
        )
    return folder


def test_each_gene_is_measured_within_each_label(inputs, tmp_path):
    with pytest.warns(LabelWarning, match=r"1 of 3 labels have fewer than 3 samples \(rare\)"):
        figures = measure(inputs / "a.zarr", by="label", table=tmp_path / "g.tsv").figures

    atlas = open_atlas(inputs / "a.zarr")
    values = atlas.read().astype(np.float64)
    means = np.array([values[list(rows)].mean(axis=0) for rows in MEMBERS.values()]).T
    p95 = np.array([np.percentile(values[list(r)], 95, axis=0) for r in MEMBERS.values()]).T
    np.testing.assert_allclose(atlas.element("varm/label_mean"), means, rtol=1e-6)
    np.testing.assert_allclose(atlas.element("varm/label_p95"), p95, rtol=1e-6)
    np.testing.assert_allclose(atlas.var["tau"], tau(means[:, :2]), rtol=1e-9)
    assert atlas.var["tau_label"].iloc[7] == "liver"
    assert figures["labels"]["most_specific"][0]["gene"] == atlas.var.index[7]
    assert figures["labels"]["few_samples"] == ["rare"]
    assert figures["labels"]["n_samples"]["rare"] == 2
    assert figures["labels"]["compared"] == ["liver", "brain"]
    table = pd.read_csv(tmp_path / "g.tsv", sep="\t", index_col="gene")
    np.testing.assert_allclose(table["mean:liver"], means[:, 0], rtol=1e-6)
    assert "mean_cosine" in table
    verify_atlas(inputs / "a.zarr")


@pytest.mark.filterwarnings("ignore::expressome.errors.LabelWarning")
@pytest.mark.slow
def test_memory_and_threads_leave_no_trace(inputs):
    found = []
    for resources in (Resources(workers=3), Resources(memory_bytes=64 * 2**20, workers=1)):
        measure(inputs / "a.zarr", by="label", approximate=64, resources=resources)
        atlas = open_atlas(inputs / "a.zarr")
        numbers = atlas.var.select_dtypes("number")
        found.append((atlas.element("varm/label_p95"), numbers.to_numpy(np.float64)))

    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_an_estimate_comes_with_its_measured_error(inputs, tmp_path):
    figures = measure(inputs / "a.zarr", approximate=100).figures["approximate"]
    estimate = open_atlas(inputs / "a.zarr").var
    measure(inputs / "a.zarr", table=tmp_path / "g.parquet")
    exact = open_atlas(inputs / "a.zarr").var

    off = np.abs(estimate["mean_cosine"] - exact["mean_cosine"])
    assert figures["n_dimensions"] == 102
    assert 150 < figures["n_checked"] <= 200  # a gene that no sample detected has no value
    assert figures["share_within_bound_95"] >= 0.95
    assert (off <= np.sqrt(20) * estimate["mean_cosine_error"]).mean() >= 0.95
    assert 0 < figures["highest_absolute_error"] <= off.max() + 1e-9
    # An exact run takes the errors of the estimate away.
    assert "mean_cosine_error" not in exact
    table = pd.read_parquet(tmp_path / "g.parquet").set_index("gene")
    np.testing.assert_array_equal(table["mean_cosine"], exact["mean_cosine"])


def test_wrong_input_is_refused(inputs, tmp_path):
    (tmp_path / "there.tsv").write_text("")
    make_archs4(tmp_path / "x.h5")
    normalize(tmp_path / "x.h5", out=tmp_path / "a.zarr", recipe="log2-cpm")

    with pytest.raises(InvalidValueError, match="by is 'study'"):
        measure(inputs / "a.zarr", by="study")
    with pytest.raises(InvalidValueError, match="0 dimensions"):
        measure(inputs / "a.zarr", approximate=0)
    with pytest.raises(OutputExistsError, match=r"there\.tsv exists"):
        measure(inputs / "a.zarr", table=tmp_path / "there.tsv")
    with pytest.raises(LabelError, match="has no labelled sample"):
        measure(tmp_path / "a.zarr", by="label")


def test_float16_is_off_by_no_more_than_stated(inputs, tmp_path):
    normalize(inputs / "x.h5", out=tmp_path / "h.zarr", recipe="log2-quantile", dtype="float16")
    normalize(inputs / "x.h5", out=tmp_path / "s.zarr", recipe="log2-quantile")
    half, single = open_atlas(tmp_path / "h.zarr"), open_atlas(tmp_path / "s.zarr")

    values, exact = half.read(), single.read()
    measure(tmp_path / "h.zarr")

    assert values.dtype == np.float32
    np.testing.assert_allclose(values, exact, rtol=2**-11, atol=2**-25)
    np.testing.assert_array_equal(half.detected(), single.detected())
    found = open_atlas(tmp_path / "h.zarr").var["mean_cosine"]
    expected = mean_cosine(exact, detected=single.detected())
    assert np.nanmax(np.abs(found - expected)) < 0.01
    verify_atlas(tmp_path / "h.zarr")
    spent = [
        sum(f.stat().st_size for f in (tmp_path / n / "X").rglob("*")) for n in ("h.zarr", "s.zarr")
    ]
    assert spent[0] < 0.6 * spent[1]


@pytest.mark.filterwarnings("ignore::expressome.errors.LabelWarning")
@pytest.mark.slow
def test_command_prints_one_json_object(inputs, tmp_path):
    arguments = ["measure", str(inputs / "a.zarr"), "--by", "label", "--approximate", "128"]

    result = CliRunner().invoke(cli, [*arguments, "--table", str(tmp_path / "g.tsv.gz")])

    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["approximate"]["n_dimensions"] == 129
    assert pd.read_csv(tmp_path / "g.tsv.gz", sep="\t").shape[0] == N_GENES


def test_dry_run_counts_the_pass_by_label(inputs):
    plain = measure(inputs / "a.zarr", dry_run=True).figures

    found = measure(inputs / "a.zarr", by="label", dry_run=True).figures

    assert (plain["passes"], found["passes"]) == (2, 3)
    assert found["bytes_read"] > plain["bytes_read"]
