"""Commands take the address of a file where they take a file."""

import json

import pytest
from click.testing import CliRunner
from tests.support.build import make_archs4, make_samples
from tests.support.range_server import serve

from expressome.cli.main import cli


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
