"""New samples of a label from a trained generator; needs no torch."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from expressome.augmentation.decoder import Decoder
from expressome.augmentation.moments import recolour, shrink_covariance
from expressome.augmentation.study_effects import StudyEffects
from expressome.augmentation.training_samples import TrainingSamples
from expressome.errors import InvalidValueError, LabelError

__all__ = [
    "LEAK",
    "MIN_SAMPLES",
    "Generator",
    "GeneratorSettings",
    "Layers",
    "require_samples",
    "run_layers",
    "spread_evenly",
]

# Weights and biases of each layer.
Layers = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]

# Fewer samples than this say nothing about a label's spread.
MIN_SAMPLES = 3
# Samples made at once: the batch carries the label's moments and distributions.
_BLOCK = 256
_MIN_BLOCK = 32
# Slope of the hidden layers below zero.
LEAK = 0.2


@dataclass(frozen=True, slots=True)
class GeneratorSettings:
    """Size and training of the networks.

    Attributes
    ----------
    n_components
        Principal components the networks work in; what lies outside them is
        combined from real residuals.
    kept
        Correlation of a new deviation with that of the real sample it starts from,
        0 to 1: 0 ignores the sample, 1 repeats it along the components (its
        residual is new in any case).
    n_hidden
        Width of the two hidden layers of each network.
    n_steps
        Generator steps at most.
    n_critic
        Critic steps per generator step. Gulrajani 2017 takes 5; 3 ended as close in
        half the time.
    penalty
        Weight of the gradient penalty. Gulrajani 2017 takes 10; with hundreds of
        samples 1 converged in a third of the steps.
    n_batch
        Samples per step.
    learning_rate
        Of both Adam optimisers (betas 0 and 0.9).
    check_every
        Generator steps between checks on the validation samples.
    patience
        Checks without improvement before training stops.
    """

    n_components: int = 8
    kept: float = 0.95
    n_hidden: int = 128
    n_steps: int = 400
    n_critic: int = 3
    penalty: float = 1.0
    n_batch: int = 64
    learning_rate: float = 2e-3
    check_every: int = 50
    patience: int = 4


@dataclass(frozen=True, slots=True)
class Generator:
    """A trained generator; `sample` makes new samples of a label.

    Attributes
    ----------
    decoder
        Writes full profiles; holds the training samples.
    conditions
        Encoded condition of each training sample, shape (n_samples, n_conditions).
    layers
        Weights, shape (n_out, n_in), and biases of each layer of the generator
        network, float32, as chosen on the validation samples.
    curve
        One entry per check: step, losses, energy distance to the validation samples.
    settings
        Size and training.
    checked_on
        What the checkpoint was chosen on.
    """

    decoder: Decoder
    conditions: NDArray[np.float32]
    layers: Layers
    curve: tuple[dict[str, float], ...]
    settings: GeneratorSettings
    checked_on: str

    @property
    def n_parameters(self) -> int:
        """Weights of the generator network."""
        return sum(weights.size + biases.size for weights, biases in self.layers)

    @property
    def model_hash(self) -> str:
        """SHA-256 of the weights and the space, 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for weights, biases in self.layers:
            digest.update(weights.tobytes() + biases.tobytes())
        digest.update(self.decoder.space.components.tobytes())
        return digest.hexdigest()

    def holders(self, label: str) -> NDArray[np.intp]:
        """Give the training samples of a label, refusing fewer than three.

        Parameters
        ----------
        label
            A label key.

        Returns
        -------
        ndarray
            Positions of the samples.

        Raises
        ------
        LabelError
            If the label is unknown or has fewer than 3 training samples.
        """
        return require_samples(self.decoder.samples, label)

    def sample(
        self,
        label: str,
        n_samples: int,
        *,
        rng: np.random.Generator,
        effects: StudyEffects | None = None,
    ) -> NDArray[np.float32]:
        """Make new samples of a label.

        Parameters
        ----------
        label
            A label key with at least three training samples.
        n_samples
            Samples to make.
        rng
            Source of randomness; the same state gives the same samples on a CPU.
        effects
            New study effects are drawn from these and laid on as `StudyEffects.lay_on`
            says; the label's own training studies are used if None.

        Returns
        -------
        ndarray
            Shape (n_samples, n_genes), float32, >= 0, on the scale of the training values.

        Raises
        ------
        LabelError
            If the label is unknown or has fewer than 3 training samples.
        InvalidValueError
            If `n_samples` is below 1.
        """
        holders = self.holders(label)
        if n_samples < 1:
            msg = f"n_samples is {n_samples}; at least 1 sample must be asked for"
            raise InvalidValueError(msg)
        reference = self.decoder.references(holders, rng)
        groups = self.decoder.groups.members[holders]
        blocks = []
        for n_block in _cut_evenly(n_samples):
            bases = spread_evenly(holders, max(n_block, _MIN_BLOCK), rng, groups=groups)
            scores = self._draw_scores(holders, bases, rng)
            made = self.decoder.decode(bases, scores, reference, effects=effects, rng=rng)
            blocks.append(made[:n_block])
        return np.concatenate(blocks)

    def _draw_scores(
        self, holders: NDArray[np.intp], bases: NDArray[np.intp], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Draw deviations near those of the bases, with the label's own covariance."""
        decoder = self.decoder
        if not self.layers:
            return np.zeros((len(bases), decoder.space.n_components), dtype=np.float32)
        drawn = run_layers(self.layers, self.conditions[bases], rng).astype(np.float64)
        sizes = decoder.groups.sizes[decoder.groups.members[holders]]
        own = decoder.scores[holders[sizes > 1]].astype(np.float64)
        covariance = shrink_covariance(own)
        kept = self.settings.kept
        mixed = kept * decoder.scores[bases].astype(np.float64)
        mixed += np.sqrt(1 - kept**2) * recolour(drawn, covariance)
        return np.asarray(mixed, dtype=np.float32)


def require_samples(samples: TrainingSamples, label: str) -> NDArray[np.intp]:
    """Give the training samples of a label, refusing fewer than three.

    Parameters
    ----------
    samples
        Training samples.
    label
        A label key.

    Returns
    -------
    ndarray
        Positions of the samples.

    Raises
    ------
    LabelError
        If the label is unknown or has fewer than 3 training samples.
    """
    holders = samples.holders(label)
    if len(holders) < MIN_SAMPLES:
        msg = (
            f"label {label!r} has {len(holders)} training samples, and the generator needs "
            f"{MIN_SAMPLES}; use method='study-effects', which works from one"
        )
        raise LabelError(msg)
    return holders


def _cut_evenly(n_samples: int) -> list[int]:
    """Cut samples into blocks of nearly equal size, none above 256."""
    n_blocks = -(-n_samples // _BLOCK)
    return [len(part) for part in np.array_split(np.arange(n_samples), n_blocks)]


def spread_evenly(
    holders: NDArray[np.intp],
    n_samples: int,
    rng: np.random.Generator,
    *,
    groups: NDArray[np.intp] | None = None,
) -> NDArray[np.intp]:
    """Give every sample of a label as a base equally often, in random order.

    Parameters
    ----------
    holders
        Positions of the label's samples.
    n_samples
        Positions to give.
    rng
        Source of randomness.
    groups
        Group of each holder. Where not all can occur equally often, each group has
        the share that it has in the label, to one sample.

    Returns
    -------
    ndarray
        Shape (n_samples,); no position occurs twice more often than another.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sorted(spread_evenly(np.array([4, 7]), 4, rng).tolist())
    [4, 4, 7, 7]
    """
    n_rounds, n_rest = divmod(n_samples, len(holders))
    order = rng.permutation(len(holders))
    if groups is not None:
        order = order[np.argsort(groups[order], kind="stable")]
    places = (np.arange(n_rest) + rng.random()) * len(holders) / max(n_rest, 1)
    rest = holders[order[places.astype(np.intp)]]
    return rng.permutation(np.concatenate([np.tile(holders, n_rounds), rest]))


def run_layers(
    layers: Layers, conditions: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw one deviation per condition: noise plus what the layers make of both.

    Parameters
    ----------
    layers
        Of a generator network.
    conditions
        Shape (n_samples, n_conditions).
    rng
        Source of the noise.

    Returns
    -------
    ndarray
        Shape (n_samples, n_components), float32.
    """
    n_components = len(layers[-1][1])
    noise = rng.standard_normal((len(conditions), n_components), dtype=np.float32)
    hidden = np.hstack([noise, conditions])
    for weights, biases in layers[:-1]:
        hidden = hidden @ weights.T + biases
        hidden = np.maximum(hidden, LEAK * hidden)
    weights, biases = layers[-1]
    return np.asarray(noise + hidden @ weights.T + biases, dtype=np.float32)
