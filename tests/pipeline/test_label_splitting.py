"""Copies and synthetic samples never cross the split."""

import numpy as np
import pytest
from tests.pipeline.test_normalizing import write_label_file
from tests.support.build import make_archs4, make_counts, make_genes, make_samples

from expressome.archs4.reader import open_archs4
from expressome.atlas import open_atlas
from expressome.classification.split import split_by_study
from expressome.engine import Resources
from expressome.errors import InvalidValueError, LeftOutWarning, StudyWarning
from expressome.normalization.quantile import fit_target
from expressome.pipeline.copy_finding import name_contents
from expressome.pipeline.label_reading import read_labelled
from expressome.pipeline.normalizing import normalize

N_SAMPLES = 120
ROWS = {"liver": range(0, N_SAMPLES, 2), "brain": range(1, N_SAMPLES, 2)}


@pytest.mark.filterwarnings("ignore:all 120 samples carry a label")
def test_studies_with_copies_of_a_sample_share_a_part(tmp_path):
    counts = make_counts(N_SAMPLES, 60, seed=2)
    # A chain: every study of three holds a copy from the one before, in both halves.
    for start in (*range(3, 30, 3), *range(63, 90, 3)):
        counts[start] = counts[start - 1]
    make_archs4(tmp_path / "x.h5", counts=counts)
    labels = write_label_file(tmp_path / "l.parquet", ROWS, make_samples(N_SAMPLES).index)

    with pytest.warns(StudyWarning, match=r"36 labelled samples have the counts .* 18 studies"):
        summary = normalize(
            tmp_path / "x.h5", out=tmp_path / "a", labels=labels, recipe="log2-quantile"
        )

    atlas = open_atlas(tmp_path / "a")
    obs = atlas.obs
    assert obs.groupby("counts_hash")["split"].nunique().max() == 1
    assert obs["study"].iloc[:30].nunique() == 1
    assert obs["study"].nunique() == 40 - 18
    assert set(obs["split"]) == {"train", "validation", "test"}
    copies = summary.figures["split"]["copies"]
    assert (copies["n_samples"], copies["n_studies_joined"]) == (36, 18)
    assert copies["examples"][0] == ["GSM3", "GSM4"]
    expected = fit_target(counts[(obs["split"] == "train").to_numpy()])
    np.testing.assert_array_equal(atlas.target.profile, expected.profile)


def test_copies_are_told_from_samples_alike_in_part(tmp_path):
    # 900 genes, so that 400 are read first: samples 0 and 1 differ outside them only.
    counts = make_counts(8, 900, seed=5) + 1
    counts[1] = counts[0]
    counts[1, 0] += 1
    counts[5] = counts[3]
    counts[6:] = 0
    file = open_archs4(make_archs4(tmp_path / "x.h5", counts=counts))

    names = name_contents(
        file, np.arange(8), columns=np.arange(900), resources=Resources(workers=1)
    )

    assert names[5] == names[3]
    assert len(set(names)) == 7


@pytest.mark.filterwarnings("ignore:all 120 samples carry a label")
def test_synthetic_samples_belong_to_no_part(tmp_path):
    samples = make_samples(N_SAMPLES).assign(synthetic="False")
    samples.iloc[10:14, samples.columns.get_loc("synthetic")] = "True"
    make_archs4(
        tmp_path / "x.h5",
        counts=make_counts(N_SAMPLES, 60),
        samples=samples,
        genes=make_genes(60),
    )
    labels = write_label_file(tmp_path / "l.parquet", ROWS, samples.index)

    with pytest.warns(LeftOutWarning, match="4 of 120 labelled samples are synthetic"):
        summary = normalize(tmp_path / "x.h5", out=tmp_path / "a", labels=labels, recipe="log2-cpm")

    parts = open_atlas(tmp_path / "a").obs["split"]
    assert np.flatnonzero(parts == "").tolist() == [10, 11, 12, 13]
    assert summary.figures["split"]["n_synthetic"] == 4
    with pytest.warns(LeftOutWarning, match="4 of 120 labelled samples are synthetic and are left"):
        labelled = read_labelled(open_atlas(tmp_path / "a"))
    assert len(labelled.rows) == 116


@pytest.mark.filterwarnings("ignore:all 120 samples carry a label")
def test_labelled_samples_without_a_read_teach_nothing_and_are_named(tmp_path):
    counts = make_counts(N_SAMPLES, 60)
    counts[[7, 70]] = 0
    make_archs4(tmp_path / "x.h5", counts=counts, genes=make_genes(60))
    labels = write_label_file(tmp_path / "l.parquet", ROWS, make_samples(N_SAMPLES).index)
    normalize(tmp_path / "x.h5", out=tmp_path / "a", labels=labels, recipe="log2-quantile")

    with pytest.warns(LeftOutWarning, match=r"2 of 120 labelled .* no read .*\(GSM8, GSM71\)"):
        labelled = read_labelled(open_atlas(tmp_path / "a"))

    assert len(labelled.rows) == 118
    assert not {7, 70} & set(labelled.rows.tolist())


def test_known_parts_are_kept_and_torn_studies_refused(rng):
    labels = np.ones((6, 1), np.uint8)
    studies = ["a", "a", "b", "c", "d", "e"]
    known = ["test", "", "train", "", "", ""]

    found = split_by_study(labels, studies, rng=rng, known=known)

    assert found.parts[:3].tolist() == ["test", "test", "train"]
    with pytest.raises(InvalidValueError, match=r"1 studies have samples in two parts \(a\)"):
        split_by_study(labels, studies, rng=rng, known=["test", "train", "", "", "", ""])
