"""A model on disk: a folder of plain arrays and text, each part with its checksum."""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.classification.classifier import Classifier
from expressome.classification.forest import Forest
from expressome.classification.label_maps import LabelMaps
from expressome.classification.label_sets import LabelSets
from expressome.classification.linear import LinearScores
from expressome.classification.model import TrainedModel
from expressome.classification.outliers import OutlierBound
from expressome.classification.study_profiles import StudyProfiles
from expressome.errors import ModelError
from expressome.manifest import hash_file
from expressome.outputs import check_input
from expressome.results import to_json

__all__ = ["FORMAT_VERSION", "describe_model", "read_model", "verify_model", "write_model"]

FORMAT_VERSION = 1
# Lines as `sha256sum` writes and checks them.
_CHECKSUMS = "SHA256SUMS"
_REQUIRED = ("model.json", "metrics.json", "README.md", "normalizer.npz", "genes.npz")


def write_model(model: TrainedModel, folder: Path, *, card: str) -> None:
    """Write a model to a new folder.

    Parameters
    ----------
    model
        What to write.
    folder
        Created here; it must not exist.
    card
        Text of README.md, the model card.

    Notes
    -----
    Nothing is pickled: arrays go to .npz files that NumPy reads with
    ``allow_pickle=False``, all else is JSON.
    """
    folder.mkdir(parents=True)
    classifier = model.classifier
    if classifier.forest is not None:
        _write_arrays(folder / "forest.npz", classifier.forest.to_parts())
    if classifier.linear is not None:
        _write_arrays(folder / "linear.npz", classifier.linear.to_parts())
    _write_arrays(folder / "outliers.npz", model.outliers.to_parts())
    _write_arrays(folder / "normalizer.npz", model.normalizer_parts)
    genes = {"genes": model.genes, "medians": model.medians}
    if model.symbols:
        genes["symbols"] = model.symbols
    _write_arrays(folder / "genes.npz", genes)
    if model.study_profiles is not None:
        _write_arrays(folder / "studies.npz", model.study_profiles.to_parts())
    sets = classifier.label_sets
    content = {
        "format_version": FORMAT_VERSION,
        "labels": {"key": model.keys, **model.labels.to_dict(orient="list")},
        "label_sets": {
            "labels": [np.flatnonzero(held).tolist() for held in sets.sets],
            "n_samples": sets.n_samples,
            "merged": sets.merged,
        },
        "linear_share": classifier.linear_share,
        "temperature": classifier.temperature,
        "label_maps": None if classifier.label_maps is None else classifier.label_maps.to_plain(),
        "thresholds": model.thresholds,
        "lowest_confidence": model.lowest_confidence,
        "use_ranks": model.use_ranks,
        **model.description,
    }
    (folder / "model.json").write_text(to_json(content), encoding="utf-8")
    (folder / "metrics.json").write_text(to_json(model.metrics), encoding="utf-8")
    (folder / "markers.json").write_text(to_json(model.markers), encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")
    lines = [f"{hash_file(path)}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / _CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _write_arrays(path: Path, parts: Mapping[str, Any]) -> None:
    """Write arrays and text; ids of any text type become fixed-width text."""
    arrays: dict[str, Any] = {}
    for name, part in sorted(parts.items()):
        array = np.asarray(part)
        is_text = array.dtype.kind in "OT"
        arrays[name] = np.array(array.tolist(), dtype=str) if is_text else array
    np.savez_compressed(path, **arrays)


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        msg = f"{path.name} of the model {path.parent} cannot be read ({error}); train it again"
        raise ModelError(msg) from error


def verify_model(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Compare every part of a model with its SHA-256.

    Parameters
    ----------
    path
        Model folder.

    Returns
    -------
    dict
        ``n_parts``, ``n_bytes`` and ``parts`` {name: sha256}.

    Raises
    ------
    InputNotFoundError
        If there is no such folder.
    ModelError
        If a part is absent, altered or not listed; each is named.

    Examples
    --------
    >>> import tempfile
    >>> verify_model(tempfile.mkdtemp())
    Traceback (most recent call last):
    expressome.errors.ModelError: ... is not a model: it has no SHA256SUMS; pass a folder ...
    """
    folder = check_input(path)
    listed = _read_checksums(folder)
    present = {entry.name for entry in folder.iterdir() if entry.is_file()} - {_CHECKSUMS}
    absent = sorted((set(listed) | set(_REQUIRED)) - present)
    if absent:
        msg = f"the model {folder} lacks {', '.join(absent)}; copy it again or train it again"
        raise ModelError(msg)
    foreign = sorted(present - set(listed))
    if foreign:
        msg = (
            f"the model {folder} holds {', '.join(foreign)}, which {_CHECKSUMS} does not list; "
            "remove what does not belong to it"
        )
        raise ModelError(msg)
    altered = sorted(name for name in listed if hash_file(folder / name) != listed[name])
    if altered:
        msg = (
            f"{', '.join(altered)} of the model {folder} changed since it was written: its "
            "SHA-256 differs; do not trust it: copy the model again or train it again"
        )
        raise ModelError(msg)
    n_bytes = sum((folder / name).stat().st_size for name in listed)
    return {"n_parts": len(listed), "n_bytes": n_bytes, "parts": listed}


def _read_checksums(folder: Path) -> dict[str, str]:
    path = folder / _CHECKSUMS
    if not path.is_file():
        msg = f"{folder} is not a model: it has no {_CHECKSUMS}; pass a folder that train wrote"
        raise ModelError(msg)
    listed: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        if len(digest) != 64 or not name or Path(name).name != name:
            msg = f"{path} holds a line that is no checksum: {line[:80]!r}; copy the model again"
            raise ModelError(msg)
        listed[name] = digest
    return listed


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path.name} of the model {path.parent} cannot be read ({error}); train it again"
        raise ModelError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path.name} of the model {path.parent} is no JSON object; train it again"
        raise ModelError(msg)
    return content


def read_model(path: str | os.PathLike[str]) -> TrainedModel:
    """Read a model after checking every part.

    Parameters
    ----------
    path
        Model folder.

    Returns
    -------
    TrainedModel
        Ready to label samples; scikit-learn is not needed.

    Raises
    ------
    ModelError
        If a part is absent, altered, of another format version, or parts disagree.
    """
    verify_model(path)
    folder = Path(path)
    content = _read_json(folder / "model.json")
    if content.get("format_version") != FORMAT_VERSION:
        msg = (
            f"the model {folder} has format version {content.get('format_version')}; this "
            f"expressome reads {FORMAT_VERSION}: use the expressome it was trained with"
        )
        raise ModelError(msg)
    label_table = pd.DataFrame(content.pop("labels")).set_index("key")
    sets = _read_sets(content.pop("label_sets"), len(label_table))
    arrays = {path.stem: _read_arrays(path) for path in sorted(folder.glob("*.npz"))}
    classifier = Classifier(
        label_sets=sets,
        forest=Forest.from_parts(arrays["forest"]) if "forest" in arrays else None,
        linear=LinearScores.from_parts(arrays["linear"]) if "linear" in arrays else None,
        linear_share=float(content.pop("linear_share")),
        temperature=float(content.pop("temperature")),
        label_maps=_read_maps(content.pop("label_maps", None)),
    )
    markers = folder / "markers.json"
    return TrainedModel(
        classifier=classifier,
        outliers=OutlierBound.from_parts(arrays["outliers"]),
        labels=label_table,
        thresholds=np.array(content.pop("thresholds"), dtype=np.float64),
        lowest_confidence=float(content.pop("lowest_confidence")),
        genes=pd.Index(arrays["genes"]["genes"].astype(object), name="gene"),
        medians=arrays["genes"]["medians"],
        normalizer_parts=arrays["normalizer"],
        use_ranks=bool(content.pop("use_ranks")),
        description={key: value for key, value in content.items() if key != "format_version"},
        metrics=_read_json(folder / "metrics.json"),
        symbols=tuple(map(str, arrays["genes"].get("symbols", ()))),
        markers=_read_json(markers) if markers.is_file() else {},
        study_profiles=StudyProfiles.from_parts(arrays["studies"]) if "studies" in arrays else None,
    )


def _read_maps(content: Any) -> LabelMaps | None:  # noqa: ANN401 - whatever stands there
    return None if content is None else LabelMaps.from_plain(content)


def _read_sets(content: Mapping[str, Any], n_labels: int) -> LabelSets:
    sets = np.zeros((len(content["labels"]), n_labels), bool)
    for c, columns in enumerate(content["labels"]):
        sets[c, columns] = True
    merged = tuple((tuple(a), tuple(b), int(n)) for a, b, n in content["merged"])
    return LabelSets(sets, np.array(content["n_samples"], dtype=np.int64), merged)


def describe_model(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Say what is in a model, from its own description.

    Parameters
    ----------
    path
        Model folder.

    Returns
    -------
    dict
        Labels, genes, settings, training, test figures; checked first.
    """
    model = read_model(path)
    test = {
        key: value
        for key, value in (model.metrics.get("test") or {}).items()
        if not isinstance(value, dict | list)
    }
    forest = model.classifier.forest
    return {
        "kind": "model",
        "format_version": FORMAT_VERSION,
        "n_labels": len(model.labels),
        "n_label_sets": len(model.classifier.label_sets.sets),
        "n_genes": len(model.genes),
        "n_trees": 0 if forest is None else forest.n_trees,
        "labels": {
            key: {"kind": row["kind"], "n_samples": int(row["n_samples"])}
            for key, row in zip(model.keys, model.labels.to_dict(orient="records"), strict=True)
        },
        "test": test,
        **model.description,
    }
