"""Bring the gene ids of people's tables to Ensembl ids and their counts along."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import IdentifierError, InvalidCountsError, first_few
from expressome.reference.identifiers import guess_species, load_identifiers

__all__ = ["GeneMapping", "choose_species", "map_genes", "to_species"]

_LARGEST_COUNT = np.iinfo(np.uint32).max
# Names of the two species as people write them, lower case.
_SPECIES_NAMES = {
    "human": "human",
    "homo sapiens": "human",
    "h. sapiens": "human",
    "hsapiens": "human",
    "9606": "human",
    "mouse": "mouse",
    "mus musculus": "mouse",
    "m. musculus": "mouse",
    "mmusculus": "mouse",
    "10090": "mouse",
}


@dataclass(frozen=True, slots=True)
class GeneMapping:
    """Which rows of a table are which Ensembl gene.

    Attributes
    ----------
    genes
        Ensembl ids without version (``_PAR_Y`` kept), unique, in the order in
        which the table first names them.
    rows
        Rows of the table that have a gene, shape (n_mapped,).
    codes
        Position in `genes` of each of those rows, shape (n_mapped,).
    n_rows
        Rows of the table.
    n_rows_per_kind
        Rows mapped through an Ensembl id, symbol, synonym or Entrez id.
    ambiguous
        Ids that several genes claim, with those genes; their rows are left out.
    unknown
        Ids that no gene claims; their rows are left out.
    """

    genes: pd.Index
    rows: NDArray[np.intp]
    codes: NDArray[np.intp]
    n_rows: int
    n_rows_per_kind: dict[str, int]
    ambiguous: dict[str, tuple[str, ...]]
    unknown: list[str]

    @property
    def n_summed(self) -> int:
        """Rows that are added to another row of the same gene."""
        return len(self.rows) - len(self.genes)

    def apply(self, counts: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Give counts per gene; rows of one gene are summed.

        Parameters
        ----------
        counts
            Shape (n_samples, n_rows), genes as in the table.

        Returns
        -------
        ndarray
            uint32, shape (n_samples, n_genes).

        Raises
        ------
        InvalidCountsError
            If a sum exceeds 4,294,967,295.
        """
        first = np.unique(self.codes, return_index=True)[1]
        summed = counts[:, self.rows[first]]
        is_extra = np.ones(len(self.codes), dtype=bool)
        is_extra[first] = False
        if not is_extra.any():
            return summed
        shared, places = np.unique(self.codes[is_extra], return_inverse=True)
        totals = summed[:, shared].astype(np.uint64)
        np.add.at(totals.T, places, counts[:, self.rows[is_extra]].T)
        if totals.size and totals.max() > _LARGEST_COUNT:
            msg = (
                f"rows of one gene sum to {int(totals.max()):,}, but a count holds at most "
                f"{_LARGEST_COUNT:,}; check the table"
            )
            raise InvalidCountsError(msg)
        summed[:, shared] = totals
        return summed

    def figures(self) -> dict[str, Any]:
        """Give the numbers for a summary."""
        claims = [f"{name}: {' or '.join(genes)}" for name, genes in self.ambiguous.items()]
        return {
            "n_rows": self.n_rows,
            "n_genes": len(self.genes),
            "n_rows_per_kind": self.n_rows_per_kind,
            "n_rows_summed": self.n_summed,
            "n_unknown": len(self.unknown),
            "unknown": self.unknown[:5],
            "n_ambiguous": len(claims),
            "ambiguous": claims[:5],
        }


def map_genes(genes: Sequence[object] | pd.Index, *, species: str) -> GeneMapping:
    """Map the gene ids of one table to Ensembl ids.

    Parameters
    ----------
    genes
        Gene ids as written, shape (n_rows,): Ensembl with or without version,
        symbols, synonyms, Entrez ids, mixed.
    species
        ``"human"`` or ``"mouse"``.

    Returns
    -------
    GeneMapping
        What became of every row; its `apply` maps counts. Rows that mean the
        same gene (two versions, an older and the present symbol) are summed,
        since each holds reads of its own; nothing is guessed for ambiguous ids.

    Raises
    ------
    IdentifierError
        If no id can be mapped, or most are transcripts.

    Examples
    --------
    >>> mapping = map_genes(["ENSG00000141510.19", "ALB", "7157"], species="human")
    >>> mapping.genes.tolist()
    ['ENSG00000141510', 'ENSG00000163631']
    >>> mapping.apply(np.array([[1, 2, 4]], np.uint32)).tolist()
    [[5, 2]]
    """
    mapped = load_identifiers(species).map(genes)
    rows = np.flatnonzero(mapped.genes != "")
    if not len(rows):
        msg = (
            f"none of the {len(genes):,} gene ids is a {species} gene ({first_few(genes)}); "
            "use Ensembl ids, symbols or Entrez ids, or name the other species"
        )
        raise IdentifierError(msg)
    ids = mapped.genes[rows]
    n_transcripts = sum(str(name).startswith(("ENST", "ENSMUST")) for name in ids)
    if 2 * n_transcripts > len(ids):
        msg = (
            f"{n_transcripts:,} of {len(ids):,} ids are transcripts ({first_few(ids)}); "
            "sum transcripts to genes first"
        )
        raise IdentifierError(msg)
    codes, unique = pd.factorize(ids)
    return GeneMapping(
        genes=pd.Index(unique, name="gene", dtype=object),
        rows=rows,
        codes=codes,
        n_rows=len(genes),
        n_rows_per_kind=dict(Counter(str(kind) for kind in mapped.kinds if kind)),
        ambiguous=mapped.ambiguous,
        unknown=mapped.unknown,
    )


def to_species(name: str) -> str:
    """Read the name of a species.

    Parameters
    ----------
    name
        As written in a sheet.

    Returns
    -------
    str
        ``"human"``, ``"mouse"``, or ``""`` for any other.

    Examples
    --------
    >>> to_species("Homo sapiens"), to_species("rhesus")
    ('human', '')
    """
    return _SPECIES_NAMES.get(name.strip().casefold(), "")


def choose_species(
    tables: Sequence[tuple[str, Sequence[object] | pd.Index]], *, species: str | None = None
) -> str:
    """Tell the species of several tables from their gene ids; they must agree.

    Parameters
    ----------
    tables
        Name and gene ids of each table.
    species
        ``"human"`` or ``"mouse"`` if it is known. It decides where ids do not
        tell; ids that tell otherwise are an error.

    Returns
    -------
    str
        ``"human"`` or ``"mouse"``.

    Raises
    ------
    IdentifierError
        If tables are of different species, of another than `species`, or none tells.

    Examples
    --------
    >>> choose_species([("a.tsv", ["ENSG00000141510"]), ("b.tsv", ["7157"])])
    'human'
    """
    guesses = {name: guess_species(list(genes)) for name, genes in tables}
    told = {name: guess for name, guess in guesses.items() if guess}
    if species is not None:
        wrong = [name for name, guess in told.items() if guess != species]
        if wrong:
            msg = (
                f"{len(wrong)} of {len(tables)} tables have {told[wrong[0]]} gene ids, not "
                f"{species} ones ({first_few(wrong)}); leave them out or name the other species"
            )
            raise IdentifierError(msg)
        return species
    if not told:
        msg = (
            f"the gene ids of {len(tables)} tables do not tell human from mouse; "
            "pass species='human' or species='mouse'"
        )
        raise IdentifierError(msg)
    if len(set(told.values())) > 1:
        human = [name for name, guess in told.items() if guess == "human"]
        mouse = [name for name, guess in told.items() if guess == "mouse"]
        msg = (
            f"{len(human)} tables have human gene ids ({first_few(human)}) and {len(mouse)} have "
            f"mouse ids ({first_few(mouse)}); pack each species by itself"
        )
        raise IdentifierError(msg)
    return str(next(iter(told.values())))
