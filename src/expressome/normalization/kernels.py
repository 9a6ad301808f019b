"""Compiled loops of quantile normalisation: one sample at a time, no lock held."""

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "hash_counts",
    "hash_values",
    "map_counts",
    "map_values",
    "sum_sorted_counts",
    "sum_sorted_values",
]

# Counts below this are ranked by counting, the few above it by sorting. The two
# tables of 2^14 entries stay in a core's own cache; 99% of real counts are below.
_TABLE_SIZE = 2**14


@numba.njit(nogil=True, cache=True)
def _tally(row, even, odd, large):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0917 - compiled
    """Count how often each count below the table's size occurs; name the genes above it.

    Two tables take turns: the zeros of neighbouring genes need not wait for each other.
    """
    limit = np.uint32(_TABLE_SIZE)
    n_genes = row.size
    for pair in range(n_genes // 2):
        even[min(row[2 * pair], limit)] += 1
        odd[min(row[2 * pair + 1], limit)] += 1
    if n_genes % 2:
        even[min(row[n_genes - 1], limit)] += 1
    n_large = 0
    for g in range(n_genes):
        if row[g] >= limit:
            large[n_large] = g
            n_large += 1
    return n_large


@numba.njit(nogil=True, cache=True)
def sum_sorted_counts(counts: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Sum log2(1 + count) of the sorted samples, rank by rank, in row order."""
    n_samples, n_genes = counts.shape
    total = np.zeros(n_genes)
    even = np.zeros(_TABLE_SIZE + 1, np.int32)
    odd = np.zeros(_TABLE_SIZE + 1, np.int32)
    genes_with_large = np.empty(n_genes, np.int64)
    log2_table = np.log2(1.0 + np.arange(_TABLE_SIZE))
    for i in range(n_samples):
        n_large = _tally(counts[i], even, odd, genes_with_large)
        rank = np.int64(even[0] + odd[0])
        count = 1
        while rank < n_genes - n_large:
            stop = rank + even[count] + odd[count]
            log2_count = log2_table[count]
            for position in range(rank, stop):
                total[position] += log2_count
            rank = stop
            count += 1
        even[:] = 0
        odd[:] = 0
        for large in np.sort(counts[i][genes_with_large[:n_large]]):
            total[rank] += np.log2(1.0 + np.float64(large))
            rank += 1
    return total


@numba.njit(nogil=True, cache=True)
def sum_sorted_values(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum log2(1 + value) of the sorted samples, rank by rank, in row order."""
    n_samples, n_genes = values.shape
    total = np.zeros(n_genes)
    for i in range(n_samples):
        ordered = np.sort(values[i])
        for rank in range(n_genes):
            total[rank] += np.log2(1.0 + ordered[rank])
    return total


@numba.njit(nogil=True, cache=True, inline="always")
def _mean_of_ranks(profile, cumulative, start, stop):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0917 - inlined for floats
    """Mean of the target over tied ranks; exact where there is no tie."""
    if stop - start == 1:
        return profile[start]
    return (cumulative[stop] - cumulative[start]) / (stop - start)


@numba.njit(nogil=True, cache=True)
def map_counts(  # noqa: PLR0917 - compiled functions take positions only
    counts: NDArray[np.uint32],
    profile: NDArray[np.float64],
    divisor: NDArray[np.float64],
    values: NDArray[np.float32],
) -> None:
    """Write the target value of each count's rank, divided per gene, to `values`.

    An empty divisor divides nothing.
    """
    n_samples, n_genes = counts.shape
    limit = np.uint32(_TABLE_SIZE)
    cumulative = np.zeros(n_genes + 1)
    cumulative[1:] = np.cumsum(profile)
    even = np.zeros(_TABLE_SIZE + 1, np.int32)
    odd = np.zeros(_TABLE_SIZE + 1, np.int32)
    value_of = np.zeros(_TABLE_SIZE + 1, np.float32)
    genes_with_large = np.empty(n_genes, np.int64)
    for i in range(n_samples):
        row, out = counts[i], values[i]
        n_large = _tally(row, even, odd, genes_with_large)
        rank = np.int64(0)
        count = 0
        while rank < n_genes - n_large:
            stop = rank + even[count] + odd[count]
            if stop > rank:
                value_of[count] = _mean_of_ranks(profile, cumulative, rank, stop)
            rank = stop
            count += 1
        even[:] = 0
        odd[:] = 0
        if divisor.size:
            for g in range(n_genes):
                out[g] = np.float64(value_of[min(row[g], limit)]) / divisor[g]
        else:
            for g in range(n_genes):
                out[g] = value_of[min(row[g], limit)]
        large = counts[i][genes_with_large[:n_large]]
        order = np.argsort(large)
        start = 0
        while start < n_large:
            stop = start + 1
            while stop < n_large and large[order[stop]] == large[order[start]]:
                stop += 1
            mean = np.float32(_mean_of_ranks(profile, cumulative, rank + start, rank + stop))
            for position in range(start, stop):
                g = genes_with_large[order[position]]
                out[g] = np.float64(mean) / divisor[g] if divisor.size else mean
            start = stop


@numba.njit(nogil=True, cache=True)
def map_values(  # noqa: PLR0917 - compiled functions take positions only
    measurements: NDArray[np.float64],
    profile: NDArray[np.float64],
    divisor: NDArray[np.float64],
    values: NDArray[np.float32],
) -> None:
    """Do the same for measurements that are not whole numbers."""
    n_samples, n_genes = measurements.shape
    cumulative = np.zeros(n_genes + 1)
    cumulative[1:] = np.cumsum(profile)
    for i in range(n_samples):
        order = np.argsort(measurements[i])
        start = 0
        while start < n_genes:
            stop = start + 1
            while stop < n_genes and measurements[i, order[stop]] == measurements[i, order[start]]:
                stop += 1
            mean = np.float32(_mean_of_ranks(profile, cumulative, start, stop))
            for position in range(start, stop):
                g = order[position]
                values[i, g] = np.float64(mean) / divisor[g] if divisor.size else mean
            start = stop


@numba.njit(nogil=True, cache=True, inline="always")
def _mix(number):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - inlined
    """Spread every bit of a 64-bit number over all of them (SplitMix64)."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


@numba.njit(nogil=True, cache=True)
def hash_counts(counts: NDArray[np.uint32], gene_hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Sum the mixed (gene, count) pairs of each sample, modulo 2^64."""
    n_samples, n_genes = counts.shape
    total = np.zeros(n_samples, np.uint64)
    for i in range(n_samples):
        row = counts[i]
        found = np.uint64(0)
        for g in range(n_genes):
            count = np.uint64(row[g])
            mixed = _mix(gene_hashes[g] + count * np.uint64(0x9E3779B97F4A7C15))
            # Chosen, not jumped to: half of all counts are 0, in no order.
            found += mixed if count > 0 else np.uint64(0)
        total[i] = found
    return total


@numba.njit(nogil=True, cache=True)
def hash_values(
    measurements: NDArray[np.float64], gene_hashes: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Do the same for floats: whole numbers as `hash_counts`, others by their bits."""
    n_samples, n_genes = measurements.shape
    total = np.zeros(n_samples, np.uint64)
    for i in range(n_samples):
        bits = measurements[i].view(np.uint64)
        for g in range(n_genes):
            value = measurements[i, g]
            if value > 0:
                content = np.uint64(value) if value == np.floor(value) else bits[g]
                total[i] += _mix(gene_hashes[g] + content * np.uint64(0x9E3779B97F4A7C15))
    return total
