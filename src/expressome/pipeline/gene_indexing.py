"""Names of genes, arranged so that each letter typed is answered at once."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["GeneNames", "to_plain_name"]


class GeneNames:
    """Symbols and ids of all genes, searched without regard to case and versions.

    Parameters
    ----------
    symbols, ids
        One each per gene.

    Examples
    --------
    >>> names = GeneNames(["ALB", "AL", "BAL"], ["ENSG1.2", "ENSG2", "ENSG3"])
    >>> names.search("al", 5).tolist(), names.find("ensg1.7"), names.find("A")
    ([1, 0, 2], 0, -1)
    """

    def __init__(self, symbols: Iterable[str], ids: Iterable[str]) -> None:
        lower_symbols = [str(symbol).lower() for symbol in symbols]
        lower_ids = [to_plain_name(str(gene)) for gene in ids]
        self._symbols, self._ids = pa.array(lower_symbols), pa.array(lower_ids)
        # The first gene of a name: later ones are written first and so replaced.
        last = len(lower_ids) - 1
        self._position = {name: last - g for g, name in enumerate(reversed(lower_symbols))}
        self._position |= {name: last - g for g, name in enumerate(reversed(lower_ids))}
        order = sorted(range(last + 1), key=lambda g: (len(lower_symbols[g]), lower_symbols[g]))
        self._order = np.array(order, np.int64)

    def find(self, name: str) -> int:
        """Give the position of a gene, -1 if there is none of that name.

        Parameters
        ----------
        name
            Symbol or id, whole.

        Returns
        -------
        int
            The first where a symbol stands for several genes.
        """
        wanted = to_plain_name(name)
        return self._position.get(wanted, -1) if wanted else -1

    def search(self, name: str, limit: int) -> NDArray[np.int64]:
        """Find genes: the whole name first, then beginnings, then parts of symbols.

        Parameters
        ----------
        name
            Symbol, id or a part.
        limit
            Genes given at most.

        Returns
        -------
        ndarray
            Positions; shorter symbols before longer ones.
        """
        wanted = to_plain_name(name)
        if not wanted:
            return np.empty(0, np.int64)
        rank = np.full(len(self._order), 3, np.int8)
        rank[_to_mask(pc.match_substring(self._symbols, wanted))] = 2
        for names in (self._symbols, self._ids):
            rank[_to_mask(pc.starts_with(names, wanted))] = 1
        for names in (self._symbols, self._ids):
            rank[_to_mask(pc.equal(names, wanted))] = 0
        ranked = rank[self._order]
        return self._order[np.argsort(ranked, kind="stable")[: min(limit, int((ranked < 3).sum()))]]


def to_plain_name(name: str) -> str:
    """Write a name as it is compared: small letters, no version of an Ensembl id.

    Parameters
    ----------
    name
        Symbol or id.

    Returns
    -------
    str
        To be compared.

    Examples
    --------
    >>> to_plain_name(" ENSG00000163631.17"), to_plain_name("RP11-1.2")
    ('ensg00000163631', 'rp11-1.2')
    """
    text = name.strip().lower()
    stem, dot, version = text.partition(".")
    return stem if dot and stem.startswith("ens") and version.isdigit() else text


def _to_mask(found: pa.Array) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = found.to_numpy(zero_copy_only=False)
    return mask
