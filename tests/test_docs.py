"""The documentation tells the truth: its code runs, its links lead somewhere."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from expressome.cli.main import COMMANDS, cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"(?P<before>[^\n]*)\n```(?P<language>\w*)\n(?P<body>.*?)```", re.DOTALL)


def python_blocks():
    for page in PAGES:
        text = "\n" + page.read_text()
        blocks = [
            match["body"]
            for match in FENCE.finditer(text)
            if match["language"] == "python" and "not run:" not in match["before"]
        ]
        if blocks:
            yield pytest.param(blocks, id=page.relative_to(ROOT).as_posix())


@pytest.mark.parametrize("blocks", list(python_blocks()))
def test_the_code_of_a_page_runs_from_top_to_bottom(blocks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__page__"}

    for body in blocks:
        exec(compile(body, "page", "exec"), namespace)

    shutil.rmtree(tmp_path, ignore_errors=True)
    assert namespace


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_within_the_project_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_command_reference_is_what_help_prints():
    # A process of its own: click keeps the help option of a command as its first caller asked.
    code = "from scripts.generate_cli_reference import render_reference as r; print(r(), end='')"

    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert printed == (ROOT / "docs" / "cli-reference.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name):
    command = cli.get_command(click.Context(cli), name)

    text = command.get_help(click.Context(command, info_name=f"expressome {name}"))

    assert f"expressome {name}" in text.split("Usage:")[1].split("\n", 1)[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_no_place_of_a_machine(page):
    assert not re.search(r"/work/|/tmp/w\b|\.library", page.read_text())
