"""One module per verb, each joining rooms; modules are named -ing so that no verb is hidden."""

import importlib
from typing import Any

# Verb -> module that defines it; a verb is imported when it is first used.
_HOME = {
    "download": "downloading",
    "fetch": "fetching",
    "pack": "packing",
    "quantify": "quantifying",
    "inspect": "inspection",
    "search": "searching",
    "extract": "extracting",
    "verify": "verification",
    "annotate": "annotating",
    "harmonize": "harmonizing",
    "normalize": "normalizing",
    "update": "updating",
    "measure": "measuring",
    "train": "training",
    "evaluate": "evaluating",
    "predict": "predicting",
    "explain": "explaining",
    "augment": "augmenting",
    "report": "describing",
    "run": "running",
    "demo": "demonstrating",
}

__all__ = [*_HOME]  # noqa: PLE0604 - the names above


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module defines
    if name not in _HOME:
        msg = f"module 'expressome.pipeline' has no attribute {name!r}"
        raise AttributeError(msg)
    from expressome.metering import metered

    value = metered(getattr(importlib.import_module(f"expressome.pipeline.{_HOME[name]}"), name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
