"""The space of a generator: groups of samples and how samples differ within them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from expressome.augmentation.training_samples import TrainingSamples

__all__ = ["Groups", "WithinSpace", "find_groups", "fit_within_space", "project_deviations"]

# Rows taken at once where a float32 copy of the values would cost too much.
_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Groups:
    """Samples of one study with the same set of labels.

    Attributes
    ----------
    members
        Group of each sample, shape (n_samples,).
    sizes
        Samples of each group, shape (n_groups,).
    centres
        Mean of each group, shape (n_groups, n_genes), float32.
    """

    members: NDArray[np.intp]
    sizes: NDArray[np.intp]
    centres: NDArray[np.float32]

    def inflation(self) -> NDArray[np.float32]:
        """Give the factor per sample that makes variances within groups unbiased."""
        sizes = self.sizes[self.members].astype(np.float32)
        return np.sqrt(sizes / np.maximum(sizes - 1, 1)).astype(np.float32)


@dataclass(frozen=True, slots=True)
class WithinSpace:
    """Principal components of the deviations from group centres.

    Attributes
    ----------
    components
        Orthonormal, shape (n_components, n_genes), float32.
    scales
        Standard deviation along each component, shape (n_components,), float32.
    """

    components: NDArray[np.float32]
    scales: NDArray[np.float32]

    @property
    def n_components(self) -> int:
        """Dimensions of the space."""
        return len(self.components)


def find_groups(samples: TrainingSamples) -> Groups:
    """Group samples by study and set of labels.

    Parameters
    ----------
    samples
        Training or validation samples.

    Returns
    -------
    Groups
        Every sample is in one group; groups are in sorted order.

    Examples
    --------
    >>> from expressome.augmentation.training_samples import collect_training
    >>> carried = sparse.csr_array([[1], [1], [1]])
    >>> samples = collect_training(np.eye(3), carried, ["A", "B", "A"], keys=["x"])
    >>> find_groups(samples).sizes.tolist()
    [2, 1]
    """
    sorted_labels = sparse.csr_array(samples.labels)
    sorted_labels.sort_indices()
    pointers, indices = sorted_labels.indptr, sorted_labels.indices
    names = [
        f"{study}\t" + ",".join(map(str, indices[pointers[i] : pointers[i + 1]]))
        for i, study in enumerate(samples.studies)
    ]
    _, members, sizes = np.unique(names, return_inverse=True, return_counts=True)
    averaging = sparse.csr_array(
        ((1 / sizes[members]).astype(np.float32), (members, np.arange(len(members)))),
        shape=(len(sizes), len(members)),
    )
    centres = np.asarray(averaging @ samples.values, dtype=np.float32)
    return Groups(members.astype(np.intp), sizes.astype(np.intp), centres)


def _deviations(samples: TrainingSamples, groups: Groups, rows: slice) -> NDArray[np.float32]:
    part = samples.values[rows] - groups.centres[groups.members[rows]]
    part *= groups.inflation()[rows, None]
    return np.asarray(part, dtype=np.float32)


def project_deviations(
    samples: TrainingSamples, groups: Groups, space: WithinSpace
) -> NDArray[np.float32]:
    """Give the standardised coordinates of every sample's deviation.

    Parameters
    ----------
    samples
        Any samples with the genes of the space.
    groups
        Their groups.
    space
        Fitted on training samples.

    Returns
    -------
    ndarray
        Shape (n_samples, n_components), float32, of variance near 1; zeros for
        a sample alone in its group.
    """
    scores = np.empty((samples.n_samples, space.n_components), dtype=np.float32)
    for start in range(0, samples.n_samples, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        scores[rows] = _deviations(samples, groups, rows) @ space.components.T
    return scores / space.scales


def fit_within_space(
    samples: TrainingSamples,
    groups: Groups,
    *,
    n_components: int,
    rng: np.random.Generator,
) -> WithinSpace:
    """Find the directions in which samples of a group differ most.

    Randomised range finding with two power iterations on the deviations,
    which are formed block by block and never held whole.

    Parameters
    ----------
    samples
        Training samples.
    groups
        Their groups.
    n_components
        Dimensions asked for; fewer where the deviations span fewer.
    rng
        Source of randomness.

    Returns
    -------
    WithinSpace
        Without components if every group holds one sample.

    References
    ----------
    Halko et al. 2011, doi:10.1137/090771806
    """
    n_free = samples.n_samples - len(groups.sizes)
    n_kept = min(n_components, n_free, samples.n_genes)
    if n_kept < 1:
        return WithinSpace(
            np.zeros((0, samples.n_genes), np.float32), np.zeros(0, dtype=np.float32)
        )
    n_drawn = min(n_kept + 10, n_free, samples.n_genes)
    basis = rng.standard_normal((samples.n_genes, n_drawn), dtype=np.float32)
    spans = [
        slice(start, min(start + _ROWS_AT_ONCE, samples.n_samples))
        for start in range(0, samples.n_samples, _ROWS_AT_ONCE)
    ]
    for _ in range(3):
        total = np.zeros_like(basis)
        for rows in spans:
            part = _deviations(samples, groups, rows)
            total += part.T @ (part @ basis)
        basis = np.linalg.qr(total)[0].astype(np.float32)
    scores = np.vstack([_deviations(samples, groups, rows) @ basis for rows in spans])
    variances, rotation = np.linalg.eigh(scores.T.astype(np.float64) @ scores)
    order = np.argsort(-variances)[:n_kept]
    order = order[variances[order] > variances.max() * 1e-9]
    n_informative = max(1, int((groups.sizes[groups.members] > 1).sum()))
    components = (basis @ rotation[:, order].astype(np.float32)).T
    scales = np.sqrt(variances[order] / n_informative)
    return WithinSpace(np.ascontiguousarray(components), scales.astype(np.float32))
