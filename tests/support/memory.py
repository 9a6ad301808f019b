"""Run a script whose peak memory is its own."""

import subprocess
import sys

# A process starts with the peak of the one that started it (Linux keeps `ru_maxrss` through
# exec), which here may have held gigabytes; a shell between them has held nothing.
_SHELL = ["/bin/sh", "-c", '"$0" "$@"; exit $?']


def run_script(script, *arguments):
    """Run Python code in a process of its own and give what it printed."""
    done = subprocess.run(
        [*_SHELL, sys.executable, "-c", script, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout
