"""The command `inspect`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from expressome.cli.options import INPUT, expected_failures

__all__ = ["inspect"]


def _to_text(value: Any) -> str:  # noqa: ANN401
    """Write one value for people."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return "\n".join(
            f"{key}: {_shorten(item) if key == 'manifest' else _to_text(item)}"
            for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return ", ".join(_to_text(item) for item in value)
    return str(value)


def _shorten(manifest: Any) -> str:  # noqa: ANN401
    """Say which command made a file, when and of how many inputs."""
    try:
        content = json.loads(manifest)
        return f"{content['verb']} of {len(content['inputs'])} files, {content['created']}"
    except (KeyError, TypeError, ValueError):
        return _to_text(manifest)


def _show_table(figures: Mapping[str, Any]) -> None:
    """Draw figures as two columns on standard output."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False)
    for name, value in figures.items():
        table.add_row(name, _to_text(value))
    Console(markup=False, highlight=False).print(table)


@click.command()
@click.argument("path", type=INPUT)
@click.option("--table", "as_table", is_flag=True, help="A table for people instead of JSON.")
@expected_failures
def inspect(path: Path | str, as_table: bool) -> None:
    """Show what is in PATH: an ARCHS4 file, an atlas or a model.

    \b
    Example:
        expressome inspect human_gene_v2.6.h5
    """
    from expressome import pipeline
    from expressome.results import to_plain

    summary = pipeline.inspect(path)
    if as_table:
        _show_table(to_plain(summary.figures))
    else:
        click.echo(summary.to_json())
