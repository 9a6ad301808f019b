"""The gene tables that ship with the package."""

import functools
from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

import pandas as pd

from expressome.errors import InvalidValueError

__all__ = ["SPECIES", "Species", "check_species", "load_genes", "open_table"]

Species = Literal["human", "mouse"]
SPECIES: tuple[Species, ...] = ("human", "mouse")


def check_species(species: str) -> Species:
    """Return a species that tables are shipped for.

    Parameters
    ----------
    species
        What was asked for.

    Returns
    -------
    str
        ``"human"`` or ``"mouse"``.

    Raises
    ------
    InvalidValueError
        If it is neither.

    Examples
    --------
    >>> check_species("mouse")
    'mouse'
    """
    if species not in SPECIES:
        msg = f"species is {species!r}; write human or mouse (other species need their own GTF)"
        raise InvalidValueError(msg)
    return species


def open_table(name: str) -> AbstractContextManager[Path]:
    """Give the path of a file of this package, for as long as the block lasts.

    Parameters
    ----------
    name
        File in ``reference/data``.

    Returns
    -------
    context manager
        Of a Path, also where the package is installed as a zip file.

    Examples
    --------
    >>> with open_table("SOURCES.tsv") as path:
    ...     path.name
    'SOURCES.tsv'
    """
    return as_file(files(__package__) / "data" / name)


@functools.cache
def load_genes(species: str) -> pd.DataFrame:
    """Load the shipped gene table of a species, once per process.

    Parameters
    ----------
    species
        ``"human"`` or ``"mouse"``.

    Returns
    -------
    DataFrame
        Index ``gene`` (Ensembl id without version); columns ``symbol``, ``biotype``,
        ``status`` (primary, par_y, retired or alternative) and, per definition,
        the length in bp and what it rests on. Shared: copy before changing it.

    Raises
    ------
    InvalidValueError
        If there is no table for the species.

    Examples
    --------
    >>> load_genes("human").loc["ENSG00000141510", "symbol"]
    'TP53'
    """
    with open_table(f"genes_{check_species(species)}.parquet") as path:
        return pd.read_parquet(path).set_index("gene")
