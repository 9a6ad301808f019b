"""Reading stays within its budget, whatever is asked for."""

import h5py
import numpy as np
import pytest
from tests.support.build import make_genes, make_samples
from tests.support.memory import run_script

N_SAMPLES, N_GENES = 20_000, 3_000

SCRIPT = """
import resource, sys
import numpy as np
from expressome.archs4.reader import open_archs4
from expressome.engine import Resources

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

compendium = open_archs4(sys.argv[1])
compendium.samples, compendium.genes
compendium.counts([0])
before = peak()
if sys.argv[2] == "genes":
    counts = compendium.counts(genes=list(range(0, 3000, 300)))
    assert counts.shape == (20000, 10)
else:
    resources = Resources(memory_bytes=64 << 20)
    total = sum(int(block.sum()) for _, block in compendium.blocks(resources=resources))
    assert total == int(sys.argv[3])
print(peak() - before)
"""


@pytest.fixture(scope="module")
def big_file(tmp_path_factory):
    """20,000 samples x 3,000 genes: 240 MB of counts, written chunk by chunk."""
    path = tmp_path_factory.mktemp("big") / "big.h5"
    samples, genes = make_samples(N_SAMPLES), make_genes(N_GENES)
    rng = np.random.default_rng(0)
    total = 0
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "data/expression",
            shape=(N_GENES, N_SAMPLES),
            dtype="u4",
            chunks=(200, 200),
            compression="gzip",
            compression_opts=1,
        )
        for start in range(0, N_SAMPLES, 2000):
            counts = rng.integers(0, 40, size=(N_GENES, 2000), dtype=np.uint32)
            total += int(counts.sum())
            dataset[:, start : start + 2000] = counts
        text = h5py.string_dtype()
        file.create_dataset("meta/samples/geo_accession", data=samples.index, dtype=text)
        file.create_dataset("meta/samples/series_id", data=samples["series"], dtype=text)
        file.create_dataset("meta/genes/symbol", data=genes["symbol"], dtype=text)
        file.create_dataset("meta/genes/ensembl_gene", data=genes.index, dtype=text)
    return path, total


@pytest.mark.memory
@pytest.mark.parametrize(
    ("what", "limit_bytes"),
    [
        # The answer is 0.8 MB; a 160 kB chunk, six copies, for two threads; planning.
        ("genes", 32 << 20),
        # Half of the 64 MiB budget for blocks, an eighth for chunks, planning.
        ("blocks", 64 << 20),
    ],
)
def test_peak_memory_stays_within_the_budget(big_file, what, limit_bytes):
    path, total = big_file

    added_bytes = int(run_script(SCRIPT, path, what, total))

    assert 0 < added_bytes < limit_bytes
