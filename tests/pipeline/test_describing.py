"""From real files to the content of the page."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import sparse
from sklearn.decomposition import PCA
from tests.support.build import make_archs4, make_counts, make_genes, make_samples
from tests.support.terminal import messages_of

from expressome.annotation.multihot import write_labels
from expressome.atlas import open_atlas
from expressome.cli.main import cli
from expressome.engine import Resources
from expressome.errors import (
    AtlasError,
    FileFormatError,
    InputNotFoundError,
    MissingFieldError,
    ModelError,
    OutputExistsError,
)
from expressome.pipeline.describing import collect_content, report
from expressome.pipeline.gathering import gather_classification, gather_predictions
from expressome.pipeline.mapping import (
    fit_plane,
    measure_distances,
    measure_representative,
    name_groups,
    read_excerpt,
)
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize
from expressome.pipeline.tallying import bin_values, tally_genes, tally_normalization, tally_samples
from expressome.reference.lengths import load_lengths
from expressome.reporting.sections.classification import build_classification
from expressome.results import LABEL_FIELDS, LabelMatrix

N_SAMPLES, N_GENES = 240, 120
LABELS = ("liver", "brain", "liver tumour")
# Genes raised in the samples of one label.
LIVER_GENES, BRAIN_GENES = slice(0, 4), slice(10, 14)
SCORES = {"f1_samples": 0.8, "f1_micro": 0.7, "f1_macro": 0.6, "n_samples": 40}


def make_labels(samples):
    """Every third sample liver, every third brain; each ninth a liver tumour besides."""
    matrix = np.zeros((len(samples), 3), np.uint8)
    matrix[0::3, 0] = matrix[1::3, 1] = matrix[0::9, 2] = 1
    table = pd.DataFrame("", index=pd.Index(LABELS, name="key"), columns=list(LABEL_FIELDS))
    table["name"], table["kind"] = LABELS, ["tissue", "tissue", "disease"]
    return LabelMatrix(samples, table, sparse.csr_array(matrix))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An atlas, measured, with labels, and what a model and a generator write."""
    folder = tmp_path_factory.mktemp("report")
    counts = make_counts(N_SAMPLES, N_GENES, seed=5)
    counts[0::3, LIVER_GENES] += 4000
    counts[1::3, BRAIN_GENES] += 4000
    genes = make_genes(N_GENES)
    genes.index = pd.Index(load_lengths("human").index[:N_GENES], name="gene", dtype=object)
    samples = make_samples(N_SAMPLES)
    make_archs4(folder / "x.h5", counts=counts, genes=genes, samples=samples)
    labels = make_labels(samples.index)
    write_labels(labels, folder / "labels.parquet", {})
    normalize(folder / "x.h5", out=folder / "a.zarr", labels=folder / "labels.parquet")
    measure(folder / "a.zarr")
    make_model(folder / "model")
    make_predictions(folder / "predictions.parquet")
    make_synthetic(folder / "synthetic.h5ad", open_atlas(folder / "a.zarr"))
    return folder


def make_model(place):
    entry = {"precision": 0.5, "recall": 1.0, "f1": 0.66, "average_precision": 0.7, "auroc": 0.9}
    test = SCORES | {
        "n_studies": 9,
        "intervals": {"f1_samples": [0.75, 0.85]},
        "per_label": {
            "liver": entry | {"support": 13, "threshold": 0.4, "testable": True},
            "brain": dict.fromkeys(entry) | {"support": 0, "threshold": 0.5, "testable": False},
        },
        "confusion": {"labels": ["liver", "brain"], "matrix": [[12, 1], [0, 0]]},
        "reliability": [{"n_samples": 5, "confidence": 0.9, "right": 0.8}],
        "risk_coverage": [{"coverage": 0.5, "error": 0.1}, {"coverage": 1.0, "error": 0.2}],
    }
    metrics = {
        "test": test,
        "validation": SCORES,
        "baselines": {
            "plain_forest": SCORES,
            "plain_forest_random_split": SCORES | {"f1_samples": 0.95},
        },
        "settings": {"n_trees": 100, "study_effects": True, "trials": [1, 2]},
    }
    place.mkdir()
    (place / "metrics.json").write_text(json.dumps(metrics))
    (place / "model.json").write_text(json.dumps({"manifest": {"verb": "train", "seed": 3}}))


def make_predictions(place):
    pd.DataFrame(
        {
            "sample": ["a", "b", "c", "d"],
            "label": ["liver", "liver", "brain", "brain"],
            "confidence": [0.9, 0.8, 0.7, 0.2],
            "unknown": [False, False, False, True],
            "reason": ["", "", "", "not sure enough (0.2 below 0.4)"],
            "p:liver": [0.9, 0.8, 0.1, 0.1],
        }
    ).to_parquet(place)


def make_synthetic(place, atlas):
    liver = np.flatnonzero(atlas.labels.matrix.toarray()[:, 0])[:30]
    notes = {
        "fidelity": {"gan": {"two_sample_auc": {"value": 0.7, "ceiling": 0.5, "floor": 1.0}}},
        "training": [{"step": 0, "critic_loss": 2.0}, {"step": 50, "critic_loss": 1.0}],
        "n_copies": {"liver": {"gan": 1, "oversampling": 30}},
        "manifest": {"verb": "augment", "seed": 4},
    }
    anndata.AnnData(
        atlas.read(samples=liver) * np.float32(1.01),
        obs=pd.DataFrame(
            {"label": "liver", "synthetic": True, "method": "gan"},
            index=[f"synthetic-{i}" for i in range(30)],
        ),
        var=pd.DataFrame(index=atlas.var.index),
        uns={"expressome": json.dumps(notes)},
    ).write_h5ad(place)


@pytest.fixture
def atlas(folder):
    return open_atlas(folder / "a.zarr")


@pytest.fixture
def parts(folder):
    return {
        "model": folder / "model",
        "predictions": folder / "predictions.parquet",
        "synthetic": folder / "synthetic.h5ad",
    }


def test_labels_are_counted_by_sample_and_study(atlas):
    samples = tally_samples(atlas, {})

    # Series hold three samples in a row: one of liver, one of brain, one of neither.
    assert samples.labels["n_samples"].to_dict() == {"liver": 80, "brain": 80, "liver tumour": 27}
    assert samples.labels["n_studies"].to_dict() == {"liver": 80, "brain": 80, "liver tumour": 27}
    assert (samples.n_samples, samples.n_studies, samples.n_labelled) == (240, 80, 160)
    np.testing.assert_array_equal(samples.labels_per_sample, [80, 133, 27])


def test_only_labels_that_share_samples_are_in_the_grid(atlas):
    counts = tally_samples(atlas, {}).cooccurrence

    assert list(counts.index) == ["liver", "liver tumour"]
    np.testing.assert_array_equal(counts, [[80, 27], [27, 27]])


def test_parts_of_the_split_cover_all_samples(atlas):
    parts = tally_samples(atlas, {}).parts

    assert list(parts.index) == ["train", "validation", "test", "unlabelled"]
    assert parts["n_samples"].sum() == 240
    assert parts.loc["unlabelled", "n_samples"] == 80


def test_every_distribution_counts_every_sample(atlas):
    samples = tally_samples(atlas, {})

    for histogram in (samples.depth, samples.detected, samples.single_cell):
        assert histogram.total == 240
    assert samples.study_sizes.total == 80
    np.testing.assert_array_equal(samples.study_sizes.edges, [1, 2, 3, 5])
    assert samples.n_single_cell == int((atlas.obs["single_cell_probability"] >= 0.5).sum())


def test_nothing_finite_makes_no_histogram():
    assert bin_values(np.array([np.nan, np.inf])) is None


def test_densities_hold_all_genes(atlas):
    part = tally_normalization(atlas)

    step = np.diff(part.points)[0]
    for densities in (part.before, part.after):
        # Half of the kernel of the zeros is mirrored, its peak is on the border.
        areas = (densities[:, 1:] + densities[:, :-1]).sum(axis=1) * step / 2
        np.testing.assert_allclose(areas, 1, atol=0.06)
    assert part.n_target_samples == int((atlas.obs["split"] == "train").sum())
    assert sum(part.length_sources.values()) == N_GENES


def test_genes_come_best_first_and_keep_their_metrics(atlas):
    part = tally_genes(atlas)

    ranks = part.table[["rank_p95_ratio", "rank_mean_cosine"]].max(axis=1, skipna=False).dropna()
    assert ranks.is_monotonic_increasing
    assert set(part.table.index) == set(atlas.var.index)
    known = atlas.var[["p95_ratio", "mean_cosine"]].notna().all(axis=1)
    assert part.density.counts.sum() == known.sum()


def test_markers_are_the_genes_that_were_raised(atlas):
    markers = read_excerpt(atlas, resources=Resources()).markers

    liver = set(markers.loc["liver", "genes"].split(", ")[:4])
    brain = set(markers.loc["brain", "genes"].split(", ")[:4])
    assert liver == {f"GENE{g}" for g in range(4)}
    assert brain == {f"GENE{g}" for g in range(10, 14)}
    assert markers.loc["liver", "n_samples"] == 80


def test_plane_equals_principal_components_of_the_unlengthened_values(atlas):
    excerpt = read_excerpt(atlas, resources=Resources())
    lengths = atlas.var["length_bp"].to_numpy() / 1000

    plane = fit_plane(excerpt, seed=0)

    whole = atlas.read(samples=excerpt.rows).astype(float) * lengths
    np.testing.assert_allclose(excerpt.values, whole[:, excerpt.genes], rtol=1e-6)
    exact = PCA(n_components=2, svd_solver="full").fit(excerpt.values)
    np.testing.assert_allclose(plane.explained, exact.explained_variance_ratio_, rtol=1e-4)
    placed = np.abs(plane.place(excerpt.values)[:, :2])
    # The sign of a component is free; the solver is randomised.
    np.testing.assert_allclose(placed, np.abs(exact.transform(excerpt.values)), atol=0.05)


def test_unmeasured_values_are_placed_at_the_mean(atlas):
    excerpt = read_excerpt(atlas, resources=Resources())
    plane = fit_plane(excerpt, seed=0)

    placed = plane.place(np.full((1, len(excerpt.genes)), np.nan))

    np.testing.assert_array_equal(placed, 0)


def test_samples_are_read_by_the_seed_only(atlas):
    first = read_excerpt(atlas, resources=Resources(seed=1, workers=1))
    again = read_excerpt(atlas, resources=Resources(seed=1, workers=2))

    np.testing.assert_array_equal(first.values, again.values)


def test_groups_are_the_rarest_of_the_frequent_labels(atlas):
    names, shown = name_groups(atlas, np.arange(4))

    assert list(names) == ["liver tumour", "brain", "unlabelled", "liver"]
    assert shown == ["liver", "brain", "liver tumour"]


def test_length_effect_is_binned_over_all_expressed_genes(atlas):
    excerpt = read_excerpt(atlas, resources=Resources())

    effect = excerpt.length_effect(atlas.var)

    assert effect["n_genes"].sum() == (excerpt.gene_mean > 1).sum()
    assert effect["length_bp"].is_monotonic_increasing
    assert (effect["before_low"] <= effect["before"]).all()
    assert (effect["after"] <= effect["after_high"]).all()


def test_distances_equal_brute_force(rng):
    real, made = rng.normal(size=(30, 4)), rng.normal(size=(10, 4))
    labels = np.array(["a", "b"], dtype=object)[rng.integers(0, 2, 30)]

    found = measure_distances(real, labels, made, np.full(10, "a", dtype=object))

    own, others = real[labels == "a"], real[labels == "b"]
    within = np.linalg.norm(own[:, None] - own, axis=2) + np.diag(np.full(len(own), np.inf))
    expected = {
        "real to another real sample of its label": within.min(axis=1),
        "synthetic to a real sample of its label": np.linalg.norm(made[:, None] - own, axis=2).min(
            axis=1
        ),
        "real to a real sample of another label": np.linalg.norm(own[:, None] - others, axis=2).min(
            axis=1
        ),
    }
    for name, distances in expected.items():
        clipped = np.minimum(distances, found[name].edges[-1])
        np.testing.assert_array_equal(
            found[name].counts, np.histogram(clipped, found[name].edges)[0]
        )


def test_distances_to_the_representative_by_hand():
    # Of 0, 1 and 5 the sample at 1 is nearest to the others; 9 carries another label.
    real, made = np.array([[0.0], [1.0], [5.0], [9.0]]), np.array([[1.0], [3.0]])
    labels = np.array(["a", "a", "a", "b"], dtype=object)

    found = measure_representative(real, labels, made, np.array(["a", "a"], dtype=object))

    for name, distances in {"real samples": [1, 4], "synthetic samples": [0, 2]}.items():
        clipped = np.minimum(distances, found[name].edges[-1])
        expected = np.histogram(clipped, found[name].edges)[0]
        np.testing.assert_array_equal(found[name].counts, expected)
        assert found[name].total == 2


def test_a_label_with_one_real_sample_has_no_representative():
    labels = np.array(["a"], dtype=object)

    assert measure_representative(np.ones((1, 2)), labels, np.ones((1, 2)), labels) == {}


def test_scores_are_taken_as_the_model_wrote_them(folder):
    part = gather_classification(json.loads((folder / "model" / "metrics.json").read_text()))

    assert list(part.scores.index) == [
        "test",
        "validation",
        "plain_forest",
        "plain_forest_random_split",
    ]
    assert part.leak == "plain_forest_random_split"
    assert part.scores.loc["test", ["low", "high"]].tolist() == [0.75, 0.85]
    assert part.per_label.loc["liver", "auroc"] == 0.9
    assert np.isnan(part.per_label.loc["brain", "f1"])
    assert part.confusion.loc["liver", "brain"] == 1
    assert part.reliability.to_dict("records") == [{"confidence": 0.9, "accuracy": 0.8, "n": 5}]
    assert part.risk_coverage["risk"].tolist() == [0.1, 0.2]
    assert part.settings == {"trees": 100, "study effects": "yes"}


def test_markers_and_what_synthetic_samples_gain_are_tables():
    genes = [
        {"symbol": "ALB", "gene": "E1", "importance": 0.2, "direction": "high"},
        {"symbol": "", "gene": "E2", "importance": 0.1, "direction": "low"},
        {"symbol": "APOA2", "gene": "E3", "importance": 0.1, "direction": "high"},
    ]
    score = {"mean": 0.8, "gain": 0.1, "low": 0.02, "high": 0.2}
    trial = {"method": "mixup", "n_pairs": 6, "average_precision": score, "f1": {"mean": 0.7}}
    metrics = {"settings": {"augmentation": {"used": "mixup", "trials": [trial]}}}

    part = gather_classification(metrics, {"liver": genes, "brain": []})

    assert part.markers.to_dict("index") == {
        "liver": {"high": "ALB, APOA2", "low": "E2", "lost": 0.2}
    }
    assert part.utility.iloc[0].to_dict() == {
        "method": "mixup",
        "n_pairs": 6,
        "average_precision": 0.8,
        "f1": 0.7,
        "gain": 0.1,
        "low": 0.02,
        "high": 0.2,
        "used": "yes",
    }
    section = build_classification(part)
    assert [table.key for table in section.tables][-2:] == ["model-markers", "utility-table"]
    assert gather_classification({}).markers is None
    assert gather_classification({}).utility is None


def test_a_model_that_could_not_be_tested_has_scores_without_test():
    part = gather_classification({"test": None, "validation": SCORES, "baselines": {}})

    assert list(part.scores.index) == ["validation"]
    assert part.per_label.empty
    assert part.confusion is None


def test_predictions_are_counted_without_the_unknown(folder):
    part = gather_predictions(folder / "predictions.parquet")

    assert part.counts["n_samples"].to_dict() == {"liver": 2, "brain": 1}
    assert (part.n_samples, part.n_unknown) == (4, 1)
    assert part.confidence_known.total == 3
    assert part.reasons == {"not sure enough": 1}


def test_all_parts_come_together(atlas, parts):
    content = collect_content(atlas, resources=Resources(), **parts)

    made = content.synthetic
    assert made.counts.loc["liver"].tolist() == [30, 80]
    assert made.plane["synthetic"].sum() == 30
    assert made.fidelity.to_dict("records")[0]["ceiling"] == 0.5
    assert made.training["critic_loss"].tolist() == [2.0, 1.0]
    assert made.facts["copies of real samples"] == "1"
    assert set(content.manifests) == {"atlas", "model", "synthetic samples"}
    assert content.citations[0].startswith("Lachmann A")
    assert any("WGAN-GP" in citation for citation in content.citations)
    assert not content.simulated


def test_synthetic_samples_lie_on_the_real_ones_they_copy(atlas, parts):
    content = collect_content(atlas, resources=Resources(), **parts)

    near = content.synthetic.distances["synthetic to a real sample of its label"].median_bin
    far = content.synthetic.distances["real to another real sample of its label"].median_bin
    assert near[1] < far[0]


def test_page_is_written_and_summed_up(folder, parts, tmp_path):
    summary = report(folder / "a.zarr", out=tmp_path / "r.html", **parts)

    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert summary.figures["bytes"] == (tmp_path / "r.html").stat().st_size
    assert summary.figures["sections"][-1] == "synthetic"
    assert summary.figures["simulated"] is False
    assert "Simulated data." not in page
    assert '"verb": "report"' in page.replace("&#34;", '"')


def test_atlas_that_is_neither_labelled_nor_measured_has_a_page(folder, tmp_path):
    normalize(folder / "x.h5", out=tmp_path / "bare.zarr", recipe="log2-cpm")

    summary = report(tmp_path / "bare.zarr", out=tmp_path / "r.html")

    assert summary.figures["sections"] == ["samples", "normalization", "batch"]
    assert "doi:10.1093/bioinformatics/19.2.185" not in (tmp_path / "r.html").read_text()


def test_titles_of_the_simulator_are_recognised(folder, tmp_path):
    samples = make_samples(30).assign(title=[f"Simulated liver, sample {i}" for i in range(30)])
    genes = make_genes(50)
    genes.index = pd.Index(load_lengths("human").index[:50], name="gene", dtype=object)
    file = make_archs4(tmp_path / "s.h5", counts=make_counts(30, 50), genes=genes, samples=samples)
    normalize(file, out=tmp_path / "s.zarr")

    summary = report(tmp_path / "s.zarr", out=tmp_path / "r.html")

    assert summary.figures["simulated"] is True
    assert "Human Protein Atlas" in (tmp_path / "r.html").read_text()


def test_existing_page_is_kept_unless_told(folder, tmp_path):
    (tmp_path / "r.html").write_text("mine")

    with pytest.raises(OutputExistsError, match=r"r\.html exists"):
        report(folder / "a.zarr", out=tmp_path / "r.html")

    assert (tmp_path / "r.html").read_text() == "mine"


def no_model(folder):
    return {"model": folder}, ModelError, "holds no metrics.json"


def broken_model(folder):
    (folder / "metrics.json").write_text("{")
    return {"model": folder}, ModelError, "is not JSON"


def odd_model(folder):
    (folder / "metrics.json").write_text("[]")
    return {"model": folder}, ModelError, "holds a list, not an object"


def absent_model(folder):
    return {"model": folder / "none"}, InputNotFoundError, "none does not exist"


def text_predictions(folder):
    (folder / "p.parquet").write_text("sample\tlabel\n")
    return {"predictions": folder / "p.parquet"}, FileFormatError, "not a Parquet file"


def short_predictions(folder):
    pd.DataFrame({"sample": ["a"], "label": ["b"]}).to_parquet(folder / "p.parquet")
    message = r"lacks 2 of the 4 columns of predictions \(confidence, unknown\)"
    return {"predictions": folder / "p.parquet"}, MissingFieldError, message


def unlabelled_synthetic(folder):
    anndata.AnnData(np.ones((2, 2), np.float32)).write_h5ad(folder / "s.h5ad")
    return {"synthetic": folder / "s.h5ad"}, MissingFieldError, "no column label in obs"


CASES = [
    no_model,
    broken_model,
    odd_model,
    absent_model,
    text_predictions,
    short_predictions,
    unlabelled_synthetic,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_wrong_input_is_named_and_nothing_is_written(case, folder, tmp_path):
    options, error, message = case(tmp_path)

    with pytest.raises(error, match=message):
        report(folder / "a.zarr", out=tmp_path / "r.html", **options)

    assert not (tmp_path / "r.html").exists()


def test_not_an_atlas_is_refused(tmp_path):
    with pytest.raises(AtlasError, match="is not an atlas"):
        report(tmp_path, out=tmp_path / "r.html")


def test_command_prints_the_summary_only(folder, parts, tmp_path):
    options = [text for name, path in parts.items() for text in (f"--{name}", str(path))]
    arguments = ["report", str(folder / "a.zarr"), "--out", str(tmp_path / "r.html"), *options]

    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["verb"] == "report"
    assert figures["report"] == str(tmp_path / "r.html")
    assert messages_of(result) == ""


def test_command_ends_with_one_line_on_bad_input(tmp_path):
    result = CliRunner().invoke(cli, ["report", str(tmp_path), "--out", str(tmp_path / "r.html")])

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.strip().splitlines() == [
        f"error: {tmp_path} is not an atlas; make one with normalize"
    ]
