"""Files written here are read by our reader, by plain h5py and by archs4py."""

import subprocess
import sys
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.build import make_counts, make_genes, make_samples

from expressome.archs4.reader import open_archs4
from expressome.archs4.writing import write_archs4
from expressome.engine import Resources
from expressome.errors import (
    IdentifierError,
    InvalidCountsError,
    InvalidValueError,
    OutputExistsError,
    ShapeError,
)

TABLES = np.array([0, 0, 1, 1, 1, 0])
MEASURED = np.array([[True] * 8, [True] * 5 + [False] * 3])


def write(path, n_samples=6, n_genes=8, **options):
    defaults = {
        "samples": make_samples(n_samples),
        "genes": make_genes(n_genes),
        "blocks": [make_counts(n_samples, n_genes)],
    }
    write_archs4(path, **(defaults | options))
    return path


def test_what_is_written_is_read_back(tmp_path):
    samples = make_samples(6).assign(cell_line=["A549", "", "", "", "", "Müller"], age=np.arange(6))
    samples["treated/control"] = "control"

    compendium = open_archs4(write(tmp_path / "x.h5", samples=samples))

    found = compendium.samples
    pd.testing.assert_frame_equal(found[samples.columns], samples)
    assert set(found) == {*samples.columns, "study"}
    pd.testing.assert_frame_equal(compendium.genes, make_genes(8))
    np.testing.assert_array_equal(compendium.counts(), make_counts(6, 8))
    assert (compendium.layout, compendium.release) == ("v2.3-v2.6", "2.6")
    assert compendium.dtype == np.uint32


@settings(max_examples=15, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 40), max_size=6),
    chunks=st.tuples(st.integers(1, 12), st.integers(1, 50)),
)
def test_any_blocks_and_chunks_give_the_same_file(tmp_path_factory, cuts, chunks):
    counts = make_counts(40, 9)
    blocks = np.split(counts, sorted(cuts))
    path = tmp_path_factory.mktemp("any") / "x.h5"

    write(path, 40, 9, blocks=iter(blocks), chunks=chunks)

    np.testing.assert_array_equal(open_archs4(path).counts(), counts)


@pytest.mark.parametrize("level", ["gene", "transcript"])
@pytest.mark.parametrize("unit", ["counts", "tpm"])
@pytest.mark.parametrize("species", ["human", "mouse"])
def test_level_unit_and_species_are_kept(tmp_path, level, unit, species):
    path = write(
        tmp_path / "x.h5",
        genes=make_genes(8, species, level),
        samples=make_samples(6).drop(columns="organism_ch1"),
        level=level,
        unit=unit,
        species=species,
    )

    compendium = open_archs4(path)

    assert (compendium.level, compendium.unit, compendium.species) == (level, unit, species)
    np.testing.assert_array_equal(compendium.counts(), make_counts(6, 8))


def test_genes_without_ensembl_id_keep_their_keys(tmp_path):
    genes = pd.DataFrame(index=["ENSG00000000001", "symbol:MIR3", "symbol:MIR3#2"])

    compendium = open_archs4(write(tmp_path / "x.h5", 6, 3, genes=genes))

    assert compendium.genes.index.tolist() == genes.index.tolist()


def test_any_string_is_a_sample_id(tmp_path):
    ids = ["NA", "a b", "1", "Müller/2", "b'x'", "missing"]

    compendium = open_archs4(write(tmp_path / "x.h5", samples=make_samples(6).set_axis(ids)))

    assert compendium.samples.index.tolist() == ids
    assert compendium.counts(["missing"]).tolist() == make_counts(6, 8)[[5]].tolist()


def test_cells_that_were_not_measured_are_nan_never_zero(tmp_path):
    counts = make_counts(6, 8).astype(float)
    counts[np.ix_([2, 3, 4], [5, 6, 7])] = np.nan
    path = write(tmp_path / "x.h5", blocks=[counts], tables=TABLES, measured=MEASURED)

    compendium = open_archs4(path)

    np.testing.assert_array_equal(compendium.counts(), counts)
    assert compendium.counts().dtype == np.float64
    assert compendium.counts([0, 1]).dtype == np.uint32
    assert compendium.counts(genes=[0, 4]).dtype == np.uint32
    np.testing.assert_array_equal(compendium.measured(), ~np.isnan(counts))
    assert compendium.measured([0, 5]) is None
    found = compendium.measured_groups()
    np.testing.assert_array_equal(found[0], TABLES)
    np.testing.assert_array_equal(found[1], MEASURED)
    (_, block), *_ = compendium.blocks(resources=Resources())
    np.testing.assert_array_equal(block, counts)


def test_a_file_where_all_was_measured_says_so(tmp_path):
    compendium = open_archs4(write(tmp_path / "x.h5"))

    assert compendium.measured() is None
    assert compendium.measured_groups() is None


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (-1, r"1 of 6 samples hold numbers that are no counts \(first: -1.0 in GSM3\)"),
        (2.5, r"first: 2.5 in GSM3\); counts are whole numbers from 0 to 4294967295"),
        (np.inf, "first: inf in GSM3"),
        (2.0**32, "first: 4294967296.0 in GSM3"),
    ],
    ids=["negative", "fraction", "infinite", "too large"],
)
def test_what_is_no_count_is_refused_and_nothing_is_left(tmp_path, bad, message):
    counts = make_counts(6, 8).astype(float)
    counts[2, 5] = bad

    with pytest.raises(InvalidCountsError, match=message):
        write(tmp_path / "x.h5", blocks=[counts])

    assert list(tmp_path.iterdir()) == []


def test_nan_in_a_measured_cell_is_refused(tmp_path):
    counts = make_counts(6, 8).astype(float)
    counts[2, 1] = np.nan

    with pytest.raises(InvalidCountsError, match="first: nan in GSM3"):
        write(tmp_path / "x.h5", blocks=[counts], tables=TABLES, measured=MEASURED)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"blocks": [make_counts(5, 8)]}, ShapeError, "hold 5 samples, but 6 sample ids"),
        ({"blocks": [make_counts(7, 8)]}, ShapeError, r"\(7, 8\) after sample 0 does not fit 6"),
        ({"blocks": [make_counts(6, 7)]}, ShapeError, r"\(6, 7\) after sample 0"),
        ({"tables": TABLES}, ShapeError, "belong together"),
        ({"tables": TABLES + 1, "measured": MEASURED}, ShapeError, "number tables from 0"),
        ({"samples": make_samples(6).set_axis(list("abcdea"))}, IdentifierError, r"1 of 6 .*\(a\)"),
        ({"samples": make_samples(6).set_axis(list("abcde "))}, IdentifierError, "is empty"),
        ({"genes": make_genes(8).set_axis(list("abcdefgg"))}, IdentifierError, r"gene ids .*\(g\)"),
        ({"samples": make_samples(6).assign(x="a\0b")}, InvalidValueError, "'x' holds a NUL"),
        ({"samples": make_samples(6).rename(columns={"title": "."})}, InvalidValueError, "'.'"),
        ({"samples": make_samples(0), "blocks": []}, ShapeError, "0 samples and 8 genes"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        write(tmp_path / "x.h5", **options)

    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_stays_unless_overwritten(tmp_path):
    path = write(tmp_path / "x.h5")
    before = path.read_bytes()

    with pytest.raises(OutputExistsError, match="pass overwrite=True"):
        write(path)
    with pytest.raises(ShapeError):
        write(path, blocks=[], overwrite=True)
    assert path.read_bytes() == before

    write(path, blocks=[np.ones((6, 8), dtype=np.uint32)], overwrite=True)
    assert open_archs4(path).counts().sum() == 48


def test_archs4py_reads_the_same_counts(tmp_path):
    genes = make_genes(20)
    path = write(tmp_path / "x.h5", 30, 20, genes=genes, chunks=(7, 11))
    # A process of its own: archs4py forks and warns in ways that are not ours.
    script = (
        "import sys, archs4py, numpy as np\n"
        "path, out = sys.argv[1:]\n"
        "counts = archs4py.data.index(path, list(range(30)), silent=True)\n"
        "series = archs4py.meta.series(path, 'GSE3', silent=True)\n"
        "meta = archs4py.meta.samples(path, ['GSM2'], silent=True)\n"
        "found = archs4py.meta.meta(path, 'brain', silent=True)\n"
        "np.savez(out, counts=counts.to_numpy(), genes=counts.index.to_numpy(str),\n"
        "  samples=counts.columns.to_numpy(str), series=series.index.to_numpy(str),\n"
        "  source=str(meta.loc['GSM2', 'source_name_ch1']), found=len(found))\n"
    )

    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, path, tmp_path / "out.npz"], check=True
    )

    with np.load(tmp_path / "out.npz") as read:
        np.testing.assert_array_equal(read["counts"], make_counts(30, 20).T)
        assert read["genes"].tolist() == genes["symbol"].tolist()
        assert read["samples"].tolist() == make_samples(30).index.tolist()
        assert read["series"].tolist() == ["GSM7", "GSM8", "GSM9"]
        assert (str(read["source"]), int(read["found"])) == ("brain", 10)


def test_the_stored_layout_is_v2_6(tmp_path):
    path = write(tmp_path / "x.h5", info={"author": "me"})

    with h5py.File(path) as file:
        assert set(file["meta/info"]) == {
            "author", "contact", "creation-date", "laboratory", "version",
        }  # fmt: skip
        assert file["meta/info/author"][0] == b"me"
        assert set(file["meta/genes"]) == {"symbol", "ensembl_gene", "biotype"}
        assert {"geo_accession", "series_id", "alignedreads"} <= set(file["meta/samples"])
        assert file["data/expression"].shape == (8, 6)
        assert file["data/expression"].dtype == np.uint32


def test_no_warning_escapes(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(tmp_path / "x.h5", blocks=[make_counts(6, 8).astype(np.float32)])
