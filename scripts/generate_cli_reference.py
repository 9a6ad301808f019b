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


def render_reference() -> str:
    sizes = {"terminal_width": 100, "max_content_width": 100}
    group = click.Context(cli, info_name="expressome", **sizes, **cli.context_settings)
    parts = [HEADER, f"\n## expressome\n\n```text\n{cli.get_help(group).rstrip()}\n```\n"]
    for name in COMMANDS:
        command = cli.get_command(group, name)
        context = click.Context(command, parent=group, info_name=name, **sizes)
        text = command.get_help(context).rstrip()
        parts.append(f"\n## expressome {name}\n\n```text\n{text}\n```\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(render_reference())
    print(PAGE)
