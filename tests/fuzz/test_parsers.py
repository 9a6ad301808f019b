"""Spoilt input is an expected failure or is read: no trace, no hang, bounded memory."""

import os
import resource
import shutil
import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.seeds import SCRIPT, write_seeds

import expressome
from expressome.annotation.multihot import read_labels
from expressome.annotation.sheets import read_label_table
from expressome.annotation.site_lists import (
    is_matrix,
    is_script,
    read_folder,
    read_matrix,
    read_script,
)
from expressome.archs4.conditions import parse_condition
from expressome.archs4.query import to_fts5
from expressome.errors import ExpressomeError
from expressome.pipeline.configuration import read_configuration
from expressome.pipeline.gathering import gather_predictions
from expressome.reference.annotation import read_annotation
from expressome.tables import read_counts

pytestmark = pytest.mark.slow

# Cases of each parser: few in CI, ten thousand by `make fuzz`.
N_CASES = int(os.environ.get("EXPRESSOME_FUZZ_CASES", "60"))
MEMORY_BYTES = 600 * 2**20  # what one spoilt file of a few KiB may cost, over all cases
MANY = settings(
    max_examples=N_CASES,
    deadline=20_000,  # milliseconds: a hang is a failure
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
TOKENS = [
    *(b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\n", b"\r", b"\t\t", b",,"),
    *(b'"', b"'", b"(", b"[[", b"{", b"NaN", b"inf", b"-1", b"1e309", b"9" * 25, b"../../etc"),
]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat", "drop", "swap"]),
        st.floats(0, 1),
        st.floats(0, 1),
        st.integers(0, 255),
        st.sampled_from(TOKENS),
    ),
    min_size=1,
    max_size=8,
)


def spoil(content, changes):
    """Change bytes here and there, cut, insert, repeat, drop and swap pieces."""
    for kind, where, how_far, value, token in changes:
        start = int(where * len(content))
        stop = min(len(content), start + 1 + int(how_far**4 * len(content)))
        piece = content[start:stop]
        changed = {
            "flip": bytes([piece[0] ^ (value or 1)]) + piece[1:] if piece else b"",
            "cut": b"",
            "insert": token + piece,
            "repeat": piece * min(3 + value % 60, 1 + 20_000 // max(1, len(piece))),
            "drop": piece[1:],
            "swap": piece[::-1],
        }[kind]
        content = content[:start] + changed + (b"" if kind == "cut" else content[stop:])
    return content


def read_archs4(path):
    compendium = expressome.open_archs4(path)
    compendium.samples, compendium.genes, compendium.counts()


def read_list(path):
    return read_script(path) if is_script(path) else read_matrix(path) if is_matrix(path) else None


PARSERS = {
    "liver.R": read_list,
    "long.tsv": read_label_table,
    "sheet.tsv": read_label_table,
    "sheet.parquet": read_label_table,
    "predictions.parquet": gather_predictions,
    "counts.csv": read_counts,
    "counts.parquet": read_counts,
    "genes.gtf": read_annotation,
    "genes.gtf.gz": read_annotation,
    "run.toml": partial(read_configuration, verbs={}),
    "target.npz": expressome.load_target,
    "compendium.h5": read_archs4,  # of arbitrary bytes alone
}


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    return write_seeds(tmp_path_factory.mktemp("seeds"))


def check(read, place):
    """Read well or fail as expected; another exception, or much memory, is a fault."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(ExpressomeError):
            read(place)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MEMORY_BYTES, f"{grown / 2**20:.0f} MiB for one small file"


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", sorted(PARSERS.keys() - {"compendium.h5"}))
def test_a_spoilt_file_is_refused_or_read(name, seeds, tmp_path):
    content = seeds[name].read_bytes()
    place = tmp_path / name

    @MANY
    @given(CHANGES)
    def meets(changes):
        place.write_bytes(spoil(content, changes))
        check(PARSERS[name], place)

    meets()


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ["counts.csv", "liver.R", "run.toml", "compendium.h5"])
def test_arbitrary_bytes_are_refused_or_read(name, tmp_path):
    place = tmp_path / name

    @MANY
    @given(st.binary(max_size=400))
    def meets(content):
        place.write_bytes(content)
        check(PARSERS[name], place)

    meets()


@MANY
@given(st.text(max_size=60))
def test_any_query_and_condition_is_understood_or_refused(text):
    for parse in (to_fts5, parse_condition):
        with suppress(ExpressomeError):
            parse(text)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from tests.support.studies import make_study_atlas

    folder = tmp_path_factory.mktemp("model")
    studies = np.repeat(np.arange(14), 4)
    make_study_atlas(folder, np.resize(["liver", "brain"], 56), studies, labelled=studies < 12)
    expressome.train(folder / "atlas.zarr", out=folder / "model", n_trees=5, time_budget_s=0)
    return folder


@pytest.mark.timeout(7200)
def test_a_spoilt_model_folder_is_refused(model, tmp_path):
    parts = sorted(path for path in (model / "model").iterdir() if path.suffix in {".json", ".npz"})

    @MANY
    @given(st.sampled_from(parts), CHANGES)
    def meets(part, changes):
        folder = tmp_path / "model"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(model / "model", folder)
        (folder / part.name).write_bytes(spoil(part.read_bytes(), changes))
        check(expressome.load_model, folder)

    meets()


@pytest.mark.timeout(7200)
def test_a_spoilt_label_file_is_refused_or_read(model, tmp_path):
    content = (model / "labels.parquet").read_bytes()

    @MANY
    @given(CHANGES)
    def meets(changes):
        place = tmp_path / "labels.parquet"
        place.write_bytes(spoil(content, changes))
        check(read_labels, place)

    meets()


@pytest.mark.parametrize("link", ["/etc", "../../../.."])
def test_a_label_folder_cannot_lead_outside(link, tmp_path):
    """A link to a folder outside is not followed."""
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "liver.R").write_text(SCRIPT)
    Path(folder / "elsewhere").symlink_to(link)

    assert set(read_folder(folder)["sample"]) == {"GSM1", "GSM2", "GSM3", "GSM4"}
