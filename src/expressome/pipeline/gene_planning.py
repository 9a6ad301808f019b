"""Which genes an atlas holds, how long they are, and where a file has them."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.reader import Compendium
from expressome.atlas import open_atlas
from expressome.errors import (
    ConfigurationError,
    IdentifierError,
    MissingGenesWarning,
    first_few,
)
from expressome.normalization.quantile import load_target
from expressome.pipeline.gene_naming import name_genes
from expressome.reference.lengths import Missing, resolve_lengths
from expressome.results import Target

__all__ = ["GenePlan", "check_overlap", "plan_genes", "read_target"]

# Shares of a target's genes that may be missing before it is said, and before it is refused.
_FLAGGED_SHARE, _REFUSED_SHARE = 0.2, 0.5


@dataclass(frozen=True, slots=True)
class GenePlan:
    """The genes of an atlas-to-be.

    Attributes
    ----------
    table
        One row per gene of the atlas: symbol, biotype and, where lengths are used,
        ``length_bp`` and ``length_source``.
    columns
        Positions of the genes to read from the file.
    read_ids
        Their ids if they are not the atlas's genes in its order, else None.
    target
        The saved target, or None if one is to be fitted.
    coverage
        Where lengths come from, and how many genes have one.
    """

    table: pd.DataFrame
    columns: NDArray[np.int64]
    read_ids: pd.Index | None
    target: Target | None
    coverage: dict[str, Any]

    @property
    def genes(self) -> tuple[str, ...]:
        """Ids of the atlas's genes."""
        return tuple(str(gene) for gene in self.table.index)

    @property
    def length_bp(self) -> NDArray[np.float64] | None:
        """Length of each gene, in bp, or None."""
        if "length_bp" not in self.table:
            return None
        return self.table["length_bp"].to_numpy(np.float64)


def read_target(path: str | os.PathLike[str] | None) -> Target | None:
    """Read a saved target, or that of another atlas.

    Parameters
    ----------
    path
        File that `save_target` wrote, or an atlas; None gives None.

    Returns
    -------
    Target or None
        The distribution and its genes.
    """
    if path is None:
        return None
    return open_atlas(path).target if Path(path).is_dir() else load_target(path)


def plan_genes(
    compendium: Compendium,
    *,
    lengths: pd.DataFrame | None,
    missing: Missing,
    target: Target | None,
) -> GenePlan:
    """Choose the genes of an atlas and find them in the file.

    Parameters
    ----------
    compendium
        File to normalise.
    lengths
        What `load_lengths` gave, or None if the recipe divides by none.
    missing
        What to do with genes without length.
    target
        A saved target, whose genes then are the atlas's genes.

    Returns
    -------
    GenePlan
        Genes of the file, or of the target, each with its length.

    Raises
    ------
    IdentifierError
        If the file repeats a gene id, or has less than half of the target's genes.
    ConfigurationError
        If genes of a saved target would be dropped for want of a length.

    Warns
    -----
    MissingGenesWarning
        If the file lacks genes of the target.
    """
    known = None if target is None or not target.genes else pd.Index(target.genes)
    genes = compendium.genes.set_axis(name_genes(compendium, wanted=known))
    if not genes.index.is_unique:
        repeated = genes.index[genes.index.duplicated()].unique()
        msg = (
            f"{compendium.path} has {len(repeated)} gene ids more than once "
            f"({first_few(repeated)}); pack it again with unique ids"
        )
        raise IdentifierError(msg)
    table = genes if target is None else _table_of_target(target, genes, compendium.path.name)
    coverage: dict[str, Any] = {}
    if lengths is not None:
        table, coverage = _add_lengths(table, lengths, missing, is_fixed=target is not None)
    wanted = genes.index.get_indexer(table.index)
    if (wanted >= 0).all():
        return GenePlan(table, np.asarray(wanted, np.int64), None, target, coverage)
    columns = np.sort(wanted[wanted >= 0]).astype(np.int64)
    return GenePlan(table, columns, genes.index[columns], target, coverage)


def _table_of_target(target: Target, genes: pd.DataFrame, name: str) -> pd.DataFrame:
    """Describe the target's genes as far as the file knows them."""
    if not target.genes:
        if target.n_genes != len(genes):
            msg = (
                f"the target names no genes and has {target.n_genes}, {name} has {len(genes)}; "
                "save the target with its genes"
            )
            raise IdentifierError(msg)
        return genes
    check_overlap(target.genes, genes.index, name)
    table = genes.reindex(pd.Index(target.genes, name="gene"))
    texts = table.select_dtypes(include="object").columns
    table[texts] = table[texts].fillna("")
    return table


def check_overlap(wanted: Sequence[str], present: pd.Index, source: str) -> int:
    """Count the genes of a target that a file lacks; refuse it if most are missing.

    Parameters
    ----------
    wanted
        Genes of the target.
    present
        Genes of the file.
    source
        Name of the file.

    Returns
    -------
    int
        Genes that are missing.

    Raises
    ------
    IdentifierError
        If more than half are missing.

    Warns
    -----
    MissingGenesWarning
        If any is missing.
    """
    missing = pd.Index(wanted).difference(present, sort=False)
    if not len(missing):
        return 0
    text = (
        f"{source} lacks {len(missing):,} of the target's {len(wanted):,} genes "
        f"({first_few(missing, 3)})"
    )
    if len(missing) > _REFUSED_SHARE * len(wanted):
        msg = f"{text}, more than half; check species and gene ids, or fit a target of its own"
        raise IdentifierError(msg)
    effect = "compare its values with care" if len(missing) > _FLAGGED_SHARE * len(wanted) else ""
    effect = effect or "they are NaN, and the target is interpolated to the others"
    warnings.warn(f"{text}: {effect}", MissingGenesWarning, stacklevel=3)
    return len(missing)


def _add_lengths(
    table: pd.DataFrame, lengths: pd.DataFrame, missing: Missing, *, is_fixed: bool
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Give each gene its length; say how many have one."""
    resolved = resolve_lengths(table, lengths, missing=missing)
    n_dropped = len(table) - len(resolved)
    if is_fixed and n_dropped:
        msg = (
            f"{n_dropped} genes of the saved target have no length and would be dropped, which "
            "changes the target; pass missing_lengths='median' or fit a new one"
        )
        raise ConfigurationError(msg)
    kept = table.loc[resolved.index].assign(
        length_bp=resolved["length_bp"], length_source=resolved["length_source"]
    )
    sources = resolved["length_source"].value_counts()
    coverage = {
        "source": str(lengths.attrs.get("source", "")),
        "n_genes": len(table),
        "n_with_length": int(sources.get("annotation", 0)),
        "n_imputed": int(sources.get("imputed", 0)),
        "n_dropped": n_dropped,
    }
    return kept, coverage
