"""The chunk reader equals h5py for any request, and never makes up a number."""

import sys
import zlib

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.build import make_archs4, make_counts

from expressome.archs4 import chunks
from expressome.archs4.cells import read_cells
from expressome.archs4.chunks import ChunkStore, UnreadableChunkError
from expressome.archs4.plan import plan_axis, plan_chunks
from expressome.archs4.reader import open_archs4
from expressome.engine import Resources
from expressome.errors import DamagedFileError, FileFormatError

# What the chunk reader undoes itself, and what h5py must.
STORAGES = [
    {},
    {"compression": "gzip"},
    {"compression": "gzip", "shuffle": True},
    {"shuffle": True},
    {"compression": "lzf"},
    {"compression": "gzip", "fletcher32": True},
    {"scaleoffset": 0},
]


def damage_chunk(path, origin, change):
    """Change the stored bytes of one chunk."""
    with h5py.File(path, "a") as file:
        identity = file["data/expression"].id
        mask, raw = identity.read_direct_chunk(origin)
        identity.write_direct_chunk(origin, change(raw), mask)


@st.composite
def requests(draw):
    shape = (draw(st.integers(1, 23)), draw(st.integers(1, 23)))
    positions = [
        draw(st.lists(st.integers(0, size - 1), max_size=30))
        if draw(st.booleans())
        else list(range(size))
        for size in shape
    ]
    chunk_shape = tuple(draw(st.integers(1, size)) for size in shape)
    return shape, positions, draw(st.none() | st.just(chunk_shape))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    request=requests(),
    storage=st.sampled_from(STORAGES),
    dtype=st.sampled_from(["<u4", ">i4", "<u2", "<f8"]),
    is_transposed=st.booleans(),
    workers=st.integers(1, 3),
)
def test_any_request_equals_what_h5py_reads(request, storage, dtype, is_transposed, workers):
    shape, (rows, columns), chunk_shape = request
    if dtype == "<f8":
        storage = {key: value for key, value in storage.items() if key != "scaleoffset"}
    cells = np.random.default_rng(0).integers(0, 5000, size=shape)
    with h5py.File("any.h5", "w", driver="core", backing_store=False) as file:
        if chunk_shape is None:
            dataset = file.create_dataset("x", data=cells.astype(dtype))
        else:
            dataset = file.create_dataset(
                "x", data=cells.astype(dtype), chunks=chunk_shape, **storage
            )
        file.flush()
        samples, genes = (columns, rows) if is_transposed else (rows, columns)

        found = read_cells(
            dataset,
            samples=np.array(samples, dtype=np.int64),
            genes=np.array(genes, dtype=np.int64),
            is_transposed=is_transposed,
            resources=Resources(workers=workers),
        )

        oracle = np.asarray(dataset[()])[np.ix_(rows, columns)]
    np.testing.assert_array_equal(found, oracle.T if is_transposed else oracle)
    assert found.dtype.isnative


@given(
    positions=st.lists(st.integers(0, 60), max_size=40),
    chunk_length=st.integers(1, 61),
)
def test_a_plan_touches_each_needed_chunk_once_in_order(positions, chunk_length):
    parts = plan_axis(np.array(positions, dtype=np.int64), chunk_length)

    answered = np.full(len(positions), -1)
    for part in parts:
        answered[part.outside] = np.arange(part.chunk * chunk_length, 10**6)[part.inside]
    assert answered.tolist() == positions
    numbers = [part.chunk for part in parts]
    assert numbers == sorted({position // chunk_length for position in positions})


def test_every_chunk_is_fetched_once_and_in_file_order(tmp_path, monkeypatch):
    path = make_archs4(tmp_path / "x.h5", 40, 60, chunks=(7, 9))
    with h5py.File(path) as file:
        dataset = file["data/expression"]
        places = {}
        dataset.id.chunk_iter(lambda info: places.update({info.chunk_offset: info.byte_offset}))
    fetched = []
    read = ChunkStore.read

    def note(store, task):
        fetched.append(task.origin)
        return read(store, task)

    monkeypatch.setattr(ChunkStore, "read", note)
    with h5py.File(path) as file:
        read_cells(
            file["data/expression"],
            samples=np.arange(40)[::-1],
            genes=np.arange(60),
            is_transposed=True,
            resources=Resources(workers=1),
        )

    assert len(fetched) == len(places) == 45
    assert [places[origin] for origin in fetched] == sorted(places.values())


def test_ten_genes_of_all_samples_touch_only_their_chunks(tmp_path):
    with h5py.File(make_archs4(tmp_path / "x.h5", 40, 60, chunks=(10, 10))) as file:
        store = ChunkStore.of(file["data/expression"])

        tasks = list(plan_chunks(np.array([3, 57]), np.arange(40), store.chunk_shape))

    assert [task.origin for task in tasks] == [(r, c) for r in (0, 50) for c in (0, 10, 20, 30)]


def test_a_chunk_stored_without_its_filter_is_read(tmp_path):
    path = make_archs4(tmp_path / "x.h5", 4, 6, chunks=(3, 4), shuffle=True)
    with h5py.File(path, "a") as file:
        dataset = file["data/expression"]
        plain = dataset[:3, :4]
        # Bit 0 is the shuffle filter, bit 1 deflate: both skipped for this chunk.
        dataset.id.write_direct_chunk((0, 0), plain.tobytes(), filter_mask=3)

    np.testing.assert_array_equal(open_archs4(path).counts(), make_counts(4, 6))


@pytest.mark.parametrize("library", ["deflate", "isal", "zlib"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "(?i)incorrect (checksum|data check)"),
        (lambda raw: raw[: len(raw) // 2], "incomplete or truncated"),
        (lambda raw: b"\0" * len(raw), "(?i)compress|header"),
        (lambda _: zlib.compress(b"\0" * 12), "holds 12 bytes where 48 are expected"),
    ],
    ids=["checksum", "cut", "zeros", "short"],
)
def test_a_damaged_chunk_is_an_error_never_zeros(tmp_path, monkeypatch, library, change, reason):
    path = make_archs4(tmp_path / "x.h5", 6, 8, chunks=(4, 3))
    damage_chunk(path, (4, 3), change)
    if library != "deflate":
        monkeypatch.setattr(chunks, "deflate", None)
    if library == "zlib":
        monkeypatch.setattr(chunks, "_inflate", zlib.decompress)
    compendium = open_archs4(path)

    with pytest.raises(DamagedFileError, match=reason):
        compendium.counts(["GSM5"])

    whole = make_counts(6, 8)
    np.testing.assert_array_equal(compendium.counts(["GSM1"]), whole[:1])
    np.testing.assert_array_equal(compendium.counts(genes=[0, 3]), whole[:, [0, 3]])


def test_the_message_of_a_damaged_chunk_names_file_samples_and_genes(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "_inflate", zlib.decompress)
    path = make_archs4(tmp_path / "x.h5", 12, 8, chunks=(4, 6))
    damage_chunk(path, (4, 6), lambda raw: raw[:20])

    with pytest.raises(DamagedFileError) as caught:
        open_archs4(path).counts()

    assert str(caught.value) == (
        f"{path}: a chunk of data/expression cannot be read: Error -5 while decompressing data: "
        "incomplete or truncated stream. It holds samples 6-11 (GSM7, GSM8, GSM9, GSM10, GSM11 "
        "and 1 more) and genes 4-7 (ENSG00000000005, ENSG00000000006, ENSG00000000007, "
        "ENSG00000000008); download or copy the file again, or leave out these samples or genes"
    )


@pytest.mark.parametrize("layout", ["v1", "v2.6"])
def test_damage_names_samples_in_either_orientation(tmp_path, layout):
    path = make_archs4(tmp_path / "x.h5", 6, 8, layout, chunks=(3, 3))
    damage_chunk(path, (3, 0), lambda raw: raw[:5])
    named = {
        "v1": r"samples 3-5 \(GSM4, GSM5, GSM6\) and genes 0-2",
        "v2.6": r"samples 0-2 \(GSM1, GSM2, GSM3\) and genes 3-5",
    }

    with pytest.raises(DamagedFileError, match=named[layout]):
        open_archs4(path).counts()


@pytest.mark.parametrize("storage", [{"compression": "gzip"}, {"compression": "lzf"}, {}], ids=str)
def test_a_chunk_that_was_never_written_is_an_error(tmp_path, storage):
    path = make_archs4(tmp_path / "x.h5", 6, 8)
    with h5py.File(path, "a") as file:
        del file["data/expression"]
        dataset = file.create_dataset(
            "data/expression", shape=(8, 6), dtype="u4", chunks=(4, 3), **storage
        )
        dataset[:, :3] = 1
    compendium = open_archs4(path)

    assert compendium.counts([0, 1, 2]).sum() == 24
    with pytest.raises(DamagedFileError, match=r"it was never written\. It holds samples 3-5"):
        compendium.counts([3])


def test_a_contiguous_matrix_that_was_never_written_is_an_error(tmp_path):
    path = make_archs4(tmp_path / "x.h5", 6, 8)
    with h5py.File(path, "a") as file:
        del file["data/expression"]
        file.create_dataset("data/expression", shape=(8, 6), dtype="u4")

    with pytest.raises(DamagedFileError, match="never written"):
        open_archs4(path).counts()


@pytest.mark.parametrize("storage", [{"compression": "lzf"}, {"fletcher32": True}], ids=str)
def test_damage_that_h5py_finds_is_named_alike(tmp_path, storage):
    path = make_archs4(tmp_path / "x.h5", 6, 8)
    with h5py.File(path, "a") as file:
        del file["data/expression"]
        file.create_dataset(
            "data/expression", data=make_counts(6, 8).T.astype("u4"), chunks=(4, 3), **storage
        )
    damage_chunk(path, (0, 3), lambda raw: raw[: len(raw) // 2])

    with pytest.raises(DamagedFileError, match=r"samples 3-5 \(GSM4, GSM5, GSM6\) and genes 0-3"):
        open_archs4(path).counts()


def test_an_unknown_filter_is_named(tmp_path):
    path = make_archs4(tmp_path / "x.h5", 6, 8, chunks=(4, 3), compression="lzf")
    raw = path.read_bytes()
    # The filter is looked up by its number: 32000 is LZF, 32099 is nobody's.
    numbers = [i for i in range(len(raw) - 1) if raw[i : i + 2] == (32000).to_bytes(2, "little")]
    known = next(i for i in numbers if b"lzf" in raw[i : i + 32])
    path.write_bytes(raw[:known] + (32099).to_bytes(2, "little") + raw[known + 2 :])

    with pytest.raises(FileFormatError) as caught:
        open_archs4(path).counts()

    assert str(caught.value) == (
        f"{path}: data/expression is stored with HDF5 filter 32099 (lzf), which is not installed; "
        "install its plugin, or repack the file with: h5repack -f GZIP=4"
    )


def test_reading_needs_neither_libdeflate_nor_isal(monkeypatch):
    monkeypatch.setitem(sys.modules, "deflate", None)
    monkeypatch.setitem(sys.modules, "isal", None)
    source = chunks.__spec__.loader.get_source(chunks.__name__)
    names = {"__name__": chunks.__name__}

    exec(compile(source, "chunks.py", "exec"), names)

    assert names["deflate"] is None
    assert names["_inflate"] is zlib.decompress


def test_an_error_keeps_rows_columns_and_reason():
    error = UnreadableChunkError(slice(0, 2), slice(3, 5), "broken")

    assert (error.rows, error.columns, error.reason) == (slice(0, 2), slice(3, 5), "broken")
