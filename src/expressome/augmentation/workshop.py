"""What the methods have learned from one set of training samples, fitted once."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from expressome.augmentation.baselines import Method, make_baseline
from expressome.augmentation.generator import fit_generator
from expressome.augmentation.sampling import Generator, require_samples
from expressome.augmentation.study_effects import StudyEffects, fit_study_effects
from expressome.augmentation.training_samples import TrainingSamples
from expressome.errors import InvalidValueError

__all__ = ["Workshop", "fit_workshop"]


@dataclass(frozen=True, slots=True)
class Workshop:
    """Training samples with what was fitted to them; makes samples by any method.

    Attributes
    ----------
    samples
        Training samples.
    generator
        None where ``"gan"`` was not asked for.
    effects
        None where no method draws study effects.
    new_studies
        Whether a study effect drawn anew is laid on the generator's samples.
    """

    samples: TrainingSamples
    generator: Generator | None
    effects: StudyEffects | None
    new_studies: bool = False

    def make(
        self, method: Method, label: str, n_samples: int, *, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Make samples of one label.

        Parameters
        ----------
        method
            One that the workshop was fitted for.
        label
            A label key.
        n_samples
            Samples to make.
        rng
            Source of randomness.

        Returns
        -------
        ndarray
            Shape (n_samples, n_genes), float32, >= 0.

        Raises
        ------
        LabelError
            If the label is unknown or has too few samples for the method.
        InvalidValueError
            If the generator is asked for and was not trained.
        """
        if method != "gan":
            return make_baseline(
                method, self.samples, label, n_samples=n_samples, rng=rng, effects=self.effects
            )
        require_samples(self.samples, label)
        if self.generator is None:
            msg = "the generator was not trained; fit the workshop with 'gan' among its methods"
            raise InvalidValueError(msg)
        effects = self.effects if self.new_studies else None
        return self.generator.sample(label, n_samples, rng=rng, effects=effects)


def fit_workshop(
    samples: TrainingSamples,
    methods: Collection[Method],
    *,
    validation: TrainingSamples | None = None,
    new_studies: bool = False,
    checkpoint: Path | None = None,
    rng: np.random.Generator,
    n_workers: int = 2,
) -> Workshop:
    """Fit what the methods need, and nothing else.

    Parameters
    ----------
    samples
        Training samples.
    methods
        Methods that will be asked for.
    validation
        For the generator's checkpoint, see `fit_generator`.
    new_studies
        Whether the generator's samples carry study effects drawn anew.
    checkpoint
        For the generator's training, see `fit_generator`.
    rng
        Source of randomness of the generator's training.
    n_workers
        Threads.

    Returns
    -------
    Workshop
        Ready to make samples.

    Raises
    ------
    MissingExtraError
        If ``"gan"`` is asked for and torch is not installed.
    LabelError
        If ``"gan"`` is asked for and no label has three samples.

    Warns
    -----
    StudyWarning
        If study effects are needed and no label is held by two studies.

    Examples
    --------
    >>> from scipy import sparse
    >>> from expressome.augmentation.training_samples import collect_training
    >>> carried = sparse.csr_array([[1], [1]])
    >>> samples = collect_training(np.eye(2), carried, ["A", "B"], keys=["liver"])
    >>> rng = np.random.default_rng(0)
    >>> shop = fit_workshop(samples, ["mixup"], rng=rng)
    >>> shop.make("mixup", "liver", 3, rng=rng).shape
    (3, 2)
    """
    generator = effects = None
    if "gan" in methods:
        generator = fit_generator(
            samples, validation=validation, checkpoint=checkpoint, rng=rng, n_workers=n_workers
        )
    if "study-effects" in methods or ("gan" in methods and new_studies):
        effects = fit_study_effects(samples.values, samples.labels, samples.studies)
    return Workshop(samples, generator, effects, new_studies)
