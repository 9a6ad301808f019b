"""Read an h5ad file from elsewhere in a process of its own: a spoilt one can crash or hang HDF5."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from expressome.errors import ExpressomeError, ExpressomeWarning, FileFormatError
from expressome.tables import CountTable, read_counts
from expressome.tables.columnar import open_h5ad

__all__ = ["receive_h5ad"]

_MOST_SECONDS = 60
# Of the process that reads; 500 samples of 60,000 genes take a tenth of it.
_MOST_BYTES = 4 * 2**30
_ARRAYS = "counts.npz"


def receive_h5ad(path: Path, *, most_samples: int, most_genes: int) -> CountTable:
    """Read the counts of an h5ad file without trusting it.

    Parameters
    ----------
    path
        The file; its folder is written to, and cleared by the caller.
    most_samples, most_genes
        Larger files are refused before their counts are read.

    Returns
    -------
    CountTable
        As `read_counts` gives it.

    Raises
    ------
    FileFormatError
        If it is no h5ad file, too large, crashes HDF5, needs more than a minute or, on
        Linux and macOS, more than 4 GB of memory; or if its counts are none.

    Warns
    -----
    ExpressomeWarning
        What `read_counts` warns of.
    """
    command = [sys.executable, "-m", __name__, str(path), str(most_samples), str(most_genes)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module; the file's name is no option of it
            command,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=_MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        msg = f"{path.name} could not be read within {_MOST_SECONDS} s; is it damaged?"
        raise FileFormatError(msg) from None
    try:
        said = json.loads(done.stdout)
    except ValueError:
        msg = (
            f"{path.name} made the HDF5 library fail (exit {done.returncode}): it is damaged, or "
            "needs too much memory; write it again with fewer samples"
        )
        raise FileFormatError(msg) from None
    if said["error"]:
        raise FileFormatError(said["error"])
    for note in said["notes"]:
        warnings.warn(note, ExpressomeWarning, stacklevel=2)
    with np.load(path.with_name(_ARRAYS), allow_pickle=False) as arrays:
        genes, samples = (pd.Index(arrays[name].astype(object)) for name in ("genes", "samples"))
        return CountTable(path, genes, samples, arrays["counts"], said["n_rounded"])


def _read_here(path: Path, most_samples: int, most_genes: int) -> dict[str, object]:
    """Write the counts beside the file, and say what there is to say."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            _check_shape(path, most_samples, most_genes)
            table = read_counts(path)
        except ExpressomeError as error:
            return {"error": "; ".join([str(error), *getattr(error, "__notes__", [])])}
    np.savez(
        path.with_name(_ARRAYS),
        counts=table.counts,
        genes=table.genes.to_numpy(dtype=str),
        samples=table.samples.to_numpy(dtype=str),
    )
    notes = [str(one.message) for one in caught if issubclass(one.category, ExpressomeWarning)]
    return {"error": "", "notes": notes, "n_rounded": table.n_rounded}


def _check_shape(path: Path, most_samples: int, most_genes: int) -> None:
    opened = open_h5ad(path)
    n_samples, n_genes = opened.shape
    opened.file.close()
    if n_samples > most_samples or n_genes > most_genes:
        msg = (
            f"{path.name} has {n_samples:,} samples x {n_genes:,} genes, the page takes "
            f"{most_samples:,} x {most_genes:,}; drop fewer at once or use expressome predict"
        )
        raise FileFormatError(msg)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows: the size of the upload bounds it
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))


if __name__ == "__main__":
    _limit_memory()
    said = _read_here(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(json.dumps(said))
