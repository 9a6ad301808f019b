"""The commands of the fault suite, and what makes two of their results equal."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
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


def run(arguments, *, cwd, **environment):
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
    "train": Command("train atlas.zarr --out new", "new", digest_arrays),
    "predict": Command(
        "predict model compendium.h5 --out new.parquet", "new.parquet", digest_parquet
    ),
    "augment": Command(
        "augment atlas.zarr --label liver --samples 5 --method mixup --out new.h5ad",
        "new.h5ad",
        digest_synthetic,
    ),
    "extract": Command("extract compendium.h5 --random 50 --out new.h5", "new.h5", digest_counts),
}


def timed_run(command, folder):
    """Run a command undisturbed; give its seconds and the hash of its result."""
    began = time.perf_counter()
    status, _, stderr = run(command.arguments, cwd=folder)
    assert status == 0, stderr
    return time.perf_counter() - began, command.digest(folder / command.result)


def digest_inputs(folder):
    """Hash the bytes of what no command may change."""
    names = ["compendium.h5", "labels.parquet", "model/model.json"]
    return json.dumps([hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names])
