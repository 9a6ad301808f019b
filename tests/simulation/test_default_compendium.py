"""The default compendium is as hard as published counts are."""

import time

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict

from expressome.archs4.reader import open_archs4
from expressome.simulation.compendium import simulate_compendium
from expressome.simulation.realism import CountGroup, load_realism, measure_realism

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    path = tmp_path_factory.mktemp("default") / "compendium.h5"
    start_s = time.process_time()
    simulated = simulate_compendium(path)
    elapsed_s = time.process_time() - start_s
    return open_archs4(path), simulated, elapsed_s


@pytest.fixture(scope="module")
def counts(drawn):
    return drawn[0].counts()


@pytest.fixture(scope="module")
def log2_cpm(counts):
    return np.log2(1 + counts / counts.sum(axis=1, keepdims=True) * 1e6).astype(np.float32)


@pytest.fixture(scope="module")
def bulk(drawn):
    """Truth of the samples that are not like single cells, with their positions."""
    truth = drawn[1].truth
    is_bulk = (drawn[0].samples["single_cell_probability"] < 0.5).to_numpy()
    return truth.assign(row=np.arange(len(truth)))[is_bulk]


@pytest.fixture(scope="module")
def listed(drawn):
    """One label per listed sample: its row, label and study."""
    _, simulated, _ = drawn
    first = simulated.labels.drop_duplicates("sample").set_index("sample")
    rows = simulated.truth.index.get_indexer(first.index)
    labels = (first["label"] + " " + first["kind"]).to_numpy()
    return rows, labels, simulated.truth["study"].to_numpy()[rows]


def tell_apart(values, is_first):
    """Cross-validated AUC of a forest on five components."""
    components = PCA(5, random_state=0).fit_transform(values)
    votes = cross_val_predict(
        RandomForestClassifier(100, random_state=0),
        components,
        is_first,
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        method="predict_proba",
    )
    return roc_auc_score(is_first, votes[:, 1])


def test_size_is_what_the_demo_promises(drawn):
    compendium, simulated, elapsed_s = drawn

    assert compendium.n_samples >= 2000
    assert compendium.n_genes >= 15_000
    assert compendium.samples["study"].nunique() >= 100
    assert simulated.labels.groupby(["label", "kind"]).ngroups >= 20
    assert len(simulated.unlabelled) == pytest.approx(600, abs=24)
    # Processor time of all threads: 25 s on two cores are 50; it takes about 10.
    assert elapsed_s < 50


def test_every_realism_figure_lies_within_a_fifth_of_published_counts(counts, bulk, drawn):
    genes = drawn[0].genes.index.to_numpy(str)
    tissues = bulk[bulk["kind"] == "tissue"]
    groups = [
        CountGroup(str(study), label, counts[part["row"]].astype(float), genes)
        for (study, label), part in tissues.groupby(["study", "label"])
    ]

    simulated = measure_realism(groups).figures()

    published = load_realism().figures()
    off = {name: simulated[name] / value for name, value in published.items()}
    assert {name: ratio for name, ratio in off.items() if not 0.8 <= ratio <= 1.2} == {}


def test_two_studies_of_one_tissue_are_told_apart(log2_cpm, bulk):
    aucs = []
    for label in ("liver", "breast", "skin", "lung"):
        members = bulk[bulk["label"] == label]
        sizes = members.groupby("study").size()
        first, second = sizes.nlargest(2).index
        pair = members[members["study"].isin([first, second])]
        is_first = (pair["study"] == first).to_numpy()
        aucs.append(tell_apart(log2_cpm[pair["row"]], is_first))

    assert np.mean(aucs) >= 0.95


def test_halves_of_one_study_are_not_told_apart(log2_cpm, bulk, rng):
    groups = bulk[bulk["kind"] == "tissue"].groupby(["study", "label"])
    aucs = []
    for key in groups.size().nlargest(8).index:
        members = groups.get_group(key)
        is_first = rng.permutation(np.arange(len(members)) % 2 == 0)
        aucs.append(tell_apart(log2_cpm[members["row"]], is_first))

    assert 0.3 < np.mean(aucs) < 0.7


def test_unseen_studies_are_hard_and_a_random_split_hides_it(log2_cpm, listed):
    rows, labels, studies = listed
    values = log2_cpm[rows]
    values = values[:, np.argsort(values.var(axis=0))[-1000:]]

    def score(folds, groups=None):
        forest = RandomForestClassifier(100, random_state=0, n_jobs=2)
        predicted = cross_val_predict(forest, values, labels, cv=folds, groups=groups)
        return f1_score(labels, predicted, average="macro")

    by_study = score(GroupKFold(5), studies)
    at_random = score(StratifiedKFold(5, shuffle=True, random_state=0))

    assert 0.45 <= by_study <= 0.75
    assert at_random >= by_study + 0.15
