"""Run named stages in order: skip what is done, time and measure what runs."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from expressome.errors import ConfigurationError, FileFormatError, OutputExistsError
from expressome.manifest import fingerprint_file
from expressome.metering import meter_stage
from expressome.outputs import partial_path, remove_path, staged_output
from expressome.results import Summary, to_json, to_plain

__all__ = ["Announce", "Stage", "StageResult", "read_record", "run_stages", "say_nothing"]

Announce = Callable[[str], None]


def say_nothing(_line: str) -> None:
    """Announce to nobody."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a longer run: what it needs, what it leaves and how to do it.

    Attributes
    ----------
    name
        One word, unique in the run.
    function
        Called as ``function(overwrite)``; writes the outputs and gives a
        `Summary` or a mapping of plain figures. It must leave an output that it
        could not complete as it was (every verb does).
    outputs
        Files or folders that exist when it is done. A stage that adds to an
        output of an earlier one names the same path.
    inputs
        Files or folders it reads. Where a path is an output of an earlier
        stage, that stage is what it depends on.
    parameters
        Plain settings that change the result.
    """

    name: str
    function: Callable[[bool], Summary | Mapping[str, Any]]
    outputs: tuple[Path, ...]
    inputs: tuple[Path, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageResult:
    """What became of one stage.

    Attributes
    ----------
    name
        The stage.
    skipped
        Whether it had been done before, with the same settings and inputs.
    elapsed_s
        Seconds it took when it ran.
    peak_memory_bytes
        Highest resident memory of this process while it ran, see
        `expressome.metering.Usage`; None where the system does not tell.
    figures
        What the stage reported when it ran.
    """

    name: str
    skipped: bool
    elapsed_s: float
    peak_memory_bytes: int | None
    figures: Mapping[str, Any]


def run_stages(
    stages: Sequence[Stage],
    *,
    record: Path,
    overwrite: bool = False,
    keep_partial: bool = False,
    announce: Announce = say_nothing,
    header: Mapping[str, Any] | None = None,
) -> list[StageResult]:
    """Run stages in order and remember in a file which ones are done.

    A stage is skipped if the record says that it finished with the same
    parameters and inputs, its outputs are there, and no stage it depends on
    ran after it. The record is rewritten after every stage, so a run that is
    stopped goes on where it was.

    Parameters
    ----------
    stages
        Steps in order.
    record
        JSON file that remembers; it is created, and updated after each stage.
    overwrite
        Whether to do every stage anew and replace all outputs.
    keep_partial
        Whether the hidden unfinished output of a stage that fails may stay, for
        a verb that resumes from it.
    announce
        Called with one line of text when a stage starts, ends or is skipped.
    header
        Entries written on top of the record, such as a manifest.

    Returns
    -------
    list of StageResult
        One per stage, in order.

    Raises
    ------
    OutputExistsError
        If an output exists that was not made by this record, or was made with
        other settings, and `overwrite` is False. Nothing has run then.
    ConfigurationError
        If two stages have one name.
    FileFormatError
        If `record` is not a record of stages.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> def count(overwrite):
    ...     _ = (folder / "n.txt").write_text("3")
    ...     return {"n": 3}
    >>> stage = Stage("count", count, outputs=(folder / "n.txt",))
    >>> [r.skipped for r in run_stages([stage], record=folder / "record.json")]
    [False]
    >>> [r.skipped for r in run_stages([stage], record=folder / "record.json")]
    [True]
    """
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        msg = f"{len(names)} stages have {len(set(names))} names ({', '.join(names)}); rename one"
        raise ConfigurationError(msg)
    entries = {} if overwrite else read_record(record)
    origins = _fingerprint_stages(stages)
    if not overwrite:
        _check_stages(stages, entries, origins, record)
    results: list[StageResult] = []
    rerun: set[str] = set()
    for i, stage in enumerate(stages):
        place = f"[{i + 1}/{len(stages)}] {stage.name}"
        entry = entries.get(stage.name)
        upstream = _dependencies(stage, stages[:i])
        if entry is not None and not upstream & rerun and _is_done(stage, entry, origins):
            announce(f"{place}: skipped, done before with the same settings and inputs")
            results.append(_result(stage.name, entry, skipped=True))
            continue
        announce(f"{place} ...")
        rerun.add(stage.name)
        entries.setdefault(stage.name, dict(origins[stage.name]))
        _mark_stale(entries, [stage.name, *_dependents(stage, stages)])
        _write_record(record, header or {}, entries, names)
        entries[stage.name] = _run_stage(
            stage,
            origins[stage.name],
            overwrite=overwrite or entry is not None,
            keep_partial=keep_partial,
        )
        _write_record(record, header or {}, entries, names)
        results.append(_result(stage.name, entries[stage.name], skipped=False))
        announce(f"{place}: {results[-1].elapsed_s:.1f} s")
    return results


def read_record(record: Path) -> dict[str, dict[str, Any]]:
    """Read what earlier runs finished.

    Parameters
    ----------
    record
        File that `run_stages` wrote; it may be absent.

    Returns
    -------
    dict
        Stage name -> what is remembered of it; empty if there is no file.

    Raises
    ------
    FileFormatError
        If the file is not such a record.

    Examples
    --------
    >>> read_record(Path("/tmp/expressome-no-record.json"))
    {}
    """
    if not record.exists():
        return {}
    try:
        entries = json.loads(record.read_text(encoding="utf-8"))["stages"]
        return {str(name): dict(entry) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        msg = f"{record} is not a record of finished stages; move it away or pass overwrite=True"
        raise FileFormatError(msg) from None


def _run_stage(
    stage: Stage, origin: dict[str, Any], *, overwrite: bool, keep_partial: bool
) -> dict[str, Any]:
    """Run one stage, timed; on failure leave no half-written output."""
    try:
        with meter_stage(stage.name) as meter:
            done = stage.function(overwrite)
    except BaseException as error:
        if not keep_partial:
            for path in stage.outputs:
                remove_path(partial_path(path))
        if isinstance(error, Exception):
            error.add_note(f"in the stage {stage.name!r}")
        raise
    return {
        **origin,
        **meter,
        "figures": to_plain(done.figures if isinstance(done, Summary) else done),
    }


def _result(name: str, entry: Mapping[str, Any], *, skipped: bool) -> StageResult:
    return StageResult(
        name, skipped, entry["elapsed_s"], entry["peak_memory_bytes"], entry["figures"]
    )


def _check_stages(
    stages: Sequence[Stage],
    entries: Mapping[str, Mapping[str, Any]],
    origins: Mapping[str, Mapping[str, Any]],
    record: Path,
) -> None:
    """Refuse to replace what this record did not make, or made with other settings."""
    made: set[Path] = set()
    for stage in stages:
        entry = entries.get(stage.name)
        present = [path for path in stage.outputs if path.exists()]
        own = [path for path in present if path not in made]
        made.update(stage.outputs)
        if entry is None and own:
            msg = (
                f"{own[0]} exists, and {record} does not say that the stage {stage.name!r} "
                "made it; choose another folder or pass overwrite=True to replace it"
            )
            raise OutputExistsError(msg)
        if entry is None or not present:
            continue
        old, new = entry["parameters"], origins[stage.name]["parameters"]
        changed = sorted(k for k in {*old, *new} if old.get(k) != new.get(k))
        if changed:
            shown = "; ".join(f"{k}: {old.get(k)!r}, now {new.get(k)!r}" for k in changed)
            msg = (
                f"{present[0]} was made by the stage {stage.name!r} with other settings "
                f"({shown}); choose another folder or pass overwrite=True to replace it"
            )
            raise OutputExistsError(msg)


def _is_done(stage: Stage, entry: Mapping[str, Any], origins: Mapping[str, Any]) -> bool:
    same = all(entry.get(key) == value for key, value in origins[stage.name].items())
    return same and not entry.get("stale") and all(path.exists() for path in stage.outputs)


def _mark_stale(entries: dict[str, dict[str, Any]], names: Sequence[str]) -> None:
    for name in names:
        if name in entries:
            entries[name]["stale"] = True


def _dependencies(stage: Stage, earlier: Sequence[Stage]) -> set[str]:
    """Name the earlier stages whose outputs a stage reads or adds to."""
    needed = {*stage.inputs, *stage.outputs}
    return {other.name for other in earlier if needed & set(other.outputs)}


def _dependents(stage: Stage, stages: Sequence[Stage]) -> list[str]:
    """Name all later stages that build on a stage, directly or not."""
    found = {stage.name}
    for i, other in enumerate(stages):
        if _dependencies(other, stages[:i]) & found:
            found.add(other.name)
    return sorted(found - {stage.name})


def _fingerprint_stages(stages: Sequence[Stage]) -> dict[str, dict[str, Any]]:
    """Give per stage its parameters and a digest of them, its inputs and what it builds on."""
    origins: dict[str, dict[str, Any]] = {}
    for i, stage in enumerate(stages):
        upstream = sorted(_dependencies(stage, stages[:i]))
        made = {path for other in stages[:i] for path in other.outputs}
        parameters = json.loads(to_json(dict(stage.parameters)))
        content = {
            "name": stage.name,
            "parameters": parameters,
            "inputs": [_identify(path) for path in stage.inputs if path not in made],
            "upstream": [origins[name]["digest"] for name in upstream],
        }
        digest = hashlib.sha256(to_json(content).encode()).hexdigest()
        origins[stage.name] = {"parameters": parameters, "digest": digest}
    return origins


def _identify(path: Path) -> dict[str, Any]:
    """Identify an input: a file by its content, a folder by names, sizes and times."""
    if not path.is_dir():
        return {**fingerprint_file(path), "path": path.name}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    stats = [(str(file.relative_to(path)), file.stat()) for file in files]
    return {"path": path.name, "files": [[n, s.st_size, s.st_mtime_ns] for n, s in stats]}


def _write_record(
    record: Path,
    header: Mapping[str, Any],
    entries: Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
) -> None:
    done = all(name in entries and not entries[name].get("stale") for name in names)
    content = {**header, "complete": done, "stages": {n: entries[n] for n in entries}}
    with staged_output(record, overwrite=True) as partial:
        partial.write_text(to_json(content) + "\n", encoding="utf-8")
