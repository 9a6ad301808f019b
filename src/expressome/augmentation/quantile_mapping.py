"""Give synthetic samples the distributions of real genes and real samples."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

__all__ = ["match_genes", "match_samples"]

# Genes or samples sorted at once per thread.
_GENES_AT_ONCE = 1024
_SAMPLES_AT_ONCE = 16


def _in_threads(work: Callable[[slice], None], *, n_items: int, step: int, n_workers: int) -> None:
    """Do the work on consecutive slices; sorting releases the interpreter lock."""
    spans = [slice(start, min(start + step, n_items)) for start in range(0, n_items, step)]
    with ThreadPoolExecutor(n_workers) as threads:
        for _ in threads.map(work, spans):
            pass


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

    _in_threads(match, n_items=latent.shape[1], step=_GENES_AT_ONCE, n_workers=n_workers)
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
            matched[i, np.argsort(latent[i])] = np.sort(templates[i])

    _in_threads(match, n_items=len(latent), step=_SAMPLES_AT_ONCE, n_workers=n_workers)
    return matched
