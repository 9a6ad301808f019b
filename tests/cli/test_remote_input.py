"""Commands take the address of a file where they take a file."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tests.support.build import make_archs4, make_samples
from tests.support.range_server import serve
from tests.support.studies import make_study_atlas

from expressome import open_archs4, open_atlas
from expressome.archs4 import remote
from expressome.cli.main import cli
from expressome.pipeline.training import train


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPRESSOME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EXPRESSOME_TIMEOUT", "0.4")
    monkeypatch.setenv("EXPRESSOME_BACKOFF", "0.01")
    folder = tmp_path / "site"
    folder.mkdir()
    with serve(folder) as running:
        yield running


def run(*arguments):
    result = CliRunner().invoke(cli, [str(item) for item in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_inspect_shows_a_remote_file_like_a_local_one(server):
    path = make_archs4(server.folder / "x.h5", 7, 9)

    _, local, _ = run("inspect", path)
    code, remote, _ = run("inspect", server.url("x.h5"))

    assert code == 0
    assert json.loads(remote) == json.loads(local) | {"path": server.url("x.h5")}


def test_verify_reads_all_of_a_remote_file(server):
    make_archs4(server.folder / "x.h5", 7, 9)

    code, text, _ = run("verify", server.url("x.h5"))

    found = json.loads(text)
    assert (code, found["intact"], found["n_samples"]) == (0, True, 7)
    assert found["size_bytes"] == (server.folder / "x.h5").stat().st_size


def test_annotate_labels_the_samples_of_a_remote_file(server, tmp_path):
    make_archs4(server.folder / "x.h5", samples=make_samples(6), n_genes=3)
    (tmp_path / "sheet.csv").write_text("sample,tissue\nGSM1,liver\nGSM4,liver\n")
    out = tmp_path / "labels.parquet"

    code, text, _ = run("annotate", server.url("x.h5"), tmp_path / "sheet.csv", "--out", out)

    assert code == 0
    assert json.loads(text)["labels"]["liver"]["n_samples"] == 2


def test_a_server_without_ranges_is_one_line_and_exit_1(server):
    make_archs4(server.folder / "x.h5")
    server.gives_ranges = False

    code, text, told = run("inspect", server.url("x.h5"))

    assert (code, text) == (1, "")
    assert "gives no ranges, so get the file whole with `expressome download`" in told
    assert len(told.splitlines()) == 1


@pytest.fixture
def site(server):
    """A file of 300 samples x 200 genes in square chunks, and its address."""
    path = make_archs4(server.folder / "wide.h5", 300, 200, chunks=(50, 50))
    return path, server.url("wide.h5")


def test_search_finds_the_same_in_a_remote_file(site):
    path, url = site
    query = ["liver NOT brain", "--where", "alignedreads>1e6", "--limit", "7"]

    code, remote, _ = run("search", url, *query)

    assert code == 0
    assert remote == run("search", path, *query)[1]
    assert len(remote.splitlines()) == 8


@pytest.mark.parametrize("fault", ["", "error", "stall", "truncate"])
def test_extract_writes_the_same_from_a_remote_file(server, site, tmp_path, fault, monkeypatch):
    path, url = site
    chosen = ["--series", "GSE7,GSE50", "--where", "alignedreads>1e6", "--min-reads", "2"]
    run("extract", path, *chosen, "--out", tmp_path / "local.tsv")
    monkeypatch.setattr(remote, "_sources", {})
    server.faults = ["", fault, "", fault, "", "", fault]

    code, _, told = run("extract", url, *chosen, "--out", tmp_path / "far.tsv")

    assert (code, server.faults) == (0, []), told
    for ending in ("", ".samples.tsv", ".genes.tsv"):
        far = (tmp_path / f"far.tsv{ending}").read_bytes()
        assert far == (tmp_path / f"local.tsv{ending}").read_bytes()


def test_counts_move_little_more_than_the_chunks_that_hold_them(server, tmp_path, rng):
    counts = rng.integers(0, 2**16, (1500, 800), dtype="u4")
    path = make_archs4(server.folder / "big.h5", counts=counts, chunks=(100, 100))
    needed = slice(300, 400)
    with h5py.File(path) as file:
        dataset = file["data/expression"].id
        n_needed = sum(
            dataset.get_chunk_info_by_coord((g, 300)).size for g in range(0, 800, 100)
        )  # fmt: skip
    compendium = open_archs4(server.url("big.h5"))
    # Names and metadata are text of all samples; here only counts are measured.
    _ = compendium.samples, compendium.genes
    n_before = server.n_sent

    found = compendium.counts(needed)

    np.testing.assert_array_equal(found, counts[needed])
    assert n_needed > 2 * 10**5
    assert server.n_sent - n_before <= 1.3 * n_needed


@pytest.mark.parametrize("verb", ["search", "extract", "fetch", "verify", "annotate", "normalize"])
def test_every_reading_command_tells_of_a_server_without_ranges(server, tmp_path, verb):
    make_archs4(server.folder / "x.h5")
    (tmp_path / "sheet.csv").write_text("sample,tissue\nGSM1,liver\n")
    server.gives_ranges = False
    more = {
        "search": ["liver"],
        "extract": ["--out", tmp_path / "y.h5ad"],
        "fetch": ["--random", "2", "--out", tmp_path / "y.h5"],
        "annotate": [tmp_path / "sheet.csv", "--out", tmp_path / "y.parquet"],
        "normalize": ["--out", tmp_path / "y.zarr"],
    }

    code, text, told = run(verb, server.url("x.h5"), *more.get(verb, ()))

    assert (code, text) == (1, "")
    assert told.splitlines()[0] == (
        f"error: {server.url('x.h5')}: the server answers a request for a part with the whole "
        "file (status 200); it gives no ranges, so get the file whole with `expressome "
        "download` and pass its path"
    )
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("y.")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::expressome.errors.ExpressomeWarning")
def test_an_atlas_and_predictions_from_a_remote_file_are_those_of_the_local_one(server, tmp_path):
    tissues, studies = np.repeat(["brain", "liver"], 24), np.repeat(np.arange(12), 4)
    make_study_atlas(server.folder, tissues, studies)
    path, url = server.folder / "compendium.h5", server.url("compendium.h5")
    train(server.folder / "atlas.zarr", out=tmp_path / "model", n_trees=10, time_budget_s=0)

    for source, name in ((path, "local"), (url, "far")):
        code, _, told = run("normalize", source, "--out", tmp_path / f"{name}.zarr")
        assert code == 0, told
        out = tmp_path / f"{name}.parquet"
        code, _, told = run("predict", tmp_path / "model", source, "--out", out)
        assert code == 0, told

    local, far = (open_atlas(tmp_path / f"{name}.zarr") for name in ("local", "far"))
    np.testing.assert_array_equal(far.read(), local.read())
    pd.testing.assert_frame_equal(far.obs, local.obs)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "far.parquet"), pd.read_parquet(tmp_path / "local.parquet")
    )
