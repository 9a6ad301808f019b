"""Read and check the TOML file of a run before any work starts."""

import difflib
import inspect
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from expressome.blocks import parse_memory
from expressome.engine import Resources
from expressome.errors import ConfigurationError, FileFormatError, InvalidValueError
from expressome.outputs import check_input

__all__ = ["RunConfiguration", "read_configuration"]

_INPUT_KEYS = ("file", "counts", "samples", "labels")
_OUTPUT_KEYS = ("folder",)
_RESOURCE_KEYS = ("memory", "workers", "cluster", "seed")
# Options that the run itself sets.
_SET_BY_RUN = {"out", "overwrite", "dry_run", "resources"}


@dataclass(frozen=True, slots=True)
class RunConfiguration:
    """What a run reads, where it writes, and the options of each verb.

    Attributes
    ----------
    file
        The ARCHS4 file, or None where `counts` are packed first.
    counts
        Count tables to pack.
    samples
        Sheet of the packed samples, None with `file`.
    labels
        Label sources; empty where the atlas stays without labels.
    folder
        Where all outputs go.
    options
        Verb -> keyword options.
    resources
        Memory, workers, cluster, seed.
    """

    file: Path | None
    counts: tuple[Path, ...]
    samples: Path | None
    labels: tuple[Path, ...]
    folder: Path
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)


def _refuse_unknown(names: Mapping[str, Any], known: tuple[str, ...], *, where: str) -> None:
    """Refuse a name that nothing would read, with the closest one."""
    for name in names:
        if name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(known)}"
        msg = f"{where} has an unknown entry {name!r}; {hint}"
        raise ConfigurationError(msg)


def _known_options(verb: Callable[..., Any]) -> tuple[str, ...]:
    """Name the options of a verb that a configuration may set."""
    parameters = inspect.signature(verb).parameters.values()
    return tuple(
        parameter.name
        for parameter in parameters
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.name not in _SET_BY_RUN
    )


def _resolve(paths: str | list[str], folder: Path, *, where: str) -> tuple[Path, ...]:
    """Expand paths and patterns relative to the configuration's folder."""
    found: list[Path] = []
    for text in [paths] if isinstance(paths, str) else paths:
        path = folder / Path(text).expanduser()
        if any(letter in text for letter in "*?["):
            matches = sorted(path.parent.glob(path.name))
            if not matches:
                msg = f"{where}: no file matches {text!r} in {path.parent}; check the pattern"
                raise ConfigurationError(msg)
            found.extend(matches)
        else:
            found.append(check_input(path))
    return tuple(found)


def _one(paths: tuple[Path, ...], *, where: str) -> Path | None:
    if len(paths) > 1:
        msg = f"{where} names {len(paths)} files, but takes one"
        raise ConfigurationError(msg)
    return paths[0] if paths else None


def _read_resources(section: Mapping[str, Any], default: Resources, *, where: str) -> Resources:
    options: dict[str, Any] = {name: section[name] for name in section if name != "memory"}
    try:
        if "memory" in section:
            options["memory_bytes"] = parse_memory(section["memory"])
        return replace(default, **options)
    except (InvalidValueError, TypeError) as error:
        msg = f"{where} [resources]: {error}"
        raise ConfigurationError(msg) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        msg = f"{path} is not valid TOML: {error}; see docs/run.md for an example"
        raise FileFormatError(msg) from None
    except UnicodeDecodeError as error:
        msg = f"{path} is not text in UTF-8 (byte {error.start}); save it as UTF-8"
        raise FileFormatError(msg) from None


def _check_entries(
    content: Mapping[str, Any], verbs: Mapping[str, Callable[..., Any]], *, where: str
) -> None:
    """Refuse sections and entries that nothing would read."""
    _refuse_unknown(content, ("input", "output", "resources", *verbs), where=where)
    for name, section in content.items():
        if not isinstance(section, dict):
            msg = f"{where}: {name!r} is a value, but must be a section; write [{name}]"
            raise ConfigurationError(msg)
    known = {"input": _INPUT_KEYS, "output": _OUTPUT_KEYS, "resources": _RESOURCE_KEYS}
    known |= {name: _known_options(verb) for name, verb in verbs.items()}
    for name, section in content.items():
        _refuse_unknown(section, known[name], where=f"{where} [{name}]")


def _check_inputs(inputs: Mapping[str, Any], *, where: str) -> None:
    """Refuse inputs that are missing, contradict each other or are no paths."""
    if ("file" in inputs) == ("counts" in inputs):
        msg = f"{where} [input] needs either file (an ARCHS4 file) or counts (tables to pack)"
        raise ConfigurationError(msg)
    if ("counts" in inputs) != ("samples" in inputs):
        msg = f"{where} [input]: counts and samples (the sheet of their samples) go together"
        raise ConfigurationError(msg)
    for name, paths in inputs.items():
        listed = paths if isinstance(paths, list) else [paths]
        if not all(isinstance(text, str) and text for text in listed):
            msg = f"{where} [input] {name} is {paths!r}; write a path or a list of paths"
            raise ConfigurationError(msg)


def read_configuration(
    path: str | os.PathLike[str],
    *,
    verbs: Mapping[str, Callable[..., Any]],
    default: Resources | None = None,
) -> RunConfiguration:
    r"""Read the TOML file of a run and check every entry.

    Parameters
    ----------
    path
        The file. Paths in it are relative to its folder; ``*`` and ``?`` are expanded.
    verbs
        Verb -> function; a section of that name may set the function's
        keyword-only options.
    default
        Used for what the section ``[resources]`` does not say.

    Returns
    -------
    RunConfiguration
        Complete and checked; every input exists.

    Raises
    ------
    ConfigurationError
        If an entry is unknown, missing or contradicts another.
    FileFormatError
        If the file is not TOML.
    InputNotFoundError
        If the file or an input does not exist.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "human.h5").write_bytes(b"")
    >>> _ = (folder / "run.toml").write_text('[input]\nfile = "human.h5"')
    >>> read_configuration(folder / "run.toml", verbs={}).file.name
    'human.h5'
    """
    path = check_input(path)
    content = _read_toml(path)
    where = path.name
    _check_entries(content, verbs, where=where)
    inputs, outputs = content.get("input", {}), content.get("output", {})
    _check_inputs(inputs, where=where)
    folder = path.absolute().parent
    found = {
        name: _resolve(inputs.get(name, []), folder, where=f"{where} [input] {name}")
        for name in _INPUT_KEYS
    }
    return RunConfiguration(
        file=_one(found["file"], where=f"{where} [input] file"),
        counts=found["counts"],
        samples=_one(found["samples"], where=f"{where} [input] samples"),
        labels=found["labels"],
        folder=folder / Path(outputs.get("folder", "expressome-run")).expanduser(),
        options={name: dict(content.get(name, {})) for name in verbs},
        resources=_read_resources(
            content.get("resources", {}), default or Resources(), where=where
        ),
    )
