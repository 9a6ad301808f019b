"""From an ARCHS4 file to a labelled, normalised, measured, model-ready atlas."""

import importlib
from typing import Any

from expressome.version import __version__

# Public name -> module that defines it. Nothing is imported before it is used.
_HOME = {
    "Compendium": "expressome.archs4.reader",
    "open_archs4": "expressome.archs4.reader",
    "Atlas": "expressome.atlas",
    "open_atlas": "expressome.atlas",
    "fit_target": "expressome.normalization.quantile",
    "apply_target": "expressome.normalization.quantile",
    "load_target": "expressome.normalization.quantile",
    "save_target": "expressome.normalization.quantile",
    "QuantileNormalizer": "expressome.normalization.estimator",
    "normalize_anndata": "expressome.pipeline.anndata_normalizing",
    "mean_cosine": "expressome.metrics.similarity",
    "signal": "expressome.metrics.signal",
    "LabelMatrix": "expressome.results",
    "Target": "expressome.results",
    "Resources": "expressome.engine",
    "Model": "expressome.pipeline.predicting",
    "load_model": "expressome.pipeline.predicting",
    "quantify": "expressome.pipeline.quantifying",
    "inspect": "expressome.pipeline.inspection",
    "search": "expressome.pipeline.searching",
    "extract": "expressome.pipeline.extracting",
    "verify": "expressome.pipeline.verification",
    "download": "expressome.pipeline.downloading",
    "fetch": "expressome.pipeline.fetching",
    "pack": "expressome.pipeline.packing",
    "annotate": "expressome.pipeline.annotating",
    "harmonize": "expressome.pipeline.harmonizing",
    "normalize": "expressome.pipeline.normalizing",
    "update": "expressome.pipeline.updating",
    "measure": "expressome.pipeline.measuring",
    "train": "expressome.pipeline.training",
    "evaluate": "expressome.pipeline.evaluating",
    "predict": "expressome.pipeline.predicting",
    "explain": "expressome.pipeline.explaining",
    "augment": "expressome.pipeline.augmenting",
    "report": "expressome.pipeline.describing",
    "serve": "expressome.explorer.server",
    "run": "expressome.pipeline.running",
    "demo": "expressome.pipeline.demonstrating",
}

__all__ = ["__version__", *_HOME]  # noqa: PLE0604 - a literal plus the names above


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module defines
    if name not in _HOME:
        msg = f"module 'expressome' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(_HOME[name]), name)
    if _HOME[name].startswith("expressome.pipeline."):
        # Verbs are metered where people call them; classes and loaders are not verbs.
        pipeline = importlib.import_module("expressome.pipeline")
        value = getattr(pipeline, name) if name in pipeline.__all__ else value
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
