"""Choose samples: by id, series, full text, conditions, at random; say what was not found."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.catalogue import Catalogue, find_catalogue, open_catalogue
from expressome.archs4.conditions import (
    Condition,
    FieldValues,
    meets_condition,
    parse_condition,
)
from expressome.archs4.metadata import series_ids
from expressome.archs4.query import FIELD_NAMES
from expressome.archs4.reader import Compendium
from expressome.engine import Resources
from expressome.errors import EmptySelectionError, InvalidValueError, first_few

__all__ = ["Condition", "SampleChoice", "parse_condition", "read_values", "select_samples"]


@dataclass(frozen=True, slots=True)
class SampleChoice:
    """Samples that were chosen, and what was asked for in vain.

    Attributes
    ----------
    positions
        Positions in the file, shape (n,); named ids first, in the order asked.
    n_asked
        Sample ids and series asked for.
    unknown_samples
        Sample ids that are not in the file.
    unknown_series
        Series that no sample of the file belongs to.
    n_per_condition
        Condition, or ``search: QUERY``, -> samples of the whole file that meet it.
    n_repeated
        Sample ids and series that were asked for again; each sample is chosen once.
    """

    positions: NDArray[np.int64]
    n_asked: int
    unknown_samples: tuple[str, ...]
    unknown_series: tuple[str, ...]
    n_per_condition: dict[str, int]
    n_repeated: int = 0


def read_values(compendium: Compendium, catalogue: Catalogue | None, name: str) -> FieldValues:
    """Read a field from the index if there is one, else from the file.

    Parameters
    ----------
    compendium
        The file.
    catalogue
        Its search index, or None.
    name
        Our name of the field or the file's.

    Returns
    -------
    FieldValues
        The field of all samples.

    Raises
    ------
    MissingFieldError
        If the file has no such field.
    """
    values = catalogue.field(name) if catalogue is not None else None
    if values is None and FIELD_NAMES.get(name) == "sample":
        return FieldValues.of(compendium.sample_ids.to_numpy())
    return values if values is not None else FieldValues.of(compendium.field(name))


def _find_series(
    compendium: Compendium, catalogue: Catalogue | None, series: Sequence[str]
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Mark samples of any of the series; a field may list several."""
    values = read_values(compendium, catalogue, "series")
    wanted, seen = set(series), set[str]()
    is_wanted = np.zeros(len(values.distinct), dtype=np.bool_)
    for i, text in enumerate(values.distinct):
        found = wanted.intersection(series_ids(text))
        is_wanted[i] = bool(found)
        seen |= found
    is_member = is_wanted[values.codes] if values.codes is not None else is_wanted
    return is_member, tuple(name for name in dict.fromkeys(series) if name not in seen)


def select_samples(  # noqa: PLR0913 - each part of the selection language
    compendium: Compendium,
    *,
    samples: Sequence[str] | None = None,
    series: Sequence[str] | None = None,
    search: str | None = None,
    conditions: Iterable[str | Condition] = (),
    n_random: int | None = None,
    rng: np.random.Generator | None = None,
    resources: Resources | None = None,
) -> SampleChoice:
    """Choose samples of a file.

    `samples` and `series` name samples (either suffices); `search` and
    `conditions` narrow them down (all must hold); `n_random` draws from what is left.

    Parameters
    ----------
    compendium
        The file.
    samples
        Sample ids; together with `series` they name samples, all by default.
    series
        Series ids; a sample that belongs to several is found under each.
    search
        Full-text query, as `to_fts5` takes it. Needs the search index, which is
        built where there is none yet.
    conditions
        All must hold, such as ``"platform_id=GPL16791"`` or
        ``"submission_date>=2019-01-01"``. A missing number or date meets none.
    n_random
        Draw so many of what is left; all if there are fewer.
    rng
        Source of the draw; needed with `n_random`.
    resources
        Whose progress is called when the search index is built.

    Returns
    -------
    SampleChoice
        Positions, and what was not found.

    Raises
    ------
    EmptySelectionError
        If no sample is left.
    InvalidValueError
        If a condition or query is none, or `n_random` is below 1 or comes without `rng`.
    MissingFieldError
        If the file has no such field.

    Examples
    --------
    >>> import tempfile
    >>> from expressome.archs4.writing import write_archs4
    >>> place = tempfile.mkdtemp() + "/two.h5"
    >>> samples = pd.DataFrame({"series": ["GSE1", "GSE2"]}, index=["GSM1", "GSM2"])
    >>> genes = pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"])
    >>> write_archs4(place, samples=samples, genes=genes, blocks=[np.array([[3], [5]])])
    >>> from expressome.archs4.reader import open_archs4
    >>> choice = select_samples(open_archs4(place), series=["GSE2", "GSE8"])
    >>> choice.positions.tolist(), choice.unknown_series
    ([1], ('GSE8',))
    """
    catalogue = None
    if search is not None:
        catalogue = open_catalogue(compendium, resources=resources)
    elif series or conditions:
        catalogue = find_catalogue(compendium)
    named = _name_samples(compendium, catalogue, samples=samples, series=series)
    positions = named.positions
    for text, is_met in _narrow(compendium, catalogue, search=search, conditions=conditions):
        named.n_per_condition[text] = int(is_met.sum())
        positions = positions[is_met[positions]]
    if n_random is not None:
        positions = _draw(positions, n_random, rng)
    if len(positions) == 0:
        raise EmptySelectionError(_explain_empty(compendium, named))
    return replace(named, positions=positions)


def _name_samples(
    compendium: Compendium,
    catalogue: Catalogue | None,
    *,
    samples: Sequence[str] | None,
    series: Sequence[str] | None,
) -> SampleChoice:
    """Find the samples and series that are named; all samples if none is."""
    asked, asked_series = list(samples or ()), list(series or ())
    n_asked = len(asked) + len(asked_series)
    n_repeated = n_asked - len(set(asked)) - len(set(asked_series))
    if samples is None and series is None:
        return SampleChoice(np.arange(compendium.n_samples), 0, (), (), {})
    unique = list(dict.fromkeys(asked))
    rows = compendium.sample_ids.get_indexer(pd.Index(unique, dtype=object))
    unknown = tuple(name for name, row in zip(unique, rows, strict=True) if row < 0)
    positions = rows[rows >= 0].astype(np.int64)
    unknown_series: tuple[str, ...] = ()
    if asked_series:
        is_member, unknown_series = _find_series(compendium, catalogue, asked_series)
        positions = pd.unique(np.concatenate([positions, np.flatnonzero(is_member)]))
    return SampleChoice(positions, n_asked, unknown, unknown_series, {}, n_repeated)


def _narrow(
    compendium: Compendium,
    catalogue: Catalogue | None,
    *,
    search: str | None,
    conditions: Iterable[str | Condition],
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Give each query or condition with the samples of the file that meet it."""
    if search is not None and catalogue is not None:
        is_found = np.zeros(compendium.n_samples, dtype=np.bool_)
        is_found[catalogue.match(search)] = True
        yield f"search: {search}", is_found
    for condition in conditions:
        parsed = parse_condition(condition) if isinstance(condition, str) else condition
        yield (
            str(parsed),
            meets_condition(read_values(compendium, catalogue, parsed.field), parsed),
        )


def _draw(
    positions: NDArray[np.int64], n_random: int, rng: np.random.Generator | None
) -> NDArray[np.int64]:
    """Draw samples, in file order; all where there are no more."""
    if n_random < 1:
        msg = f"{n_random} random samples were asked for; ask for at least 1"
        raise InvalidValueError(msg)
    if n_random >= len(positions):
        return positions
    if rng is None:
        msg = f"{n_random} random samples need a source of randomness; pass rng"
        raise InvalidValueError(msg)
    return np.sort(rng.choice(positions, size=n_random, replace=False))


def _explain_empty(compendium: Compendium, named: SampleChoice) -> str:
    """Say why no sample is left."""
    missing = first_few([*named.unknown_samples, *named.unknown_series])
    met = first_few(f"{text} ({n})" for text, n in named.n_per_condition.items())
    return (
        f"no sample of {compendium.path.name} is left of {compendium.n_samples}: not found: "
        f"{missing or 'nothing'}; samples that meet each condition: {met or 'none asked'}; "
        "relax the selection"
    )
