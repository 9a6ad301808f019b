"""The whole job on real counts, from count tables to the report."""

import json

import numpy as np
import pandas as pd
import pytest

import expressome
from expressome.errors import ExpressomeWarning

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def finished(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    data = shared_data / "human-bulk-counts"
    sheet = pd.read_csv(data / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    human = sheet[(sheet["organism"] == "human") & ~sheet["tissue"].isin(["mix", "reference mix"])]
    # A dozen samples of a tissue in a study say what a hundred of them say.
    human = human.groupby(["series", "tissue"], sort=False).head(12)
    # Four studies stay unlabelled: the classifier never sees what their tissue is.
    hidden = human["series"].isin(["GSE30352", "GSE16921", "GSE151352", "ALASOO2018"])
    human.assign(tissue=human["tissue"].mask(hidden, "")).to_csv(
        folder / "samples.tsv", sep="\t", index=False
    )
    tables = sorted({str(data / f"{name}.tsv.gz") for name in human["dataset"]})
    config = folder / "run.toml"
    config.write_text(
        f"[input]\ncounts = {json.dumps(tables)}\nsamples = 'samples.tsv'\n"
        "[output]\nfolder = 'out'\n"
        "[annotate]\nlabel_columns = ['tissue']\n"
        # The choice of settings has tests of its own.
        "[train]\nn_genes = 2000\ntime_budget_s = 0\n"
        "[augment]\nlabels = ['blood']\nn_samples = 20\n"
    )
    with pytest.warns(ExpressomeWarning):
        summary = expressome.run(config)
    return folder, human.set_index("sample"), hidden.to_numpy(), summary


def test_the_run_leaves_every_output(finished):
    folder, *_ = finished

    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "atlas.zarr",
        "compendium.h5",
        "labels.parquet",
        "manifest.json",
        "model",
        "predictions.parquet",
        "report.html",
        "synthetic.h5ad",
    ]


def test_packed_counts_are_the_counts_of_the_tables(finished, shared_data):
    folder, human, *_ = finished
    table = pd.read_csv(
        shared_data / "human-bulk-counts" / "brawand_6tissues.tsv.gz", sep="\t", index_col=0
    )
    compendium = expressome.open_archs4(folder / "out" / "compendium.h5")

    genes = compendium.genes.index.intersection(table.index)[:500]
    counts = compendium.counts(samples=list(table.columns), genes=list(genes))

    np.testing.assert_array_equal(counts, table.loc[genes].to_numpy().T)
    assert compendium.n_samples == len(human)


def test_studies_never_cross_the_split(finished):
    folder, *_ = finished
    obs = expressome.open_atlas(folder / "out" / "atlas.zarr").obs

    labelled = obs[obs["split"] != ""]
    assert labelled.groupby("study", observed=True)["split"].nunique().max() == 1


def test_hidden_studies_are_predicted_far_above_chance(finished):
    folder, human, hidden, _ = finished
    predictions = pd.read_parquet(folder / "out" / "predictions.parquet").set_index("sample")
    truth = human.loc[hidden, "tissue"]

    right = predictions.loc[truth.index, "label"] == truth

    assert len(predictions) == hidden.sum()
    # The commonest tissue among the labelled is blood; it is a fifth of the hidden cells.
    per_cell = right.groupby([human.loc[hidden, "series"], truth]).mean()
    assert per_cell.mean() > 0.5


def test_a_second_run_skips_everything(finished):
    folder, *_ = finished

    summary = expressome.run(folder / "run.toml")

    assert all(stage.skipped for stage in summary.figures["stages"])


def test_the_report_is_self_contained(finished):
    folder, *_ = finished
    page = (folder / "out" / "report.html").read_text()

    assert "ARCHS4" in page
    assert 'src="http' not in page
