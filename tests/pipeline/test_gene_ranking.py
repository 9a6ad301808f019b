"""Genes are ordered on training samples, whatever some study did not measure."""

import numpy as np
import pytest
from tests.support.studies import make_study_atlas

from expressome.atlas import open_atlas
from expressome.engine import Resources
from expressome.pipeline.gene_ranking import rank_genes
from expressome.pipeline.label_reading import read_labelled


@pytest.fixture(scope="module")
def atlas(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranked")
    studies = np.repeat(np.arange(18), 5)
    tissues = np.array(["brain", "liver", "lung"])[studies % 3]
    make_study_atlas(folder, tissues, studies, labelled=studies != 17)
    return open_atlas(folder / "atlas.zarr")


def rank(atlas, order, is_used=slice(None)):
    labelled = read_labelled(atlas)
    return rank_genes(
        atlas,
        labelled.rows[is_used],
        order=order,
        labels=labelled.labels[is_used],
        studies=labelled.studies[is_used],
        resources=Resources(),
    )


@pytest.mark.parametrize("order", ["f-test", "information", "variance", "ranks"])
def test_every_order_names_every_gene_once(atlas, order):
    assert np.array_equal(np.sort(rank(atlas, order)), np.arange(atlas.n_genes))


def test_ranks_take_the_order_of_the_f_test(atlas):
    assert np.array_equal(rank(atlas, "ranks"), rank(atlas, "f-test"))
    assert not np.array_equal(rank(atlas, "ranks"), rank(atlas, "variance"))


def test_the_f_test_puts_marker_genes_first(atlas):
    # Genes 0 to 59 mark the three tissues, 20 each.
    leading = rank(atlas, "f-test")[:40]

    assert (leading < 60).mean() > 0.9
