"""Choose samples as commands ask for them: lists in files, warnings, a report."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from expressome.archs4.reader import Compendium
from expressome.archs4.selection import SampleChoice, select_samples
from expressome.engine import Resources
from expressome.errors import EmptySelectionError, LeftOutWarning, first_few

__all__ = ["choose_samples", "read_names", "report_choice"]

_HEADERS = {"sample", "samples", "gsm", "geo_accession", "series", "gse", "series_id"}


def read_names(items: Iterable[str], *, known: Iterable[str] = ()) -> list[str]:
    """Read ids that are given one by one, with commas between, or as a file.

    Parameters
    ----------
    items
        Ids, ``"GSM1,GSM2"``, or paths of text files with one id per line (of a table
        with tabs, the first column; a header such as ``sample`` is skipped).
    known
        Ids that exist: one that holds a comma or is a file's name is kept whole.

    Returns
    -------
    list of str
        All ids, in the order given.

    Raises
    ------
    EmptySelectionError
        If a file holds no id.

    Examples
    --------
    >>> read_names(["GSM1,GSM2", "a,b"], known=["a,b"])
    ['GSM1', 'GSM2', 'a,b']
    """
    known = frozenset(known)
    names: list[str] = []
    for item in items:
        if item in known:
            names.append(item)
        elif len(item) < 1024 and Path(item).is_file():
            names += _read_list(Path(item))
        else:
            names += [part.strip() for part in item.split(",") if part.strip()]
    return names


def _read_list(path: Path) -> list[str]:
    """Read the first column of a text file."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    names = [line.split("\t")[0].strip().strip('"') for line in lines]
    names = [name for name in names if name and not name.startswith("#")]
    if names and names[0].lower() in _HEADERS:
        names = names[1:]
    if not names:
        msg = f"{path} holds no id in its {len(lines)} lines; write one id per line"
        raise EmptySelectionError(msg)
    return names


def choose_samples(
    compendium: Compendium,
    *,
    samples: Sequence[str] | None = None,
    series: Sequence[str] | None = None,
    search: str | None = None,
    where: Iterable[str] = (),
    random: int | None = None,
    resources: Resources,
) -> SampleChoice:
    """Choose samples as the commands' options say, and warn of what was not found.

    Parameters
    ----------
    compendium
        The file.
    samples
        Sample ids or files that list them, as `read_names` takes them; empty is none.
    series
        Series ids or files that list them.
    search
        Full-text query.
    where
        Conditions on fields.
    random
        Draw so many of what is left.
    resources
        Whose seed decides the draw.

    Returns
    -------
    SampleChoice
        What to read.

    Raises
    ------
    EmptySelectionError
        If no sample is left.

    Warns
    -----
    LeftOutWarning
        If samples or series were asked for that the file does not have.
    """
    known = compendium.sample_ids if samples else ()
    choice = select_samples(
        compendium,
        samples=read_names(samples, known=known) if samples else None,
        series=read_names(series) if series else None,
        search=search,
        conditions=list(where),
        n_random=random,
        rng=resources.rng("random samples"),
        resources=resources,
    )
    unknown = [*choice.unknown_samples, *choice.unknown_series]
    if unknown:
        msg = (
            f"{len(unknown)} of {choice.n_asked - choice.n_repeated} samples and series asked for "
            f"are not in {compendium.path.name} ({first_few(unknown)}); "
            f"the other choices give {len(choice.positions)} samples"
        )
        warnings.warn(msg, LeftOutWarning, stacklevel=3)
    return choice


def report_choice(choice: SampleChoice) -> dict[str, Any]:
    """Say what was asked for and what was not found, as plain values.

    Parameters
    ----------
    choice
        From `choose_samples`.

    Returns
    -------
    dict
        ``n_asked``, ``n_repeated``, ``unknown_samples``, ``unknown_series``,
        ``n_per_condition`` and ``n_chosen``.
    """
    return {
        "n_asked": choice.n_asked,
        "n_repeated": choice.n_repeated,
        "unknown_samples": list(choice.unknown_samples),
        "unknown_series": list(choice.unknown_series),
        "n_per_condition": choice.n_per_condition,
        "n_chosen": len(choice.positions),
    }
