"""Ensembl ids for the genes that an old file names by their symbol only."""

import warnings

import numpy as np
import pandas as pd

from expressome.archs4.reader import Compendium
from expressome.errors import IdentifierWarning
from expressome.reference.identifiers import guess_species, load_identifiers

__all__ = ["name_genes", "tell_species"]

_NO_ENSEMBL = "symbol:"


def tell_species(compendium: Compendium) -> str:
    """Tell the species of a file, from its symbols where nothing else says it.

    Parameters
    ----------
    compendium
        The file.

    Returns
    -------
    str
        ``"human"``, ``"mouse"``, or ``""`` if nothing tells.
    """
    if compendium.species or not compendium.genes.index.str.startswith(_NO_ENSEMBL).any():
        return compendium.species
    return guess_species(list(compendium.genes["symbol"]))


def name_genes(
    compendium: Compendium, *, species: str = "", wanted: pd.Index | None = None
) -> pd.Index:
    """Give genes without Ensembl id the one of their symbol, where it is one gene's.

    Files of the releases v1 to v6 have symbols alone, and some later ones lack ids of
    a part of their genes. A row is named only if its symbol is of one Ensembl gene,
    which no other row of the file is: nothing is guessed, and no counts are added up.

    Parameters
    ----------
    compendium
        The file.
    species
        ``"human"`` or ``"mouse"``; told from the file by default.
    wanted
        Ids asked for: rows that bear one of them already keep it.

    Returns
    -------
    Index
        Key of each gene of the file, in its order: Ensembl id, else as the file has it.

    Warns
    -----
    IdentifierWarning
        If genes got an id, with the number of those that did not.
    """
    keys = compendium.genes.index
    rows = np.flatnonzero(keys.str.startswith(_NO_ENSEMBL))
    if wanted is not None:
        rows = rows[~keys[rows].isin(wanted)]
    species = species or tell_species(compendium)
    if not len(rows) or species not in {"human", "mouse"} or compendium.level != "gene":
        return keys
    mapped = load_identifiers(species).map(compendium.genes["symbol"].iloc[rows])
    found = pd.Series(mapped.genes, dtype=object)
    is_one = (found != "") & ~found.duplicated(keep=False) & ~found.isin(keys)
    if not is_one.any():
        return keys
    named = keys.to_numpy(dtype=object, copy=True)
    named[rows[is_one]] = found[is_one]
    n_unknown = len(mapped.unknown)
    msg = (
        f"{len(rows):,} of {len(keys):,} genes of {compendium.path.name} have a symbol but no "
        f"Ensembl id: {int(is_one.sum()):,} got that of their symbol; {n_unknown:,} symbols are "
        f"unknown and {len(rows) - int(is_one.sum()) - n_unknown:,} belong to several genes or "
        "rows: these keep the key symbol:NAME"
    )
    warnings.warn(msg, IdentifierWarning, stacklevel=4)
    index: pd.Index = pd.Index(named, name=keys.name)
    return index
