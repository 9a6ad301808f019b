"""What the genes of an extract are called, and which of them share a name."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.errors import IdentifierError, first_few

__all__ = ["Duplicates", "GeneKeys", "GenesBy", "key_genes"]

GenesBy = Literal["ensembl", "symbol"]
Duplicates = Literal["keep", "sum", "first", "error"]


@dataclass(frozen=True, slots=True)
class GeneKeys:
    """The genes of an extract, and where a file has them.

    Attributes
    ----------
    table
        One row per gene of the extract, index its key.
    columns
        Positions of the genes to read, shape (n_read,); those of one key together.
    codes
        Row of `table` each of them belongs to, shape (n_read,), ascending.
    n_shared
        Names that several genes of the file share.
    """

    table: pd.DataFrame
    columns: NDArray[np.int64]
    codes: NDArray[np.int64]
    n_shared: int

    @property
    def starts(self) -> NDArray[np.int64]:
        """First of each key's columns, shape (n_keys,)."""
        return np.searchsorted(self.codes, np.arange(len(self.table)))

    def select(self, kept: NDArray[Any] | slice) -> "GeneKeys":
        """Keep some genes.

        Parameters
        ----------
        kept
            Ascending positions in `table`, a mask or a slice.

        Returns
        -------
        GeneKeys
            Those genes, in the same order.
        """
        rows = np.arange(len(self.table))[kept]
        is_kept = np.isin(self.codes, rows)
        codes = np.searchsorted(rows, self.codes[is_kept])
        return GeneKeys(self.table.iloc[rows], self.columns[is_kept], codes, self.n_shared)

    def merge(self, counts: NDArray[Any]) -> NDArray[Any]:
        """Sum the counts of genes that share a key.

        Parameters
        ----------
        counts
            Counts of `columns`, shape (n_samples, n_read).

        Returns
        -------
        ndarray
            Shape (n_samples, n_keys). Sums are int64 or float64; NaN where one of the
            summed genes was not measured.
        """
        if len(self.columns) == len(self.table):
            return counts
        wide = np.float64 if counts.dtype.kind == "f" else np.int64
        summed: NDArray[Any] = np.add.reduceat(counts, self.starts, axis=1, dtype=wide)
        return summed

    def merge_measured(self, measured: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell which keys a table measured in full.

        Parameters
        ----------
        measured
            Whether a table measured a gene of the file, shape (n_tables, n_genes).

        Returns
        -------
        ndarray
            Boolean, shape (n_tables, n_keys).
        """
        whole: NDArray[np.bool_] = np.logical_and.reduceat(
            measured[:, self.columns], self.starts, axis=1
        )
        return whole


def key_genes(genes: pd.DataFrame, *, by: GenesBy, duplicates: Duplicates) -> GeneKeys:
    """Choose the keys of genes.

    Parameters
    ----------
    genes
        Gene table of a file, index Ensembl ids (or ``symbol:NAME``), column symbol.
    by
        ``"ensembl"``: as the file has them, each once. ``"symbol"``: by symbol; a gene
        without one keeps its Ensembl id.
    duplicates
        What becomes of genes that share a symbol: ``"keep"`` all (``TP53``,
        ``TP53#2``), ``"sum"`` their counts, keep the ``"first"``, or ``"error"``.

    Returns
    -------
    GeneKeys
        In the order of the file, a shared key at its first gene.

    Raises
    ------
    IdentifierError
        If symbols are shared and `duplicates` is ``"error"``.

    Examples
    --------
    >>> genes = pd.DataFrame({"symbol": ["A", "B", "A"]}, index=["ENSG1", "ENSG2", "ENSG3"])
    >>> keys = key_genes(genes, by="symbol", duplicates="sum")
    >>> keys.merge(np.array([[1, 5, 2]])[:, keys.columns]).tolist()
    [[3, 5]]
    """
    everything = np.arange(len(genes))
    if by == "ensembl":
        return GeneKeys(genes, everything, everything, 0)
    symbols = genes["symbol"].astype(object).to_numpy()
    names = np.where(symbols == "", genes.index.to_numpy(dtype=object), symbols)
    codes, distinct = pd.factorize(names)
    n_genes = np.bincount(codes)
    n_shared = int((n_genes > 1).sum())
    if n_shared and duplicates == "error":
        shared = distinct[n_genes > 1]
        msg = (
            f"{n_shared} of {len(distinct)} gene symbols belong to several genes "
            f"({first_few(shared)}); choose duplicates='keep', 'sum' or 'first', or key the "
            "genes by their Ensembl ids"
        )
        raise IdentifierError(msg)
    firsts = np.unique(codes, return_index=True)[1]
    table = genes.assign(ensembl=genes.index)
    if duplicates == "first":
        table = table.iloc[firsts].set_axis(pd.Index(distinct, name="gene"))
        return GeneKeys(table, firsts, np.arange(len(firsts)), n_shared)
    if duplicates == "sum":
        order = np.argsort(codes, kind="stable")
        joined = table["ensembl"].groupby(codes).agg(";".join)
        table = table.iloc[firsts].assign(ensembl=joined.to_numpy())
        return GeneKeys(
            table.set_axis(pd.Index(distinct, name="gene")), order, codes[order], n_shared
        )
    return GeneKeys(
        table.set_axis(pd.Index(_number(names), name="gene")), everything, everything, n_shared
    )


def _number(names: NDArray[np.object_]) -> list[str]:
    """Append #2, #3, ... to what repeats an earlier name."""
    taken, seen, keys = set(names), dict[str, int](), list[str]()
    for name in names:
        n_seen = seen[name] = seen.get(name, 0) + 1
        key = name
        while n_seen > 1 and (key := f"{name}#{n_seen}") in taken:
            n_seen += 1
        seen[name] = n_seen
        taken.add(key)
        keys.append(key)
    return keys
