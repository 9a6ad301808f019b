"""Write docs/cli-reference.md from what ``--help`` prints.

Run: python -m scripts.generate_cli_reference
"""

from pathlib import Path

import click

from expressome.cli.main import COMMANDS, cli

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli-reference.md"
HEADER = """# Command reference

Generated from `--help` by `python -m scripts.generate_cli_reference`; a test keeps it equal.
"""


def help_of(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name, terminal_width=100, max_content_width=100)
    return command.get_help(context).rstrip()


def render_reference() -> str:
    parts = [HEADER, f"\n## expressome\n\n```text\n{help_of('expressome', cli)}\n```\n"]
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        text = help_of(f"expressome {name}", command)
        parts.append(f"\n## expressome {name}\n\n```text\n{text}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(render_reference())
    print(PAGE)
