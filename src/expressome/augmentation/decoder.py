"""From low-rank deviations to all genes, on the atlas's scale."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from expressome.augmentation.quantile_mapping import match_genes, match_samples
from expressome.augmentation.study_effects import StudyEffects
from expressome.augmentation.training_samples import TrainingSamples
from expressome.augmentation.within_groups import (
    Groups,
    WithinSpace,
    find_groups,
    fit_within_space,
    project_deviations,
)

__all__ = ["Decoder", "LabelReference", "fit_decoder"]

# Below this many samples a label's own spread is too uncertain: the deviations of
# other samples fill up to it, moved to the label's centre.
_MIN_REFERENCE = 20
# Real residuals that new ones are combined from; 256 x 60,000 float32 are 61 MB.
_MAX_REFERENCE = 256
# Real residuals near that of its base sample that a new one is drawn from.
_NEIGHBOURS = 8
# Largest share of a real residual in a new one.
_MOST_KEPT = 0.98


@dataclass(frozen=True, slots=True)
class LabelReference:
    """Real samples of one label that new ones are fitted to.

    Attributes
    ----------
    values
        Real samples, and borrowed ones below 20, shape (n_reference, n_genes), >= 0.
    residuals
        Their deviations outside the space, variances unbiased, same number of
        genes.
    reach
        Median squared distance of a real sample to the nearest other one.
    """

    values: NDArray[np.float32]
    residuals: NDArray[np.float32]
    reach: float


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

    def references(self, holders: NDArray[np.intp], rng: np.random.Generator) -> LabelReference:
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
        LabelReference
            What `decode` takes.
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
        return LabelReference(references, deviations, _measure_reach(self.samples.values[own]))

    def _draw_residuals(
        self,
        bases: NDArray[np.intp],
        squares: NDArray[np.float32],
        *,
        reference: LabelReference,
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Draw residuals from a normal around the neighbours of each base's residual.

        The base's own residual keeps the largest share that leaves the new
        sample as far from it as real samples are from their nearest.
        """
        members = self.groups.members[bases]
        own = self.samples.values[bases] - self.groups.centres[members]
        own *= self.groups.inflation()[bases, None]
        own -= (self.scores[bases] * self.space.scales) @ self.space.components
        residuals = reference.residuals
        n_near = min(_NEIGHBOURS, len(residuals))
        lengths = (residuals**2).sum(axis=1)
        order = np.argsort(lengths[None, :] - 2 * own @ residuals.T, axis=1)
        near = order[:, :n_near]
        averaging = np.zeros((len(bases), len(residuals)), dtype=np.float32)
        np.put_along_axis(averaging, near, 1 / n_near, axis=1)
        drawn = rng.standard_normal(near.shape).astype(np.float32)
        drawn -= drawn.mean(axis=1, keepdims=True)
        drawn /= np.sqrt(max(n_near - 1, 1))
        weights = np.zeros_like(averaging)
        np.put_along_axis(weights, near, drawn, axis=1)
        centres = averaging @ residuals
        own -= centres
        around = np.maximum((own**2).sum(axis=1), 1e-12)
        shares = np.clip(1 - (reference.reach - squares) / (2 * around), 0, _MOST_KEPT)
        shares = np.where(self.groups.sizes[members] > 1, shares, 0).astype(np.float32)[:, None]
        own *= shares
        own += centres
        own += np.sqrt(1 - shares**2) * (weights @ residuals)
        return own

    def decode(
        self,
        bases: NDArray[np.intp],
        scores: NDArray[np.float32],
        reference: LabelReference,
        *,
        effects: StudyEffects | None = None,
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Write full profiles for new deviations.

        A profile is the centre of its base sample's group, plus the deviation
        along the components, plus part of the base's residual and a normal
        combination of those near it, so genes keep their correlations. It is
        mapped gene by gene onto the label's real distributions and then sample by
        sample onto the sorted values of its base, zeros and ties included.

        Parameters
        ----------
        bases
            Training sample that each new one starts from: its study and depth, shape (n,).
        scores
            Standardised deviations, shape (n, n_components).
        reference
            From `references`.
        effects
            If given, an effect drawn anew is laid on each profile, which is then mapped
            onto the sorted values of its base again.
        rng
            Source of randomness.

        Returns
        -------
        ndarray
            Shape (n, n_genes), float32, >= 0.
        """
        moves = (scores - self.scores[bases]) * self.space.scales
        squares = np.asarray((moves**2).sum(axis=1), dtype=np.float32)
        latent = np.asarray((scores * self.space.scales) @ self.space.components, dtype=np.float32)
        latent += self.groups.centres[self.groups.members[bases]]
        latent += self._draw_residuals(bases, squares, reference=reference, rng=rng)
        matched = match_genes(latent, reference.values, n_workers=self.n_workers)
        # Genes tied at the reference's minimum are ordered by the latent value.
        matched += np.float32(1e-4) * latent
        templates = self.samples.values[bases]
        made = match_samples(matched, templates, n_workers=self.n_workers)
        if effects is None:
            return made
        moved = effects.lay_on(made, self.samples.values, rng=rng) + np.float32(1e-4) * latent
        return match_samples(moved, templates, n_workers=self.n_workers)


def _measure_reach(values: NDArray[np.float32]) -> float:
    """Give the median squared distance to the nearest other sample."""
    if len(values) < 2:
        return float("inf")
    centred = values - values.mean(axis=0)
    lengths = (centred**2).sum(axis=1)
    squares = lengths[:, None] + lengths[None, :] - 2 * centred @ centred.T
    np.fill_diagonal(squares, np.inf)
    return float(np.median(np.maximum(squares.min(axis=1), 0)))


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
