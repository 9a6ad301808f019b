"""How time and memory grow with the number of samples, up to the whole compendium.

Run from the checkout; files are simulated by benchmarks/large_file.py in --folder and removed:

    python benchmarks/scaling.py                                  # 1K, 4K, 16K, 64K x 60,000
    python benchmarks/scaling.py --samples 121983 --log run.log   # the original study's size
    python benchmarks/scaling.py --samples 500 1000 --genes 5000 --memory 256MiB

Each size runs in a process of its own. Memory is what the process holds resident above what it
holds after importing everything and compiling, at its highest within the stage.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from large_file import make_large_file

from expressome.blocks import parse_memory
from expressome.engine import Resources
from expressome.pipeline.measuring import measure
from expressome.pipeline.normalizing import normalize

DESCRIPTION = __doc__.splitlines()[0]
STAGES = ("read fields", "fit target", "normalize", "write tables", "measure signal")
STAGES = (*STAGES, "measure likeness", "store metrics")


class Watch:
    """Seconds, processor seconds and highest memory of each stage, by progress calls."""

    def __init__(self, log):
        self.log, self.stages, self.stage = log, {}, None
        self.baseline = self.peak = resident_bytes()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self):
        while True:
            self.peak = max(self.peak, resident_bytes())
            time.sleep(0.005)

    def enter(self, stage):
        now = time.perf_counter(), time.process_time()
        if self.stage is not None:
            begun = self.stages.setdefault(self.stage, [0.0, 0.0, 0.0])
            begun[0] += now[0] - self.since[0]
            begun[1] += now[1] - self.since[1]
            begun[2] = max(begun[2], (self.peak - self.baseline) / 2**20)
            self.say(
                f"{self.stage}: {begun[0]:.1f} s, {begun[1]:.1f} s of processor time, "
                f"{begun[2]:.0f} MiB above the imports"
            )
        self.stage, self.since, self.peak = stage, now, resident_bytes()

    def progress(self, stage, n_done, n_total):
        if stage in STAGES and stage != self.stage:
            self.enter(stage)
        if n_done == n_total and stage in STAGES:
            self.enter(
                {"normalize": "write tables", "measure likeness": "store metrics"}.get(stage)
            )
        elif n_done % max(1, n_total // 10) == 0:
            self.say(f"  {stage}: {n_done} of {n_total}")

    def say(self, text):
        self.log.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        self.log.flush()


def resident_bytes():
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def run_one(options):
    """Normalise and measure one file in this process; print the figures as JSON."""
    folder = options.folder
    warnings.simplefilter("ignore")
    make_large_file(folder / "small.h5", 400, 400, labels=folder / "small.parquet")
    normalize(folder / "small.h5", labels=folder / "small.parquet", out=folder / "small.zarr")
    measure(folder / "small.zarr")
    with Path(options.log).open("a") as log:
        watch = Watch(log)
        resources = Resources(
            parse_memory(options.memory), options.workers, progress=watch.progress
        )
        watch.enter("read fields")
        found = normalize(
            folder / "counts.h5",
            labels=folder / "labels.parquet",
            out=folder / "atlas.zarr",
            resources=resources,
        ).figures
        watch.enter("open atlas")
        measured = measure(folder / "atlas.zarr", resources=resources).figures
        watch.enter(None)
        for name in ("target", "n_labelled", "n_labels"):
            watch.say(f"normalize said {name}: {found[name]}")
        for name in ("n_measured", "n_ranked"):
            watch.say(f"measure said {name}: {measured[name]}")
    print(json.dumps(watch.stages))


def folder_bytes(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def run_size(n_samples, options):
    """Make a file, run it in a fresh process, remove it."""
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        start = time.perf_counter()
        make_large_file(
            folder / "counts.h5", n_samples, options.genes, labels=folder / "labels.parquet"
        )
        made_s = time.perf_counter() - start
        size_gb = (folder / "counts.h5").stat().st_size / 1e9
        say(
            options,
            f"{n_samples} samples x {options.genes} genes, {size_gb:.2f} GB, made in "
            f"{made_s:.0f} s; {options.memory}, {options.workers or os.cpu_count()} threads",
        )
        command = [
            sys.executable,
            __file__,
            "--inside",
            "--folder",
            str(folder),
            "--log",
            options.log,
        ]
        command += ["--memory", options.memory]
        command += ["--workers", str(options.workers)] if options.workers else []
        start = time.perf_counter()
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        elapsed_s = time.perf_counter() - start
        say(
            options,
            f"all in {elapsed_s:.0f} s; the atlas takes "
            f"{folder_bytes(folder / 'atlas.zarr') / 1e9:.2f} GB",
        )
        return json.loads(ran.stdout)
    finally:
        if not options.keep:
            shutil.rmtree(folder)


def say(options, text):
    with Path(options.log).open("a") as log:
        log.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def print_table(found):
    """Seconds and MiB per stage and size; the exponent of time over samples."""
    sizes = sorted(found)
    print("| stage | " + " | ".join(f"{n:,}" for n in sizes) + " | exponent |")
    print("|---" * (len(sizes) + 2) + "|")
    stages = [stage for stage in (*STAGES, "open atlas") if any(stage in found[n] for n in sizes)]
    for stage in stages:
        figures = [found[n].get(stage, [0, 0, 0]) for n in sizes]
        cells = [f"{wall_s:.1f} s, {mib:.0f} MiB" for wall_s, _, mib in figures]
        print(f"| {stage} | " + " | ".join(cells) + f" | {fit(sizes, [f[0] for f in figures])} |")
    for place, name in ((0, "all, elapsed"), (1, "all, processor")):
        totals = [sum(figures[place] for figures in found[n].values()) for n in sizes]
        cells = [f"{total:.1f} s" for total in totals]
        print(f"| {name} | " + " | ".join(cells) + f" | {fit(sizes, totals)} |")
    peaks = [max(figures[2] for figures in found[n].values()) for n in sizes]
    print("| peak memory | " + " | ".join(f"{peak:.0f} MiB" for peak in peaks) + " | |")


def fit(sizes, times):
    """Slope of log time over log samples, by least squares."""
    if len(sizes) < 2 or min(times) <= 0:
        return ""
    return f"{np.polyfit(np.log(sizes), np.log(times), 1)[0]:.2f}"


def main():
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--samples", type=int, nargs="+", default=[1000, 4000, 16_000, 64_000])
    parser.add_argument("--genes", type=int, default=60_000)
    parser.add_argument("--memory", default="2GiB")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--folder", type=Path, default=None, help="where files are made")
    parser.add_argument("--keep", action="store_true", help="leave the files and the atlas")
    parser.add_argument("--log", default=os.devnull, help="file that the stages are logged to")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        run_one(options)
        return
    free_gb = shutil.disk_usage(options.folder or tempfile.gettempdir()).free / 1e9
    needed_gb = max(options.samples) * options.genes * 5.3e-9
    if needed_gb > free_gb:
        msg = f"{needed_gb:.0f} GB are needed, {free_gb:.0f} GB are free"
        raise SystemExit(msg)
    print_table({n: run_size(n, options) for n in options.samples})


if __name__ == "__main__":
    main()
