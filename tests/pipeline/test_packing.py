"""Packed files hold the counts of the tables, gene for gene, sample for sample."""

import warnings

import archs4py
import numpy as np
import pandas as pd
import pytest

import expressome
from expressome.errors import (
    EmptySelectionError,
    ExpressomeWarning,
    IdentifierError,
    IdentifierWarning,
    InvalidCountsError,
    InvalidValueError,
    LeftOutWarning,
    MissingFieldError,
    OutputExistsError,
)
from expressome.pipeline.gene_choice import choose_genes, find_costs, find_presence
from expressome.pipeline.gene_mapping import choose_species, map_genes

TP53, ALB, ACTB = "ENSG00000141510", "ENSG00000163631", "ENSG00000075624"
XIST_Y = "ENSG00000182378"


def write_table(path, genes, samples, counts):
    frame = pd.DataFrame(counts, index=genes, columns=samples)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, sep="\t")
    return path


def write_sheet(folder, text="sample\tseries\nS3\tGSE2\nS1\tGSE1\nS2\tGSE1\n"):
    path = folder / "sheet.tsv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def tables(tmp_path):
    """Ensembl ids with version and symbols with Entrez ids; ACTB is in the first only."""
    first = write_table(
        tmp_path / "a.tsv", [f"{TP53}.19", f"{ALB}.4", ACTB], ["S1", "S2"], [[1, 2], [3, 4], [5, 6]]
    )
    second = write_table(tmp_path / "b.parquet", ["ALB", "7157"], ["S3"], [[7], [8]])
    return [first, second]


def test_common_genes_of_tables_with_other_ids_meet_in_the_order_of_the_sheet(tables, tmp_path):
    summary = expressome.pack(tables, samples=write_sheet(tmp_path), out=tmp_path / "x.h5")
    compendium = expressome.open_archs4(tmp_path / "x.h5")

    assert compendium.samples.index.tolist() == ["S3", "S1", "S2"]
    assert compendium.samples["series"].tolist() == ["GSE2", "GSE1", "GSE1"]
    assert compendium.genes["symbol"].to_dict() == {TP53: "TP53", ALB: "ALB"}
    assert compendium.counts(genes=[TP53, ALB]).tolist() == [[8, 7], [1, 3], [2, 4]]
    assert compendium.measured() is None
    assert summary.figures["n_genes"] == summary.figures["n_genes_common"] == 2
    assert summary.figures["costs"][0] == {
        "tables": ["b.parquet"],
        "n_genes": 2,
        "n_genes_gained_without": 1,
    }


def test_a_gene_that_a_table_lacks_is_unmeasured_not_zero(tables, tmp_path):
    expressome.pack(tables, samples=write_sheet(tmp_path), out=tmp_path / "x.h5", min_tables=0.5)
    compendium = expressome.open_archs4(tmp_path / "x.h5")

    counts = compendium.counts(samples=["S1", "S3"], genes=[ACTB, TP53])

    np.testing.assert_array_equal(counts, [[5, 1], [np.nan, 8]])
    assert compendium.measured(genes=[ACTB]).ravel().tolist() == [False, True, True]


def test_rows_of_one_gene_are_summed_and_the_y_copy_stays_apart(tmp_path):
    ids = [f"{XIST_Y}.1", f"{XIST_Y}.2", f"{XIST_Y}.2_PAR_Y", "7157", "TP53"]
    table = write_table(tmp_path / "a.tsv", ids, ["S1"], [[1], [2], [4], [8], [16]])
    sheet = write_sheet(tmp_path, "sample\tseries\nS1\tGSE1\n")

    summary = expressome.pack(table, samples=sheet, out=tmp_path / "x.h5", species="human")

    compendium = expressome.open_archs4(tmp_path / "x.h5")
    genes = [XIST_Y, f"{XIST_Y}_PAR_Y", TP53]
    assert compendium.counts(genes=genes).tolist() == [[3, 4, 24]]
    assert summary.figures["tables"][0]["n_rows_summed"] == 2


def test_columns_without_a_sheet_row_are_left_out_and_counted(tables, tmp_path):
    sheet = write_sheet(tmp_path, "sample\tseries\nS1\tGSE1\n")

    with pytest.warns(LeftOutWarning, match=r"2 columns of 2 tables .* 1 tables hold no sample"):
        summary = expressome.pack(tables, samples=sheet, out=tmp_path / "x.h5")

    assert summary.figures["n_samples"] == 1
    assert summary.figures["n_genes"] == 3


@pytest.mark.parametrize("name", ["1", "01", "S.1", "a b", "é/x", 'say "hi"', "NA"])
def test_any_string_is_a_sample_id(tmp_path, name):
    table = tmp_path / "a.csv"
    pd.DataFrame({"gene": ["TP53"], name: [3]}).to_csv(table, index=False)
    sheet = tmp_path / "sheet.csv"
    pd.DataFrame({"sample": [name], "series": ["GSE1"]}).to_csv(sheet, index=False)

    expressome.pack(table, samples=sheet, out=tmp_path / "x.h5")

    assert expressome.open_archs4(tmp_path / "x.h5").counts(samples=[name]).tolist() == [[3]]


def test_other_columns_of_the_sheet_become_sample_fields(tables, tmp_path):
    text = (
        "sample\tseries\ttissue\tstudy\tgeo_accession\n"
        "S1\tGSE1\tliver\tx\tGSM1\nS2\tGSE1\t\ty\tGSM2\nS3\tGSE2\tskin\tz\tGSM3\n"
    )

    expressome.pack(tables, samples=write_sheet(tmp_path, text), out=tmp_path / "x.h5")

    samples = expressome.open_archs4(tmp_path / "x.h5").samples
    assert samples["tissue"].tolist() == ["liver", "", "skin"]
    assert samples["study_in_sheet"].tolist() == ["x", "y", "z"]
    assert samples["geo_accession_in_sheet"].tolist() == ["GSM1", "GSM2", "GSM3"]


def test_samples_of_a_third_organism_are_packed_and_named(tables, tmp_path):
    text = "sample\tseries\torganism\nS1\tG\thuman\nS2\tG\thuman\nS3\tH\trhesus\n"
    sheet = write_sheet(tmp_path, text)

    with pytest.warns(IdentifierWarning, match=r"1 of 3 samples .* \(rhesus: 1\) with human"):
        expressome.pack(tables, samples=sheet, out=tmp_path / "x.h5")

    compendium = expressome.open_archs4(tmp_path / "x.h5")
    assert compendium.samples["organism_ch1"].tolist() == ["Homo sapiens"] * 2 + ["rhesus"]
    assert compendium.species == "human"


def test_unknown_and_ambiguous_genes_are_left_out_and_named(tmp_path):
    table = write_table(tmp_path / "a.tsv", ["TP53", "__no_feature", "SLC35E2"], ["S1"], [[1]] * 3)
    sheet = write_sheet(tmp_path, "sample\tseries\nS1\tGSE1\n")

    with pytest.warns(IdentifierWarning, match=r"2 of 3 gene rows .*__no_feature.*SLC35E2"):
        summary = expressome.pack(table, samples=sheet, out=tmp_path / "x.h5")

    figures = summary.figures["tables"][0]
    assert (figures["n_unknown"], figures["n_ambiguous"]) == (1, 1)
    assert figures["ambiguous"][0].startswith("SLC35E2: ENSG")


def with_sheet(text):
    return lambda folder: {"samples": write_sheet(folder, text)}


BAD = {
    "sheet without series": (
        with_sheet("sample\ttissue\nS1\tliver\n"),
        MissingFieldError,
        r"has no column series \(columns: sample, tissue\)",
    ),
    "sheet without sample": (
        with_sheet("id\tseries\nS1\tGSE1\n"),
        MissingFieldError,
        "has no column sample",
    ),
    "sample twice in the sheet": (
        with_sheet("sample\tseries\nS1\tG\nS2\tG\nS1\tG\n"),
        IdentifierError,
        r"1 of 2 sample ids occur more than once in .*sheet.tsv \(S1\)",
    ),
    "sheet rows without counts": (
        with_sheet("sample\tseries\nS1\tG\nS8\tG\nS9\tG\n"),
        IdentifierError,
        r"2 of 3 samples of .*sheet.tsv have no counts in the 2 tables \(S8, S9\)",
    ),
    "empty sheet": (with_sheet("sample\tseries\n"), EmptySelectionError, "names no sample"),
    "mouse in the sheet": (
        with_sheet("sample\tseries\torganism\nS1\tG\tMus musculus\nS2\tG\t\nS3\tG\t\n"),
        IdentifierError,
        r"1 of 3 samples of .* are mouse in column organism \(S1\), but their gene ids are human",
    ),
    "wrong species asked for": (
        lambda _: {"species": "mouse"},
        IdentifierError,
        r"1 of 2 tables have human gene ids, not mouse ones \(a.tsv\)|2 of 2 tables have human",
    ),
    "share of tables": (lambda _: {"min_tables": 1.5}, InvalidValueError, "min_tables is 1.5"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_bad_input_says_what_where_and_how_many_and_leaves_nothing(case, tables, tmp_path):
    change, error, words = case
    options = {"samples": write_sheet(tmp_path), "out": tmp_path / "x.h5"} | change(tmp_path)
    before = sorted(tmp_path.iterdir())

    with pytest.raises(error, match=words):
        expressome.pack(tables, **options)

    assert sorted(tmp_path.iterdir()) == before


def test_a_sample_in_two_tables_names_both(tables, tmp_path):
    third = write_table(tmp_path / "c.tsv", [TP53], ["S1"], [[1]])

    with pytest.raises(IdentifierError, match=r"sample S1 is in .*a\.tsv and in .*c\.tsv"):
        expressome.pack([*tables, third], samples=write_sheet(tmp_path), out=tmp_path / "x.h5")


def test_a_table_given_twice_is_named(tables, tmp_path):
    with pytest.raises(InvalidValueError, match=r"given twice \(.*a\.tsv\)"):
        expressome.pack(tables[:1] * 2, samples=write_sheet(tmp_path), out=tmp_path / "x.h5")


def test_tables_that_share_no_gene_name_their_sizes(tmp_path):
    first = write_table(tmp_path / "a.tsv", [TP53], ["S1"], [[1]])
    second = write_table(tmp_path / "b.tsv", ["ALB", "ACTB"], ["S2"], [[1], [2]])
    sheet = write_sheet(tmp_path, "sample\tseries\nS1\tG\nS2\tG\n")

    with pytest.raises(
        EmptySelectionError, match=r"2 tables share no gene.*a\.tsv: 1 genes, b\.tsv: 2 genes"
    ):
        expressome.pack([first, second], samples=sheet, out=tmp_path / "x.h5")


def test_human_and_mouse_tables_do_not_mix(tables, tmp_path):
    mouse = write_table(tmp_path / "m.tsv", ["ENSMUSG00000059552"], ["S4"], [[1]])
    sheet = write_sheet(tmp_path, "sample\tseries\nS1\tG\nS2\tG\nS3\tG\nS4\tG\n")

    with pytest.raises(IdentifierError, match=r"1 have mouse ids \(m\.tsv\); pack each species"):
        expressome.pack([*tables, mouse], samples=sheet, out=tmp_path / "x.h5")


def test_a_table_with_samples_in_rows_is_recognised(tmp_path):
    table = write_table(tmp_path / "a.tsv", ["S1", "S2"], [TP53, ALB], [[1, 2], [3, 4]])
    sheet = write_sheet(tmp_path, "sample\tseries\nS1\tG\nS2\tG\n")

    with pytest.raises(IdentifierError, match="write it with genes in rows"):
        expressome.pack(table, samples=sheet, out=tmp_path / "x.h5")


def test_transcript_tables_are_refused(tmp_path):
    table = write_table(tmp_path / "a.tsv", ["ENST00000269305.9"], ["S1"], [[1]])
    sheet = write_sheet(tmp_path, "sample\tseries\nS1\tG\n")

    with pytest.raises(IdentifierError, match=r"1 of 1 ids are transcripts"):
        expressome.pack(table, samples=sheet, out=tmp_path / "x.h5")


def test_an_existing_file_is_kept_unless_replacing_was_asked_for(tables, tmp_path):
    out = tmp_path / "x.h5"
    out.write_text("mine")

    with pytest.raises(OutputExistsError, match=r"x\.h5 exists"):
        expressome.pack(tables, samples=write_sheet(tmp_path), out=out)
    assert out.read_text() == "mine"

    expressome.pack(tables, samples=write_sheet(tmp_path), out=out, overwrite=True)
    assert expressome.open_archs4(out).n_samples == 3


def test_a_mouse_table_makes_a_mouse_file(tmp_path):
    table = write_table(tmp_path / "m.tsv", ["Trp53", "Alb", "Gm10358"], ["S1"], [[1], [2], [3]])
    sheet = write_sheet(tmp_path, "sample\tseries\nS1\tG\n")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IdentifierWarning)
        summary = expressome.pack(table, samples=sheet, out=tmp_path / "x.h5")

    assert summary.figures["species"] == "mouse"
    assert expressome.open_archs4(tmp_path / "x.h5").species == "mouse"


def test_sums_that_no_count_can_hold_are_refused():
    mapping = map_genes([TP53, "TP53"], species="human")

    with pytest.raises(InvalidCountsError, match="rows of one gene sum to 4,294,967,296"):
        mapping.apply(np.array([[4294967295, 1]], np.uint32))


def test_ids_that_no_species_knows_ask_for_one():
    with pytest.raises(IdentifierError, match="1 tables do not tell human from mouse"):
        choose_species([("a.tsv", ["x1", "x2"])])


def test_tables_of_equal_genes_cost_together():
    wide, narrow = pd.Index(["g1", "g2", "g3"]), pd.Index(["g1"])
    presence = find_presence([("a", wide), ("b", narrow), ("c", narrow), ("d", wide)])

    found = find_costs(presence)

    assert found["costs"][0] == {
        "tables": ["b", "c"],
        "n_genes": 1,
        "n_genes_gained_without": 2,
    }
    assert found["removals"] == [{"without": ["b", "c"], "n_genes_common": 3}]


@pytest.mark.parametrize(("share", "n_genes"), [(0.9, 1), (0.8, 2), (0.3, 3), (0.01, 3)])
def test_a_share_of_ten_tables_counts_whole_tables(share, n_genes):
    genes = [pd.Index(["g1", "g2", "g3"][: 1 + (t < 8) + (t < 3)]) for t in range(10)]
    presence = find_presence([(str(t), index) for t, index in enumerate(genes)])

    assert len(choose_genes(presence, min_tables=share)) == n_genes


def test_archs4py_reads_a_packed_file_with_equal_counts(tables, tmp_path):
    path = tmp_path / "x.h5"
    expressome.pack(tables, samples=write_sheet(tmp_path), out=path)

    counts = archs4py.data.samples(str(path), ["S1", "S2", "S3"], silent=True)

    assert counts.loc["TP53", ["S1", "S2", "S3"]].tolist() == [1, 2, 8]
    assert counts.loc["ALB", ["S1", "S2", "S3"]].tolist() == [3, 4, 7]
    assert archs4py.meta.field(str(path), "series_id") == ["GSE2", "GSE1", "GSE1"]


@pytest.mark.slow
def test_all_real_tables_pack_and_both_readers_give_their_counts(shared_data, tmp_path):
    folder = shared_data / "human-bulk-counts"
    path = tmp_path / "x.h5"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpressomeWarning)
        summary = expressome.pack(
            sorted(folder.glob("*.tsv.gz")),
            samples=folder / "samples.tsv",
            out=path,
            min_tables=0.9,
        )
    table = pd.read_csv(folder / "gtex_v6_bladder.tsv.gz", sep="\t", index_col=0)
    table.index = table.index.str.replace(r"\.\d+$", "", regex=True)
    compendium = expressome.open_archs4(path)
    genes = compendium.genes.index.intersection(table.index)
    expected = table.loc[genes].to_numpy()

    ours = compendium.counts(samples=list(table.columns), genes=list(genes)).T
    theirs = archs4py.data.samples(str(path), list(table.columns), silent=True)
    theirs = theirs.set_axis(compendium.genes.index).loc[genes, table.columns]

    figures = summary.figures
    assert (figures["n_samples"], figures["n_series"], figures["n_tables"]) == (773, 23, 26)
    assert figures["n_genes_common"] > 8000
    assert figures["n_genes"] > 12_000
    assert figures["costs"][0]["tables"] == ["GSE94116_dendritic.tsv.gz"]
    np.testing.assert_array_equal(ours, expected)
    np.testing.assert_array_equal(theirs.to_numpy(), expected)
