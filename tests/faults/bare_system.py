"""Run command lines without what Linux alone has, as on macOS or Windows.

    python -m tests.faults.bare_system FOLDER "inspect x.h5" "verify x.h5"

Locks of files, counters below /proc, forks, the exchange of two folders and the C library
are away for expressome; what it imports is loaded before.
"""

import errno
import os
import shlex
import sys
from pathlib import Path

import anndata  # noqa: F401 - libraries may need what is about to go
import pandas as pd
import sklearn.ensemble  # noqa: F401

from expressome.cli.main import cli, main

# What the documentation of Python says is not there, or not everywhere.
MODULES = ["fcntl", "resource", "pwd", "grp", "termios"]
FUNCTIONS = ["fork", "getuid", "geteuid", "pread", "sched_getaffinity", "sysconf"]
FUNCTIONS += ["posix_fadvise", "posix_fallocate", "statvfs", "umask"]


def refuse_system_files(original):
    def method(path, *arguments, **options):
        if path.is_absolute() and path.parts[1:2] in (("proc",), ("sys",)):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return original(path, *arguments, **options)

    return method


def take_away():
    """Take from Python what another system would not have."""
    for name in MODULES:
        sys.modules[name] = None
    for name in FUNCTIONS:
        delattr(os, name)
    for name in ("read_text", "write_text", "open"):
        setattr(Path, name, refuse_system_files(getattr(Path, name)))
    sys.platform = "other"


def run(line):
    """Run one line as the program does; give its exit status."""
    sys.argv = ["expressome", *shlex.split(line)]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    folder, *lines = sys.argv[1:]
    os.chdir(folder)
    assert cli.commands is not None
    assert len(pd.DataFrame()) == 0
    take_away()
    sys.exit(max(map(run, lines)))
