"""Simulated ARCHS4 files as large as the real ones, written as fast as the disk takes them.

    python benchmarks/large_file.py big.h5 --samples 64000 --labels labels.parquet

Every sample is its own: the mean of its tissue, the effect of its study on every gene, its depth,
noise per cell, and a Poisson draw. Layout v2.6, chunks of 200 x 200 counts, gzip. The labels are
20 tissues for nine samples in ten, in studies of 5 to 60 samples.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numba
import numpy as np
import pandas as pd
from isal import isal_zlib
from scipy import sparse
from scipy.special import ndtri

from expressome.annotation.multihot import write_labels
from expressome.reference.lengths import load_lengths
from expressome.results import LABEL_FIELDS, LabelMatrix

DESCRIPTION = __doc__.splitlines()[0]

N_TISSUES = 20
CHUNK = 200
LEVEL = 2

# 2^12 quantiles of the normal distribution, read at random places.
NORMAL = ndtri((np.arange(4096) + 0.5) / 4096).astype(np.float32)


@numba.njit(nogil=True, cache=True)
def draw_sample(log_mean, sigma, seed, normal, counts):  # pragma: no cover - compiled
    """Fill one sample: exp(log mean + noise), then Poisson (normal above 30)."""
    state = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x2545F4914F6CDD1D)
    for g in range(log_mean.size):
        if log_mean[g] < np.float32(-12):
            counts[g] = 0
            continue
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        bits = state
        z = normal[(bits >> np.uint64(52)) & np.uint64(4095)]
        mean = np.exp(log_mean[g] + sigma * z)
        u = np.float32((bits >> np.uint64(20)) & np.uint64(0xFFFFFFFF)) * np.float32(2.0**-32)
        if mean > 30:
            w = normal[(bits >> np.uint64(8)) & np.uint64(4095)]
            drawn = mean + np.sqrt(mean) * w + u
            counts[g] = np.uint32(max(drawn, np.float32(0)))
            continue
        term = np.exp(-mean)
        total = term
        k = 0
        while u > total and k < 100:
            k += 1
            term *= mean / np.float32(k)
            total += term
        counts[g] = k


class Compendium:
    """Sizes, studies, tissues and expected counts of a simulated compendium."""

    def __init__(self, n_samples, n_genes, seed):
        rng = np.random.default_rng(seed)
        self.n_samples, self.n_genes, self.seed = n_samples, n_genes, seed
        sizes = rng.integers(5, 61, n_samples // 5 + 1)
        study = np.repeat(np.arange(sizes.size), sizes)[:n_samples]
        self.study = study
        # Most studies hold one tissue, some two.
        first, second = rng.integers(0, N_TISSUES, (2, sizes.size))
        is_second = (rng.random(sizes.size) < 0.2)[study] & (rng.random(n_samples) < 0.5)
        self.tissue = np.where(is_second, second[study], first[study])
        self.is_labelled = (rng.random(sizes.size) < 0.9)[study]
        lengths = load_lengths("human")
        coding = np.flatnonzero(lengths["biotype"] == "protein_coding")[:n_genes]
        others = np.setdiff1d(np.arange(len(lengths)), coding)
        chosen = rng.choice(others, n_genes - coding.size, replace=False)
        self.genes = lengths.iloc[np.sort(np.concatenate([coding, chosen]))]
        is_coding = (self.genes["biotype"] == "protein_coding").to_numpy()
        # 20-30 million reads: coding genes around 100 reads, the others around 0.2.
        base = np.where(is_coding, rng.normal(3.0, 2.3, n_genes), rng.normal(-2.0, 2.0, n_genes))
        tissues = rng.normal(0, 1.6, (N_TISSUES, n_genes)) * (
            rng.random((N_TISSUES, n_genes)) < 0.3
        )
        self.log_mean = (base + tissues).astype(np.float32)
        self.log_depth = rng.normal(0, 0.6, n_samples).astype(np.float32)

    def draw_counts(self, start):
        """Counts of up to 200 samples, in an array of 200, and how many there are."""
        stop = min(start + CHUNK, self.n_samples)
        counts = np.zeros((CHUNK, self.n_genes), np.uint32)
        held, effect = -1, None
        for i in range(start, stop):
            if self.study[i] != held:
                held = self.study[i]
                rng = np.random.default_rng([self.seed, 1, held])
                effect = rng.standard_normal(self.n_genes, np.float32) * np.float32(0.5)
            log_mean = self.log_mean[self.tissue[i]] + effect + self.log_depth[i]
            draw_sample(
                log_mean, np.float32(0.4), self.seed * 2**32 + i + 1, NORMAL, counts[i - start]
            )
        return counts, stop - start

    def draw(self, start):
        """Compressed chunks of up to 200 samples, and their reads."""
        counts, n_drawn = self.draw_counts(start)
        chunks = []
        for g in range(0, self.n_genes, CHUNK):
            chunk = np.zeros((CHUNK, CHUNK), np.uint32)
            part = counts[:, g : g + CHUNK].T
            chunk[: len(part)] = part
            chunks.append(isal_zlib.compress(chunk.tobytes(), LEVEL))
        depth = counts[:n_drawn].sum(axis=1, dtype=np.float64)
        return start, chunks, depth

    def write(self, path, *, n_threads=2):
        """Write the file; give the share of zeros estimated from its first samples."""
        with h5py.File(path, "w", libver="latest") as file:
            shape = (self.n_genes, self.n_samples)
            chunks = (min(CHUNK, shape[0]), min(CHUNK, shape[1]))
            if chunks != (CHUNK, CHUNK):
                msg = f"at least {CHUNK} genes and {CHUNK} samples are needed"
                raise SystemExit(msg)
            dataset = file.create_dataset(
                "data/expression", shape, "u4", chunks=chunks, compression="gzip"
            )
            depths = np.empty(self.n_samples)
            starts = iter(range(0, self.n_samples, CHUNK))
            with ThreadPoolExecutor(n_threads) as threads:
                waiting = [
                    threads.submit(self.draw, s) for _, s in zip(range(4), starts, strict=False)
                ]
                while waiting:
                    start, packed, depth = waiting.pop(0).result()
                    for number, chunk in enumerate(packed):
                        dataset.id.write_direct_chunk((number * CHUNK, start), chunk)
                    depths[start : start + depth.size] = depth
                    waiting += [
                        threads.submit(self.draw, s) for s in [next(starts, None)] if s is not None
                    ]
            self._write_fields(file, depths)

    def _write_fields(self, file, depths):
        text = h5py.string_dtype()
        numbers = range(self.n_samples)
        tissues = [f"tissue {k}" for k in self.tissue]
        samples = {
            "geo_accession": [f"GSM{1_000_000 + i}" for i in numbers],
            "series_id": [f"GSE{100_000 + s}" for s in self.study],
            "title": [f"sample {i} of study {s}" for i, s in enumerate(self.study)],
            "source_name_ch1": tissues,
            "characteristics_ch1": [
                f"tissue: {t},replicate: {i % 3}" for i, t in enumerate(tissues)
            ],
            "extract_protocol_ch1": [
                f"Protocol of study {s}. " + "RNA was extracted and sequenced. " * 12
                for s in self.study
            ],
            "organism_ch1": ["Homo sapiens"] * self.n_samples,
            "platform_id": ["GPL16791"] * self.n_samples,
        }
        for name, values in samples.items():
            file.create_dataset(f"meta/samples/{name}", data=values, dtype=text, **_packed())
        file.create_dataset("meta/samples/alignedreads", data=depths, **_packed())
        rng = np.random.default_rng([self.seed, 2])
        file.create_dataset(
            "meta/samples/singlecellprobability", data=rng.beta(1, 8, self.n_samples), **_packed()
        )
        genes = {
            "ensembl_gene": self.genes.index,
            "symbol": self.genes["symbol"].fillna(""),
            "biotype": self.genes["biotype"],
        }
        for name, values in genes.items():
            data = [str(value) for value in values]
            file.create_dataset(f"meta/genes/{name}", data=data, dtype=text, **_packed())
        for name, value in (
            ("version", "2.6"),
            ("author", "simulated by benchmarks/large_file.py"),
        ):
            file.create_dataset(f"meta/info/{name}", data=[value], dtype=text)

    def write_labels(self, path):
        """Write tissue labels as `annotate` does."""
        keys = [f"tissue {k}" for k in range(N_TISSUES)]
        table = pd.DataFrame("", index=pd.Index(keys, name="key"), columns=list(LABEL_FIELDS))
        table["name"], table["kind"] = keys, "tissue"
        rows = np.flatnonzero(self.is_labelled)
        ids = pd.Index([f"GSM{1_000_000 + i}" for i in rows])
        ones = np.ones(rows.size, np.uint8)
        matrix = sparse.csr_array(
            (ones, (np.arange(rows.size), self.tissue[rows])), shape=(rows.size, N_TISSUES)
        )
        write_labels(LabelMatrix(ids, table, matrix), path, {})


def _packed():
    return {"compression": "gzip", "chunks": True}


def make_large_file(path, n_samples, n_genes, *, seed=0, labels=None):
    """Write a compendium and, where asked for, its labels."""
    compendium = Compendium(n_samples, n_genes, seed)
    compendium.write(path)
    if labels is not None:
        compendium.write_labels(labels)


def main():
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("out", type=Path)
    parser.add_argument("--samples", type=int, default=64_000)
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--labels", type=Path, default=None)
    options = parser.parse_args()
    start = time.perf_counter()
    make_large_file(
        options.out, options.samples, options.genes, seed=options.seed, labels=options.labels
    )
    elapsed_s = time.perf_counter() - start
    size_gb = options.out.stat().st_size / 1e9
    print(
        f"{options.samples} samples x {options.genes} genes in {elapsed_s:.0f} s, {size_gb:.2f} GB,"
        f" {options.out.stat().st_size / options.samples / options.genes:.2f} bytes per count"
    )


if __name__ == "__main__":
    main()
