"""Turn gene ids of any kind into Ensembl ids, without guessing."""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from expressome.reference.shipped import (
    SPECIES,
    Species,
    check_species,
    load_genes,
    open_table,
)

__all__ = [
    "SPECIES",
    "IdentifierTable",
    "MappedIds",
    "guess_species",
    "load_genes",
    "load_identifiers",
    "strip_version",
]

# Ensembl gene or transcript id of the two species, its version, and GENCODE's mark of the
# Y copy of a pseudoautosomal gene; ENSGR is how GENCODE 19 to 24 wrote that mark.
_ENSEMBL = re.compile(r"(ENS(?:MUS)?[GT])(?:(\d{11})|R(\d{10}))(?:\.\d+)?(_PAR_Y)?", re.IGNORECASE)
# Entrez ids are numbers; a table read with gaps may show them as 7157.0.
_ENTREZ = re.compile(r"(\d+)(?:\.0)?")
# A symbol wins over a synonym of another gene.
_NAME_KINDS = ("symbol", "synonym")


@dataclass(frozen=True, slots=True)
class MappedIds:
    """What became of a list of gene ids.

    Attributes
    ----------
    genes
        Ensembl id per input id, ``""`` where it has none, shape (n_ids,), objects.
    kinds
        ``"ensembl"``, ``"symbol"``, ``"synonym"``, ``"entrez"`` or ``""`` per id.
    ambiguous
        Ids that several genes claim, with the Ensembl ids of those; not mapped.
    unknown
        Ids that no gene claims, in input order.
    """

    genes: NDArray[np.object_]
    kinds: NDArray[np.object_]
    ambiguous: dict[str, tuple[str, ...]]
    unknown: list[str]

    @property
    def n_mapped(self) -> int:
        """Ids that have a gene."""
        return int((self.genes != "").sum())


@dataclass(frozen=True, slots=True)
class IdentifierTable:
    """Names of the genes of one species.

    Attributes
    ----------
    species
        ``"human"`` or ``"mouse"``.
    names
        Per kind (``"symbol"``, ``"synonym"``, ``"entrez"``): name -> Ensembl id, for names
        of one gene. An empty id marks a symbol of a gene that Ensembl does not have.
    shared
        Per kind: name -> the Ensembl ids that claim it, where they are several.
    """

    species: Species
    names: Mapping[str, Mapping[str, str]]
    shared: Mapping[str, Mapping[str, tuple[str, ...]]]
    _folded: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    def map(self, ids: Iterable[object]) -> MappedIds:
        """Find the Ensembl id of each id: Ensembl, symbol, synonym or Entrez, mixed.

        A current symbol wins over a synonym of another gene; a name of several
        genes is reported as ambiguous and not mapped. Upper and lower case count;
        only a name that is unknown as written is looked up without regard to
        case (older mouse files are upper-case), and mapped if one gene is left.

        Parameters
        ----------
        ids
            Gene ids, n_ids of them; numbers are Entrez ids.

        Returns
        -------
        MappedIds
            Same order and length as `ids`.

        Notes
        -----
        An id that looks like an Ensembl id is kept (without version), known
        or not: a newer annotation may have it.

        Examples
        --------
        >>> mapped = load_identifiers("human").map(["ENSG00000141510.19", "ALB", "7157"])
        >>> mapped.genes.tolist()
        ['ENSG00000141510', 'ENSG00000163631', 'ENSG00000141510']
        >>> mapped.kinds.tolist()
        ['ensembl', 'symbol', 'entrez']
        """
        names = [str(name).strip() for name in ids]
        genes = np.full(len(names), "", dtype=object)
        kinds = np.full(len(names), "", dtype=object)
        ambiguous: dict[str, tuple[str, ...]] = {}
        unknown: list[str] = []
        for i, name in enumerate(names):
            gene, kind, candidates = self._find(name)
            if gene:
                genes[i], kinds[i] = gene, kind
            elif candidates:
                ambiguous[name] = candidates
            else:
                unknown.append(name)
        return MappedIds(genes, kinds, ambiguous, unknown)

    def share_agreeing(self, genes: Iterable[object], symbols: Iterable[object]) -> float:
        """Tell in what share of rows the Ensembl id and the symbol mean one gene.

        Below one half the two columns are not of the same rows, as in a real
        cut-out of an old mouse file, whose counts belong to the symbols.

        Parameters
        ----------
        genes
            Ensembl ids, one per row.
        symbols
            Symbols, one per row.

        Returns
        -------
        float
            Share of the rows with an Ensembl id whose symbol is one gene's; NaN if
            there is no such row.

        Examples
        --------
        >>> table = load_identifiers("human")
        >>> table.share_agreeing(["ENSG00000141510", "ENSG00000141510"], ["TP53", "ALB"])
        0.5
        """
        by_id = np.array([strip_version(str(gene)) for gene in genes], dtype=object)
        by_symbol = self.map(symbols).genes
        has_both = np.array([_ENSEMBL.fullmatch(gene) is not None for gene in by_id], dtype=bool)
        has_both &= by_symbol != ""
        return float((by_id == by_symbol)[has_both].mean()) if has_both.any() else float("nan")

    def _find(self, name: str) -> tuple[str, str, tuple[str, ...]]:
        """Give gene, kind and, where it is not one gene's, the candidates."""
        if _ENSEMBL.fullmatch(name):
            return strip_version(name), "ensembl", ()
        number = _ENTREZ.fullmatch(name)
        if number is not None:
            return self._look_up(number[1].lstrip("0"), "entrez")
        for kind in _NAME_KINDS:
            if name in self.names[kind] or name in self.shared[kind]:
                return self._look_up(name, kind)
        return self._find_any_case(name)

    def _look_up(self, name: str, kind: str) -> tuple[str, str, tuple[str, ...]]:
        """Look a name up as written."""
        gene = self.names[kind].get(name, "")
        return gene, kind if gene else "", self.shared[kind].get(name, ())

    def _find_any_case(self, name: str) -> tuple[str, str, tuple[str, ...]]:
        """Look a name up without regard to case."""
        if not self._folded:
            self._fold()
        spellings = self._folded.get(name.casefold(), ())
        for kind in _NAME_KINDS:
            found = [self._look_up(spelling, kind) for spelling in spellings]
            genes = {gene for gene, _, _ in found if gene}
            genes |= {gene for _, _, candidates in found for gene in candidates}
            if genes:
                several = tuple(sorted(genes))
                return ("", "", several) if len(several) > 1 else (several[0], kind, ())
        return "", "", ()

    def _fold(self) -> None:
        """Group the spellings of each name, once."""
        spellings: dict[str, list[str]] = {}
        for kind in _NAME_KINDS:
            for name in (*self.names[kind], *self.shared[kind]):
                spellings.setdefault(name.casefold(), []).append(name)
        self._folded.update(spellings)


def strip_version(gene: str) -> str:
    """Remove the version from an Ensembl id; the Y copy of a gene stays apart.

    Parameters
    ----------
    gene
        Any id; what is not an Ensembl gene or transcript id comes back unchanged.

    Returns
    -------
    str
        The stable id, with ``_PAR_Y`` if it had that mark or GENCODE's older ``ENSGR``.

    Examples
    --------
    >>> strip_version("ENSG00000141510.19")
    'ENSG00000141510'
    >>> strip_version("ENSG00000182378.15_PAR_Y")
    'ENSG00000182378_PAR_Y'
    >>> strip_version("ENSGR0000182378.10")
    'ENSG00000182378_PAR_Y'
    >>> strip_version("RP11-34P13.7")
    'RP11-34P13.7'
    """
    match = _ENSEMBL.fullmatch(gene)
    if match is None:
        return gene
    prefix, digits, digits_on_y, mark = match.groups()
    number = digits or f"0{digits_on_y}"
    return f"{prefix.upper()}{number}" + ("_PAR_Y" if digits_on_y or mark else "")


@functools.cache
def load_identifiers(species: str) -> IdentifierTable:
    """Load the shipped id table of a species, once per process.

    Parameters
    ----------
    species
        ``"human"`` or ``"mouse"``.

    Returns
    -------
    IdentifierTable
        Symbols, synonyms and Entrez ids with their Ensembl ids.

    Raises
    ------
    InvalidValueError
        If there is no table for the species.

    Examples
    --------
    >>> load_identifiers("mouse").map(["Trp53"]).genes.tolist()
    ['ENSMUSG00000059552']
    """
    from pyarrow import parquet

    with open_table(f"names_{check_species(species)}.parquet") as path:
        table = parquet.read_table(path)
    # Rows are sorted by kind: each kind is one slice, and no row is touched twice.
    kinds = table["kind"].to_pandas()
    starts = {kind: int(np.argmax(kinds == kind)) for kind in kinds.cat.categories}
    sizes = kinds.value_counts()
    columns = [table[column].to_numpy().tolist() for column in ("name", "gene")]
    found = {
        kind: dict(zip(*(c[start : start + sizes[kind]] for c in columns), strict=True))
        for kind, start in starts.items()
    }
    names = {kind: found[kind] for kind in (*_NAME_KINDS, "entrez")}
    shared = {
        kind: {name: tuple(genes.split()) for name, genes in found[f"ambiguous {kind}"].items()}
        for kind in names
    }
    return IdentifierTable(check_species(species), names, shared)


def guess_species(ids: Sequence[object]) -> Literal["human", "mouse", ""]:
    """Tell which species a list of gene ids comes from.

    Ensembl prefixes decide; without any, the species that knows at least twice as
    many of the ids that only one of the two knows: first without regard to
    case (upper-cased mouse symbols), then as written.

    Parameters
    ----------
    ids
        Gene ids of any kind.

    Returns
    -------
    str
        ``"human"``, ``"mouse"``, or ``""`` if the ids do not tell.

    Examples
    --------
    >>> guess_species(["ENSMUSG00000059552.13", "ENSMUSG00000029580"])
    'mouse'
    >>> guess_species(["TP53", "ALB", "LINC00115"])
    'human'
    """
    names = {str(name).strip() for name in ids}
    ensembl = [match[1].upper() for name in names if (match := _ENSEMBL.fullmatch(name))]
    if ensembl:
        n_mouse = sum(prefix.startswith("ENSMUS") for prefix in ensembl)
        return _decide(len(ensembl) - n_mouse, n_mouse)
    known, folded = _collect_names()
    return _decide(*_count_exclusive({name.casefold() for name in names}, folded)) or _decide(
        *_count_exclusive(names, known)
    )


@functools.cache
def _collect_names() -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Collect all names of each species, as written and without case."""
    known: dict[str, set[str]] = {}
    for species in SPECIES:
        table = load_identifiers(species)
        known[species] = {*chain.from_iterable([*table.names.values(), *table.shared.values()])}
    return known, {species: {n.casefold() for n in found} for species, found in known.items()}


def _count_exclusive(names: set[str], known: Mapping[str, set[str]]) -> tuple[int, int]:
    """Count the names that only human and only mouse know."""
    human, mouse = names & known["human"], names & known["mouse"]
    return len(human - mouse), len(mouse - human)


def _decide(n_human: int, n_mouse: int) -> Literal["human", "mouse", ""]:
    """Give the species with at least twice the votes."""
    if n_human >= 2 * n_mouse and n_human > 0:
        return "human"
    return "mouse" if n_mouse >= 2 * n_human and n_mouse > 0 else ""
