"""Questions about reasons: which genes speak for and against the label of a sample."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from expressome.classification.classifier import prepare_values
from expressome.errors import AtlasError
from expressome.pipeline.explaining import list_effects
from expressome.pipeline.exploring import AtlasView
from expressome.pipeline.sample_exploring import describe_sample

__all__ = ["GeneEffect", "SampleReasons", "explain_sample"]

_N_GENES = 10


@dataclass(frozen=True, slots=True)
class GeneEffect:
    """What one gene does to a label.

    Attributes
    ----------
    gene, symbol
        Its names.
    value, training_median
        In the sample, and over the training samples, as the model reads them.
    log_odds
        Change of the label's log odds against the gene at its training median.
    """

    gene: str
    symbol: str
    value: float
    training_median: float
    log_odds: float


@dataclass(frozen=True, slots=True)
class SampleReasons:
    """Why the model gives a sample its label.

    Attributes
    ----------
    sample, label
        What is explained.
    genes_for, genes_against
        Strongest first.
    """

    sample: str
    label: str
    genes_for: list[GeneEffect]
    genes_against: list[GeneEffect]


def explain_sample(view: AtlasView, sample: str) -> SampleReasons:
    """Say which genes speak for and against the label of a sample.

    Parameters
    ----------
    view
        The atlas, with a model.
    sample
        Its id.

    Returns
    -------
    SampleReasons
        Up to ten genes on each side, as `explain` finds them.

    Raises
    ------
    AtlasError
        If there is no model.
    SelectionError
        If the atlas has no such sample.
    """
    if view.model is None:
        msg = "reasons need a model; start the explorer with one"
        raise AtlasError(msg)
    page = describe_sample(view, sample)  # refuses an unknown one in the words of the page
    label = "" if page.prediction is None else page.prediction.label
    return view.remember(("reasons", sample), lambda: _explain(view, sample, label))


def _explain(view: AtlasView, sample: str, label: str) -> SampleReasons:
    """Take each gene of the model to its training median and see what that changes."""
    model, opened = view.prediction_input
    row = int(opened.samples.get_indexer(pd.Index([sample]))[0])
    given = np.concatenate([values for _, values in opened.blocks(np.array([row]))])
    prepared = prepare_values(given, model.medians, use_ranks=model.use_ranks)[0]
    found = list_effects(model, prepared, np.isnan(given[0]), label, _N_GENES)
    genes_for, genes_against = (
        [
            GeneEffect(
                str(one["gene"]),
                str(one["symbol"] or one["gene"]),
                float(one["value"]),
                float(one["training_median"]),
                float(one["log_odds"]),
            )
            for one in found[side]
        ]
        for side in ("genes_for", "genes_against")
    )
    return SampleReasons(sample, label, genes_for, genes_against)
