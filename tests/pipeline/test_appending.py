"""New samples in an atlas that exists."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tests.pipeline.test_normalizing import write_label_file
from tests.support.build import make_archs4, make_counts, make_genes, make_samples

from expressome.atlas import open_atlas, verify_atlas
from expressome.cli.main import cli
from expressome.engine import Resources
from expressome.errors import (
    AtlasError,
    ConfigurationError,
    IdentifierError,
    LabelWarning,
    LeftOutWarning,
    MissingGenesWarning,
    ScaleMismatchError,
    SelectionError,
    StudyWarning,
)
from expressome.outputs import restore_path
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize
from expressome.reference.lengths import load_lengths

N_OLD, N_NEW, N_GENES = 300, 280, 60
COUNTS = make_counts(N_OLD + N_NEW, N_GENES, seed=11)
SAMPLES = make_samples(N_OLD + N_NEW)
GENES = make_genes(N_GENES).set_index(
    pd.Index(load_lengths("human").index[:N_GENES], name="gene", dtype=object)
)


def write_part(path, rows, **changes):
    return make_archs4(
        path, **{"counts": COUNTS[rows], "samples": SAMPLES.iloc[rows], "genes": GENES} | changes
    )


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    """Old and new file, labels, and the atlas of the old one; only read."""
    folder = tmp_path_factory.mktemp("append")
    write_part(folder / "old.h5", np.arange(N_OLD))
    write_part(folder / "new.h5", np.arange(N_OLD, N_OLD + N_NEW))
    write_part(folder / "all.h5", np.arange(N_OLD + N_NEW))
    rows = {"liver": range(0, 240, 2), "brain": range(1, 240, 2)}
    write_label_file(folder / "old.parquet", rows, SAMPLES.index)
    rows = {"lung": range(300, 500, 2), "brain": range(301, 500, 2)}
    write_label_file(folder / "new.parquet", rows, SAMPLES.index)
    normalize(folder / "old.h5", out=folder / "a.zarr", labels=folder / "old.parquet")
    return folder


@pytest.fixture
def folder(master, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(master, tmp_path / "f")
    return tmp_path / "f"


def bytes_of(atlas):
    return {
        f.relative_to(atlas): f.read_bytes()
        for array in ("X", "layers")
        for f in sorted((atlas / array).rglob("*"))
        if f.is_file()
    }


def test_an_extended_atlas_has_the_bytes_of_one_made_at_once(folder):
    figures = normalize(folder / "new.h5", append=folder / "a.zarr").figures
    normalize(folder / "all.h5", out=folder / "b.zarr", target=folder / "a.zarr")

    assert bytes_of(folder / "a.zarr") == bytes_of(folder / "b.zarr")
    first, second = open_atlas(folder / "a.zarr"), open_atlas(folder / "b.zarr")
    assert list(first.obs.index) == list(SAMPLES.index)
    for column in ("n_detected", "counts_hash", "title", "aligned_reads", "series", "study"):
        assert first.obs[column].tolist() == second.obs[column].tolist(), column
    pd.testing.assert_series_equal(first.var["n_detected"], second.var["n_detected"])
    assert (figures["n_added"], figures["n_skipped"]) == (N_NEW, 0)
    assert (figures["n_blocks_kept"], figures["n_blocks_written"]) == (1, 2)
    assert verify_atlas(folder / "a.zarr")["n_blocks"] == 6
    assert first.manifest["verb"] == "normalize"
    assert [entry["verb"] for entry in first.description["history"]] == ["append"]


def test_split_of_old_samples_stays_and_new_ones_take_their_studys_part(folder):
    before = open_atlas(folder / "a.zarr").obs
    samples = SAMPLES.iloc[N_OLD:].copy()
    known = before["split"] != ""
    wanted = {part: before[known & (before["split"] == part)] for part in ("train", "test")}
    samples.iloc[:3, 0] = wanted["test"]["series"].iloc[0]
    samples.iloc[3:6, 0] = f"{wanted['train']['series'].iloc[0]},GSE9999"
    write_part(folder / "new.h5", np.arange(N_OLD, N_OLD + N_NEW), samples=samples)

    figures = normalize(
        folder / "new.h5", append=folder / "a.zarr", labels=folder / "new.parquet"
    ).figures

    atlas = open_atlas(folder / "a.zarr")
    obs = atlas.obs
    assert obs["split"].iloc[:N_OLD].tolist() == before["split"].tolist()
    assert set(obs["split"].iloc[N_OLD : N_OLD + 3]) == {"test"}
    assert set(obs["split"].iloc[N_OLD + 3 : N_OLD + 6]) == {"train"}
    assert obs[obs["split"] != ""].groupby("study")["split"].nunique().max() == 1
    assert atlas.labels.keys == ["liver", "brain", "lung"]
    assert atlas.labels.is_labelled.sum() == 240 + 200
    assert (obs["split"] != "").sum() == 440
    shares = obs.loc[obs["split"] != "", "split"].value_counts(normalize=True)
    assert shares["train"] == pytest.approx(0.7, abs=0.05)
    assert sum(figures["n_new_per_part"].values()) == 200
    assert (
        atlas.description["split_report"]["n_samples"]["train"] == (obs["split"] == "train").sum()
    )


@pytest.mark.slow
def test_a_sample_that_ties_parts_together_gets_none(folder):
    before = open_atlas(folder / "a.zarr").obs
    ends = [before.loc[before["split"] == part, "series"].iloc[0] for part in ("train", "test")]
    samples = SAMPLES.iloc[N_OLD:].copy()
    samples.iloc[0, 0] = ",".join(ends)
    write_part(folder / "new.h5", np.arange(N_OLD, N_OLD + N_NEW), samples=samples)

    with pytest.warns(StudyWarning, match="1 studies of different parts turn out to be connected"):
        figures = normalize(
            folder / "new.h5", append=folder / "a.zarr", labels=folder / "new.parquet"
        ).figures

    obs = open_atlas(folder / "a.zarr").obs
    assert obs["split"].iloc[N_OLD] == ""
    assert obs["split"].iloc[:N_OLD].tolist() == before["split"].tolist()
    assert obs["study"].iloc[:N_OLD].tolist() == before["study"].tolist()
    assert figures["n_new_without_part"] == 1


def test_a_copy_of_an_old_sample_takes_its_part(folder):
    before = open_atlas(folder / "a.zarr").obs
    old = int(np.flatnonzero(before["split"] == "test")[0])
    counts = COUNTS[N_OLD:].copy()
    counts[0] = COUNTS[old]
    write_part(folder / "new.h5", np.arange(N_OLD, N_OLD + N_NEW), counts=counts)

    normalize(folder / "new.h5", append=folder / "a.zarr", labels=folder / "new.parquet")

    obs = open_atlas(folder / "a.zarr").obs
    # The whole study of the copy comes along.
    assert set(obs["split"].iloc[N_OLD : N_OLD + 3]) == {"test"}
    assert obs["study"].iloc[N_OLD] == obs["study"].iloc[old]


@pytest.mark.slow
def test_metrics_and_maps_of_the_old_samples_are_dropped_and_named(folder):
    measure(folder / "a.zarr")
    open_atlas(folder / "a.zarr").write_obsm("pca", np.ones((N_OLD, 2)))

    figures = normalize(folder / "new.h5", append=folder / "a.zarr").figures

    assert "var/mean_cosine" in figures["dropped"]
    assert "obsm/pca" in figures["dropped"]
    atlas = open_atlas(folder / "a.zarr")
    assert "p95" not in atlas.var
    assert "length_bp" in atlas.var
    measure(folder / "a.zarr")
    assert open_atlas(folder / "a.zarr").var["mean_cosine"].notna().all()


@pytest.mark.slow
def test_known_samples_are_skipped_or_refused(folder):
    with pytest.warns(LeftOutWarning, match=r"300 samples are in a\.zarr already \(GSM1, GSM2"):
        figures = normalize(folder / "all.h5", append=folder / "a.zarr").figures
    assert (figures["n_added"], figures["n_skipped"]) == (N_NEW, 300)

    with pytest.warns(LeftOutWarning, match="280 samples"):
        again = normalize(folder / "new.h5", append=folder / "a.zarr").figures
    assert again["n_added"] == 0

    with pytest.raises(SelectionError, match=r"280 samples are in a\.zarr already"):
        normalize(folder / "new.h5", append=folder / "a.zarr", duplicates="error")


def test_genes_that_differ_are_dropped_or_nan(folder):
    order = np.r_[40:10:-1, 45]
    strange = pd.DataFrame(
        {"symbol": ["NEW"], "biotype": ["lncRNA"]}, index=pd.Index(["ENSG99999999999"], name="gene")
    )
    counts = np.hstack([COUNTS[N_OLD:, order], np.full((N_NEW, 1), 7)])
    genes = pd.concat([GENES.iloc[order], strange])
    write_part(folder / "new.h5", np.arange(N_OLD, N_OLD + N_NEW), counts=counts, genes=genes)

    with pytest.warns(MissingGenesWarning, match="lacks 29 of the target's 60 genes"):
        figures = normalize(folder / "new.h5", append=folder / "a.zarr").figures

    atlas = open_atlas(folder / "a.zarr")
    values = atlas.read()
    np.testing.assert_array_equal(np.isnan(values[N_OLD:]).all(axis=0), ~np.isin(range(60), order))
    assert not np.isnan(values[:N_OLD]).any()
    assert (figures["n_genes_missing"], figures["n_genes_left_out"]) == (29, 1)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"species": "mouse", "genes": make_genes(60, "mouse")}, IdentifierError, "mouse genes"),
        ({"layout": "tpm", "genes": GENES}, IdentifierError, "transcript level"),
        ({"dtype": "f4"}, ScaleMismatchError, "holds tpm, a.zarr was made from counts"),
    ],
    ids=["species", "level", "unit"],
)
def test_files_of_another_kind_are_refused(folder, changes, error, match):
    before = bytes_of(folder / "a.zarr")
    write_part(folder / "new.h5", np.arange(N_OLD, N_OLD + N_NEW), **changes)

    with pytest.raises(error, match=match):
        normalize(folder / "new.h5", append=folder / "a.zarr")

    assert bytes_of(folder / "a.zarr") == before


def test_decided_options_are_refused(folder):
    with pytest.raises(ConfigurationError, match=r"so recipe, overwrite cannot be given"):
        normalize(folder / "new.h5", append=folder / "a.zarr", recipe="tpm", overwrite=True)
    with pytest.raises(ConfigurationError, match="no output is named"):
        normalize(folder / "new.h5")


@pytest.mark.slow
def test_labels_of_no_new_sample_are_said(folder):
    path = write_label_file(folder / "l.parquet", {"liver": [0, 1], "brain": [2]}, SAMPLES.index)

    with (
        pytest.warns(LeftOutWarning, match="300 samples are in"),
        pytest.warns(LabelWarning, match=r"none of the 280 new samples carries a label of l\.parq"),
    ):
        normalize(folder / "all.h5", append=folder / "a.zarr", labels=path)


def test_an_atlas_without_fingerprints_is_refused(folder):
    shutil.rmtree(folder / "a.zarr" / "obs" / "counts_hash")
    path = folder / "a.zarr" / "obs" / "zarr.json"
    described = json.loads(path.read_text())
    described["attributes"]["column-order"].remove("counts_hash")
    path.unlink()
    path.write_text(json.dumps(described))

    with pytest.raises(AtlasError, match="keeps no fingerprints of counts"):
        normalize(folder / "new.h5", append=folder / "a.zarr")


@pytest.mark.slow
def test_float16_stays_float16(folder):
    normalize(folder / "old.h5", out=folder / "h.zarr", dtype="float16")

    normalize(folder / "new.h5", append=folder / "h.zarr")

    atlas = open_atlas(folder / "h.zarr")
    assert atlas.dtype == np.float16
    assert atlas.n_samples == N_OLD + N_NEW
    verify_atlas(folder / "h.zarr")


def test_dry_run_changes_nothing(folder):
    before = bytes_of(folder / "a.zarr")

    figures = normalize(folder / "new.h5", append=folder / "a.zarr", dry_run=True).figures

    assert figures["n_added"] == N_NEW
    assert bytes_of(folder / "a.zarr") == before
    assert open_atlas(folder / "a.zarr").n_samples == N_OLD


def test_command_prints_one_json_object(folder):
    arguments = ["normalize", str(folder / "new.h5"), "--append", str(folder / "a.zarr")]

    result = CliRunner().invoke(cli, arguments)
    both = CliRunner().invoke(cli, [*arguments, "--out", "b.zarr"])

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["n_added"] == N_NEW
    assert both.exit_code == 2
    assert "either --out" in both.output


def test_a_swap_killed_between_its_moves_is_undone(tmp_path):
    (tmp_path / ".a.zarr.retired").mkdir()

    restore_path(tmp_path / "a.zarr")

    assert (tmp_path / "a.zarr").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_append_leaves_the_old_atlas_and_is_completed(folder, seed):
    normalize(folder / "all.h5", out=folder / "b.zarr", target=folder / "a.zarr")
    old = bytes_of(folder / "a.zarr")
    command = [
        sys.executable, "-c", "from expressome.__main__ import main; main()", "-q",
        "normalize", str(folder / "new.h5"), "--append", str(folder / "a.zarr"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    partial = Path(folder / ".a.zarr.partial")
    deadline = time.monotonic() + 60
    while not (partial / ".progress.jsonl").is_file() and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(np.random.default_rng(seed).uniform(0, 0.5))
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    process.stderr.close()

    left = bytes_of(folder / "a.zarr")
    assert left in (old, bytes_of(folder / "b.zarr"))
    verify_atlas(folder / "a.zarr")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    assert bytes_of(folder / "a.zarr") == bytes_of(folder / "b.zarr")
    assert not [p for p in folder.iterdir() if p.name.startswith(".a.zarr.")] or left != old
    verify_atlas(folder / "a.zarr")


@pytest.mark.parametrize("memory_bytes", [64 * 2**20, 2**30])
@pytest.mark.slow
def test_memory_and_threads_leave_no_trace(folder, memory_bytes):
    shutil.copytree(folder / "a.zarr", folder / "b.zarr")
    normalize(folder / "new.h5", append=folder / "a.zarr")

    resources = Resources(memory_bytes=memory_bytes, workers=1)
    normalize(folder / "new.h5", append=folder / "b.zarr", resources=resources)

    assert bytes_of(folder / "a.zarr") == bytes_of(folder / "b.zarr")
