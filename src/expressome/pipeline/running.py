"""Do the whole job on people's own files, as one TOML file says."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expressome.engine import Resources
from expressome.errors import ConfigurationError
from expressome.manifest import create_manifest
from expressome.pipeline.annotating import annotate
from expressome.pipeline.augmenting import augment
from expressome.pipeline.configuration import RunConfiguration, read_configuration
from expressome.pipeline.describing import report
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize
from expressome.pipeline.packing import pack
from expressome.pipeline.predicting import predict
from expressome.pipeline.stages import Announce, Stage, run_stages, say_nothing
from expressome.pipeline.training import train
from expressome.results import Summary

__all__ = ["run"]

VERBS: dict[str, Callable[..., Any]] = {
    "pack": pack,
    "annotate": annotate,
    "normalize": normalize,
    "measure": measure,
    "train": train,
    "predict": predict,
    "augment": augment,
    "report": report,
}


@dataclass(slots=True)
class _Plan:
    """Stages of a run, composed one verb at a time."""

    configuration: RunConfiguration
    stages: list[Stage] = field(default_factory=list)

    def add(
        self,
        verb: str,
        *arguments: Path | tuple[Path, ...],
        out: Path,
        **settings: Path,
    ) -> Path:
        """Add a verb that writes `out`; its inputs are its arguments and path settings."""
        resources = self.configuration.resources
        options: dict[str, Any] = {**settings, **self.configuration.options[verb]}
        reads = [*arguments, *settings.values()]
        read_paths = [
            path for item in reads for path in (item if isinstance(item, tuple) else [item])
        ]
        # A verb that completes its own input (measure) has no output of its own to replace.
        writes_anew = out not in arguments

        def work(overwrite: bool) -> Summary:  # noqa: FBT001 - the stage runner calls it so
            target = {"out": out, "overwrite": overwrite} if writes_anew else {}
            summary: Summary = VERBS[verb](*arguments, **target, **options, resources=resources)
            return summary

        parameters = {**self.configuration.options[verb], "seed": resources.seed}
        self.stages.append(Stage(verb, work, (out,), tuple(read_paths), parameters))
        return out


def _plan_stages(configuration: RunConfiguration) -> list[Stage]:
    """Compose the verbs that a configuration asks for."""
    plan, folder = _Plan(configuration), configuration.folder
    atlas, labels, file = folder / "atlas.zarr", configuration.labels, configuration.file
    if configuration.samples is not None:
        file = plan.add(
            "pack",
            configuration.counts,
            out=folder / "compendium.h5",
            samples=configuration.samples,
        )
        labels = labels or (configuration.samples,)
    if file is None:
        msg = "a run needs an ARCHS4 file or count tables with their sheet"
        raise ConfigurationError(msg)
    if not labels:
        plan.add("normalize", file, out=atlas)
        plan.add("measure", atlas, out=atlas)
        plan.add("report", atlas, out=folder / "report.html")
        return plan.stages
    multihot = plan.add("annotate", file, labels, out=folder / "labels.parquet")
    plan.add("normalize", file, out=atlas, labels=multihot)
    plan.add("measure", atlas, out=atlas)
    model = plan.add("train", atlas, out=folder / "model")
    shown = {
        "model": model,
        "predictions": plan.add("predict", model, atlas, out=folder / "predictions.parquet"),
    }
    if configuration.options["augment"]:
        shown["synthetic"] = plan.add("augment", atlas, out=folder / "synthetic.h5ad")
    plan.add("report", atlas, out=folder / "report.html", **shown)
    return plan.stages


def run(
    config: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    dry_run: bool = False,
    resources: Resources | None = None,
    announce: Announce = say_nothing,
) -> Summary:
    r"""Do the whole job on your files: pack, annotate, normalise, ... report.

    A stage that is done, with the same inputs and options, is skipped and
    named; a run that was stopped goes on where it was.

    Parameters
    ----------
    config
        TOML file; ``docs/run.md`` shows one. All of it is checked first.
    overwrite
        Whether to do every stage anew and replace the outputs.
    dry_run
        Whether to give the plan and do nothing.
    resources
        Used where the file has no ``[resources]``; its progress callback is
        always used.
    announce
        Called with one line of text when a stage starts, ends or is skipped.

    Returns
    -------
    Summary
        Folder, report, and per stage whether it was skipped, its seconds, its
        peak memory in bytes and its figures.

    Raises
    ------
    ConfigurationError
        If the file has an unknown or missing entry.
    OutputExistsError
        If an output was made by something else, or with other options, and
        `overwrite` is False.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "mine.h5").write_bytes(b"")
    >>> _ = (folder / "run.toml").write_text("[input]\nfile = 'mine.h5'")
    >>> [stage["name"] for stage in run(folder / "run.toml", dry_run=True).figures["stages"]]
    ['normalize', 'measure', 'report']
    """
    given = resources or Resources()
    configuration = read_configuration(config, verbs=VERBS, default=given)
    stages = _plan_stages(configuration)
    folder = configuration.folder
    figures: dict[str, Any] = {"folder": folder, "report": folder / "report.html"}
    if dry_run:
        plan = [{"name": s.name, "reads": s.inputs, "writes": s.outputs} for s in stages]
        return Summary("run", {**figures, "stages": plan})
    folder.mkdir(parents=True, exist_ok=True)
    manifest = create_manifest(
        "run",
        inputs=[Path(config)],
        parameters=dict(configuration.options),
        seed=configuration.resources.seed,
    )
    results = run_stages(
        stages,
        record=folder / "manifest.json",
        overwrite=overwrite,
        keep_partial=True,
        announce=announce,
        header=manifest,
    )
    return Summary("run", {**figures, "stages": results}, manifest)
