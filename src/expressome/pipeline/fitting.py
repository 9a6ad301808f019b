"""Fit the model that is shipped, with all that it brings along."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.atlas import Atlas
from expressome.classification.classifier import Settings, prepare_values
from expressome.classification.importance import list_markers
from expressome.classification.label_sets import fit_label_sets, specific_labels
from expressome.classification.model import TrainedModel, parent_columns
from expressome.classification.study_profiles import StudyProfiles, fit_study_profiles
from expressome.classification.tuning import FitOptions, Samples
from expressome.pipeline.label_reading import LabelledSamples
from expressome.pipeline.outlier_fitting import fit_outliers
from expressome.pipeline.scoring import Calibrated
from expressome.pipeline.value_reading import choose_parts

__all__ = ["fit_shipped"]


def fit_shipped(
    atlas: Atlas,
    labelled: LabelledSamples,
    samples: Samples,
    *,
    calibrated: Calibrated,
    settings: Settings,
    options: FitOptions,
    genes: NDArray[np.int64],
    refit: str,
    metrics: dict[str, Any],
) -> TrainedModel:
    """Fit the settings on the samples the shipped model may see.

    Parameters
    ----------
    atlas
        Where genes and the recipe are described.
    labelled
        Its labelled samples.
    samples
        Their values, candidate genes best first.
    calibrated
        What unseen studies taught.
    settings, options
        The chosen ones, and what every fit shares.
    genes
        Positions of the candidate genes in the atlas.
    refit
        "all", or "none" to leave the test samples out.
    metrics
        Figures to ship with the model.

    Returns
    -------
    TrainedModel
        Not written yet.
    """
    is_seen = np.ones(len(labelled.rows), bool) if refit == "all" else labelled.parts != "test"
    seen = samples.take(np.flatnonzero(is_seen))
    classifier, medians = seen.fit(settings, options)
    outliers = fit_outliers(
        samples, np.flatnonzero(is_seen), calibrated.rule, settings=settings, seed=options.seed
    )
    table = labelled.table.assign(n_samples=np.asarray(seen.labels.sum(axis=0)).ravel())
    chosen = genes[: settings.n_genes]
    symbols = tuple(atlas.var["symbol"].iloc[chosen].astype(str)) if "symbol" in atlas.var else ()
    return TrainedModel(
        classifier=calibrated.calibrate(classifier),
        outliers=outliers,
        labels=table,
        thresholds=calibrated.thresholds,
        lowest_confidence=calibrated.lowest_confidence,
        genes=pd.Index(atlas.var.index[chosen].astype(object), name="gene"),
        medians=medians,
        normalizer_parts=choose_parts(atlas, use_ranks=settings.use_ranks),
        use_ranks=settings.use_ranks,
        description={
            "species": atlas.description.get("species", ""),
            "level": atlas.description.get("level", "gene"),
            "recipe": atlas.recipe,
            "settings": settings.to_plain(),
            "training": {
                "refit": refit,
                "samples": labelled.samples[is_seen],
                "test_samples": labelled.samples[labelled.parts == "test"],
                "n_studies": len(np.unique(seen.studies.astype(str))),
            },
        },
        metrics=metrics,
        symbols=symbols,
        markers={}
        if calibrated.importance is None
        else list_markers(
            calibrated.importance,
            list(atlas.var.index[chosen].astype(str)),
            symbols or [""] * len(chosen),
            label_keys=[str(key) for key in table.index],
        ),
        study_profiles=_average_studies(seen, table, settings, medians),
    )


def _average_studies(
    seen: Samples, table: pd.DataFrame, settings: Settings, medians: NDArray[np.float32]
) -> StudyProfiles:
    """Average each study's samples by their most specific label."""
    sets, classes = fit_label_sets(seen.labels)
    best = specific_labels(sets, parent_columns(table), table["n_samples"].to_numpy())
    values = prepare_values(
        seen.values[:, : settings.n_genes], medians, use_ranks=settings.use_ranks
    )
    return fit_study_profiles(values, best[classes], seen.studies)
