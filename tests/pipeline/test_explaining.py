"""From a model and one sample to the reasons of its label."""

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tests.support.studies import gene_table, make_study_atlas

from expressome.cli.main import cli
from expressome.errors import (
    InvalidValueError,
    LabelError,
    LabelWarning,
    ModelError,
    SelectionError,
)
from expressome.pipeline.explaining import explain
from expressome.pipeline.predicting import load_model
from expressome.pipeline.training import train

TISSUES = ["brain", "heart", "liver"]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Three tissues in 8 studies each; genes 20k to 20k+19 mark tissue k."""
    folder = tmp_path_factory.mktemp("explained")
    tissues, studies = np.repeat(TISSUES, 32), np.repeat(np.arange(24), 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)
        truth, counts = make_study_atlas(folder, tissues, studies)
        train(folder / "atlas.zarr", out=folder / "model", n_trees=20, time_budget_s=0)
    return folder, truth, counts


def test_the_markers_of_a_label_are_the_genes_planted_for_it(house):
    folder, *_ = house
    markers = json.loads((folder / "model" / "markers.json").read_text())

    genes = gene_table().index
    for k, tissue in enumerate(TISSUES):
        own, others = set(genes[20 * k : 20 * k + 20]), set(genes[:60])
        leading = markers[tissue][:10]
        assert all(row["gene"] in others for row in leading)
        assert sum(row["gene"] in own for row in leading) >= 5
        card = (folder / "model" / "README.md").read_text()
        assert leading[0]["symbol"] in card
        # Of a tissue's own genes all are high in it, of the other tissues' all low.
        for row in leading:
            assert row["direction"] == ("high" if row["gene"] in own else "low")


def test_a_samples_reasons_are_its_tissues_genes_and_studies(house):
    folder, truth, counts = house
    frame = pd.DataFrame(counts.T, index=gene_table().index, columns=truth.index)
    sample = truth.index[truth["label"] == "liver"][5]

    figures = explain(folder / "model", frame, sample=sample).figures

    answer = load_model(folder / "model").predict(frame[[sample]]).iloc[0]
    assert (figures["label"], figures["confidence"]) == (
        "liver",
        pytest.approx(answer["confidence"]),
    )
    planted = set(gene_table().index[:60])
    assert sum(row["gene"] in planted for row in figures["genes_for"][:10]) >= 7
    assert all(row["log_odds"] > 0 for row in figures["genes_for"])
    assert all(row["log_odds"] < 0 for row in figures["genes_against"])
    assert figures["nearest_labels"][0]["label"] == "liver"
    # The model was refitted on all studies, this sample's among them.
    assert figures["nearest_studies"][0]["study"] == truth.loc[sample, "series"]
    assert sum(row["agrees"] for row in figures["markers"]) > len(figures["markers"]) / 2


def test_a_missing_gene_is_marked_and_changes_nothing(house):
    folder, truth, counts = house
    frame = pd.DataFrame(counts.T, index=gene_table().index, columns=truth.index)
    genes = load_model(folder / "model").genes

    figures = explain(
        folder / "model", frame.drop(genes[:30]), sample=truth.index[0], n_genes=300
    ).figures

    assert figures["n_missing_genes"] == 30
    listed = figures["genes_for"] + figures["genes_against"]
    assert not any(row["is_missing"] for row in listed)


def test_the_command_prints_one_json_object_for_files_and_atlases(house):
    folder, truth, _ = house
    sample = truth.index[0]
    shown = [
        CliRunner().invoke(
            cli,
            [
                "explain",
                str(folder / "model"),
                str(folder / name),
                "--sample",
                sample,
                "--label",
                "heart",
                "--n-genes",
                "3",
            ],
        )
        for name in ("compendium.h5", "atlas.zarr")
    ]

    results = [json.loads(result.stdout) for result in shown]
    for result in results:
        assert (result["verb"], result["sample"]) == ("explain", sample)
        assert (result["label"], result["explained_label"]) == ("brain", "heart")
        assert len(result["genes_against"]) == 3
    assert results[0]["confidence"] == pytest.approx(results[1]["confidence"], abs=2e-3)


def test_unknown_samples_labels_and_altered_markers_are_named(house, tmp_path):
    folder, *_ = house
    model, file = folder / "model", folder / "compendium.h5"

    with pytest.raises(SelectionError, match=r"no sample 'GSM9999' among its 96 \(it has GSM0"):
        explain(model, file, sample="GSM9999")
    with pytest.raises(LabelError, match="no label 'spleen' among its 3; it knows brain, heart"):
        explain(model, file, sample="GSM0", label="spleen")
    with pytest.raises(InvalidValueError, match="n_genes is 0"):
        explain(model, file, sample="GSM0", n_genes=0)
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    (copy / "markers.json").write_text("{}")
    with pytest.raises(ModelError, match=r"markers\.json of the model .* changed"):
        explain(copy, file, sample="GSM0")
