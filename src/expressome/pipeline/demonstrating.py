"""Do the whole job on a simulated compendium, from counts to a report."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.engine import Resources
from expressome.manifest import create_manifest
from expressome.outputs import check_output
from expressome.pipeline.annotating import annotate
from expressome.pipeline.augmenting import augment
from expressome.pipeline.describing import report
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize
from expressome.pipeline.predicting import predict
from expressome.pipeline.stages import Announce, Stage, StageResult, run_stages, say_nothing
from expressome.pipeline.training import train
from expressome.results import Summary
from expressome.simulation.compendium import NOTICE, list_labels, simulate_compendium

__all__ = ["demo"]

# Samples per study on average, as in ARCHS4.
_STUDY_SIZE = 16
# Rare in the demo as in the study this project follows, which had to drop brain.
_RARE_LABELS = ("brain", "retina")
_N_SYNTHETIC = 100


def demo(
    *,
    out: str | os.PathLike[str] = "demo",
    samples: int = 2400,
    overwrite: bool = False,
    resources: Resources | None = None,
    announce: Announce = say_nothing,
) -> Summary:
    """Simulate a compendium and take it through every verb to a report.

    The data are simulated and say so wherever they appear. Stages that are
    done are skipped, so a demo that was stopped goes on where it was.

    Parameters
    ----------
    out
        Folder for ``compendium.h5``, ``labels.parquet``, ``atlas.zarr``,
        ``model/``, ``predictions.parquet``, ``synthetic.h5ad``, ``report.html``
        and ``manifest.json``. It is created.
    samples
        Samples to simulate, in studies of 16 on average; at least 192. All 30
        labels occur from 1,536 samples on.
    overwrite
        Whether to do every stage anew.
    resources
        Memory, workers, seed and progress.
    announce
        Called with one line of text when a stage starts, ends or is skipped.

    Returns
    -------
    Summary
        Path of the report; how many predictions for samples without label are
        right, since here the truth is known; seconds, peak memory in bytes and
        figures per stage.

    Raises
    ------
    InvalidValueError
        If there are too few samples.
    OutputExistsError
        If the folder holds outputs made by something else, or with other
        options, and `overwrite` is False.

    Notes
    -----
    About two minutes and 3 GiB on two processors.

    Examples
    --------
    >>> demo(samples=10)
    Traceback (most recent call last):
    expressome.errors.InvalidValueError: n_studies is 0; a compendium of several labels needs ...
    """
    resources = resources or Resources()
    sizes = {"n_samples": samples, "n_studies": samples // _STUDY_SIZE, "seed": resources.seed}
    listed = set(list_labels(**sizes).labels["label"])
    rare = [label for label in _RARE_LABELS if label in listed]
    folder = check_output(out, overwrite=True)
    folder.mkdir(exist_ok=True)
    manifest = create_manifest("demo", parameters=sizes, seed=resources.seed)
    results = run_stages(
        _plan_stages(folder, sizes, rare, resources=resources),
        record=folder / "manifest.json",
        overwrite=overwrite,
        announce=announce,
        header={**manifest, "data": NOTICE},
    )
    figures = {
        "data": NOTICE,
        "report": folder / "report.html",
        "elapsed_s": round(sum(result.elapsed_s for result in results), 1),
        "peak_memory_bytes": max(result.peak_memory_bytes or 0 for result in results),
        "unlabelled": _score_predictions(folder / "predictions.parquet", sizes),
        "stages": {result.name: _describe(result) for result in results},
    }
    return Summary("demo", figures, manifest)


def _describe(result: StageResult) -> dict[str, Any]:
    return {
        "skipped": result.skipped,
        "elapsed_s": result.elapsed_s,
        "peak_memory_bytes": result.peak_memory_bytes,
        "figures": result.figures,
    }


def _score_predictions(path: Path, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Hold the predictions against what the simulator knows and no list says."""
    simulated = list_labels(**sizes)
    predictions = pd.read_parquet(path, columns=["sample", "label", "unknown"])
    truth = simulated.truth.reindex(predictions["sample"])
    right = predictions["label"].to_numpy() == truth["label"].to_numpy()
    studies = simulated.truth["study"]
    labelled = studies[~studies.index.isin(simulated.unlabelled)]
    unseen = ~truth["study"].isin(labelled).to_numpy()
    known = ~predictions["unknown"].to_numpy(bool)
    return {
        "n_samples": len(predictions),
        "share_right": _share(right),
        "n_in_unseen_studies": int(unseen.sum()),
        "share_right_in_unseen_studies": _share(right[unseen]),
        "n_called_unknown": int((~known).sum()),
        "share_right_among_known": _share(right[known]),
    }


def _share(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else float("nan")


def _plan_stages(
    folder: Path, sizes: Mapping[str, int], rare: list[str], *, resources: Resources
) -> list[Stage]:
    """Compose the verbs; each reads what an earlier one wrote."""
    file, labels, atlas = (
        folder / name for name in ("compendium.h5", "labels.parquet", "atlas.zarr")
    )
    model, predictions, synthetic, page = (
        folder / name for name in ("model", "predictions.parquet", "synthetic.h5ad", "report.html")
    )
    seed = {"seed": resources.seed}
    augmented = {"labels": rare, "n_samples": _N_SYNTHETIC, "evaluate": True}

    def do(verb: Callable[..., Summary], *arguments: Path, **options: Any) -> Callable[..., Any]:  # noqa: ANN401 - the verb's own
        return lambda overwrite: verb(
            *arguments, **options, overwrite=overwrite, resources=resources
        )

    return [
        Stage("simulate", lambda o: _simulate(file, sizes, o, resources), (file,), (), sizes),
        Stage("annotate", lambda o: _annotate(file, sizes, labels, o), (labels,), (file,), sizes),
        Stage(
            "normalize",
            do(normalize, file, out=atlas, labels=labels),
            (atlas,),
            (file, labels),
            seed,
        ),
        Stage("measure", lambda _: measure(atlas, resources=resources), (atlas,), (atlas,), seed),
        Stage("train", do(train, atlas, out=model), (model,), (atlas,), seed),
        Stage(
            "predict",
            do(predict, model, atlas, out=predictions),
            (predictions,),
            (model, atlas),
            seed,
        ),
        Stage(
            "augment",
            do(augment, atlas, out=synthetic, **augmented),
            (synthetic,),
            (atlas,),
            augmented | seed,
        ),
        Stage(
            "report",
            do(report, atlas, out=page, model=model, predictions=predictions, synthetic=synthetic),
            (page,),
            (atlas, model, predictions, synthetic),
            seed,
        ),
    ]


def _simulate(
    file: Path,
    sizes: Mapping[str, int],
    overwrite: bool,  # noqa: FBT001 - handed on from the stage runner
    resources: Resources,
) -> dict[str, Any]:
    """Write the compendium; say how large it is."""
    simulated = simulate_compendium(
        file,
        n_samples=sizes["n_samples"],
        n_studies=sizes["n_studies"],
        seed=sizes["seed"],
        overwrite=overwrite,
        resources=resources,
    )
    return {
        "path": file,
        "n_samples": len(simulated.truth),
        "n_genes": simulated.n_genes,
        "n_studies": int(simulated.truth["study"].nunique()),
        "n_labels": int(simulated.labels.groupby(["label", "kind"]).ngroups),
        "n_unlabelled": len(simulated.unlabelled),
    }


def _annotate(
    file: Path,
    sizes: Mapping[str, int],
    labels: Path,
    overwrite: bool,  # noqa: FBT001
) -> Summary:
    """Hand the label lists over as a table, the way people bring theirs."""
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "lists.tsv"
        list_labels(**sizes).labels.to_csv(table, sep="\t", index=False)
        return annotate(file, table, out=labels, overwrite=overwrite)
