"""What `make demo` and `py make.py demo` do: one plan for every system."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[1]
_SPEC = importlib.util.spec_from_file_location("make", ROOT / "make.py")
make = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make)


@pytest.fixture
def clone(tmp_path):
    """Give a folder with what says which packages belong into .venv."""
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """Give the commands that would have been started; none is."""
    found = []

    def note(command, *, cwd, env, check):
        found.append((command, cwd, env))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(make.subprocess, "run", note)
    return found


def make_environment(root):
    (root / ".venv").mkdir()
    (root / ".venv" / ".installed").touch()


def test_a_first_run_installs_and_a_second_does_not(clone, started):
    (clone / ".venv").mkdir()
    make.main(["demo"], root=clone)
    n_first = len(started)
    make.main(["demo"], root=clone)

    commands = [shlex.join(command) for command, _, _ in started]
    assert commands[0] == shlex.join([sys.executable, "-m", "venv", ".venv"])
    assert "--constraint constraints.txt" in commands[3]
    assert "--group test --group check --group docs --editable '.[all]'" in commands[3]
    assert commands[n_first - 1].endswith("-m expressome demo --out demo --overwrite")
    assert len(started) == n_first + 1
    assert all(cwd == clone for _, cwd, _ in started)


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_an_environment_older_than_its_list_is_made_again(name, clone):
    make_environment(clone)
    assert make.is_current(clone)

    later = (clone / ".venv" / ".installed").stat().st_mtime_ns + 10**9
    os.utime(clone / name, ns=(later, later))

    assert not make.is_current(clone)


def test_an_environment_that_could_not_be_made_is_not_current(clone, monkeypatch):
    (clone / ".venv").mkdir()
    failed = subprocess.CompletedProcess([], 7)
    monkeypatch.setattr(make.subprocess, "run", lambda *_, **__: failed)

    with pytest.raises(SystemExit) as ended:
        make.main(["demo"], root=clone)

    assert ended.value.code == 7
    assert not make.is_current(clone)


@pytest.mark.parametrize("system", ["nt", "posix"])
@pytest.mark.parametrize("target", make.TARGETS)
def test_every_command_is_python_and_a_module_on_every_system(target, system, clone):
    options = make.read_options([target, "--extras", "none", "gan"])

    commands = make.plan_target(target, options, clone, system=system)

    place = ".venv/Scripts/python.exe" if system == "nt" else ".venv/bin/python"
    for program, option, module, *words in commands:
        assert Path(program) == clone / place
        assert option == "-m"
        assert importlib.util.find_spec(module) is not None
        assert not [word for word in words if word.startswith("{")]


def test_folders_and_files_that_are_named_are_there():
    named = {
        word
        for commands in make.TARGETS.values()
        for words in commands
        for word in words
        if PurePosixPath(word).suffix in {".py", ".md"} or word in make.CODE
    }

    assert len(named) > 8
    assert [word for word in named if not (ROOT / word).exists()] == []


def test_options_and_variables_reach_the_command(clone, started):
    make_environment(clone)

    make.main(["faults", "--workers", "3"], root=clone)
    make.main(["environments", "--extras", "none", "gan"], root=clone)
    make.main(["demo", "--demo", "elsewhere"], root=clone)

    (faults, _, variables), (environments, _, _), (demo, _, _) = started
    assert faults[faults.index("-n") + 1] == "3"
    assert variables["EXPRESSOME_FAULT_MOMENTS"] == "20"
    assert environments[-3:] == ["--extras", "none", "gan"]
    assert demo[-2:] == ["elsewhere", "--overwrite"]


def test_clean_removes_what_was_made_and_nothing_else(clone, capsys):
    make_environment(clone)
    (clone / "mine").mkdir()

    make.main(["clean", "--demo", "mine"], root=clone)

    assert sorted(path.name for path in clone.iterdir()) == ["constraints.txt", "pyproject.toml"]
    assert capsys.readouterr().out.split("\n")[:2] == ["remove .venv", "remove mine"]


def test_an_older_python_is_told_what_to_get(monkeypatch):
    monkeypatch.setattr(make.sys, "version_info", (3, 10, 2))

    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer, and this is 3\.10"):
        make.main(["demo"])


def test_a_dry_run_prints_and_runs_nothing(clone):
    make_environment(clone)
    command = [sys.executable, str(ROOT / "make.py"), "docs", "--dry-run"]

    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert printed.splitlines()[-1].endswith(
        "-m sphinx -q -W --keep-going -b html docs build/docs"
    )  # fmt: skip


def test_the_makefile_and_powershell_only_call_it():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^TARGETS := (.*)", makefile, re.MULTILINE)[1].split()
    extras = re.search(r"^EXTRAS \?= (.*)", makefile, re.MULTILINE)[1].split()

    assert targets == list(make.TARGETS)
    assert extras == make.EXTRAS
    assert 'make.py") @args' in (ROOT / "make.ps1").read_text()
