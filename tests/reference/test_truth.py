"""The shipped tables against real gene lists and annotations; shares are in docs/reference.md."""

import h5py
import numpy as np
import pandas as pd
import pytest

from expressome.reference.annotation import read_annotation, unite_exons
from expressome.reference.identifiers import guess_species, load_identifiers, strip_version
from expressome.reference.lengths import load_lengths


def read_ids(path, column=0):
    return pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, usecols=[column]).iloc[
        :, 0
    ]


@pytest.mark.parametrize(
    ("table", "kind", "least_share"),
    [
        ("GSE91061_melanoma", "entrez", 0.98),
        ("seqc_ilm_coh", "entrez", 0.90),
        ("GSE80655_brain", "symbol", 0.96),
        ("GSE147507_lung_lines", "symbol", 0.95),
        ("archs4_GSE88741_melanocyte_melanoma", "symbol", 0.97),
        ("GSE176480_platelet", "symbol", 0.93),
        ("GSE160625_chondrocyte", "ensembl", 1.0),
    ],
)
def test_ids_of_real_count_tables_find_their_genes(shared_data, table, kind, least_share):
    ids = read_ids(shared_data / "human-bulk-counts" / f"{table}.tsv.gz")

    mapped = load_identifiers("human").map(ids)

    assert (mapped.kinds == kind).sum() > 0.5 * len(ids)
    assert mapped.n_mapped >= least_share * len(ids)
    assert mapped.n_mapped + len(mapped.ambiguous) + len(mapped.unknown) == len(ids)
    assert guess_species(ids) == "human"


def test_entrez_and_symbol_lead_to_the_same_gene(shared_data):
    path = shared_data / "gene-lengths" / "refseq_entrez_symbol_length_seqc.tsv.gz"
    table = load_identifiers("human")

    by_entrez, by_symbol = table.map(read_ids(path, 0)).genes, table.map(read_ids(path, 1)).genes
    both = (by_entrez != "") & (by_symbol != "")

    assert both.mean() > 0.88
    assert (by_entrez == by_symbol)[both].mean() > 0.999


@pytest.mark.parametrize(
    ("table", "least_share"),
    [
        ("gtex_v6_skin", 1.0),
        ("kallisto_GSE52778_airway", 1.0),
        ("salmon_macrophage_iPSC", 1.0),
        ("brawand_6tissues", 0.998),
        ("GSE160625_chondrocyte", 1.0),
        ("GSE151352_glioblastoma", 0.999),
        ("lcl_montgomery", 0.93),
    ],
)
def test_ensembl_ids_of_real_count_tables_have_spliced_lengths(shared_data, table, least_share):
    ids = read_ids(shared_data / "human-bulk-counts" / f"{table}.tsv.gz")
    genes = pd.Index([strip_version(gene) for gene in ids if gene.startswith("ENSG")])

    share = genes.isin(load_lengths("human").index).mean()

    assert share >= least_share


def test_shipped_lengths_meet_a_real_annotation_to_the_base(shared_data):
    # GENCODE 26 against 44: gene models that did not change must be equal to the base.
    annotation = read_annotation(
        shared_data / "gene-lengths" / "gencode.v26.annotation.chr21.gtf.gz"
    )
    union_bp = unite_exons(annotation)
    n_exons = annotation.exons.groupby("gene").size().to_numpy()
    for definition, of_genes, least_share in (
        ("union", np.ones(len(union_bp), bool), 0.65),
        ("spliced", n_exons == 1, 0.88),
        ("span", n_exons == 1, 0.88),
    ):
        shipped = load_lengths("human", definition=definition)["length_bp"]
        difference = (shipped.reindex(union_bp.index) - union_bp)[of_genes].dropna()

        assert len(difference) >= 0.99 * of_genes.sum()
        assert (difference == 0).mean() > least_share
        assert difference.abs().median() == 0


def test_shipped_lengths_meet_transcripts_of_another_release(shared_data):
    path = shared_data / "gene-lengths" / "gencode_v29_longest_transcript_exonic.tsv.gz"
    truth = pd.read_csv(path, sep="\t", index_col=0).iloc[:, 0]
    shipped = load_lengths("human")["length_bp"].reindex(truth.index)
    ratio = np.log2(shipped / truth).dropna()

    assert len(ratio) == len(truth)
    assert (ratio == 0).mean() > 0.5
    assert (ratio.abs() < np.log2(1.1)).mean() > 0.8
    assert abs(ratio.median()) < 0.001


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_coding_genes_are_all_there(species):
    lengths, table = load_lengths(species), load_identifiers(species)

    n_coding = (lengths["biotype"] == "protein_coding").sum()

    assert n_coding > 19_000
    assert len(set(table.names["entrez"].values())) > 24_000
    assert len(set(table.names["symbol"].values())) > 40_000


def test_ids_and_symbols_of_the_old_mouse_fixture_are_of_different_rows(shared_data):
    # Found by this test's subject: the counts belong to the symbols (ACTB, MT-CO1 are the highest).
    path = shared_data / "archs4-h5-fixtures" / "phantasus_mouse_matrix.h5"
    table = load_identifiers("mouse")
    with h5py.File(path) as file:
        ids, symbols, entrez = (
            [value.decode() for value in file["meta"][name][:]]
            for name in ("gene_ensemblid", "genes", "gene_entrezid")
        )

    assert table.share_agreeing(ids, symbols) < 0.05
    assert table.share_agreeing(ids, entrez) > 0.99
    assert table.map(symbols).n_mapped > 0.98 * len(symbols)
    assert guess_species(symbols) == "mouse"
