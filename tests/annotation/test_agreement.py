"""Entries of several sources become one set of labels, conflicts are told."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from expressome.annotation.agreement import agree, to_label_matrix
from expressome.annotation.coverage import describe_coverage, describe_lists
from expressome.annotation.entries import make_entries
from expressome.annotation.multihot import read_labels, read_labels_manifest, write_labels
from expressome.annotation.sheets import read_label_table
from expressome.annotation.site_lists import read_folder
from expressome.errors import (
    DamagedFileError,
    EmptySelectionError,
    FileFormatError,
    LabelError,
    OutputExistsError,
)
from expressome.reference.vocabulary import fold_name, load_vocabulary

VOCABULARY = load_vocabulary()


def entries(label, *samples, kind="tissue", system="", source="list.tsv"):
    return make_entries(samples, label=label, kind=kind, system=system, source=Path(source))


def join(*sources, kind=None):
    return agree(sources, VOCABULARY, fold=fold_name, kind=kind)


def test_one_name_in_two_kinds_stays_two_labels():
    agreement = join(entries("brain", "S1"), entries("brain", "S2", kind="cell_line"))

    assert agreement.labels.index.tolist() == ["brain (tissue)", "brain (cell_line)"]
    assert agreement.labels["name"].tolist() == ["brain", "brain"]
    assert agreement.names_in_several_kinds == {"brain": ["cell_line", "tissue"]}


def test_spellings_that_differ_in_case_are_one_label_and_reported():
    agreement = join(entries("liver", "S1"), entries("Liver", "S2", "S3"), entries("LIVER", "S4"))

    assert agreement.labels.index.tolist() == ["Liver"]
    assert agreement.merged_spellings == {"Liver": ["liver", "LIVER"]}


def test_names_that_differ_in_more_than_case_stay_apart():
    agreement = join(entries("CD4+", "S1"), entries("CD4-", "S2"), entries("C4-2", "S3"))

    assert agreement.labels.index.tolist() == ["CD4+", "CD4-", "C4-2"]


def test_a_label_may_not_be_named_as_the_column_of_samples():
    assert join(entries("sample", "S1")).labels.index.tolist() == ["sample (tissue)"]


def test_the_vocabulary_gives_kind_system_parent_and_term():
    agreement = join(entries("hepatocyte", "S1", kind=""), entries("LIVER", "S2", kind=""))

    assert agreement.labels.loc["hepatocyte"].tolist() == [
        "hepatocyte",
        "tissue",
        "digestive",
        "LIVER",
        "CL:0000182",
    ]


def test_a_parent_that_is_no_label_here_is_empty():
    assert join(entries("Hepatocyte", "S1")).labels["parent"].tolist() == [""]


def test_the_kind_that_was_passed_wins_over_the_vocabulary_but_not_over_the_source():
    agreement = join(entries("Liver", "S1", kind=""), entries("HELA", "S2", kind="x"), kind="organ")

    assert agreement.labels["kind"].tolist() == ["organ", "x"]


def test_a_label_without_kind_is_an_error_that_names_it():
    with pytest.raises(
        LabelError, match=r"1 of 2 labels have no kind \(my tissue\).*kind='tissue'"
    ):
        join(entries("my tissue", "S1", kind=""), entries("Liver", "S2", kind=""))


def test_no_entry_at_all_is_an_error():
    with pytest.raises(LabelError, match="hold no entry"):
        join()


def test_the_matrix_has_the_labelled_samples_of_the_file_in_its_order():
    agreement = join(entries("Skin", "S9", "S3", "S1", "S3"), entries("Liver", "S1"))

    labels = to_label_matrix(agreement, pd.Index(["S1", "S2", "S3"]))

    assert labels.samples.tolist() == ["S1", "S3"]
    assert labels.keys == ["Skin", "Liver"]
    assert labels.matrix.toarray().tolist() == [[1, 1], [1, 0]]


def test_lists_of_another_file_are_an_error_with_both_sizes():
    agreement = join(entries("Skin", "S9", "S8"))

    with pytest.raises(EmptySelectionError, match=r"none of the 2 listed samples is among the 3"):
        to_label_matrix(agreement, pd.Index(["S1", "S2", "S3"]))


def test_the_report_counts_what_was_listed_and_what_is_covered():
    agreement = join(
        entries("Skin", "S1", "S2", "S2", "S9", source="a.R"),
        entries("Liver", "S1", source="b.R"),
        entries("Skin", "S1", source="c.R"),
        entries("Kidney", "S8", source="d.R"),
    )
    samples = pd.Index(["S1", "S2", "S3"])
    labels = to_label_matrix(agreement, samples)

    lists, coverage = describe_lists(agreement), describe_coverage(labels, agreement, samples)

    assert lists["n_entries"] == 7
    assert lists["n_listed_samples"] == 4
    assert lists["n_listed_twice"] == 2
    assert lists["n_listed_twice_in_one_source"] == 1
    assert lists["n_listed_samples_with_several_labels"] == 1
    assert coverage["n_labelled_samples"] == 2
    assert coverage["n_unlabelled_samples"] == 1
    assert coverage["absent"] == ["S9", "S8"]
    assert coverage["mean_labels_per_sample"] == 1.5
    assert coverage["n_samples_by_number_of_labels"] == {"1": 1, "2": 1}
    assert coverage["cooccurrence"] == [{"labels": ["Skin", "Liver"], "n_samples": 1}]
    assert coverage["labels_with_one_sample"] == ["Liver"]
    assert coverage["labels_without_sample"] == ["Kidney"]


KNOWN = {
    "archs4_site_lists.tsv.gz": {
        "n_entries": 86_033,
        "n_listed_samples": 81_661,
        "n_listed_labels": 95,
        "n_listed_samples_with_several_labels": 4_365,
        "n_listed_twice": 0,
        "n_entries_per_kind": {"tissue": 51_843, "cell_line": 34_022, "series": 168},
    },
    "archs4_site_lists_2018_all.tsv.gz": {
        "n_entries": 93_391,
        "n_listed_samples": 88_056,
        "n_listed_labels": 116,
        "n_listed_twice": 27,
        "n_entries_per_kind": {"tissue": 69_581, "cell_line": 23_810},
    },
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_real_lists_have_their_known_counts(name, shared_data):
    figures = describe_lists(join(read_label_table(shared_data / "archs4-label-lists" / name)))

    assert {key: figures[key] for key in KNOWN[name]} == KNOWN[name]


def test_the_real_lists_together_name_109377_samples(shared_data):
    folder = shared_data / "archs4-label-lists"

    agreement = join(*(read_label_table(folder / name) for name in KNOWN))

    assert agreement.entries["sample"].nunique() == 109_377
    assert agreement.labels_in_several_systems == {"Myofibroblast": ["connective", "muscular"]}


def test_the_real_scripts_give_kind_and_repeats(shared_data):
    agreement = join(read_folder(shared_data / "archs4-label-lists" / "site-scripts"))

    assert agreement.labels["kind"].to_dict() == {"A431": "cell_line", "Blymphocyte": "tissue"}
    assert describe_lists(agreement)["n_listed_twice"] == 1
    assert "" not in set(agreement.entries["sample"])


def test_a_label_file_comes_back_as_it_was_written(tmp_path):
    agreement = join(entries("Liver", "S1", "S2"), entries("Hepatocyte", "S2"))
    labels = to_label_matrix(agreement, pd.Index(["S1", "S2"]))
    path = tmp_path / "labels.parquet"

    write_labels(labels, path, {"verb": "annotate", "n": np.int64(3)})
    back = read_labels(path)

    assert back.samples.tolist() == ["S1", "S2"]
    pd.testing.assert_frame_equal(back.labels, labels.labels, check_dtype=False)
    np.testing.assert_array_equal(back.matrix.toarray(), labels.matrix.toarray())
    assert read_labels_manifest(path) == {"verb": "annotate", "n": 3}


def test_pandas_reads_a_label_file_as_zeros_and_ones(tmp_path):
    labels = to_label_matrix(join(entries("Liver", "S2")), pd.Index(["S1", "S2"]))
    write_labels(labels, tmp_path / "labels.parquet", {})

    frame = pd.read_parquet(tmp_path / "labels.parquet")

    assert frame.to_dict(orient="list") == {"sample": ["S2"], "Liver": [1]}
    assert frame["Liver"].dtype == np.uint8


def test_another_parquet_file_is_no_label_file(tmp_path):
    path = tmp_path / "x.parquet"
    pd.DataFrame({"sample": ["S1"]}).to_parquet(path)

    with pytest.raises(FileFormatError, match="make it with annotate"):
        read_labels(path)


def test_a_damaged_label_file_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 broken")

    with pytest.raises(DamagedFileError, match=r"x\.parquet is no readable Parquet"):
        read_labels(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"labels"', b'"\xf9abels"', "utf-8"),
        (b'"ontology_id"', b'"ontologyxid"', "ontology_id"),
        (b'"system": "', b'"system": 0, "x": "', "no text"),
        (b'"labels": [', b'"labels": [],"x":[', "1 labels, 0 descriptions"),
    ],
    ids=["not-utf8", "field-gone", "number", "too-few"],
)
def test_a_label_file_with_a_damaged_table_of_labels_is_named(old, new, said, tmp_path):
    path = tmp_path / "labels.parquet"
    labels = to_label_matrix(join(entries("Liver", "S2")), pd.Index(["S1", "S2"]))
    write_labels(labels, path, {})
    table = pq.read_table(path)
    notes = table.schema.metadata[b"expressome"]
    assert old in notes
    pq.write_table(table.replace_schema_metadata({b"expressome": notes.replace(old, new, 1)}), path)

    with pytest.raises(DamagedFileError, match=rf"label table of .*labels\.parquet .*{said}"):
        read_labels(path)


def test_a_label_file_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "labels.parquet"
    path.write_text("mine")
    labels = to_label_matrix(join(entries("Liver", "S2")), pd.Index(["S2"]))

    with pytest.raises(OutputExistsError, match=r"labels\.parquet exists"):
        write_labels(labels, path, {})

    assert path.read_text() == "mine"
