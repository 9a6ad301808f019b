"""Short fingerprints of counts: equal samples are found without keeping counts."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.errors import ShapeError
from expressome.normalization.kernels import hash_counts, hash_values
from expressome.normalization.rows import to_rankable

__all__ = ["find_repeated", "fingerprint_counts", "hash_genes"]

# Failed runs with a handful of reads are alike by chance; ten genes with equal counts are not.
_MIN_DETECTED = 10


def hash_genes(genes: Iterable[str]) -> NDArray[np.uint64]:
    """Turn gene ids into 64-bit numbers.

    Parameters
    ----------
    genes
        Ids, such as Ensembl ids without version.

    Returns
    -------
    ndarray
        uint64, shape (n_genes,): the first 8 bytes of each id's BLAKE2b.

    Examples
    --------
    >>> hash_genes(["TP53", "TP53"])[0] == hash_genes(["TP53"])[0]
    np.True_
    """
    digests = [hashlib.blake2b(str(gene).encode(), digest_size=8).digest() for gene in genes]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def fingerprint_counts(counts: NDArray[Any], gene_hashes: NDArray[np.uint64]) -> list[str]:
    """Give each sample's counts a name of 64 bits.

    Two samples with the same positive counts of the same genes have the same
    name, in whatever order and beside whatever zeros the genes are stored; samples that
    differ share it with probability 5e-20 per pair.

    Parameters
    ----------
    counts
        Counts or TPM, shape (n_samples, n_genes), >= 0; NaN where not measured.
    gene_hashes
        What `hash_genes` gave for the columns, shape (n_genes,).

    Returns
    -------
    list of str
        16 hexadecimal digits per sample; zeros only for a sample without any count.

    Raises
    ------
    ShapeError
        If there is not one hash per column.
    InvalidCountsError
        If a count is negative or infinite.

    Notes
    -----
    The sum, modulo 2^64, of a mixed pair (gene, count) over the genes with a count above 0.
    A sum does not depend on the order of genes. Genes with count 0 and genes that were not
    measured add nothing, so that a release which adds or removes genes without counts
    leaves the name as it is.

    References
    ----------
    Mixing of bits: Steele, Lea, Flood 2014 (SplitMix64), doi:10.1145/2660193.2660195

    Examples
    --------
    >>> counts = np.array([[5, 0, 7]])
    >>> forwards = fingerprint_counts(counts, hash_genes(["A", "B", "C"]))
    >>> forwards == fingerprint_counts(counts[:, ::-1], hash_genes(["C", "B", "A"]))
    True
    """
    if counts.ndim != 2 or counts.shape[1] != gene_hashes.size:
        msg = f"{gene_hashes.size} gene hashes for counts of shape {counts.shape}; pass one each"
        raise ShapeError(msg)
    has_gaps = counts.dtype.kind == "f" and bool(np.isnan(counts).any())
    rankable = to_rankable(np.where(np.isnan(counts), 0, counts) if has_gaps else counts)
    kernel: Callable[..., NDArray[np.uint64]] = (
        hash_counts if rankable.dtype == np.uint32 else hash_values
    )
    return [f"{int(number):016x}" for number in kernel(rankable, gene_hashes)]


def find_repeated(fingerprints: Iterable[str], n_detected: NDArray[np.integer]) -> NDArray[np.str_]:
    """Name each sample's content so that only true copies share a name.

    Parameters
    ----------
    fingerprints
        What `fingerprint_counts` gave.
    n_detected
        Genes with a count above 0, shape (n_samples,).

    Returns
    -------
    ndarray
        The fingerprint, or a name of its own for a sample that detected fewer than 10
        genes: such samples are alike without being copies. Shape (n_samples,).

    Examples
    --------
    >>> find_repeated(["aa", "aa", "aa"], np.array([100, 100, 2])).tolist()
    ['aa', 'aa', 'alone-2']
    """
    return np.array(
        [
            name if n >= _MIN_DETECTED else f"alone-{i}"
            for i, (name, n) in enumerate(zip(fingerprints, n_detected, strict=True))
        ],
        dtype=np.str_,
    )
