"""Do what this project is made with; the same lines on every system, and Python alone.

    make demo            Linux, macOS (the Makefile finds Python and calls this file)
    py make.py demo      Windows

`python make.py TARGET --dry-run` prints the commands and runs none.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
CODE = ["src", "tests", "benchmarks", "scripts", "examples", "make.py"]
PAGES = ["docs", "README.md", "CHANGELOG.md", "CONTRIBUTING.md"]
EXTRAS = ["none", "fast", "report", "explore", "cluster", "accel", "gan"]
PROVED = ["tests/test_layers.py", "tests/test_docs.py", "tests/test_public_api.py"]
BROKEN = ["tests/faults", "tests/pipeline/test_interruptions.py"]
# Each command is a module of Python and its words: no shell, no PATH, no program's suffix.
# Words in braces are options.
TARGETS = {
    "install": [],
    "demo": [["expressome", "demo", "--out", "{demo}", "--overwrite"]],
    "test": [["pytest", "-n", "{workers}"]],
    "check": [
        ["ruff", "format", "--check", *CODE],
        ["ruff", "check", *CODE],
        ["mypy"],
        ["codespell_lib", *CODE, *PAGES],
        ["scripts.audit_dependencies"],
        ["pytest", "-q", "-p", "no:randomly", *PROVED],
    ],
    # The tests that the default run leaves out.
    "marked": [["pytest", "-n", "{workers}", "-m", "(slow or memory) and not network and not gpu"]],
    # Kills at twenty moments of each command, full disks, damage.
    "faults": [
        [*("pytest", "-n", "{workers}", "-m", "slow"), *BROKEN],
    ],
    # Ten thousand spoilt files for each parser: hours.
    "fuzz": [["pytest", "-n", "{workers}", "-m", "slow", "tests/fuzz"]],
    "format": [["ruff", "format", *CODE], ["ruff", "check", "--fix", *CODE]],
    # The site, built offline; a warning is an error.
    "docs": [["sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", "build/docs"]],
    # The wheel in a clean environment per extra; --extras none does one.
    "environments": [["scripts.check_environments", "--extras", "{extras}"]],
    # Known vulnerabilities too, where pip-audit and a network are there.
    "audit": [["scripts.audit_dependencies", "--advisories"]],
    "clean": [],
}
VARIABLES = {
    "faults": {"EXPRESSOME_FAULT_MOMENTS": "20"},
    "fuzz": {"EXPRESSOME_FUZZ_CASES": "10000"},
}


def interpreter(environment, *, system=os.name):
    """Give the Python of an environment."""
    return environment / ("Scripts/python.exe" if system == "nt" else "bin/python")


def is_current(root):
    """Tell whether .venv is as new as what says what belongs into it."""
    stamp = root / ".venv" / ".installed"
    sources = [root / "pyproject.toml", root / "constraints.txt"]
    return stamp.exists() and all(
        path.stat().st_mtime_ns <= stamp.stat().st_mtime_ns for path in sources
    )


def plan_install(root, *, system=os.name):
    """Give the commands that make .venv."""
    python = interpreter(root / ".venv", system=system)
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    pinned = [*pip, "--constraint", "constraints.txt"]
    groups = [word for name in ("test", "check", "docs") for word in ("--group", name)]
    torch = next(
        line
        for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line.startswith("torch==")
    )
    return [
        [sys.executable, "-m", "venv", ".venv"],
        [*pip, "--upgrade", "pip>=25.1"],
        [*pinned, torch.split()[0]],
        [*pinned, *groups, "--editable", ".[all]"],
    ]


def plan_target(target, options, root, *, system=os.name):
    """Give the commands of a target, without those of `install`."""
    python = str(interpreter(root / ".venv", system=system))
    values = {"{demo}": [options.demo], "{workers}": [options.workers], "{extras}": options.extras}
    return [
        [python, "-m", *(part for word in words for part in values.get(word, [word]))]
        for words in TARGETS[target]
    ]


def run(command, root, *, dry_run, variables=None):
    """Run one command; the first that fails ends all."""
    if dry_run:
        print(shlex.join(command))
        return
    done = subprocess.run(command, cwd=root, env={**os.environ, **(variables or {})}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def install(root, *, dry_run):
    """Make .venv unless it is current."""
    if is_current(root):
        return
    for command in plan_install(root):
        run(command, root, dry_run=dry_run)
    if not dry_run:
        (root / ".venv" / ".installed").touch()


def clean(root, demo, *, dry_run):
    """Remove all that was made."""
    caches = [".mypy_cache", ".ruff_cache", ".pytest_cache"]
    for name in [".venv", demo, "dist", "build", "docs/generated", *caches]:
        if (root / name).exists():
            print(f"remove {name}")
            if not dry_run:
                shutil.rmtree(root / name)


def read_options(words):
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", default="demo", choices=TARGETS)
    parser.add_argument("--demo", default="demo", help="folder of the demo (default: demo)")
    parser.add_argument("--workers", default="2", help="processes of the tests (default: 2)")
    parser.add_argument("--extras", nargs="+", default=EXTRAS, help="environments to check")
    parser.add_argument("--dry-run", action="store_true", help="print the commands, run none")
    return parser.parse_args(words)


def main(words=None, *, root=ROOT):
    """Carry out one target."""
    if sys.version_info < (3, 11):  # noqa: UP036 - who runs this file may have an older one
        version = ".".join(map(str, sys.version_info[:2]))
        sys.exit(
            f"expressome needs Python 3.11 or newer, and this is {version} ({sys.executable}); "
            "get one from https://www.python.org/downloads/"
        )
    options = read_options(words)
    if options.target == "clean":
        clean(root, options.demo, dry_run=options.dry_run)
        return
    install(root, dry_run=options.dry_run)
    for command in plan_target(options.target, options, root):
        run(command, root, dry_run=options.dry_run, variables=VARIABLES.get(options.target))


if __name__ == "__main__":
    main()
