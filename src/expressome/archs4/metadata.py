"""Text and numbers of ARCHS4's metadata, decoded; samples grouped into studies."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from expressome.archs4.layouts import NA_TOKENS
from expressome.errors import IdentifierWarning, StudyWarning, first_few

__all__ = [
    "NO_ENSEMBL_PREFIXES",
    "decode_numbers",
    "decode_text",
    "gene_keys",
    "group_studies",
    "series_ids",
    "strip_gene_version",
]

# Keys of genes without Ensembl id start with one of these.
NO_ENSEMBL_PREFIXES = ("symbol:", "row:")

_SERIES = re.compile(r"GSE\d+")
_OTHER_SEPARATORS = re.compile(r"Xx-xX|[,;\s]+")
_VERSIONED = re.compile(r"(ENS[A-Z]*[GT]\d+)\.\d+(_PAR_Y)?")
_PYTHON_BYTES = re.compile(r"b(['\"])(.*)\1", re.DOTALL)


def _decode_one(raw: bytes) -> str:
    """Decode one string: UTF-8, else Latin-1, which GEO's older records use."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.strip("\0 \t\r\n")


def _clean(text: str) -> str:
    """Unwrap ``b'...'`` and empty what means "no value"."""
    literal = _PYTHON_BYTES.fullmatch(text)
    text = literal[2] if literal else text
    return "" if text in NA_TOKENS else text


def decode_text(
    raw: NDArray[Any], *, is_id: bool = False, pool: dict[str, str] | None = None
) -> NDArray[np.object_]:
    """Decode strings of an HDF5 file, each distinct one once.

    Parameters
    ----------
    raw
        What h5py gives, shape (n,): bytes of variable or fixed length, padded
        with blanks or NUL, UTF-8 or not; numbers become their text.
    is_id
        Whether these are sample ids, where ``NA`` or ``b'1'`` is an id like any
        other. Elsewhere ``NA``, ``null``, ``missing`` and the like mean "no value".
    pool
        Texts met before, when a field comes in slices: equal ones share one
        object across slices, so that a protocol that 1,000 samples repeat is
        held once.

    Returns
    -------
    ndarray
        Text, shape (n,), dtype object; equal texts share one object; a missing
        value is the empty string. The text ``b'TP53'``, which some releases
        hold for symbols, becomes ``TP53``.

    Examples
    --------
    >>> decode_text(np.array([b"liver ", b"NA", b"b'TP53'"])).tolist()
    ['liver', '', 'TP53']
    """
    if raw.dtype.kind not in "SO":
        return np.array([str(item) for item in raw.tolist()], dtype=object)
    if raw.dtype.kind == "O":
        as_bytes = [item.encode() if isinstance(item, str) else item for item in raw.tolist()]
        encoded = pa.array(as_bytes, pa.large_binary())
    else:
        encoded = pa.array(raw, pa.binary()).cast(pa.large_binary())
    coded = encoded.dictionary_encode(null_encoding="encode")
    texts = [_decode_one(item or b"") for item in coded.dictionary.to_pylist()]
    if not is_id:
        texts = [_clean(text) for text in texts]
    pool = {} if pool is None else pool
    distinct = np.empty(len(texts), dtype=object)
    distinct[:] = [pool.setdefault(text, text) for text in texts]
    texts_of_rows: NDArray[np.object_] = distinct[coded.indices.to_numpy(zero_copy_only=False)]
    return texts_of_rows


def decode_numbers(raw: NDArray[Any]) -> NDArray[np.float64]:
    """Give a numeric field as float64, whatever way a release stores it.

    Parameters
    ----------
    raw
        Numbers, or their text, shape (n,).

    Returns
    -------
    ndarray
        Shape (n,), float64; NaN where there is no number.

    Examples
    --------
    >>> decode_numbers(np.array([b"12.5", b"NA"])).tolist()
    [12.5, nan]
    """
    if raw.dtype.kind in "iufb":
        return np.asarray(raw, dtype=np.float64)
    numbers = pd.to_numeric(pd.Series(decode_text(raw), dtype=object), errors="coerce")
    return numbers.to_numpy(dtype=np.float64)


def strip_gene_version(gene: str) -> str:
    """Remove the version of an Ensembl id; ``_PAR_Y`` stays, it is another gene.

    Parameters
    ----------
    gene
        Any id; what is not a versioned Ensembl id is given back as it is.

    Returns
    -------
    str
        Id without version.

    Examples
    --------
    >>> strip_gene_version("ENSG00000002586.20_PAR_Y")
    'ENSG00000002586_PAR_Y'
    """
    match = _VERSIONED.fullmatch(gene)
    return match[1] + (match[2] or "") if match else gene


def gene_keys(ensembl: Sequence[str], symbols: Sequence[str]) -> list[str]:
    """Give each gene of a file one unique key.

    Parameters
    ----------
    ensembl
        Ensembl ids, with or without version; empty where there is none.
    symbols
        Symbols in the same order; empty where there is none.

    Returns
    -------
    list of str
        The Ensembl id without version; else ``symbol:NAME``; else ``row:N``
        (0-based). A repeated key gets ``#2``, ``#3``, ... in row order.

    Warns
    -----
    IdentifierWarning
        If an Ensembl id occurs twice, which no release should do.

    Examples
    --------
    >>> gene_keys(["ENSG00000141510.18", "", ""], ["TP53", "MIR3", "MIR3"])
    ['ENSG00000141510', 'symbol:MIR3', 'symbol:MIR3#2']
    """
    keys: list[str] = []
    n_seen: dict[str, int] = {}
    repeated: list[str] = []
    for row, (gene, symbol) in enumerate(zip(ensembl, symbols, strict=True)):
        key = strip_gene_version(gene) or (f"symbol:{symbol}" if symbol else f"row:{row}")
        n_seen[key] = n_seen.get(key, 0) + 1
        if n_seen[key] > 1:
            if gene:
                repeated.append(key)
            key = f"{key}#{n_seen[key]}"
        keys.append(key)
    if repeated:
        msg = (
            f"{len(repeated)} of {len(keys)} gene ids repeat an earlier one "
            f"({first_few(repeated)}); each repetition got '#2', '#3', ... appended"
        )
        warnings.warn(msg, IdentifierWarning, stacklevel=2)
    return keys


def series_ids(text: str) -> list[str]:
    """Split a series field into its ids.

    Parameters
    ----------
    text
        The field, such as ``"GSE1,GSE2"``.

    Returns
    -------
    list of str
        All GSE ids in it; if there is none, its parts between commas, semicolons
        and blanks; empty if it says nothing.

    Examples
    --------
    >>> series_ids("GSE99825-GSE99900"), series_ids("E-MTAB-305"), series_ids("NA")
    (['GSE99825', 'GSE99900'], ['E-MTAB-305'], [])
    """
    found = _SERIES.findall(text)
    if found or text.strip() in NA_TOKENS:
        return found
    return [part for part in _OTHER_SEPARATORS.split(text.strip()) if part]


class _Forest:
    """Disjoint sets of series ids, each led by its first id in sorted order."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, name: str) -> str:
        """Give the first id, in sorted order, of the set a name is in."""
        parents = self._parents
        root = name
        while (parent := parents.setdefault(root, root)) != root:
            root = parent
        while name != root:
            parents[name], name = root, parents[name]
        return root

    def join(self, names: Sequence[str]) -> None:
        """Put names into one set."""
        first = self.find(names[0])
        for name in names[1:]:
            first, last = sorted((first, self.find(name)))
            self._parents[last] = first


def group_studies(series: Sequence[str], samples: Sequence[str]) -> list[str]:
    """Name the study each sample belongs to.

    Two samples are of one study when a chain of shared series ids joins them.
    Samples of one study share batch effects and must never be split between
    training and test.

    Parameters
    ----------
    series
        Series field of each sample; several ids may stand in one field
        (``GSE1,GSE2``, ``GSE1-GSE2``, ``GSE1Xx-xXGSE2``). Where there is no GSE
        id, the field is split on comma, semicolon or blank.
    samples
        Sample ids, in the same order.

    Returns
    -------
    list of str
        Name per sample: the first series id, in sorted order, of its study; the
        sample id where the field is empty.

    Warns
    -----
    StudyWarning
        If samples carry no series id: each becomes a study of its own.

    Examples
    --------
    >>> group_studies(["GSE2,GSE1", "GSE2", "GSE7"], ["GSM1", "GSM2", "GSM3"])
    ['GSE1', 'GSE1', 'GSE7']
    """
    forest = _Forest()
    leaders: dict[str, str] = {}
    for text in set(series):
        ids = series_ids(text)
        if ids:
            forest.join(ids)
            leaders[text] = ids[0]
    names = {text: forest.find(leader) for text, leader in leaders.items()}
    taken = set(names.values())
    studies = []
    n_alone = 0
    for text, sample in zip(series, samples, strict=True):
        study = names.get(text)
        if study is None:
            n_alone += 1
            study = f"{sample} (sample)" if sample in taken else sample
        studies.append(study)
    if n_alone:
        msg = (
            f"{n_alone} of {len(studies)} samples have no series id; "
            "each became a study of its own, which may separate replicates"
        )
        warnings.warn(msg, StudyWarning, stacklevel=2)
    return studies
