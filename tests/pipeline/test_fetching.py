"""Some samples of a remote file become a smaller file: same counts, few bytes, resumable."""

import json
import signal
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tests.support.build import make_archs4, make_counts, make_genes, make_samples
from tests.support.range_server import serve

from expressome import open_archs4
from expressome.archs4 import remote
from expressome.archs4.writing import write_archs4
from expressome.cli.main import cli
from expressome.engine import Resources
from expressome.errors import EmptySelectionError, InvalidValueError, LeftOutWarning, RemoteError
from expressome.pipeline import annotate, fetch


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPRESSOME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EXPRESSOME_TIMEOUT", "0.4")
    monkeypatch.setenv("EXPRESSOME_TRIES", "3")
    monkeypatch.setenv("EXPRESSOME_BACKOFF", "0.01")
    monkeypatch.setattr(remote, "_sources", {})
    folder = tmp_path / "site"
    folder.mkdir()
    with serve(folder) as running:
        yield running


@pytest.fixture
def wide(server):
    return make_archs4(server.folder / "wide.h5", 600, 500, chunks=(50, 50))


def test_a_subset_holds_the_counts_fields_and_origin_of_the_whole(server, wide, tmp_path):
    whole = open_archs4(wide)

    summary = fetch(
        server.url("wide.h5"), samples=["GSM77"], series=["GSE3,GSE9"], out=tmp_path / "x.h5"
    )

    rows = [6, 7, 8, 24, 25, 26, 76]
    found = open_archs4(tmp_path / "x.h5")
    np.testing.assert_array_equal(found.counts(), make_counts(600, 500)[rows])
    expected = whole.samples.iloc[rows]
    pd.testing.assert_frame_equal(found.samples[expected.columns], expected)
    pd.testing.assert_frame_equal(found.genes, whole.genes)
    with h5py.File(tmp_path / "x.h5") as file:
        info = {name: field[0].decode() for name, field in file["meta/info"].items()}
    assert (info["source"], info["source-samples"]) == (server.url("wide.h5"), "600")
    assert json.loads(info["manifest"])["inputs"][0]["etag"] == info["source-etag"]
    assert (summary.figures["n_samples"], summary.figures["n_chosen"]) == (7, 7)


def test_few_bytes_more_than_the_chunks_cross_the_network(server, wide, tmp_path):
    plan = fetch(server.url("wide.h5"), samples=["GSM5"], out=tmp_path / "x.h5", dry_run=True)
    n_planned = server.n_sent

    summary = fetch(server.url("wide.h5"), samples=["GSM5"], out=tmp_path / "x.h5")

    assert not plan.figures.get("bytes_moved")
    n_moved = server.n_sent - n_planned
    # HDF5 keeps text in heaps of 64 KiB; each of the fields needs one.
    n_text = 2**16 * len(open_archs4(wide).samples.columns)
    assert n_moved <= 1.3 * plan.figures["bytes_needed"] + n_text
    assert summary.figures["bytes_moved"] == n_moved - 1  # the probe
    assert plan.figures["bytes_needed"] < wide.stat().st_size / 8


def test_a_run_that_broke_off_goes_on_with_what_has_arrived(server, wide, tmp_path, monkeypatch):
    asked = {"series": [f"GSE{k}" for k in range(1, 150)], "out": tmp_path / "x.h5"}
    monkeypatch.setenv("EXPRESSOME_CACHE", str(tmp_path / "other"))
    fetch(server.url("wide.h5"), **asked | {"out": tmp_path / "whole.h5"})
    n_whole, n_requests = server.n_sent, server.n_requests
    monkeypatch.setenv("EXPRESSOME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "_sources", {})
    server.faults = [""] * (n_requests - 4) + ["error"] * 60
    with pytest.raises(RemoteError, match="could not be read in 3 tries"):
        fetch(server.url("wide.h5"), **asked)
    assert not (tmp_path / "x.h5").exists()
    server.faults = []
    monkeypatch.setattr(remote, "_sources", {})  # as in a new process

    fetch(server.url("wide.h5"), **asked)

    rows = np.arange(447)
    found = open_archs4(tmp_path / "x.h5")
    np.testing.assert_array_equal(found.counts(), make_counts(600, 500)[rows])
    # Once, and what was under way on the other connections when the run broke off.
    assert server.n_sent - n_whole <= 1.5 * n_whole


def test_labelled_samples_are_fetched_by_name(server, wide, tmp_path):
    (tmp_path / "sheet.csv").write_text("sample,tissue\nGSM30,liver\nGSM2,liver\n")
    labels = tmp_path / "labels.parquet"
    annotate(wide, [tmp_path / "sheet.csv"], out=labels)

    fetch(server.url("wide.h5"), labels=labels, out=tmp_path / "x.h5")

    assert open_archs4(tmp_path / "x.h5").sample_ids.tolist() == ["GSM2", "GSM30"]


@pytest.mark.filterwarnings("ignore::expressome.errors.LabelWarning")
@pytest.mark.parametrize("form", ["sheet.csv", "list.tsv", "lists"])
def test_samples_are_fetched_by_any_list_that_annotate_takes(server, wide, tmp_path, form):
    (tmp_path / "sheet.csv").write_text("sample,tissue\nGSM30,liver\nGSM2,brain\nGSM9000,liver\n")
    rows = ["GSM30\tliver\ttissue", "GSM2\tbrain\ttissue", "GSM9000\tliver\ttissue"]
    (tmp_path / "list.tsv").write_text("\n".join(["gsm\tlabel\tkind", *rows]))
    folder = tmp_path / "lists" / "tissue_types"
    folder.mkdir(parents=True)
    (folder / "liver.r").write_text('samp = c("GSM30","GSM2","GSM9000","")')

    with pytest.warns(LeftOutWarning, match=r"1 of 3 samples .* not in wide\.h5 \(GSM9000\)"):
        summary = fetch(
            server.url("wide.h5"), labels=tmp_path / form, out=tmp_path / "x.h5", dry_run=False
        )

    assert summary.figures["unknown_samples"] == ["GSM9000"]
    assert open_archs4(tmp_path / "x.h5").sample_ids.tolist() == ["GSM2", "GSM30"]


KILLED = """
import os, signal, sys
from expressome.archs4 import piece_cache
from expressome.pipeline import fetch

write, n_left = piece_cache.PieceCache.write, [int(sys.argv[3])]

def write_and_die(self, start, piece):
    write(self, start, piece)
    n_left[0] -= 1
    if n_left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

piece_cache.PieceCache.write = write_and_die
fetch(sys.argv[1], series=[f"GSE{k}" for k in range(1, 150)], out=sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("n_pieces", [2, 12])
def test_after_a_kill_the_next_fetch_goes_on_and_ends_alike(server, wide, tmp_path, n_pieces):
    url, out = server.url("wide.h5"), tmp_path / "x.h5"
    arguments = [sys.executable, "-c", KILLED, url, str(out), str(n_pieces)]
    killed = subprocess.run(arguments, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    n_before = server.n_sent

    fetch(url, series=[f"GSE{k}" for k in range(1, 150)], out=out)

    np.testing.assert_array_equal(open_archs4(out).counts(), make_counts(600, 500)[:447])
    assert server.n_sent - n_before < wide.stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "site", "x.h5"]


def test_labels_of_another_file_are_told(server, wide, tmp_path):
    other = make_archs4(
        tmp_path / "o.h5", samples=pd.DataFrame({"series": "GSE1"}, index=["A", "B"])
    )
    (tmp_path / "sheet.csv").write_text("sample,tissue\nA,liver\nB,liver\n")
    annotate(other, [tmp_path / "sheet.csv"], out=tmp_path / "labels.parquet")

    with pytest.raises(EmptySelectionError, match=r"none of the 600 .* which lists 2 \(A, B\)"):
        fetch(server.url("wide.h5"), labels=tmp_path / "labels.parquet", out=tmp_path / "x.h5")


def test_conditions_search_and_chance_choose_remote_samples(server, wide, tmp_path):
    resources = Resources(seed=5)

    summary = fetch(
        server.url("wide.h5"),
        search="liver",
        where=["alignedreads>5e7"],
        random=4,
        out=tmp_path / "x.h5",
        resources=resources,
    )

    found = open_archs4(tmp_path / "x.h5").samples
    assert len(found) == 4 == summary.figures["n_samples"]
    assert (found["source"] == "liver").all()
    assert (found["aligned_reads"] > 5e7).all()


def test_what_is_not_in_the_file_is_warned_of_with_numbers(server, wide, tmp_path):
    with pytest.warns(LeftOutWarning, match=r"2 of 3 samples and series asked for are not in wide"):
        fetch(
            server.url("wide.h5"), samples=["GSM1", "X"], series=["GSE999"], out=tmp_path / "x.h5"
        )


def test_asking_for_nothing_points_to_download(server, wide, tmp_path):
    with pytest.raises(InvalidValueError, match="get the whole file with `expressome download`"):
        fetch(server.url("wide.h5"), out=tmp_path / "x.h5")


def test_packed_files_keep_their_record_of_measured_genes(server, tmp_path):
    measured = np.array([[True, True, True], [True, False, True]])
    write_archs4(
        server.folder / "p.h5",
        samples=make_samples(4),
        genes=make_genes(3),
        blocks=[np.arange(12).reshape(4, 3)],
        tables=np.array([0, 0, 1, 1]),
        measured=measured,
    )

    fetch(server.url("p.h5"), samples=["GSM2", "GSM4"], out=tmp_path / "x.h5")

    found = open_archs4(tmp_path / "x.h5").counts()
    np.testing.assert_array_equal(found, [[3, 4, 5], [9, np.nan, 11]])


def test_the_command_fetches_and_prints_what_it_did(server, wide, tmp_path):
    out = tmp_path / "x.h5"

    arguments = ["fetch", server.url("wide.h5"), "--series", "GSE2", "--out", str(out)]
    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["n_samples"] == 3
    assert open_archs4(out).sample_ids.tolist() == ["GSM4", "GSM5", "GSM6"]
