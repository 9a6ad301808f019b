"""The commands `inspect` and `verify`."""

import json

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from tests.support.build import make_archs4, make_genes, make_samples

from expressome.cli.inspect import _show_table
from expressome.cli.main import cli
from expressome.manifest import hash_file
from expressome.pipeline.normalizing import normalize
from expressome.reference.lengths import load_lengths


def call(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def damaged(tmp_path):
    path = make_archs4(tmp_path / "human.h5", 30, 40, chunks=(20, 10))
    with h5py.File(path, "a") as file:
        identity = file["data/expression"].id
        for origin in ((0, 10), (20, 20)):
            mask, raw = identity.read_direct_chunk(origin)
            identity.write_direct_chunk(origin, raw[: len(raw) // 2], mask)
    return path


def test_inspect_prints_what_is_in_a_file(tmp_path):
    genes = make_genes(8)
    genes["symbol"] = ["A", "A", "A", "B", "B", "C", "", ""]
    genes.index = [*genes.index[:6], "symbol:X", "symbol:Y"]
    path = make_archs4(tmp_path / "x.h5", 7, genes=genes, chunks=(4, 3), shuffle=True)

    result = call("inspect", path)

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "verb": "inspect",
        "kind": "archs4",
        "ensembl_symbol_agreement": None,
        "path": str(path),
        "bytes": path.stat().st_size,
        "release": "2.6",
        "layout": "v2.3-v2.6",
        "axes": ["genes", "samples"],
        "species": "human",
        "level": "gene",
        "unit": "counts",
        "dtype": "uint32",
        "chunks": [4, 3],
        "compression": "gzip",
        "shuffle": True,
        "n_samples": 7,
        "n_genes": 8,
        "n_studies": 3,
        "n_samples_without_series": 0,
        "fields": {
            "samples": [
                "alignedreads",
                "characteristics_ch1",
                "geo_accession",
                "organism_ch1",
                "platform_id",
                "series_id",
                "singlecellprobability",
                "source_name_ch1",
                "title",
            ],
            "genes": ["biotype", "ensembl_gene", "symbol"],
        },
        "duplicate_symbols": 2,
        "genes_without_ensembl_id": 2,
        "n_tables": None,
        "info": {"author": "made for tests", "version": "2.6"},
    }


@pytest.mark.parametrize("layout", ["v1", "v9", "v2.1", "v2.2", "transcript", "tpm"])
def test_inspect_reads_every_layout(tmp_path, layout):
    result = call("inspect", make_archs4(tmp_path / "x.h5", layout=layout))

    found = json.loads(result.stdout)
    assert found["axes"] == (["samples", "genes"] if layout == "v1" else ["genes", "samples"])
    assert (found["n_samples"], found["n_genes"], found["n_studies"]) == (6, 8, 2)


def test_inspect_counts_samples_without_series(tmp_path):
    samples = make_samples(6)
    samples["series"] = ["GSE1,GSE2", "GSE2", "", "na", "GSE4", "GSE5"]

    found = json.loads(call("inspect", make_archs4(tmp_path / "x.h5", samples=samples)).stdout)

    assert (found["n_studies"], found["n_samples_without_series"]) == (5, 2)


def test_a_table_is_drawn_for_people(tmp_path):
    result = call("inspect", make_archs4(tmp_path / "x.h5", 1200, 8), "--table")

    assert result.exit_code == 0
    assert "1,200" in result.stdout
    assert "genes, samples" in result.stdout


def test_a_table_tells_a_manifest_in_a_line(tmp_path):
    manifest = '{"verb": "pack", "inputs": [{}, {}], "created": "2026-01-02", "versions": {}}'
    with h5py.File(make_archs4(tmp_path / "x.h5"), "a") as file:
        file["meta/info/manifest"] = [manifest.encode()]

    result = call("inspect", tmp_path / "x.h5", "--table")

    assert "manifest: pack of 2 files, 2026-01-02" in result.stdout
    assert "versions" not in result.stdout


def test_groups_and_rows_of_one_kind_are_tables_of_their_own(capsys):
    each = {"train": {"samples": 5}, "reason": ""}
    _show_table(
        {
            "n_labels": 2,
            "split": {"fractions": [0.7, 0.3], "labels": {"liver": each, "lung": each}},
            "samples": [f"S{i}" for i in range(30)],
            "manifest": {"verb": "normalize", "inputs": [1], "created": "2026", "run": {"a": {}}},
        }
    )

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "│ n_labels │ 2 │" in lines
    assert "│ manifest │ normalize of 1 files, 2026 │" in lines
    assert "S19, and 10 more" in " ".join(lines)
    assert {"split, labels", "train", "samples", "liver 5", "lung 5"} <= set(lines)


def test_inspect_needs_no_readable_counts(damaged):
    assert call("inspect", damaged).exit_code == 0


def test_verify_reads_every_chunk(tmp_path):
    path = make_archs4(tmp_path / "x.h5", 30, 40, chunks=(20, 10))

    result = call("verify", path)

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "verb": "verify",
        "kind": "archs4",
        "path": str(path),
        "bytes": path.stat().st_size,
        "n_samples": 30,
        "n_genes": 40,
        "n_fields": 11,
        "n_chunks": 6,
        "sha256": hash_file(path),
        "intact": True,
    }


def test_verify_counts_damaged_chunks_and_names_the_first(damaged):
    result = call("verify", damaged)

    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert "a chunk of data/expression (and 1 more) cannot be read" in lines[0]
    assert "samples 10-19 (GSM11, GSM12, GSM13, GSM14, GSM15 and 5 more)" in lines[0]
    assert "genes 0-19 (ENSG00000000001, ENSG00000000002" in lines[0]


def test_verify_finds_negative_numbers(tmp_path):
    counts = np.ones((30, 40), dtype=int)
    counts[12, 25] = -1

    result = call("verify", make_archs4(tmp_path / "x.h5", counts=counts, layout="v9"))

    assert result.exit_code == 1
    assert "1 of its 1200 numbers are negative, NaN or infinite" in result.stderr


def test_verify_finds_a_damaged_field(tmp_path):
    path = make_archs4(tmp_path / "x.h5")
    with h5py.File(path, "a") as file:
        del file["meta/samples/title"]
        titles = np.array([b"a title"] * 6)
        dataset = file.create_dataset("meta/samples/title", data=titles, chunks=(6,), compression=4)
        dataset.id.write_direct_chunk((0,), b"no deflate stream", 0)

    result = call("verify", path)

    assert result.exit_code == 1
    assert "the field meta/samples/title cannot be read" in result.stderr


@pytest.mark.parametrize("command", ["inspect", "verify"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "does not exist; check the path"),
        (lambda path: path.mkdir(), "neither an atlas (it has no zarr.json) nor a model"),
        (lambda path: path.write_text("gene"), "(4 bytes) is not an HDF5 file"),
        (
            lambda path: path.write_bytes(make_archs4(path).read_bytes()[:3000]),
            "is truncated and cannot be opened",
        ),
    ],
    ids=["missing", "folder", "text", "truncated"],
)
def test_bad_input_ends_with_one_clear_line(tmp_path, command, make, message):
    make(tmp_path / "x.h5")

    result = call(command, tmp_path / "x.h5")

    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_repeated_sample_id_is_told(tmp_path):
    samples = make_samples(3).set_axis(["GSM1", "GSM2", "GSM1"])

    result = call("inspect", make_archs4(tmp_path / "x.h5", samples=samples))

    assert result.exit_code == 1
    assert "1 of 3 sample ids occur more than once (GSM1)" in result.stderr


def test_an_atlas_is_told_apart_and_described(tmp_path):
    genes = make_genes(60).set_axis(load_lengths("human").index[:60].tolist())
    file = make_archs4(tmp_path / "x.h5", 12, genes=genes)
    normalize(file, out=tmp_path / "atlas.zarr")

    described = json.loads(call("inspect", tmp_path / "atlas.zarr").stdout)
    verified = json.loads(call("verify", tmp_path / "atlas.zarr").stdout)

    assert (described["kind"], described["n_samples"]) == ("atlas", 12)
    assert (verified["kind"], verified["intact"]) == ("atlas", True)
    assert verified["path"] == str(tmp_path / "atlas.zarr")


def test_a_model_folder_goes_to_the_model_s_own_description(tmp_path):
    (tmp_path / "model.json").write_text("{}")

    for command in ("inspect", "verify"):
        result = call(command, tmp_path)
        assert result.exit_code == 1
        assert "model" in result.stderr
