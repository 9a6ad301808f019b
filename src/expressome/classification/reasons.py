"""Why a model answers as it does for one sample: what single genes change."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from expressome.classification.classifier import Classifier

__all__ = ["GeneEffects", "measure_effects"]

# Copies of the sample that are answered at once.
_ROWS_AT_ONCE = 512
# Keeps the logarithm of the odds finite.
_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class GeneEffects:
    """What each gene of one sample does to the vote for one label.

    Attributes
    ----------
    vote
        For the label, as it is: the probability before calibration, 0 to 1.
    without
        Vote with this gene at its training median and all others as they
        are, shape (n_genes,).
    log_odds
        Change of the vote's log odds (natural logarithm) that the gene's own value
        makes, shape (n_genes,): above 0 it argues for the label.
    """

    vote: float
    without: NDArray[np.float64]
    log_odds: NDArray[np.float64]


def measure_effects(
    classifier: Classifier,
    values: NDArray[np.float32],
    medians: NDArray[np.floating],
    *,
    label: int,
) -> GeneEffects:
    """Set one gene after the other to its training median and answer again.

    Parameters
    ----------
    classifier
        Its votes are asked before calibration, which flattens them near 0 and 1.
    values
        Prepared expression of one sample, shape (n_genes,), no NaN.
    medians
        Training median of each gene, prepared alike, shape (n_genes,).
    label
        Column of the label asked about.

    Returns
    -------
    GeneEffects
        Genes that say the same share their effect with nobody: where several
        genes carry one message, each alone seems to matter little.
    """
    voting = replace(classifier, temperature=1.0, label_maps=None)
    own = voting.predict_labels(values[None])[0, label]
    without = np.empty(len(values))
    for start in range(0, len(values), _ROWS_AT_ONCE):
        genes = np.arange(start, min(start + _ROWS_AT_ONCE, len(values)))
        copies = np.repeat(values[None], len(genes), axis=0)
        copies[np.arange(len(genes)), genes] = np.asarray(medians, np.float32)[genes]
        without[genes] = voting.predict_labels(copies)[:, label]
    # A gene at its median changes nothing, whatever rounding says of a larger batch.
    without[values == np.asarray(medians, np.float32)] = own
    return GeneEffects(float(own), without, _log_odds(own) - _log_odds(without))


def _log_odds(probability: float | NDArray[np.float64]) -> NDArray[np.float64]:
    bounded = np.clip(probability, _FLOOR, 1 - _FLOOR)
    return np.asarray(np.log(bounded / (1 - bounded)))
