"""Bad input ends with status 1 and one clear line, and leaves nothing half-written."""

import subprocess
import sys
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
from tests.support.build import make_archs4, make_genes, make_samples

from expressome.cli.main import main

SHEET = "sample\tseries\ttissue\na\tGSE1\tliver\nb\tGSE2\tbrain\n"
GENES = [f"ENSG{g:011d}" for g in range(1, 41)]


def counts_table(folder, name="counts.tsv", *, samples=("a", "b"), genes=GENES, change=None):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        rng.negative_binomial(1, 0.002, (len(genes), len(samples))), index=genes, columns=samples
    ).astype(object)
    if change is not None:
        table.iloc[3, 1] = change
    table.to_csv(folder / name, sep="\t")
    return folder / name


def missing_file(folder):
    return ["inspect", "none.h5"], ["none.h5 does not exist"]


def not_hdf5(folder):
    (folder / "x.h5").write_text("gene\ta\n")
    return ["inspect", "x.h5"], ["x.h5", "HDF5"]


def unknown_layout(folder):
    with h5py.File(folder / "x.h5", "w") as file:
        file["matrix"] = np.zeros((3, 3))
    return ["inspect", "x.h5"], ["x.h5", "layout"]


def truncated(folder):
    whole = make_archs4(folder / "whole.h5", 300, 400).read_bytes()
    (folder / "x.h5").write_bytes(whole[: len(whole) // 2])
    (folder / "whole.h5").unlink()
    return ["verify", "x.h5"], ["x.h5"]


def sample_twice(folder):
    samples = make_samples(4).set_axis(["GSM1", "GSM2", "GSM1", "GSM4"])
    make_archs4(folder / "x.h5", samples=samples)
    return ["normalize", "x.h5", "--out", "atlas.zarr"], ["GSM1", "more than once"]


def negative_counts_in_a_file(folder):
    counts = np.arange(48).reshape(6, 8)
    counts[2, 5] = -4
    make_archs4(folder / "x.h5", counts=counts, layout="v9", genes=make_genes(8))
    return ["normalize", "x.h5", "--out", "atlas.zarr"], ["negative", "GSM3"]


def negative_counts_in_a_table(folder):
    (folder / "sheet.tsv").write_text(SHEET)
    counts_table(folder, change=-2)
    return ["pack", "counts.tsv", "--samples", "sheet.tsv", "--out", "x.h5"], ["negative"]


def missing_counts_in_a_table(folder):
    (folder / "sheet.tsv").write_text(SHEET)
    counts_table(folder, change="NaN")
    return ["pack", "counts.tsv", "--samples", "sheet.tsv", "--out", "x.h5"], ["counts.tsv"]


def tables_that_share_no_gene(folder):
    (folder / "sheet.tsv").write_text(SHEET)
    counts_table(folder, "one.tsv", samples=["a"], genes=GENES[:20])
    counts_table(folder, "two.tsv", samples=["b"], genes=GENES[20:])
    arguments = ["pack", "one.tsv", "two.tsv", "--samples", "sheet.tsv", "--out", "x.h5"]
    return arguments, ["no gene"]


def sheet_rows_without_counts(folder):
    (folder / "sheet.tsv").write_text(SHEET + "c\tGSE3\tliver\n")
    counts_table(folder)
    return ["pack", "counts.tsv", "--samples", "sheet.tsv", "--out", "x.h5"], ["1 of 3", "c"]


def a_sample_in_two_tables(folder):
    (folder / "sheet.tsv").write_text(SHEET)
    counts_table(folder, "one.tsv")
    counts_table(folder, "two.tsv", samples=["b", "c"])
    arguments = ["pack", "one.tsv", "two.tsv", "--samples", "sheet.tsv", "--out", "x.h5"]
    return arguments, ["b", "one.tsv", "two.tsv"]


def sheet_without_series(folder):
    (folder / "sheet.tsv").write_text("sample\ttissue\na\tliver\n")
    counts_table(folder)
    return ["pack", "counts.tsv", "--samples", "sheet.tsv", "--out", "x.h5"], ["series"]


def tpm_as_counts(folder):
    (folder / "sheet.tsv").write_text(SHEET)
    path = counts_table(folder, genes=[f"ENSG{g:011d}" for g in range(1, 501)])
    table = pd.read_csv(path, sep="\t", index_col=0)
    (table / table.sum() * 1e6).to_csv(path, sep="\t")
    return ["pack", "counts.tsv", "--samples", "sheet.tsv", "--out", "x.h5"], ["TPM"]


def tpm_file_with_a_count_recipe(folder):
    make_archs4(folder / "x.h5", 6, 20, "tpm", counts=np.random.default_rng(0).random((6, 20)))
    return ["normalize", "x.h5", "--out", "atlas.zarr"], ["tpm"]


def empty_label_list(folder):
    make_archs4(folder / "x.h5", 6, 20)
    (folder / "labels.tsv").write_text("sample\tlabel\tkind\n")
    return ["annotate", "x.h5", "labels.tsv", "--out", "labels.parquet"], ["labels.tsv"]


def labels_of_other_samples(folder):
    make_archs4(folder / "x.h5", 6, 20)
    (folder / "labels.tsv").write_text("sample\tlabel\tkind\nGSM99\tliver\ttissue\n")
    return ["annotate", "x.h5", "labels.tsv", "--out", "labels.parquet"], ["x.h5"]


def an_output_that_exists(folder):
    make_archs4(folder / "x.h5", 6, 20)
    (folder / "labels.tsv").write_text("sample\tlabel\tkind\nGSM1\tliver\ttissue\n")
    (folder / "labels.parquet").write_text("mine")
    arguments = ["annotate", "x.h5", "labels.tsv", "--out", "labels.parquet"]
    return arguments, ["labels.parquet exists", "--overwrite"]


def a_folder_that_is_no_model(folder):
    (folder / "model").mkdir()
    make_archs4(folder / "x.h5", 6, 20)
    return ["predict", "model", "x.h5", "--out", "p.parquet"], ["model"]


def a_folder_that_is_no_atlas(folder):
    (folder / "atlas.zarr").mkdir()
    return ["measure", "atlas.zarr"], ["atlas.zarr"]


def a_name_of_another_format(folder):
    make_archs4(folder / "x.h5", 6, 20)
    (folder / "labels.tsv").write_text("sample\tlabel\tkind\nGSM1\tliver\ttissue\n")
    arguments = ["annotate", "x.h5", "labels.tsv", "--out", "mine.tsv.gz"]
    return arguments, ["mine.tsv.gz ends in .gz", "name it mine.parquet"]


def a_wrong_configuration(folder):
    (folder / "run.toml").write_text("[inputs]\nfile = 'x.h5'\n")
    return ["run", "run.toml"], ["did you mean 'input'?"]


CASES = [
    missing_file,
    not_hdf5,
    unknown_layout,
    truncated,
    sample_twice,
    negative_counts_in_a_file,
    negative_counts_in_a_table,
    missing_counts_in_a_table,
    tables_that_share_no_gene,
    sheet_rows_without_counts,
    a_sample_in_two_tables,
    sheet_without_series,
    tpm_as_counts,
    tpm_file_with_a_count_recipe,
    empty_label_list,
    labels_of_other_samples,
    an_output_that_exists,
    a_folder_that_is_no_model,
    a_folder_that_is_no_atlas,
    a_name_of_another_format,
    a_wrong_configuration,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_bad_input_is_one_clear_line_and_leaves_nothing(case, tmp_path, monkeypatch, capsys):
    arguments, words = case(tmp_path)
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)

    # As in a process of its own: warnings are printed, not raised.
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.raises(SystemExit) as stop:
            main(arguments)

    printed = capsys.readouterr()
    errors = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert stop.value.code == 1, printed.err
    assert len(errors) == 1, printed.err
    assert "Traceback" not in printed.err
    assert [word for word in words if word not in printed.err] == []
    assert printed.out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_a_process_ends_with_the_status_of_its_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "expressome", "inspect", "none.h5"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: none.h5 does not exist")


@pytest.mark.parametrize(
    ("word", "said"),
    [("normalise", "(close: normalize"), ("Predict", "(close: predict"), ("xyzzy", "'xyzzy'\n")],
)
def test_a_command_that_is_mistyped_is_met_with_the_close_ones(word, said, capsys):
    with pytest.raises(SystemExit) as stop:
        main([word, "x.h5"])

    assert stop.value.code == 2
    assert f"no such command '{word}'" in (printed := capsys.readouterr().err)
    assert said in printed
