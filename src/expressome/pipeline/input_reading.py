"""Any input of `predict` as blocks of values on the model's own genes and scale."""

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.addresses import is_url
from expressome.archs4.reader import open_archs4
from expressome.atlas import Atlas, open_atlas
from expressome.blocks import row_spans
from expressome.classification.model import HIGHEST_MISSING, MISSING_FLAGGED
from expressome.engine import Resources
from expressome.errors import (
    FractionalCountsWarning,
    IdentifierError,
    MissingGenesWarning,
    ModelError,
    ScaleMismatchError,
    ShapeError,
    first_few,
)
from expressome.normalization.recipe import Normalizer
from expressome.outputs import check_input
from expressome.pipeline.gene_agreeing import warn_of_disagreement
from expressome.pipeline.gene_mapping import map_genes
from expressome.pipeline.gene_naming import name_genes, tell_species
from expressome.pipeline.value_reading import restore_order
from expressome.reference.identifiers import guess_species, load_identifiers
from expressome.tables import CountTable, read_counts
from expressome.tables.scale import ColumnProfile, refuse_bad_values, refuse_other_scales

__all__ = ["GeneScale", "PredictionInput", "open_input", "open_table"]

CountSource = str | os.PathLike[str] | pd.DataFrame
# Ids that tell genes from samples.
_N_IDS_LOOKED_AT = 500
# Counts of a person's table are in memory already; blocks bound what normalising adds.
_ROWS_AT_ONCE = 256


class GeneScale(Protocol):
    """Genes and a normalisation that samples are brought onto: those of a model or of a map."""

    @property
    def genes(self) -> pd.Index:
        """Ids of the genes asked for, in order."""

    @property
    def normalizer_parts(self) -> dict[str, Any]:
        """What turns counts into values."""

    @property
    def description(self) -> dict[str, Any]:
        """Species and level."""


@dataclass(frozen=True, slots=True)
class PredictionInput:
    """Samples to label.

    Attributes
    ----------
    samples
        Their ids.
    n_missing
        Genes of the model that the input lacks.
    blocks
        Called with positions of samples, yields (slice over them, values of the
        model's genes, NaN where missing).
    is_labelled
        Whether each sample carries a label, for an atlas; else None.
    gene_mapping
        What became of a table's gene ids, where they had to be mapped; else None.
    """

    samples: pd.Index
    n_missing: int
    blocks: Callable[[NDArray[np.int64]], Iterator[tuple[slice, NDArray[np.float32]]]]
    is_labelled: NDArray[np.bool_] | None = None
    gene_mapping: dict[str, Any] | None = None


def open_input(
    model: GeneScale, source: CountSource | Atlas, *, resources: Resources
) -> PredictionInput:
    """Open an ARCHS4 file, an atlas, a count table or a DataFrame for a model.

    Parameters
    ----------
    model
        Whose genes and scale are asked for.
    source
        ARCHS4 file, atlas folder (or an open atlas), TSV/CSV/Parquet/h5ad of
        counts, or a DataFrame genes x samples with gene ids as index.
    resources
        Memory and threads.

    Returns
    -------
    PredictionInput
        Nothing but ids is read yet, except for tables.

    Raises
    ------
    IdentifierError
        If the genes are of another species.
    ScaleMismatchError
        If TPM is given to a model of counts, or the other way round.
    ModelError
        If more than half of the model's genes are missing.

    Warns
    -----
    MissingGenesWarning
        If more than 20% of the model's genes are missing.
    """
    if isinstance(source, pd.DataFrame):
        opened = _open_frame(model, source)
    elif isinstance(source, Atlas):
        opened = _open_atlas(model, source, resources)
    elif isinstance(source, str) and is_url(source):
        opened = _open_file(model, source, resources)
    else:
        path = check_input(source)
        if path.is_dir():
            opened = _open_atlas(model, open_atlas(path), resources)
        elif _is_hdf5(path) and path.suffix != ".h5ad":
            opened = _open_file(model, path, resources)
        else:
            return open_table(model, read_counts(path))
    _check_missing(model, opened.n_missing)
    return opened


def open_table(model: GeneScale, table: CountTable) -> PredictionInput:
    """Open a count table that was read already.

    Parameters
    ----------
    model
        Whose genes and scale are asked for.
    table
        Counts of one table.

    Returns
    -------
    PredictionInput
        Its samples.

    Raises
    ------
    IdentifierError, ModelError
        As for `open_input`.
    """
    opened = _open_counts(
        model, table.counts, table.genes, samples=table.samples, name=table.path.name
    )
    _check_missing(model, opened.n_missing)
    return opened


def _is_hdf5(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _check_missing(model: GeneScale, n_missing: int) -> None:
    share = n_missing / max(1, len(model.genes))
    text = f"{n_missing:,} of the model's {len(model.genes):,} genes ({share:.0%}) are missing"
    if share > HIGHEST_MISSING:
        msg = (
            f"{text} from the input; more than {HIGHEST_MISSING:.0%} cannot be filled in: "
            "give a table with more genes or check its gene ids"
        )
        raise ModelError(msg)
    if share > MISSING_FLAGGED:
        msg = f"{text} from the input and take their training medians; answers are flagged"
        warnings.warn(msg, MissingGenesWarning, stacklevel=4)


def _check_species(model: GeneScale, species: str, name: str) -> None:
    expected = model.description.get("species", "")
    if species and expected and species != expected:
        msg = (
            f"{name} holds {species} genes, but the model was trained on {expected}; "
            f"use a {species} model"
        )
        raise IdentifierError(msg)


def _columns(normalizer: Normalizer, model: GeneScale) -> NDArray[np.int64]:
    """Find the model's genes among those the recipe gives."""
    return np.asarray(pd.Index(normalizer.genes).get_indexer(model.genes), dtype=np.int64)


def _open_file(model: GeneScale, path: Path | str, resources: Resources) -> PredictionInput:
    """Stream an ARCHS4 file."""
    compendium = open_archs4(path)
    normalizer = Normalizer.from_parts(model.normalizer_parts)
    warn_of_disagreement(compendium)
    _check_species(model, tell_species(compendium), compendium.path.name)
    if compendium.unit != normalizer.unit:
        msg = (
            f"{compendium.path.name} holds {compendium.unit}, but the model was trained on "
            f"{normalizer.unit}; use a file of {normalizer.unit}"
        )
        raise ScaleMismatchError(msg)
    level = model.description.get("level", "gene")
    if compendium.level != level:
        msg = (
            f"{compendium.path.name} is of {compendium.level} level, the model of {level} level; "
            f"use a file of {level} level"
        )
        raise ModelError(msg)
    genes = name_genes(
        compendium,
        species=str(model.description.get("species", "")),
        wanted=pd.Index(normalizer.genes),
    )
    columns = _columns(normalizer, model)
    known = np.flatnonzero(genes.isin(pd.Index(normalizer.genes)))

    def blocks(rows: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        for span, counts in compendium.blocks(rows, known, resources=resources):
            values = normalizer.apply(counts, genes=genes[known])
            yield span, values[:, columns]

    n_missing = int((~model.genes.isin(genes)).sum())
    return PredictionInput(compendium.samples.index, n_missing, blocks)


def _open_atlas(model: GeneScale, atlas: Atlas, resources: Resources) -> PredictionInput:
    """Read an atlas on the model's scale, or bring it there by its ranks."""
    ours = Normalizer.from_parts(model.normalizer_parts)
    theirs = Normalizer.from_parts(atlas.normalizer_parts)
    _check_species(model, str(atlas.description.get("species", "")), atlas.path.name)
    # A map has a scale but no such choice.
    use_ranks = bool(getattr(model, "use_ranks", False))
    if ours.unit != theirs.unit if use_ranks else ours.recipe != theirs.recipe:
        msg = (
            f"{atlas.path.name} was made by the recipe {theirs.recipe}, the model by "
            f"{ours.recipe}; normalize the file with {ours.recipe}"
        )
        raise ScaleMismatchError(msg)
    found = atlas.var.index.get_indexer(model.genes)
    is_labelled = (
        atlas.labels.is_labelled if atlas.labels.n_labels else np.zeros(atlas.n_samples, bool)
    )
    has_same_scale = (
        use_ranks
        or ours.target is None
        or (
            theirs.target is not None
            and ours.genes == theirs.genes
            and np.array_equal(ours.target.profile, theirs.target.profile)
        )
    )

    def direct(rows: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        present = found >= 0
        for span, block in atlas.blocks(rows, found[present], resources=resources):
            values = np.full((len(block), len(found)), np.nan, np.float32)
            known = restore_order(block, theirs, found[present]) if use_ranks else block
            values[:, present] = known
            yield span, values

    def ranked(rows: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        columns = _columns(ours, model)
        for span, block in atlas.blocks(rows, resources=resources):
            # Ranks within a sample survive the other target, and are all that ours needs.
            before = block if theirs.divisor is None else block * theirs.divisor
            mapped = ours.apply(np.maximum(before, 0), genes=atlas.var.index)
            yield span, mapped[:, columns]

    n_missing = int((found < 0).sum())
    blocks = direct if has_same_scale else ranked
    return PredictionInput(atlas.obs.index, n_missing, blocks, is_labelled)


def _open_counts(
    model: GeneScale,
    counts: NDArray[Any],
    genes: pd.Index,
    *,
    samples: pd.Index,
    name: str,
) -> PredictionInput:
    """Map the genes of a count table and normalise it block by block."""
    normalizer = Normalizer.from_parts(model.normalizer_parts)
    species = str(model.description.get("species", ""))
    _check_species(model, guess_species(list(genes)), name)
    figures: dict[str, Any] | None = None
    if species in {"human", "mouse"} and not genes.isin(pd.Index(normalizer.genes)).all():
        _refuse_transposed(genes, samples, species, name)
        mapping = map_genes(genes, species=species)
        counts, genes, figures = mapping.apply(counts), mapping.genes, mapping.figures()
    columns = _columns(normalizer, model)

    def blocks(rows: NDArray[np.int64]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        for span in row_spans(len(rows), row_bytes=1, budget_bytes=_ROWS_AT_ONCE):
            values = normalizer.apply(counts[rows[span]], genes=genes)
            yield span, values[:, columns]

    n_missing = int((~model.genes.isin(genes)).sum())
    return PredictionInput(samples, n_missing, blocks, gene_mapping=figures)


def _refuse_transposed(genes: pd.Index, samples: pd.Index, species: str, name: str) -> None:
    """Name a table that holds samples in rows, before its genes are found missing."""
    table = load_identifiers(species)
    (n_rows, row_share), (n_columns, column_share) = (
        (len(looked_at), table.map(looked_at).n_mapped / max(1, len(looked_at)))
        for looked_at in (ids[:: max(1, len(ids) // _N_IDS_LOOKED_AT)] for ids in (genes, samples))
    )
    if column_share > 0.5 > row_share:
        msg = (
            f"{column_share:.0%} of {n_columns:,} columns looked at in {name} are named like "
            f"{species} genes, and {row_share:.0%} of {n_rows:,} rows; genes belong in rows and "
            "samples in columns: transpose the table"
        )
        raise ShapeError(msg)


def _open_frame(model: GeneScale, table: pd.DataFrame) -> PredictionInput:
    """Check a DataFrame of counts, genes x samples, as a file would be."""
    name = "the table"
    if table.empty:
        msg = f"the table has {table.shape[0]} genes and {table.shape[1]} samples; both are needed"
        raise ShapeError(msg)
    if not table.columns.is_unique:
        repeated = table.columns[table.columns.duplicated()]
        msg = f"{len(repeated)} sample ids occur twice ({first_few(repeated)}); make them unique"
        raise IdentifierError(msg)
    values = table.to_numpy(dtype=np.float64)
    genes = pd.Index([str(gene) for gene in table.index], dtype=object)
    profile = ColumnProfile.empty(values.shape[1])
    profile.add(values, list(genes))
    refuse_other_scales(profile, table.columns, Path(name))
    refuse_bad_values(profile, table.columns, Path(name))
    values = values.T
    rounded = np.rint(values)
    n_rounded = int((rounded != values).sum())
    if n_rounded:
        msg = f"{n_rounded} of {values.size} estimated counts were rounded half to even"
        warnings.warn(msg, FractionalCountsWarning, stacklevel=5)
    return _open_counts(
        model, rounded.astype(np.uint32), genes, samples=pd.Index(table.columns), name=name
    )
