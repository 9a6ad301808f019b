"""Train a conditional Wasserstein GAN of how samples differ within label and study."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.augmentation.conditions import encode_conditions, fit_depth_scale
from expressome.augmentation.decoder import Decoder, fit_decoder
from expressome.augmentation.distances import measure_energy
from expressome.augmentation.sampling import (
    LEAK,
    MIN_SAMPLES,
    Generator,
    GeneratorSettings,
    Layers,
    run_layers,
)
from expressome.augmentation.training_samples import TrainingSamples
from expressome.augmentation.within_groups import find_groups, project_deviations
from expressome.errors import LabelError, MissingExtraError

__all__ = ["Generator", "GeneratorSettings", "fit_generator"]

# torch is optional and has no types here.
Module = Any
Tensor = Any

# Weight of the past in the averaged generator, which looks back about 50 steps.
_AVERAGING = 0.98
# Samples compared when a checkpoint is chosen: at least, at most.
_MIN_CHECKED = 10
_MAX_CHECKED = 512


def _load_torch() -> Any:  # noqa: ANN401 - a module
    try:
        import torch
    except ImportError:
        msg = "the generator needs torch; install it with: pip install 'expressome[gan]'"
        raise MissingExtraError(msg) from None
    return torch


@contextmanager
def _single_thread() -> Iterator[None]:
    """Run small matrices on one thread: more of them only wait for each other."""
    torch = _load_torch()
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def _choose_device(torch: Any) -> str:  # noqa: ANN401 - the module
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _build_network(n_in: int, n_out: int, n_hidden: int) -> Module:
    """Make two hidden layers; the last layer starts at zero."""
    nn = _load_torch().nn
    network = nn.Sequential(
        nn.Linear(n_in, n_hidden),
        nn.LeakyReLU(LEAK),
        nn.Linear(n_hidden, n_hidden),
        nn.LeakyReLU(LEAK),
        nn.Linear(n_hidden, n_out),
    )
    nn.init.zeros_(network[-1].weight)
    nn.init.zeros_(network[-1].bias)
    return network


def _to_layers(network: Module) -> Layers:
    """Copy the weights of a network into arrays."""
    return tuple(
        (part.weight.detach().cpu().numpy().copy(), part.bias.detach().cpu().numpy().copy())
        for part in network
        if hasattr(part, "weight")
    )


@dataclass(frozen=True, slots=True)
class _Points:
    """Standardised deviations and the conditions they belong to."""

    scores: NDArray[np.float32]
    conditions: NDArray[np.float32]

    def take(self, rows: NDArray[np.intp]) -> "_Points":
        return _Points(self.scores[rows], self.conditions[rows])

    def joined(self) -> NDArray[np.float64]:
        """Scores with conditions beside them, so that a match must hold under each."""
        return np.hstack([self.scores, 3 * self.conditions]).astype(np.float64)


class _Adam:
    """Adam with betas 0 and 0.9; torch's own loads its compiler, which takes seconds."""

    def __init__(self, parameters: Iterable[Tensor], learning_rate: float) -> None:
        self.parameters = list(parameters)
        self.squares = [0 * part.detach() for part in self.parameters]
        self.learning_rate = learning_rate
        self.n_steps = 0

    def step(self, slopes: Iterable[Tensor]) -> None:
        """Move the parameters against their slopes."""
        self.n_steps += 1
        correction = 1 - 0.9**self.n_steps
        for part, square, slope in zip(self.parameters, self.squares, slopes, strict=True):
            square.mul_(0.9).addcmul_(slope, slope, value=0.1)
            scale = (square / correction).sqrt_().add_(1e-8)
            part.data.addcdiv_(slope, scale, value=-self.learning_rate)


class _Contest:
    """A generator and a critic that train against each other."""

    def __init__(self, points: _Points, settings: GeneratorSettings, seed: int) -> None:
        self.torch = _load_torch()
        self.settings = settings
        self.device = _choose_device(self.torch)
        self.dice = self.torch.Generator().manual_seed(seed)
        n_components, n_conditions = points.scores.shape[1], points.conditions.shape[1]
        n_in = n_components + n_conditions
        with self.torch.random.fork_rng(devices=[]):
            self.torch.manual_seed(seed)
            self.generator = _build_network(n_in, n_components, settings.n_hidden)
            self.critic = _build_network(n_in, 1, settings.n_hidden)
        self.averaged = copy.deepcopy(self.generator).to(self.device)
        self.climbers = [
            _Adam(network.to(self.device).parameters(), settings.learning_rate)
            for network in (self.generator, self.critic)
        ]
        self.real = self.torch.from_numpy(points.scores).to(self.device)
        self.told = self.torch.from_numpy(points.conditions).to(self.device)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Give a batch of real deviations, their conditions and made ones."""
        torch, n_points = self.torch, len(self.real)
        n_batch = min(self.settings.n_batch, n_points)
        rows = torch.randint(n_points, (n_batch,), generator=self.dice).to(self.device)
        shape = (n_batch, self.real.shape[1])
        noise = torch.randn(shape, generator=self.dice).to(self.device)
        told = self.told[rows]
        made = noise + self.generator(torch.cat([noise, told], dim=1))
        return self.real[rows], told, made

    def judge(self, points: Tensor, told: Tensor) -> Tensor:
        """Give the critic's score of each point under its condition."""
        return self.critic(self.torch.cat([points, told], dim=1))

    def train_critic(self) -> float:
        """Take one step of the critic: Wasserstein loss with a gradient penalty."""
        torch = self.torch
        real, told, made = self.draw()
        made = made.detach()
        mixture = torch.rand((len(real), 1), generator=self.dice).to(self.device)
        between = (mixture * real + (1 - mixture) * made).requires_grad_()
        (slopes,) = torch.autograd.grad(self.judge(between, told).sum(), between, create_graph=True)
        excess = ((slopes.norm(dim=1) - 1) ** 2).mean()
        loss = self.judge(made, told).mean() - self.judge(real, told).mean()
        return self._step(1, loss + self.settings.penalty * excess)

    def train_generator(self) -> float:
        """Take one step of the generator: what the critic holds for real."""
        _, told, made = self.draw()
        return self._step(0, -self.judge(made, told).mean())

    def _follow(self) -> None:
        """Let the averaged weights follow: single steps of a contest swing."""
        for part, mean in zip(self.generator.parameters(), self.averaged.parameters(), strict=True):
            mean.data.lerp_(part.data, 1 - _AVERAGING)

    def _step(self, which: int, loss: Tensor) -> float:
        climber = self.climbers[which]
        climber.step(self.torch.autograd.grad(loss, climber.parameters))
        return float(loss.detach())

    def losses(self) -> Iterator[tuple[int, float, float]]:
        """Train; give step and losses before the first step and at every check."""
        judged = worth = float("nan")
        for step in range(self.settings.n_steps + 1):
            if step % self.settings.check_every == 0:
                yield step, judged, worth
            for _ in range(self.settings.n_critic):
                judged = self.train_critic()
            worth = self.train_generator()
            self._follow()


def _train_networks(
    points: _Points, checked: _Points, settings: GeneratorSettings, *, rng: np.random.Generator
) -> tuple[Layers, list[dict[str, float]]]:
    """Train both networks and give the generator's weights at the best check."""
    contest = _Contest(points, settings, int(rng.integers(2**31)))
    check_seed = int(rng.integers(2**31))
    curve: list[dict[str, float]] = []
    best = _to_layers(contest.averaged)
    best_check = 0
    for step, critic_loss, generator_loss in contest.losses():
        layers = _to_layers(contest.averaged)
        # The same noise at every check: only the network differs.
        made = run_layers(layers, checked.conditions, np.random.default_rng(check_seed))
        distance = measure_energy(_Points(made, checked.conditions).joined(), checked.joined())
        curve.append(
            {
                "step": step,
                "critic_loss": critic_loss,
                "generator_loss": generator_loss,
                "energy_distance": distance,
            }
        )
        if distance <= min(entry["energy_distance"] for entry in curve):
            best, best_check = layers, len(curve) - 1
        if len(curve) - 1 - best_check >= settings.patience:
            break
    return best, curve


def _choose_checked(
    decoder: Decoder,
    points: _Points,
    validation: TrainingSamples | None,
    *,
    rng: np.random.Generator,
) -> tuple[_Points, _Points, str]:
    """Choose what checkpoints are compared with; give training points, checked points, name."""
    if validation is not None:
        groups = find_groups(validation)
        grouped = np.flatnonzero(groups.sizes[groups.members] > 1)
        if len(grouped) >= _MIN_CHECKED:
            scores = project_deviations(validation, groups, decoder.space)
            scale = fit_depth_scale(decoder.samples)
            conditions = encode_conditions(validation, groups, decoder.space, depth_scale=scale)
            kept = rng.permutation(grouped)[:_MAX_CHECKED]
            return points, _Points(scores, conditions).take(kept), "validation studies"
    order = rng.permutation(len(points.scores))
    n_held = min(_MAX_CHECKED, max(1, len(order) // 5))
    return points.take(order[n_held:]), points.take(order[:n_held]), "a fifth of training samples"


def fit_generator(
    samples: TrainingSamples,
    *,
    validation: TrainingSamples | None = None,
    settings: GeneratorSettings | None = None,
    rng: np.random.Generator,
    n_workers: int = 2,
) -> Generator:
    """Train a conditional WGAN-GP on how samples differ within label and study.

    The networks work in the principal components of the deviations from the
    centre of each label set and study, are told labels, depth and study, and
    are shared by all labels, so that rare labels borrow the shape of others.
    A generated deviation gets the label's own (shrunk) covariance; the decoder
    adds what lies outside the components and puts the profile on the atlas's
    scale. The generator starts as a Gaussian; the checkpoint with the smallest
    energy distance to validation samples is kept, which may be the first.

    Parameters
    ----------
    samples
        Training samples.
    validation
        Samples of other studies, same genes and labels, on which the
        checkpoint is chosen. Never test samples. If None, or without two
        samples of one label and study, a fifth of the training samples.
    settings
        Size and training; defaults suit 100 to 5,000 samples.
    rng
        Source of randomness.
    n_workers
        Threads for sorting.

    Returns
    -------
    Generator
        Ready to sample; holds the training samples.

    Raises
    ------
    MissingExtraError
        If torch is not installed.
    LabelError
        If no label has three samples.

    References
    ----------
    Gulrajani et al. 2017, arXiv:1704.00028; Vinas et al. 2022,
    doi:10.1093/bioinformatics/btab035 (which works on all genes at once and
    has no study condition).
    """
    _load_torch()
    settings = settings or GeneratorSettings()
    most = int(samples.labels.sum(axis=0).max()) if samples.labels.shape[1] else 0
    if most < MIN_SAMPLES:
        msg = (
            f"the most frequent label has {most} training samples, and the generator needs "
            f"{MIN_SAMPLES}; use method='study-effects', which works from one"
        )
        raise LabelError(msg)
    decoder = fit_decoder(samples, n_components=settings.n_components, rng=rng, n_workers=n_workers)
    conditions = encode_conditions(
        samples, decoder.groups, decoder.space, depth_scale=fit_depth_scale(samples)
    )
    grouped = np.flatnonzero(decoder.groups.sizes[decoder.groups.members] > 1)
    points = _Points(decoder.scores, conditions).take(grouped)
    if len(points.scores) < MIN_SAMPLES:
        return Generator(decoder, conditions, (), (), settings, "nothing: no two samples alike")
    points, checked, name = _choose_checked(decoder, points, validation, rng=rng)
    with _single_thread():
        layers, curve = _train_networks(points, checked, settings, rng=rng)
    return Generator(decoder, conditions, layers, tuple(curve), settings, name)
