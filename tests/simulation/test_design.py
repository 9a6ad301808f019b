"""Studies, labels and annotation are laid out as compendia have them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expressome.errors import InvalidValueError
from expressome.simulation.design import design_compendium
from expressome.simulation.materials import CONTAMINANTS, MATERIALS, choose_materials
from expressome.simulation.profiles import load_profiles


@settings(deadline=None, max_examples=30)
@given(n_studies=st.integers(12, 160), mean_size=st.integers(8, 40), seed=st.integers(0, 99))
def test_every_design_keeps_its_promises(n_studies, mean_size, seed):
    n_samples = n_studies * mean_size

    design = design_compendium(
        n_samples, n_studies, unlabelled=0.25, rng=np.random.default_rng(seed)
    )

    sizes = design.samples.groupby("study").size()
    assert len(design.samples) == n_samples
    assert len(sizes) == n_studies
    assert sizes.between(5, 60).all()
    assert set(design.samples["material"]) == set(range(len(design.materials)))
    assert (~design.samples["is_labelled"]).sum() == pytest.approx(0.25 * n_samples, abs=60)


@pytest.fixture(scope="module")
def design():
    return design_compendium(2400, 150, unlabelled=0.25, rng=np.random.default_rng(0))


def test_the_default_has_two_kinds_and_rare_labels(design):
    samples = design.samples.assign(
        label=[design.materials[k].label for k in design.samples["material"]]
    )
    sizes = samples[samples["is_labelled"]].groupby("label").size()
    rare = [m.label for m in design.materials if m.is_rare]

    assert len(sizes) == 30
    assert {m.kind for m in design.materials} == {"tissue", "cell line"}
    assert {"liver", "brain"} <= set(sizes.index)
    assert sizes[rare].between(5, 20).all()
    assert sizes.drop(rare).min() > 20


def test_every_label_comes_from_several_studies(design):
    labelled = design.samples[design.samples["is_labelled"]]

    assert labelled.groupby("material")["study"].nunique().min() >= 3


def test_a_quarter_is_unlabelled_and_rare_samples_never(design):
    is_rare = np.array([m.is_rare for m in design.materials])[design.samples["material"]]

    assert (~design.samples["is_labelled"]).mean() == pytest.approx(0.25, abs=0.01)
    assert design.samples["is_labelled"][is_rare].all()


def test_some_studies_belong_to_two_series(design):
    listed = [series.split(",") for series in design.series]

    assert 2 <= sum(len(ids) == 2 for ids in listed) <= 20
    assert len({name for ids in listed for name in ids}) == sum(map(len, listed))


def test_cell_lines_have_a_tissue_of_origin_and_tissues_are_lower_case():
    tissues = {m.label for m in MATERIALS if m.kind == "tissue"}

    assert all(m.parent in tissues for m in MATERIALS if m.kind == "cell line")
    assert all(label == label.lower() for label in tissues)
    assert len({m.label for m in MATERIALS}) == len(MATERIALS)


def test_every_profile_that_labels_name_is_shipped():
    named = {name for m in MATERIALS for name in (*m.normal, *m.tumour)} | set(CONTAMINANTS)

    assert named <= set(load_profiles().names)


def test_all_labels_need_96_studies():
    assert len(choose_materials(96)) == len(MATERIALS) == 30
    assert len(choose_materials(95)) < 30


@pytest.mark.parametrize(
    ("n_samples", "n_studies", "unlabelled", "message"),
    [
        (100, 11, 0.2, "n_studies is 11; .* at least 12"),
        (95, 12, 0.2, "n_samples is 95, but 12 studies .* between 96 and 480"),
        (481, 12, 0.2, "n_samples is 481"),
        (200, 12, 0.9, r"unlabelled is 0\.9; .* from 0 to 0\.8"),
    ],
)
def test_impossible_sizes_are_refused_with_their_bounds(n_samples, n_studies, unlabelled, message):
    with pytest.raises(InvalidValueError, match=message):
        design_compendium(n_samples, n_studies, unlabelled=unlabelled, rng=np.random.default_rng(0))
