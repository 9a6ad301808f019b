"""Every layout, every way of asking, and what is said when a file is not right."""

import pickle

import h5py
import numpy as np
import pandas as pd
import pytest
from tests.support.build import LAYOUTS, make_archs4, make_counts, make_genes, make_samples

import expressome
from expressome.archs4.reader import open_archs4
from expressome.engine import Resources
from expressome.errors import (
    DamagedFileError,
    FileFormatError,
    IdentifierError,
    InputNotFoundError,
    InvalidCountsError,
    LeftOutWarning,
    MissingFieldError,
    SelectionError,
    StudyWarning,
)

CANONICAL = [
    "series", "study", "title", "source", "characteristics", "platform", "aligned_reads",
    "single_cell_probability",
]  # fmt: skip


@pytest.fixture
def compendium(tmp_path):
    return open_archs4(make_archs4(tmp_path / "human.h5", 7, 9, chunks=(4, 3)))


@pytest.mark.parametrize("fixed_strings", [False, True], ids=["variable", "fixed"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_reads_alike(tmp_path, layout, fixed_strings):
    path = make_archs4(tmp_path / "x.h5", 7, 9, layout, fixed_strings=fixed_strings)

    compendium = expressome.open_archs4(path)

    assert list(compendium.samples.columns[:8]) == CANONICAL
    expected = make_samples(7)
    pd.testing.assert_frame_equal(compendium.samples[expected.columns], expected)
    assert compendium.samples["study"].tolist() == expected["series"].tolist()
    level = "transcript" if layout in {"transcript", "tpm"} else "gene"
    assert compendium.genes.index.equals(make_genes(9, level=level).index)
    np.testing.assert_array_equal(compendium.counts(), make_counts(7, 9))


@pytest.mark.parametrize(
    ("layout", "name", "release", "level", "unit", "dtype"),
    [
        ("v1", "v1-v8", "7", "gene", "counts", "int32"),
        ("v9", "v9-v11", "9", "gene", "counts", "int32"),
        ("v2.1", "v2.1", "2.1", "gene", "counts", "int32"),
        ("v2.2", "v2.2", "2.2", "gene", "counts", "uint32"),
        ("v2.6", "v2.3-v2.6", "2.6", "gene", "counts", "uint32"),
        ("transcript", "transcript", "2.6", "transcript", "counts", "uint32"),
        ("tpm", "tpm", "2.6", "transcript", "tpm", "float32"),
    ],
)
def test_a_layout_is_recognised(tmp_path, layout, name, release, level, unit, dtype):
    compendium = open_archs4(make_archs4(tmp_path / "x.h5", layout=layout, species="mouse"))

    found = (compendium.layout, compendium.release, compendium.level, compendium.unit)
    assert found == (name, release, level, unit)
    assert compendium.dtype == dtype
    assert compendium.species == "mouse"
    assert (compendium.n_samples, compendium.n_genes) == (6, 8)


def test_orientation_comes_from_the_layout_even_for_a_square_matrix(tmp_path):
    counts = make_counts(8, 8)

    flat = open_archs4(make_archs4(tmp_path / "v1.h5", layout="v1", counts=counts))
    turned = open_archs4(make_archs4(tmp_path / "v9.h5", layout="v9", counts=counts))

    np.testing.assert_array_equal(flat.counts(), turned.counts())


def test_the_real_mouse_v1_file_reads_right(shared_data):
    path = shared_data / "archs4-h5-fixtures" / "phantasus_mouse_matrix.h5"
    with h5py.File(path) as file:
        stored = file["data/expression"][()]
    compendium = open_archs4(path)

    with pytest.warns(StudyWarning, match="3 of 3 samples have no series id"):
        samples = compendium.samples

    assert samples["study"].tolist() == ["GSM2650749", "GSM2650750", "GSM2650751"]
    assert (compendium.n_samples, compendium.n_genes, compendium.species) == (3, 32544, "mouse")
    assert sum(key.startswith("symbol:") for key in compendium.genes.index) == 1083
    assert compendium.genes.loc["ENSMUSG00000007777", "symbol"] == "0610009B22RIK"
    np.testing.assert_array_equal(compendium.counts(), stored)
    assert compendium.counts(["GSM2650751"], ["ENSMUSG00000007777"])[0, 0] == stored[2, 1]


@pytest.mark.parametrize(
    ("name", "species", "n_without", "first_gene", "first_symbol"),
    [
        ("human_matrix_v9_sample_100_100_1", "human", 100, "symbol:RTEL1P1", "RTEL1P1"),
        ("mouse_matrix_v9_sample_100_100_12", "mouse", 5, "ENSMUSG00000021534", "1700001L19Rik"),
    ],
    ids=["human", "mouse"],
)
def test_the_real_v9_files_read_right(
    shared_data, name, species, n_without, first_gene, first_symbol
):
    path = shared_data / "archs4-h5-fixtures" / f"phantasus_{name}.h5"
    with h5py.File(path) as file:
        stored = file["data/expression"][()]
    compendium = open_archs4(path)

    counts = compendium.counts()

    np.testing.assert_array_equal(counts, stored.T)
    # The first stored axis is genes: only so do depths follow the aligned reads.
    depths = np.log1p(counts.sum(axis=1))
    reads = np.log(compendium.samples["aligned_reads"])
    assert np.corrcoef(depths, reads)[0, 1] > 0.9
    assert compendium.species == species
    assert sum(key.startswith("symbol:") for key in compendium.genes.index) == n_without
    assert compendium.genes.index[0] == first_gene
    assert compendium.genes["symbol"].iloc[0] == first_symbol
    assert compendium.samples["study"].nunique() < 100


def test_a_dashed_series_field_of_the_real_file_is_one_study(shared_data):
    path = shared_data / "archs4-h5-fixtures" / "phantasus_human_matrix_v9_sample_100_100_1.h5"

    samples = open_archs4(path).samples

    assert samples.loc["GSM2653794", ["series", "study"]].tolist() == [
        "GSE99825-GSE99900",
        "GSE99825",
    ]


@pytest.mark.parametrize(
    ("samples", "genes"),
    [
        (None, None),
        (["GSM5", "GSM1", "GSM5"], None),
        ([4, 0, 4], [8, 0]),
        (slice(2, 6), slice(None, None, 2)),
        (np.array([True] + [False] * 5 + [True]), None),
        (pd.Index(["GSM3"]), pd.Index(["ENSG00000000009", "ENSG00000000002"])),
        ("GSM2", None),
        ([], None),
        ([], []),
    ],
    ids=str,
)
def test_requests_are_answered_in_their_order(compendium, samples, genes):
    frame = pd.DataFrame(
        make_counts(7, 9), index=compendium.samples.index, columns=compendium.genes.index
    )

    def pick(axis, request):
        if request is None or isinstance(request, slice):
            return axis[request or slice(None)]
        if isinstance(request, str):
            return axis[axis == request]
        return axis[request] if np.asarray(request).dtype.kind in "bi" else pd.Index(request)

    expected = frame.loc[pick(frame.index, samples), pick(frame.columns, genes)]
    np.testing.assert_array_equal(compendium.counts(samples, genes), expected)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (["GSM1", "GSM99"], r"1 of 2 samples of human.h5 are not among its 7 \(GSM99\)"),
        ([0, 7], r"1 of 2 samples .* \(7\); positions run from 0 to 6"),
        ([-1], r"1 of 1 samples .* \(-1\)"),
        ([[0, 1]], "has 2 axes"),
    ],
    ids=["id", "beyond", "negative", "table"],
)
def test_a_sample_that_is_not_there_is_named(compendium, request_, message):
    with pytest.raises(SelectionError, match=message):
        compendium.counts(request_)


def test_a_gene_that_is_not_there_is_named(compendium):
    with pytest.raises(SelectionError, match=r"1 of 2 genes of human.h5 .* \(TP53\)"):
        compendium.counts(genes=["ENSG00000000001", "TP53"])


def test_a_pickled_handle_reads_the_same_and_carries_no_tables(compendium):
    _ = compendium.samples, compendium.genes

    again = pickle.loads(pickle.dumps(compendium))

    assert len(pickle.dumps(compendium)) < 1000
    assert again == compendium
    np.testing.assert_array_equal(again.counts(), compendium.counts())


def test_a_field_reads_under_our_name_and_the_file_s(compendium):
    assert compendium.field("source")[:2].tolist() == ["liver", "brain"]
    assert compendium.field("source_name_ch1")[:2].tolist() == ["liver", "brain"]
    assert compendium.field("alignedreads").dtype == np.float64


def test_a_missing_field_names_those_there_are(compendium):
    with pytest.raises(MissingFieldError, match="no sample field 'sex'; it has alignedreads"):
        compendium.field("sex")


@pytest.mark.parametrize("n_samples", [300, 1500])
@pytest.mark.parametrize("chunks", [(500, 200), (500, 1), (500, 5000), "contiguous"], ids=str)
def test_blocks_cover_the_file_once_in_multiples_of_256(tmp_path, n_samples, chunks):
    counts = make_counts(n_samples, 2000)
    compendium = open_archs4(make_archs4(tmp_path / "x.h5", counts=counts, chunks=chunks))

    blocks = list(compendium.blocks(resources=Resources(memory_bytes=64 << 20)))

    assert all((span.stop - span.start) % 256 == 0 for span, _ in blocks[:-1])
    assert len(blocks) == -(-n_samples // 512)
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), counts)
    assert [span.start for span, _ in blocks] == [512 * i for i in range(len(blocks))]


def test_blocks_of_a_list_follow_the_list(tmp_path, rng):
    counts = make_counts(1500, 2000)
    compendium = open_archs4(make_archs4(tmp_path / "x.h5", counts=counts))
    rows, columns = rng.permutation(1500), rng.permutation(2000)[:1900]

    blocks = compendium.blocks(rows, columns, resources=Resources(memory_bytes=64 << 20))

    for span, block in blocks:
        np.testing.assert_array_equal(block, counts[np.ix_(rows[span], columns)])


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputNotFoundError, match=r"none.h5 does not exist"):
        open_archs4(tmp_path / "none.h5")


def test_a_file_that_is_not_hdf5_is_told(tmp_path):
    (tmp_path / "counts.h5").write_text("gene\tGSM1\n")

    with pytest.raises(FileFormatError, match=r"counts.h5 \(10 bytes\) is not an HDF5 file"):
        open_archs4(tmp_path / "counts.h5")


def test_a_folder_is_told(tmp_path):
    with pytest.raises(FileFormatError, match="is a folder, not an HDF5 file"):
        open_archs4(tmp_path)


def test_a_truncated_file_is_told(tmp_path):
    path = make_archs4(tmp_path / "x.h5")
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(DamagedFileError, match=r"x.h5 is truncated .* download or copy it again"):
        open_archs4(path)


def test_an_unknown_layout_lists_what_the_file_holds(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data/expression"] = np.zeros((2, 2), dtype=int)
        file["meta/cells/barcode"] = [b"A", b"B"]

    with pytest.raises(
        FileFormatError, match="no known ARCHS4 layout: it holds data, meta, meta/c"
    ):
        open_archs4(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("matrix", "found"),
    [
        (np.array([[b"a"]]), "|S1 of shape (1, 1)"),
        (np.zeros((6, 8), dtype=complex), "complex128 of shape (6, 8)"),
        (np.zeros(3), "float64 of shape (3,)"),
    ],
    ids=["text", "complex", "list"],
)
def test_a_matrix_of_a_wrong_type_is_told(tmp_path, matrix, found):
    path = make_archs4(tmp_path / "x.h5")
    with h5py.File(path, "a") as file:
        del file["data/expression"]
        file["data/expression"] = matrix

    with pytest.raises(FileFormatError) as caught:
        open_archs4(path)

    assert str(caught.value) == (
        f"{path}: data/expression holds {found}, not a table of integers or floats; pass an "
        "ARCHS4 expression file"
    )


def test_a_matrix_that_does_not_fit_its_ids_names_both_sizes(tmp_path):
    path = make_archs4(tmp_path / "x.h5", 6, 8)
    with h5py.File(path, "a") as file:
        del file["data/expression"]
        file["data/expression"] = np.zeros((6, 8), dtype=int)

    with pytest.raises(FileFormatError, match=r"8 samples and 6 genes .* 6 sample ids and 8 gene"):
        open_archs4(path)


def test_a_repeated_sample_id_is_an_error(tmp_path):
    samples = make_samples(3).set_axis(["GSM1", "GSM2", "GSM1"])
    compendium = open_archs4(make_archs4(tmp_path / "x.h5", samples=samples))

    with pytest.raises(IdentifierError, match=r"1 of 3 sample ids occur more than once \(GSM1\)"):
        compendium.counts(["GSM1"])
    assert compendium.counts([2]).shape == (1, 8)


def test_a_file_with_nothing_but_ids_opens(tmp_path):
    samples, genes = make_samples(3)[[]], make_genes(4)[["symbol"]]
    path = make_archs4(tmp_path / "x.h5", samples=samples, genes=genes, info=False)

    compendium = open_archs4(path)

    with pytest.warns(StudyWarning, match="3 of 3"):
        assert list(compendium.samples) == ["series", "study"]
    assert compendium.release == ""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_big_endian_numbers_are_read_as_this_machine_s(tmp_path, layout):
    dtype = ">f4" if layout == "tpm" else ">i4"
    compendium = open_archs4(make_archs4(tmp_path / "x.h5", layout=layout, dtype=dtype))

    counts = compendium.counts()

    assert counts.dtype.isnative
    np.testing.assert_array_equal(counts, make_counts(6, 8))


def test_reads_aligned_as_text_and_probabilities_with_nan_are_numbers(tmp_path):
    samples = make_samples(3)
    samples["aligned_reads"] = ["12", "NA", "1e6"]
    samples["single_cell_probability"] = [0.5, np.nan, 1.0]

    found = open_archs4(make_archs4(tmp_path / "x.h5", samples=samples)).samples

    np.testing.assert_array_equal(found["aligned_reads"], [12, np.nan, 1e6])
    np.testing.assert_array_equal(found["single_cell_probability"], [0.5, np.nan, 1.0])


def test_duplicate_symbols_keep_keys_and_counts_of_their_own(tmp_path):
    genes = make_genes(4)
    genes["symbol"] = ["A", "A", "A", "B"]
    genes.index = ["ENSG1", "ENSG2", "symbol:A", "symbol:B"]

    compendium = open_archs4(make_archs4(tmp_path / "x.h5", genes=genes))

    assert compendium.genes.index.tolist() == ["ENSG1", "ENSG2", "symbol:A", "symbol:B"]
    np.testing.assert_array_equal(compendium.counts(genes=["symbol:A"]), make_counts(6, 4)[:, [2]])


def test_negative_counts_name_sample_and_gene(tmp_path):
    counts = make_counts(6, 8)
    counts[4, 3] = -7
    compendium = open_archs4(make_archs4(tmp_path / "x.h5", counts=counts, layout="v9"))

    with pytest.raises(InvalidCountsError, match=r"1 of 48 .* -7 in sample GSM5, gene ENSG0*4\)"):
        compendium.counts()
    assert compendium.counts([0, 1]).shape == (2, 8)


def test_nan_in_a_tpm_file_is_an_error(tmp_path):
    counts = make_counts(6, 8).astype(float)
    counts[0, 1] = np.nan
    compendium = open_archs4(make_archs4(tmp_path / "x.h5", counts=counts, layout="tpm"))

    with pytest.raises(InvalidCountsError, match="nan in sample GSM1"):
        compendium.counts()


def test_a_field_of_another_length_is_left_out_and_told(tmp_path):
    path = make_archs4(tmp_path / "x.h5")
    with h5py.File(path, "a") as file:
        file["meta/samples/short"] = np.arange(3)

    with pytest.warns(LeftOutWarning, match=r"meta/samples/short has shape \(3,\) where \(6,\)"):
        samples = open_archs4(path).samples

    assert "short" not in samples


def test_a_field_called_study_does_not_hide_ours(tmp_path):
    samples = make_samples(3).assign(study="mine")

    found = open_archs4(make_archs4(tmp_path / "x.h5", samples=samples)).samples

    assert found["study"].tolist() == ["GSE1"] * 3
    assert found["study (field)"].tolist() == ["mine"] * 3
