"""The atlas on disk: written, read, resumed, verified."""

import json
import pickle
import shutil
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import zarr
from scipy import sparse

from expressome.atlas import create_atlas, describe_atlas, open_atlas, verify_atlas, write_block
from expressome.atlas.schema import to_storable
from expressome.atlas.shards import block_path
from expressome.engine import Resources
from expressome.errors import (
    AtlasError,
    DamagedFileError,
    InputNotFoundError,
    OutputExistsError,
    SelectionError,
    ShapeError,
)
from expressome.results import LABEL_FIELDS, LabelMatrix

N_SAMPLES, N_GENES = 600, 300


def make_values(n_samples=N_SAMPLES, n_genes=N_GENES):
    values = np.random.default_rng(5).gamma(1, 2, (n_samples, n_genes)).astype(np.float32)
    values[3, 7] = np.nan
    return values


def make_labels(samples):
    table = pd.DataFrame(
        [["liver", "tissue", "digestive", "", "UBERON:0002107"]],
        index=pd.Index(["liver"], name="key"),
        columns=list(LABEL_FIELDS),
    )
    matrix = np.zeros((len(samples), 1), np.uint8)
    matrix[:5] = 1
    return LabelMatrix(samples, table, sparse.csr_array(matrix))


def fill(writer, values, blocks=None):
    """Write blocks as a pipeline does."""
    for block in writer.unfinished if blocks is None else blocks:
        rows = slice(block * 256, (block + 1) * 256)
        detected = values[rows] > 1
        writer.record(write_block(writer.folder, block, values=values[rows], detected=detected))


def finish(writer):
    samples = pd.Index([f"GSM{i}" for i in range(writer.n_samples)])
    obs = pd.DataFrame({"study": "GSE1", "split": "", "series": None}, index=samples)
    obs.loc[samples[:3], "split"] = "train"
    var = pd.DataFrame({"symbol": "S"}, index=[f"ENSG{g}" for g in range(writer.n_genes)])
    writer.write_tables(obs, var, make_labels(samples))
    writer.write_section(
        description={"species": "human"},
        manifest={"verb": "normalize"},
        normalizer={
            "recipe": "log2-quantile",
            "genes": np.array(var.index, dtype=object),
            "profile": np.arange(writer.n_genes, dtype=float),
            "n_samples": np.int64(3),
        },
        distributions={"before": np.zeros((1, 4), np.int64)},
    )


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    """One whole atlas, only read."""
    place = tmp_path_factory.mktemp("master") / "a.zarr"
    values = make_values()
    with create_atlas(place, shape=values.shape, key="k") as writer:
        fill(writer, values)
        finish(writer)
    return place


@pytest.fixture
def path(master, tmp_path):
    """A copy that a test may change."""
    return Path(shutil.copytree(master, tmp_path / "a.zarr"))


def test_what_was_written_is_read(path):
    atlas = open_atlas(path)

    np.testing.assert_array_equal(atlas.read(), make_values())
    np.testing.assert_array_equal(atlas.detected(), make_values() > 1)


def test_anndata_opens_it_without_a_warning(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = anndata.read_zarr(path)

    np.testing.assert_array_equal(found.X, make_values())
    np.testing.assert_array_equal(found.layers["detected"], make_values() > 1)
    assert found.obs_names[1] == "GSM1"
    assert found.var["symbol"].iloc[0] == "S"
    assert found.obsm["labels"].sum() == 5


def test_anndata_reads_it_lazily(path):
    values = anndata.experimental.read_elem_lazy(zarr.open_group(str(path), mode="r")["X"])

    np.testing.assert_array_equal(values[:2].compute(), make_values()[:2])


@pytest.mark.parametrize(
    ("samples", "genes"),
    [
        ([599, 0, 300, 300], None),
        (None, [299, 1, 130, 129]),
        (["GSM7", "GSM3"], ["ENSG200", "ENSG7"]),
        (slice(250, 270), slice(120, 140)),
        (slice(None, None, 7), slice(5, 200, 64)),
        (np.arange(N_SAMPLES) % 5 == 0, np.arange(N_GENES) < 3),
        ([-1], [-1, 0]),
        ([], None),
        (None, []),
    ],
    ids=["order", "genes", "ids", "runs", "steps", "masks", "negative", "no sample", "no gene"],
)
def test_any_selection_equals_that_of_the_array(path, samples, genes):
    def to_index(selection, prefix, n):
        if selection is None:
            return np.arange(n)
        if isinstance(selection, list) and selection and isinstance(selection[0], str):
            return [int(name.removeprefix(prefix)) for name in selection]
        return np.arange(n)[selection] if len(np.shape(selection)) != 1 or len(selection) else []

    rows = np.asarray(to_index(samples, "GSM", N_SAMPLES), int)
    columns = np.asarray(to_index(genes, "ENSG", N_GENES), int)

    found = open_atlas(path).read(samples, genes)

    np.testing.assert_array_equal(found, make_values()[np.ix_(rows, columns)])
    assert found.dtype == np.float32


def test_unknown_samples_are_named(path):
    with pytest.raises(SelectionError, match=r"1 of 2 samples are not in the atlas \(GSM9999\)"):
        open_atlas(path).read(["GSM1", "GSM9999"])
    with pytest.raises(SelectionError, match="choose among its 300 genes"):
        open_atlas(path).read(genes=[300])
    with pytest.raises(SelectionError, match="a mask of 2 for 600 samples"):
        open_atlas(path).read(np.array([True, False]))


@pytest.mark.parametrize("memory_bytes", [64 * 2**20, 2**31])
def test_blocks_cover_the_samples_in_order(path, memory_bytes):
    resources = Resources(memory_bytes=memory_bytes, workers=2)

    spans, parts = zip(*open_atlas(path).blocks(genes=[5, 4], resources=resources), strict=True)

    np.testing.assert_array_equal(np.concatenate(parts), make_values()[:, [5, 4]])
    assert spans[0].start == 0
    assert spans[-1].stop == N_SAMPLES


def test_gene_blocks_cover_the_genes_in_order(path):
    parts = list(open_atlas(path).gene_blocks(resources=Resources(workers=2)))

    np.testing.assert_array_equal(np.hstack([values for _, values in parts]), make_values())


@pytest.mark.parametrize("gene", [0, 127, N_GENES - 1])
def test_one_gene_of_samples_that_follow_each_other(path, gene):
    atlas = open_atlas(path)
    matrix = atlas.matrix("X")

    whole = matrix.read_gene(gene, first_block=0, n_rows=N_SAMPLES)
    rest = matrix.read_gene(gene, first_block=1, n_rows=N_SAMPLES - 256)

    np.testing.assert_array_equal(whole, atlas.read(genes=[gene])[:, 0])
    np.testing.assert_array_equal(rest, whole[256:])


def test_labels_come_back(path):
    labels = open_atlas(path).labels

    assert labels.keys == ["liver"]
    assert labels.is_labelled.sum() == 5
    assert labels.labels.loc["liver", "ontology_id"] == "UBERON:0002107"


def test_a_handle_can_be_pickled_after_use(path):
    atlas = open_atlas(path)
    assert len(atlas.obs) == N_SAMPLES

    again = pickle.loads(pickle.dumps(atlas))

    np.testing.assert_array_equal(again.read([0]), make_values()[:1])


def test_columns_are_added_and_replaced(path):
    atlas = open_atlas(path)
    atlas.update_var(pd.DataFrame({"p95": np.arange(N_GENES)}, index=atlas.var.index))
    atlas.update_var(pd.DataFrame({"p95": np.arange(N_GENES) * 2.0}, index=atlas.var.index))
    atlas.update_obs(pd.DataFrame({"cluster": ["a"] * N_SAMPLES}, index=atlas.obs.index))
    atlas.write_obsm("pca", np.ones((N_SAMPLES, 2)))

    found = open_atlas(path)

    assert list(found.var.columns) == ["symbol", "p95"]
    assert found.var["p95"].iloc[3] == 6
    assert found.obs["cluster"].iloc[0] == "a"
    assert found.element("obsm/pca").shape == (N_SAMPLES, 2)
    assert anndata.read_zarr(path).obsm["pca"].shape == (N_SAMPLES, 2)


def test_columns_of_other_rows_are_refused(path):
    atlas = open_atlas(path)

    with pytest.raises(ShapeError, match="have 2 rows, var 300"):
        atlas.update_var(pd.DataFrame({"p95": [1, 2]}))
    with pytest.raises(ShapeError, match="pca has 2 rows, the atlas 600 samples"):
        atlas.write_obsm("pca", np.ones((2, 2)))


def test_what_a_killed_process_was_writing_is_removed(path):
    atlas = open_atlas(path)
    leftovers = [path / "zarr.0a1b.partial", path / "obsm" / "zarr.0a1b.partial"]
    for place in leftovers:
        place.write_text("{")

    atlas.write_obsm("pca", np.ones((N_SAMPLES, 2)))

    assert not any(place.exists() for place in leftovers)


def test_notes_come_back(path):
    atlas = open_atlas(path)
    atlas.write_note("measured", {"n": 1})

    assert atlas.read_note("measured") == {"n": 1}
    assert atlas.read_note("other") == {}


def test_description_says_what_is_inside(path):
    described = describe_atlas(path)

    assert (described["n_samples"], described["n_genes"]) == (N_SAMPLES, N_GENES)
    assert described["labels"] == {"liver": 5}
    assert described["split"] == {"train": 3}
    assert described["species"] == "human"
    assert not described["is_measured"]
    json.dumps(described)


def test_whole_atlas_is_verified(path):
    assert verify_atlas(path)["n_blocks"] == 6


def test_one_changed_byte_names_array_and_samples(path):
    place = block_path(path, "X", 1)
    content = bytearray(place.read_bytes())
    content[1000] ^= 1
    place.write_bytes(content)

    with pytest.raises(DamagedFileError, match=r"X, samples 256-511 .* has changed"):
        verify_atlas(path)


def test_a_missing_block_names_array_and_samples(path):
    block_path(path, "layers/detected", 2).unlink()

    with pytest.raises(DamagedFileError, match=r"layers/detected, samples 512-599 .* is missing"):
        verify_atlas(path)
    with pytest.raises(DamagedFileError, match="cannot be read"):
        open_atlas(path).detected()


def test_a_cut_block_cannot_be_read(path):
    place = block_path(path, "X", 0)
    place.write_bytes(place.read_bytes()[:-100])

    with pytest.raises(DamagedFileError, match="its index has changed"):
        open_atlas(path).read([0])


def test_a_damaged_table_is_named(path):
    for chunk in (path / "obs" / "study").rglob("c/*"):
        chunk.write_bytes(b"no")

    with pytest.raises(DamagedFileError, match=r"obs of .* cannot be read"):
        verify_atlas(path)


def test_other_folders_are_no_atlas(tmp_path):
    with pytest.raises(AtlasError, match="is not an atlas"):
        open_atlas(tmp_path)
    with pytest.raises(InputNotFoundError, match="does not exist"):
        open_atlas(tmp_path / "absent")


def test_other_format_versions_are_refused(path, monkeypatch):
    monkeypatch.setattr("expressome.atlas.handle.FORMAT_VERSION", "2")

    with pytest.raises(AtlasError, match="has atlas format 1, this version reads 2"):
        open_atlas(path)


class KilledError(RuntimeError):
    """Stands for a kill: no expected failure, so what is finished stays."""


def write_until(place, values, n_written, key="k"):
    with create_atlas(place, shape=values.shape, key=key) as writer:
        fill(writer, values, writer.unfinished[:n_written])
        raise KilledError


def bytes_of(folder):
    files = {name for array in ("X", "layers") for name in (folder / array).rglob("*")}
    return {f.relative_to(folder): f.read_bytes() for f in files if f.is_file()}


@pytest.mark.parametrize("n_written", [0, 1, 2, 3])
def test_a_resumed_atlas_has_the_same_bytes(tmp_path, path, n_written):
    place, values = tmp_path / "b.zarr", make_values()
    with pytest.raises(KilledError):
        write_until(place, values, n_written)
    assert not place.exists()

    with create_atlas(place, shape=values.shape, key="k") as writer:
        assert len(writer.unfinished) == 3 - n_written
        fill(writer, values)
        finish(writer)

    assert bytes_of(place) == bytes_of(path)
    assert not list(place.glob(".*"))
    verify_atlas(place)


def test_a_torn_record_is_written_again(tmp_path, path):
    place, values = tmp_path / "b.zarr", make_values()
    with pytest.raises(KilledError):
        write_until(place, values, 2)
    records = tmp_path / ".b.zarr.partial" / ".progress.jsonl"
    records.write_text(records.read_text()[:-40])

    with create_atlas(place, shape=values.shape, key="k") as writer:
        assert writer.unfinished == [1, 2]
        fill(writer, values, [1])
        text = records.read_text()
        fill(writer, values)
        finish(writer)

    assert all(json.loads(line) for line in text.splitlines())
    assert bytes_of(place) == bytes_of(path)


def test_a_half_written_block_is_written_again(tmp_path):
    place, values = tmp_path / "b.zarr", make_values()
    with pytest.raises(KilledError):
        write_until(place, values, 2)
    block_path(tmp_path / ".b.zarr.partial", "X", 0).write_bytes(b"half")

    with create_atlas(place, shape=values.shape, key="k") as writer:
        assert writer.unfinished == [0, 2]
        fill(writer, values)
        finish(writer)

    verify_atlas(place)


def test_blocks_of_another_run_are_not_reused(tmp_path):
    place, values = tmp_path / "b.zarr", make_values()
    with pytest.raises(KilledError):
        write_until(place, values, 2)

    with create_atlas(place, shape=values.shape, key="other") as writer:
        assert writer.unfinished == [0, 1, 2]
        assert not list(writer.folder.glob("X/c"))
        fill(writer, values)
        finish(writer)


@pytest.mark.parametrize("error", [ShapeError("wrong"), KeyboardInterrupt()], ids=str)
def test_failure_and_interruption_leave_nothing(tmp_path, error):
    with (
        pytest.raises(type(error)),
        create_atlas(tmp_path / "b.zarr", shape=(3, 3), key="k"),
    ):
        raise error

    assert not list(tmp_path.iterdir())


def test_an_atlas_with_unwritten_blocks_is_refused(tmp_path):
    with (
        pytest.raises(AtlasError, match=r"1 blocks of b\.zarr were never written"),
        create_atlas(tmp_path / "b.zarr", shape=(3, 3), key="k"),
    ):
        pass


def test_two_writers_on_one_output_are_refused(tmp_path):
    place = tmp_path / "b.zarr"

    with create_atlas(place, shape=(3, 3), key="k") as writer:
        with (
            pytest.raises(AtlasError, match=r"another process is writing .*b\.zarr"),
            create_atlas(place, shape=(3, 3), key="k"),
        ):
            pass
        fill(writer, np.ones((3, 3), np.float32))
        finish(writer)

    verify_atlas(place)


def test_an_atlas_is_replaced_only_when_asked_and_complete(path):
    before = bytes_of(path)

    with (
        pytest.raises(OutputExistsError, match="exists"),
        create_atlas(path, shape=(3, 3), key="k"),
    ):
        pass
    with (
        pytest.raises(KilledError),
        create_atlas(path, shape=(3, 3), key="k", overwrite=True),
    ):
        raise KilledError
    assert bytes_of(path) == before

    with create_atlas(path, shape=(3, 3), key="k", overwrite=True) as writer:
        fill(writer, np.ones((3, 3), np.float32))
        finish(writer)
    assert open_atlas(path).n_samples == 3


def test_tables_become_storable():
    table = pd.DataFrame(
        {
            "text": ["a", None],
            "category": pd.Categorical(["x", "y"]),
            "whole": pd.array([1, None], dtype="Int64"),
            "flag": [True, False],
        },
        index=[1, 2],
    )

    plain = to_storable(table)

    assert plain["text"].tolist() == ["a", ""]
    assert plain["category"].tolist() == ["x", "y"]
    assert plain["whole"].iloc[0] == 1
    assert np.isnan(plain["whole"].iloc[1])
    assert plain["flag"].dtype == bool
    assert plain.index.tolist() == ["1", "2"]
