"""Find samples of an ARCHS4 file by what was written of them."""

import os
from collections.abc import Iterable

import numpy as np
import pandas as pd

from expressome.archs4.catalogue import Ranking, open_catalogue
from expressome.archs4.reader import open_archs4
from expressome.archs4.selection import select_samples
from expressome.engine import Resources
from expressome.errors import EmptySelectionError, InvalidValueError

__all__ = ["search"]


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
    if conditions:
        try:
            allowed = select_samples(compendium, conditions=conditions).positions
        except EmptySelectionError:
            allowed = np.empty(0, dtype=np.int64)
        kept = np.isin(ranking.positions, allowed)
        positions, scores = ranking.positions[kept], ranking.scores[kept]
        ranking = Ranking(positions[:limit], scores[:limit], len(positions))
    table = catalogue.describe(ranking.positions)
    table.insert(1, "score", ranking.scores)
    table.attrs["n_found"] = ranking.n_found
    return table
