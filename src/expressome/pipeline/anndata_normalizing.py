"""Put an AnnData object on the scale of a compendium, for scanpy users."""

import hashlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.atlas import Atlas, open_atlas
from expressome.errors import (
    FractionalCountsWarning,
    IdentifierError,
    InvalidValueError,
    LeftOutWarning,
    MissingFieldError,
    ShapeError,
    first_few,
)
from expressome.normalization.quantile import load_target
from expressome.normalization.recipe import Normalizer
from expressome.outputs import check_input
from expressome.pipeline.gene_mapping import map_genes
from expressome.pipeline.gene_planning import check_overlap
from expressome.reference.identifiers import guess_species
from expressome.results import Target
from expressome.tables.scale import ColumnProfile, refuse_other_scales
from expressome.version import __version__

__all__ = ["normalize_anndata"]

# Samples made dense at once.
_ROWS_AT_ONCE = 256
_NOTE = "expressome_normalization"


def normalize_anndata(
    adata: Any,  # noqa: ANN401 - AnnData carries no types
    target: Target | Atlas | str | os.PathLike[str],
    *,
    layer: str | None = None,
    to_layer: str | None = None,
    copy: bool = False,
) -> Any:  # noqa: ANN401
    """Put the samples of an AnnData object on the scale of a target.

    Each sample is mapped by itself, so that values compare with those of the
    compendium that the target was fitted on, whatever else is in the object.

    Parameters
    ----------
    adata
        Samples x genes, dense or sparse counts (TPM for an atlas made by the recipe ``tpm``).
        ``var_names`` are Ensembl ids, with or without version, symbols, synonyms or Entrez ids.
        NaN marks genes that a sample did not measure.
    target
        A fitted `Target` or a file that `save_target` wrote: log2(1 + count), quantile
        normalised. An atlas or its folder: the atlas's own recipe, with its lengths.
    layer
        Layer that holds the counts; ``X`` by default.
    to_layer
        Layer to write; ``X`` by default, whose counts are then gone.
    copy
        Whether to leave `adata` as it is and return a changed copy.

    Returns
    -------
    AnnData or None
        The copy, or None where `adata` itself was changed: float32 values of the same shape,
        ``var["in_target"]``, and the origin in ``uns["expressome_normalization"]``.
        Genes the target does not know are NaN: take ``adata[:, adata.var["in_target"]]``.

    Raises
    ------
    IdentifierError
        If species differ, or more than half of the target's genes are missing.
    ScaleMismatchError
        If the values look like TPM, FPKM or logarithms.
    InvalidCountsError
        If a value is negative or infinite.
    MissingFieldError
        If there is no such layer.
    InvalidValueError
        If the object is a view or backed by a file, neither of which can take the values.
    ShapeError
        If the target names no genes and has another number of them.

    Warns
    -----
    MissingGenesWarning
        If genes of the target are missing.
    LeftOutWarning
        If the object has genes that the target does not know.
    FractionalCountsWarning
        If estimated counts were rounded half to even.

    Notes
    -----
    Genes the target does not know are dropped before anything is ranked; with m of
    its genes, the target is read at (rank - 0.5) / m. Columns that mean the same gene are summed
    and get the same value. Memory: the new values, which are dense, and 256 samples of counts.

    Examples
    --------
    >>> import anndata
    >>> from scipy import sparse
    >>> from expressome import fit_target
    >>> target = fit_target(np.array([[7, 1, 3], [3, 0, 15]]), genes=["A", "B", "C"])
    >>> mine = anndata.AnnData(sparse.csr_matrix([[9.0, 0, 0], [1, 2, 3]]))
    >>> mine.var_names = ["C", "B", "A"]
    >>> normalize_anndata(mine, target, to_layer="quantile")
    >>> mine.layers["quantile"]
    array([[3.5 , 1.25, 1.25],
           [0.5 , 2.  , 3.5 ]], dtype=float32)
    >>> mine.uns["expressome_normalization"]["recipe"]
    'log2-quantile'
    """
    normalizer, origin = _open_normalizer(target)
    _check_object(adata, layer, copy=copy)
    counts = adata.X if layer is None else adata.layers[layer]
    columns = _map_columns(pd.Index(adata.var_names), normalizer)
    values = _normalize(counts, columns, normalizer, pd.Index(adata.obs_names))
    changed = adata.copy() if copy else adata
    if to_layer is None:
        changed.X = values
    else:
        changed.layers[to_layer] = values
    changed.var["in_target"] = columns.places >= 0
    changed.uns[_NOTE] = {
        "recipe": normalizer.recipe,
        "target": origin,
        "target_n_genes": normalizer.n_genes,
        "from_layer": layer or "X",
        "to_layer": to_layer or "X",
        "version": __version__,
    } | _identify(normalizer)
    return changed if copy else None


def _open_normalizer(
    target: Target | Atlas | str | os.PathLike[str],
) -> tuple[Normalizer, str]:
    """Give the recipe that a target stands for, and where it comes from."""
    origin = "Target"
    if isinstance(target, str | os.PathLike):
        place = check_input(target)
        origin = str(Path(place).absolute())
        target = open_atlas(place) if place.is_dir() else load_target(place)
    if isinstance(target, Atlas):
        return Normalizer.from_parts(target.normalizer_parts), str(target.path.absolute())
    genes = target.genes or tuple(str(g) for g in range(target.n_genes))
    return Normalizer(
        "log2-quantile", genes, Target(target.profile, target.n_samples, target.genes)
    ), origin


def _identify(normalizer: Normalizer) -> dict[str, Any]:
    """Name the target by its content."""
    if normalizer.target is None:
        return {}
    profile = np.ascontiguousarray(normalizer.target.profile)
    return {
        "target_n_samples": normalizer.target.n_samples,
        "target_sha256": hashlib.sha256(profile.tobytes()).hexdigest(),
    }


def _check_object(adata: Any, layer: str | None, *, copy: bool) -> None:  # noqa: ANN401
    """Refuse an object that lacks the counts or cannot take the values."""
    if layer is not None and layer not in adata.layers:
        msg = f"there is no layer {layer!r}; the object has {first_few(adata.layers) or 'none'}"
        raise MissingFieldError(msg)
    if layer is None and adata.X is None:
        msg = "X is empty; name the layer that holds the counts"
        raise MissingFieldError(msg)
    if getattr(adata, "isbacked", False):
        msg = "the object is backed by a file; read it with adata.to_memory() first"
        raise InvalidValueError(msg)
    if adata.is_view and not copy:
        msg = "the object is a view of another; pass adata.copy(), or copy=True"
        raise InvalidValueError(msg)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns of an object are which genes.

    Attributes
    ----------
    genes
        Ids of the genes, unique.
    rows
        Columns that have a gene.
    codes
        Position in `genes` of each of these.
    places
        Position of each column's gene among the normalizer's, -1 for none; shape (n_vars,).
    """

    genes: pd.Index
    rows: NDArray[np.intp]
    codes: NDArray[np.intp]
    places: NDArray[np.intp]


def _map_columns(names: pd.Index, normalizer: Normalizer) -> _Columns:
    """Find the target's genes among the columns; say what is missing on either side."""
    known = pd.Index(normalizer.genes)
    names = pd.Index([str(name) for name in names], dtype=object)
    if normalizer.target is not None and not normalizer.target.genes:
        if len(names) != len(known):
            msg = (
                f"the target names no genes and has {len(known)}, the object {len(names)}; "
                "use a target that was saved with its genes"
            )
            raise ShapeError(msg)
        every = np.arange(len(names))
        return _Columns(known, every, every, every)
    species = guess_species(list(known[:1000]))
    if species and not names.isin(known).all():
        theirs = guess_species(list(names))
        if theirs and theirs != species:
            msg = f"the object holds {theirs} genes, the target {species} ones; use its species"
            raise IdentifierError(msg)
        mapping = map_genes(names, species=species)
        genes, rows, codes = mapping.genes, mapping.rows, mapping.codes
    else:
        codes, unique = pd.factorize(names)
        genes, rows = pd.Index(unique), np.arange(len(names))
    check_overlap(normalizer.genes, genes, "the object")
    places = np.full(len(names), -1, np.intp)
    places[rows] = known.get_indexer(genes)[codes]
    n_unknown = int((places < 0).sum())
    if n_unknown:
        text = (
            f"{n_unknown:,} of {len(names):,} genes are not among the target's "
            f"({first_few(names[places < 0], 3)}) and became NaN; "
            "adata[:, adata.var['in_target']] leaves them out"
        )
        warnings.warn(text, LeftOutWarning, stacklevel=3)
    return _Columns(genes, rows, codes, places)


def _normalize(
    counts: Any,  # noqa: ANN401 - dense or sparse
    columns: _Columns,
    normalizer: Normalizer,
    samples: pd.Index,
) -> NDArray[np.float32]:
    """Normalise 256 samples at a time."""
    values = np.full(counts.shape, np.nan, np.float32)
    is_placed = columns.places >= 0
    n_rounded = 0
    for start in range(0, counts.shape[0], _ROWS_AT_ONCE):
        rows = slice(start, min(start + _ROWS_AT_ONCE, counts.shape[0]))
        block = counts[rows]
        dense = np.asarray(block.toarray() if hasattr(block, "toarray") else block, np.float64)
        if normalizer.unit == "counts":
            _refuse_scale(dense, samples[rows])
            rounded = np.rint(dense)
            n_rounded += int(((rounded != dense) & ~np.isnan(dense)).sum())
            dense = rounded
        found = normalizer.apply(_sum_genes(dense, columns), genes=columns.genes)
        values[rows, is_placed] = found[:, columns.places[is_placed]]
    if n_rounded:
        text = f"{n_rounded} of {values.size} estimated counts were rounded half to even"
        warnings.warn(text, FractionalCountsWarning, stacklevel=3)
    return values


def _refuse_scale(dense: NDArray[np.float64], samples: pd.Index) -> None:
    """Refuse values that are no counts; impossible ones are refused by the normalizer."""
    profile = ColumnProfile.empty(len(dense))
    possible = np.clip(np.nan_to_num(dense, nan=0.0), 0, np.iinfo(np.uint32).max)
    profile.add(possible.T, [])
    refuse_other_scales(profile, samples, Path("the object"))


def _sum_genes(dense: NDArray[np.float64], columns: _Columns) -> NDArray[np.float64]:
    """Give one column per gene; columns of one gene are summed."""
    if len(columns.codes) == len(columns.genes):
        return dense[:, columns.rows[np.argsort(columns.codes)]]
    summed = np.zeros((len(dense), len(columns.genes)))
    np.add.at(summed.T, columns.codes, dense[:, columns.rows].T)
    return summed
