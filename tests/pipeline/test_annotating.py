"""Annotation joins sources and a file, and says what it found."""

import json
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import expressome
from expressome.annotation.multihot import read_labels, read_labels_manifest
from expressome.archs4.writing import write_archs4
from expressome.cli.main import cli
from expressome.errors import (
    EmptySelectionError,
    FileFormatError,
    InputNotFoundError,
    LabelError,
    LabelWarning,
    OutputExistsError,
)


def write_file(path, samples):
    write_archs4(
        path,
        samples=pd.DataFrame({"series": ["GSE1"] * len(samples)}, index=list(samples)),
        genes=pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"]),
        blocks=[np.ones((len(samples), 1), np.uint32)],
    )
    return path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path):
    return write_file(tmp_path / "x.h5", [f"GSM{i}" for i in range(1, 9)])


def test_all_kinds_of_sources_at_once(file, tmp_path):
    script = write(tmp_path / "scripts" / "tissue_types" / "Liver.R", 'samp = c("GSM1","GSM2")')
    write(tmp_path / "matrices" / "brain" / "a.tsv", "\tGSM3\tGSM4\n")
    single = write(tmp_path / "Skin_expression_matrix.tsv", "GSM7\tGSM8\n")
    table = write(
        tmp_path / "list.csv",
        "gsm,label,kind\nGSM4,brain,cell_line\nGSM5,brain,cell_line\nGSM6,HELA,\nGSM5,HELA,\n",
    )
    sheet = write(tmp_path / "sheet.tsv", "sample\ttissue\tdisease\nGSM1\tliver\t\nGSM2\t\tflu\n")
    sources = [script, tmp_path / "matrices", single, table, sheet]

    with pytest.warns(LabelWarning) as caught:
        summary = expressome.annotate(file, sources, out=tmp_path / "labels.parquet", kind="tissue")
    labels = read_labels(tmp_path / "labels.parquet")

    carried = {
        sample: {key for key, hot in zip(labels.keys, row, strict=True) if hot}
        for sample, row in zip(labels.samples, labels.matrix.toarray(), strict=True)
    }
    assert carried == {
        "GSM1": {"Liver"},
        "GSM2": {"Liver", "flu"},
        "GSM3": {"brain (tissue)"},
        "GSM4": {"brain (tissue)", "brain (cell_line)"},
        "GSM5": {"brain (cell_line)", "HELA"},
        "GSM6": {"HELA"},
        "GSM7": {"Skin"},
        "GSM8": {"Skin"},
    }
    assert labels.labels["kind"].to_dict()["flu"] == "disease"
    assert summary.figures["n_entries"] == 12
    messages = [str(warning.message) for warning in caught]
    assert any("1 of 6 labels have one sample (flu)" in text for text in messages)
    assert any("1 labels were written in several ways (liver -> Liver)" in t for t in messages)


def test_the_vocabulary_gives_kinds_where_nothing_else_does(file, tmp_path):
    write(tmp_path / "matrices" / "bone_marrow" / "a.tsv", "\tGSM3\tGSM4\n")

    expressome.annotate(file, tmp_path / "matrices", out=tmp_path / "labels.parquet")

    row = read_labels(tmp_path / "labels.parquet").labels.loc["bone_marrow"]
    assert row[["kind", "system", "ontology_id"]].tolist() == [
        "tissue",
        "connective",
        "UBERON:0002371",
    ]


def test_samples_the_file_lacks_and_labels_without_sample_are_told(file, tmp_path):
    text = "gsm,label,kind\nGSM1,Liver,tissue\nGSM2,Liver,tissue\nGSM99,Skin,tissue\n"

    with pytest.warns(LabelWarning) as caught:
        summary = expressome.annotate(
            file, write(tmp_path / "list.csv", text), out=tmp_path / "labels.parquet"
        )

    assert summary.figures["absent"] == ["GSM99"]
    assert summary.figures["labels_without_sample"] == ["Skin"]
    assert sorted(str(warning.message) for warning in caught) == [
        "1 of 2 listed labels have no sample in the file and were left out (Skin)",
        "1 of 3 listed samples are not in the file (GSM99)",
    ]


def test_the_label_file_carries_its_report_and_its_origin(file, tmp_path):
    source = write(tmp_path / "list.csv", "gsm,label,kind\nGSM1,Liver,tissue\nGSM2,Liver,tissue\n")

    expressome.annotate(file, source, out=tmp_path / "labels.parquet")

    manifest = read_labels_manifest(tmp_path / "labels.parquet")
    assert [entry["path"] for entry in manifest["inputs"]] == [str(file), str(source)]
    assert manifest["summary"]["n_labelled_samples"] == 2


def test_nothing_is_written_when_annotation_fails(file, tmp_path):
    source = write(tmp_path / "list.csv", "gsm,label\nGSM1,my tissue\n")
    before = sorted(tmp_path.iterdir())

    with pytest.raises(LabelError, match=r"1 of 1 labels have no kind \(my tissue\)"):
        expressome.annotate(file, source, out=tmp_path / "labels.parquet")

    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("gsm,label,kind\n", LabelError, "holds 0 rows but no label"),
        ("gsm,label,kind\nGSM77,a,tissue\n", EmptySelectionError, "none of the 1 listed samples"),
        ("gsm,label,kind\nGSM1,a\n", FileFormatError, "row 1 of .* has 2 fields"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(file, tmp_path, text, error, words):
    with pytest.raises(error, match=words):
        expressome.annotate(
            file, write(tmp_path / "list.csv", text), out=tmp_path / "labels.parquet"
        )


def test_missing_sources_and_existing_outputs_are_named_first(file, tmp_path):
    out = write(tmp_path / "labels.parquet", "mine")

    with pytest.raises(InputNotFoundError, match=r"none\.R does not exist"):
        expressome.annotate(file, [tmp_path / "none.R"], out=out)
    with pytest.raises(OutputExistsError, match=r"labels\.parquet exists"):
        expressome.annotate(file, [file], out=out)
    with pytest.raises(LabelError, match="no label list was given"):
        expressome.annotate(file, [], out=out)

    assert out.read_text() == "mine"


def test_the_real_lists_label_a_file_of_their_samples_in_seconds(shared_data, tmp_path):
    path = shared_data / "archs4-label-lists" / "archs4_site_lists.tsv.gz"
    listed = pd.read_csv(path, sep="\t", usecols=["gsm"])["gsm"].unique()
    file = write_file(tmp_path / "x.h5", [*listed, "GSM0"])

    start = time.process_time()
    summary = expressome.annotate(file, path, out=tmp_path / "labels.parquet")
    elapsed_s = time.process_time() - start

    figures = summary.figures
    assert figures["n_entries"] == 86_033
    assert figures["n_labelled_samples"] == 81_661
    assert figures["n_unlabelled_samples"] == 1
    assert figures["n_labels"] == 95
    assert sum(
        n for size, n in figures["n_samples_by_number_of_labels"].items() if size != "1"
    ) == (4_365)
    assert read_labels(tmp_path / "labels.parquet").matrix.sum() == 86_033
    assert elapsed_s < 30


@pytest.fixture
def shown_warnings():
    """Warnings are shown, as on a command line, instead of raised, as in tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        yield


def test_the_annotate_command_prints_one_json_object(file, tmp_path, shown_warnings):
    sheet = write(tmp_path / "s.csv", "sample,organ,sex\nGSM1,liver,f\nGSM2,liver,m\nGSM3,,m\n")
    arguments = [str(file), str(sheet), "--label-columns", "organ,sex"]

    done = CliRunner().invoke(
        cli, ["annotate", *arguments, "--out", str(tmp_path / "labels.parquet")]
    )

    figures = json.loads(done.stdout)
    assert done.exit_code == 0
    assert figures["verb"] == "annotate"
    assert {key: row["kind"] for key, row in figures["labels"].items()} == {
        "liver": "organ",
        "f": "sex",
        "m": "sex",
    }
    assert "1 of 3 labels have one sample (f)" in done.stderr


def test_the_pack_command_prints_one_json_object(tmp_path, shown_warnings):
    table = write(tmp_path / "a.csv", "gene,S1,S2\nTP53,3,4\nALB,0.5,1\n")
    sheet = write(tmp_path / "s.csv", "sample,series\nS1,GSE1\n")
    arguments = [str(table), "--samples", str(sheet), "--out", str(tmp_path / "x.h5")]

    done = CliRunner().invoke(cli, ["pack", *arguments, "--min-tables", "0.9"])

    figures = json.loads(done.stdout)
    assert done.exit_code == 0
    assert figures["n_rounded"] == 1
    assert figures["n_columns_left_out"] == 1
    assert "1 of 2 values (50.0%)" in done.stderr
    assert "1 columns of 1 tables are not in the sheet" in done.stderr


def test_the_pack_command_fails_in_one_line(tmp_path, shown_warnings):
    table = write(tmp_path / "a.csv", "gene,S1\nTP53,-3\n")
    sheet = write(tmp_path / "s.csv", "sample,series\nS1,GSE1\n")
    arguments = [str(table), "--samples", str(sheet), "--out", str(tmp_path / "x.h5")]

    done = CliRunner().invoke(cli, ["pack", *arguments])

    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: 1 of 1 values in ")
    assert done.stderr.count("\n") == 1
