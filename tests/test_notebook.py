"""In a notebook, objects show what they are."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from tests.support.build import make_archs4

import expressome
from expressome.notebook import render_facts
from expressome.results import LABEL_FIELDS, LabelMatrix, Summary, Target


def test_names_and_values_are_escaped():
    text = render_facts("<b>", {"<script>": "a & b"})

    assert "<script>" not in text
    assert "<b>" not in text
    assert "a &amp; b" in text


def test_long_values_are_cut_and_empty_ones_left_out():
    text = render_facts("x", {"long": "y" * 1000, "nothing": None, "empty": []})

    assert "y" * 299 + "…" in text
    assert "nothing" not in text
    assert "empty" not in text


def test_a_file_shows_its_size_and_species(tmp_path):
    compendium = expressome.open_archs4(make_archs4(tmp_path / "x.h5", n_samples=12, n_genes=30))

    text = compendium._repr_html_()

    assert ">12<" in text
    assert ">30<" in text
    assert ">human<" in text


def test_an_atlas_shows_samples_genes_and_recipe(tmp_path):
    make_archs4(tmp_path / "x.h5", n_samples=12, n_genes=30)
    expressome.normalize(tmp_path / "x.h5", recipe="log2-quantile", out=tmp_path / "x.zarr")

    text = expressome.open_atlas(tmp_path / "x.zarr")._repr_html_()

    assert ">12<" in text
    assert ">log2-quantile<" in text


def test_labels_show_the_most_frequent_first():
    names = pd.DataFrame("", index=pd.Index(["brain", "liver"], name="key"), columns=LABEL_FIELDS)
    matrix = sparse.csr_array(np.array([[0, 1], [0, 1], [1, 0], [0, 0]], np.uint8))

    text = LabelMatrix(pd.Index(list("abcd")), names, matrix)._repr_html_()

    assert "liver 2, brain 1" in text
    assert ">3<" in text  # labelled


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (Target(np.array([0.0, 2.0, 9.5]), 7), "0, 2, 9.5"),
        (Summary("measure", {"n_genes": 30, "labels": {"liver": 1}}), "n_genes"),
    ],
)
def test_results_show_their_figures(thing, expected):
    assert expected in thing._repr_html_()
