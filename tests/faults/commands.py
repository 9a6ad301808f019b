"""The commands of the fault suite, and what makes two of their results equal."""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import anndata
import numpy as np
import pandas as pd

import expressome


def start(arguments, *, cwd, **environment):
    """Start the command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "expressome", *arguments],
        cwd=cwd,
        env={**os.environ, "EXPRESSOME_CACHE": str(cwd / "cache"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(arguments, *, cwd, start=start, **environment):
    """Run the command line; give exit status, standard output and standard error."""
    process = start(arguments, cwd=cwd, **environment)
    stdout, stderr = process.communicate(timeout=280)
    return process.returncode, stdout, stderr


def digest(*parts):
    """Hash arrays, tables and text."""
    found = hashlib.sha256()
    for part in parts:
        is_table = isinstance(part, pd.DataFrame | pd.Series)
        text = part.to_csv(float_format="%.9g") if is_table else part
        found.update(text.encode() if isinstance(text, str) else np.ascontiguousarray(text).data)
    return found.hexdigest()


def digest_atlas(path):
    atlas = expressome.open_atlas(path)
    return digest(
        atlas.read(), atlas.detected(), atlas.obs, atlas.var, atlas.labels.matrix.toarray()
    )


def digest_arrays(path):
    """Hash the arrays of a model; its card and manifest name the time."""
    parts = []
    for place in sorted(path.glob("*.npz")):
        with np.load(place) as arrays:
            parts += [arrays[name] for name in sorted(arrays.files)]
    return digest(*parts)


def digest_synthetic(path):
    data = anndata.read_h5ad(path)
    return digest(np.asarray(data.X), data.obs[["label", "seed"]].astype(str))


def digest_counts(path):
    compendium = expressome.open_archs4(path)
    return digest(compendium.counts(), compendium.samples, compendium.genes)


def digest_parquet(path):
    return digest(pd.read_parquet(path).astype(str))


def digest_index(path):
    """Hash what an index holds, but for blobs that hang on the order of merges."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA integrity_check")
        names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        tables = [name for (name,) in database.execute(names) if not name.endswith("_data")]
        rows = {name: database.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}
    return digest(repr({name: found for name, found in rows.items() if name != "origin"}))


def digest_page(path):
    """Hash nothing of a report, which names its time, but that it ends where it should."""
    return str(path.read_text(encoding="utf-8").rstrip().endswith("</html>"))


def digest_file(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Command:
    """One command, the file that it makes or changes, and how to compare that."""

    line: str
    result: str
    digest: Callable
    is_in_place: bool = False

    @property
    def arguments(self):
        return self.line.split()


COMMANDS = {
    "normalize": Command(
        "normalize compendium.h5 --labels labels.parquet --out new.zarr", "new.zarr", digest_atlas
    ),
    "measure": Command("measure atlas.zarr", "atlas.zarr", digest_atlas, is_in_place=True),
    # How many settings are tried in a minute hangs on the load of the machine.
    "train": Command(
        "train atlas.zarr --time-budget-s 0 --n-trees 20 --out new", "new", digest_arrays
    ),
    "predict": Command(
        "predict model compendium.h5 --out new.parquet", "new.parquet", digest_parquet
    ),
    "augment": Command(
        "augment atlas.zarr --label liver --samples 5 --method mixup --out new.h5ad",
        "new.h5ad",
        digest_synthetic,
    ),
    "report": Command("report atlas.zarr --model model --out new.html", "new.html", digest_page),
    "extract": Command("extract compendium.h5 --random 50 --out new.h5", "new.h5", digest_counts),
    "update": Command(
        "update atlas.zarr release.h5 --withdrawn drop",
        "atlas.zarr",
        digest_atlas,
        is_in_place=True,
    ),
    "index": Command("search many.h5 liver", "many.h5.catalogue.sqlite", digest_index),
    # The address of a server of the test's own takes the place of SERVER.
    "download": Command("download SERVER/many.h5 --out arrived", "arrived/many.h5", digest_file),
}


def timed_run(command, folder, *, start=start):
    """Run a command undisturbed; give its seconds and the hash of its result."""
    began = time.perf_counter()
    status, _, stderr = run(command.arguments, cwd=folder, start=start)
    assert status == 0, stderr
    return time.perf_counter() - began, command.digest(folder / command.result)


def digest_inputs(folder):
    """Hash the bytes of what no command may change."""
    names = ["compendium.h5", "release.h5", "many.h5", "labels.parquet", "model/model.json"]
    return json.dumps([digest_file(folder / name) for name in names])


def list_names(folder):
    """Name all files of a folder but what is cached."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "cache" not in path.relative_to(folder).parts
    )


def look_at(folder):
    """Say in a word how a folder stands: a file that is made or grows changes it."""
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                stat = os.stat(os.path.join(place, name))  # noqa: PTH116, PTH118 - hundreds a second
            except FileNotFoundError:
                continue
            found.append((place, name, stat.st_size, stat.st_mtime_ns))
    return sorted(found)


def wait_for_writing(process, folder, *, longest_s=120.0):
    """Wait until a process has changed its folder; give seconds, or None if it never did."""
    before, began = look_at(folder), time.perf_counter()
    while process.poll() is None and time.perf_counter() - began < longest_s:
        if look_at(folder) != before:
            return time.perf_counter() - began
        time.sleep(0.002)
    return None
