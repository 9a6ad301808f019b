"""Ids are read as people have them: one by one, with commas, in lists and in tables."""

import pytest

from expressome.errors import EmptySelectionError, InputNotFoundError
from expressome.pipeline.choosing import read_names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ids.txt", "GSM1\nGSM2\n"),
        ("ids.txt", "sample\n# those of Monday\nGSM1\n\n GSM2 \n"),
        ("ids.txt", "GSM1, GSM2\n"),
        ("ids", '"GSM1"\r\n"GSM2"\r\n'),
        ("ids.tsv", "GSM1\tliver\nGSM2\tbrain\n"),
        ("sheet.tsv", "dataset\tsample\tseries\na\tGSM1\tGSE1\nb\tGSM2\tGSE2\n"),
        ("sheet.csv", "series,Sample,tissue\nGSE1,GSM1,liver\nGSE2,GSM2,brain\n"),
        ("ids.csv", "GSM1,liver\nGSM2,brain\n"),
    ],
    ids=lambda text: text.encode("unicode_escape").decode()[:30],
)
def test_a_list_or_table_of_samples_gives_its_ids(tmp_path, name, text):
    (tmp_path / name).write_text(text)

    assert read_names([str(tmp_path / name)], headers=frozenset({"sample"})) == ["GSM1", "GSM2"]


def test_ids_known_to_a_file_are_never_cut_nor_taken_for_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "GSM1").write_text("GSM7\n")
    (tmp_path / "ids").write_text("a,b\nGSM2,GSM3\n")

    found = read_names(["a,b", "GSM1", "ids"], known=["a,b", "GSM1"])

    assert found == ["a,b", "GSM1", "a,b", "GSM2", "GSM3"]


def test_a_list_that_is_not_there_is_no_sample_id():
    with pytest.raises(InputNotFoundError, match=r"nothing\.txt does not exist"):
        read_names(["nothing.txt"])


def test_a_list_without_ids_says_how_to_write_one(tmp_path):
    (tmp_path / "ids.txt").write_text("sample\n\n")

    with pytest.raises(EmptySelectionError) as caught:
        read_names([str(tmp_path / "ids.txt")])

    assert str(caught.value) == (
        f"{tmp_path / 'ids.txt'} holds no id in its 2 lines; write one id per line"
    )
