"""Quantile normalisation: give every sample the same distribution."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.blocks import as_blocks
from expressome.engine import Resources, map_blocks
from expressome.errors import (
    EmptySelectionError,
    InvalidCountsError,
    ShapeError,
)
from expressome.normalization.kernels import (
    map_counts,
    map_values,
    sum_sorted_counts,
    sum_sorted_values,
)
from expressome.normalization.rows import group_by_measured, retile, to_rankable
from expressome.normalization.target_file import load_target, save_target
from expressome.results import Target

__all__ = [
    "Target",
    "apply_target",
    "fit_target",
    "interpolate_profile",
    "load_target",
    "map_onto",
    "save_target",
    "sum_sorted",
]

Counts = NDArray[Any]


def sum_sorted(counts: Counts) -> NDArray[np.float64]:
    """Sum the sorted log2(1 + count) samples of one tile, shape (n_genes,).

    Parameters
    ----------
    counts
        One tile, shape (<= 256, n_genes); NaN where a gene was not measured.

    Returns
    -------
    ndarray
        float64, shape (n_genes,). A sample with fewer genes counts as much as any
        other: its profile is interpolated to all ranks.

    Examples
    --------
    >>> sum_sorted(np.array([[7, 1, 3], [3, 0, 15]]))
    array([1., 4., 7.])
    """
    total = np.zeros(counts.shape[1])
    for rows, columns in group_by_measured(counts):
        rankable = to_rankable(counts[rows][:, columns])
        if not rankable.shape[1]:
            msg = f"sample {np.arange(len(counts))[rows][0]} measured no gene; leave it out"
            raise InvalidCountsError(msg)
        is_whole = rankable.dtype == np.uint32
        kernel: Callable[..., NDArray[np.float64]] = (
            sum_sorted_counts if is_whole else sum_sorted_values
        )
        total += interpolate_profile(kernel(rankable), counts.shape[1])
    return total


def fit_target(
    counts: Counts | Iterable[Counts],
    *,
    genes: Sequence[str] = (),
    resources: Resources | None = None,
) -> Target:
    """Average the sorted log2(1 + count) profiles of all samples.

    Fit on training samples only: a target that has seen the held-out samples
    leaks their distribution into the model.

    Parameters
    ----------
    counts
        Read counts (or TPM), one array or an iterable of blocks, each of shape
        (n_samples, n_genes), >= 0; NaN where a gene was not measured. Read once; a block may
        be freed afterwards.
    genes
        Gene ids in the order of the columns, kept with the target so that samples
        with another gene set can be mapped onto it.
    resources
        Threads to use; all processors by default.

    Returns
    -------
    Target
        The mean of each rank. Equal to the last bit for every way of cutting the
        samples into blocks and any number of threads.

    Raises
    ------
    ShapeError
        If two blocks disagree on the number of genes, or `genes` with the blocks.
    EmptySelectionError
        If there is no sample or no gene at all.
    InvalidCountsError
        If a value is negative or infinite, or a sample measured no gene.

    Notes
    -----
    Passes over the data: 1. Memory: one block, two tiles of 256 samples per
    thread and one float64 row. Sums run over tiles of 256 samples in float64.

    References
    ----------
    Bolstad et al. 2003, doi:10.1093/bioinformatics/19.2.185

    Examples
    --------
    >>> fit_target(np.array([[7, 1, 3], [3, 0, 15]])).profile
    array([0.5, 2. , 3.5])
    """
    total: NDArray[np.float64] | None = None
    n_samples = 0
    sizes: list[int] = []

    def count_samples() -> Iterator[Counts]:
        for tile in retile(as_blocks(counts)):
            sizes.append(len(tile))
            yield tile

    # Arrays that are here already are not sent to a cluster.
    threads = (resources or Resources()).here
    for tile_total in map_blocks(sum_sorted, count_samples(), resources=threads):
        total = tile_total if total is None else total + tile_total
    n_samples = sum(sizes)
    if total is None or total.size == 0:
        msg = f"{n_samples} samples and no gene to fit; check the selection that chose them"
        raise EmptySelectionError(msg)
    if len(genes) not in (0, total.size):
        msg = f"{len(genes)} gene ids for {total.size} columns of counts; pass one id per column"
        raise ShapeError(msg)
    return Target(total / n_samples, n_samples, tuple(genes))


def interpolate_profile(profile: NDArray[np.float64], n_genes: int) -> NDArray[np.float64]:
    """Give a target for fewer genes: its quantiles at (rank - 0.5) / n_genes.

    Parameters
    ----------
    profile
        Ascending target, shape (n_target_genes,).
    n_genes
        Genes the sample has.

    Returns
    -------
    ndarray
        Ascending, shape (n_genes,); the profile itself if the numbers agree.

    Examples
    --------
    >>> interpolate_profile(np.array([0.0, 1.0, 2.0, 3.0]), 2)
    array([0.5, 2.5])
    """
    if n_genes == profile.size:
        return profile
    known = (np.arange(profile.size) + 0.5) / profile.size
    wanted = (np.arange(n_genes) + 0.5) / n_genes
    return np.interp(wanted, known, profile)


def map_onto(
    counts: Counts, profile: NDArray[np.float64], divisor: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """Map samples onto a profile, divided per gene where asked.

    Parameters
    ----------
    counts
        Shape (n_samples, n_genes); NaN where a gene was not measured.
    profile
        Ascending target, shape (n_genes,).
    divisor
        Shape (n_genes,); none by default.

    Returns
    -------
    ndarray
        float32, shape of `counts`; NaN stays NaN.

    Examples
    --------
    >>> map_onto(np.array([[np.nan, 1.0, 9.0]]), np.array([0.0, 3.0, 6.0]))
    array([[ nan, 0.75, 5.25]], dtype=float32)
    """
    scale = np.empty(0) if divisor is None else divisor
    values = np.empty(counts.shape, np.float32)
    for rows, columns in group_by_measured(counts):
        rankable = to_rankable(counts[rows][:, columns])
        fitting = interpolate_profile(profile, rankable.shape[1])
        kernel: Callable[..., None] = map_counts if rankable.dtype == np.uint32 else map_values
        if isinstance(rows, slice):
            kernel(rankable, fitting, scale, values)
            continue
        mapped = np.empty(rankable.shape, np.float32)
        kernel(rankable, fitting, scale if divisor is None else scale[columns], mapped)
        values[rows] = np.nan
        values[rows[:, None], columns] = mapped
    return values


def apply_target(
    counts: Counts, target: Target, *, resources: Resources | None = None
) -> NDArray[np.float32]:
    """Give every sample the distribution of the target.

    The k-th smallest count of a sample becomes the k-th smallest value of the
    target; tied counts share the mean of the target over their ranks. Since only
    ranks count, log2(1 + count) need not be computed here.

    Parameters
    ----------
    counts
        Read counts (or TPM), shape (n_samples, n_genes), >= 0; NaN where a gene was not
        measured. Not modified.
    target
        What `fit_target` gave, on the scale log2(1 + count), with the same genes
        in the same order. For another gene set use
        `expressome.normalization.recipe.Normalizer`.
    resources
        Threads to use; all processors by default.

    Returns
    -------
    ndarray
        float32, shape of `counts`, log2 scale. Each sample depends on itself alone. NaN stays
        NaN, and the measured genes of that sample share the whole distribution.

    Raises
    ------
    ShapeError
        If the number of genes differs from the target's.
    InvalidCountsError
        If a value is negative or infinite.

    Notes
    -----
    Passes over the data: 1. Zeros: tied like any other count, so they are lifted
    to the mean of the target's lowest ranks; whether a gene was detected can
    only be told from the counts.

    References
    ----------
    Bolstad et al. 2003, doi:10.1093/bioinformatics/19.2.185; ties as in
    the R package limma (Ritchie et al. 2015, doi:10.1093/nar/gkv007).

    Examples
    --------
    >>> target = fit_target(np.array([[7, 1, 3], [3, 0, 15]]))
    >>> apply_target(np.array([[9, 0, 0]]), target)
    array([[3.5 , 1.25, 1.25]], dtype=float32)
    """
    counts = next(as_blocks(counts))
    if counts.shape[1] != target.n_genes:
        msg = (
            f"the counts have {counts.shape[1]} genes, but the target was fitted on "
            f"{target.n_genes}; pass the same genes in the same order"
        )
        raise ShapeError(msg)
    values = np.empty(counts.shape, np.float32)
    start = 0
    for tile in map_blocks(
        lambda tile: map_onto(tile, target.profile),
        retile([counts]),
        resources=(resources or Resources()).here,
    ):
        values[start : start + len(tile)] = tile
        start += len(tile)
    return values
