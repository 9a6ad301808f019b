"""From low-rank deviations to all genes, on the atlas's scale."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from expressome.augmentation.moments import draw_weights
from expressome.augmentation.quantile_mapping import match_genes, match_samples
from expressome.augmentation.training_samples import TrainingSamples
from expressome.augmentation.within_groups import (
    Groups,
    WithinSpace,
    find_groups,
    fit_within_space,
    project_deviations,
)

__all__ = ["Decoder", "fit_decoder"]

# Below this many samples a label's own spread is too uncertain: the deviations of
# other samples fill up to it, moved to the label's centre.
_MIN_REFERENCE = 20
# Real residuals that new ones are combined from; 256 x 60,000 float32 are 61 MB.
_MAX_REFERENCE = 256


@dataclass(frozen=True, slots=True)
class Decoder:
    """What is needed to write a full profile from its low-rank deviation.

    Attributes
    ----------
    samples
        Training samples, values on the scale before length division.
    groups
        Their groups by study and labels.
    space
        Principal components of the deviations within groups.
    scores
        Standardised deviations of the training samples, shape (n_samples, n_components).
    n_workers
        Threads for sorting.
    """

    samples: TrainingSamples
    groups: Groups
    space: WithinSpace
    scores: NDArray[np.float32]
    n_workers: int = field(default=2, compare=False)

    def references(
        self, holders: NDArray[np.intp], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give real samples of a label and their residuals outside the space.

        Where a label has fewer than 20 samples, deviations of other samples
        from their own groups are laid on its centres.

        Parameters
        ----------
        holders
            Positions of the label's samples, at least one.
        rng
            Chooses among more than 256, and what is borrowed.

        Returns
        -------
        references
            Shape (n_reference, n_genes), >= 0.
        residuals
            Same shape: deviations outside the space, variances unbiased.
        """
        own = holders
        if len(own) > _MAX_REFERENCE:
            own = np.sort(rng.choice(own, _MAX_REFERENCE, replace=False))
        members, inflation = self.groups.members, self.groups.inflation()
        grouped = np.flatnonzero(self.groups.sizes[members] > 1)
        n_borrowed = max(0, _MIN_REFERENCE - len(own)) if len(grouped) else 0
        donors = rng.choice(grouped, n_borrowed) if n_borrowed else own[:0]
        sources = np.concatenate([own[self.groups.sizes[members[own]] > 1], donors])
        if len(sources) == 0:
            sources = own
        deviations = self.samples.values[sources] - self.groups.centres[members[sources]]
        deviations *= inflation[sources, None]
        moved = deviations[len(sources) - n_borrowed :]
        seats = self.groups.centres[members[rng.choice(own, n_borrowed)]] + moved
        references = np.vstack([self.samples.values[own], np.maximum(seats, 0)])
        deviations -= (self.scores[sources] * self.space.scales) @ self.space.components
        return references, deviations

    def decode(
        self,
        bases: NDArray[np.intp],
        scores: NDArray[np.float32],
        references: tuple[NDArray[np.float32], NDArray[np.float32]],
        *,
        shifts: NDArray[np.float32] | None = None,
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Write full profiles for new deviations.

        A profile is the centre of its base sample's group, plus the deviation
        along the components, plus a normal combination of real residuals (so
        genes keep their correlations), mapped gene by gene onto the label's
        real distributions and then sample by sample onto the sorted values of
        its base sample, zeros and ties included.

        Parameters
        ----------
        bases
            Training sample that gives each new one its study and depth, shape (n,).
        scores
            Standardised deviations, shape (n, n_components).
        references
            From `references`.
        shifts
            Study effects to add before the last step, shape (n, n_genes).
        rng
            Source of randomness.

        Returns
        -------
        ndarray
            Shape (n, n_genes), float32, >= 0.
        """
        reference, residuals = references
        latent = np.asarray((scores * self.space.scales) @ self.space.components, dtype=np.float32)
        latent += self.groups.centres[self.groups.members[bases]]
        latent += draw_weights(len(bases), len(residuals), rng) @ residuals
        matched = match_genes(latent, reference, n_workers=self.n_workers)
        if shifts is not None:
            matched += shifts
        # Genes tied at the reference's minimum are ordered by the latent value.
        matched += np.float32(1e-4) * latent
        templates = self.samples.values[bases]
        return match_samples(matched, templates, n_workers=self.n_workers)


def fit_decoder(
    samples: TrainingSamples,
    *,
    n_components: int,
    rng: np.random.Generator,
    n_workers: int = 2,
) -> Decoder:
    """Group the training samples and find the space of their deviations.

    Parameters
    ----------
    samples
        Training samples.
    n_components
        Dimensions of the space at most.
    rng
        Source of randomness.
    n_workers
        Threads for sorting.

    Returns
    -------
    Decoder
        Ready to decode.
    """
    groups = find_groups(samples)
    space = fit_within_space(samples, groups, n_components=n_components, rng=rng)
    return Decoder(samples, groups, space, project_deviations(samples, groups, space), n_workers)
