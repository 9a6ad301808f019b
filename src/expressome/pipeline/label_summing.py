"""How one gene is distributed in each label, at once for all labels."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from expressome.results import LabelMatrix

__all__ = ["LabelExpression", "LabelRows"]

# Enough for a violin that looks the same with all values; 25, 50 and 75 are the quartiles.
_N_QUANTILES = 101


@dataclass(frozen=True, slots=True)
class LabelExpression:
    """A gene in the samples of one label.

    Attributes
    ----------
    label
        Its key; empty for samples without a label.
    kind
        Kind of the label.
    n_samples
        Samples that carry it and measured the gene.
    n_studies
        Studies they come from.
    q25, median, q75
        Quartiles.
    quantiles
        101 evenly spaced quantiles, or all values in order where there are fewer.
    """

    label: str
    kind: str
    n_samples: int
    n_studies: int
    q25: float
    median: float
    q75: float
    quantiles: list[float]


class LabelRows:
    """Which samples carry each label, and which of them share a study.

    Parameters
    ----------
    labels
        Of the atlas.
    studies
        Study of each sample, any values; None counts every sample as one.

    Examples
    --------
    >>> table = pd.DataFrame({"kind": "tissue"}, index=["liver", "lung"])
    >>> matrix = sparse.csr_array(np.array([[1, 0], [1, 0], [0, 1], [0, 0]], np.uint8))
    >>> rows = LabelRows(LabelMatrix(pd.Index(list("abcd")), table, matrix), ["s", "s", "t", "t"])
    >>> found = rows.summarise(np.array([1.0, 2.0, 5.0, np.nan], np.float32))
    >>> [(one.label, one.n_samples, one.n_studies, one.median) for one in found]
    [('lung', 1, 1, 5.0), ('liver', 2, 1, 1.5)]
    """

    def __init__(self, labels: LabelMatrix, studies: object = None) -> None:
        columns = sparse.csc_array(labels.matrix)
        bare = np.flatnonzero(np.asarray(labels.matrix.sum(axis=1)).ravel() == 0)
        # Samples without a label stand last, as a label without a name.
        self._keys = [*labels.keys, ""]
        self._kinds = [*labels.labels["kind"].astype(str), ""]
        self._rows = np.concatenate([columns.indices, bare]).astype(np.int64)
        self._starts = np.concatenate([columns.indptr, [len(self._rows)]]).astype(np.int64)
        n_samples = labels.matrix.shape[0]
        given = np.arange(n_samples) if studies is None else studies
        codes = pd.factorize(np.asarray(given))[0].astype(np.int64)
        label_of = np.repeat(np.arange(len(self._keys)), np.diff(self._starts))
        pairs, self._pair = np.unique(
            label_of * (codes.max(initial=0) + 1) + codes[self._rows], return_inverse=True
        )
        self._label_of_pair = pairs // (codes.max(initial=0) + 1)

    def summarise(self, values: NDArray[np.float32]) -> list[LabelExpression]:
        """Summarise a gene in every label.

        Parameters
        ----------
        values
            Of all samples, NaN where unmeasured, shape (n_samples,).

        Returns
        -------
        list of LabelExpression
            Highest median first; samples without a label last. Labels whose samples did not
            measure the gene are left out.
        """
        own = values[self._rows]
        n_studies = self._count_studies(np.isfinite(own))
        found = []
        for k, (key, kind) in enumerate(zip(self._keys, self._kinds, strict=True)):
            part = own[self._starts[k] : self._starts[k + 1]]
            part.sort()  # NaN go last
            n_measured = int(np.searchsorted(part, np.nan))
            if n_measured:
                found.append(_summarise(key, kind, part[:n_measured], int(n_studies[k])))
        bare = [one for one in found if not one.label]
        return sorted((one for one in found if one.label), key=lambda one: -one.median) + bare

    def _count_studies(self, is_measured: NDArray[np.bool_]) -> NDArray[np.int64]:
        is_seen = np.zeros(len(self._label_of_pair), bool)
        is_seen[self._pair[is_measured]] = True
        return np.bincount(self._label_of_pair[is_seen], minlength=len(self._keys))


def _summarise(
    label: str, kind: str, values: NDArray[np.float32], n_studies: int
) -> LabelExpression:
    """Summarise values in ascending order."""
    place = np.linspace(0, len(values) - 1, _N_QUANTILES)
    below = place.astype(np.int64)
    above = np.minimum(below + 1, len(values) - 1)
    low = values[below].astype(np.float64)
    quantiles = low + (place - below) * (values[above] - low)
    drawn = quantiles if len(values) > _N_QUANTILES else values.astype(np.float64)
    return LabelExpression(
        label,
        kind,
        len(values),
        n_studies,
        float(quantiles[25]),
        float(quantiles[50]),
        float(quantiles[75]),
        np.round(drawn, 4).tolist(),
    )
