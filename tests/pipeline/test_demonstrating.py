"""The demo leaves what it promises, resumes, and says that its data are simulated."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from expressome.atlas import open_atlas
from expressome.cli.main import cli
from expressome.errors import InvalidValueError, OutputExistsError
from expressome.outputs import partial_path
from expressome.pipeline import demonstrating
from expressome.pipeline.demonstrating import demo
from expressome.simulation.compendium import list_labels

OUTPUTS = [
    "atlas.zarr",
    "compendium.h5",
    "labels.parquet",
    "manifest.json",
    "model",
    "predictions.parquet",
    "report.html",
    "synthetic.h5ad",
]
STAGES = ["simulate", "annotate", "normalize", "measure", "train", "predict", "augment", "report"]
N_SAMPLES = 256
# A whole small demo: a minute on two free processors, more where they are shared.
PATIENT = pytest.mark.timeout(900)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_too_few_samples_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(InvalidValueError, match=r"n_studies is 6; .* at least 12"):
        demo(out=tmp_path / "demo", samples=100)

    assert names_in(tmp_path) == []


def test_files_of_others_are_not_replaced(tmp_path):
    (tmp_path / "labels.parquet").write_text("precious")

    with pytest.raises(OutputExistsError, match=r"labels\.parquet exists"):
        demo(out=tmp_path, samples=N_SAMPLES)

    assert names_in(tmp_path) == ["labels.parquet"]


def test_an_interrupted_demo_leaves_no_half_file_and_goes_on(tmp_path, monkeypatch):
    def stop(_file, *, out, **_options):
        partial_path(out).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(demonstrating, "normalize", stop)
    with pytest.raises(KeyboardInterrupt):
        demo(out=tmp_path, samples=N_SAMPLES)
    left = names_in(tmp_path)
    lines = []
    with pytest.raises(KeyboardInterrupt):
        demo(out=tmp_path, samples=N_SAMPLES, announce=lines.append)

    assert left == ["compendium.h5", "labels.parquet", "manifest.json"]
    assert lines[0].startswith("[1/8] simulate: skipped")
    assert lines[1].startswith("[2/8] annotate: skipped")
    assert lines[2] == "[3/8] normalize ..."


def test_other_sizes_in_the_same_folder_are_refused(tmp_path, monkeypatch):
    def stop(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(demonstrating, "annotate", stop)
    with pytest.raises(KeyboardInterrupt):
        demo(out=tmp_path, samples=N_SAMPLES)

    with pytest.raises(OutputExistsError, match="n_samples: 256, now 272"):
        demo(out=tmp_path, samples=272)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demonstrated") / "demo"
    arguments = ["demo", "--out", str(folder), "--samples", str(N_SAMPLES)]
    return folder, arguments, CliRunner().invoke(cli, arguments)


@PATIENT
@pytest.mark.slow
def test_the_demo_leaves_exactly_what_the_plan_lists(finished):
    folder, _, result = finished

    assert result.exit_code == 0, result.output
    assert names_in(folder) == OUTPUTS
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["complete"] is True
    assert list(manifest["stages"]) == STAGES


@PATIENT
@pytest.mark.slow
def test_the_demo_prints_one_json_with_time_and_memory_per_stage(finished):
    folder, _, result = finished

    printed = json.loads(result.stdout)

    assert printed["report"] == str(folder / "report.html")
    assert list(printed["stages"]) == STAGES
    assert all(stage["elapsed_s"] >= 0 for stage in printed["stages"].values())
    assert all(stage["peak_memory_bytes"] > 2**20 for stage in printed["stages"].values())
    assert printed["stages"]["simulate"]["figures"]["n_studies"] == N_SAMPLES // 16
    assert "[8/8] report" in result.stderr


@PATIENT
@pytest.mark.slow
def test_the_demo_says_that_its_data_are_simulated(finished):
    folder, _, result = finished

    assert json.loads(result.stdout)["data"].startswith("SIMULATED")
    assert "simulated data" in result.stderr
    assert json.loads((folder / "manifest.json").read_text())["data"].startswith("SIMULATED")
    assert "imulated" in (folder / "report.html").read_text()
    with h5py.File(folder / "compendium.h5") as file:
        assert file["meta/info/simulated"][0].startswith(b"SIMULATED")


@PATIENT
@pytest.mark.slow
def test_predictions_are_for_the_unlabelled_samples(finished):
    folder, _, result = finished
    truth = list_labels(n_samples=N_SAMPLES, n_studies=N_SAMPLES // 16)

    predictions = pd.read_parquet(folder / "predictions.parquet")

    assert sorted(predictions["sample"]) == sorted(truth.unlabelled)
    right = predictions["label"].to_numpy() == truth.truth.loc[predictions["sample"], "label"]
    printed = json.loads(result.stdout)["unlabelled"]
    assert printed["n_samples"] == len(predictions)
    assert printed["share_right"] == pytest.approx(right.mean())
    assert 0 < printed["n_in_unseen_studies"] < len(predictions)


@PATIENT
@pytest.mark.slow
def test_the_atlas_holds_every_sample_with_labels_and_measures(finished):
    atlas = open_atlas(finished[0] / "atlas.zarr")

    assert (atlas.n_samples, atlas.n_genes) == (N_SAMPLES, 19_758)
    assert {"liver", "brain"} <= set(atlas.labels.keys)
    assert np.isfinite(atlas.var["mean_cosine"]).mean() > 0.9


@PATIENT
@pytest.mark.slow
def test_a_finished_demo_is_skipped_and_said_so(finished):
    folder, arguments, _ = finished
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}

    again = CliRunner().invoke(cli, arguments)

    assert again.exit_code == 0
    assert again.stderr.count("skipped, done before") == len(STAGES)
    assert all(stage["skipped"] for stage in json.loads(again.stdout)["stages"].values())
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@PATIENT
@pytest.mark.slow
def test_a_quiet_demo_writes_the_result_only(finished):
    _, arguments, _ = finished

    quiet = CliRunner().invoke(cli, ["--quiet", *arguments])

    assert quiet.exit_code == 0
    assert quiet.stderr == ""
