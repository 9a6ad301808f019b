"""From low-rank deviations to all genes, on the atlas's scale."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from expressome.augmentation.moments import balance_signs
from expressome.augmentation.quantile_mapping import (
    SAMPLES_AT_ONCE,
    match_genes,
    match_samples,
    run_in_threads,
)
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
# How far a new sample lies from its base, as a share of the median squared distance of a real
# one to its nearest: with 1, correlations and outliers are lost where a label is small.
_REACH_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class LabelReference:
    """Real samples of one label that new ones are fitted to.

    Attributes
    ----------
    borrowed
        What fills up a label of fewer than 20 samples: deviations of other samples on
        its centres, shape (n_borrowed, n_genes), >= 0.
    residuals
        Deviations outside the space of real samples and borrowed ones, variances
        unbiased, shape (n_reference, n_genes).
    lengths
        Squared length of each residual.
    reach
        Squared distance of a new sample from its base: half the median squared distance of
        a real sample to the nearest other one.
    """

    borrowed: NDArray[np.float32]
    residuals: NDArray[np.float32]
    lengths: NDArray[np.float32]
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
        deviations -= (self.scores[sources] * self.space.scales) @ self.space.components
        lengths = np.einsum("ig,ig->i", deviations, deviations)
        reach = _REACH_SHARE * _measure_reach(self.samples.values[own])
        return LabelReference(np.maximum(seats, 0), deviations, lengths, reach)

    def _draw_latent(
        self,
        bases: NDArray[np.intp],
        scores: NDArray[np.float32],
        *,
        reference: LabelReference,
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Give centre, deviation and residual of each new sample, before any mapping."""
        n_near = min(_NEIGHBOURS, len(reference.residuals))
        drawn = rng.standard_normal((len(bases), n_near)).astype(np.float32)
        drawn -= drawn.mean(axis=1, keepdims=True)
        drawn /= np.sqrt(max(n_near - 1, 1))
        latent = np.empty((len(bases), self.samples.n_genes), dtype=np.float32)
        noise = np.empty_like(latent)

        def draw(part: slice) -> None:
            latent[part] = (scores[part] * self.space.scales) @ self.space.components
            latent[part] += self.groups.centres[self.groups.members[bases[part]]]
            kept, noise[part] = self._draw_residuals(
                bases[part], scores[part], drawn[part], reference=reference
            )
            latent[part] += kept

        run_in_threads(draw, n_items=len(bases), step=SAMPLES_AT_ONCE, n_workers=self.n_workers)
        noise *= balance_signs(latent, noise)[:, None]
        latent += noise
        return latent

    def _draw_residuals(
        self,
        bases: NDArray[np.intp],
        scores: NDArray[np.float32],
        drawn: NDArray[np.float32],
        *,
        reference: LabelReference,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Draw residuals from a normal around the neighbours of each base's residual.

        The base's own residual keeps the largest share that leaves the new
        sample at the reference's reach from it. Centre with kept part, and noise,
        are given apart.
        """
        members = self.groups.members[bases]
        own = self.samples.values[bases] - self.groups.centres[members]
        own *= self.groups.inflation()[bases, None]
        own -= (self.scores[bases] * self.space.scales) @ self.space.components
        residuals = reference.residuals
        squares = reference.lengths - 2 * own @ residuals.T
        near = np.argsort(squares, axis=1)[:, : drawn.shape[1]]
        moves = (scores - self.scores[bases]) * self.space.scales
        gaps = reference.reach - (moves**2).sum(axis=1)
        noise = np.empty_like(own)
        for i, seats in enumerate(near):
            around = residuals[seats]
            centre = around.mean(axis=0)
            own[i] -= centre
            share = 0.0
            if self.groups.sizes[members[i]] > 1:
                spread = 2 * max(float(own[i] @ own[i]), 1e-12)
                share = float(np.clip(1 - gaps[i] / spread, 0, _MOST_KEPT))
            own[i] *= np.float32(share)
            own[i] += centre
            noise[i] = np.float32(np.sqrt(1 - share**2)) * (drawn[i] @ around)
        return own, noise

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
        mapped gene by gene onto the distributions of the bases and then sample by
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
        latent = self._draw_latent(bases, scores, reference=reference, rng=rng)
        # Those of this batch's bases: its studies have the shares that they have there.
        own = np.vstack([self.samples.values[np.unique(bases)], reference.borrowed])
        matched = match_genes(latent, own, n_workers=self.n_workers)
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
