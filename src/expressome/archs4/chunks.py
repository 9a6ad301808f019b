"""Read any cells of the matrix, each stored chunk once, in file order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from expressome.errors import DamagedFileError

__all__ = ["read_cells"]


def read_cells(
    file: Any,  # noqa: ANN401
    path: str,
    *,
    samples: NDArray[np.int64],
    genes: NDArray[np.int64],
    is_transposed: bool,
) -> NDArray[Any]:
    """Read cells in request order."""
    dataset = file[path]
    rows, columns = (genes, samples) if is_transposed else (samples, genes)
    dtype = dataset.dtype.newbyteorder("=")
    counts = np.empty((len(samples), len(genes)), dtype=dtype)
    if counts.size == 0:
        return counts
    low, high = int(columns.min()), int(columns.max()) + 1
    step = max(1, (64 << 20) // max(1, (high - low) * dtype.itemsize))
    order = np.argsort(rows, kind="stable")
    edges = np.flatnonzero(np.diff(rows[order] // step)) + 1
    for part in np.split(order, edges):
        first, last = int(rows[part].min()), int(rows[part].max()) + 1
        try:
            piece = dataset[first:last, low:high]
        except OSError as error:
            msg = f"{file.filename}: {path} cannot be read ({error})"
            raise DamagedFileError(msg) from error
        cells = piece[rows[part] - first][:, columns - low]
        if is_transposed:
            counts[:, part] = cells.T
        else:
            counts[part] = cells
    return counts
