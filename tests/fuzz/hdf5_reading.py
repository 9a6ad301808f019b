"""Read spoilt HDF5 files one after the other, in a process that may be killed.

    python -m tests.fuzz.hdf5_reading KIND FOLDER FIRST STOP

Before each case its number is written to FOLDER/case, so that who watches knows which file kept
the HDF5 library busy, or crashed it.
"""

import resource
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from expressome.errors import ExpressomeError

KINDS = ("archs4", "h5ad")
MEMORY_BYTES = 6 * 2**30  # of addresses, libraries included: a file of 20 KiB needs no more
NAMES = {"archs4": "compendium.h5", "h5ad": "counts.h5ad"}


def write_seeds(folder):
    """Write one small valid file of each kind."""
    import anndata
    import pandas as pd
    from scipy import sparse
    from tests.support.build import make_archs4

    make_archs4(folder / "compendium.h5", n_samples=12, n_genes=20)
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(3.0, (6, 20)).astype(np.float32))
    genes = pd.DataFrame(
        {"symbol": [f"G{g}" for g in range(20)]}, [f"ENSG{g:011d}" for g in range(20)]
    )
    samples = pd.DataFrame(index=[f"S{i}" for i in range(6)])
    anndata.AnnData(counts, samples, genes).write_h5ad(folder / "counts.h5ad")


def spoil_structures(content, rng):
    """Change a few bytes, mostly near what is not zero; cut or swap pieces now and then."""
    spoilt = bytearray(content)
    used = np.flatnonzero(np.frombuffer(content, np.uint8))
    for _ in range(int(rng.integers(1, 9))):
        at = int(rng.choice(used)) if rng.uniform() < 0.8 else int(rng.integers(len(spoilt)))
        at = min(at, len(spoilt) - 1)
        kind = rng.choice(["flip", "set", "copy", "cut"], p=[0.5, 0.3, 0.15, 0.05])
        if kind == "flip":
            spoilt[at] ^= 1 << int(rng.integers(8))
        elif kind == "set":
            spoilt[at] = int(rng.choice([0, 1, 2, 127, 128, 255]))
        elif kind == "copy":
            # An address in place of another: trees that meet themselves.
            source, n = int(rng.choice(used)), int(rng.choice([2, 4, 8]))
            spoilt[at : at + n] = content[source : source + n]
        else:
            del spoilt[max(512, at) :]
    return bytes(spoilt)


def read_archs4(place):
    import expressome

    compendium = expressome.open_archs4(place)
    compendium.samples, compendium.genes, compendium.counts()


def read_h5ad(place):
    from expressome.tables import read_counts

    read_counts(place)


READERS = {"archs4": read_archs4, "h5ad": read_h5ad}


def main():
    """Read the cases of a span; an unexpected error ends the process."""
    kind, folder, first, stop = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    content = (folder / NAMES[kind]).read_bytes()
    place = folder / f"spoilt-{NAMES[kind]}"
    for case in range(first, stop):
        (folder / "case").write_text(str(case))
        rng = np.random.default_rng([case, KINDS.index(kind)])
        place.write_bytes(spoil_structures(content, rng))
        with suppress(ExpressomeError):
            READERS[kind](place)
    (folder / "case").write_text(str(stop))


if __name__ == "__main__":
    main()
