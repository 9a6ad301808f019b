"""Gene metrics of an atlas, streamed."""

import inspect
import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.metrics.pairwise import cosine_similarity
from tests.support.build import make_archs4, make_counts, make_genes

from expressome.archs4.reader import open_archs4
from expressome.archs4.writing import write_archs4
from expressome.atlas import open_atlas
from expressome.cli import measure as measure_command
from expressome.cli import normalize as normalize_command
from expressome.cli.main import cli
from expressome.engine import Resources
from expressome.errors import AtlasError, InvalidValueError
from expressome.metrics.similarity import mean_cosine
from expressome.metrics.windows import window_span
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize
from expressome.reference.lengths import load_lengths

N_SAMPLES, N_GENES = 300, 270
COLUMNS = ["p95", "p95_ratio", "mean_cosine", "neighbours_detected"]


def make_atlas(path, counts, **options):
    genes = make_genes(counts.shape[1])
    genes.index = pd.Index(load_lengths("human").index[: counts.shape[1]], name="gene")
    file = make_archs4(path.with_suffix(".h5"), counts=counts, genes=genes)
    normalize(file, out=path, **options)
    return path


@pytest.fixture(scope="module")
def counts():
    counts = make_counts(N_SAMPLES, N_GENES, seed=8)
    counts[:, :5] = 0
    counts[17, 3:5] = 40
    # A gene in 3 of 100 samples: most of its window expresses nothing.
    counts[:, 5] = 0
    counts[:9, 5] = 25
    return counts


@pytest.fixture
def atlas(counts, tmp_path):
    return make_atlas(tmp_path / "a.zarr", counts)


def by_brute_force(values, counts, samples, lengths):
    """Each gene by itself, all pairs; ties by sample id."""
    n_samples, n_genes = values.shape
    start, stop = window_span(n_samples, 100, 95)
    rows = np.argsort(samples)
    table = pd.DataFrame(np.nan, index=range(n_genes), columns=COLUMNS)
    for g in range(n_genes):
        before = values[:, g].astype(float) * lengths[g]
        table.loc[g, "p95"] = np.percentile(values[:, g].astype(float), 95)
        table.loc[g, "p95_ratio"] = np.percentile((1 + before) / (1 + before).mean(), 95)
        window = rows[np.argsort(values[rows, g], kind="stable")][start:stop]
        table.loc[g, "neighbours_detected"] = (counts[window, g] > 0).mean()
        cosines = cosine_similarity(values[window].astype(float))
        table.loc[g, "mean_cosine"] = cosines[np.triu_indices(len(window), 1)].mean()
    n_detected = (counts > 0).sum(axis=0)
    table.loc[n_detected == 0, "mean_cosine"] = np.nan
    table.loc[n_detected == 1, "mean_cosine"] = 0
    return table


def test_equals_brute_force(atlas, counts):
    measure(atlas)

    found = open_atlas(atlas)
    lengths = found.var["length_bp"].to_numpy() / 1000
    expected = by_brute_force(found.read(), counts, found.obs.index.to_numpy(str), lengths)
    for name, rtol in zip(COLUMNS, (1e-12, 1e-12, 1e-5, 1e-12), strict=True):
        np.testing.assert_allclose(found.var[name], expected[name], rtol=rtol, err_msg=name)


def test_ranks_are_of_genes_that_half_of_their_window_detects(atlas):
    measure(atlas)

    var = open_atlas(atlas).var
    is_ranked = var["neighbours_detected"] >= 0.5
    assert var["rank_mean_cosine"].notna().equals(is_ranked)
    assert not is_ranked.iloc[5]
    for name in ("p95", "p95_ratio", "mean_cosine"):
        ranks = var.loc[is_ranked, f"rank_{name}"]
        assert ranks.min() == 1
        assert ranks.idxmin() == var.loc[is_ranked, name].idxmax()


def test_array_function_agrees_where_ids_are_in_order(tmp_path):
    # 99 samples GSM1..GSM99 would sort as text; zero-padded ids keep the order of the rows.
    counts = make_counts(99, 40, seed=2)
    samples = open_archs4(make_archs4(tmp_path / "plain.h5", counts=counts)).samples
    samples.index = pd.Index([f"S{i:03d}" for i in range(99)], name="sample")
    file = make_archs4(tmp_path / "x.h5", counts=counts, samples=samples)
    normalize(file, out=tmp_path / "a", recipe="log2-quantile")

    measure(tmp_path / "a")

    atlas = open_atlas(tmp_path / "a")
    expected = mean_cosine(atlas.read(), detected=counts > 0)
    np.testing.assert_array_equal(atlas.var["mean_cosine"], expected)


@pytest.mark.parametrize(("memory_bytes", "workers"), [(64 * 2**20, 1), (2**30, 3)])
def test_memory_and_threads_leave_no_trace(atlas, memory_bytes, workers):
    measure(atlas)
    first = open_atlas(atlas).var[COLUMNS]

    measure(atlas, resources=Resources(memory_bytes=memory_bytes, workers=workers))

    pd.testing.assert_frame_equal(open_atlas(atlas).var[COLUMNS], first, check_exact=True)


def test_order_of_samples_does_not_matter(counts, tmp_path):
    order = np.random.default_rng(0).permutation(N_SAMPLES)
    whole = open_archs4(make_archs4(tmp_path / "x.h5", counts=counts))
    shuffled = make_archs4(
        tmp_path / "y.h5", counts=counts[order], samples=whole.samples.iloc[order]
    )
    for name, file in (("a", whole.path), ("b", shuffled)):
        normalize(file, out=tmp_path / name, recipe="log2-quantile")
        measure(tmp_path / name)

    first, second = (open_atlas(tmp_path / name).var[COLUMNS] for name in "ab")
    # The target is a float64 mean in another order; its float32 values are the same here.
    np.testing.assert_allclose(second, first, rtol=1e-12)


def test_scales_can_be_chosen(atlas):
    measure(atlas, ratio_scale="after-length", cosine_scale="before-length")

    found = open_atlas(atlas)
    values = found.read().astype(float)
    expected = np.percentile((1 + values) / (1 + values).mean(axis=0), 95, axis=0)
    np.testing.assert_allclose(found.var["p95_ratio"], expected, rtol=1e-12)
    start, stop = window_span(N_SAMPLES, 100, 95)
    ids = np.argsort(found.obs.index.to_numpy(str))
    window = ids[np.argsort(values[ids, 50], kind="stable")][start:stop]
    before = values[window] * found.var["length_bp"].to_numpy()
    cosines = cosine_similarity(before)
    expected = cosines[np.triu_indices(len(window), 1)].mean()
    np.testing.assert_allclose(found.var["mean_cosine"].iloc[50], expected, atol=1e-5)


def test_unmeasured_cells_are_left_out(tmp_path, counts):
    tables = np.repeat([0, 1], [200, 100])
    measured = np.ones((2, N_GENES), bool)
    measured[1, 100:150] = False
    plain = open_archs4(make_archs4(tmp_path / "plain.h5", counts=counts))
    stored = np.where(measured[tables], counts, 0).astype(np.uint32)
    write_archs4(
        tmp_path / "x.h5",
        samples=plain.samples,
        genes=plain.genes,
        blocks=[stored],
        tables=tables,
        measured=measured,
    )
    normalize(tmp_path / "x.h5", out=tmp_path / "a", recipe="log2-quantile")

    measure(tmp_path / "a")

    found = open_atlas(tmp_path / "a")
    values = found.read().astype(float)
    g = 120
    assert found.var["p95"].iloc[g] == np.percentile(values[:200, g], 95)
    ids = np.argsort(found.obs.index.to_numpy(str)[:200])
    start, stop = window_span(200, 100, 95)
    window = ids[np.argsort(values[ids, g], kind="stable")][start:stop]
    common = np.delete(values[window], np.arange(100, 150), axis=1)
    cosines = cosine_similarity(common)
    expected = cosines[np.triu_indices(len(window), 1)].mean()
    np.testing.assert_allclose(found.var["mean_cosine"].iloc[g], expected, atol=1e-5)


def test_measuring_twice_replaces_the_columns(atlas):
    measure(atlas)
    measure(atlas, n_neighbours=20)

    found = open_atlas(atlas)
    assert list(found.var.columns).count("mean_cosine") == 1
    assert found.read_note("measured")["parameters"]["n_neighbours"] == 20


def test_two_samples_are_enough_and_one_is_not(tmp_path):
    for n_samples, is_measured in ((2, True), (1, False)):
        out = tmp_path / str(n_samples)
        file = make_archs4(tmp_path / f"{n_samples}.h5", n_samples=n_samples, n_genes=8)
        normalize(file, out=out, recipe="log2-cpm")
        measure(out)
        assert open_atlas(out).var["mean_cosine"].notna().any() == is_measured


def test_dry_run_changes_nothing(atlas):
    plain = measure(atlas, dry_run=True).figures

    assert plain["passes"] == 2
    assert plain["bytes_read"] > 0
    assert "p95" not in open_atlas(atlas).var


def test_wrong_options_are_named(atlas, tmp_path):
    with pytest.raises(InvalidValueError, match="ratio_scale is 'kb'; choose one of before-length"):
        measure(atlas, ratio_scale="kb")
    with pytest.raises(InvalidValueError, match="n_neighbours is 1"):
        measure(atlas, n_neighbours=1)
    with pytest.raises(AtlasError, match="is not an atlas"):
        measure(tmp_path)


def test_command_prints_one_json_object(atlas):
    result = CliRunner().invoke(cli, ["measure", str(atlas)])

    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["n_genes"] == N_GENES
    assert len(figures["highest_mean_cosine"]) == 10
    assert figures["n_measured"] == N_GENES - 3


@pytest.mark.parametrize(
    ("command", "verb", "required"),
    [
        (normalize_command.normalize, normalize, ["x.h5"]),
        (measure_command.measure, measure, ["a.zarr"]),
    ],
    ids=["normalize", "measure"],
)
def test_options_and_defaults_are_those_of_the_library(command, verb, required):
    parameters = inspect.signature(verb).parameters

    given = command.make_context("test", required).params

    common = {"memory", "workers", "cluster", "seed"}
    assert set(given) - common == set(parameters) - {"resources"}
    for name, parameter in parameters.items():
        if parameter.default is not inspect.Parameter.empty and name != "resources":
            assert given[name] == parameter.default, name
