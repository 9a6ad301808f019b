"""From an atlas to a model, its figures and its answers."""

import json
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from scipy import sparse
from tests.support.build import make_archs4
from tests.support.studies import draw_counts, gene_table, make_study_atlas

import expressome
from expressome.annotation.multihot import read_labels, write_labels
from expressome.atlas import open_atlas
from expressome.classification.label_sets import fit_label_sets
from expressome.cli.main import cli
from expressome.engine import Resources
from expressome.errors import (
    ClusterError,
    ConfigurationError,
    ExpressomeWarning,
    FractionalCountsWarning,
    IdentifierError,
    IdentifierWarning,
    ImputedLengthWarning,
    InvalidCountsError,
    InvalidValueError,
    LabelError,
    LabelWarning,
    MissingGenesWarning,
    ModelError,
    OutputExistsError,
    ScaleMismatchError,
    ShapeError,
)
from expressome.pipeline.evaluating import evaluate
from expressome.pipeline.label_reading import read_labelled
from expressome.pipeline.normalizing import normalize
from expressome.pipeline.predicting import load_model, predict
from expressome.pipeline.training import train
from expressome.results import LabelMatrix

TISSUES = ["brain", "heart", "liver", "lung"]


def design(n_studies_each, n_each):
    tissues = np.repeat(TISSUES, n_studies_each * n_each)
    studies = np.repeat(np.arange(len(TISSUES) * n_studies_each), n_each)
    return tissues, studies


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """Four tissues in 14 studies each, one in six without label; a model."""
    folder = tmp_path_factory.mktemp("house")
    tissues, studies = design(14, 4)
    labelled = studies % 6 != 5
    truth, counts = make_study_atlas(folder, tissues, studies, labelled=labelled)
    # So long that all settings are tried however busy the machine is.
    summary = train(folder / "atlas.zarr", out=folder / "model", n_trees=20, time_budget_s=600)
    return folder, truth, counts, summary


def test_tissues_of_unseen_studies_are_recognised(house):
    _, _, _, summary = house

    assert summary.figures["f1_macro"] > 0.9
    assert summary.figures["n_studies"] >= 4


def test_metrics_hold_every_promised_score(house):
    folder, *_ = house

    metrics = json.loads((folder / "model" / "metrics.json").read_text())

    assert set(metrics) == {
        "test",
        "validation",
        "baselines",
        "calibration",
        "split",
        "settings",
        "refit",
    }
    assert {
        "average_precision_macro",
        "auroc_macro",
        "expected_calibration_error",
        "reliability",
        "risk_coverage",
        "confusion",
        "confusion_by_kind",
        "by_kind",
        "by_depth",
    } <= set(metrics["test"])
    assert all(len(bounds) == 2 for bounds in metrics["test"]["intervals"].values())
    row = metrics["test"]["per_label"]["liver"]
    assert {
        "precision",
        "recall",
        "f1",
        "average_precision",
        "auroc",
        "support",
        "threshold",
    } <= set(row)
    assert {"original", "logistic_regression", "nearest_centroid", "plain_forest"} <= set(
        metrics["baselines"]
    )
    assert {"plain_forest_random_split", "this_model_random_split"} <= set(metrics["baselines"])
    for row in metrics["baselines"].values():
        low, high = row["intervals"]["f1_macro"]
        assert 0 <= low <= high <= 1
    lead = metrics["baselines"]["original"]["f1_macro_lead"]["value"]
    assert lead == pytest.approx(
        metrics["test"]["f1_macro"] - metrics["baselines"]["original"]["f1_macro"]
    )
    tried = metrics["settings"]["forest"]["trials"]
    assert {trial["class_weights"] for trial in tried} == {False, True}
    # A depth is tried only where trees grow deeper.
    assert {trial["max_depth"] for trial in tried} <= {None, 12, 20}


def test_the_shipped_model_saw_all_labelled_samples_and_its_card_says_so(house):
    folder, truth, *_ = house
    n_labelled = int(open_atlas(folder / "atlas.zarr").labels.is_labelled.sum())

    card = (folder / "model" / "README.md").read_text()

    assert f"saw {n_labelled} labelled samples" in card
    assert "was not scored on samples it saw" in card
    assert "doi:10.1038/s41467-018-03751-6" in card
    assert n_labelled < len(truth)


def test_an_atlas_is_predicted_where_it_has_no_label(house, tmp_path):
    folder, truth, *_ = house

    summary = predict(folder / "model", folder / "atlas.zarr", out=tmp_path / "p.parquet")

    answers = pd.read_parquet(tmp_path / "p.parquet")
    is_labelled = open_atlas(folder / "atlas.zarr").labels.is_labelled
    assert answers["sample"].tolist() == truth.index[~is_labelled].tolist()
    assert summary.figures["n_samples"] == int((~is_labelled).sum())
    assert (answers["label"].to_numpy() == truth.loc[answers["sample"], "label"]).mean() > 0.9
    assert list(answers.columns) == [
        "sample",
        "label",
        "confidence",
        "unknown",
        "reason",
        "labels",
        *(f"p:{name}" for name in TISSUES),
    ]


def test_unknown_samples_have_a_reason_and_no_labels(house, tmp_path):
    folder, *_ = house

    predict(folder / "model", folder / "compendium.h5", out=tmp_path / "p.parquet")

    answers = pd.read_parquet(tmp_path / "p.parquet")
    assert (answers["labels"].str.len() == 0).tolist() == answers["unknown"].tolist()
    assert (answers.loc[answers["unknown"], "reason"] != "").all()
    assert answers["label"].isin(TISSUES).all()


def test_file_atlas_table_and_frame_give_the_same_answers(house, tmp_path):
    folder, truth, counts, _ = house
    genes = gene_table()
    frame = pd.DataFrame(counts.T, index=genes.index, columns=truth.index)
    frame.to_csv(tmp_path / "counts.tsv", sep="\t")
    model = load_model(folder / "model")

    from_frame = model.predict(frame)

    probabilities = from_frame.filter(like="p:").to_numpy()
    for source in (tmp_path / "counts.tsv", folder / "compendium.h5", folder / "atlas.zarr"):
        other = model.predict(source)
        assert other["sample"].tolist() == truth.index.tolist()
        np.testing.assert_allclose(other.filter(like="p:"), probabilities, atol=2e-3)


def test_symbols_are_mapped_to_the_models_genes(house):
    folder, truth, counts, _ = house
    genes = gene_table()
    unique = ~genes["symbol"].duplicated(keep=False) & (genes["symbol"] != "")
    frame = pd.DataFrame(
        counts.T[unique], index=genes["symbol"][unique].to_numpy(), columns=truth.index
    )

    answers = load_model(folder / "model").predict(frame)

    assert (answers["label"].to_numpy() == truth["label"]).mean() > 0.9


def test_a_table_of_samples_in_rows_is_told_to_be_turned(house):
    folder, _, counts, _ = house
    table = pd.DataFrame(counts[:6], columns=gene_table()["symbol"]).rename(lambda i: f"sample-{i}")

    with pytest.raises(ShapeError, match=r"0% of 6 rows; genes belong in rows .* transpose"):
        load_model(folder / "model").predict(table.loc[:, ~table.columns.duplicated()])


def test_an_old_file_that_knows_symbols_only_is_labelled_and_normalised(house, tmp_path):
    folder, truth, counts, _ = house
    genes = gene_table()
    genes.index = pd.Index([f"symbol:{symbol}" for symbol in genes["symbol"]], name="gene")
    samples = pd.DataFrame({"series": truth["series"]})
    old = tmp_path / "old.h5"
    make_archs4(old, counts=counts, samples=samples, genes=genes, layout="v1")

    with pytest.warns(IdentifierWarning, match=r"300 of 300 genes .* no Ensembl id: 2\d\d got"):
        answers = load_model(folder / "model").predict(old)
    with (
        pytest.warns(ImputedLengthWarning),
        pytest.warns(IdentifierWarning, match="keep the key symbol:NAME"),
    ):
        normalize(old, out=tmp_path / "old.zarr")

    known = load_model(folder / "model").predict(folder / "compendium.h5")
    assert (answers["label"] == known["label"]).mean() > 0.95
    atlas = open_atlas(tmp_path / "old.zarr")
    assert atlas.description["species"] == "human"
    assert atlas.var.index.str.startswith("ENSG").mean() > 0.9


def test_missing_genes_are_flagged_then_refused_with_numbers(house):
    folder, truth, counts, _ = house
    model = load_model(folder / "model")
    frame = pd.DataFrame(counts.T, index=gene_table().index, columns=truth.index)
    chosen = np.random.default_rng(0).permutation(model.genes)

    with pytest.warns(MissingGenesWarning, match=r"of the model's 300 genes \(30%\) are missing"):
        answers = model.predict(frame.drop(chosen[:90]))
    with pytest.raises(ModelError, match=r"180 of the model's 300 genes \(60%\) are missing"):
        model.predict(frame.drop(chosen[:180]))

    assert answers["reason"].str.contains("30% of the model's genes are missing").all()
    assert (answers["label"].to_numpy() == truth["label"]).mean() > 0.7


def test_other_scales_species_and_bad_tables_are_refused(house):
    folder, truth, counts, _ = house
    model = load_model(folder / "model")
    frame = pd.DataFrame(counts.T.astype(float), index=gene_table().index, columns=truth.index)
    mouse = frame.set_axis([f"ENSMUSG{i:011d}" for i in range(len(frame))])

    with pytest.raises(ScaleMismatchError, match="sum to a million"):
        model.predict(frame / frame.sum() * 1e6 + 0.01)
    with pytest.raises(IdentifierError, match=r"holds mouse genes, but the model .* human"):
        model.predict(mouse)
    with pytest.raises(InvalidCountsError, match="negative"):
        model.predict(
            frame.mask(
                frame.eq(frame.iloc[0, 0])
                & (frame.index == frame.index[0])[:, None]
                & (frame.columns == frame.columns[0]),
                -1,
            )
        )
    with pytest.raises(ShapeError, match="0 genes and 0 samples"):
        model.predict(pd.DataFrame())
    half = frame.copy()
    half.iloc[0, 0] += 0.25
    with pytest.warns(FractionalCountsWarning, match="1 of 67200 estimated counts"):
        model.predict(half)


def test_a_file_of_the_wrong_species_or_unit_is_refused(house, tmp_path):
    folder, *_ = house
    mouse = make_archs4(tmp_path / "mouse.h5", 3, 20, species="mouse")
    tpm = make_archs4(tmp_path / "tpm.h5", 3, 20, layout="tpm")

    with pytest.raises(IdentifierError, match=r"mouse\.h5 holds mouse genes"):
        predict(folder / "model", mouse, out=tmp_path / "p.parquet")
    with pytest.raises(ScaleMismatchError, match=r"tpm\.h5 holds tpm"):
        predict(folder / "model", tpm, out=tmp_path / "p.parquet")

    assert not (tmp_path / "p.parquet").exists()


def test_noise_is_unlike_the_training_samples(house):
    folder, *_ = house
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(rng.poisson(2 ** rng.normal(3, 3, (300, 20))), index=gene_table().index)
    noise.columns = [f"S{i}" for i in range(20)]

    answers = load_model(folder / "model").predict(noise)

    assert answers["unknown"].mean() >= 0.8


def test_nothing_left_to_predict_is_a_warning_and_an_empty_file(house, tmp_path):
    folder, *_ = house
    tissues, studies = design(3, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)
        make_study_atlas(tmp_path, tissues, studies)

    with pytest.warns(LabelWarning, match="all 36 samples carry a label already"):
        summary = predict(folder / "model", tmp_path / "atlas.zarr", out=tmp_path / "p.parquet")

    answers = pd.read_parquet(tmp_path / "p.parquet")
    assert (len(answers), summary.figures["n_samples"]) == (0, 0)
    assert list(answers.columns)[:6] == [
        "sample",
        "label",
        "confidence",
        "unknown",
        "reason",
        "labels",
    ]


def test_predict_can_leave_out_the_samples_of_a_label_file(house, tmp_path):
    folder, truth, *_ = house
    is_labelled = open_atlas(folder / "atlas.zarr").labels.is_labelled

    predict(
        folder / "model",
        folder / "compendium.h5",
        out=tmp_path / "p.parquet",
        unlabelled=folder / "labels.parquet",
    )

    assert pd.read_parquet(tmp_path / "p.parquet")["sample"].tolist() == (
        truth.index[~is_labelled].tolist()
    )
    with pytest.raises(ConfigurationError, match="contradict"):
        predict(
            folder / "model",
            folder / "atlas.zarr",
            out=tmp_path / "q.parquet",
            unlabelled=folder / "labels.parquet",
            all_samples=True,
        )


def test_evaluate_gives_stored_figures_for_the_atlas_of_training(house):
    folder, _, _, summary = house

    figures = evaluate(folder / "model", folder / "atlas.zarr").figures

    assert figures["f1_macro"] == summary.figures["f1_macro"]
    assert "has seen these" in figures["source"]
    assert figures["n_seen_by_model"] == summary.figures["n_samples"]


def test_evaluate_scores_new_studies_directly_though_their_scale_is_another(house, tmp_path):
    folder, *_ = house
    tissues, studies = design(3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)
        make_study_atlas(tmp_path, tissues, studies + 900, prefix="NEW")
    n_test = int((open_atlas(tmp_path / "atlas.zarr").obs["split"] == "test").sum())

    figures = evaluate(folder / "model", tmp_path / "atlas.zarr").figures

    assert figures["source"].startswith("computed now")
    assert (figures["n_samples"], figures["n_seen_by_model"]) == (n_test, 0)
    assert figures["f1_macro"] > 0.8


def test_evaluate_refuses_samples_that_training_has_seen(house, tmp_path):
    folder, *_ = house
    tissues, studies = design(3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)
        make_study_atlas(tmp_path, tissues, studies, labelled=studies % 3 == 0)

    with pytest.raises(ModelError, match="the model has seen all 16 samples"):
        evaluate(folder / "model", tmp_path / "atlas.zarr")


def test_refit_none_leaves_the_test_samples_unseen(house, tmp_path):
    folder, *_ = house

    summary = train(
        folder / "atlas.zarr", out=tmp_path / "model", n_trees=10, n_genes=100, refit="none",
        time_budget_s=0,
    )  # fmt: skip

    figures = evaluate(tmp_path / "model", folder / "atlas.zarr").figures
    assert figures["source"].startswith("computed now")
    assert figures["f1_macro"] == pytest.approx(summary.figures["f1_macro"], abs=1e-9)


@pytest.mark.slow
def test_sets_that_are_rare_without_the_test_samples_leave_a_model_that_loads(tmp_path):
    tissues, studies = design(4, 3)
    truth, _ = make_study_atlas(tmp_path, tissues, studies, labelled=np.arange(48) < 47)
    labels = read_labels(tmp_path / "labels.parquet").reindex(truth.index)
    # Sick: two studies of brain and two of heart, of which the test part holds one.
    is_sick = sparse.csr_array(np.isin(studies, [0, 1, 4, 5]).astype(np.uint8)[:, None])
    table = pd.concat([labels.labels, labels.labels.iloc[:1].rename(index={"brain": "sick"})])
    both = LabelMatrix(labels.samples, table, sparse.hstack([labels.matrix, is_sick]).tocsr())
    write_labels(both, tmp_path / "both.parquet", {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpressomeWarning)
        normalize(
            tmp_path / "compendium.h5", labels=tmp_path / "both.parquet", out=tmp_path / "b.zarr"
        )
        train(tmp_path / "b.zarr", out=tmp_path / "m", n_trees=5, time_budget_s=0, refit="none")

    model = load_model(tmp_path / "m").trained

    every = fit_label_sets(read_labelled(open_atlas(tmp_path / "b.zarr")).labels)[0]
    assert len(model.classifier.label_sets.sets) < len(every.sets)
    # Classes of the distance are those of all labelled samples.
    assert len(model.outliers.rule.offsets) == len(every.sets)


def test_the_same_seed_gives_the_same_model(house, tmp_path):
    folder, *_ = house
    for name in ("a", "b"):
        # So long that the load of the machine decides nothing.
        train(folder / "atlas.zarr", out=tmp_path / name, n_trees=5, n_genes=50, time_budget_s=600)

    sums = [(tmp_path / name / "SHA256SUMS").read_text().splitlines() for name in ("a", "b")]

    assert [line for line in sums[0] if "npz" in line] == [
        line for line in sums[1] if "npz" in line
    ]


def test_a_planted_study_signal_shows_in_the_random_split_only(tmp_path):
    studies = np.repeat(np.arange(48), 5)
    tissue_of = np.random.default_rng(1).permutation(np.repeat(TISSUES, 12))

    def plant(_counts):
        # Nothing marks the tissue; a pattern over 100 genes marks each study.
        pure = draw_counts(np.full(240, "none"), np.zeros(240, int), seed=2)
        marks = np.random.default_rng(3).integers(0, 2, (48, 100)) * 500
        pure[:, 100:200] += marks[studies]
        return pure

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)
        make_study_atlas(tmp_path, tissue_of[studies], studies, extra=plant)
        train(
            tmp_path / "atlas.zarr", out=tmp_path / "model", n_trees=20, n_genes=300,
            time_budget_s=0,
        )  # fmt: skip

    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] < 0.5
    assert metrics["baselines"]["plain_forest"]["f1_macro"] < 0.5
    assert metrics["baselines"]["plain_forest_random_split"]["f1_macro"] > 0.8
    assert metrics["baselines"]["plain_forest_random_split"]["leak_f1_macro"] > 0.4


@pytest.mark.filterwarnings("ignore::expressome.errors.ExpressomeWarning")
@pytest.mark.parametrize("n_studies_each", [1, 2, 3], ids=["one", "two", "three"])
def test_thirty_samples_of_few_studies_still_give_a_model(tmp_path, n_studies_each):
    tissues = np.repeat(["brain", "heart", "liver"], 10)
    studies = np.arange(30) // (10 // n_studies_each)
    make_study_atlas(tmp_path, tissues, studies)

    summary = train(tmp_path / "atlas.zarr", out=tmp_path / "model", n_trees=10)

    answers = load_model(tmp_path / "model").predict(tmp_path / "compendium.h5")
    assert len(answers) == 30
    assert summary.figures["n_labels"] == 3


def test_one_study_warns_that_nothing_can_be_tested(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)
        make_study_atlas(tmp_path, np.repeat(["brain", "liver"], 6), np.zeros(12, int))

    with pytest.warns(ExpressomeWarning) as found:
        summary = train(tmp_path / "atlas.zarr", out=tmp_path / "model", n_trees=5)

    texts = " ".join(str(item.message) for item in found)
    assert "cannot be scored on unseen studies" in texts
    assert "nothing can be validated" in texts
    assert "none of 2 labels is held by two" in texts
    assert summary.figures["f1_macro"] is None
    with pytest.raises(ModelError, match=r"seen all 12 samples .* trained without a test part"):
        evaluate(tmp_path / "model", tmp_path / "atlas.zarr")


def test_a_child_label_implies_its_parent(tmp_path):
    tissues, studies = design(6, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LabelWarning)
        make_study_atlas(tmp_path, tissues, studies, parents={"brain": "nervous"})
        train(
            tmp_path / "atlas.zarr", out=tmp_path / "model", n_trees=10, n_genes=100,
            time_budget_s=0,
        )  # fmt: skip

    answers = load_model(tmp_path / "model").predict(tmp_path / "compendium.h5")

    assert (answers["p:nervous"] >= answers["p:brain"] - 1e-12).all()
    is_brain = answers["labels"].map(lambda held: "brain" in held)
    assert is_brain.any()
    assert answers.loc[is_brain, "labels"].map(lambda held: "nervous" in held).all()
    assert "nervous" not in set(answers["label"])


def test_options_and_atlases_that_cannot_be_used_are_named(house, tmp_path):
    folder, *_ = house
    atlas = folder / "atlas.zarr"

    with pytest.raises(OutputExistsError):
        train(atlas, out=folder / "model")
    with pytest.raises(InvalidValueError, match="n_genes is 0"):
        train(atlas, out=tmp_path / "m", n_genes=0)
    with pytest.raises(InvalidValueError, match="n_trees is 0"):
        train(atlas, out=tmp_path / "m", n_trees=0)
    with pytest.raises(InvalidValueError, match="time_budget_s is -1"):
        train(atlas, out=tmp_path / "m", time_budget_s=-1)
    with pytest.raises(InvalidValueError, match="features is 'magic'"):
        train(atlas, out=tmp_path / "m", features="magic")
    with pytest.raises(InvalidValueError, match="refit is 'some'"):
        train(atlas, out=tmp_path / "m", refit="some")
    with pytest.raises(InvalidValueError, match="max_error is 2"):
        train(atlas, out=tmp_path / "m", max_error=2)
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_cannot_be_reached_is_told_before_any_work(tmp_path):
    pytest.importorskip("distributed")

    with pytest.raises(ClusterError, match="no Dask scheduler answers at tcp://127"):
        train("no.zarr", out=tmp_path / "m", resources=Resources(cluster="tcp://127.0.0.1:9"))


def test_an_atlas_without_labels_is_named(house, tmp_path):
    folder, *_ = house
    expressome.normalize(folder / "compendium.h5", out=tmp_path / "bare.zarr")

    with pytest.raises(LabelError, match=r"bare\.zarr has no labelled sample among 224"):
        train(tmp_path / "bare.zarr", out=tmp_path / "model")


def test_a_tampered_part_is_refused_by_name(house, tmp_path):
    folder, *_ = house
    copy = tmp_path / "model"
    shutil.copytree(folder / "model", copy)
    part = copy / "forest.npz"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(bytes(content))

    with pytest.raises(ModelError, match=r"forest\.npz of the model .* changed"):
        load_model(copy)

    part.unlink()
    with pytest.raises(ModelError, match=r"lacks forest\.npz"):
        load_model(copy)


def test_the_model_loads_and_predicts_without_scikit_learn(house):
    folder, *_ = house
    code = (
        "import sys; sys.modules['sklearn'] = None; sys.modules['sklearnex'] = None\n"
        "import expressome\n"
        f"model = expressome.load_model({str(folder / 'model')!r})\n"
        f"print(len(model.predict({str(folder / 'compendium.h5')!r})))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout.strip(), done.returncode) == ("224", 0), done.stderr


def test_no_part_of_a_model_is_pickled(house):
    folder, *_ = house

    for path in (folder / "model").glob("*.npz"):
        with np.load(path, allow_pickle=False) as stored:
            assert all(stored[name].dtype != object for name in stored.files)


def test_the_commands_print_one_json_object_each(house, tmp_path):
    folder, *_ = house
    run = CliRunner().invoke
    model, out = tmp_path / "model", tmp_path / "p.parquet"

    trained = run(
        cli,
        [
            "train",
            str(folder / "atlas.zarr"),
            "--out",
            str(model),
            "--n-trees",
            "5",
            "--n-genes",
            "50",
            "--study-effects",
            "off",
        ],
    )
    scored = run(cli, ["evaluate", str(model), str(folder / "atlas.zarr")])
    predicted = run(cli, ["predict", str(model), str(folder / "atlas.zarr"), "--out", str(out)])

    results = [json.loads(result.stdout) for result in (trained, scored, predicted)]
    assert [result["verb"] for result in results] == ["train", "evaluate", "predict"]
    assert results[0]["settings"]["study_effects"] is False
    metadata = json.loads(pq.read_schema(out).metadata[b"expressome"])
    assert metadata["manifest"]["verb"] == "predict"


def test_bad_input_ends_with_status_1_and_one_line(house, tmp_path):
    folder, *_ = house

    result = CliRunner().invoke(
        cli, ["predict", str(folder / "model"), "absent.h5", "--out", str(tmp_path / "p.parquet")]
    )

    assert result.exit_code == 1
    assert result.stderr.startswith("error: absent.h5 does not exist")


def test_a_model_of_ranks_needs_no_target_and_reads_any_scale(house, tmp_path):
    folder, truth, counts, _ = house

    train(
        folder / "atlas.zarr", out=tmp_path / "model", features="ranks", n_trees=20,
        time_budget_s=0,
    )  # fmt: skip

    model = load_model(tmp_path / "model")
    with np.load(tmp_path / "model" / "normalizer.npz") as stored:
        assert "profile" not in stored.files
    frame = pd.DataFrame(counts.T, index=gene_table().index, columns=truth.index)
    answers = model.predict(frame)
    assert (answers["label"].to_numpy() == truth["label"]).mean() > 0.9
    from_atlas = model.predict(folder / "atlas.zarr")
    # Nearly equal values of the target may be told apart on one scale and not on the other.
    np.testing.assert_allclose(from_atlas.filter(like="p:"), answers.filter(like="p:"), atol=0.02)


def test_the_forests_size_is_chosen_within_the_time_given(house, tmp_path):
    folder, *_ = house

    for budget_s in (0, 600):
        train(
            folder / "atlas.zarr", out=tmp_path / f"m{budget_s}", n_genes=100,
            time_budget_s=budget_s,
        )  # fmt: skip

    settings = [
        json.loads((tmp_path / name / "metrics.json").read_text())["settings"]
        for name in ("m0", "m600")
    ]
    assert (settings[0]["forest"]["trials"], settings[0]["forest"]["n_skipped"]) == ([], 5)
    assert settings[0]["n_trees"] == 100
    trials = settings[1]["forest"]["trials"]
    assert [trial["n_trees"] for trial in trials[:2]] == [50, 100]
    assert settings[1]["n_trees"] in {50, 100, 200}
