"""Whether study effects can be learned from an atlas's labelled samples."""

import warnings

import numpy as np
from scipy import sparse

from expressome.errors import StudyWarning
from expressome.pipeline.label_reading import LabelledSamples

__all__ = ["can_learn_effects"]


def can_learn_effects(labelled: LabelledSamples) -> bool:
    """Say whether a label is held by two studies outside the test part; warn if none is.

    Parameters
    ----------
    labelled
        Labelled samples of an atlas.

    Returns
    -------
    bool
        True if there is a label to learn from.

    Warns
    -----
    StudyWarning
        If no label is held by two studies.
    """
    rows = np.flatnonzero(labelled.parts != "test")
    names, owner = np.unique(labelled.studies[rows].astype(str), return_inverse=True)
    membership = sparse.csr_array(
        (np.ones(len(rows), np.int64), (owner, np.arange(len(rows)))), shape=(len(names), len(rows))
    )
    carried = sparse.csr_array(membership @ labelled.labels[rows].astype(np.int64))
    n_studies = np.bincount(carried.indices, minlength=labelled.labels.shape[1])
    if n_studies.max(initial=0) >= 2:
        return True
    msg = (
        f"none of {len(n_studies)} labels is held by two of the {len(names)} training studies; "
        "no study effect can be learned and scores on other studies will be lower"
    )
    warnings.warn(msg, StudyWarning, stacklevel=3)
    return False
