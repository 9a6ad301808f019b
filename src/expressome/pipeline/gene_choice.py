"""Choose the genes that several tables measure, and say what each table costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import EmptySelectionError, first_few

__all__ = ["GeneChoice", "GenePresence", "choose_genes", "find_costs", "find_presence"]

GeneChoice = Literal["common", "any"]

# Steps of the path that leaves out the costliest table first.
_N_REMOVALS = 5


@dataclass(frozen=True, slots=True)
class GenePresence:
    """Which table measures which gene.

    Attributes
    ----------
    genes
        All genes, in the order in which tables name them, shape (n_genes,).
    tables
        Names of the tables.
    measured
        Shape (n_tables, n_genes).
    """

    genes: pd.Index
    tables: tuple[str, ...]
    measured: NDArray[np.bool_]


def find_presence(tables: Sequence[tuple[str, pd.Index]]) -> GenePresence:
    """Lay the genes of several tables side by side.

    Parameters
    ----------
    tables
        Name and gene ids (unique) of each table.

    Returns
    -------
    GenePresence
        The union of the genes and which table has which.

    Examples
    --------
    >>> find_presence([("a", pd.Index(["g1", "g2"])), ("b", pd.Index(["g2"]))]).measured
    array([[ True,  True], [False,  True]])
    """
    union = pd.Index(pd.unique(np.concatenate([genes for _, genes in tables])), name="gene")
    measured = np.zeros((len(tables), len(union)), dtype=bool)
    for t, (_, genes) in enumerate(tables):
        measured[t, union.get_indexer(genes)] = True
    return GenePresence(union, tuple(name for name, _ in tables), measured)


def _group_tables(presence: GenePresence) -> list[list[int]]:
    """Put tables of equal genes together: leaving out one of them gains nothing."""
    groups: dict[bytes, list[int]] = {}
    for t, row in enumerate(presence.measured):
        groups.setdefault(row.tobytes(), []).append(t)
    return list(groups.values())


def _count_common(presence: GenePresence, groups: Sequence[Sequence[int]]) -> int:
    """Count the genes that all these tables measure."""
    return int(presence.measured[[t for group in groups for t in group]].all(axis=0).sum())


def _table_costs(presence: GenePresence, groups: list[list[int]]) -> list[dict[str, Any]]:
    """Say how many common genes are gained without each group."""
    n_common = _count_common(presence, groups)
    costs: list[tuple[int, dict[str, Any]]] = []
    for group in groups:
        others = [other for other in groups if other is not group]
        gained = _count_common(presence, others) - n_common if others else 0
        cost = {
            "tables": [presence.tables[t] for t in group],
            "n_genes": int(presence.measured[group[0]].sum()),
            "n_genes_gained_without": gained,
        }
        costs.append((gained, cost))
    return [cost for _, cost in sorted(costs, key=lambda pair: -pair[0])]


def _removal_path(presence: GenePresence, groups: list[list[int]]) -> list[dict[str, Any]]:
    """Leave out the costliest group, then the next; genes that are then common."""
    left = list(groups)
    path: list[dict[str, Any]] = []
    while len(left) > 1 and len(path) < _N_REMOVALS:
        counts = [_count_common(presence, [g for g in left if g is not out]) for out in left]
        worst = left.pop(int(np.argmax(counts)))
        without = [presence.tables[t] for t in worst]
        path.append({"without": without, "n_genes_common": max(counts)})
    return path


def choose_genes(
    presence: GenePresence, *, genes: GeneChoice = "common", min_tables: float | None = None
) -> pd.Index:
    """Choose genes by the number of tables that measure them.

    Parameters
    ----------
    presence
        From `find_presence`.
    genes
        ``"common"``: measured in every table; ``"any"``: in one.
    min_tables
        Measured in at least this share of the tables, instead of `genes`.

    Returns
    -------
    Index
        Gene ids, sorted.

    Raises
    ------
    EmptySelectionError
        If the tables share no gene.

    Examples
    --------
    >>> presence = find_presence([("a", pd.Index(["g2", "g1"])), ("b", pd.Index(["g2"]))])
    >>> choose_genes(presence).tolist(), choose_genes(presence, min_tables=0.5).tolist()
    (['g2'], ['g1', 'g2'])
    """
    n_tables = len(presence.tables)
    n_needed = n_tables if genes == "common" else 1
    if min_tables is not None:
        # 0.9 of 10 tables are 9: no more because of rounding.
        n_needed = max(1, math.ceil(min_tables * n_tables - 1e-9))
    chosen = presence.measured.sum(axis=0) >= n_needed
    if not chosen.any():
        sizes = zip(presence.tables, presence.measured.sum(axis=1), strict=True)
        msg = (
            f"the {n_tables} tables share no gene: none is measured in {n_needed} of them "
            f"({first_few(f'{name}: {n:,} genes' for name, n in sizes)}); check that they are "
            "of one species, or pass a smaller min_tables"
        )
        raise EmptySelectionError(msg)
    ids = [str(gene) for gene in presence.genes[chosen]]
    return pd.Index(sorted(ids), name="gene", dtype=object)


def find_costs(presence: GenePresence) -> dict[str, Any]:
    """Say how many genes each table costs the common set.

    Parameters
    ----------
    presence
        From `find_presence`.

    Returns
    -------
    dict
        ``costs``: per table (tables of equal genes together) its genes and the
        genes that would be common without it, costliest first; ``removals``: how
        many genes are common when the costliest table is left out, then the next.

    Examples
    --------
    >>> presence = find_presence([("a", pd.Index(["g1", "g2"])), ("b", pd.Index(["g2"]))])
    >>> find_costs(presence)["costs"][0]
    {'tables': ['b'], 'n_genes': 1, 'n_genes_gained_without': 1}
    """
    groups = _group_tables(presence)
    return {"costs": _table_costs(presence, groups), "removals": _removal_path(presence, groups)}
