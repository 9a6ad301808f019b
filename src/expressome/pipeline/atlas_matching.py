"""Whether a file's samples can join an atlas, and where its genes are."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.reader import Compendium
from expressome.atlas import Atlas
from expressome.errors import AtlasError, IdentifierError, ScaleMismatchError
from expressome.normalization.recipe import Normalizer
from expressome.pipeline.gene_naming import name_genes
from expressome.pipeline.gene_planning import check_overlap

__all__ = ["check_same_kind", "match_genes", "read_hashes"]


def read_hashes(atlas: Atlas) -> NDArray[np.object_]:
    """Read the fingerprint of each sample's counts.

    Parameters
    ----------
    atlas
        An atlas that `normalize` wrote.

    Returns
    -------
    ndarray
        Text, shape (n_samples,).

    Raises
    ------
    AtlasError
        If it holds none.
    """
    if "counts_hash" not in atlas.obs:
        msg = (
            f"{atlas.path.name} keeps no fingerprints of counts (counts_hash); it was made by an "
            "earlier version: make it again with normalize"
        )
        raise AtlasError(msg)
    return atlas.obs["counts_hash"].astype(str).to_numpy(dtype=object)


def match_genes(
    compendium: Compendium, normalizer: Normalizer
) -> tuple[NDArray[np.int64], pd.Index | None]:
    """Find an atlas's genes in a file.

    Parameters
    ----------
    compendium
        The file.
    normalizer
        Of the atlas.

    Returns
    -------
    tuple
        Positions of the genes to read, and their ids where they are not all of the
        atlas's genes in its order.

    Raises
    ------
    IdentifierError
        If more than half are missing, or the file repeats an id.

    Warns
    -----
    MissingGenesWarning
        If any is missing.
    """
    genes = name_genes(compendium, wanted=pd.Index(normalizer.genes))
    if not genes.is_unique:
        n_repeated = int(genes.duplicated().sum())
        msg = f"{compendium.path} repeats {n_repeated} gene ids; pack it again with unique ids"
        raise IdentifierError(msg)
    check_overlap(normalizer.genes, genes, compendium.path.name)
    wanted = genes.get_indexer(pd.Index(normalizer.genes))
    if (wanted >= 0).all():
        return np.asarray(wanted, np.int64), None
    columns = np.sort(wanted[wanted >= 0]).astype(np.int64)
    return columns, genes[columns]


def check_same_kind(compendium: Compendium, atlas: Atlas) -> None:
    """Refuse a file of another species, level or unit than the atlas.

    Parameters
    ----------
    compendium
        The file.
    atlas
        The atlas.

    Raises
    ------
    IdentifierError
        If species or level differ.
    ScaleMismatchError
        If one holds counts and the other TPM.
    """
    described, name = atlas.description, compendium.path.name
    species = str(described.get("species", ""))
    if species and compendium.species and species != compendium.species:
        msg = (
            f"{name} holds {compendium.species} genes, {atlas.path.name} {species} ones; "
            f"choose a {species} file or make an atlas of its own"
        )
        raise IdentifierError(msg)
    level = str(described.get("level", compendium.level))
    if level != compendium.level:
        msg = (
            f"{name} is of {compendium.level} level, {atlas.path.name} of {level} level; "
            f"choose a file of {level} level"
        )
        raise IdentifierError(msg)
    unit = str(described.get("unit", compendium.unit))
    if unit != compendium.unit:
        msg = (
            f"{name} holds {compendium.unit}, {atlas.path.name} was made from {unit}; "
            f"choose a file of {unit}"
        )
        raise ScaleMismatchError(msg)
