"""The search index: what it finds, when it is rebuilt, what a kill leaves."""

import os
import pickle
import re
import signal
import sqlite3
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.build import LAYOUTS, make_archs4, make_samples

from expressome.archs4 import catalogue as catalogue_module
from expressome.archs4.catalogue import find_catalogue, open_catalogue
from expressome.archs4.conditions import FieldValues, meets_condition, parse_condition
from expressome.archs4.reader import open_archs4
from expressome.archs4.selection import select_samples
from expressome.errors import DamagedFileError, InvalidValueError

WORDS = ["liver", "brain", "Tumor", "adult", "MCF-7", "CD4+", "naïve", "bone marrow"]


def make_texts(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    samples = make_samples(n_samples)
    samples["title"] = [" ".join(rng.choice(WORDS, 2)) for _ in range(n_samples)]
    samples["characteristics"] = [
        f"age: {rng.integers(9)}, {rng.choice(WORDS)}" for _ in samples.index
    ]
    return samples


@pytest.fixture
def path(tmp_path):
    return make_archs4(tmp_path / "x.h5", samples=make_texts(60), n_genes=2)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPRESSOME_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "catalogues"


def by_scanning(compendium, words):
    """Samples whose fields hold all the words, from the texts themselves."""
    samples = compendium.samples
    texts = samples.index + " | " + samples["series"] + " | " + samples["title"]
    texts = texts + " | " + samples["source"] + " | " + samples["characteristics"]
    found = np.ones(len(samples), bool)
    for word in words:
        pattern = re.compile(rf"(?<!\w){re.escape(word.rstrip('+'))}(?!\w)", re.IGNORECASE)
        found &= [bool(pattern.search(text)) for text in texts]
    return np.flatnonzero(found).tolist()


@pytest.mark.parametrize(
    "words", [["liver"], ["TUMOR", "adult"], ["bone marrow"], ["MCF-7"]], ids=str
)
def test_words_and_phrases_find_what_a_scan_finds(path, words):
    compendium = open_archs4(path)

    found = open_catalogue(compendium).match(" ".join(f'"{word}"' for word in words))

    assert len(found) > 0
    assert found.tolist() == by_scanning(compendium, words)


@settings(max_examples=25, deadline=None)
@given(
    a=st.sampled_from(WORDS),
    b=st.sampled_from(WORDS),
    operator=st.sampled_from(["AND", "OR", "NOT"]),
)
def test_operators_are_those_of_sets(tmp_path_factory, a, b, operator):
    folder = tmp_path_factory.getbasetemp() / "operators"
    folder.mkdir(exist_ok=True)
    path = folder / "x.h5"
    if not path.exists():
        make_archs4(path, samples=make_texts(80, seed=1), n_genes=2)
    catalogue = open_catalogue(open_archs4(path))
    one, other = set(catalogue.match(f'"{a}"')), set(catalogue.match(f'"{b}"'))

    found = set(catalogue.match(f'"{a}" {operator} "{b}"'))

    assert found == {"AND": one & other, "OR": one | other, "NOT": one - other}[operator]


def test_accents_and_case_do_not_matter_and_a_beginning_finds_words(path):
    catalogue = open_catalogue(open_archs4(path))

    assert catalogue.match("NAIVE").tolist() == catalogue.match("naïve").tolist() != []
    assert catalogue.match("tumo*").tolist() == catalogue.match("tumor").tolist() != []
    assert catalogue.match("umor").tolist() == []


def test_one_field_is_searched_alone(tmp_path):
    samples = make_samples(3)
    samples["title"], samples["source"] = ["liver", "x", "y"], ["y", "liver", "z"]
    samples["characteristics"] = ""
    catalogue = open_catalogue(open_archs4(make_archs4(tmp_path / "x.h5", samples=samples)))

    assert catalogue.match("title:liver").tolist() == [0]
    assert catalogue.match("source_name_ch1:liver").tolist() == [1]
    assert catalogue.match("GSM3").tolist() == [2]


def test_ranks_are_bm25_by_hand(tmp_path):
    samples = make_samples(4).assign(series="", source="", characteristics="")
    samples["title"] = ["liver", "liver liver b", "c d e f", "g"]
    catalogue = open_catalogue(open_archs4(make_archs4(tmp_path / "x.h5", samples=samples)))
    lengths = np.array([2, 4, 5, 2])  # the sample's id is a word, too
    # FTS5 takes 1e-6 for a weight that is not positive, as here where 2 of 4 texts match.
    weight = max(np.log((4 - 2 + 0.5) / (2 + 0.5)), 1e-6)
    often = np.array([1, 2])
    norm = 1.2 * (1 - 0.75 + 0.75 * lengths[:2] / lengths.mean())
    expected = weight * often * 2.2 / (often + norm)

    ranking = catalogue.rank("liver", limit=5)

    assert ranking.n_found == 2
    order = np.argsort(-expected)
    assert ranking.positions.tolist() == order.tolist()
    np.testing.assert_allclose(ranking.scores, expected[order], rtol=1e-9)


def test_ties_come_in_file_order_and_the_limit_cuts_the_same_list(path):
    catalogue = open_catalogue(open_archs4(path))

    whole = catalogue.rank("liver OR adult")
    few = catalogue.rank("liver OR adult", limit=7)

    assert few.n_found == whole.n_found == len(whole.positions) > 7
    assert few.positions.tolist() == whole.positions[:7].tolist()
    assert sorted(zip(-whole.scores, whole.positions, strict=True)) == list(
        zip(-whole.scores, whole.positions, strict=True)
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_indexed_and_fields_have_the_names_of_any_release(tmp_path, layout):
    compendium = open_archs4(make_archs4(tmp_path / "x.h5", 9, layout=layout))
    catalogue = open_catalogue(compendium)

    assert catalogue.match("liver").tolist() == [0, 3, 6]
    for name in ("aligned_reads", "alignedreads", "readsaligned"):
        assert catalogue.field(name).distinct.tolist() == compendium.field(name).tolist()
    platform = catalogue.field("platform_id")
    assert platform.distinct[platform.codes].tolist() == ["GPL16791"] * 9


@pytest.mark.parametrize(
    "condition",
    ["platform_id=GPL16791", "alignedreads>2e7", "title~^liver", "series=GSE3", "sample~1$",
     "organism_ch1!=Homo sapiens", "singlecellprobability<0.05"],
)  # fmt: skip
def test_a_condition_means_the_same_by_index_and_by_file(path, condition):
    compendium = open_archs4(path)
    parsed = parse_condition(condition)
    name = {"sample": "sample"}.get(parsed.field, parsed.field)
    values = compendium.sample_ids.to_numpy() if name == "sample" else compendium.field(name)

    by_file = meets_condition(FieldValues.of(values), parsed)
    by_index = meets_condition(open_catalogue(compendium).field(name), parsed)

    assert by_index.tolist() == by_file.tolist()


def test_a_search_narrows_a_selection_and_is_counted(path):
    compendium = open_archs4(path)
    first_half = [f"GSE{k}" for k in range(1, 11)]

    choice = select_samples(
        compendium, series=first_half, search="liver", conditions=["title~adult"]
    )

    liver = set(by_scanning(compendium, ["liver"]))
    adult = set(np.flatnonzero(compendium.samples["title"].str.contains("adult")))
    assert choice.n_per_condition == {"search: liver": len(liver), "title~adult": len(adult)}
    assert choice.positions.tolist() == sorted(liver & adult & set(range(30))) != []


def test_the_index_is_built_once_and_anew_when_the_file_changes(path):
    open_catalogue(open_archs4(path))
    place = path.with_name("x.h5.catalogue.sqlite")
    first = place.stat()
    open_catalogue(open_archs4(path))
    assert place.stat().st_mtime_ns == first.st_mtime_ns

    with h5py.File(path, "a") as file:
        titles = file["meta/samples/title"]
        titles[4] = "zebrafish"

    assert find_catalogue(open_archs4(path)) is None
    assert open_catalogue(open_archs4(path)).match("zebrafish").tolist() == [4]


def test_a_file_of_the_same_size_and_time_is_told_apart(path):
    open_catalogue(open_archs4(path))
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        last = file.read()
        file.seek(-4, os.SEEK_END)
        file.write(bytes(255 - byte for byte in last))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert find_catalogue(open_archs4(path)) is None


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(4096)])
def test_a_broken_index_is_built_anew(path, content):
    place = path.with_name("x.h5.catalogue.sqlite")
    place.write_bytes(content)

    catalogue = open_catalogue(open_archs4(path))

    assert len(catalogue.match("liver")) > 0


def test_an_index_damaged_inside_says_to_delete_it(path):
    catalogue = open_catalogue(open_archs4(path))
    with sqlite3.connect(catalogue.path) as database:
        database.execute("UPDATE samples_data SET block = x'00' WHERE id > 10")
    database.close()

    with pytest.raises(
        DamagedFileError, match=r"x\.h5\.catalogue\.sqlite cannot be read.*delete it"
    ):
        catalogue.match("liver")


def test_a_folder_that_cannot_be_written_sends_the_index_to_the_cache(path, cache, monkeypatch):
    real = catalogue_module.build_index

    def refuse(compendium, place, **options):
        if place.parent == path.parent:
            raise PermissionError(13, "Permission denied")
        real(compendium, place, **options)

    monkeypatch.setattr(catalogue_module, "build_index", refuse)

    catalogue = open_catalogue(open_archs4(path))

    assert catalogue.path.parent == cache
    assert find_catalogue(open_archs4(path)) == catalogue
    assert not path.with_name("x.h5.catalogue.sqlite").exists()


def test_no_place_at_all_names_both_and_what_to_set(path, cache, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(catalogue_module, "build_index", refuse)

    with pytest.raises(PermissionError) as failure:
        open_catalogue(open_archs4(path))

    assert str(failure.value) == (
        "the search index of x.h5 can be written neither beside it nor in the cache folder: "
        f"{path.parent} (Permission denied), {cache} (Permission denied); set EXPRESSOME_CACHE "
        "to a folder you may write"
    )


def test_what_fts5_refuses_is_explained(path):
    with pytest.raises(InvalidValueError, match=r"NEAR.*cannot be searched.*double quotes"):
        open_catalogue(open_archs4(path)).match("NEAR(liver + - brain)")


def test_a_catalogue_travels_to_other_processes(path):
    catalogue = open_catalogue(open_archs4(path))

    assert pickle.loads(pickle.dumps(catalogue)) == catalogue


def test_long_protocols_stay_in_the_file_and_can_still_be_asked(tmp_path):
    samples = make_samples(6)
    samples["extract_protocol_ch1"] = ["Trizol " * 100, *["column " * 100] * 5]
    compendium = open_archs4(make_archs4(tmp_path / "x.h5", samples=samples))

    assert open_catalogue(compendium).field("extract_protocol_ch1") is None
    choice = select_samples(compendium, conditions=["extract_protocol_ch1~trizol"])
    assert choice.positions.tolist() == [0]


def test_a_file_with_ids_alone_is_searchable(tmp_path):
    samples = pd.DataFrame(index=["GSM7", "GSM8"])
    path = make_archs4(tmp_path / "x.h5", samples=samples, n_genes=2, info=False)

    assert open_catalogue(open_archs4(path)).match("GSM8").tolist() == [1]


def test_without_characteristics_the_other_short_texts_are_searched(tmp_path):
    samples = pd.DataFrame(
        {
            "series": ["GSE1", "GSE1", "GSE2"],
            "tissue": ["liver", "", "brain"],
            "cell_line": ["", "HepG2", ""],
            "age": [3.0, 4.0, 5.0],
            "protocol": ["was frozen " * 60] * 3,
        },
        index=["GSM7", "GSM8", "GSM9"],
    )
    catalogue = open_catalogue(open_archs4(make_archs4(tmp_path / "x.h5", samples=samples)))

    found = [catalogue.match(query).tolist() for query in ("liver", "hepg2", "tissue", "frozen")]

    assert found == [[0], [1], [0, 2], []]
    texts = catalogue.describe(np.array([2, 1, 0]))["characteristics"].tolist()
    assert texts == ["tissue: brain", "cell_line: HepG2", "tissue: liver"]


KILLED = """
import os, signal, sys
from expressome.archs4 import indexing
from expressome.archs4.catalogue import open_catalogue
from expressome.archs4.reader import open_archs4

def die(stage, n_done, n_total):
    if n_done >= n_total // 2:
        os.kill(os.getpid(), signal.SIGKILL)

from expressome.engine import Resources
indexing._ROWS_AT_ONCE = 10
open_catalogue(open_archs4(sys.argv[1]), resources=Resources(progress=die))
"""


def test_a_kill_while_building_leaves_nothing_that_the_next_call_minds(path):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    left = [item.name for item in path.parent.iterdir() if item != path]
    assert len(left) == 1
    assert left[0].startswith(".x.h5.catalogue.sqlite.")

    compendium = open_archs4(path)
    found = open_catalogue(compendium).match("liver")

    assert found.tolist() == by_scanning(compendium, ["liver"])
    names = sorted(item.name for item in path.parent.iterdir())
    assert names == ["x.h5", "x.h5.catalogue.sqlite"]


def test_two_processes_may_build_at_once(path):
    script = (
        KILLED.partition("def die")[0]
        + "print(open_catalogue(open_archs4(sys.argv[1])).match('liver').tolist())"
    )
    command = [sys.executable, "-c", script, str(path)]

    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate()[0] for process in both]

    assert answers == [f"{by_scanning(open_archs4(path), ['liver'])}\n"] * 2
    names = sorted(item.name for item in path.parent.iterdir())
    assert names == ["x.h5", "x.h5.catalogue.sqlite"]
