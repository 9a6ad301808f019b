"""Find samples of an ARCHS4 file by what was written of them."""

import os
from collections.abc import Iterable

import pandas as pd

from expressome.archs4.catalogue import Catalogue, Ranking, open_catalogue
from expressome.archs4.conditions import (
    Condition,
    FieldValues,
    meets_condition,
    parse_condition,
)
from expressome.archs4.query import FIELD_NAMES
from expressome.archs4.reader import Compendium, open_archs4
from expressome.archs4.selection import read_values
from expressome.engine import Resources
from expressome.errors import InvalidValueError

__all__ = ["search"]

# Reading one text by its number costs about ten times one of all texts in order.
_FEW = 0.1


def search(
    file: str | os.PathLike[str],
    query: str,
    *,
    where: Iterable[str] = (),
    limit: int | None = 20,
    resources: Resources | None = None,
) -> pd.DataFrame:
    """Rank the samples of a file by a full-text query.

    Sample id, series, title, source and characteristics are searched, without regard
    to case and accents. The search index is built at the first search of a file.

    Parameters
    ----------
    file
        ARCHS4 file of any release, or its https address.
    query
        Words, ``"phrases"``, ``AND``, ``OR``, ``NOT``, parentheses, ``hepat*`` for a
        beginning, ``title:liver`` for one field. ``*`` finds all samples.
    where
        Conditions on any sample field, all of which must hold, such as
        ``"platform_id=GPL16791"``, ``"alignedreads>5e6"`` or ``"title~^liver"``
        (a regular expression).
    limit
        Samples to give, best first; None for all.
    resources
        Whose progress is called when the index is built.

    Returns
    -------
    DataFrame
        Index ``sample``, best first; columns series, score (BM25, higher is better),
        title, source, characteristics. ``attrs["n_found"]``: samples found in all.

    Raises
    ------
    InvalidValueError
        If query, condition or limit is none; the message says what to write.
    MissingFieldError
        If the file has no field that a condition names.

    Examples
    --------
    >>> search("human_gene_v2.6.h5", "liver NOT tumor", limit=5)  # doctest: +SKIP
    """
    if limit is not None and limit < 1:
        msg = f"limit is {limit}; ask for at least 1 sample"
        raise InvalidValueError(msg)
    compendium = open_archs4(file)
    catalogue = open_catalogue(compendium, resources=resources)
    conditions = list(where)
    ranking = catalogue.rank(query, limit=None if conditions else limit)
    for condition in conditions:
        ranking = _narrow(compendium, catalogue, ranking, parse_condition(condition))
    n_found = ranking.n_found
    ranking = Ranking(ranking.positions[:limit], ranking.scores[:limit], n_found)
    table = catalogue.describe(ranking.positions)
    table.insert(1, "score", ranking.scores)
    table.attrs["n_found"] = ranking.n_found
    return table


def _narrow(
    compendium: Compendium, catalogue: Catalogue, ranking: Ranking, condition: Condition
) -> Ranking:
    """Keep the samples found that meet a condition."""
    if FIELD_NAMES.get(condition.field) and len(ranking.positions) < _FEW * compendium.n_samples:
        # The texts of the samples found are read much sooner than those of all.
        values = FieldValues.of(catalogue.texts(condition.field, ranking.positions))
        is_met = meets_condition(values, condition)
    else:
        values = read_values(compendium, catalogue, condition.field)
        is_met = meets_condition(values, condition)[ranking.positions]
    positions = ranking.positions[is_met]
    return Ranking(positions, ranking.scores[is_met], len(positions))
