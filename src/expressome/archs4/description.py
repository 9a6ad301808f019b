"""Say what is in an ARCHS4 file, and whether all of it can be read."""

import os
import warnings
from typing import Any

from expressome.addresses import size_of
from expressome.archs4.cells import find_unreadable
from expressome.archs4.chunks import UnreadableChunkError
from expressome.archs4.fields import read_field
from expressome.archs4.layouts import EXPRESSION
from expressome.archs4.metadata import NO_ENSEMBL_PREFIXES, group_studies
from expressome.archs4.reader import Compendium, open_archs4
from expressome.archs4.storage import open_file
from expressome.archs4.structure import list_fields, read_info
from expressome.engine import Resources
from expressome.errors import DamagedFileError, StudyWarning

__all__ = ["describe_archs4", "verify_archs4"]


def describe_archs4(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Say what is in an ARCHS4 file, reading ids and series but no counts.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        ``release``, ``layout``, ``axes`` (as stored), ``species``, ``level``,
        ``unit``, ``dtype``, ``chunks``, ``compression``, ``shuffle``, ``n_samples``,
        ``n_genes``, ``n_studies``, ``n_samples_without_series``, ``fields`` (names
        in the file), ``duplicate_symbols`` (symbols of two or more genes),
        ``genes_without_ensembl_id``, ``n_tables`` (of a packed file, else None),
        ``info`` and ``bytes``.

    Raises
    ------
    InputNotFoundError
        If there is no such file.
    FileFormatError
        If it is not an ARCHS4 file.
    DamagedFileError
        If it is damaged.
    IdentifierError
        If a sample id occurs twice.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import pandas as pd
    >>> from expressome.archs4.writing import write_archs4
    >>> place = tempfile.mkdtemp() + "/two.h5"
    >>> samples = pd.DataFrame({"series": ["GSE1", "GSE2"]}, index=["GSM1", "GSM2"])
    >>> genes = pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"])
    >>> write_archs4(place, samples=samples, genes=genes, blocks=[np.array([[3], [5]])])
    >>> description = describe_archs4(place)
    >>> description["layout"], description["n_studies"], description["species"]
    ('v2.3-v2.6', 2, 'human')
    """
    compendium = open_archs4(path)
    with open_file(path) as file:
        dataset = file[EXPRESSION]
        storage = {
            "dtype": str(compendium.dtype),
            "chunks": dataset.chunks,
            "compression": dataset.compression,
            "shuffle": bool(dataset.shuffle),
        }
        info = read_info(file)
        names = list_fields(file, compendium.layout_row)
    return {
        "path": compendium.path,
        "bytes": size_of(compendium.path),
        "release": compendium.release,
        "layout": compendium.layout,
        "axes": compendium.layout_row.axes,
        "species": compendium.species,
        "level": compendium.level,
        "unit": compendium.unit,
        **storage,
        "n_samples": compendium.n_samples,
        "n_genes": compendium.n_genes,
        **_count_studies(compendium),
        "fields": names,
        **_count_gene_names(compendium),
        "n_tables": _count_tables(compendium),
        "info": info,
    }


def _count_studies(compendium: Compendium) -> dict[str, int]:
    """Count studies and samples without series."""
    with open_file(compendium.path) as file:
        series = read_field(file, compendium.layout_row, "series")
    ids = compendium.sample_ids.tolist()
    texts = [""] * len(ids) if series is None else series.tolist()
    with warnings.catch_warnings():
        # The number is in the answer.
        warnings.simplefilter("ignore", StudyWarning)
        studies = group_studies(texts, ids)
    return {
        "n_studies": len(set(studies)),
        "n_samples_without_series": sum(text == "" for text in texts),
    }


def _count_gene_names(compendium: Compendium) -> dict[str, int]:
    """Count symbols that several genes share and genes without Ensembl id."""
    symbols = compendium.genes["symbol"]
    n_genes = symbols[symbols != ""].value_counts()
    lacking = [key for key in compendium.genes.index if key.startswith(NO_ENSEMBL_PREFIXES)]
    return {
        "duplicate_symbols": int((n_genes > 1).sum()),
        "genes_without_ensembl_id": len(lacking),
    }


def _count_tables(compendium: Compendium) -> int | None:
    groups = compendium.measured_groups()
    return None if groups is None else len(groups[1])


def verify_archs4(
    path: str | os.PathLike[str], *, resources: Resources | None = None
) -> dict[str, Any]:
    """Read every field and every chunk of an ARCHS4 file.

    Parameters
    ----------
    path
        The file.
    resources
        Memory and threads to use.

    Returns
    -------
    dict
        ``n_samples``, ``n_genes``, ``n_chunks`` read, ``n_fields`` read.

    Raises
    ------
    DamagedFileError
        If a field or chunk cannot be read or holds negative numbers, NaN or
        infinity; it says how many chunks and names samples and genes of the first.
    FileFormatError
        If it is not an ARCHS4 file.
    IdentifierError
        If a sample id occurs twice.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import pandas as pd
    >>> from expressome.archs4.writing import write_archs4
    >>> place = tempfile.mkdtemp() + "/two.h5"
    >>> samples = pd.DataFrame({"series": ["GSE1", "GSE2"]}, index=["GSM1", "GSM2"])
    >>> genes = pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"])
    >>> write_archs4(place, samples=samples, genes=genes, blocks=[np.array([[3], [5]])])
    >>> verify_archs4(place)["n_chunks"]
    1
    """
    resources = resources or Resources()
    compendium = open_archs4(path)
    n_fields = len(compendium.samples.columns) + len(compendium.genes.columns)
    n_read, failures = 0, list[UnreadableChunkError]()
    with open_file(path) as file:
        for n_chunks, n_total, failed in find_unreadable(file[EXPRESSION], resources=resources):
            n_read += n_chunks
            failures += failed
            resources.progress("verify", n_read, n_total)
    if failures:
        raise DamagedFileError(compendium.explain(failures))
    return {
        "path": compendium.path,
        "n_samples": compendium.n_samples,
        "n_genes": compendium.n_genes,
        "n_fields": n_fields,
        "n_chunks": n_read,
    }
