"""How fast the explorer answers: one user at an atlas of full size, and fifty at once.

The atlas is as large as ARCHS4's (120,000 samples x 60,000 genes) but holds few different
blocks: the others are hard links, so that it fits on any disk. Its files stay in the system's
cache, as those of an atlas in use do where memory allows; from a cold disk a gene of
120,000 samples means reading 469 pieces of about 0.1 MB. Run from the checkout:

    python benchmarks/serving.py                                  # full size, about 10 minutes
    python benchmarks/serving.py --samples 5000 --genes 5000 --seconds 10
    python benchmarks/serving.py --atlas demo/atlas.zarr --model demo/model
"""

import argparse
import contextlib
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from expressome.atlas import create_atlas, write_block
from expressome.atlas.shards import BLOCK_SAMPLES, block_path
from expressome.results import LABEL_FIELDS, LabelMatrix

N_DIFFERENT_BLOCKS = 4
# What people do, as shares of the questions.
MIX = {
    "search": 0.3,
    "gene": 0.2,
    "samples": 0.15,
    "sample": 0.15,
    "map": 0.15,
    "map by gene": 0.05,
}


def make_values(n_genes, rng):
    """One block: tissues of 16 samples each, on the scale of log2 counts."""
    level = rng.gamma(2.0, 1.5, n_genes).astype(np.float32)
    tissue = rng.normal(0, 1, (16, n_genes)).astype(np.float32) * (rng.random(n_genes) < 0.3)
    values = level + np.repeat(tissue, BLOCK_SAMPLES // 16, axis=0)
    values += rng.normal(0, 0.4, values.shape).astype(np.float32)
    return np.maximum(values, 0).astype(np.float32)


def make_tables(n_samples, n_genes, n_labels, rng):
    study = np.sort(rng.integers(0, max(1, n_samples // 20), n_samples))
    obs = pd.DataFrame(
        {
            "series": [f"GSE{i}" for i in study],
            "study": [f"GSE{i}" for i in study],
            "title": [
                f"sample {i} of tissue {i % n_labels}, replicate {i % 3}" for i in range(n_samples)
            ],
            "source": [f"tissue {i % n_labels}" for i in range(n_samples)],
            "characteristics": [
                f"tissue: {i % n_labels}, sex: {'fm'[i % 2]}" for i in range(n_samples)
            ],
        },
        index=pd.Index([f"GSM{i}" for i in range(n_samples)], dtype=object),
    )
    var = pd.DataFrame(
        {"symbol": [f"GENE{g}" for g in range(n_genes)], "biotype": "protein_coding"},
        index=pd.Index([f"ENSG{g:011d}" for g in range(n_genes)], dtype=object),
    )
    keys = [f"tissue {k}" for k in range(n_labels)]
    table = pd.DataFrame(dict.fromkeys(LABEL_FIELDS, ""), index=pd.Index(keys, dtype=object))
    table["name"], table["kind"] = keys, "tissue"
    rows = np.flatnonzero(rng.random(n_samples) < 0.8)
    ones = np.ones(len(rows), np.uint8)
    matrix = sparse.csr_array((ones, (rows, rows % n_labels)), shape=(n_samples, n_labels))
    return obs, var, LabelMatrix(obs.index, table, matrix)


def make_wide_atlas(path, n_samples, n_genes, n_labels):
    """Write an atlas whose blocks are mostly hard links."""
    rng = np.random.default_rng(0)
    with create_atlas(path, shape=(n_samples, n_genes), key="benchmark") as writer:
        records = {}
        for block in range(-(-n_samples // BLOCK_SAMPLES)):
            n_rows = min(BLOCK_SAMPLES, n_samples - block * BLOCK_SAMPLES)
            first = block % N_DIFFERENT_BLOCKS
            if first in records and n_rows == BLOCK_SAMPLES:
                for array in ("X", "layers/detected"):
                    place = block_path(writer.folder, array, block)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    os.link(block_path(writer.folder, array, first), place)
                record = {**records[first], "block": block}
            else:
                values = make_values(n_genes, rng)[:n_rows]
                record = write_block(writer.folder, block, values=values, detected=values > 0.5)
                records[block] = record
            writer.record(record)
        obs, var, labels = make_tables(n_samples, n_genes, n_labels, rng)
        writer.write_tables(obs, var, labels)
        writer.write_section(
            description={"species": "human", "level": "gene"},
            manifest={},
            normalizer={
                "recipe": "log2-quantile",
                "genes": np.array(var.index, dtype=object),
                "length_unit": "kb",
                "profile": np.linspace(0, 16, n_genes),
                "n_samples": np.int64(n_samples),
            },
            distributions={},
        )


@contextlib.contextmanager
def run_server(arguments):
    """Start the explorer as people do; give its port and its process id."""
    command = [sys.executable, "-m", "expressome", "serve", *arguments, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            if not line:
                msg = "the explorer did not start"
                raise RuntimeError(msg)
            text += line
        yield int(json.loads(text)["url"].rstrip("/").rpartition(":")[2]), process.pid
    finally:
        process.terminate()
        process.wait(20)


def processor_seconds(pid):
    """Processor time that a process has used, NaN where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mebibytes(pid):
    """Highest resident memory that a process has had, NaN where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


class User:
    """One connection that is kept open, as a browser's."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, path):
        """Give the status, the seconds until the whole answer was there, and its bytes."""
        start = time.perf_counter()
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        body = answer.read()
        return answer.status, time.perf_counter() - start, body


def read_names(port):
    """Ask the explorer for names to ask about."""
    user = User(port)
    genes = [
        hit["gene"]
        for q in "ABCDEGMPST"
        for hit in json.loads(user.ask(f"/api/genes?q={q}&limit=200")[2])
    ]
    samples = [hit["sample"] for hit in json.loads(user.ask("/api/samples?limit=200")[2])["hits"]]
    whole = json.loads(user.ask("/api/map?color=density")[2])["whole"]
    return sorted(set(genes)), samples, whole


def choose_question(kind, names, rng):
    """Write one question of a kind."""
    genes, samples, (x0, x1, y0, y1) = names
    gene = genes[rng.integers(len(genes))]
    if kind == "search":
        return f"/api/genes?q={gene[: rng.integers(2, len(gene))]}&limit=12"
    if kind == "gene":
        return f"/api/genes/{gene}"
    if kind == "samples":
        return f"/api/samples?q=tissue+{rng.integers(50)}&offset={25 * rng.integers(3)}"
    if kind == "sample":
        return f"/api/samples/{samples[rng.integers(len(samples))]}"
    if kind == "map by gene":
        return f"/api/map?color=gene:{gene}"
    share = rng.uniform(0.05, 1)
    left = x0 + rng.uniform(0, 1 - share) * (x1 - x0)
    low = y0 + rng.uniform(0, 1 - share) * (y1 - y0)
    box = f"x0={left}&x1={left + share * (x1 - x0)}&y0={low}&y1={low + share * (y1 - y0)}"
    return f"/api/map?color={('label', 'study', 'density')[rng.integers(3)]}&{box}"


def measure_alone(port, names, n_each, pid):
    """Print how long one user waits for each kind of question; nothing is asked twice."""
    rng, user = np.random.default_rng(1), User(port)
    print(f"\none user, {n_each} questions of each kind\n")
    print("| question | median ms | slowest ms | mean processor ms |\n|---|---|---|---|")
    worst = 0.0
    for kind in MIX:
        times = []
        used = processor_seconds(pid)
        for _ in range(n_each):
            status, seconds, body = user.ask(choose_question(kind, names, rng))
            assert status == 200, body
            times.append(1000 * seconds)
        worst = max(worst, float(np.median(times)))
        used = 1000 * (processor_seconds(pid) - used) / n_each
        print(f"| {kind} | {np.median(times):.0f} | {max(times):.0f} | {used:.0f} |")
    return worst


def measure_crowd(port, names, *, n_users, seconds, pause_s):
    """Let users ask at once for a while; give all waits in ms and the number of errors."""
    waits, errors = [], []
    end = time.perf_counter() + seconds

    def behave(number):
        rng, user = np.random.default_rng([2, number]), User(port)
        time.sleep(rng.uniform(0, pause_s))
        while time.perf_counter() < end:
            kind = rng.choice(list(MIX), p=list(MIX.values()))
            try:
                status, taken, _ = user.ask(choose_question(kind, names, rng))
            except OSError as error:
                errors.append(repr(error))
                user = User(port)
                continue
            (waits if status == 200 else errors).append(1000 * taken)
            time.sleep(min(rng.exponential(pause_s), max(0, end - time.perf_counter())))

    users = [threading.Thread(target=behave, args=(number,)) for number in range(n_users)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    return np.array(waits), errors


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=120_000)
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--atlas", type=Path, help="Ask this atlas instead.")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--pause", type=float, default=5, help="Mean seconds between questions of one user."
    )
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="Where the atlas is made and kept.")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        atlas = chosen.atlas
        if atlas is None:
            atlas = (chosen.folder or Path(temporary)) / f"{chosen.samples}x{chosen.genes}.zarr"
            if not atlas.exists():
                make_wide_atlas(atlas, chosen.samples, chosen.genes, chosen.labels)
        arguments = [str(atlas), *(["--model", str(chosen.model)] if chosen.model else [])]
        for start in ("first", "second"):
            began = time.perf_counter()
            with run_server(arguments) as (port, pid):
                print(
                    f"{start} start: {time.perf_counter() - began:.1f} s, "
                    f"{processor_seconds(pid):.1f} s of processor time, "
                    f"{peak_mebibytes(pid):.0f} MiB at most"
                )
                if start == "first":
                    continue
                names = read_names(port)
                measure_alone(port, names, chosen.each, pid)
                waits, errors = measure_crowd(
                    port, names, n_users=chosen.users, seconds=chosen.seconds, pause_s=chosen.pause
                )
                peak = peak_mebibytes(pid)
    print(
        f"\n{chosen.users} users for {chosen.seconds:.0f} s, each asking {chosen.pause:g} s (mean) "
        f"after its last answer: {len(waits)} answers ({len(waits) / chosen.seconds:.0f} per "
        f"second), {len(errors)} errors, median {np.median(waits):.0f} ms, 95% within "
        f"{np.quantile(waits, 0.95):.0f} ms, slowest {waits.max():.0f} ms; {peak:.0f} MiB at most"
    )


if __name__ == "__main__":
    main()
