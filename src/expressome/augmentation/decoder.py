"""From low-rank deviations to all genes, on the atlas's scale."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from expressome.augmentation.quantile_mapping import (
    SAMPLES_AT_ONCE,
    match_genes,
    match_samples,
    run_in_threads,
)
from expressome.augmentation.residuals import balance_noise, draw_mixture
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
# How far a new sample lies from its base, as a share of the median squared distance of a real
# one to its nearest: with 1, correlations and outliers are lost where a label is small.
_REACH_SHARE = 0.5
# Genes that correlations are kept on, evenly spaced.
_MAX_BALANCED = 4096


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
    gram
        Inner products of the residuals, shape (n_reference, n_reference).
    reach
        Squared distance of a new sample from its base: half the median squared distance of
        a real sample to the nearest other one.
    """

    borrowed: NDArray[np.float32]
    residuals: NDArray[np.float32]
    gram: NDArray[np.float32]
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
        reach = _REACH_SHARE * _measure_reach(self.samples.values[own])
        gram = deviations @ deviations.T
        return LabelReference(np.maximum(seats, 0), deviations, gram, reach)

    def _draw_latent(
        self,
        bases: NDArray[np.intp],
        scores: NDArray[np.float32],
        *,
        real: NDArray[np.float32],
        reference: LabelReference,
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        """Give centre, deviation and residual of each new sample, before any mapping."""
        residuals = reference.residuals
        made = np.empty((len(bases), self.samples.n_genes), dtype=np.float32)
        crossed = np.empty((len(bases), len(residuals)), dtype=np.float32)
        lengths = np.empty(len(bases), dtype=np.float32)

        def measure(part: slice) -> None:
            made[part] = self._take_residuals(bases[part])
            crossed[part] = made[part] @ residuals.T
            lengths[part] = np.einsum("ig,ig->i", made[part], made[part])

        run_in_threads(measure, n_items=len(bases), step=SAMPLES_AT_ONCE, n_workers=self.n_workers)
        moves = (scores - self.scores[bases]) * self.space.scales
        mixture = draw_mixture(
            crossed,
            lengths,
            reference.gram,
            gaps=reference.reach - (moves**2).sum(axis=1),
            is_alone=self.groups.sizes[self.groups.members[bases]] == 1,
            rng=rng,
        )
        made *= mixture.shares[:, None]
        weights = mixture.spread(mixture.centres(), len(residuals))
        some = slice(None, None, -(-self.samples.n_genes // _MAX_BALANCED))
        thinned = residuals[:, some]
        known = made[:, some] + weights @ thinned
        self._add_profiles(known, bases, scores, genes=some)
        noise = balance_noise(mixture, known=known, target=real[:, some], residuals=thinned)
        weights = mixture.spread(mixture.centres() + noise, len(residuals))

        def finish(part: slice) -> None:
            made[part] += weights[part] @ residuals
            self._add_profiles(made[part], bases[part], scores[part])

        run_in_threads(finish, n_items=len(bases), step=SAMPLES_AT_ONCE, n_workers=self.n_workers)
        return made

    def _add_profiles(
        self,
        values: NDArray[np.float32],
        bases: NDArray[np.intp],
        scores: NDArray[np.float32],
        *,
        genes: slice = slice(None),
    ) -> None:
        """Add, in place, the centres of the bases' groups and deviations along the components."""
        values += (scores * self.space.scales) @ self.space.components[:, genes]
        values += self.groups.centres[self.groups.members[bases], genes]

    def _take_residuals(self, bases: NDArray[np.intp]) -> NDArray[np.float32]:
        """Give the deviations of training samples outside the space, variances unbiased."""
        own = self.samples.values[bases] - self.groups.centres[self.groups.members[bases]]
        own *= self.groups.inflation()[bases, None]
        own -= (self.scores[bases] * self.space.scales) @ self.space.components
        return np.asarray(own, dtype=np.float32)

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
        # Those of this batch's bases: its studies have the shares that they have there.
        real = np.vstack([self.samples.values[np.unique(bases)], reference.borrowed])
        latent = self._draw_latent(bases, scores, real=real, reference=reference, rng=rng)
        matched = match_genes(latent, real, n_workers=self.n_workers)
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
