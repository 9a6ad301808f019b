"""Compiled loops of the gene metrics; no lock held."""

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["add_squared_sums", "select_neighbours"]


@numba.njit(nogil=True, cache=True)
def select_neighbours(  # noqa: PLR0917 - compiled functions take positions only
    values: NDArray[np.floating],
    detected: NDArray[np.bool_],
    order: NDArray[np.integer],
    ends: NDArray[np.floating],
    start: int,
    rows: NDArray[np.int32],
) -> int:
    """Write the rows of ranks start.. to `rows`; ties in the given order. Count the detected."""
    lowest, highest = ends
    n_below = 0
    n_tied_low = 0
    for value in values:
        n_below += value < lowest
    n_tied_low = start - n_below
    n_free = rows.size
    if highest > lowest:
        # The ties at the upper end get what the rest of the window leaves.
        n_lower = 0
        for value in values:
            n_lower += value < highest
        n_free = start + rows.size - n_lower
    n_found = 0
    n_detected = 0
    for i in order:
        value = values[i]
        is_inside = lowest < value < highest
        if value == lowest and n_tied_low > 0:
            n_tied_low -= 1
        elif value == highest:
            is_inside = n_free > 0
            n_free -= 1
        elif value == lowest:
            is_inside = True
        if is_inside:
            rows[n_found] = i
            n_found += 1
            n_detected += detected[i]
    return n_detected


@numba.njit(nogil=True, cache=True)
def add_squared_sums(  # noqa: PLR0917 - compiled functions take positions only
    profiles: NDArray[np.float32],
    rows: NDArray[np.int32],
    n_rows: NDArray[np.int64],
    total: NDArray[np.float64],
) -> None:
    """Add ||sum of the window's rows||^2 over these columns to each gene's total."""
    n_columns = profiles.shape[1]
    sums = np.empty(n_columns, np.float32)
    for g in range(rows.shape[0]):
        sums[:] = 0
        n_fours = n_rows[g] // 4 * 4
        # Four rows at a time: one load and store of the sums for four additions.
        for j in range(0, n_fours, 4):
            first, second = profiles[rows[g, j]], profiles[rows[g, j + 1]]
            third, fourth = profiles[rows[g, j + 2]], profiles[rows[g, j + 3]]
            for column in range(n_columns):
                sums[column] += (first[column] + second[column]) + (third[column] + fourth[column])
        for j in range(n_fours, n_rows[g]):
            profile = profiles[rows[g, j]]
            for column in range(n_columns):
                sums[column] += profile[column]
        # One column after the other, so that no cut of the columns changes the bits.
        square = total[g]
        for column in range(n_columns):
            square += np.float64(sums[column]) * np.float64(sums[column])
        total[g] = square
