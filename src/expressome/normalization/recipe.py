"""Named, ordered steps from counts to values, for any sample and any gene set."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.engine import Resources
from expressome.errors import (
    IdentifierError,
    InvalidValueError,
    ShapeError,
    first_few,
)
from expressome.normalization.depth import to_cpm
from expressome.normalization.length import LengthUnit, to_divisor
from expressome.normalization.quantile import fit_target, map_onto
from expressome.results import Target

__all__ = ["RECIPES", "Normalizer", "Recipe", "fit_normalizer"]

Recipe = Literal["log2-quantile-length", "log2-quantile", "log2-cpm", "tpm"]
RECIPES: tuple[str, ...] = get_args(Recipe)

_WITH_TARGET = ("log2-quantile-length", "log2-quantile", "tpm")
_WITH_LENGTH = ("log2-quantile-length",)


@dataclass(frozen=True, slots=True)
class Normalizer:
    """A recipe with all it learned, ready for one sample or a million.

    Attributes
    ----------
    recipe
        Its name: ``log2-quantile-length``: log2(1 + count), quantile normalised, over
        gene length. ``log2-quantile``: without the division. ``log2-cpm``: log2(1 + counts
        per million). ``tpm``: log2(1 + TPM), quantile normalised; for TPM only.
    genes
        Ids of the genes it gives, in order.
    target
        Distribution of the quantile recipes.
    length_bp
        Length of each gene, in bp, shape (n_genes,), for the recipe that divides.
    length_unit
        Unit of that division.
    """

    recipe: Recipe
    genes: tuple[str, ...]
    target: Target | None = None
    length_bp: NDArray[np.float64] | None = None
    length_unit: LengthUnit = "kb"

    @property
    def n_genes(self) -> int:
        """Genes it gives."""
        return len(self.genes)

    @property
    def unit(self) -> str:
        """What it takes: ``"counts"`` or ``"tpm"``."""
        return "tpm" if self.recipe == "tpm" else "counts"

    @property
    def divisor(self) -> NDArray[np.float64] | None:
        """What each gene's value is divided by, None without length division."""
        if self.recipe not in _WITH_LENGTH or self.length_bp is None:
            return None
        return to_divisor(self.length_bp, self.length_unit)

    def apply(
        self,
        counts: NDArray[Any],
        *,
        genes: Sequence[str] | pd.Index | None = None,
        measured: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float32]:
        """Normalise samples, each on its own.

        Parameters
        ----------
        counts
            Read counts (TPM for the recipe ``tpm``), shape (n_samples, n_input_genes), >= 0.
            NaN where a gene was not measured.
        genes
            Ids of the columns; those of the recipe, in its order, by default. Genes
            that the recipe does not know are dropped before anything is ranked.
        measured
            Whether a sample measured a gene, shape of `counts`, beside any NaN.

        Returns
        -------
        ndarray
            float32, shape (n_samples, n_genes of the recipe). NaN for a gene that is
            absent from the columns or was not measured in a sample.

        Raises
        ------
        ShapeError
            If the columns do not fit `genes`, or `measured` not the counts.
        IdentifierError
            If an id of the recipe occurs twice in `genes`.
        InvalidCountsError
            If a value is negative or infinite.

        Notes
        -----
        With m of the target's genes, the target is read at (rank - 0.5) / m, so that
        a small panel spans the same range as the full set.
        """
        complete = self._align(np.asarray(counts), genes, measured)
        if self.target is None:
            return np.log2(1 + to_cpm(complete)).astype(np.float32)
        return map_onto(complete, self.target.profile, self.divisor)

    def _align(
        self,
        counts: NDArray[Any],
        genes: Sequence[str] | pd.Index | None,
        measured: NDArray[np.bool_] | None,
    ) -> NDArray[Any]:
        """Bring columns into the recipe's order; NaN where there is none."""
        n_columns = self.n_genes if genes is None else len(genes)
        if counts.ndim != 2 or counts.shape[1] != n_columns:
            msg = (
                f"the counts have shape {counts.shape} for {n_columns} genes; pass one column each"
            )
            raise ShapeError(msg)
        if measured is not None:
            if measured.shape != counts.shape:
                msg = f"measured has shape {measured.shape}, the counts {counts.shape}"
                raise ShapeError(msg)
            if not measured.all():
                counts = np.where(measured, counts, np.nan)
        if genes is None or tuple(genes) == self.genes:
            return counts
        columns = _find_columns(pd.Index(genes), self.genes)
        if (columns >= 0).all():
            return counts[:, columns]
        complete = np.full((len(counts), self.n_genes), np.nan)
        complete[:, columns >= 0] = counts[:, columns[columns >= 0]]
        return complete

    def to_parts(self) -> dict[str, Any]:
        """Give everything as arrays and text, for storage without pickle.

        Returns
        -------
        dict
            What `from_parts` takes.
        """
        parts: dict[str, Any] = {
            "recipe": self.recipe,
            "genes": np.array(self.genes, dtype=object),
            "length_unit": self.length_unit,
        }
        if self.target is not None:
            parts |= {"profile": self.target.profile, "n_samples": np.int64(self.target.n_samples)}
        if self.length_bp is not None:
            parts["length_bp"] = self.length_bp
        return parts

    @classmethod
    def from_parts(cls, parts: Mapping[str, Any]) -> "Normalizer":
        """Make a normalizer from what `to_parts` gave.

        Parameters
        ----------
        parts
            Arrays and text.

        Returns
        -------
        Normalizer
            Equal to the one that was stored.
        """
        genes = tuple(str(gene) for gene in parts["genes"])
        target = None
        if "profile" in parts:
            target = Target(
                np.asarray(parts["profile"], np.float64), int(parts["n_samples"]), genes
            )
        length_bp = parts.get("length_bp")
        return cls(
            _check_recipe(str(parts["recipe"])),
            genes,
            target,
            None if length_bp is None else np.asarray(length_bp, np.float64),
            "bp" if str(parts["length_unit"]) == "bp" else "kb",
        )


def fit_normalizer(
    recipe: Recipe,
    blocks: NDArray[Any] | Iterable[NDArray[Any]],
    *,
    genes: Sequence[str],
    length_bp: NDArray[np.float64] | None = None,
    length_unit: LengthUnit = "kb",
    target: Target | None = None,
    resources: Resources | None = None,
) -> Normalizer:
    """Learn what a recipe needs from training samples.

    Parameters
    ----------
    recipe
        Name of the steps, see `Normalizer`.
    blocks
        Counts of the training samples, one array or blocks of shape (n_samples, n_genes); NaN
        where a gene was not measured. Not read when `target` is given or none is needed.
    genes
        Ids of the columns.
    length_bp
        Length of each gene, in bp; needed by the recipe that divides.
    length_unit
        Unit of that division.
    target
        A saved target to use instead of fitting one.
    resources
        Threads to use.

    Returns
    -------
    Normalizer
        Frozen; give it any sample.

    Raises
    ------
    InvalidValueError
        If the recipe is unknown or lacks its lengths.
    ShapeError
        If lengths, genes, target and blocks do not fit each other.

    Examples
    --------
    >>> counts = np.array([[7, 1, 3], [3, 0, 15]])
    >>> normalizer = fit_normalizer("log2-quantile", counts, genes=["A", "B", "C"])
    >>> normalizer.apply(np.array([[5, 9]]), genes=["C", "A"])
    array([[3.125,   nan, 0.875]], dtype=float32)
    """
    recipe = _check_recipe(recipe)
    if recipe in _WITH_LENGTH:
        if length_bp is None or len(length_bp) != len(genes):
            n_lengths = 0 if length_bp is None else len(length_bp)
            msg = f"{n_lengths} lengths for {len(genes)} genes; the recipe {recipe} needs one each"
            raise ShapeError(msg)
        to_divisor(length_bp, length_unit)
    if recipe in _WITH_TARGET and target is None:
        target = fit_target(blocks, genes=genes, resources=resources)
    if target is not None and target.n_genes != len(genes):
        msg = f"the target has {target.n_genes} genes, there are {len(genes)}; pass the same ones"
        raise ShapeError(msg)
    uses_target = recipe in _WITH_TARGET
    return Normalizer(
        recipe,
        tuple(str(gene) for gene in genes),
        target if uses_target else None,
        None if length_bp is None else np.asarray(length_bp, np.float64),
        length_unit,
    )


def _check_recipe(name: str) -> Recipe:
    for recipe in get_args(Recipe):
        if recipe == name:
            return recipe  # type: ignore[no-any-return]  # get_args loses the Literal
    msg = f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}"
    raise InvalidValueError(msg)


def _find_columns(given: pd.Index, wanted: Sequence[str]) -> NDArray[np.intp]:
    """Find the column of each wanted gene; -1 where there is none."""
    if not given.is_unique:
        repeated = given[given.duplicated()].unique()
        known = repeated[repeated.isin(pd.Index(wanted))]
        if len(known):
            msg = (
                f"{len(known)} gene ids occur more than once ({first_few(known)}); "
                "merge or rename these columns"
            )
            raise IdentifierError(msg)
        first = ~given.duplicated()
        return np.where(
            (at := given[first].get_indexer(pd.Index(wanted))) >= 0, np.flatnonzero(first)[at], -1
        )
    return np.asarray(given.get_indexer(pd.Index(wanted)), np.intp)
