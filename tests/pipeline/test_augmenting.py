"""From an atlas to synthetic samples with their provenance and figures."""

import json
import warnings

import anndata
import numpy as np
import pytest
from click.testing import CliRunner
from tests.support.studies import make_study_atlas

from expressome.atlas import open_atlas
from expressome.augmentation import generator
from expressome.augmentation.baselines import METHODS
from expressome.augmentation.fidelity import METRICS
from expressome.cli.augment import METHODS as COMMAND_METHODS
from expressome.cli.main import cli
from expressome.engine import Resources
from expressome.errors import InvalidValueError, LabelError, LabelWarning, OutputExistsError
from expressome.pipeline.augmenting import augment
from expressome.pipeline.synthesis import read_material


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two tissues in 12 studies each, brain with two samples, lung with one."""
    place = tmp_path_factory.mktemp("augmenting")
    tissues = np.repeat(["liver", "heart"], 48)
    studies = np.repeat(np.arange(24), 4)
    tissues = np.concatenate([tissues, ["brain", "brain", "lung", "liver"]])
    studies = np.concatenate([studies, [24, 24, 25, 26]])
    with warnings.catch_warnings():
        # Brain and lung are held by one study each, and normalize says so.
        warnings.simplefilter("ignore", LabelWarning)
        make_study_atlas(place, tissues, studies, labelled=studies < 26)
    return place


@pytest.fixture(scope="module")
def made(folder):
    """Thirty samples of liver by the generator, with what was said of them."""
    out = folder / "liver.h5ad"
    summary = augment(folder / "atlas.zarr", labels="liver", n_samples=30, out=out)
    return anndata.read_h5ad(out), summary


def test_samples_lie_on_the_atlas_genes_and_scale(folder, made):
    samples, _ = made
    atlas = open_atlas(folder / "atlas.zarr")

    real = atlas.read(np.flatnonzero((atlas.obs["split"] == "train").to_numpy()))
    divisor = 1000 / atlas.var["length_bp"].to_numpy()

    assert samples.shape == (30, atlas.n_genes)
    assert samples.var_names.tolist() == atlas.var.index.tolist()
    assert samples.X.dtype == np.float32
    assert samples.X.min() >= 0
    # Times length, every synthetic sample has the sorted values of a real one.
    sorted_real = np.sort(real / divisor, axis=1)
    for row in np.sort(samples.X / divisor, axis=1):
        assert np.abs(sorted_real - row).max(axis=1).min() < 1e-3


def test_every_sample_tells_its_origin(made):
    samples, summary = made

    assert set(samples.obs["label"]) == {"liver"}
    assert samples.obs["synthetic"].all()
    assert set(samples.obs["method"]) == {"gan"}
    assert set(samples.obs["model_hash"]) == {summary.figures["model_hash"]}
    assert set(samples.obs["seed"]) == {0}
    assert samples.obs_names.is_unique


def test_notes_hold_fidelity_curve_and_manifest(made):
    samples, summary = made

    notes = json.loads(samples.uns["expressome"])

    assert notes["fidelity"]["gan"].keys() == {*METRICS, "nearest_neighbour_ratio"}
    assert notes["fidelity"]["gan"]["two_sample_auc"].keys() == {"value", "ceiling", "floor"}
    assert notes["training"][0]["step"] == 0
    assert notes["manifest"]["parameters"]["method"] == "gan"
    assert json.loads(summary.to_json())["fidelity"] == notes["fidelity"]


def test_synthetic_samples_are_nearer_to_real_ones_than_noise(made):
    _, summary = made
    found = summary.figures["fidelity"]["gan"]

    assert found["markers_kept"]["value"] > found["markers_kept"]["floor"]
    assert found["frechet_distance"]["value"] < found["frechet_distance"]["floor"]
    assert summary.figures["passes_copy_check"] == {"gan": True}


def test_same_seed_same_file_content(folder, made):
    samples, _ = made
    out = folder / "again.h5ad"

    augment(folder / "atlas.zarr", labels=["liver"], n_samples=30, out=out)

    np.testing.assert_array_equal(anndata.read_h5ad(out).X, samples.X)


@pytest.mark.slow
def test_a_run_stopped_in_training_goes_on_to_the_same_samples(folder, made, monkeypatch):
    samples, _ = made
    out = folder / "stopped.h5ad"
    state = folder / ".stopped.h5ad.training.npz"
    write = generator.write_checkpoint

    def write_then_die(path, checkpoint):
        write(path, checkpoint)
        if len(checkpoint.curve) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(generator, "write_checkpoint", write_then_die)
        with pytest.raises(KeyboardInterrupt):
            augment(folder / "atlas.zarr", labels="liver", n_samples=30, out=out)
    assert state.exists()
    assert not out.exists()

    augment(folder / "atlas.zarr", labels="liver", n_samples=30, out=out)

    np.testing.assert_array_equal(anndata.read_h5ad(out).X, samples.X)
    assert not state.exists()


def test_held_back_and_test_samples_are_never_seen(folder):
    atlas = open_atlas(folder / "atlas.zarr")
    divisor = 1000 / atlas.var["length_bp"].to_numpy()
    parts = atlas.obs["split"].astype(str).to_numpy()

    material = read_material(atlas, ["liver"], resources=Resources())

    test = atlas.read(np.flatnonzero(parts == "test")) / divisor
    hidden = np.vstack([test, material.held_back["liver"]])
    nearest = np.abs(material.training.values[:, None] - hidden[None]).max(axis=2).min(axis=0)
    assert (nearest > 1e-3).all()
    n_held = len(material.held_back["liver"])
    assert material.training.n_samples + n_held == (parts == "train").sum()


def test_oversampling_is_reported_as_copying(folder, caplog):
    summary = augment(
        folder / "atlas.zarr",
        labels="liver",
        n_samples=10,
        method="oversampling",
        out=folder / "copies.h5ad",
    )

    assert summary.figures["n_copies"] == {"liver": {"oversampling": 10}}
    assert summary.figures["passes_copy_check"] == {"oversampling": False}
    assert "10 of 10 samples of liver made by oversampling repeat training" in caplog.text


@pytest.mark.slow
def test_new_studies_are_laid_on_the_samples(folder, made):
    samples, _ = made
    out = folder / "new.h5ad"

    augment(folder / "atlas.zarr", labels="liver", n_samples=30, out=out, studies="new")

    assert np.abs(anndata.read_h5ad(out).X - samples.X).mean() > 0.01


def test_study_effects_work_from_one_sample(folder):
    out = folder / "lung.h5ad"

    summary = augment(
        folder / "atlas.zarr", labels="lung", n_samples=12, out=out, method="study-effects"
    )

    assert anndata.read_h5ad(out).n_obs == 12
    assert summary.figures["compared_with"]["lung"].startswith("1 training samples")
    assert json.loads(summary.to_json())["fidelity"]["study-effects"]["mmd"]["value"] is None


@pytest.mark.slow
def test_evaluate_measures_every_method(folder):
    summary = augment(
        folder / "atlas.zarr",
        labels=["liver", "heart"],
        n_samples=20,
        out=folder / "all.h5ad",
        evaluate=True,
    )

    assert set(summary.figures["fidelity"]) == set(METHODS)
    assert anndata.read_h5ad(folder / "all.h5ad").obs["label"].value_counts().to_dict() == {
        "liver": 20,
        "heart": 20,
    }
    ceilings = {found["coverage"]["ceiling"] for found in summary.figures["fidelity"].values()}
    assert len(ceilings) == 1


def test_few_samples_are_refused_before_anything_is_written(folder):
    out = folder / "brain.h5ad"

    with pytest.raises(LabelError, match=r"'brain' has 2 training samples, .* needs 3"):
        augment(folder / "atlas.zarr", labels="brain", n_samples=5, out=out)

    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples is 0"),
        ({"method": "magic"}, "method is 'magic'; choose one of gan, oversampling"),
        ({"depth": 0}, "depth is 0; choose 1 to 2147483647"),
        ({"studies": "old"}, "studies is 'old'; choose seen or new"),
    ],
    ids=["samples", "method", "depth", "studies"],
)
def test_options_outside_their_range_are_refused(folder, options, message):
    asked = {"labels": "liver", "n_samples": 5, "out": folder / "no.h5ad"} | options

    with pytest.raises(InvalidValueError, match=message):
        augment(folder / "atlas.zarr", **asked)


def test_no_label_asked_is_refused(folder):
    with pytest.raises(LabelError, match="no label is asked for"):
        augment(folder / "atlas.zarr", labels=[], n_samples=5, out=folder / "no.h5ad")


def test_an_existing_file_is_kept(folder, made):
    with pytest.raises(OutputExistsError, match=r"liver\.h5ad exists"):
        augment(folder / "atlas.zarr", labels="liver", n_samples=5, out=folder / "liver.h5ad")


def test_the_command_prints_one_object(folder):
    out = folder / "command.h5ad"
    words = ["augment", str(folder / "atlas.zarr"), "--label", "liver", "--label", "heart"]
    words += ["--samples", "8", "--method", "mixup", "--out", str(out)]

    result = CliRunner().invoke(cli, words)

    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["n_samples"] == 16
    assert set(printed["fidelity"]["mixup"]["precision"]) == {"value", "ceiling", "floor"}
    assert anndata.read_h5ad(out).n_obs == 16


def test_the_command_refuses_an_unknown_label_in_one_line(folder):
    words = ["augment", str(folder / "atlas.zarr"), "--label", "livr", "--samples", "8"]

    result = CliRunner().invoke(cli, [*words, "--out", str(folder / "no.h5ad")])

    assert result.exit_code == 1
    assert result.stderr.startswith("error: label 'livr' is not among the 4 labels")
    assert "close: liver" in result.stderr
    assert not (folder / "no.h5ad").exists()


def test_counts_are_whole_and_of_the_depth_asked(folder):
    out = folder / "counts.h5ad"
    words = ["augment", str(folder / "atlas.zarr"), "--label", "liver", "--samples", "5"]
    words += ["--method", "smote", "--as", "counts", "--depth", "20000", "--out", str(out)]

    result = CliRunner().invoke(cli, words)

    assert result.exit_code == 0, result.output
    counts = anndata.read_h5ad(out).X
    assert np.issubdtype(counts.dtype, np.integer)
    assert (counts.sum(axis=1) == 20_000).all()
    assert json.loads(result.stdout)["unit"] == "counts"


def test_counts_without_a_depth_are_a_usage_error(folder):
    words = ["augment", str(folder / "atlas.zarr"), "--label", "liver", "--samples", "5"]

    result = CliRunner().invoke(cli, [*words, "--as", "counts", "--out", str(folder / "no.h5ad")])

    assert result.exit_code == 2
    assert "--as counts and --depth N go together" in result.stderr


def test_the_command_offers_the_methods_of_the_library():
    assert COMMAND_METHODS == METHODS
