"""Any rows and columns of a stored matrix, each shard read once."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.atlas.shards import BLOCK_SAMPLES, CHUNK_GENES, block_path, read_chunks
from expressome.engine import Resources, map_blocks

__all__ = ["StoredMatrix"]

Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class StoredMatrix:
    """One sharded matrix of an atlas.

    Attributes
    ----------
    folder
        The atlas.
    name
        ``"X"`` or ``"layers/detected"``.
    dtype
        Type of its values as they are stored; float16 is given as float32.
    n_genes
        Number of its columns.
    """

    folder: Path
    name: str
    dtype: np.dtype[Any]
    n_genes: int

    def gather(self, rows: Positions, columns: Positions, *, workers: int = 1) -> NDArray[Any]:
        """Read rows and columns in the order asked for.

        Parameters
        ----------
        rows, columns
            Positions, any order, repeats allowed.
        workers
            Threads, each with one shard at a time.

        Returns
        -------
        ndarray
            Shape (len(rows), len(columns)).
        """
        given = np.dtype(np.float32) if self.dtype == np.float16 else self.dtype
        values = np.empty((len(rows), len(columns)), given)
        if not values.size:
            return values
        # Which rows lie in which block, once: per block it would cost more than to read one.
        order = np.argsort(rows // BLOCK_SAMPLES, kind="stable")
        blocks, starts = np.unique(rows[order] // BLOCK_SAMPLES, return_index=True)
        pieces = list(zip(blocks.tolist(), np.split(order, starts[1:]), strict=True))
        fill = partial(self._fill, values, rows=rows, columns=columns)
        if len(pieces) == 1 or workers == 1:
            for piece in pieces:
                fill(piece)
        else:
            for _ in map_blocks(fill, pieces, resources=Resources(workers=workers)):
                pass
        return values

    def read_gene(self, column: int, *, first_block: int, n_rows: int) -> NDArray[Any]:
        """Read one column of rows that follow each other, in half the time of `gather`.

        Parameters
        ----------
        column
            Its position.
        first_block
            Block of 256 rows to begin with.
        n_rows
            Rows to read from there.

        Returns
        -------
        ndarray
            Shape (n_rows,).
        """
        chunk, place = divmod(column, CHUNK_GENES)
        values = np.empty(n_rows, np.float32 if self.dtype == np.float16 else self.dtype)
        for start in range(0, n_rows, BLOCK_SAMPLES):
            path = block_path(self.folder, self.name, first_block + start // BLOCK_SAMPLES)
            found = read_chunks(path, [chunk], n_genes=self.n_genes, dtype=self.dtype)
            piece = values[start : start + BLOCK_SAMPLES]
            piece[:] = found[: len(piece), place]
        return values

    def _fill(
        self,
        values: NDArray[Any],
        piece: tuple[int, NDArray[np.intp]],
        *,
        rows: Positions,
        columns: Positions,
    ) -> None:
        """Copy what one shard holds of the rows and columns asked for."""
        block, at = piece
        chunks, chunk_of = np.unique(columns // CHUNK_GENES, return_inverse=True)
        path = block_path(self.folder, self.name, block)
        found = read_chunks(path, chunks.tolist(), n_genes=self.n_genes, dtype=self.dtype)
        places = chunk_of * CHUNK_GENES + columns % CHUNK_GENES
        within = rows[at] - block * BLOCK_SAMPLES
        if is_run(places) and is_run(at) and is_run(within):
            values[at[0] : at[-1] + 1] = found[
                within[0] : within[-1] + 1, places[0] : places[-1] + 1
            ]
        else:
            values[at] = found[within[:, None], places]


def is_run(positions: NDArray[np.integer]) -> bool:
    """Whether positions follow each other without a gap."""
    return bool(np.all(np.diff(positions) == 1))
