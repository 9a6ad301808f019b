"""From an ARCHS4 file to an atlas."""

import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import sparse
from tests.support.build import make_archs4, make_counts, make_genes

from expressome.annotation.multihot import write_labels
from expressome.archs4.reader import open_archs4
from expressome.archs4.writing import write_archs4
from expressome.atlas import open_atlas, verify_atlas
from expressome.cli.main import cli
from expressome.engine import Resources
from expressome.errors import (
    ConfigurationError,
    EmptySelectionError,
    IdentifierError,
    ImputedLengthWarning,
    InvalidCountsError,
    LabelError,
    LabelWarning,
    LeftOutWarning,
    MissingFieldError,
    MissingGenesWarning,
    OutputExistsError,
    ScaleMismatchError,
)
from expressome.normalization.quantile import apply_target, fit_target, save_target
from expressome.normalization.recipe import Normalizer
from expressome.pipeline.normalizing import normalize
from expressome.reference.lengths import load_lengths
from expressome.results import LABEL_FIELDS, LabelMatrix, Target

N_SAMPLES, N_GENES = 530, 90


@pytest.fixture(scope="module")
def counts():
    return make_counts(N_SAMPLES, N_GENES, seed=3)


@pytest.fixture(scope="module")
def genes():
    """Real ids, so that they have lengths."""
    table = make_genes(N_GENES)
    lengths = load_lengths("human")
    return table.set_index(pd.Index(lengths.index[:N_GENES], name="gene", dtype=object))


@pytest.fixture(scope="module")
def file(counts, genes, tmp_path_factory):
    return make_archs4(tmp_path_factory.mktemp("input") / "x.h5", counts=counts, genes=genes)


def write_label_file(path, rows_of, samples):
    """Labels by key: positions of the samples that carry it."""
    table = pd.DataFrame(
        [[key, "tissue", "", "", ""] for key in rows_of],
        index=pd.Index(list(rows_of), name="key"),
        columns=list(LABEL_FIELDS),
    )
    matrix = np.zeros((len(samples), len(rows_of)), np.uint8)
    for k, rows in enumerate(rows_of.values()):
        matrix[list(rows), k] = 1
    kept = matrix.any(axis=1)
    labels = LabelMatrix(pd.Index(samples)[kept], table, sparse.csr_array(matrix[kept]))
    write_labels(labels, path, {})
    return path


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    samples = [f"GSM{i}" for i in range(1, N_SAMPLES + 1)]
    rows = {"liver": range(0, 300, 2), "brain": range(1, 300, 2)}
    return write_label_file(tmp_path_factory.mktemp("labels") / "l.parquet", rows, samples)


def test_values_are_quantiles_over_the_length(file, counts, genes, tmp_path):
    summary = normalize(file, out=tmp_path / "a.zarr")

    atlas = open_atlas(tmp_path / "a.zarr")
    length = load_lengths("human")["length_bp"].loc[genes.index].to_numpy()
    expected = apply_target(counts, fit_target(counts)) / (length / 1000)
    np.testing.assert_allclose(atlas.read(), expected, rtol=1e-6)
    np.testing.assert_array_equal(atlas.detected(), counts > 0)
    np.testing.assert_array_equal(atlas.var["length_bp"], length)
    assert (atlas.var["length_source"] == "annotation").all()
    np.testing.assert_array_equal(atlas.var["n_detected"], (counts > 0).sum(axis=0))
    np.testing.assert_array_equal(atlas.obs["n_detected"], (counts > 0).sum(axis=1))
    assert (atlas.obs["split"] == "").all()
    assert summary.figures["lengths"]["n_with_length"] == N_GENES
    assert summary.figures["target"]["n_samples"] == N_SAMPLES
    assert atlas.manifest["inputs"][0]["sha256"]
    verify_atlas(tmp_path / "a.zarr")


def test_target_is_fitted_on_training_samples_only(file, counts, labels, tmp_path):
    summary = normalize(file, out=tmp_path / "a.zarr", labels=labels, recipe="log2-quantile")

    atlas = open_atlas(tmp_path / "a.zarr")
    is_training = (atlas.obs["split"] == "train").to_numpy()
    expected = fit_target(counts[is_training])
    np.testing.assert_array_equal(atlas.target.profile, expected.profile)
    np.testing.assert_array_equal(atlas.read(), apply_target(counts, expected))
    assert 0 < is_training.sum() < 300
    assert set(atlas.obs["split"][300:]) == {""}
    assert atlas.obs[:300].groupby("study")["split"].nunique().max() == 1
    assert atlas.labels.keys == ["liver", "brain"]
    assert summary.figures["n_labelled"] == 300
    assert summary.figures["split"]["n_samples"]["train"] == is_training.sum()


def test_seed_is_recorded_and_gives_the_same_split(file, labels, tmp_path):
    for name in "ab":
        normalize(
            file, out=tmp_path / name, labels=labels, recipe="log2-cpm", resources=Resources(seed=7)
        )

    first, second = (open_atlas(tmp_path / name) for name in "ab")
    assert first.obs["split"].tolist() == second.obs["split"].tolist()
    assert first.manifest["seed"] == 7


@pytest.mark.parametrize(("memory_bytes", "workers"), [(64 * 2**20, 1), (2**30, 3)])
def test_memory_and_threads_leave_no_trace(file, labels, tmp_path, memory_bytes, workers):
    resources = Resources(memory_bytes=memory_bytes, workers=workers)
    normalize(file, out=tmp_path / "a", labels=labels)
    normalize(file, out=tmp_path / "b", labels=labels, resources=resources)

    first, second = (open_atlas(tmp_path / name).read() for name in "ab")
    np.testing.assert_array_equal(first, second)


def test_distributions_before_and_after_are_stored(file, counts, tmp_path):
    normalize(file, out=tmp_path / "a.zarr")

    found = open_atlas(tmp_path / "a.zarr").distributions

    assert found["before"].shape == (200, len(found["edges_before"]) - 1)
    assert (found["before"].sum(axis=1) == N_GENES).all()
    assert (found["after"].sum(axis=1) == N_GENES).all()
    # After normalisation every sample has the mean of the target, up to a bin's width.
    spread = {}
    for name in ("before", "after"):
        edges = found[f"edges_{name}"]
        spread[name] = (found[name] @ (edges[:-1] + edges[1:]) / 2 / N_GENES).std()
    assert spread["after"] < 0.1 < spread["before"]


@pytest.mark.parametrize("recipe", ["log2-quantile", "log2-cpm"])
def test_other_recipes_need_no_length(recipe, counts, tmp_path):
    file = make_archs4(tmp_path / "x.h5", counts=counts[:20])  # ids that no annotation knows

    normalize(file, out=tmp_path / "a.zarr", recipe=recipe)

    atlas = open_atlas(tmp_path / "a.zarr")
    again = Normalizer.from_parts(atlas.normalizer_parts)
    np.testing.assert_array_equal(atlas.read(), again.apply(counts[:20]))
    assert "length_bp" not in atlas.var


def test_tpm_files_have_their_own_recipe(tmp_path, rng):
    tpm = rng.gamma(0.5, 10, (20, 40)).astype(np.float32)
    file = make_archs4(tmp_path / "tpm.h5", layout="tpm", counts=tpm)

    normalize(file, out=tmp_path / "a.zarr", recipe="tpm")

    expected = apply_target(tpm, fit_target(tpm))
    np.testing.assert_array_equal(open_atlas(tmp_path / "a.zarr").read(), expected)


@pytest.mark.parametrize("recipe", ["log2-quantile-length", "log2-quantile", "log2-cpm"])
def test_count_recipes_refuse_tpm_by_name(recipe, tmp_path):
    file = make_archs4(tmp_path / "tpm.h5", layout="tpm")

    with pytest.raises(ScaleMismatchError, match=rf"tpm\.h5 holds TPM .* recipe {recipe} expects"):
        normalize(file, out=tmp_path / "a.zarr", recipe=recipe)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tpm.h5"]


def test_tpm_recipe_refuses_counts(file, tmp_path):
    with pytest.raises(ScaleMismatchError, match="holds counts, but the recipe tpm expects TPM"):
        normalize(file, out=tmp_path / "a.zarr", recipe="tpm")


def test_negative_count_names_sample_and_gene_and_leaves_nothing(tmp_path, counts, genes):
    wrong = counts.astype(np.int32)
    wrong[400, 2] = -5
    file = make_archs4(tmp_path / "x.h5", counts=wrong, genes=genes, dtype="i4")

    with pytest.raises(InvalidCountsError, match=f"-5 in sample GSM401, gene {genes.index[2]}"):
        normalize(file, out=tmp_path / "a.zarr")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.h5"]


def test_missing_lengths_are_imputed_dropped_or_refused(tmp_path, counts, genes):
    strange = genes.rename(index={genes.index[1]: "ENSG99999999999"})
    file = make_archs4(tmp_path / "x.h5", counts=counts[:30], genes=strange)

    with pytest.warns(ImputedLengthWarning, match="1 of 90"):
        summary = normalize(file, out=tmp_path / "median")
    with pytest.warns(ImputedLengthWarning, match="left out"):
        normalize(file, out=tmp_path / "drop", missing_lengths="drop")
    with pytest.raises(MissingFieldError, match="1 of 90"):
        normalize(file, out=tmp_path / "error", missing_lengths="error")

    assert open_atlas(tmp_path / "median").var["length_source"].iloc[1] == "imputed"
    assert summary.figures["lengths"]["n_imputed"] == 1
    dropped = open_atlas(tmp_path / "drop")
    assert dropped.n_genes == N_GENES - 1
    # The dropped gene is not ranked either.
    kept = np.delete(counts[:30], 1, axis=1)
    np.testing.assert_array_equal(dropped.target.profile, fit_target(kept).profile)


def test_lengths_of_a_gtf_and_by_name(tmp_path, counts):
    file = make_archs4(tmp_path / "x.h5", counts=counts[:20, :2])
    gtf = tmp_path / "a.gtf"
    row = 'chr1\tX\t{}\t{}\t{}\t.\t+\t.\tgene_id "{}"; transcript_id "T{}"; gene_type "lncRNA";\n'
    gtf.write_text(
        "".join(
            row.format("exon", a, b, gene, gene)
            for gene, a, b in (
                ("ENSG00000000001", 1, 100),
                ("ENSG00000000001", 901, 1000),
                ("ENSG00000000002", 1, 50),
            )
        )
    )

    for definition, expected in (("spliced", [200, 50]), ("span", [1000, 50])):
        normalize(file, out=tmp_path / definition, gtf=gtf, length_definition=definition)
        assert open_atlas(tmp_path / definition).var["length_bp"].tolist() == expected


def test_bp_division_gives_numbers_a_thousand_times_smaller(file, tmp_path):
    normalize(file, out=tmp_path / "kb")
    normalize(file, out=tmp_path / "bp", length_unit="bp")

    np.testing.assert_allclose(
        open_atlas(tmp_path / "bp").read() * 1000, open_atlas(tmp_path / "kb").read(), rtol=1e-6
    )


def test_saved_target_skips_the_fit(file, counts, genes, tmp_path):
    target = fit_target(counts[:50], genes=list(genes.index))
    save_target(target, tmp_path / "target.npz")

    summary = normalize(
        file, out=tmp_path / "a", recipe="log2-quantile", target=tmp_path / "target.npz"
    )

    np.testing.assert_array_equal(open_atlas(tmp_path / "a").read(), apply_target(counts, target))
    assert summary.figures["target"] == {"n_samples": 50, "n_genes": N_GENES, "is_saved": True}


def test_another_atlas_gives_its_scale_to_a_file_with_fewer_genes(file, counts, genes, tmp_path):
    normalize(file, out=tmp_path / "a", recipe="log2-quantile")
    order = np.r_[80:20:-1]
    other = make_archs4(tmp_path / "y.h5", counts=counts[:30, order], genes=genes.iloc[order])

    with pytest.warns(MissingGenesWarning, match=r"y\.h5 lacks 30 of the target's 90 genes"):
        normalize(other, out=tmp_path / "b", recipe="log2-quantile", target=tmp_path / "a")

    atlas = open_atlas(tmp_path / "b")
    normalizer = Normalizer.from_parts(open_atlas(tmp_path / "a").normalizer_parts)
    expected = normalizer.apply(counts[:30, order], genes=list(genes.index[order]))
    np.testing.assert_array_equal(atlas.read(), expected)
    assert list(atlas.var.index) == list(genes.index)
    assert np.isnan(atlas.read()).sum() == 30 * 30
    assert not atlas.detected()[np.isnan(atlas.read())].any()
    np.testing.assert_array_equal(atlas.detected()[:, 21], counts[:30, 21] > 0)


def test_target_of_other_genes_is_refused(file, tmp_path):
    target = Target(np.arange(4.0), 2, ("A", "B", "C", "D"))
    save_target(target, tmp_path / "t.npz")

    with pytest.raises(IdentifierError, match=r"lacks 4 of the target's 4 genes .* more than half"):
        normalize(file, out=tmp_path / "a", recipe="log2-quantile", target=tmp_path / "t.npz")


def test_target_without_ids_needs_as_many_genes(file, counts, tmp_path):
    save_target(Target(np.arange(4.0), 2), tmp_path / "t.npz")

    with pytest.raises(IdentifierError, match=r"has 4, x\.h5 has 90"):
        normalize(file, out=tmp_path / "a", recipe="log2-quantile", target=tmp_path / "t.npz")


def test_dropping_genes_of_a_saved_target_is_refused(tmp_path, counts, genes):
    strange = genes.rename(index={genes.index[1]: "ENSG99999999999"})
    file = make_archs4(tmp_path / "x.h5", counts=counts[:30], genes=strange)
    save_target(fit_target(counts, genes=list(strange.index)), tmp_path / "t.npz")

    with (
        pytest.warns(ImputedLengthWarning),
        pytest.raises(ConfigurationError, match="1 genes of the saved target"),
    ):
        normalize(file, out=tmp_path / "a", target=tmp_path / "t.npz", missing_lengths="drop")


def test_unmeasured_genes_of_packed_files_are_nan(tmp_path, counts, genes):
    tables = np.repeat([0, 1], [200, N_SAMPLES - 200])
    measured = np.ones((2, N_GENES), bool)
    measured[1, 60:] = False
    samples = open_archs4(make_archs4(tmp_path / "plain.h5", counts=counts, genes=genes)).samples
    stored = np.where(measured[tables], counts, 0).astype(np.uint32)
    file = tmp_path / "packed.h5"
    write_archs4(
        file, samples=samples, genes=genes, blocks=[stored], tables=tables, measured=measured
    )

    summary = normalize(file, out=tmp_path / "a", recipe="log2-quantile")

    atlas = open_atlas(tmp_path / "a")
    np.testing.assert_array_equal(np.isnan(atlas.read()), ~measured[tables])
    assert summary.figures["n_unmeasured_cells"] == (~measured[tables]).sum()
    # Measured genes of the poorer table span the whole target, by interpolation.
    expected = Normalizer("log2-quantile", tuple(genes.index), atlas.target).apply(
        counts[200:, :60], genes=list(genes.index[:60])
    )
    np.testing.assert_array_equal(atlas.read(slice(200, None)), expected)
    assert atlas.var["n_detected"].iloc[70] == (counts[:200, 70] > 0).sum()


def test_a_label_of_one_sample_stays_in_training_and_is_named(file, tmp_path):
    samples = [f"GSM{i}" for i in range(1, N_SAMPLES + 1)]
    rows = {"liver": range(0, 300, 2), "brain": range(1, 300, 2), "rare": [310]}
    labels = write_label_file(tmp_path / "l.parquet", rows, samples)

    with pytest.warns(LabelWarning, match=r"1 of 3 labels cannot be tested .* rare"):
        normalize(file, out=tmp_path / "a", labels=labels, recipe="log2-cpm")

    assert open_atlas(tmp_path / "a").obs["split"].iloc[310] == "train"


def test_no_unlabelled_sample_is_said(file, tmp_path):
    samples = [f"GSM{i}" for i in range(1, N_SAMPLES + 1)]
    labels = write_label_file(tmp_path / "l.parquet", {"liver": range(N_SAMPLES)}, samples)

    with pytest.warns(LabelWarning, match="all 530 samples carry a label"):
        normalize(file, out=tmp_path / "a", labels=labels, recipe="log2-cpm")


def test_labels_of_other_files_are_refused(file, tmp_path):
    labels = write_label_file(tmp_path / "l.parquet", {"liver": [0, 1]}, ["X1", "X2"])

    with pytest.raises(LabelError, match="none of the 1 labels"):
        normalize(file, out=tmp_path / "a", labels=labels)


def test_labelled_samples_that_are_absent_are_counted(file, tmp_path):
    samples = ["X1", *(f"GSM{i}" for i in range(1, 200))]
    labels = write_label_file(tmp_path / "l.parquet", {"liver": range(200)}, samples)

    with pytest.warns(LeftOutWarning, match=r"1 of 200 labelled samples are not in x\.h5 .*X1"):
        normalize(file, out=tmp_path / "a", labels=labels, recipe="log2-cpm")


def test_wrong_species_is_named(tmp_path, counts):
    strangers = make_genes(N_GENES).rename(index=lambda gene: gene.replace("ENSG00", "ENSG99"))
    file = make_archs4(tmp_path / "x.h5", counts=counts[:5], genes=strangers)

    with pytest.raises(IdentifierError, match="90 of 90 genes have no length"):
        normalize(file, out=tmp_path / "a")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.h5"]


def test_existing_output_is_kept_unless_asked(file, tmp_path):
    (tmp_path / "a").mkdir()

    with pytest.raises(OutputExistsError, match="exists"):
        normalize(file, out=tmp_path / "a")
    normalize(file, out=tmp_path / "a", recipe="log2-cpm", overwrite=True)
    assert open_atlas(tmp_path / "a").recipe == "log2-cpm"


def test_dry_run_writes_nothing(file, tmp_path):
    summary = normalize(file, out=tmp_path / "a", dry_run=True)

    assert summary.figures["passes"] == 2
    assert summary.figures["n_genes"] == N_GENES
    assert not list(tmp_path.iterdir())


def test_dry_run_knows_how_values_are_stored(file, tmp_path):
    written = {
        dtype: normalize(file, out=tmp_path / "a", dtype=dtype, dry_run=True).figures[
            "bytes_written"
        ]
        for dtype in ("float32", "float16")
    }

    assert written["float16"] < written["float32"]


def test_empty_file_is_refused(tmp_path, genes):
    file = make_archs4(
        tmp_path / "x.h5", counts=np.empty((0, 4)), genes=genes.iloc[:4], chunks="contiguous"
    )

    with pytest.raises(EmptySelectionError, match="0 samples and 4 genes"):
        normalize(file, out=tmp_path / "a")


def test_command_prints_one_json_object(file, labels, tmp_path):
    arguments = ["normalize", str(file), "--labels", str(labels), "--split", "60/20/20"]

    result = CliRunner().invoke(cli, [*arguments, "--out", str(tmp_path / "a.zarr")])

    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["split"]["fractions"] == [0.6, 0.2, 0.2]
    assert figures["n_genes"] == N_GENES


def test_command_refuses_a_split_of_two(file, tmp_path):
    result = CliRunner().invoke(
        cli, ["normalize", str(file), "--split", "80/20", "--out", str(tmp_path / "a")]
    )

    assert result.exit_code == 2
    assert "'80/20' is not three shares; write 70/15/15" in result.stderr


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Give a file, and the atlas that a run makes of it which nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    file = make_archs4(folder / "x.h5", n_samples=5000, n_genes=1500)
    normalize(file, out=folder / "whole.zarr", recipe="log2-quantile")
    return file, folder / "whole.zarr"


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.3, 0.6, 0.9, 1.4])
def test_a_killed_run_resumes_to_the_same_bytes(undisturbed, tmp_path, delay_s):
    file, whole = undisturbed
    place = tmp_path / "a.zarr"
    arguments = ["normalize", str(file), "--recipe", "log2-quantile", "--out"]
    started = subprocess.Popen([sys.executable, "-m", "expressome", *arguments, str(place)])
    partial = tmp_path / ".a.zarr.partial"
    while started.poll() is None and not (partial / ".progress.jsonl").exists():
        time.sleep(0.01)
    time.sleep(delay_s)
    started.kill()
    started.wait()

    result = CliRunner().invoke(cli, [*arguments, str(place), "--overwrite"])

    assert result.exit_code == 0, result.output
    for array in ("X", "layers/detected"):
        for block in (whole / array).rglob("c/*/0"):
            assert (place / block.relative_to(whole)).read_bytes() == block.read_bytes()
    verify_atlas(place)
