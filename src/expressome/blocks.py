"""Cut rows into blocks that fit a memory budget, without changing any sum."""

import queue
import re
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from expressome.errors import InvalidValueError, ShapeError

__all__ = ["TILE_SAMPLES", "as_blocks", "parse_memory", "prefetch", "row_spans", "tiles"]

# Sums over samples run tile by tile, whatever the block size, thread or worker:
# 256 rows of 60,000 float32 values are 61 MB, small enough for any machine.
TILE_SAMPLES = 256

# The least budget there is: a block of 256 samples of all genes, and what makes it.
MIN_MEMORY_BYTES = 64 * 2**20

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

Item = TypeVar("Item")


def parse_memory(text: str | int) -> int:
    """Read a memory size such as ``2GiB`` or ``500MB``.

    Parameters
    ----------
    text
        Number with an optional unit (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB);
        a bare number is bytes.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    InvalidValueError
        If it is not a size, or below 64 MiB, where no block of samples fits.

    Examples
    --------
    >>> parse_memory("2GiB")
    2147483648
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", str(text).lower())
    if match is None or match[2] not in _UNITS:
        msg = f"{text!r} is not a memory size; write a number with a unit, such as 2GiB or 500MB"
        raise InvalidValueError(msg)
    size_bytes = int(float(match[1]) * _UNITS[match[2]])
    if size_bytes < MIN_MEMORY_BYTES:
        msg = f"a memory budget of {text} is below 64MiB, which holds no block of samples; raise it"
        raise InvalidValueError(msg)
    return size_bytes


def row_spans(
    n_rows: int, *, row_bytes: int, budget_bytes: int, multiple: int = 1
) -> Iterator[slice]:
    """Cut rows into consecutive spans that fit the budget.

    Parameters
    ----------
    n_rows
        Rows in all.
    row_bytes
        Memory one row needs, in bytes, with every copy the caller makes of it.
    budget_bytes
        Memory one span may take, in bytes. A span never falls below `multiple` rows.
    multiple
        Every span but the last holds a multiple of this many rows.

    Yields
    ------
    slice
        Spans in order that cover all rows once.

    Examples
    --------
    >>> list(row_spans(5, row_bytes=10, budget_bytes=20))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    rows = max(1, budget_bytes // max(1, row_bytes))
    rows = max(multiple, rows // multiple * multiple)
    for start in range(0, n_rows, rows):
        yield slice(start, min(start + rows, n_rows))


def tiles(n_rows: int) -> Iterator[slice]:
    """Cut rows into the canonical tiles over which sums are taken.

    Parameters
    ----------
    n_rows
        Rows in all.

    Yields
    ------
    slice
        Spans of 256 rows, the last one shorter.

    Examples
    --------
    >>> [span.stop for span in tiles(600)]
    [256, 512, 600]
    """
    for start in range(0, n_rows, TILE_SAMPLES):
        yield slice(start, min(start + TILE_SAMPLES, n_rows))


def as_blocks(
    values: NDArray[np.generic] | Iterable[NDArray[np.generic]],
) -> Iterator[NDArray[np.generic]]:
    """Give one array, or an iterable of arrays, as two-dimensional blocks.

    Parameters
    ----------
    values
        One array of shape (n_samples, n_genes), or blocks of it in order.

    Yields
    ------
    ndarray
        Blocks of shape (n_block, n_genes).

    Raises
    ------
    ShapeError
        If a block is not two-dimensional or the blocks disagree on the number of genes.

    Examples
    --------
    >>> [block.shape for block in as_blocks(np.zeros((2, 3)))]
    [(2, 3)]
    """
    blocks = [values] if hasattr(values, "ndim") or hasattr(values, "iloc") else values
    n_genes: int | None = None
    n_samples = 0
    for item in blocks:
        block = np.asarray(item)
        if block.ndim != 2:
            msg = f"a block has {block.ndim} axes; pass arrays of shape (n_samples, n_genes)"
            raise ShapeError(msg)
        if n_genes is None:
            n_genes = block.shape[1]
        if block.shape[1] != n_genes:
            msg = (
                f"block after sample {n_samples} has {block.shape[1]} genes, but the blocks "
                f"before it have {n_genes}; read all blocks from one file"
            )
            raise ShapeError(msg)
        n_samples += len(block)
        yield block


def prefetch(items: Iterable[Item], n_ahead: int = 1) -> Iterator[Item]:
    """Compute the next items in a thread while the present one is used.

    Parameters
    ----------
    items
        Lazy source, such as a generator that reads blocks from disk.
    n_ahead
        Items held ready besides the one in use; each costs its memory.

    Yields
    ------
    object
        The items in order. An error in the source is raised at its place.

    Examples
    --------
    >>> list(prefetch(iter([1, 2, 3])))
    [1, 2, 3]
    """
    ready: queue.Queue[tuple[Item | None, BaseException | None, bool]] = queue.Queue(n_ahead)
    stopped = threading.Event()

    def put(entry: tuple[Item | None, BaseException | None, bool]) -> None:
        while not stopped.is_set():
            try:
                ready.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return

    def produce() -> None:
        try:
            for item in items:
                put((item, None, False))
                if stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
            put((None, error, True))
            return
        put((None, None, True))

    thread = threading.Thread(target=produce, name="expressome-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error, finished = ready.get()
            if error is not None:
                raise error
            if finished:
                return
            yield item  # type: ignore[misc]  # None only ends the stream
    finally:
        stopped.set()
        thread.join()
