"""What the networks are told of a sample: labels, depth, study."""

import numpy as np
from numpy.typing import NDArray

from expressome.augmentation.training_samples import TrainingSamples
from expressome.augmentation.within_groups import Groups, WithinSpace

__all__ = ["DepthScale", "encode_conditions", "fit_depth_scale", "place_studies"]

# Mean and standard deviation of log(1 + detected genes) over training samples.
DepthScale = tuple[float, float]

# Directions of the study effect that the networks are told.
_STUDY_COORDINATES = 8


def fit_depth_scale(samples: TrainingSamples) -> DepthScale:
    """Measure how depths spread over the training samples.

    Parameters
    ----------
    samples
        Training samples.

    Returns
    -------
    tuple
        Mean and standard deviation of log(1 + depth), the latter never 0.
    """
    log_depths = np.log1p(samples.depths)
    return float(log_depths.mean()), float(log_depths.std() or 1.0)


def place_studies(
    samples: TrainingSamples, groups: Groups, space: WithinSpace
) -> NDArray[np.float32]:
    """Place each sample's study among the studies that hold the same labels.

    Parameters
    ----------
    samples
        Training or validation samples.
    groups
        Their groups.
    space
        Fitted on training samples.

    Returns
    -------
    ndarray
        Shape (n_samples, 8), float32: centre of its group minus the mean of the
        centres with the same labels, along the first components, in units of
        three standard deviations, squeezed into -1 to 1.
    """
    axes = space.components[:_STUDY_COORDINATES]
    places = (groups.centres @ axes.T) / space.scales[: len(axes)]
    first_members = np.unique(groups.members, return_index=True)[1]
    label_rows = samples.labels[first_members].toarray()
    _, sets = np.unique(label_rows, axis=0, return_inverse=True)
    sets = sets.ravel()
    means = np.zeros((sets.max(initial=0) + 1, len(axes)))
    np.add.at(means, sets, places)
    means /= np.bincount(sets)[:, None]
    coordinates = np.zeros((samples.n_samples, _STUDY_COORDINATES), dtype=np.float32)
    coordinates[:, : len(axes)] = np.tanh((places - means[sets]) / 3)[groups.members]
    return coordinates


def encode_conditions(
    samples: TrainingSamples, groups: Groups, space: WithinSpace, *, depth_scale: DepthScale
) -> NDArray[np.float32]:
    """Write labels, depth and study of each sample as numbers near 1.

    Parameters
    ----------
    samples
        Training or validation samples.
    groups
        Their groups.
    space
        Fitted on training samples.
    depth_scale
        From `fit_depth_scale` on training samples.

    Returns
    -------
    ndarray
        Shape (n_samples, n_labels + 9), float32.
    """
    mean, scale = depth_scale
    depths = np.clip((np.log1p(samples.depths) - mean) / scale, -3, 3)
    parts = (samples.labels.toarray(), depths[:, None], place_studies(samples, groups, space))
    return np.hstack(parts).astype(np.float32)
