"""A remote file reads as the local one; a server's failures are met or told."""

import itertools
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from tests.support.build import LAYOUTS, make_archs4, make_counts
from tests.support.range_server import serve

from expressome.addresses import RemotePath
from expressome.archs4 import remote
from expressome.archs4.byte_ranges import HeldRanges, coalesce
from expressome.archs4.description import describe_archs4
from expressome.archs4.piece_cache import PieceCache
from expressome.archs4.reader import open_archs4
from expressome.archs4.subset import read_sample_fields
from expressome.engine import Resources
from expressome.errors import DamagedFileError, FileFormatError, InputNotFoundError, RemoteError


@pytest.fixture(autouse=True)
def _impatience(monkeypatch, tmp_path):
    monkeypatch.setenv("EXPRESSOME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EXPRESSOME_TIMEOUT", "0.4")
    monkeypatch.setenv("EXPRESSOME_TRIES", "4")
    monkeypatch.setenv("EXPRESSOME_BACKOFF", "0.01")
    monkeypatch.setattr(remote, "_sources", {})


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    with serve(folder) as running:
        yield running


@pytest.fixture(scope="module")
def counts():
    return make_counts(1200, 800)


@pytest.fixture(scope="module")
def original(tmp_path_factory, counts):
    return make_archs4(tmp_path_factory.mktemp("large") / "x.h5", counts=counts, chunks=(100, 100))


@pytest.fixture
def large(server, original):
    """About 2 MB in square chunks: 800 genes x 1,200 samples."""
    return Path(shutil.copy(original, server.folder / "large.h5"))


def chunk_bytes(path, samples, genes):
    """Stored bytes of the chunks that a request touches."""
    with h5py.File(path) as file:
        dataset = file["data/expression"]
        height, width = dataset.chunks
        rows, columns = {g // height for g in genes}, {i // width for i in samples}
        return sum(
            dataset.id.get_chunk_info_by_coord((row * height, column * width)).size
            for row, column in itertools.product(rows, columns)
        )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_remotely_as_it_does_locally(server, layout):
    path = make_archs4(server.folder / "x.h5", 7, 9, layout, chunks=(4, 3))

    local, far = open_archs4(path), open_archs4(server.url("x.h5"))

    pd.testing.assert_frame_equal(far.samples, local.samples)
    pd.testing.assert_frame_equal(far.genes, local.genes)
    np.testing.assert_array_equal(far.counts(), local.counts())
    assert far.species == local.species
    expected = describe_archs4(path) | {"path": server.url("x.h5")}
    assert describe_archs4(server.url("x.h5")) == expected


def test_only_needed_chunks_and_little_else_cross_the_network(server, large, counts, rng):
    compendium = open_archs4(server.url("large.h5"))
    samples = np.sort(rng.choice(1200, 8, replace=False))
    _ = compendium.sample_ids
    n_before = server.n_sent

    found = compendium.counts(samples)

    np.testing.assert_array_equal(found, counts[samples])
    needed = chunk_bytes(large, samples.tolist(), range(800))
    index = 2**16
    assert server.n_sent - n_before <= 1.3 * needed + index
    assert server.n_sent - n_before < large.stat().st_size / 2


def test_a_gene_of_all_samples_moves_one_row_of_chunks(server, large, counts):
    compendium = open_archs4(server.url("large.h5"))
    n_before = server.n_sent

    found = compendium.counts(genes=[437])

    np.testing.assert_array_equal(found, counts[:, [437]])
    assert server.n_sent - n_before <= 1.3 * chunk_bytes(large, range(1200), [437]) + 2**17


def test_what_was_read_once_is_not_fetched_again(server, large, monkeypatch):
    first = open_archs4(server.url("large.h5")).counts([3, 5])
    monkeypatch.setattr(remote, "_sources", {})  # as in a new process
    n_before = server.n_requests

    again = open_archs4(server.url("large.h5")).counts([3, 5])

    np.testing.assert_array_equal(first, again)
    assert server.n_requests == n_before + 1  # the probe


def test_several_ranges_are_fetched_at_once(server, large):
    server.slow_s = 0.02

    open_archs4(server.url("large.h5")).counts(genes=[1, 400, 799])

    assert 2 <= server.most_open <= 8


def test_blocks_of_a_remote_file_equal_the_local_ones(server, large, counts):
    resources = Resources(memory_bytes=2**26, workers=2)
    genes = [*range(800), *range(800)]

    blocks = list(open_archs4(server.url("large.h5")).blocks(genes=genes, resources=resources))

    assert len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate([b for _, b in blocks]), counts[:, genes])


@pytest.mark.parametrize("chunks", ["contiguous", (9, 1), (1, 7)], ids=str)
def test_other_ways_to_store_a_matrix_read_remotely(server, chunks):
    make_archs4(server.folder / "x.h5", 7, 9, chunks=chunks)

    counts = open_archs4(server.url("x.h5")).counts([5, 0, 5], [8, 1])

    np.testing.assert_array_equal(counts, make_counts(7, 9)[np.ix_([5, 0, 5], [8, 1])])


@pytest.mark.parametrize("fault", ["error", "stall", "truncate"])
def test_passing_failures_are_tried_again(server, large, counts, fault):
    compendium = open_archs4(server.url("large.h5"))
    server.faults = [fault, "", fault]

    found = compendium.counts([100, 900])

    np.testing.assert_array_equal(found, counts[[100, 900]])
    assert not server.faults


def test_a_truncated_answer_is_continued_and_not_begun_anew(server, large):
    path = remote.open_remote(server.url("large.h5")).path
    server.faults, server.spans = ["truncate"], []

    remote.fetch_range(path, 1000, 201_000)

    assert server.spans == [(1000, 101_000), (101_000, 201_000)]


def test_a_server_that_stays_broken_is_named_with_the_number_of_tries(server):
    make_archs4(server.folder / "x.h5")
    server.faults = ["error"] * 9

    with pytest.raises(RemoteError) as caught:
        open_archs4(server.url("x.h5"))

    assert str(caught.value) == (
        f"{server.url('x.h5')}: the first byte could not be read in 4 tries (last: status 500 "
        "Internal Server Error); check the connection and run again: what has arrived is kept"
    )


def test_failure_in_the_middle_is_no_damage_of_the_file(server, large):
    compendium = open_archs4(server.url("large.h5"))
    server.faults = ["error"] * 99

    with pytest.raises(RemoteError, match=r"could not be read in 4 tries \(last: status 500"):
        compendium.counts([7])


def test_a_server_without_ranges_is_told_from_one_with(server):
    make_archs4(server.folder / "x.h5")
    server.gives_ranges = False

    with pytest.raises(RemoteError) as caught:
        open_archs4(server.url("x.h5"))

    assert str(caught.value) == (
        f"{server.url('x.h5')}: the server answers a request for a part with the whole file "
        "(status 200); it gives no ranges, so get the file whole with `expressome download` "
        "and pass its path"
    )


def test_a_file_that_is_not_there_is_said(server):
    with pytest.raises(InputNotFoundError, match=r"nothing\.h5 does not exist on the server"):
        open_archs4(server.url("nothing.h5"))


def test_a_remote_file_that_is_not_hdf5_is_said(server):
    (server.folder / "x.h5").write_text("hello " * 999)

    with pytest.raises(FileFormatError, match=r"x\.h5 \(5,994 bytes\) is not an HDF5 file"):
        open_archs4(server.url("x.h5"))


def test_an_address_nobody_answers_is_said():
    with pytest.raises(RemoteError, match=r"could not be read in 4 tries \(last: .*refused"):
        open_archs4("http://127.0.0.1:9/x.h5")


def test_a_changed_file_is_never_mixed_with_the_old_one(server, large, counts):
    compendium = open_archs4(server.url("large.h5"))
    old = compendium.counts([3])
    changed = make_counts(1200, 800, seed=1)
    make_archs4(large, counts=changed, chunks=(100, 100))

    with pytest.raises(RemoteError, match=r"has changed on the server while it was read \("):
        compendium.counts([1199])
    new = open_archs4(server.url("large.h5")).counts([3, 1199])

    np.testing.assert_array_equal(new, changed[[3, 1199]])
    np.testing.assert_array_equal(old, counts[[3]])


def test_a_server_without_marks_of_content_leaves_nothing_on_disk(server, tmp_path):
    make_archs4(server.folder / "x.h5", 7, 9)
    server.gives_etag = False

    counts = open_archs4(server.url("x.h5")).counts()

    np.testing.assert_array_equal(counts, make_counts(7, 9))
    assert not list((tmp_path / "cache").rglob("*.piece"))


def test_a_remote_compendium_survives_pickling(server):
    make_archs4(server.folder / "x.h5", 7, 9)
    compendium = open_archs4(server.url("x.h5"))

    copy = pickle.loads(pickle.dumps(compendium))

    assert copy.path.identity == compendium.path.identity
    assert copy.path.name == "x.h5"
    np.testing.assert_array_equal(copy.counts([2]), make_counts(7, 9)[[2]])


def test_text_of_chosen_rows_comes_in_few_requests(server, rng):
    n_samples = 8000
    samples = pd.DataFrame(
        {f"protocol_{k}": [f"{i} {'x' * 150}" for i in range(n_samples)] for k in range(2)}
        | {"series": "GSE1"},
        index=[f"GSM{i}" for i in range(n_samples)],
    )
    path = make_archs4(server.folder / "x.h5", samples=samples, n_genes=1)
    rows = rng.choice(n_samples, 3, replace=False)
    far = open_archs4(server.url("x.h5"))
    _ = far.sample_ids
    n_before = server.n_requests, server.n_sent

    found = read_sample_fields(far, rows)

    expected = open_archs4(path).samples.iloc[rows]
    pd.testing.assert_frame_equal(found[samples.columns], expected[samples.columns])
    n_requests, n_sent = server.n_requests - n_before[0], server.n_sent - n_before[1]
    assert n_sent < path.stat().st_size / 3
    assert n_requests < 60


def test_a_damaged_or_removed_piece_is_fetched_again(server, tmp_path, monkeypatch):
    make_archs4(server.folder / "x.h5", 7, 9)
    open_archs4(server.url("x.h5")).counts()
    pieces = sorted((tmp_path / "cache").rglob("*.piece"))
    pieces[0].write_bytes(b"\0" * pieces[0].stat().st_size)
    for piece in pieces[1:]:
        piece.unlink()
    monkeypatch.setattr(remote, "_sources", {})

    counts = open_archs4(server.url("x.h5")).counts()

    np.testing.assert_array_equal(counts, make_counts(7, 9))


def test_the_cache_keeps_within_its_size_and_lets_the_oldest_go(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPRESSOME_CACHE_SIZE", "64MiB")
    cache = PieceCache(RemotePath("https://x.org/a.h5", size_bytes=2**30, etag="1"), tmp_path)

    for k in range(20):
        cache.write(k * 2**22, bytes(2**22))

    spans = cache.spans()
    assert sum(stop - start for start, stop in spans) <= 64 * 2**20
    assert spans[-1][1] == 20 * 2**22
    assert cache.read(0, 2**22) is None


def test_joined_ranges_cover_what_was_asked_and_little_more(rng):
    for _ in range(50):
        starts = rng.integers(0, 10**6, 60)
        spans = [
            (int(s), int(s + n)) for s, n in zip(starts, rng.integers(1, 9999, 60), strict=True)
        ]

        joined = coalesce(spans)

        asked = np.zeros(2 * 10**6, bool)
        for start, stop in spans:
            asked[start:stop] = True
        covered = np.zeros_like(asked)
        for start, stop in joined:
            assert not covered[start:stop].any()
            covered[start:stop] = True
        assert covered[asked].all()
        assert covered.sum() <= 1.2 * sum(stop - start for start, stop in spans)


def test_held_ranges_agree_with_a_mask(rng):
    held, mask = HeldRanges(), np.zeros(300, bool)
    for start, n_bytes in zip(rng.integers(0, 250, 40), rng.integers(1, 50, 40), strict=True):
        held.add(int(start), int(start + n_bytes))
        mask[start : start + n_bytes] = True
        gaps = np.zeros(300, bool)
        for first, last in held.missing(0, 300):
            gaps[first:last] = True
        np.testing.assert_array_equal(gaps, ~mask)
        for position in range(300):
            found = held.piece_at(position)
            assert (found is not None) == mask[position]
            assert found is None or found[0][0] <= position < found[1] <= found[0][1]


def test_a_damaged_chunk_is_told_as_it_is_of_a_local_file(server, large):
    with h5py.File(large) as file:
        place = file["data/expression"].id.get_chunk_info_by_coord((100, 200))
    content = bytearray(large.read_bytes())
    content[place.byte_offset + 9 : place.byte_offset + 40] = bytes(31)
    large.write_bytes(content)
    messages = []

    for path in (str(large), server.url("large.h5")):
        with pytest.raises(DamagedFileError) as caught:
            open_archs4(path).counts([250])
        messages.append(str(caught.value).replace(path, "x.h5"))

    assert messages[0] == messages[1]
    assert "It holds samples 200-299 (GSM201, " in messages[1]


def test_a_process_that_ends_in_the_middle_of_reading_ends_cleanly(server, large):
    script = (
        "import sys, expressome\n"
        "compendium = expressome.open_archs4(sys.argv[1])\n"
        "resources = expressome.Resources(memory_bytes=2**26)\n"
        "blocks = compendium.blocks(genes=[*range(800)] * 2, resources=resources)\n"
        "next(blocks)\n"
        "sys.exit(5)\n"
    )

    done = subprocess.run([sys.executable, "-c", script, server.url("large.h5")], check=False)

    assert done.returncode == 5
