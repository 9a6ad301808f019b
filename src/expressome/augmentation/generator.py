"""Train a conditional Wasserstein GAN of how samples differ within label and study."""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from expressome.augmentation.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from expressome.augmentation.conditions import encode_conditions, fit_depth_scale
from expressome.augmentation.contest import Contest, load_torch, single_thread
from expressome.augmentation.decoder import Decoder, fit_decoder
from expressome.augmentation.distances import measure_energy
from expressome.augmentation.sampling import (
    MIN_SAMPLES,
    Generator,
    GeneratorSettings,
    Layers,
    run_layers,
)
from expressome.augmentation.training_samples import TrainingSamples
from expressome.augmentation.within_groups import find_groups, project_deviations
from expressome.errors import LabelError

__all__ = ["Generator", "GeneratorSettings", "fit_generator"]

# Samples compared when a checkpoint is chosen: at least, at most.
_MIN_CHECKED = 10
_MAX_CHECKED = 512


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


def _identify(
    points: _Points, checked: _Points, settings: GeneratorSettings, *, seeds: list[int]
) -> str:
    """Give the hash of everything that decides how training goes."""
    digest = hashlib.sha256(repr((asdict(settings), seeds)).encode())
    for part in (points, checked):
        digest.update(np.ascontiguousarray(part.scores).tobytes())
        digest.update(np.ascontiguousarray(part.conditions).tobytes())
    return digest.hexdigest()


def _train_networks(
    points: _Points,
    checked: _Points,
    settings: GeneratorSettings,
    *,
    checkpoint: Path | None,
    rng: np.random.Generator,
) -> tuple[Layers, list[dict[str, float]]]:
    """Train both networks and give the generator's weights at the best check."""
    seed, check_seed = int(rng.integers(2**31)), int(rng.integers(2**31))
    contest = Contest(points.scores, points.conditions, settings, seed=seed)
    identity = _identify(points, checked, settings, seeds=[seed, check_seed])
    found = None if checkpoint is None else read_checkpoint(checkpoint, identity)
    curve: list[dict[str, float]] = []
    best = contest.layers()
    if found is not None:
        contest.restore(found.state)
        curve, best = found.curve, found.best
    while not _is_finished(curve, settings):
        step, losses = 0, (float("nan"), float("nan"))
        if curve:
            step = int(curve[-1]["step"]) + settings.check_every
            losses = contest.advance(settings.check_every)
        layers = contest.layers()
        # The same noise at every check: only the network differs.
        made = run_layers(layers, checked.conditions, np.random.default_rng(check_seed))
        distance = measure_energy(_Points(made, checked.conditions).joined(), checked.joined())
        curve.append(
            {
                "step": step,
                "critic_loss": losses[0],
                "generator_loss": losses[1],
                "energy_distance": distance,
            }
        )
        if _best_check(curve) == len(curve) - 1:
            best = layers
        if checkpoint is not None:
            write_checkpoint(checkpoint, Checkpoint(identity, contest.state(), curve, best))
    return best, curve


def _best_check(curve: list[dict[str, float]]) -> int:
    """Give the last of the checks with the smallest energy distance."""
    distances = [entry["energy_distance"] for entry in curve]
    return max(i for i, distance in enumerate(distances) if distance <= min(distances))


def _is_finished(curve: list[dict[str, float]], settings: GeneratorSettings) -> bool:
    """Say whether all steps are taken, or no check of the last few was the best."""
    if not curve:
        return False
    if curve[-1]["step"] + settings.check_every > settings.n_steps:
        return True
    return len(curve) - 1 - _best_check(curve) >= settings.patience


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
    checkpoint: str | os.PathLike[str] | None = None,
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
    checkpoint
        File that the state of training is written to at every check, and read
        from where an earlier run with the same samples, settings and seed was
        stopped: training goes on there and ends as if it had not been. A file of
        another training is replaced. It is kept at the end. None: not written.
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
    load_torch()
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
    with single_thread():
        layers, curve = _train_networks(
            points,
            checked,
            settings,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            rng=rng,
        )
    return Generator(decoder, conditions, layers, tuple(curve), settings, name)
