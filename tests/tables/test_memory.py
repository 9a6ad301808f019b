"""Reading a table takes its counts and a few blocks, not its text."""

import pytest
from tests.support.memory import run_script

pytestmark = pytest.mark.memory

CODE = """
import resource, sys
import numpy as np
from expressome.tables import read_counts

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak()
table = read_counts(sys.argv[1])
assert table.counts.shape == (2_000, 20_000)
print(peak() - before)
"""


def test_reading_takes_the_counts_and_some_blocks(tmp_path):
    path = tmp_path / "counts.tsv"
    row = "\t".join(map(str, range(1000, 3000)))
    with path.open("w") as file:
        file.write("gene\t" + "\t".join(f"S{i}" for i in range(2_000)) + "\n")
        file.writelines(f"g{g}\t{row}\n" for g in range(20_000))

    taken_bytes = int(run_script(CODE, path))

    # 160 MB of uint32, held as pieces and as the whole while they are joined, and about
    # 200 MB of the parser and of blocks of 4 MB of text as float64, whatever the table's size.
    # The text is 200 MB, the whole table as float64 320 MB.
    assert taken_bytes < 2 * 160e6 + 250e6
