"""Count tables are read as they are written, whatever their format."""

import gzip
import warnings

import anndata
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from expressome.errors import (
    DamagedFileError,
    EmptySelectionError,
    FileFormatError,
    FractionalCountsWarning,
    IdentifierError,
    IdentifierWarning,
    InputNotFoundError,
    InvalidCountsError,
    LeftOutWarning,
)
from expressome.tables import read_counts

GENES = ["TP53", "NA", "7157"]
SAMPLES = ["S 1", "2", "é.1"]
COUNTS = np.array([[3, 0, 7], [1, 2, 3], [0, 0, 4294967295]], dtype=np.uint32)


def write(folder, text, name="counts.tsv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def as_text(delimiter, corner):
    lines = [delimiter.join([*corner, *SAMPLES])]
    lines += [delimiter.join([gene, *map(str, COUNTS[:, g])]) for g, gene in enumerate(GENES)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("corner", [["gene"], [""], []], ids=["named", "empty", "none"])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"], ids=["tab", "comma", "semicolon"])
def test_every_header_dialect_gives_the_same_table(tmp_path, delimiter, corner):
    table = read_counts(write(tmp_path, as_text(delimiter, corner)))

    assert table.genes.tolist() == GENES
    assert table.samples.tolist() == SAMPLES
    np.testing.assert_array_equal(table.counts, COUNTS)
    assert table.counts.dtype == np.uint32


def test_gzip_is_known_by_its_bytes_not_its_name(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_bytes(gzip.compress(as_text(",", ["gene"]).encode()))

    np.testing.assert_array_equal(read_counts(path).counts, COUNTS)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text(as_text(",", []), encoding="utf-8-sig")

    assert read_counts(path).samples.tolist() == SAMPLES


def test_what_r_writes_by_default_is_read(tmp_path):
    path = write(tmp_path, '"S 1" "S2"\n"TP53" 3 4\n"ALB" 0 1\n', "counts.txt")

    table = read_counts(path)

    assert table.samples.tolist() == ["S 1", "S2"]
    assert table.counts.tolist() == [[3, 0], [4, 1]]


def test_windows_line_ends_are_no_part_of_the_last_sample(tmp_path):
    path = tmp_path / "counts.tsv"
    path.write_bytes(b"gene\tS1\tS2\r\nTP53\t3\t4\r\n")

    assert read_counts(path).samples.tolist() == ["S1", "S2"]


def test_parquet_takes_the_stored_index_as_genes(tmp_path):
    path = tmp_path / "counts.parquet"
    pd.DataFrame(COUNTS.T, index=pd.Index(GENES, name="id"), columns=SAMPLES).to_parquet(path)

    table = read_counts(path)

    assert table.genes.tolist() == GENES
    np.testing.assert_array_equal(table.counts, COUNTS)


def test_parquet_without_index_takes_the_first_column_as_genes(tmp_path):
    path = tmp_path / "counts.parquet"
    frame = pd.DataFrame(COUNTS.T, columns=SAMPLES)
    frame.insert(0, "entrez", [1, 2, 3])
    frame.to_parquet(path)

    table = read_counts(path)

    assert table.genes.tolist() == ["1", "2", "3"]
    assert table.samples.tolist() == SAMPLES


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "sparse"])
def test_h5ad_holds_samples_in_rows(tmp_path, make):
    path = tmp_path / "counts.h5ad"
    anndata.AnnData(
        make(COUNTS.astype(np.float64)),
        obs=pd.DataFrame(index=SAMPLES),
        var=pd.DataFrame(index=GENES),
    ).write_h5ad(path)

    table = read_counts(path, samples={"2", "é.1"})

    assert table.samples.tolist() == ["2", "é.1"]
    np.testing.assert_array_equal(table.counts, COUNTS[1:])


def test_h5ad_counts_layer_is_read_instead_of_normalised_values(tmp_path):
    path = tmp_path / "counts.h5ad"
    anndata.AnnData(
        np.log2(1.0 + COUNTS),
        obs=pd.DataFrame(index=SAMPLES),
        var=pd.DataFrame(index=GENES),
        layers={"counts": COUNTS},
    ).write_h5ad(path)

    np.testing.assert_array_equal(read_counts(path).counts, COUNTS)


def test_h5ad_counts_in_raw_are_read_where_x_holds_none(tmp_path):
    path = tmp_path / "counts.h5ad"
    whole = anndata.AnnData(
        sparse.csr_matrix(COUNTS.astype(np.float64)),
        obs=pd.DataFrame(index=SAMPLES),
        var=pd.DataFrame(index=GENES),
    )
    part = whole[:, :2].copy()
    part.raw = whole
    part.X = np.log1p(part.X.toarray() / 3)
    part.write_h5ad(path)

    with pytest.warns(LeftOutWarning, match=r"the read counts in its raw are read \(3 genes\)"):
        table = read_counts(path)

    assert table.genes.tolist() == GENES
    np.testing.assert_array_equal(table.counts, COUNTS)


def test_h5ad_genes_are_named_by_their_ensembl_ids_where_the_index_holds_symbols(tmp_path):
    path = tmp_path / "counts.h5ad"
    ids = [f"ENSG0000000000{g}.{g}" for g in range(3)]
    anndata.AnnData(
        COUNTS.astype(np.float64),
        obs=pd.DataFrame(index=SAMPLES),
        var=pd.DataFrame({"gene_ids": ids}, index=["TP53", "ALB", "ALB-1"]),
    ).write_h5ad(path)

    assert read_counts(path).genes.tolist() == ids


@pytest.mark.parametrize("ending", ["tsv", "parquet"])
def test_lengths_and_entrez_ids_are_no_samples(tmp_path, ending):
    path = tmp_path / f"counts.{ending}"
    frame = pd.DataFrame(COUNTS.T, index=GENES, columns=SAMPLES)
    frame.insert(0, "Length", [900, 800, 700])
    frame.insert(1, "entrezgene_id", [1, 2, 3])
    if ending == "tsv":
        frame.to_csv(path, sep="\t")
    else:
        frame.to_parquet(path)

    with pytest.warns(LeftOutWarning, match=r"2 columns .* \(Length, entrezgene_id\)"):
        table = read_counts(path)

    assert table.samples.tolist() == SAMPLES


def test_a_table_without_header_is_named(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("ENSG00000141510.3,5\nENSG00000163631.1,7\n")

    with pytest.raises(FileFormatError, match=r"is a gene \(ENSG00000141510\.3\) and no header"):
        read_counts(path)


def test_featurecounts_output_gives_samples_only(tmp_path):
    path = write(
        tmp_path,
        "# Program:featureCounts v2.0.1; Command:featureCounts -a x.gtf\n"
        "Geneid\tChr\tStart\tEnd\tStrand\tLength\ta.bam\tb.bam\n"
        "ENSG1\tchr1;chr1\t1;5\t2;9\t+;+\t7\t3\t4\n",
    )

    with pytest.warns(LeftOutWarning, match="5 columns of .* hold no counts"):
        table = read_counts(path)

    assert table.samples.tolist() == ["a.bam", "b.bam"]
    assert table.counts.tolist() == [[3], [4]]


def test_gct_is_read_without_its_description_column(tmp_path):
    path = write(tmp_path, "#1.2\n2\t1\nName\tDescription\tS1\nENSG1\tTP53\t3\nENSG2\tALB\t4\n")

    with pytest.warns(LeftOutWarning, match=r"1 columns .* \(Description\)"):
        table = read_counts(path)

    assert table.samples.tolist() == ["S1"]


def test_only_samples_that_are_asked_for_are_read_and_checked(tmp_path):
    path = write(tmp_path, "gene\tS1\tmean\nTP53\t3\t-0.5\nALB\t1\t0.1\n")

    table = read_counts(path, samples={"S1"})

    assert table.samples.tolist() == ["S1"]
    assert table.left_out == ("mean",)


def test_estimated_counts_are_rounded_half_to_even_and_counted(tmp_path):
    path = write(tmp_path, "gene\tS1\tS2\na\t0.5\t10\nb\t1.5\t20\nc\t2.5\t30\nd\t7.2\t40\n")

    with pytest.warns(FractionalCountsWarning, match=r"4 of 8 values \(50.0%\)"):
        table = read_counts(path)

    assert table.counts[0].tolist() == [0, 2, 2, 7]
    assert table.n_rounded == 4


def test_a_repeated_sample_is_an_error_not_a_new_name(tmp_path):
    path = write(tmp_path, "gene\tS1\tS2\tS1\tS1\nTP53\t3\t4\t5\t6\n")

    with pytest.raises(IdentifierError, match=r"1 of 2 sample ids occur more than once.*\(S1\)"):
        read_counts(path)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("-3", "1 of 4 values .* are negative .first: -3 for gene ALB, sample S2"),
        ("", "1 of 4 values .* are missing .first: nan for gene ALB, sample S2"),
        ("NA", "1 of 4 values .* are missing"),
        ("inf", "1 of 4 values .* are too large .first: inf"),
        ("4294967296", "1 of 4 values .* are too large"),
        ("12x", "holds '12x' for gene ALB, sample S2"),
    ],
)
def test_what_is_no_count_is_named_with_gene_and_sample(tmp_path, cell, words):
    path = write(tmp_path, f"gene\tS1\tS2\nTP53\t3\t4\nALB\t5\t{cell}\n")

    with pytest.raises(InvalidCountsError, match=words):
        read_counts(path)


def test_excel_dates_among_genes_are_reported(tmp_path):
    path = write(tmp_path, "gene,S1\n1-Mar,3\nSep-02,4\nTP53,5\n")

    with pytest.warns(IdentifierWarning, match=r"2 of 3 gene ids .* are dates \(1-Mar, Sep-02\)"):
        table = read_counts(path)

    assert table.genes.tolist() == ["1-Mar", "Sep-02", "TP53"]


def test_rows_of_another_length_are_an_error(tmp_path):
    path = write(tmp_path, "gene\tS1\tS2\nTP53\t3\t4\nALB\t5\n")

    with pytest.raises(FileFormatError, match="each row needs 3 fields"):
        read_counts(path)


def test_a_header_two_fields_short_names_both_numbers(tmp_path):
    with pytest.raises(FileFormatError, match="has 1 fields, but its first row has 4"):
        read_counts(write(tmp_path, "S1\nTP53\t3\t4\t5\n"))


@pytest.mark.parametrize("name", ["counts.tsv.gz", "counts.parquet"])
def test_a_truncated_file_is_damaged(tmp_path, name):
    path = tmp_path / name
    if name.endswith("gz"):
        lines = "".join(f"g{g}\t{g}\n" for g in range(20_000))
        whole = gzip.compress(f"gene\tS1\n{lines}".encode())
    else:
        pd.DataFrame({"g": ["a"], "S1": [1]}).to_parquet(path)
        whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(DamagedFileError, match=str(path)):
        read_counts(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"gene\tS1\n", "holds 1 lines"),
        (b"gene\nTP53\n", "no column but the first"),
        ("gene\tS1\nTP53\t3\n".encode("utf-16"), "UTF-16"),
        (b"gene\t\xff\nTP53\t3\n", "is not UTF-8 text"),
        (b"PK\x03\x04rest", "an archive or a spreadsheet"),
        (b"\x89HDF\r\n\x1a\nrest", "is not an h5ad file"),
    ],
)
def test_what_is_no_table_says_what_it_is(tmp_path, content, words):
    path = tmp_path / "counts.tsv"
    path.write_bytes(content)

    with pytest.raises(FileFormatError, match=words):
        read_counts(path)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputNotFoundError, match=r"none\.tsv does not exist"):
        read_counts(tmp_path / "none.tsv")


def test_a_table_of_text_has_no_counts(tmp_path):
    path = write(tmp_path, "gene\tname\nENSG1\tTP53\nENSG2\tALB\n")

    with pytest.raises(EmptySelectionError, match="has no column of counts"):
        read_counts(path)


text_ids = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\n", exclude_categories=("Cs", "Cc")),
    min_size=1,
).map(str.strip)
NOT_EMPTY = text_ids.filter(bool)


@settings(max_examples=60, deadline=None)
@given(
    samples=st.lists(NOT_EMPTY, min_size=1, max_size=6, unique=True),
    genes=st.lists(NOT_EMPTY, min_size=1, max_size=6),
    seed=st.integers(0, 2**16),
)
def test_any_string_is_an_id_and_comes_back(tmp_path_factory, samples, genes, seed):
    counts = np.random.default_rng(seed).integers(0, 2**31, (len(genes), len(samples)))
    path = tmp_path_factory.mktemp("ids") / "counts.csv"
    frame = pd.DataFrame(counts, columns=samples)
    frame.insert(0, "", genes, allow_duplicates=True)
    frame.to_csv(path, index=False, quoting=2)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentifierWarning)
        table = read_counts(path)

    assert table.samples.tolist() == samples
    assert table.genes.tolist() == genes
    np.testing.assert_array_equal(table.counts, counts.T)


def test_h5ad_of_an_unknown_encoding_names_the_file(tmp_path):
    path = tmp_path / "newer.h5ad"
    anndata.AnnData(COUNTS.astype(np.float32)).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["obs"].attrs["encoding-version"] = "9.0.0"

    with pytest.raises(FileFormatError, match=r"newer\.h5ad is not .* written by a newer anndata"):
        read_counts(path)


def test_h5ad_whose_counts_have_more_genes_than_names_is_refused(tmp_path):
    path = tmp_path / "wide.h5ad"
    anndata.AnnData(sparse.csr_matrix(COUNTS.astype(np.float64))).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["X"].attrs["shape"] = [3, 5]

    with pytest.raises(FileFormatError, match=r"3 genes are named, the counts have shape \(3, 5\)"):
        read_counts(path)


def test_parquet_whose_notes_are_no_text_is_damaged(tmp_path):
    path = tmp_path / "counts.parquet"
    table = pa.table({"gene": ["TP53"], "S1": [3]})
    pq.write_table(table.replace_schema_metadata({b"pandas": b"\xa9{"}), path)

    with pytest.raises(DamagedFileError, match=r"counts\.parquet is a damaged Parquet file"):
        read_counts(path)
