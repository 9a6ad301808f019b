"""Counts pass, TPM, FPKM, CPM and logarithms do not."""

import warnings

import numpy as np
import pandas as pd
import pytest

from expressome.errors import FractionalCountsWarning, ScaleMismatchError
from expressome.tables import read_counts

REAL_TABLES = [
    "Blake_chimp_rhesus_4tissues",
    "Blake_human_4tissues",
    "GSE137535_MDAMB231",
    "GSE147507_lung_lines",
    "GSE151352_glioblastoma",
    "GSE160625_chondrocyte",
    "GSE176480_platelet",
    "GSE80655_brain",
    "GSE91061_melanoma",
    "GSE94116_dendritic",
    "LNCaP_Li2008_lanes",
    "archs4_GSE49155_lung_tumour",
    "archs4_GSE88741_melanocyte_melanoma",
    "blood_tb_hiv",
    "brawand_6tissues",
    "castle_11tissues",
    "gtex_v6_bladder",
    "gtex_v6_skin",
    "kallisto_GSE52778_airway",
    "kallisto_geuvadis_lcl",
    "lcl_cheung",
    "lcl_montgomery",
    "lcl_pickrell1",
    "salmon_macrophage_iPSC",
    "seqc_ilm_coh",
    "seqc_lif_liv",
]


def scales_of(counts, rng):
    """Give what the same reads become on other scales, genes x samples."""
    length_kb = np.exp(rng.normal(0.6, 0.8, (len(counts), 1)))
    per_kb = counts / length_kb
    tpm = per_kb / per_kb.sum(axis=0) * 1e6
    cpm = counts / counts.sum(axis=0) * 1e6
    fpkm = cpm / length_kb
    return {
        "tpm": tpm,
        "fpkm": fpkm,
        "cpm": cpm,
        "log2_counts": np.log2(1 + counts),
        "log2_tpm": np.log2(1 + tpm),
        "log2_cpm": np.log2(0.5 + cpm),
        "tpm_one_decimal": tpm.round(1),
        "fpkm_two_decimals": fpkm.round(2),
        "tpm_of_800_genes": tpm[rng.choice(len(tpm), min(800, len(tpm)), replace=False)],
    }


def read_back(values, folder):
    path = folder / "values.parquet"
    frame = pd.DataFrame(values, columns=[f"S{i}" for i in range(values.shape[1])])
    frame.insert(0, "gene", [f"g{g}" for g in range(len(values))])
    frame.to_parquet(path)
    return read_counts(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL_TABLES)
def test_real_counts_pass_and_are_refused_on_other_scales(name, shared_data, tmp_path, rng):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FractionalCountsWarning)
        table = read_counts(shared_data / "human-bulk-counts" / f"{name}.tsv.gz")
    counts = table.counts[:20].T.astype(float)

    accepted = []
    for scale, values in scales_of(counts, rng).items():
        try:
            read_back(values, tmp_path)
        except ScaleMismatchError:
            continue
        accepted.append(scale)

    assert accepted == []


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ("tpm", "sum to a million, as TPM or CPM do"),
        ("cpm", "sum to a million, as TPM or CPM do"),
        ("fpkm", "as TPM or FPKM are"),
        ("log2_counts", "never exceed 32, as logarithms do"),
        ("log2_cpm", "never exceed 32, as logarithms do"),
    ],
)
def test_other_scales_are_refused_by_name(scale, words, tmp_path, rng):
    counts = rng.negative_binomial(0.5, 0.002, (2000, 4)).astype(float)

    with pytest.raises(ScaleMismatchError, match=f"4 of 4 samples .* {words}"):
        read_back(scales_of(counts, rng)[scale], tmp_path)


def test_one_column_of_tpm_among_counts_is_found(tmp_path, rng):
    counts = rng.negative_binomial(0.5, 0.002, (500, 3)).astype(float)
    counts[:, 1] *= 1e6 / counts[:, 1].sum()

    with pytest.raises(ScaleMismatchError, match=r"1 of 3 samples .*\(S1; S1: "):
        read_back(counts, tmp_path)


def test_the_real_estimated_counts_pass_with_their_share(shared_data):
    path = shared_data / "human-bulk-counts" / "GSE151352_glioblastoma.tsv.gz"

    with pytest.warns(FractionalCountsWarning, match=r"85,031 of 782,470 values \(10.9%\)"):
        table = read_counts(path)

    assert table.n_rounded == 85_031
    assert table.counts.shape == (10, 78_247)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6])
def test_estimated_counts_pass_whatever_part_is_fractional(share, tmp_path, rng):
    counts = rng.negative_binomial(0.5, 0.002, (3000, 4)).astype(float)
    is_shared = (rng.random(counts.shape) < share) & (counts > 0)
    counts[is_shared] += rng.uniform(-0.4, 0.4, is_shared.sum())

    with pytest.warns(FractionalCountsWarning, match=f"{is_shared.sum():,} of 12,000 values"):
        table = read_back(counts, tmp_path)

    assert table.n_rounded == is_shared.sum()


def test_counts_of_a_million_reads_pass(tmp_path, rng):
    counts = rng.multinomial(10**6, np.full(500, 1 / 500), size=3).T

    assert read_back(counts, tmp_path).counts.sum(axis=1).tolist() == [10**6] * 3


@pytest.mark.parametrize("scale", ["tpm", "cpm"])
def test_values_rounded_to_whole_numbers_are_known_by_their_sums(scale, tmp_path, rng):
    counts = rng.negative_binomial(0.5, 0.002, (2000, 4)).astype(float)
    rounded = np.rint(scales_of(counts, rng)[scale])

    with pytest.raises(ScaleMismatchError, match=r"4 of 4 samples .* rounded to whole numbers"):
        read_back(rounded, tmp_path)


def test_one_library_of_a_million_reads_among_others_passes(tmp_path, rng):
    depths = np.array([10**6, 2 * 10**6, 3 * 10**6])
    counts = np.stack([rng.multinomial(n, np.full(500, 1 / 500)) for n in depths], axis=1)

    assert read_back(counts, tmp_path).counts.sum(axis=1).tolist() == depths.tolist()


def test_lengths_scaled_counts_of_a_deep_library_pass(tmp_path, rng):
    counts = rng.negative_binomial(0.5, 0.0002, (3000, 3)) * rng.uniform(0.8, 1.25, (3000, 1))

    with pytest.warns(FractionalCountsWarning):
        read_back(counts, tmp_path)
