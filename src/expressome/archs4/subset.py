"""Some samples of a file: their fields, and what reading their counts will fetch."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.addresses import RemotePath
from expressome.archs4.chunk_fetching import task_spans
from expressome.archs4.chunks import ChunkStore
from expressome.archs4.fields import read_samples
from expressome.archs4.layouts import EXPRESSION
from expressome.archs4.plan import plan_chunks
from expressome.archs4.reader import Compendium
from expressome.archs4.remote import open_remote
from expressome.archs4.storage import open_file

__all__ = ["missing_bytes", "read_sample_fields"]


def read_sample_fields(compendium: Compendium, positions: NDArray[np.int64]) -> pd.DataFrame:
    """Read all fields of some samples.

    Of a remote file only the text of these samples is fetched.

    Parameters
    ----------
    compendium
        The file.
    positions
        Positions of the samples, in the order of the answer.

    Returns
    -------
    DataFrame
        As `Compendium.samples`, but ``study`` groups the chosen samples alone: two
        that only a sample outside the choice joins are in two studies.

    Examples
    --------
    >>> import tempfile
    >>> from expressome.archs4.reader import open_archs4
    >>> from expressome.archs4.writing import write_archs4
    >>> place = tempfile.mkdtemp() + "/two.h5"
    >>> samples = pd.DataFrame({"series": ["GSE1", "GSE2"]}, index=["GSM1", "GSM2"])
    >>> genes = pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"])
    >>> write_archs4(place, samples=samples, genes=genes, blocks=[np.array([[3], [5]])])
    >>> read_sample_fields(open_archs4(place), np.array([1]))["series"].to_dict()
    {'GSM2': 'GSE2'}
    """
    with open_file(compendium.path) as file:
        return read_samples(file, compendium.layout_row, compendium.sample_ids, rows=positions)


def missing_bytes(compendium: Compendium, positions: NDArray[np.int64]) -> int:
    """Count the bytes of the matrix that reading some samples will fetch.

    Parameters
    ----------
    compendium
        The file.
    positions
        Positions of the samples.

    Returns
    -------
    int
        Stored bytes of their chunks, without those that are cached; 0 for a local file.

    Examples
    --------
    >>> import tempfile
    >>> from expressome.archs4.reader import open_archs4
    >>> from expressome.archs4.writing import write_archs4
    >>> place = tempfile.mkdtemp() + "/two.h5"
    >>> samples = pd.DataFrame({"series": ["GSE1", "GSE2"]}, index=["GSM1", "GSM2"])
    >>> genes = pd.DataFrame({"symbol": ["TP53"]}, index=["ENSG00000141510"])
    >>> write_archs4(place, samples=samples, genes=genes, blocks=[np.array([[3], [5]])])
    >>> missing_bytes(open_archs4(place), np.array([1]))
    0
    """
    if not isinstance(compendium.path, RemotePath):
        return 0
    with open_file(compendium.path) as file:
        store = ChunkStore.of(file[EXPRESSION])
        genes = np.arange(compendium.n_genes)
        is_transposed = compendium.layout_row.is_transposed
        rows, columns = (genes, positions) if is_transposed else (positions, genes)
        tasks = plan_chunks(rows, columns, store.chunk_shape)
        spans = [span for task in tasks for span in task_spans(store, task)]
    missing = open_remote(compendium.path).missing(spans)
    return sum(stop - start for start, stop in missing)
