"""A newer release in an atlas that exists."""

import inspect
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tests.pipeline.test_appending import COUNTS, GENES, N_GENES, SAMPLES, bytes_of, write_part
from tests.pipeline.test_normalizing import write_label_file
from tests.support.build import make_genes

import expressome
from expressome.atlas import open_atlas, verify_atlas
from expressome.cli import update as update_command
from expressome.cli.main import cli
from expressome.errors import (
    IdentifierError,
    InvalidValueError,
    MissingGenesWarning,
    OutputExistsError,
)
from expressome.normalization.recipe import Normalizer
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize
from expressome.pipeline.updating import update

N_OLD = 300
WITHDRAWN = [5, 290]
CHANGED = [10, 260]


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    folder = tmp_path_factory.mktemp("update")
    write_part(folder / "old.h5", np.arange(N_OLD))
    rows = {"liver": range(0, 240, 2), "brain": range(1, 240, 2)}
    write_label_file(folder / "old.parquet", rows, SAMPLES.index)
    normalize(folder / "old.h5", out=folder / "a.zarr", labels=folder / "old.parquet")
    return folder


@pytest.fixture
def folder(master, tmp_path):
    shutil.copytree(master, tmp_path / "f")
    return tmp_path / "f"


def write_release(path, **changes):
    """Two withdrawn, two with other counts, two with other titles, 20 new; in another order."""
    rows = np.random.default_rng(0).permutation(np.setdiff1d(np.arange(N_OLD + 20), WITHDRAWN))
    counts, samples = COUNTS.copy(), SAMPLES.copy()
    counts[CHANGED, 3] += 5
    samples.iloc[[20, 21], samples.columns.get_loc("title")] = "new title"
    return write_part(path, rows, counts=counts[rows], samples=samples.iloc[rows], **changes)


def test_every_kind_of_change_is_found_and_applied(folder):
    before = open_atlas(folder / "a.zarr")
    obs, values = before.obs, before.read()
    write_release(folder / "new.h5")

    figures = update(folder / "a.zarr", folder / "new.h5", report=folder / "changes.tsv").figures

    assert figures["n_new"] == 20
    assert figures["n_changed_counts"] == 2
    assert figures["n_changed_metadata"] == 2
    assert figures["changed_fields"] == {"title": 2}
    assert figures["n_withdrawn"] == 2
    assert figures["n_unchanged"] == N_OLD - 6
    assert figures["n_dropped"] == 0
    atlas = open_atlas(folder / "a.zarr")
    assert list(atlas.obs.index[:N_OLD]) == list(obs.index)
    assert np.flatnonzero(atlas.obs["withdrawn"]).tolist() == WITHDRAWN
    assert atlas.obs["split"].iloc[:N_OLD].tolist() == obs["split"].tolist()
    assert atlas.labels.is_labelled.sum() == 240
    assert atlas.obs["title"].iloc[20] == "new title"
    now = atlas.read()
    same = np.setdiff1d(np.arange(N_OLD), CHANGED)
    np.testing.assert_array_equal(now[same], values[same])
    counts = COUNTS[CHANGED].copy()
    counts[:, 3] += 5
    expected = Normalizer.from_parts(atlas.normalizer_parts).apply(counts)
    np.testing.assert_array_equal(now[CHANGED], expected)
    np.testing.assert_array_equal(atlas.target.profile, before.target.profile)
    assert set(atlas.obs.index[N_OLD:]) == set(SAMPLES.index[N_OLD : N_OLD + 20])
    verify_atlas(folder / "a.zarr")
    changes = pd.read_csv(folder / "changes.tsv", sep="\t", keep_default_na=False)
    assert changes["change"].value_counts()["new"] == 20
    assert set(changes.loc[changes["change"] == "changed_counts", "id"]) == {"GSM11", "GSM261"}
    assert atlas.read_note("updated")["withdrawn"] == ["GSM6", "GSM291"]
    assert [entry["verb"] for entry in atlas.description["history"]] == ["update"]


@pytest.mark.slow
def test_withdrawn_samples_are_dropped_when_asked(folder):
    before = open_atlas(folder / "a.zarr")
    obs = before.obs
    write_release(folder / "new.h5")

    figures = update(folder / "a.zarr", folder / "new.h5", withdrawn="drop").figures

    atlas = open_atlas(folder / "a.zarr")
    kept = obs.index.delete(WITHDRAWN)
    assert (figures["n_dropped"], figures["n_samples"]) == (2, N_OLD - 2 + 20)
    assert list(atlas.obs.index[: len(kept)]) == list(kept)
    assert atlas.obs["split"].iloc[: len(kept)].tolist() == obs.loc[kept, "split"].tolist()
    same = kept.delete([kept.get_loc(f"GSM{i + 1}") for i in CHANGED])
    np.testing.assert_array_equal(atlas.read(list(same)), before_values(folder, same))
    assert not atlas.obs["withdrawn"].any()
    verify_atlas(folder / "a.zarr")


def before_values(folder, samples):
    rows = [int(name.removeprefix("GSM")) - 1 for name in samples]
    normalizer = Normalizer.from_parts(open_atlas(folder / "a.zarr").normalizer_parts)
    return normalizer.apply(COUNTS[rows])


@pytest.mark.slow
def test_a_second_update_finds_nothing_and_keeps_metrics(folder):
    write_release(folder / "new.h5")
    update(folder / "a.zarr", folder / "new.h5", withdrawn="drop")
    measure(folder / "a.zarr")
    blocks = bytes_of(folder / "a.zarr")

    figures = update(folder / "a.zarr", folder / "new.h5").figures

    assert figures["n_unchanged"] == N_OLD - 2 + 20
    assert (figures["n_new"], figures["n_withdrawn"], figures["n_blocks_written"]) == (0, 0, 0)
    assert figures["dropped"] == []
    assert "mean_cosine" in open_atlas(folder / "a.zarr").var
    assert bytes_of(folder / "a.zarr") == blocks


def test_genes_that_came_and_went_are_named(folder):
    silent = np.flatnonzero((COUNTS[: N_OLD + 20] == 0).mean(axis=0) > 0.5)[:1]
    kept = np.setdiff1d(np.arange(N_GENES), silent)
    counts = np.hstack([COUNTS[:, kept], np.full((len(COUNTS), 1), 9)])
    strange = make_genes(1).rename(index={"ENSG00000000001": "ENSG99999999999"})
    rows = np.arange(N_OLD)
    write_part(
        folder / "new.h5", rows, counts=counts[rows], genes=pd.concat([GENES.iloc[kept], strange])
    )
    had_counts = (COUNTS[:N_OLD, silent] > 0).ravel()

    with pytest.warns(MissingGenesWarning, match="lacks 1 of the target's 60 genes"):
        figures = update(folder / "a.zarr", folder / "new.h5").figures

    assert figures["examples"]["genes_came"] == ["ENSG99999999999"]
    assert figures["examples"]["genes_went"] == [GENES.index[silent[0]]]
    # Only samples that had counts for the gene changed; it is unmeasured in them now.
    assert figures["n_changed_counts"] == had_counts.sum() > 0
    is_missing = np.isnan(open_atlas(folder / "a.zarr").read()[:, silent[0]])
    np.testing.assert_array_equal(is_missing, had_counts)


def test_dry_run_says_what_would_change(folder):
    write_release(folder / "new.h5")
    before = bytes_of(folder / "a.zarr")

    figures = update(folder / "a.zarr", folder / "new.h5", dry_run=True).figures

    assert (figures["dry_run"], figures["n_new"], figures["n_changed_counts"]) == (True, 20, 2)
    assert bytes_of(folder / "a.zarr") == before
    assert "withdrawn" not in open_atlas(folder / "a.zarr").obs


def test_wrong_input_is_refused(folder):
    write_part(folder / "other.h5", np.arange(N_OLD, N_OLD + 9))
    (folder / "there.tsv").write_text("")

    with pytest.raises(IdentifierError, match=r"a\.zarr and other\.h5 share no sample"):
        update(folder / "a.zarr", folder / "other.h5")
    with pytest.raises(InvalidValueError, match="withdrawn is 'x'"):
        update(folder / "a.zarr", folder / "other.h5", withdrawn="x")
    with pytest.raises(OutputExistsError, match=r"there\.tsv exists"):
        update(folder / "a.zarr", folder / "other.h5", report=folder / "there.tsv")


def test_command_has_the_options_of_the_library(folder):
    write_release(folder / "new.h5")
    parameters = inspect.signature(expressome.update).parameters

    given = update_command.update.make_context("test", ["a.zarr", "x.h5"]).params
    result = CliRunner().invoke(cli, ["update", str(folder / "a.zarr"), str(folder / "new.h5")])

    assert set(given) - {"memory", "workers", "cluster", "seed"} == set(parameters) - {"resources"}
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["n_new"] == 20
