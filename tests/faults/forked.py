"""The command line in processes that are forked after its imports.

A run then consists of its own work, so that a kill at a random moment meets that work and not the
loading of libraries, and twenty kills of every command take minutes.
"""

import multiprocessing
import os
import sys
from functools import cache
from itertools import count

IMPORTED = [
    *("expressome.cli.main", "anndata", "h5py", "numba", "pandas", "pyarrow.parquet"),
    *("scipy.sparse", "sklearn.ensemble", "zarr"),
]
_NUMBERS = count()


@cache
def server():
    """Give the process that has made the imports and is forked for each run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def work(arguments, folder, said):
    """Be the command line, in a folder, with what it says in two files."""
    os.chdir(folder)
    os.environ["EXPRESSOME_CACHE"] = str(folder / "cache")
    for number, place in enumerate(said, start=1):
        os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    from expressome.__main__ import main

    sys.argv = ["expressome", *arguments]
    sys.exit(main())


class ForkedRun:
    """A run with the methods of `subprocess.Popen` that the suite needs."""

    def __init__(self, arguments, *, cwd):
        stem = f"{cwd.name}-{next(_NUMBERS)}"
        self._said = [cwd.parent / f"{stem}.{name}" for name in ("stdout", "stderr")]
        self._process = server().Process(target=work, args=(arguments, cwd, self._said))
        self._process.start()

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def kill(self):
        self._process.kill()

    def communicate(self, timeout=None):
        self._process.join(timeout)
        assert self.poll() is not None, f"still running after {timeout} s"
        return [place.read_text() if place.exists() else "" for place in self._said]
