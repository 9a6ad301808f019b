"""A classifier trained on real samples recovers the label that was asked for."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from tests.support.studies import draw_counts

from expressome.augmentation.generator import fit_generator
from expressome.augmentation.training_samples import collect_training
from expressome.normalization.quantile import apply_target, fit_target

# Tissue -> table of real counts with versioned or plain Ensembl ids.
REAL = {
    "blood": "lcl_pickrell1",
    "cartilage": "GSE160625_chondrocyte",
    "skin": "gtex_v6_skin",
}


def recover(values, tissues, studies):
    """Train generator and forest on separate halves; give the share recovered per tissue."""
    keys, codes = np.unique(tissues, return_inverse=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(values))
    is_known = np.zeros(len(values), dtype=bool)
    is_known[order[::2]] = True
    labels = sparse.csr_array(np.eye(len(keys), dtype=np.uint8)[codes])
    training = collect_training(
        values[is_known], labels[is_known], studies[is_known], keys=list(keys)
    )
    generator = fit_generator(training, rng=np.random.default_rng(1))
    judge = RandomForestClassifier(100, random_state=0)
    judge.fit(values[~is_known], codes[~is_known])
    made = {key: generator.sample(key, 60, rng=rng) for key in keys}
    return {str(key): (judge.predict(made[key]) == k).mean() for k, key in enumerate(keys)}


def normalise(counts):
    return np.asarray(apply_target(counts, fit_target(counts)))


@pytest.mark.slow
def test_labels_of_simulated_counts_are_recovered():
    tissues = np.repeat(["brain", "heart", "liver"], 36)
    studies = np.repeat([f"S{i}" for i in range(18)], 6).astype(object)

    found = recover(normalise(draw_counts(tissues, studies)), tissues, studies)

    assert min(found.values()) >= 0.9, found


@pytest.mark.slow
def test_labels_of_real_counts_are_recovered(shared_data):
    tables = {}
    for tissue, name in REAL.items():
        table = pd.read_csv(
            shared_data / "human-bulk-counts" / f"{name}.tsv.gz", sep="\t", index_col=0
        )
        table.index = table.index.astype(str).str.split(".").str[0]
        tables[tissue] = table[~table.index.duplicated()].iloc[:, :60]
    genes = sorted(set.intersection(*(set(table.index) for table in tables.values())))[::8]
    counts = np.vstack([table.loc[genes].to_numpy().T for table in tables.values()])
    tissues = np.repeat(list(tables), [table.shape[1] for table in tables.values()])

    found = recover(normalise(counts.astype(np.int64)), tissues, tissues.astype(object))

    assert len(genes) > 1000
    assert min(found.values()) >= 0.9, found
