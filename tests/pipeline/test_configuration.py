from pathlib import Path

import pytest

from expressome.errors import ConfigurationError, FileFormatError, InputNotFoundError
from expressome.pipeline.configuration import read_configuration


def train(atlas, *, out, n_trees=100, resources=None):
    """Stand for a verb: only its signature is read."""


VERBS = {"train": train}


def write(folder: Path, text: str) -> Path:
    for name in ("human.h5", "a.tsv", "b.tsv", "sheet.tsv"):
        (folder / name).write_text("")
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_configuration(tmp_path):
    path = write(
        tmp_path,
        '[input]\ncounts = ["?.tsv"]\nsamples = "sheet.tsv"\n[output]\nfolder = "out"\n'
        '[train]\nn_trees = 5\n[resources]\nmemory = "1GiB"\nseed = 4',
    )

    configuration = read_configuration(path, verbs=VERBS)

    assert [table.name for table in configuration.counts] == ["a.tsv", "b.tsv"]
    assert configuration.folder == tmp_path / "out"
    assert configuration.options == {"train": {"n_trees": 5}}
    assert configuration.resources.memory_bytes == 2**30
    assert configuration.resources.seed == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[inputs]\n", r"run.toml has an unknown entry 'inputs'; did you mean 'input'\?"),
        ("input = 3", r"'input' is a value, but must be a section; write \[input\]"),
        ("[input]\n", r"needs either file \(an ARCHS4 file\) or counts"),
        ('[input]\nfile = "human.h5"\ncounts = "a.tsv"', "needs either file"),
        ('[input]\ncounts = "a.tsv"', "counts and samples .* go together"),
        ('[input]\nfile = ["human.h5", "a.tsv"]', "names 2 files, but takes one"),
        ('[input]\ncounts = "x*.tsv"\nsamples = "sheet.tsv"', r"no file matches 'x\*.tsv'"),
        ("[input]\nfile = 3", "is 3; write a path or a list of paths"),
        ('[input]\nfile = "human.h5"\n[train]\nn_tree = 3', "did you mean 'n_trees'"),
        ('[input]\nfile = "human.h5"\n[train]\nout = "x"', "known are: n_trees"),
        (
            '[input]\nfile = "human.h5"\n[resources]\nmemory = "1MB"',
            r"\[resources\]: .* below 64MiB",
        ),
        ('[input]\nfile = "human.h5"\n[resources]\nworkers = "x"', r"\[resources\]: "),
    ],
)
def test_a_wrong_entry_is_named_with_its_place(tmp_path, text, message):
    path = write(tmp_path, text)

    with pytest.raises(ConfigurationError, match=message):
        read_configuration(path, verbs=VERBS)


def test_a_file_that_is_not_toml_is_refused(tmp_path):
    path = write(tmp_path, "[input\n")

    with pytest.raises(FileFormatError, match=r"run\.toml is not valid TOML"):
        read_configuration(path, verbs={})


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "run.toml"
    path.write_bytes(b"# na\xefve\n")

    with pytest.raises(FileFormatError, match=r"not text in UTF-8 \(byte 4\)"):
        read_configuration(path, verbs={})


def test_an_input_that_does_not_exist_is_named(tmp_path):
    path = write(tmp_path, '[input]\nfile = "mouse.h5"')

    with pytest.raises(InputNotFoundError, match=r"mouse\.h5 does not exist"):
        read_configuration(path, verbs={})
