"""Give synthetic samples the distributions of real genes and real samples."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from expressome.engine import Resources, map_blocks

__all__ = ["SAMPLES_AT_ONCE", "match_genes", "match_samples", "run_in_threads"]

# Genes or samples worked on at once per thread.
_GENES_AT_ONCE = 1024
SAMPLES_AT_ONCE = 16


def run_in_threads(
    work: Callable[[slice], None], *, n_items: int, step: int, n_workers: int
) -> None:
    """Do the work on consecutive slices, whose cut does not depend on the threads.

    Parameters
    ----------
    work
        Given one slice; should release the interpreter lock, as sorting does.
    n_items
        Items in all.
    step
        Items of a slice.
    n_workers
        Threads.

    Examples
    --------
    >>> done = np.zeros(5)
    >>> def count(part):
    ...     done[part] += 1
    >>> run_in_threads(count, n_items=5, step=2, n_workers=2)
    >>> done.tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    spans = [slice(start, min(start + step, n_items)) for start in range(0, n_items, step)]
    # Matrix products within the threads would start threads of their own and wait for each other.
    with threadpool_limits(1, user_api="blas"):
        for _ in map_blocks(work, spans, resources=Resources(workers=n_workers)):
            pass


def _order(values: NDArray[np.float32]) -> NDArray[np.intp]:
    """Sort one sample by radix, 16 bits at a time; ties stay in order of genes.

    For 60,000 genes less than half the time of `numpy.argsort` on float32.
    """
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    # Integers in the order of the floats: the sign bit set above 0, all bits turned below.
    keys = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    high = (keys >> np.uint32(16)).astype(np.uint16)
    return order[np.argsort(high[order], kind="stable")]


def match_genes(
    latent: NDArray[np.float32], reference: NDArray[np.float32], *, n_workers: int = 2
) -> NDArray[np.float32]:
    """Give every gene the distribution it has in the reference samples.

    The r-th smallest of n latent values of a gene becomes the reference's
    quantile (r - 0.5) / n, between two reference values by linear
    interpolation. Only the order of the latent values matters.

    Parameters
    ----------
    latent
        Shape (n_samples, n_genes). Not modified.
    reference
        Real samples, shape (n_reference, n_genes).
    n_workers
        Threads.

    Returns
    -------
    ndarray
        Shape of `latent`, float32, within the reference's range of each gene.

    Notes
    -----
    Memory: one copy of the latent values, and 1,024 genes per thread. One
    latent sample becomes the median: pass a batch.

    Examples
    --------
    >>> latent = np.array([[0.1], [-3.0]], dtype=np.float32)
    >>> match_genes(latent, np.array([[5.0], [7.0]], dtype=np.float32)).ravel().tolist()
    [7.0, 5.0]
    """
    matched = np.empty_like(latent)
    n_samples, n_reference = len(latent), len(reference)
    places = (np.arange(n_samples) + 0.5) / n_samples * n_reference - 0.5
    places = np.clip(places, 0, n_reference - 1)
    lower = np.floor(places).astype(np.intp)
    upper = np.minimum(lower + 1, n_reference - 1)
    weight = (places - lower).astype(np.float32)[None, :]

    def match(genes: slice) -> None:
        ordered = np.sort(np.ascontiguousarray(reference[:, genes].T), axis=1)
        quantiles = ordered[:, lower] * (1 - weight) + ordered[:, upper] * weight
        order = np.argsort(np.ascontiguousarray(latent[:, genes].T), axis=1)
        part = np.empty(order.shape, dtype=np.float32)
        np.put_along_axis(part, order, quantiles, axis=1)
        matched[:, genes] = part.T

    run_in_threads(match, n_items=latent.shape[1], step=_GENES_AT_ONCE, n_workers=n_workers)
    return matched


def match_samples(
    latent: NDArray[np.float32], templates: NDArray[np.float32], *, n_workers: int = 2
) -> NDArray[np.float32]:
    """Give every sample the sorted values of a real one.

    The gene of rank r becomes the r-th smallest value of the sample's
    template, ties of the template included. As every quantile-normalised
    sample is a set of averages over the target, the result lies on the
    atlas's scale exactly, with the zeros and low counts of a real depth.

    Parameters
    ----------
    latent
        Shape (n_samples, n_genes). Not modified.
    templates
        A real sample for each, shape (n_samples, n_genes); need not be sorted.
    n_workers
        Threads.

    Returns
    -------
    ndarray
        Shape of `latent`, float32.

    Examples
    --------
    >>> latent = np.array([[3.0, 1.0, 2.0]], dtype=np.float32)
    >>> match_samples(latent, np.array([[0, 0, 8]], dtype=np.float32)).tolist()
    [[8.0, 0.0, 0.0]]
    """
    matched = np.empty_like(latent)

    def match(samples: slice) -> None:
        for i in range(samples.start, samples.stop):
            matched[i, _order(latent[i])] = np.sort(templates[i])

    run_in_threads(match, n_items=len(latent), step=SAMPLES_AT_ONCE, n_workers=n_workers)
    return matched
