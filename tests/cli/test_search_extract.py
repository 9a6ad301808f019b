"""The commands `search` and `extract`."""

import json
from typing import get_args

import anndata
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tests.support.build import make_archs4, make_genes, make_samples
from tests.support.terminal import messages_of

from expressome.cli import extract as extract_command
from expressome.cli.main import cli
from expressome.pipeline import gene_keying
from expressome.pipeline.searching import search
from expressome.reference.lengths import load_lengths


def call(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def path(tmp_path):
    samples = make_samples(6)
    samples["title"] = ["adult\tliver", "liver liver", "tumor of liver", "brain", "brain", "lung"]
    samples["characteristics"] = ""
    samples["source"] = "x"
    return make_archs4(tmp_path / "x.h5", samples=samples)


def test_search_prints_ranked_samples_as_tsv(path):
    result = call("search", path, "liver", "--limit", "2")

    table = search(path, "liver", limit=2)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "sample\tseries\tscore\ttitle\tsource\tcharacteristics",
        f"GSM2\tGSE1\t{table['score'].iloc[0]:.4f}\tliver liver\tx\t",
        f"GSM1\tGSE1\t{table['score'].iloc[1]:.4f}\tadult liver\tx\t",
    ]
    assert messages_of(result) == "2 of 3 samples found are shown\n"


def test_search_that_finds_nothing_prints_the_header_alone(path):
    result = call("search", path, "zebrafish")

    assert (result.exit_code, messages_of(result)) == (0, "0 of 0 samples found are shown\n")
    assert result.stdout == "sample\tseries\tscore\ttitle\tsource\tcharacteristics\n"


@pytest.mark.parametrize(
    ("query", "conditions", "found"),
    [
        ("liver", ["alignedreads>1.5e6"], ["GSM2", "GSM3"]),
        ("liver", ["title~^tumor"], ["GSM3"]),
        ("*", ["series=GSE2"], ["GSM4", "GSM5", "GSM6"]),
        ("brain OR liver", ["sample!=GSM4", "series=GSE2"], ["GSM5"]),
        ("liver NOT tumor", ["platform_id=GPL16791"], ["GSM1", "GSM2"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("option", ["--where", "--field"])
def test_search_is_narrowed_by_fields(path, query, conditions, found, option):
    options = [word for condition in conditions for word in (option, condition)]

    result = call("search", path, query, *options)

    shown = [line.split("\t")[0] for line in result.stdout.splitlines()[1:]]
    assert sorted(shown) == found
    assert messages_of(result) == f"{len(found)} of {len(found)} samples found are shown\n"


def test_a_regular_expression_over_few_and_over_all_samples_agrees(tmp_path):
    samples = make_samples(200)
    samples["title"] = [f"liver {i}" if i % 20 == 0 else f"brain {i}" for i in range(200)]
    path = make_archs4(tmp_path / "x.h5", samples=samples, n_genes=2)

    few = search(path, "title:liver", where=["title~0$"], limit=None)
    everything = search(path, "*", where=["title~^liver .*0$"], limit=None)

    assert set(few.index) == set(everything.index)
    assert len(few) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["liver AND"], "error: the query 'liver AND' cannot be searched: nothing follows AND; "),
        (["liver", "--where", "nosuch=1"], "has no sample field 'nosuch'; it has "),
        (["liver", "--where", "title~("], "error: '(' is no regular expression: "),
        (["liver", "--where", "liver"], "error: 'liver' is no condition; write a field, one of "),
    ],
    ids=str,
)
def test_search_says_what_is_wrong(path, arguments, message):
    result = call("search", path, *arguments)

    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.filterwarnings("default")
def test_extract_prints_what_was_not_found(path, tmp_path):
    out = tmp_path / "y.h5ad"

    result = call(
        "extract", path, "--samples", "GSM1,GSM99", "--series", "GSE2", "--series", "GSE77",
        "--where", "title!=lung", "--out", out,
    )  # fmt: skip

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "verb": "extract",
        "out": str(out),
        "format": "h5ad",
        "n_samples": 3,
        "n_genes": 8,
        "n_genes_filtered_out": 0,
        "n_shared_symbols": 0,
        "n_labels": 0,
        "n_labelled": 0,
        "selection": {
            "n_asked": 4,
            "n_repeated": 0,
            "unknown_samples": ["GSM99"],
            "unknown_series": ["GSE77"],
            "n_per_condition": {"title!=lung": 5},
            "n_chosen": 3,
        },
    }
    assert messages_of(result) == (
        "warning: 2 of 4 samples and series asked for are not in x.h5 (GSM99, GSE77); "
        "the other choices give 3 samples\n"
    )
    assert anndata.read_h5ad(out).obs_names.tolist() == ["GSM1", "GSM4", "GSM5"]


def test_extract_refuses_to_replace_and_replaces_when_told(path, tmp_path):
    out = tmp_path / "y.tsv"
    assert call("extract", path, "--random", "3", "--out", out).exit_code == 0

    refused = call("extract", path, "--out", out)
    replaced = call("extract", path, "--out", out, "--overwrite")

    assert (refused.exit_code, replaced.exit_code) == (1, 0)
    assert refused.stderr == (
        f"error: {out} exists; choose another output or pass --overwrite to replace it\n"
    )
    assert pd.read_csv(out, sep="\t", index_col=0).shape == (8, 6)


def test_choices_are_the_librarys():
    assert get_args(gene_keying.GenesBy) == extract_command.GENES_BY
    assert get_args(gene_keying.Duplicates) == extract_command.DUPLICATES


@pytest.mark.filterwarnings("default")
def test_inspect_tells_whether_ids_and_symbols_agree(tmp_path):
    known = load_lengths("human").query("symbol != ''").drop_duplicates("symbol").iloc[:60]
    shares = []
    for shift in (0, 1):
        genes = make_genes(60)
        genes.index = pd.Index(known.index, name="gene")
        genes["symbol"] = np.roll(known["symbol"].to_numpy(), shift)
        path = make_archs4(tmp_path / f"{shift}.h5", genes=genes)
        shares.append(json.loads(call("inspect", path).stdout)["ensembl_symbol_agreement"])

    assert shares == [1.0, 0.0]
    warned = messages_of(call("extract", path, "--out", tmp_path / "y.h5"))
    assert warned == (
        "warning: in 1.h5 the Ensembl id and the symbol of a row mean the same gene in only 0% of "
        "the genes compared (at most 2,000, spread over its 60): the two columns are not of the "
        "same rows. The Ensembl ids are used as the file has them, and the counts may be other "
        "genes'; check a gene you know, or pack the counts again by symbol\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--genes-by", "symbol", "--duplicates", "error"],
            (
                "1 of 2 gene symbols belong to several genes (A); choose --duplicates keep, 'sum' "
                "or 'first', or key the genes by their Ensembl ids"
            ),
        ),
        (
            ["--min-reads", "999999999"],
            (
                "none of 3 genes has at least 999999999 reads in at least 1 of 2 samples; lower "
                "--min-reads or --min-fraction"
            ),
        ),
    ],
    ids=["value", "name"],
)
def test_errors_name_options_as_the_command_takes_them(tmp_path, options, message):
    genes = make_genes(3).assign(symbol=["A", "A", "B"])
    path = make_archs4(tmp_path / "x.h5", 2, genes=genes)

    result = call("extract", path, *options, "--out", tmp_path / "y.h5ad")

    assert result.exit_code == 1
    assert result.stderr == f"error: {message}\n"
