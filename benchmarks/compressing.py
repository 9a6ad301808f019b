"""Which compression suits normalised values: size and speed on chunks of an atlas.

Run from the checkout, on the blocks of an atlas or on simulated counts:

    python benchmarks/compressing.py                      # 256 simulated samples x 60,000 genes
    python benchmarks/compressing.py --atlas human.zarr   # its first block
"""

import argparse
import time
from pathlib import Path

import numpy as np
from large_file import Compendium
from numcodecs import Blosc

from expressome.atlas import open_atlas
from expressome.atlas.shards import CHUNK_GENES
from expressome.normalization.length import to_divisor
from expressome.normalization.quantile import fit_target, map_onto

DESCRIPTION = __doc__.splitlines()[0]

CODECS = {
    "none (blosc container)": {"cname": "lz4", "clevel": 0},
    "LZ4 level 1, byte shuffle": {"cname": "lz4", "clevel": 1, "shuffle": Blosc.SHUFFLE},
    "LZ4 level 5, byte shuffle": {"cname": "lz4", "clevel": 5, "shuffle": Blosc.SHUFFLE},
    "LZ4 level 5, bit shuffle": {"cname": "lz4", "clevel": 5, "shuffle": Blosc.BITSHUFFLE},
    "LZ4 level 5, no shuffle": {"cname": "lz4", "clevel": 5, "shuffle": Blosc.NOSHUFFLE},
    "Zstandard level 1, byte shuffle": {"cname": "zstd", "clevel": 1, "shuffle": Blosc.SHUFFLE},
    "Zstandard level 3, byte shuffle": {"cname": "zstd", "clevel": 3, "shuffle": Blosc.SHUFFLE},
    "Zstandard level 3, bit shuffle": {"cname": "zstd", "clevel": 3, "shuffle": Blosc.BITSHUFFLE},
    "Zstandard level 9, byte shuffle": {"cname": "zstd", "clevel": 9, "shuffle": Blosc.SHUFFLE},
}


def make_values(n_genes):
    """Values as `normalize` gives them by default, of 256 simulated samples."""
    compendium = Compendium(256, n_genes, seed=0)
    drawn = [compendium.draw_counts(start) for start in (0, 200)]
    counts = np.concatenate([counts[:n_drawn] for counts, n_drawn in drawn])
    divisor = to_divisor(compendium.genes["length_bp"].to_numpy(), "kb")
    return map_onto(counts, fit_target(counts).profile, divisor)


def cut(values):
    """Chunks as an atlas stores them."""
    starts = range(0, values.shape[1] // CHUNK_GENES * CHUNK_GENES, CHUNK_GENES)
    return [np.ascontiguousarray(values[:, a : a + CHUNK_GENES]) for a in starts]


def time_codec(options, chunks):
    """Ratio, and processor time of the fastest of three passes each way."""
    codec = Blosc(**options)
    write_s, read_s = [], []
    for _ in range(3):
        start = time.process_time()
        packed = [codec.encode(chunk) for chunk in chunks]
        write_s.append(time.process_time() - start)
        start = time.process_time()
        for piece in packed:
            codec.decode(piece)
        read_s.append(time.process_time() - start)
    size = sum(chunk.nbytes for chunk in chunks)
    return size / sum(map(len, packed)), size / min(write_s) / 1e6, size / min(read_s) / 1e6


def main():
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--atlas", type=Path, default=None)
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--chunks", type=int, default=100, help="chunks that are tried")
    options = parser.parse_args()
    if options.atlas is not None:
        values = open_atlas(options.atlas).read(slice(0, 256))
    else:
        values = make_values(options.genes)
    for dtype in ("float32", "float16"):
        chunks = cut(values.astype(dtype))
        chunks = chunks[:: max(1, len(chunks) // options.chunks)]
        print(f"{dtype}, {len(chunks)} chunks of {chunks[0].shape[0]} x {CHUNK_GENES}, one thread")
        print("| codec | ratio | write MB/s | read MB/s |")
        print("|---|---|---|---|")
        for name, settings in CODECS.items():
            ratio, write, read = time_codec(settings, chunks)
            print(f"| {name} | {ratio:.2f} | {write:.0f} | {read:.0f} |")


if __name__ == "__main__":
    main()
