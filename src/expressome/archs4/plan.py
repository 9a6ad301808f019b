"""Plan which stored chunks a request needs, each once."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["AxisPart", "ChunkTask", "Selector", "plan_axis", "plan_chunks"]

# Positions along one axis: a slice where they are consecutive, which copies fastest.
Selector = slice | NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AxisPart:
    """What a request wants of one chunk, along one axis.

    Attributes
    ----------
    chunk
        Number of the chunk along the axis.
    inside
        Wanted positions within the chunk.
    outside
        Where they go in the request.
    """

    chunk: int
    inside: Selector
    outside: Selector


@dataclass(frozen=True, slots=True)
class ChunkTask:
    """One stored chunk and what a request wants of it.

    Attributes
    ----------
    origin
        Row and column of the chunk's first cell in the stored matrix.
    rows
        Wanted positions along the first stored axis.
    columns
        Wanted positions along the second stored axis.
    """

    origin: tuple[int, int]
    rows: AxisPart
    columns: AxisPart


def _to_selector(positions: NDArray[np.int64]) -> Selector:
    """Give consecutive ascending positions as a slice."""
    first, n_positions = int(positions[0]), len(positions)
    spans_all = int(positions[-1]) - first == n_positions - 1
    if spans_all and (n_positions == 1 or bool(np.all(np.diff(positions) == 1))):
        return slice(first, first + n_positions)
    return positions


def _cut_span(span: slice, chunk_length: int) -> list[AxisPart]:
    """Cut consecutive positions where chunks end."""
    start, stop = int(span.start), int(span.stop)
    parts = []
    for chunk in range(start // chunk_length, -(-stop // chunk_length)):
        origin = chunk * chunk_length
        first, last = max(start, origin), min(stop, origin + chunk_length)
        inside, outside = slice(first - origin, last - origin), slice(first - start, last - start)
        parts.append(AxisPart(chunk, inside, outside))
    return parts


def plan_axis(positions: NDArray[np.int64], chunk_length: int) -> list[AxisPart]:
    """Sort positions into the chunks that hold them.

    Parameters
    ----------
    positions
        Wanted positions in request order, repetitions allowed, shape (n,).
    chunk_length
        Positions per chunk.

    Returns
    -------
    list of AxisPart
        One per needed chunk, in ascending order.

    Examples
    --------
    >>> [(part.chunk, part.inside, part.outside) for part in plan_axis(np.arange(3, 9), 5)]
    [(0, slice(3, 5, None), slice(0, 2, None)), (1, slice(0, 4, None), slice(2, 6, None))]
    """
    if len(positions) == 0:
        return []
    if isinstance(span := _to_selector(positions), slice):
        return _cut_span(span, chunk_length)
    order = np.argsort(positions, kind="stable")
    ordered = positions[order]
    chunks = ordered // chunk_length
    edges = [0, *(np.flatnonzero(np.diff(chunks)) + 1).tolist(), len(ordered)]
    return [
        AxisPart(
            chunk=int(chunks[start]),
            inside=_to_selector(ordered[start:stop] - chunks[start] * chunk_length),
            outside=_to_selector(order[start:stop]),
        )
        for start, stop in pairwise(edges)
    ]


def plan_chunks(
    rows: NDArray[np.int64], columns: NDArray[np.int64], chunk_shape: tuple[int, int]
) -> Iterator[ChunkTask]:
    """Give every chunk that a request for rows x columns needs, once.

    Parameters
    ----------
    rows
        Wanted positions along the first stored axis, in request order.
    columns
        Wanted positions along the second stored axis, in request order.
    chunk_shape
        Shape of a stored chunk.

    Yields
    ------
    ChunkTask
        Row by row of the grid of chunks; made one at a time, since ten genes of a
        million samples may need millions.

    Examples
    --------
    >>> [task.origin for task in plan_chunks(np.array([7]), np.array([9, 0]), (5, 5))]
    [(5, 0), (5, 5)]
    """
    column_parts = plan_axis(columns, chunk_shape[1])
    for row_part in plan_axis(rows, chunk_shape[0]):
        for column_part in column_parts:
            origin = (row_part.chunk * chunk_shape[0], column_part.chunk * chunk_shape[1])
            yield ChunkTask(origin, row_part, column_part)
