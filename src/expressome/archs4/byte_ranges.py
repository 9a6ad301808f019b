"""Arithmetic of byte ranges: what is held, what is missing, what to ask for at once."""

from bisect import bisect_right, insort
from collections.abc import Iterable

__all__ = ["HeldRanges", "coalesce", "cut"]

# A gap is read along if a request costs more than its bytes: 50 ms at 5 Mbit/s.
_MAX_GAP_BYTES = 2**15
# Of the two ranges beside a gap, so that all gaps together stay below a fifth.
_GAP_SHARE = 10

Span = tuple[int, int]


def coalesce(spans: Iterable[Span]) -> list[Span]:
    """Join ranges that touch, overlap, or lie so close that one request is cheaper.

    Parameters
    ----------
    spans
        First byte and byte after the last of each range, in any order.

    Returns
    -------
    list of tuple
        Ranges in order. Bytes nobody asked for are at most a fifth of those asked.

    Examples
    --------
    >>> coalesce([(1000, 2000), (0, 900), (9000, 9001)])
    [(0, 2000), (9000, 9001)]
    """
    joined: list[list[int]] = []
    previous = 0
    for start, stop in sorted(spans):
        size = stop - start
        if size <= 0:
            continue
        gap = start - joined[-1][1] if joined else 0
        if joined and gap <= min(_MAX_GAP_BYTES, max(0, previous + size) // _GAP_SHARE):
            joined[-1][1] = max(joined[-1][1], stop)
        else:
            joined.append([start, stop])
        previous = size
    return [(start, stop) for start, stop in joined]


def cut(spans: Iterable[Span], n_bytes: int) -> list[Span]:
    """Cut ranges into parts of a size that several connections can share.

    Parameters
    ----------
    spans
        Ranges.
    n_bytes
        Largest part.

    Returns
    -------
    list of tuple
        Parts in order.

    Examples
    --------
    >>> cut([(0, 5), (8, 9)], 3)
    [(0, 3), (3, 5), (8, 9)]
    """
    return [
        (first, min(first + n_bytes, stop))
        for start, stop in spans
        for first in range(start, stop, n_bytes)
    ]


class HeldRanges:
    """Which bytes are held, and in which piece; ranges held twice count once."""

    def __init__(self) -> None:
        # (first byte, byte after the last, first byte of the piece, byte after its last)
        self._parts: list[tuple[int, int, int, int]] = []

    def add(self, start: int, stop: int) -> None:
        """Note a piece.

        Parameters
        ----------
        start
            Its first byte.
        stop
            The byte after its last.
        """
        for first, last in self.missing(start, stop):
            insort(self._parts, (first, last, start, stop))

    def drop(self, piece: Span) -> None:
        """Forget a piece.

        Parameters
        ----------
        piece
            Its first byte and the byte after its last.
        """
        self._parts = [part for part in self._parts if part[2:] != piece]

    def _from(self, position: int) -> int:
        """Give the number of the first part that ends after a byte."""
        i = bisect_right(self._parts, (position, float("inf"))) - 1
        return i if i >= 0 and self._parts[i][1] > position else i + 1

    def missing(self, start: int, stop: int) -> list[Span]:
        """List the parts of a range that are not held.

        Parameters
        ----------
        start
            First byte.
        stop
            Byte after the last.

        Returns
        -------
        list of tuple
            In order.

        Examples
        --------
        >>> held = HeldRanges()
        >>> held.add(3, 5)
        >>> held.missing(0, 9)
        [(0, 3), (5, 9)]
        """
        gaps = []
        for i in range(self._from(start), len(self._parts)):
            first, last, _, _ = self._parts[i]
            if first >= stop:
                break
            if first > start:
                gaps.append((start, first))
            start = last
        if start < stop:
            gaps.append((start, stop))
        return gaps

    def piece_at(self, position: int) -> tuple[Span, int] | None:
        """Find the piece that holds a byte.

        Parameters
        ----------
        position
            The byte.

        Returns
        -------
        tuple or None
            The piece, and up to where it is to be used; None if it is not held.
        """
        i = self._from(position)
        if i == len(self._parts) or self._parts[i][0] > position:
            return None
        _, last, first_of_piece, last_of_piece = self._parts[i]
        return (first_of_piece, last_of_piece), last
