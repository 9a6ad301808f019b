import json

import anndata
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from tests.support.build import make_archs4, make_samples

import expressome
from expressome.cli.main import cli
from expressome.errors import FileFormatError, MissingFieldError, OutputExistsError

TEXTS = ["tissue: liver", "tissue: liver", "tissue: brain,Sex: F", "cell line: HeLa", "x: y", ""]


@pytest.fixture
def path(tmp_path):
    samples = make_samples(6)
    samples["title"] = "t"
    samples["source"] = ""
    samples["characteristics"] = TEXTS
    return make_archs4(tmp_path / "x.h5", samples=samples)


@pytest.fixture
def sheet(tmp_path):
    place = tmp_path / "sheet.csv"
    place.write_text("sample,tissue,cell_line\nGSM1,liver,\nGSM3,liver,\nGSM6,brain,HeLa\n")
    return place


def call(*arguments):
    result = CliRunner().invoke(cli, ["-q", *[str(argument) for argument in arguments]])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_table_says_what_was_read_and_from_where(path, tmp_path):
    figures = call("harmonize", path, "--out", tmp_path / "m.tsv")

    table = pd.read_csv(tmp_path / "m.tsv", sep="\t", index_col="sample", keep_default_na=False)
    assert figures["n_samples"] == len(table) == 6
    assert figures["n_found"]["tissue"] == 3
    assert table.loc["GSM3", ["tissue", "sex"]].tolist() == ["brain", "female"]
    assert table.loc["GSM4", "cell_line"] == "HeLa"
    assert table.loc["GSM1", "suggested_labels"] == "Liver"
    assert json.loads((tmp_path / "m.tsv.manifest.json").read_text())["verb"] == "harmonize"


def test_the_file_stays_as_it_is(path, tmp_path):
    before = path.read_bytes()

    expressome.harmonize(path, out=tmp_path / "m.parquet")

    assert path.read_bytes() == before
    notes = json.loads(pq.read_schema(tmp_path / "m.parquet").metadata[b"expressome"])
    assert notes["manifest"]["inputs"][0]["path"] == str(path)


def test_suggestions_are_for_the_unlabelled_and_measured_on_the_labelled(path, sheet, tmp_path):
    labels = tmp_path / "l.parquet"
    suggested = tmp_path / "s.tsv"

    figures = call("annotate", path, sheet, "--out", labels, "--suggest", suggested)

    table = pd.read_csv(suggested, sep="\t")
    assert table["sample"].tolist() == ["GSM2", "GSM4"]
    assert table["label"].tolist() == ["liver", "HeLa"]
    found = figures["suggestions"]
    assert (found["n_unlabelled"], found["n_suggested"]) == (3, 2)
    # GSM1 is liver in both; of GSM3 the list says liver and the text brain.
    agreement = found["agreement_with_labels"]
    assert (agreement["n_compared"], agreement["n_agree"]) == (2, 1)
    plain = call("annotate", path, sheet, "--out", tmp_path / "plain.parquet")
    assert "suggestions" not in plain
    pd.testing.assert_frame_equal(
        pd.read_parquet(labels), pd.read_parquet(tmp_path / "plain.parquet")
    )


def test_agreement_with_predictions_is_reported(path, sheet, tmp_path):
    call("annotate", path, sheet, "--out", tmp_path / "l.parquet")
    predictions = pd.DataFrame(
        {
            "sample": ["GSM2", "GSM4"],
            "label": ["liver", "liver"],
            "unknown": [False, False],
            "labels": ["liver", "liver"],
        }
    )
    predictions.to_parquet(tmp_path / "p.parquet")

    figures = call(
        "harmonize", path, "--labels", tmp_path / "l.parquet",
        "--predictions", tmp_path / "p.parquet", "--out", tmp_path / "m.csv.gz",
    )  # fmt: skip

    agreement = figures["agreement_with_predictions"]
    assert (agreement["n_compared"], agreement["n_agree"]) == (2, 1)
    assert agreement["per_label"]["HeLa"] == {"n_compared": 1, "n_agree": 0}
    assert pd.read_csv(tmp_path / "m.csv.gz").shape[0] == 6


def test_another_ending_and_an_old_table_are_refused(path, tmp_path):
    with pytest.raises(FileFormatError, match=r"m\.xlsx ends in none of \.parquet"):
        expressome.harmonize(path, out=tmp_path / "m.xlsx")
    expressome.harmonize(path, out=tmp_path / "m.tsv")
    with pytest.raises(OutputExistsError):
        expressome.harmonize(path, out=tmp_path / "m.tsv")


def test_a_file_without_texts_is_refused(tmp_path):
    path = make_archs4(tmp_path / "x.h5", n_samples=3, samples=make_samples(3)[["series"]])

    with pytest.raises(MissingFieldError, match="holds none of the sample fields title, source"):
        expressome.harmonize(path, out=tmp_path / "m.tsv")


def test_an_extract_takes_the_columns_along_when_asked(path, tmp_path):
    call("extract", path, "--samples", "GSM3,GSM4", "--harmonize", "--out", tmp_path / "y.h5ad")
    call("extract", path, "--samples", "GSM3", "--out", tmp_path / "plain.h5ad")

    obs = anndata.read_h5ad(tmp_path / "y.h5ad").obs
    assert obs.loc["GSM3", ["harmonized_tissue", "harmonized_sex"]].tolist() == ["brain", "female"]
    assert obs.loc["GSM4", "harmonized_cell_line_source"] == "characteristics_ch1: cell line"
    assert obs.loc["GSM3", "characteristics"] == "tissue: brain,Sex: F"
    assert {"study", "series"} <= set(obs.columns)
    plain = anndata.read_h5ad(tmp_path / "plain.h5ad").obs
    assert not [name for name in plain.columns if name.startswith("harmonized_")]


@pytest.mark.parametrize("ending", [".tsv", ".h5"])
def test_other_formats_take_them_along_too(path, tmp_path, ending):
    out = tmp_path / f"y{ending}"

    call("extract", path, "--harmonize", "--out", out)

    if ending == ".h5":
        samples = expressome.open_archs4(out).samples
    else:
        samples = pd.read_csv(next(tmp_path.glob("y*samples*")), sep="\t", index_col=0)
    assert samples.loc["GSM1", "harmonized_tissue"] == "liver"


@pytest.mark.parametrize("ending", ["tsv", "csv.gz", "parquet"])
def test_blocks_of_samples_change_nothing(ending, path, sheet, tmp_path, monkeypatch):
    labels = tmp_path / "l.parquet"
    call("annotate", path, sheet, "--out", labels)
    whole = expressome.harmonize(path, out=tmp_path / f"whole.{ending}", labels=labels)

    monkeypatch.setattr("expressome.pipeline.text_reading._BLOCK", 2)
    cut = expressome.harmonize(path, out=tmp_path / f"cut.{ending}", labels=labels)

    assert {**cut.figures, "out": ""} == {**whole.figures, "out": ""}
    if ending == "parquet":
        tables = [pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("cut", "whole")]
        pd.testing.assert_frame_equal(*tables)
        assert tables[0]["sample"].tolist() == [f"GSM{i}" for i in range(1, 7)]
    else:
        files = [(tmp_path / f"{name}.{ending}").read_bytes() for name in ("cut", "whole")]
        assert files[0] == files[1]


def test_predictions_that_are_none_are_refused(path, tmp_path):
    place = tmp_path / "p.parquet"
    place.write_text("junk")
    with pytest.raises(FileFormatError, match=r"p\.parquet is not a Parquet file, or a damaged"):
        expressome.harmonize(path, out=tmp_path / "m.tsv", predictions=place)

    pd.DataFrame({"sample": ["GSM1"]}).to_parquet(place)
    with pytest.raises(MissingFieldError, match=r"lacks 2 of the 3 columns .* \(label, unknown\)"):
        expressome.harmonize(path, out=tmp_path / "m.tsv", predictions=place)
    assert not (tmp_path / "m.tsv").exists()
