"""Choose samples as commands ask for them: lists in files, warnings, a report."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from expressome.archs4.reader import Compendium
from expressome.archs4.selection import SampleChoice, select_samples
from expressome.engine import Resources
from expressome.errors import EmptySelectionError, LeftOutWarning, first_few
from expressome.outputs import check_input

__all__ = ["choose_samples", "read_names", "report_choice"]

# Names of the column that holds the ids, in lists that are tables.
_SAMPLE_HEADERS = frozenset({"sample", "samples", "sample_id", "gsm", "geo_accession"})
_SERIES_HEADERS = frozenset({"series", "series_id", "gse"})
# What ends so is meant as a file and not as an id.
_LIST_ENDINGS = (".txt", ".tsv", ".csv", ".list")


def read_names(
    items: Iterable[str],
    *,
    known: Iterable[str] = (),
    headers: frozenset[str] = _SAMPLE_HEADERS | _SERIES_HEADERS,
) -> list[str]:
    """Read ids that are given one by one, with commas between, or as a file.

    Parameters
    ----------
    items
        Ids, ``"GSM1,GSM2"``, or paths of text files with one id per line; of a table,
        the column named in `headers`, else the first.
    known
        Ids that exist: one that holds a comma or is a file's name is kept whole.
    headers
        Names of the column of ids, in small letters.

    Returns
    -------
    list of str
        All ids, in the order given.

    Raises
    ------
    InputNotFoundError
        If what must be a file by its ending is not there.
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
        elif _is_list(item):
            names += _read_list(check_input(item), known, headers)
        else:
            names += [part.strip() for part in item.split(",") if part.strip()]
    return names


def _is_list(item: str) -> bool:
    """Tell the name of a file from ids."""
    if len(item) > 1024:
        return False
    is_named_so = item.lower().endswith(_LIST_ENDINGS) and "," not in item
    return is_named_so or Path(item).is_file()


def _read_list(path: Path, known: frozenset[str], headers: frozenset[str]) -> list[str]:
    """Read the ids of a list or a table."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    comma = "," if path.suffix.lower() == ".csv" else None
    rows = [_split_line(line, comma, known) for line in lines]
    first = [cell.lower() for cell in rows[0]] if rows else []
    column = next((k for k, cell in enumerate(first) if cell in headers), None)
    if column is not None:
        names = [row[column] for row in rows[1:] if len(row) > column]
    elif comma or any("\t" in line for line in lines):
        names = [row[0] for row in rows]
    else:
        names = [name for row in rows for name in row]
    names = [name for name in names if name]
    if not names:
        msg = f"{path} holds no id in its {len(text.splitlines())} lines; write one id per line"
        raise EmptySelectionError(msg)
    return names


def _split_line(line: str, separator: str | None, known: frozenset[str]) -> list[str]:
    """Cut a line into cells: of a table at tabs or commas, of a list into ids."""
    if "\t" in line:
        separator = "\t"
    if separator is None and line.strip() not in known:
        separator = ","
    cells = [line] if separator is None else line.split(separator)
    return [cell.strip().strip('"').strip() for cell in cells]


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
        samples=read_names(samples, known=known, headers=_SAMPLE_HEADERS) if samples else None,
        series=read_names(series, headers=_SERIES_HEADERS) if series else None,
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
