"""Make synthetic samples of rare labels and say how close they are to real ones."""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.atlas import Atlas, open_atlas
from expressome.atlas.samples_file import write_samples
from expressome.augmentation.baselines import METHODS, Method
from expressome.augmentation.counts import draw_counts
from expressome.augmentation.fidelity import Yardstick, measure_memorisation
from expressome.augmentation.sampling import Generator, require_samples
from expressome.augmentation.workshop import Workshop, fit_workshop
from expressome.engine import Resources
from expressome.errors import InvalidValueError, LabelError
from expressome.manifest import create_manifest
from expressome.outputs import check_output, remove_path
from expressome.pipeline.synthesis import Material, read_material
from expressome.results import Summary

__all__ = ["augment"]

_LOG = logging.getLogger(__name__)

Studies = Literal["seen", "new"]
# Synthetic samples measured per label; more would not change the figures.
_N_MEASURED = 200

Figures = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class _Workplace:
    """The real samples and the workshop fitted to them."""

    material: Material
    resources: Resources
    workshop: Workshop
    studies: Studies

    def make(self, method: Method, label: str, n_samples: int) -> NDArray[np.float32]:
        """Make samples of one label on the scale before length division."""
        rng = self.resources.rng(f"augment: {method} {label}")
        return self.workshop.make(method, label, n_samples, rng=rng)

    def model_hash(self, method: Method) -> str:
        """Identify what made the samples: weights, or method and training values."""
        generator = self.workshop.generator
        if method == "gan" and generator is not None:
            return generator.model_hash
        digest = hashlib.sha256(method.encode())
        digest.update(np.ascontiguousarray(self.material.training.values).data)
        return digest.hexdigest()


def _prepare(
    material: Material,
    methods: Sequence[Method],
    studies: Studies,
    *,
    checkpoint: Path,
    resources: Resources,
) -> _Workplace:
    """Fit what the methods need; a stopped training of the generator goes on."""
    if "gan" in methods:
        resources.progress("train generator", 0, 1)
    workshop = fit_workshop(
        material.training,
        methods,
        validation=material.validation,
        new_studies=studies == "new",
        checkpoint=checkpoint,
        rng=resources.rng("augment: generator"),
        n_workers=resources.n_workers,
    )
    if "gan" in methods:
        resources.progress("train generator", 1, 1)
    return _Workplace(material, resources, workshop, studies)


def _measure_label(
    workplace: _Workplace,
    label: str,
    made: Mapping[Method, NDArray[np.float32]],
) -> tuple[dict[Method, Figures], dict[Method, int]]:
    """Measure every method's samples of one label with one yardstick."""
    training = workplace.material.training
    holders = training.values[training.holders(label)]
    held = workplace.material.held_back.get(label, holders[:0])
    real = held if len(held) else holders
    resources = workplace.resources
    rng = resources.rng(f"augment: yardstick {label}")
    yardstick = Yardstick(real, training.values, rng=rng, n_workers=resources.n_workers)
    figures: dict[Method, Figures] = {}
    copies: dict[Method, int] = {}
    for method, values in made.items():
        chosen = resources.rng(f"augment: measured {label}")
        figures[method] = yardstick.measure(values, rng=chosen)
        memory = measure_memorisation(values[:_N_MEASURED], holders, held, rng=chosen)
        figures[method]["nearest_neighbour_ratio"] = {
            "value": memory["nearest_neighbour_ratio"],
            "ceiling": 1.0,
            "floor": 0.0,
        }
        copies[method] = int(memory["n_copies"])
    return figures, copies


def _average(per_label: Mapping[str, dict[Method, Figures]]) -> dict[Method, Figures]:
    """Average every figure over the labels that have it."""
    averaged: dict[Method, Figures] = {}
    methods = list(dict.fromkeys(method for found in per_label.values() for method in found))
    for method in methods:
        tables = [found[method] for found in per_label.values() if method in found]
        averaged[method] = {
            metric: {
                part: _finite_mean([table[metric][part] for table in tables])
                for part in ("value", "ceiling", "floor")
            }
            for metric in tables[0]
        }
    return averaged


def _finite_mean(numbers: Sequence[float]) -> float:
    finite = [number for number in numbers if np.isfinite(number)]
    return float(np.mean(finite)) if finite else float("nan")


def _check_options(
    labels: str | Sequence[str], n_samples: int, method: str, studies: str
) -> tuple[str, ...]:
    """Refuse options outside what they may be; give each label once."""
    asked = (labels,) if isinstance(labels, str) else tuple(dict.fromkeys(labels))
    if not asked:
        msg = "no label is asked for; name at least one"
        raise LabelError(msg)
    if n_samples < 1:
        msg = f"n_samples is {n_samples}; at least 1 sample per label must be asked for"
        raise InvalidValueError(msg)
    if method not in METHODS:
        msg = f"method is {method!r}; choose one of {', '.join(METHODS)}"
        raise InvalidValueError(msg)
    if studies not in get_args(Studies):
        msg = f"studies is {studies!r}; choose seen or new"
        raise InvalidValueError(msg)
    return asked


def _check_depth(atlas: Atlas, depth: int | None) -> None:
    """Refuse counts where the recipe did not take any, or of an impossible depth."""
    if depth is None:
        return
    if atlas.recipe == "tpm":
        msg = f"{atlas.path.name} was made from TPM, which are no counts; leave out depth"
        raise InvalidValueError(msg)
    draw_counts(np.zeros((1, 1), dtype=np.float32), depth, rng=np.random.default_rng(0))


def _usable(workplace: _Workplace, methods: Sequence[Method], label: str) -> list[Method]:
    """Give the methods that can work with so few samples of a label."""
    n_holders = len(workplace.material.training.holders(label))
    fewest = {"gan": 3, "oversampling": 1, "mixup": 1, "study-effects": 1}
    return [method for method in methods if n_holders >= fewest.get(method, 2)]


def _describe_samples(
    made: Mapping[str, NDArray[np.float32]], method: Method, workplace: _Workplace
) -> pd.DataFrame:
    """Give every synthetic sample its provenance."""
    labels = np.repeat(list(made), [len(values) for values in made.values()])
    numbers = np.concatenate([np.arange(len(values)) for values in made.values()])
    names = [
        f"synthetic-{label}-{number + 1:05d}" for label, number in zip(labels, numbers, strict=True)
    ]
    return pd.DataFrame(
        {
            "label": labels.astype(object),
            "synthetic": True,
            "method": method,
            "model_hash": workplace.model_hash(method),
            "seed": workplace.resources.seed,
        },
        index=pd.Index(names, name="sample"),
    )


def _tell_training(generator: Generator | None) -> dict[str, Any]:
    """Say how the generator was trained."""
    if generator is None:
        return {}
    distances = [entry["energy_distance"] for entry in generator.curve]
    best = int(np.argmin(distances)) if distances else 0
    return {
        "n_parameters": generator.n_parameters,
        "n_training_samples": generator.decoder.samples.n_samples,
        "checkpoint_step": generator.curve[best]["step"] if distances else 0,
        "checkpoint_chosen_on": generator.checked_on,
        "energy_distance_first": distances[0] if distances else None,
        "energy_distance_chosen": distances[best] if distances else None,
    }


def augment(
    atlas: str | os.PathLike[str],
    *,
    labels: str | Sequence[str],
    n_samples: int,
    out: str | os.PathLike[str],
    method: Method = "gan",
    studies: Studies = "seen",
    depth: int | None = None,
    evaluate: bool = False,
    overwrite: bool = False,
    resources: Resources | None = None,
) -> Summary:
    """Make synthetic samples of some labels and measure how close they are.

    Every method learns from training samples only; a quarter of the training
    samples of a label (of 20 or more) is held back, and fidelity is measured
    against them, beside the ceiling (half of them against the other half) and
    the floor (genes drawn one by one from any label). For rarer labels the
    training samples themselves are the yardstick, which ``compared_with`` says.
    While the generator trains, its state is kept beside the output (a hidden file
    that ends in ``.training.npz``): the same command, given again after a kill, goes on
    there and gives the same samples.

    Parameters
    ----------
    atlas
        Atlas with labels and a split, as `normalize` writes it.
    labels
        One label key or several.
    n_samples
        Samples to make of each.
    out
        New h5ad file: the atlas's genes and scale; ``label``, ``synthetic``,
        ``method``, ``model_hash`` and ``seed`` in obs; fidelity, training curve
        and manifest as JSON in ``uns["expressome"]``.
    method
        ``"gan"`` (conditional WGAN-GP) or a baseline.
    studies
        ``"seen"``: the generator's samples come from the label's training
        studies. ``"new"``: a study effect drawn anew is laid on each.
    depth
        If given, integer counts of so many reads are written instead of values on
        the atlas's scale. Fidelity is measured before the counts are drawn.
    evaluate
        Whether all methods are measured, or only the one used.
    overwrite
        Whether an existing file may be replaced.
    resources
        Memory, threads and seed.

    Returns
    -------
    Summary
        ``fidelity`` per method and metric: value, ceiling, floor, averaged over
        the labels; the same per label; copies of training samples; training.

    Raises
    ------
    LabelError
        If a label is unknown (close matches are listed) or has too few
        training samples for the method.
    InvalidValueError
        If an option lies outside what it may be.
    MissingExtraError
        If torch (for ``"gan"``) or imbalanced-learn (for ``"smote"``) is not installed.

    Examples
    --------
    >>> augment("/tmp/no-such.zarr", labels="liver", n_samples=5, out="/tmp/made.h5ad")
    Traceback (most recent call last):
    expressome.errors.InputNotFoundError: /tmp/no-such.zarr does not exist; ...
    """
    resources = resources or Resources()
    asked = _check_options(labels, n_samples, method, studies)
    opened = open_atlas(atlas)
    check_output(out, overwrite=overwrite)
    _check_depth(opened, depth)
    material = read_material(opened, asked, resources=resources)
    if method == "gan":
        for label in asked:
            require_samples(material.training, label)
    methods: tuple[Method, ...] = METHODS if evaluate else (method,)
    checkpoint = Path(out).with_name(f".{Path(out).name}.training.npz")
    workplace = _prepare(material, methods, studies, checkpoint=checkpoint, resources=resources)
    made = {label: workplace.make(method, label, n_samples) for label in asked}
    per_label: dict[str, dict[Method, Figures]] = {}
    copies: dict[str, dict[Method, int]] = {}
    for i, label in enumerate(asked):
        shown = {method: made[label]}
        for other in _usable(workplace, methods, label):
            if other != method:
                shown[other] = workplace.make(other, label, min(n_samples, _N_MEASURED))
        per_label[label], copies[label] = _measure_label(workplace, label, shown)
        if copies[label][method]:
            n_copies, n_looked_at = copies[label][method], min(n_samples, _N_MEASURED)
            what = "%d of %d samples of %s made by %s repeat training samples: no new samples"
            _LOG.warning(what, n_copies, n_looked_at, label, method)
        resources.progress("measure fidelity", i + 1, len(asked))
    summary = _finish(
        opened,
        workplace,
        made,
        out=out,
        method=method,
        depth=depth,
        overwrite=overwrite,
        per_label=per_label,
        copies=copies,
        evaluate=evaluate,
    )
    remove_path(checkpoint)
    return summary


def _finish(
    atlas: Atlas,
    workplace: _Workplace,
    made: Mapping[str, NDArray[np.float32]],
    *,
    out: str | os.PathLike[str],
    method: Method,
    depth: int | None,
    overwrite: bool,
    per_label: Mapping[str, dict[Method, Figures]],
    copies: Mapping[str, dict[Method, int]],
    evaluate: bool,
) -> Summary:
    """Write the samples with all that was measured, and sum up."""
    material, resources = workplace.material, workplace.resources
    n_each = len(next(iter(made.values())))
    manifest = create_manifest(
        "augment",
        inputs=[atlas.path],
        parameters={
            "labels": list(made),
            "n_samples": n_each,
            "method": method,
            "studies": workplace.studies,
            "depth": depth,
            "evaluate": evaluate,
        },
        seed=resources.seed,
    )
    held = material.held_back
    found: dict[str, Any] = {
        "fidelity": _average(per_label),
        "fidelity_by_label": per_label,
        "compared_with": {
            label: f"{len(held[label])} held-back samples of training studies"
            if label in held
            else f"{len(material.training.holders(label))} training samples (too few to hold back)"
            for label in made
        },
        "n_copies": copies,
        "passes_copy_check": {
            name: not any(counts.get(name, 0) for counts in copies.values())
            for name in dict.fromkeys(name for counts in copies.values() for name in counts)
        },
        "generator": _tell_training(workplace.workshop.generator),
    }
    curve = (
        list(workplace.workshop.generator.curve) if workplace.workshop.generator is not None else []
    )
    values: NDArray[Any] = np.concatenate(list(made.values()))
    if depth is None:
        values /= material.divisor
    else:
        values = draw_counts(values, depth, rng=resources.rng("augment: counts"))
    obs = _describe_samples(made, method, workplace)
    unit = "counts" if depth is not None else material.recipe
    notes = found | {"unit": unit, "training": curve, "manifest": manifest}
    write_samples(out, values, obs=obs, var=atlas.var, notes=notes, overwrite=overwrite)
    figures = {
        "out": str(out),
        "method": method,
        "labels": list(made),
        "n_samples": len(values),
        "n_genes": values.shape[1],
        "unit": unit,
        "n_training_samples": material.training.n_samples,
        "n_training_left_out": material.n_left_out,
        "n_unmeasured_filled": material.n_filled,
        "model_hash": workplace.model_hash(method),
        "seed": resources.seed,
    }
    return Summary("augment", figures | found, manifest)
