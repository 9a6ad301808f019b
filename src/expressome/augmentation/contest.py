"""Two networks that train against each other, and their state as plain arrays."""

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.augmentation.sampling import LEAK, GeneratorSettings, Layers
from expressome.errors import MissingExtraError

__all__ = ["Contest", "load_torch", "single_thread"]

# torch is optional and has no types here.
Module = Any
Tensor = Any
State = dict[str, NDArray[Any]]

# Weight of the past in the averaged generator, which looks back about 50 steps.
_AVERAGING = 0.98


def load_torch() -> Any:  # noqa: ANN401 - a module
    """Import torch, or say which extra brings it."""
    try:
        import torch
    except ImportError:
        msg = "the generator needs torch; install it with: pip install 'expressome[gan]'"
        raise MissingExtraError(msg) from None
    return torch


@contextmanager
def single_thread() -> Iterator[None]:
    """Run small matrices on one thread: more of them only wait for each other."""
    torch = load_torch()
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
    nn = load_torch().nn
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


class Contest:
    """A generator and a critic that train against each other."""

    def __init__(
        self,
        scores: NDArray[np.float32],
        conditions: NDArray[np.float32],
        settings: GeneratorSettings,
        *,
        seed: int,
    ) -> None:
        self.torch = load_torch()
        self.settings = settings
        self.device = _choose_device(self.torch)
        self.dice = self.torch.Generator().manual_seed(seed)
        n_components = scores.shape[1]
        n_in = n_components + conditions.shape[1]
        with self.torch.random.fork_rng(devices=[]):
            self.torch.manual_seed(seed)
            self.generator = _build_network(n_in, n_components, settings.n_hidden)
            self.critic = _build_network(n_in, 1, settings.n_hidden)
        self.averaged = copy.deepcopy(self.generator).to(self.device)
        self.climbers = [
            _Adam(network.to(self.device).parameters(), settings.learning_rate)
            for network in (self.generator, self.critic)
        ]
        self.real = self.torch.from_numpy(scores).to(self.device)
        self.told = self.torch.from_numpy(conditions).to(self.device)

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

    def advance(self, n_steps: int) -> tuple[float, float]:
        """Take steps of both networks; give the last losses of critic and generator."""
        judged = worth = float("nan")
        for _ in range(n_steps):
            for _ in range(self.settings.n_critic):
                judged = self.train_critic()
            worth = self.train_generator()
            self._follow()
        return judged, worth

    def layers(self) -> Layers:
        """Copy the averaged generator's weights into arrays."""
        return _to_layers(self.averaged)

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Name everything that training changes, but for the dice."""
        networks = (("generator", self.generator), ("critic", self.critic))
        for name, network in (*networks, ("averaged", self.averaged)):
            yield from ((f"{name}.{i}", part.data) for i, part in enumerate(network.parameters()))
        for climber, (name, _) in zip(self.climbers, networks, strict=True):
            yield from ((f"{name}.square.{i}", part) for i, part in enumerate(climber.squares))

    def state(self) -> State:
        """Copy all that the next step depends on into arrays."""
        arrays = {name: part.detach().cpu().numpy().copy() for name, part in self._tensors()}
        arrays["dice"] = self.dice.get_state().numpy()
        arrays["n_steps"] = np.array([climber.n_steps for climber in self.climbers])
        return arrays

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state of a contest of the same size."""
        for name, part in self._tensors():
            part.copy_(self.torch.from_numpy(np.asarray(state[name])))
        self.dice.set_state(self.torch.from_numpy(np.asarray(state["dice"])))
        for climber, n_steps in zip(self.climbers, state["n_steps"], strict=True):
            climber.n_steps = int(n_steps)
