"""A simulated compendium is a valid ARCHS4 file that says what it is."""

import ast
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from expressome import simulation
from expressome.archs4.reader import open_archs4
from expressome.engine import Resources
from expressome.errors import OutputExistsError
from expressome.simulation.compendium import NOTICE, list_labels, simulate_compendium
from expressome.simulation.effects import Noise, draw_study, find_axes, mix_profile
from expressome.simulation.materials import MATERIALS
from expressome.simulation.profiles import load_profiles


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("simulated") / "small.h5"
    return path, simulate_compendium(path, n_samples=320, n_studies=24, seed=3)


def test_the_file_opens_as_release_2_6_with_real_genes(small):
    path, simulated = small
    compendium = open_archs4(path)

    assert (compendium.n_samples, compendium.n_genes) == (320, 19_758)
    assert (compendium.release, compendium.species) == ("2.6", "human")
    assert (compendium.level, compendium.unit) == ("gene", "counts")
    assert compendium.samples["study"].nunique() == 24
    assert simulated.n_genes == compendium.n_genes
    assert compendium.genes.loc["ENSG00000163631", "symbol"] == "ALB"


def test_studies_of_the_file_are_the_studies_of_the_truth(small):
    path, simulated = small
    samples = open_archs4(path).samples

    pairs = set(zip(samples["study"], simulated.truth["study"], strict=True))

    assert list(samples.index) == list(simulated.truth.index)
    assert len(pairs) == 24


def test_lists_and_unlabelled_samples_make_up_the_file(small):
    _, simulated = small
    listed = set(simulated.labels["sample"])

    assert listed.isdisjoint(simulated.unlabelled)
    assert listed | set(simulated.unlabelled) == set(simulated.truth.index)
    assert set(simulated.labels["kind"]) == {"tissue", "cell line"}
    assert not simulated.labels.duplicated().any()


def test_labels_are_known_without_drawing_counts(small):
    _, simulated = small

    listed = list_labels(n_samples=320, n_studies=24, seed=3)

    pd.testing.assert_frame_equal(listed.labels, simulated.labels)
    pd.testing.assert_frame_equal(listed.truth, simulated.truth)
    assert listed.unlabelled == simulated.unlabelled


def test_a_list_names_the_true_label_or_its_tissue(small):
    _, simulated = small
    parents = {m.label: m.parent for m in MATERIALS}
    true = simulated.truth.loc[simulated.labels["sample"], "label"].to_numpy()

    right = [
        label in {name, parents[name]}
        for label, name in zip(simulated.labels["label"], true, strict=True)
    ]

    assert all(right)


def test_it_says_everywhere_that_it_is_simulated(small):
    path, _ = small
    samples = open_archs4(path).samples

    assert samples["title"].str.startswith("Simulated ").all()
    assert samples["data_processing"].str.contains("simulated").all()
    with h5py.File(path) as file:
        assert file["meta/info/simulated"][0].decode() == NOTICE
        assert "Human Protein Atlas" in NOTICE


def test_fields_are_as_uneven_as_submitters(small):
    samples = open_archs4(small[0]).samples

    assert 0 < samples["characteristics"].str.contains("Sex:").sum() < len(samples)
    assert 0 < samples["characteristics"].str.contains("age:").sum() < len(samples)
    assert samples["source"].nunique() > 1
    assert samples["platform"].nunique() > 1
    assert (samples["single_cell_probability"] > 0.5).sum() > 0


def test_library_sizes_are_the_aligned_reads(small):
    compendium = open_archs4(small[0])

    depths = compendium.counts().sum(axis=1)

    np.testing.assert_allclose(depths, compendium.samples["aligned_reads"], rtol=0.05)
    assert depths.max() / depths.min() > 20


def test_markers_are_high_where_they_belong(small):
    path, simulated = small
    compendium = open_archs4(path)
    counts = compendium.counts(genes=["ENSG00000163631"])[:, 0]
    rate = counts / compendium.samples["aligned_reads"].to_numpy()

    is_liver = (simulated.truth["label"] == "liver").to_numpy()

    assert np.median(rate[is_liver]) > 30 * np.median(rate[~is_liver])


def test_the_seed_decides_not_the_number_of_workers(tmp_path):
    paths = [tmp_path / f"{name}.h5" for name in ("one", "two", "other")]
    options = {"n_samples": 272, "n_studies": 12}

    simulate_compendium(paths[0], seed=5, resources=Resources(workers=1), **options)
    simulate_compendium(paths[1], seed=5, resources=Resources(workers=3), **options)
    simulate_compendium(paths[2], seed=6, **options)
    one, two, other = (open_archs4(path).counts(samples=slice(240, 272)) for path in paths)

    np.testing.assert_array_equal(one, two)
    assert (one != other).mean() > 0.3


def test_progress_reaches_the_last_sample(tmp_path):
    seen = []
    resources = Resources(progress=lambda *step: seen.append(step))

    simulate_compendium(tmp_path / "x.h5", n_samples=260, n_studies=12, resources=resources)

    assert ("simulate", 260, 260) in seen


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / "mine.h5"
    path.write_text("precious")

    with pytest.raises(OutputExistsError, match=r"mine\.h5 exists"):
        simulate_compendium(path, n_samples=96, n_studies=12)

    assert path.read_text() == "precious"


def test_a_line_keeps_its_genome_across_studies_and_tissue_does_not():
    profiles, noise = load_profiles(), Noise()
    line = next(m for m in MATERIALS if m.label == "HEPG2")
    tissue = MATERIALS[0]

    def mix(material, seed):
        rng = np.random.default_rng(seed)
        return mix_profile(material, profiles, noise, is_tumour=True, rng=rng)

    np.testing.assert_array_equal(mix(line, 1), mix(line, 2))
    assert not np.allclose(mix(tissue, 1), mix(tissue, 2))


def test_study_shifts_have_the_size_they_are_given():
    axes = find_axes(load_profiles())
    noise = Noise(study_module=0, study_gene=0, protocol=0)
    rng = np.random.default_rng(0)

    still = draw_study(axes, noise, rng).shift
    moved = np.array([draw_study(axes, Noise(protocol=0), rng).shift for _ in range(40)])

    others = ~(axes.mitochondrial | axes.ribosomal)
    assert np.all(still[others] == 0)
    expected = np.sqrt(Noise().study_module ** 2 + Noise().study_gene ** 2 * np.mean(axes.scale**2))
    assert np.sqrt(np.mean(moved[:, others] ** 2)) == pytest.approx(expected, rel=0.15)


def test_the_simulator_knows_no_model():
    imported = set()
    for path in Path(simulation.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)

    rooms = {name.split(".")[1] for name in imported if name.startswith("expressome.")}
    assert rooms <= {"archs4", "blocks", "engine", "errors", "simulation"}
