"""How fast the explorer answers: one user at an atlas of full size, and fifty at once.

An atlas (the demo's, say) is grown to as many samples as ARCHS4 has, with its genes, labels and
scale, so that a model trained on it labels them. Every grown sample is a mixture of two samples of
the same labels; a grown study mixes in its own share. With --different N only N blocks of 256
samples are written and the others are hard links to them, which saves disk. The first start
computes the map and labels all samples, the second answers. Run from the checkout:

    expressome demo --out demo
    python benchmarks/serving.py --like demo/atlas.zarr --model demo/model --folder .

and with as many genes as ARCHS4 has (needs 15 GB for the atlas, or 2 with --different 60):

    python benchmarks/large_file.py small.h5 --samples 3000 --genes 60000 --labels small.parquet
    expressome normalize small.h5 --labels small.parquet --dtype float16 --out small.zarr
    expressome train small.zarr --out small-model --n-genes 4000 --n-trees 50
    python benchmarks/serving.py --like small.zarr --model small-model --folder . --different 60

Files stay in the system's cache as far as memory allows; from a cold disk a gene of 120,000 samples
means reading 469 pieces of 0.05 to 0.1 MB.
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
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
from scipy import sparse

from expressome.atlas import create_atlas, open_atlas, write_block
from expressome.atlas.shards import BLOCK_SAMPLES, block_path
from expressome.results import LabelMatrix

# What people do, as shares of the questions.
MIX = {
    "search": 0.3,
    "gene": 0.2,
    "samples": 0.15,
    "sample": 0.1,
    "reasons": 0.1,
    "map": 0.1,
    "map by gene": 0.05,
}


class Grown:
    """Samples mixed from those of an atlas, as many as wanted, always the same."""

    def __init__(self, like, n_samples, n_different):
        self.like, self.n_samples = open_atlas(like), n_samples
        rng = np.random.default_rng(0)
        n_known = self.like.n_samples
        # A linked block holds the values, and so the labels, of the block it is linked to.
        rows = np.arange(n_samples)
        n_blocks = -(-n_samples // BLOCK_SAMPLES)
        is_own = rows // BLOCK_SAMPLES == n_blocks - 1
        written = np.where(is_own, rows, rows % (n_different * BLOCK_SAMPLES))
        self.first = written % n_known
        studies = self.like.obs["study"].astype(str).to_numpy(dtype=object)
        self.study = studies[self.first] + "." + (rows // n_known).astype(str).astype(object)
        # Partners carry the same labels; where there are none, they are of the same study.
        matrix = self.like.labels.matrix.tocsr()
        held = [tuple(sorted(matrix[[i]].indices.tolist())) for i in range(n_known)]
        group = pd.factorize(
            pd.Series([str(h) if h else s for h, s in zip(held, studies, strict=True)])
        )[0]
        self.second = np.empty(n_samples, np.int64)
        for number in np.unique(group):
            rows = np.flatnonzero(group[self.first] == number)
            self.second[rows] = rng.choice(np.flatnonzero(group == number), len(rows))
        codes, names = pd.factorize(studies[self.first] + (written // n_known).astype(str))
        self.share = rng.uniform(0.5, 1, len(names))[codes].astype(np.float32)[:, None]
        self.values = self.like.read()

    def block(self, number):
        """Values of one block, and what was detected."""
        rows = np.arange(number * BLOCK_SAMPLES, min((number + 1) * BLOCK_SAMPLES, self.n_samples))
        first, second, share = self.first[rows], self.second[rows], self.share[rows]
        values = share * self.values[first] + (1 - share) * self.values[second]
        return values, self.like.detected(samples=first)

    def tables(self):
        """Tables of the samples and their labels."""
        obs = self.like.obs.iloc[self.first].copy()
        names = obs.index.astype(str).to_numpy(dtype=object)
        obs.index = pd.Index([f"{name}-{i}" for i, name in enumerate(names)], dtype=object)
        obs["study"] = self.study
        known = self.like.labels
        matrix = sparse.csr_array(known.matrix.tocsr()[self.first])
        return obs, LabelMatrix(obs.index, known.labels, matrix)


def grow_atlas(like, path, n_samples, n_different):
    """Write an atlas of many samples on the scale of another one."""
    n_blocks = -(-n_samples // BLOCK_SAMPLES)
    # The last block may hold fewer samples: it is always written by itself.
    n_different = min(n_different or n_blocks, n_blocks)
    grown = Grown(like, n_samples, n_different)
    dtype = str(grown.like.dtype)
    key = f"grown from {grown.like.fingerprint}, {n_samples} samples, {n_different} blocks"
    shape = (n_samples, grown.like.n_genes)
    with create_atlas(path, shape=shape, key=key, dtype=dtype) as writer:
        for block in writer.unfinished:
            first = block % n_different
            if block == first or block == n_blocks - 1:
                values, detected = grown.block(block)
                record = write_block(
                    writer.folder, block, values=values, detected=detected, dtype=dtype
                )
            else:
                for array in ("X", "layers/detected"):
                    place = block_path(writer.folder, array, block)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.unlink(missing_ok=True)
                    os.link(block_path(writer.folder, array, first), place)
                record = {**writer.records[first], "block": block}
            writer.record(record)
        obs, labels = grown.tables()
        writer.write_tables(obs, grown.like.var, labels)
        description = {
            name: grown.like.description[name]
            for name in ("species", "level", "unit", "lengths")
            if name in grown.like.description
        }
        writer.write_section(
            description=description,
            manifest={},
            normalizer=grown.like.normalizer_parts,
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


@dataclass
class Names:
    """What an atlas can be asked about."""

    genes: list
    samples: list
    labels: list
    whole: list
    has_model: bool

    def choose(self, kind, rng):
        """Draw one of a kind."""
        known = getattr(self, kind)
        return known[rng.integers(len(known))]

    def mix(self):
        """Kinds of questions and their shares; without a model there are no reasons."""
        shares = {kind: MIX[kind] for kind in MIX if self.has_model or kind != "reasons"}
        return {kind: share / sum(shares.values()) for kind, share in shares.items()}


def read_names(port):
    """Ask the explorer for names to ask about."""
    user = User(port)
    genes = [
        hit["gene"]
        for q in "ABCDEGMPST"
        for hit in json.loads(user.ask(f"/api/genes?q={q}&limit=200")[2])
    ]
    found = [json.loads(user.ask(f"/api/samples?limit=200&offset={o}")[2]) for o in (0, 4000, 9000)]
    samples = [hit["sample"] for part in found for hit in part["hits"]]
    whole = json.loads(user.ask("/api/map?color=density")[2])["whole"]
    atlas = json.loads(user.ask("/api/atlas")[2])
    labels = [label["key"] for label in atlas["labels"]]
    return Names(sorted(set(genes)), samples, labels, whole, atlas["has_model"])


def choose_question(kind, names, rng):
    """Write one question of a kind."""
    gene = names.choose("genes", rng)
    if kind == "search":
        return f"/api/genes?q={gene[: rng.integers(2, len(gene))]}&limit=12"
    if kind == "gene":
        return f"/api/genes/{gene}"
    if kind == "samples":
        words = quote(names.choose("labels", rng))
        asked = f"label={words}" if rng.random() < 0.5 else f"q={words}+{rng.integers(10)}"
        return f"/api/samples?{asked}&offset={25 * rng.integers(3)}"
    if kind == "sample":
        return f"/api/samples/{names.choose('samples', rng)}"
    if kind == "reasons":
        return f"/api/samples/{names.choose('samples', rng)}/reasons"
    if kind == "map by gene":
        return f"/api/map?color=gene:{gene}"
    x0, x1, y0, y1 = names.whole
    share = rng.uniform(0.05, 1)
    left = x0 + rng.uniform(0, 1 - share) * (x1 - x0)
    low = y0 + rng.uniform(0, 1 - share) * (y1 - y0)
    box = f"x0={left}&x1={left + share * (x1 - x0)}&y0={low}&y1={low + share * (y1 - y0)}"
    colors = ["label", "study", "density", f"label:{quote(names.choose('labels', rng))}"]
    colors += ["confidence"] if names.has_model else []
    return f"/api/map?color={colors[rng.integers(len(colors))]}&{box}"


def measure_alone(port, names, n_each, pid):
    """Print how long one user waits for each kind of question; nothing is asked twice."""
    rng, user = np.random.default_rng(1), User(port)
    print(f"\none user, {n_each} questions of each kind\n")
    print("| question | median ms | slowest ms | mean processor ms |\n|---|---|---|---|")
    worst = 0.0
    for kind in names.mix():
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
    waits, errors, mix = [], [], names.mix()
    end = time.perf_counter() + seconds

    def behave(number):
        rng, user = np.random.default_rng([2, number]), User(port)
        time.sleep(rng.uniform(0, pause_s))
        while time.perf_counter() < end:
            kind = rng.choice(list(mix), p=list(mix.values()))
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
    parser.add_argument("--atlas", type=Path, help="Ask this atlas.")
    parser.add_argument("--like", type=Path, help="Grow this atlas to --samples and ask that.")
    parser.add_argument("--different", type=int, help="Blocks that are not links; all by default.")
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
            if chosen.like is None:
                parser.error("give --atlas to ask, or --like to grow one from")
            atlas = (chosen.folder or Path(temporary)) / f"{chosen.like.stem}-{chosen.samples}.zarr"
            if not atlas.exists():
                began = time.perf_counter()
                grow_atlas(chosen.like, atlas, chosen.samples, chosen.different)
                print(f"{atlas.name} grown in {time.perf_counter() - began:.0f} s", flush=True)
        arguments = [str(atlas), *(["--model", str(chosen.model)] if chosen.model else [])]
        for start in ("first", "second"):
            began = time.perf_counter()
            with run_server(arguments) as (port, pid):
                print(
                    f"{start} start: {time.perf_counter() - began:.1f} s, "
                    f"{processor_seconds(pid):.1f} s of processor time, "
                    f"{peak_mebibytes(pid):.0f} MiB at most",
                    flush=True,
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
