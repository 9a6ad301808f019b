"""Sample fields of chosen samples, without reading those of all others."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from expressome.archs4.fields import read_samples
from expressome.archs4.reader import Compendium
from expressome.archs4.storage import open_file

__all__ = ["read_sample_fields"]


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
