"""Scripts, matrices, lists and sheets give the entries they hold."""

import gzip

import pandas as pd
import pytest

from expressome.annotation.entries import canonical_kind
from expressome.annotation.sheets import read_label_table
from expressome.annotation.site_lists import read_folder, read_matrix, read_script
from expressome.errors import (
    DamagedFileError,
    FileFormatError,
    IdentifierError,
    LabelError,
    LeftOutWarning,
    MissingFieldError,
)

SCRIPT = """# R script to download selected samples
library("rhdf5")
# samp = c("GSM99")
extracted_expression_file = "Bone Marrow_expression_matrix.tsv"
samp = c("GSM1","GSM2",
   'GSM3',"")
samples = h5read("x.h5", "/meta/Sample_geo_accession")
"""


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def rows_of(entries, *columns):
    return entries[list(columns)].to_numpy().tolist()


def test_a_script_is_read_without_its_comments_and_empty_string(tmp_path):
    entries = read_script(write(tmp_path / "tissue_types" / "a.R", SCRIPT))

    assert rows_of(entries, "sample", "label", "kind") == [
        ["GSM1", "Bone Marrow", "tissue"],
        ["GSM2", "Bone Marrow", "tissue"],
        ["GSM3", "Bone Marrow", "tissue"],
    ]


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("cell_lines", "cell_line"),
        ("Cell_lines", "cell_line"),
        ("tissue_types", "tissue"),
        ("Tissues", "tissue"),
        ("downloads", ""),
        ("cell_lines/breast", "cell_line"),
    ],
)
def test_the_folder_of_a_script_is_its_kind(tmp_path, folder, kind):
    entries = read_script(write(tmp_path / folder / "MCF7.r", 'samp <- c("GSM1")'))

    assert rows_of(entries, "label", "kind") == [["MCF7", kind]]


def test_a_script_may_append_to_its_list(tmp_path):
    text = 'samp = c("GSM1")\nsamp = c(samp, "GSM2")\n'

    entries = read_script(write(tmp_path / "x.R", text))

    assert entries["sample"].tolist() == ["GSM1", "GSM2"]


def test_r_code_in_a_script_is_never_run(tmp_path):
    text = f'system("touch {tmp_path}/ran")\nsamp = c("GSM1")\n'

    read_script(write(tmp_path / "x.R", text))

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("text", ['samp = c("")', "samp = c()"])
def test_a_script_without_samples_is_an_error(tmp_path, text):
    with pytest.raises(LabelError, match=r"x\.R lists no sample for x"):
        read_script(write(tmp_path / "x.R", text))


def test_a_script_without_a_list_is_an_error(tmp_path):
    with pytest.raises(FileFormatError, match=r"assigns no samp = c"):
        read_script(write(tmp_path / "x.R", 'library("rhdf5")'))


@pytest.mark.parametrize(
    "header",
    ["GSM1\tGSM2", "\tGSM1\tGSM2", '""\t"GSM1"\t"GSM2"', "genes\tGSM1\tGSM2", ",GSM1,GSM2"],
    ids=["v1-8: no corner", "v9: empty corner", "quoted", "named corner", "comma"],
)
def test_both_header_dialects_of_a_matrix_name_the_same_samples(tmp_path, header):
    path = write(tmp_path / "Liver_expression_matrix.tsv", f"{header}\nTP53\tnot read\n")

    assert rows_of(read_matrix(path), "sample", "label") == [["GSM1", "Liver"], ["GSM2", "Liver"]]


def test_only_the_header_of_a_matrix_is_read(tmp_path):
    whole = gzip.compress(b"\tGSM1\n" + b"".join(b"gene%d\t7\n" % g for g in range(10**5)))
    path = tmp_path / "Liver_expression_matrix.tsv.gz"
    path.write_bytes(whole[: len(whole) // 2])

    assert read_matrix(path)["sample"].tolist() == ["GSM1"]


def test_a_damaged_matrix_is_named(tmp_path):
    path = tmp_path / "Liver_expression_matrix.tsv.gz"
    path.write_bytes(b"\x1f\x8bnot gzip at all")

    with pytest.raises(DamagedFileError, match=r"Liver_expression_matrix\.tsv\.gz is a damaged"):
        read_matrix(path)


def test_a_matrix_in_a_folder_takes_the_folder_as_label(tmp_path):
    write(tmp_path / "digestive" / "Liver_expression_matrix.tsv", "GSM1\tGSM2\n")
    write(tmp_path / "digestive" / "Colon.tsv", "GSM3\tGSM4\n")
    write(tmp_path / "cell_lines" / "MCF7_expression_matrix.tsv", "\tGSM5\n")
    write(tmp_path / ".hidden" / "x.tsv", "GSM6\n")

    entries = read_folder(tmp_path)

    assert rows_of(entries, "sample", "label", "kind") == [
        ["GSM5", "MCF7", "cell_line"],
        ["GSM3", "digestive", ""],
        ["GSM4", "digestive", ""],
        ["GSM1", "digestive", ""],
        ["GSM2", "digestive", ""],
    ]


def test_odd_names_of_folders_are_labels_and_nothing_else(tmp_path):
    write(tmp_path / "$(touch ran); ..%2F x" / "a.tsv", "GSM1\tGSM2\n")

    assert read_folder(tmp_path)["label"].unique().tolist() == ["$(touch ran); ..%2F x"]


def test_other_files_of_a_folder_are_left_out_and_counted(tmp_path):
    write(tmp_path / "liver" / "a.tsv", "GSM1\tGSM2\n")
    write(tmp_path / "README.md", "hello")

    with pytest.warns(LeftOutWarning, match=r"1 files .* \(README.md\)"):
        read_folder(tmp_path)


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(LabelError, match=r"holds no R script and no \.tsv matrix"):
        read_folder(tmp_path)


def test_a_list_gives_its_rows_with_kind_and_system(tmp_path):
    path = write(
        tmp_path / "list.csv",
        "GSM,label,kind,system\n1,Liver,tissue,digestive\n2,HELA,Cell line,\n3,NA,tissue,\n",
    )

    entries = read_label_table(path)

    assert rows_of(entries, "sample", "label", "kind", "system") == [
        ["1", "Liver", "tissue", "digestive"],
        ["2", "HELA", "cell_line", ""],
    ]


def test_a_list_may_repeat_a_sample_and_lack_kinds(tmp_path):
    path = write(tmp_path / "list.tsv", "sample\tlabel\nS1\tLiver\nS1\tLiver\nS1\tSkin\n")

    assert rows_of(read_label_table(path), "label", "kind") == [
        ["Liver", ""],
        ["Liver", ""],
        ["Skin", ""],
    ]


def test_a_sheet_gives_its_default_columns_with_their_names_as_kinds(tmp_path):
    path = write(
        tmp_path / "sheet.tsv",
        "sample\tseries\tTissue\tcell_line\tnote\nS1\tGSE1\tliver\t\tx\nS2\tGSE1\tNA\tHeLa\ty\n",
    )

    assert rows_of(read_label_table(path), "sample", "label", "kind") == [
        ["S1", "liver", "tissue"],
        ["S2", "HeLa", "cell_line"],
    ]


def test_label_columns_choose_the_columns_of_a_sheet(tmp_path):
    path = write(tmp_path / "sheet.csv", "sample,tissue,Sex at birth\nS1,liver,f\nS2,lung,m\n")

    entries = read_label_table(path, label_columns=["Sex at birth"])

    assert rows_of(entries, "sample", "label", "kind") == [
        ["S1", "f", "Sex at birth"],
        ["S2", "m", "Sex at birth"],
    ]


def test_parquet_sheets_are_read(tmp_path):
    path = tmp_path / "sheet.parquet"
    pd.DataFrame({"sample": ["S1", "S2"], "tissue": ["liver", None]}).to_parquet(path)

    assert rows_of(read_label_table(path), "sample", "label") == [["S1", "liver"]]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("id,tissue\nS1,liver\n", MissingFieldError, r"no column sample or gsm \(columns: id"),
        ("sample,organ\nS1,liver\n", MissingFieldError, "neither a column label nor one of"),
        ("sample,tissue\nS1,liver\nS1,skin\n", IdentifierError, "1 of 1 sample ids occur more"),
        ("sample,tissue\n,liver\n", IdentifierError, "1 of 1 rows .* have no sample id"),
        ("sample,tissue\nS1,NA\n", LabelError, "holds 1 rows but no label"),
        ("sample,label,kind\n", LabelError, "holds 0 rows but no label"),
        ("sample,tissue\nS1\n", FileFormatError, "row 1 of .* has 1 fields, but the header has 2"),
        ("sample,tissue,tissue\nS1,a,b\n", FileFormatError, r"columns of the same name \(tissue"),
        ("", FileFormatError, "is empty"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path, text, error, words):
    with pytest.raises(error, match=words):
        read_label_table(write(tmp_path / "sheet.csv", text))


def test_a_missing_label_column_is_named_with_those_there(tmp_path):
    path = write(tmp_path / "sheet.csv", "sample,tissue\nS1,liver\n")

    with pytest.raises(MissingFieldError, match=r"lacks 1 of 2 label columns \(sex\)"):
        read_label_table(path, label_columns=["tissue", "sex"])


@pytest.mark.parametrize("written", ["cell line", "Cell_Lines", "cell-line", "CELLLINE"])
def test_spellings_of_a_kind_are_one(written):
    assert canonical_kind(written) == "cell_line"
