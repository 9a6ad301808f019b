"""What is extracted equals what was asked of the file, in every format."""

import json
import re
import signal
import subprocess
import sys
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.support.build import make_archs4, make_counts, make_genes, make_samples
from tests.support.memory import run_script

from expressome.annotation.multihot import write_labels
from expressome.archs4.reader import open_archs4
from expressome.archs4.writing import write_archs4
from expressome.engine import Resources
from expressome.errors import (
    EmptySelectionError,
    IdentifierError,
    IdentifierWarning,
    InvalidValueError,
    LabelWarning,
    LeftOutWarning,
    OutputExistsError,
)
from expressome.pipeline.extracting import extract
from expressome.pipeline.packing import pack
from expressome.results import LABEL_FIELDS, LabelMatrix
from expressome.tables import read_counts

FORMATS = [".h5ad", ".zarr", ".parquet", ".tsv.gz", ".tsv", ".h5"]


@pytest.fixture
def path(tmp_path):
    return make_archs4(tmp_path / "x.h5", 40, 30)


@pytest.fixture
def labels(tmp_path):
    table = pd.DataFrame(
        [["liver", "tissue", "", "", "UBERON:0002107"], ["HepG2", "cell line", "", "", ""]],
        index=pd.Index(["liver", "HepG2"], name="key"),
        columns=list(LABEL_FIELDS),
    )
    hot = sparse.csr_array(np.array([[1, 1], [1, 0], [0, 1]], np.uint8))
    place = tmp_path / "labels.parquet"
    write_labels(LabelMatrix(pd.Index(["GSM1", "GSM2", "GSM4"]), table, hot), place, {})
    return place


def read_back(place):
    """Counts of any format as a DataFrame samples x genes."""
    name = place.name
    if name.endswith(".h5ad"):
        return anndata.read_h5ad(place).to_df()
    if name.endswith(".zarr"):
        return anndata.read_zarr(place).to_df()
    if name.endswith(".parquet"):
        return pd.read_parquet(place).set_index("gene").T
    if name.endswith((".tsv", ".tsv.gz")):
        return pd.read_csv(place, sep="\t", index_col=0).T
    compendium = open_archs4(place)
    return pd.DataFrame(
        compendium.counts(), index=compendium.sample_ids, columns=compendium.genes.index
    )


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_holds_the_counts_in_the_order_asked(path, tmp_path, ending):
    compendium = open_archs4(path)
    out = tmp_path / f"y{ending}"

    summary = extract(path, samples=["GSM9", "GSM2,GSM30"], out=out)

    table = read_back(out)
    assert table.index.tolist() == ["GSM9", "GSM2", "GSM30"]
    assert table.columns.tolist() == compendium.genes.index.tolist()
    assert np.array_equal(table.to_numpy(), compendium.counts(["GSM9", "GSM2", "GSM30"]))
    assert summary.figures["n_samples"] == 3
    assert summary.manifest["parameters"]["n_chosen"] == 3


@pytest.mark.parametrize("ending", FORMATS)
def test_metadata_and_labels_travel_with_the_counts(path, tmp_path, labels, ending):
    out = tmp_path / f"y{ending}"

    summary = extract(path, series=["GSE1", "GSE2"], labels=labels, out=out)

    if ending in {".h5ad", ".zarr"}:
        content = anndata.read_h5ad(out) if ending == ".h5ad" else anndata.read_zarr(out)
        table, genes = content.obs, content.var
        assert content.obsm["labels"].toarray().tolist()[:2] == [[1, 1], [1, 0]]
        notes = json.loads(str(content.uns["expressome"]))
        assert notes["labels"]["liver"]["ontology_id"] == "UBERON:0002107"
        assert notes["manifest"]["inputs"][0]["path"] == str(path)
    elif ending == ".h5":
        table, genes = open_archs4(out).samples, open_archs4(out).genes
    else:
        table = pd.read_csv(f"{out}.samples.tsv", sep="\t", index_col=0, keep_default_na=False)
        genes = pd.read_csv(f"{out}.genes.tsv", sep="\t", index_col=0)
        notes = json.loads((tmp_path / f"y{ending}.manifest.json").read_text())
        assert notes["labels"]["HepG2"]["kind"] == "cell line"
    source = open_archs4(path)
    assert table["labels"].tolist() == ["liver; HepG2", "liver", "", "HepG2", "", ""]
    assert table["title"].tolist() == source.samples["title"].tolist()[:6]
    assert table["series"].tolist() == ["GSE1"] * 3 + ["GSE2"] * 3
    assert genes["symbol"].tolist() == source.genes["symbol"].tolist()
    assert (summary.figures["n_labels"], summary.figures["n_labelled"]) == (2, 3)


def test_labels_may_come_from_a_sheet(path, tmp_path):
    (tmp_path / "sheet.csv").write_text("sample,tissue\nGSM2,liver\nGSM3,brain\nGSM900,liver\n")

    extract(path, series=["GSE1"], labels=tmp_path / "sheet.csv", out=tmp_path / "y.h5ad")

    content = anndata.read_h5ad(tmp_path / "y.h5ad")
    assert content.obs["labels"].tolist() == ["", "liver", "brain"]


def test_a_table_and_its_sheet_pack_into_the_same_counts(tmp_path):
    genes = make_genes(12)
    genes["symbol"] = ""
    source = make_archs4(tmp_path / "x.h5", 12, genes=genes)
    out = tmp_path / "y.tsv.gz"
    extract(source, out=out)

    assert np.array_equal(read_counts(out).counts, open_archs4(source).counts())
    pack([out], samples=f"{out}.samples.tsv", out=tmp_path / "z.h5", species="human")
    packed = open_archs4(tmp_path / "z.h5")
    rows = packed.genes.index.get_indexer(genes.index)
    assert np.array_equal(packed.counts()[:, rows], open_archs4(source).counts())


def test_unknown_ids_are_counted_named_and_do_not_stop_the_others(path, tmp_path):
    asked = tmp_path / "ids.txt"
    wanted = [f"GSM{i}" for i in range(1, 37)] + [f"GSM9000{i}" for i in range(4)]
    asked.write_text("sample\n" + "\n".join(wanted) + "\n")
    message = (
        "4 of 40 samples and series asked for are not in x.h5 (GSM90000, GSM90001, GSM90002, "
        "GSM90003); the other choices give 36 samples"
    )

    with pytest.warns(LeftOutWarning) as warned:
        summary = extract(path, samples=[str(asked)], out=tmp_path / "y.h5ad")

    assert [str(item.message) for item in warned] == [message]
    selection = summary.figures["selection"]
    assert selection["unknown_samples"] == wanted[36:]
    assert (selection["n_asked"], selection["n_chosen"]) == (40, 36)


def test_nothing_found_is_an_error_that_says_what_was_asked(path, tmp_path):
    message = (
        "no sample of x.h5 is left of 40: not found: GSM77; samples that meet each condition: "
        "search: liver (14), platform=GPL1 (0); relax the selection"
    )

    with pytest.raises(EmptySelectionError, match=f"^{re.escape(message)}$"):
        extract(
            path,
            samples=["GSM77"],
            search="liver",
            where=["platform=GPL1"],
            out=tmp_path / "y.h5ad",
        )
    assert not list(tmp_path.glob("*y.h5ad*"))


def test_a_draw_is_repeatable_and_depends_on_the_seed(path, tmp_path):
    drawn = []
    for i, seed in enumerate([1, 1, 2]):
        out = tmp_path / f"{i}.h5"
        extract(path, search="liver", random=5, out=out, resources=Resources(seed=seed))
        drawn.append(open_archs4(out).sample_ids.tolist())

    assert drawn[0] == drawn[1] != drawn[2]
    assert set(open_archs4(tmp_path / "0.h5").samples["source"]) == {"liver"}


@pytest.mark.parametrize(
    ("min_reads", "min_fraction", "kept"),
    [
        (5, None, [1, 2, 3]),
        (5, 0.5, [2, 3]),
        (None, 0.75, [0, 2, 3]),
        (5, 0.6, [3]),
        (0, 1.0, [0, 1, 2, 3]),
    ],
    ids=str,
)
def test_the_gene_filter_by_hand(tmp_path, min_reads, min_fraction, kept):
    counts = np.array([[1, 5, 5, 9], [1, 0, 5, 9], [1, 0, 0, 9], [0, 4, 4, 9]])
    path = make_archs4(tmp_path / "x.h5", counts=counts)
    out = tmp_path / "y.h5ad"

    summary = extract(path, min_reads=min_reads, min_fraction=min_fraction, out=out)

    assert np.array_equal(anndata.read_h5ad(out).X, counts[:, kept])
    assert summary.figures["n_genes_filtered_out"] == 4 - len(kept)


def test_a_filter_that_leaves_no_gene_says_so(path, tmp_path):
    with pytest.raises(EmptySelectionError) as caught:
        extract(path, min_reads=999_999, min_fraction=0.1, out=tmp_path / "y.h5")

    assert str(caught.value) == (
        "none of 30 genes has at least 999999 reads in at least 4 of 40 samples; lower min_reads "
        "or min_fraction"
    )


@pytest.fixture
def shared_symbols(tmp_path):
    genes = make_genes(5)
    genes["symbol"] = ["A", "B", "A", "", "A"]
    counts = np.array([[1, 2, 4, 8, 16], [3, 0, 0, 0, 1]])
    return make_archs4(tmp_path / "x.h5", genes=genes, samples=make_samples(2), counts=counts)


@pytest.mark.parametrize(
    ("duplicates", "keys", "counts"),
    [
        ("keep", ["A", "B", "A#2", "ENSG00000000004", "A#3"], [[1, 2, 4, 8, 16], [3, 0, 0, 0, 1]]),
        ("sum", ["A", "B", "ENSG00000000004"], [[21, 2, 8], [4, 0, 0]]),
        ("first", ["A", "B", "ENSG00000000004"], [[1, 2, 8], [3, 0, 0]]),
    ],
)
@pytest.mark.parametrize("ending", [".h5ad", ".parquet"])
def test_shared_symbols_follow_the_policy(
    shared_symbols, tmp_path, duplicates, keys, counts, ending
):
    out = tmp_path / f"y{ending}"

    summary = extract(shared_symbols, genes_by="symbol", duplicates=duplicates, out=out)

    table = read_back(out)
    assert table.columns.tolist() == keys
    assert table.to_numpy().tolist() == counts
    assert summary.figures["n_shared_symbols"] == 1


def test_shared_symbols_can_be_refused(shared_symbols, tmp_path):
    message = r"1 of 3 gene symbols belong to several genes \(A\); choose duplicates='keep'"

    with pytest.raises(IdentifierError, match=message):
        extract(shared_symbols, genes_by="symbol", duplicates="error", out=tmp_path / "y.h5")


def test_summed_genes_in_an_archs4_file_carry_no_single_ensembl_id(shared_symbols, tmp_path):
    extract(shared_symbols, genes_by="symbol", duplicates="sum", out=tmp_path / "y.h5")

    genes = open_archs4(tmp_path / "y.h5").genes
    assert genes.index.tolist() == ["symbol:A", "ENSG00000000002", "ENSG00000000004"]
    assert open_archs4(tmp_path / "y.h5").counts().tolist() == [[21, 2, 8], [4, 0, 0]]


@pytest.mark.parametrize("ending", [".h5ad", ".tsv", ".h5"])
def test_genes_that_were_not_measured_stay_so(tmp_path, ending):
    samples, genes = make_samples(4), make_genes(3)
    counts = np.array([[1.0, 2, 3], [4, 5, 6], [7, np.nan, 9], [1, np.nan, 2]])
    path = tmp_path / "x.h5"
    measured = np.array([[True, True, True], [True, False, True]])
    write_archs4(
        path, samples=samples, genes=genes, blocks=[counts], tables=np.array([0, 0, 1, 1]),
        measured=measured,
    )  # fmt: skip

    extract(path, samples=["GSM3", "GSM2"], out=tmp_path / f"y{ending}")

    assert np.array_equal(read_back(tmp_path / f"y{ending}"), counts[[2, 1]], equal_nan=True)


@pytest.mark.parametrize("layout", ["v1", "v9", "transcript", "tpm"])
@pytest.mark.parametrize("ending", [".h5ad", ".h5", ".tsv.gz"])
def test_other_releases_and_units_are_extracted_as_they_are(tmp_path, layout, ending):
    path = make_archs4(tmp_path / "x.h5", 7, 9, layout=layout)
    out = tmp_path / f"y{ending}"

    extract(path, where=["aligned_reads>3e6"], out=out)

    assert np.array_equal(read_back(out), open_archs4(path).counts(slice(3, 7)))
    if ending == ".h5":
        assert open_archs4(out).unit == open_archs4(path).unit
        assert open_archs4(out).level == open_archs4(path).level


@pytest.mark.parametrize("ending", [".h5ad", ".zarr", ".parquet", ".h5"])
@pytest.mark.parametrize("policy", ["keep", "sum"])
def test_blocks_do_not_change_the_result(tmp_path, monkeypatch, ending, policy):
    genes = make_genes(900)
    genes["symbol"] = [f"NOSUCH{g // 2}" for g in range(900)]
    counts = make_counts(1500, 900)
    path = make_archs4(tmp_path / "x.h5", counts=counts, genes=genes)
    out = tmp_path / f"y{ending}"
    chosen = np.random.default_rng(0).permutation(1500)[:1100]

    extract(
        path, samples=[f"GSM{i + 1}" for i in chosen], out=out, genes_by="symbol",
        duplicates=policy, resources=Resources(memory_bytes=64 << 20),
    )  # fmt: skip

    expected = counts[chosen] if policy == "keep" else counts[chosen].reshape(1100, 450, 2).sum(2)
    assert np.array_equal(read_back(out), expected)


def test_ids_and_symbols_of_different_rows_are_warned_of(shared_data, tmp_path):
    (path,) = (shared_data / "archs4-h5-fixtures").rglob("phantasus_mouse_matrix.h5")

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        extract(path, out=tmp_path / "y.h5ad")

    messages = [str(w.message) for w in warned if w.category is IdentifierWarning]
    assert any(
        "in phantasus_mouse_matrix.h5 the Ensembl id and the symbol of a row mean the same gene "
        "in only 3% of the genes compared" in message
        for message in messages
    )


def test_labels_of_other_samples_are_warned_of(path, tmp_path, labels):
    with pytest.warns(LabelWarning, match="none of the 1 chosen samples carries a label"):
        extract(path, samples=["GSM9"], labels=labels, out=tmp_path / "y.h5ad")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out": "y.csv"}, "y.csv ends in none of .h5ad, .zarr, .parquet, .tsv.gz, .tsv, .h5"),
        ({"min_fraction": 1.5}, "min_fraction is 1.5; it is a share of the samples, from 0 to 1"),
        ({"min_reads": -1}, "min_reads is -1; it is a number of reads, at least 0"),
        ({"random": 0}, "0 random samples were asked for; ask for at least 1"),
        ({"where": ["title"]}, "'title' is no condition"),
        ({"search": "liver AND"}, "the query 'liver AND' cannot be searched: nothing follows AND"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_before_anything_is_written(path, tmp_path, options, message):
    out = tmp_path / options.pop("out", "y.h5")

    with pytest.raises(InvalidValueError, match=re.escape(message)):
        extract(path, out=out, **options)
    assert not out.exists()


@pytest.mark.parametrize("existing", ["y.tsv.gz", "y.tsv.gz.samples.tsv"])
def test_no_file_is_replaced_unasked(path, tmp_path, existing):
    (tmp_path / existing).write_text("mine")

    with pytest.raises(OutputExistsError, match=f"{existing} exists"):
        extract(path, out=tmp_path / "y.tsv.gz")
    assert (tmp_path / existing).read_text() == "mine"
    assert not (tmp_path / "y.tsv.gz.manifest.json").exists()


KILLED = """
import os, signal, sys
from expressome.engine import Resources
from expressome.pipeline.extracting import extract

def die(stage, n_done, n_total):
    if stage == "extract":
        os.kill(os.getpid(), signal.SIGKILL)

extract(sys.argv[1], out=sys.argv[2], resources=Resources(progress=die))
"""


@pytest.mark.parametrize(
    "ending",
    [".h5ad", *(pytest.param(e, marks=pytest.mark.slow) for e in (".zarr", ".tsv.gz", ".h5"))],
)
def test_after_a_kill_the_next_call_completes(path, tmp_path, ending):
    out = tmp_path / f"y{ending}"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), str(out)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()

    extract(path, out=out)

    assert np.array_equal(read_back(out), open_archs4(path).counts())
    assert not list(tmp_path.glob(".*"))


MEMORY = """
import resource, sys
from expressome.archs4.reader import open_archs4
from expressome.engine import Resources
from expressome.pipeline.extracting import extract

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

extract(sys.argv[1], samples=["GSM1"], out=sys.argv[2] + ".first" + sys.argv[3])
before = peak()
resources = Resources(memory_bytes=64 << 20, workers=2)
extract(sys.argv[1], out=sys.argv[2] + sys.argv[3], resources=resources)
print(peak() - before)
"""


@pytest.mark.memory
@pytest.mark.parametrize("ending", [".h5ad", ".zarr", ".tsv.gz", ".h5"])
def test_memory_does_not_grow_with_the_matrix(tmp_path_factory, ending):
    folder = tmp_path_factory.getbasetemp() / "memory"
    folder.mkdir(exist_ok=True)
    path = folder / "big.h5"
    if not path.exists():
        make_archs4(path, counts=np.resize(make_counts(600, 10_000) // 99, (3000, 10_000)))

    added_bytes = int(run_script(MEMORY, path, folder / "y", ending))

    # The matrix has 120 MB as stored, 240 MB with the eight bytes per count that blocks are
    # planned by. Budget 64 MiB; the reader's blocks never fall below 256 samples x 10,000
    # genes (20 MB so counted), four of them alive.
    assert added_bytes < 100 * 2**20
