"""Small training sets with planted labels, studies and correlated genes."""

import numpy as np
import pytest
from scipy import sparse

from expressome.augmentation.training_samples import collect_training


def plant_samples(rng, n_per_group=15, n_genes=60):
    """Two labels in two studies each, and a rare one; three modules of genes move together."""
    modules = np.arange(n_genes) % 3
    loads = np.eye(3)[modules].T
    blocks, carried, studies = [], [], []
    groups = [(0, "A"), (0, "B"), (1, "A"), (1, "B"), (2, "A")]
    for label, study in groups:
        n_samples = 2 if label == 2 else n_per_group
        centre = 6 + 2 * np.sin(np.arange(n_genes) * (label + 1)) + (study == "B")
        shared = rng.normal(size=(n_samples, 3)) @ loads
        block = centre + shared + 0.3 * rng.normal(size=(n_samples, n_genes))
        # A quarter of the genes is not detected: they tie at 0.
        block -= np.quantile(block, 0.25, axis=1, keepdims=True)
        blocks.append(np.maximum(block, 0))
        carried += [label] * n_samples
        studies += [study] * n_samples
    labels = sparse.csr_array(np.eye(3, dtype=np.uint8)[carried])
    return collect_training(np.vstack(blocks), labels, studies, keys=["liver", "brain", "retina"])


@pytest.fixture
def planted(rng):
    return plant_samples(rng)


@pytest.fixture
def plant():
    """The function that plants, for other sizes."""
    return plant_samples
