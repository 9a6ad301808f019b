"""The command `inspect`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from expressome.cli.options import INPUT, expected_failures

__all__ = ["inspect"]

# Longer lists, such as the ids of all training samples, are cut; JSON holds them.
_N_LISTED = 20


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
        more = [f"and {len(value) - _N_LISTED:,} more"] if len(value) > _N_LISTED else []
        return ", ".join([*(_to_text(item) for item in value[:_N_LISTED]), *more])
    return str(value)


def _shorten(manifest: Any) -> str:  # noqa: ANN401
    """Say which command made a file, when and of how many inputs."""
    try:
        content = manifest if isinstance(manifest, Mapping) else json.loads(manifest)
        return f"{content['verb']} of {len(content['inputs'])} files, {content['created']}"
    except (KeyError, TypeError, ValueError):
        return _to_text(manifest)


def _is_nested(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, Mapping) and any(isinstance(item, Mapping) for item in value.values())


def _is_records(value: Mapping[str, Any]) -> bool:
    """Whether each entry is a row of the same kind, such as one per label."""
    rows = list(value.values())
    return (
        len(rows) > 1
        and all(isinstance(row, Mapping) for row in rows)
        and len({tuple(row) for row in rows}) == 1
    )


def _flatten(row: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Write the entries of a row, those within entries under both their names."""
    cells: dict[str, str] = {}
    for key, item in row.items():
        name = f"{before} {key}".strip().replace("_", " ")
        cells |= _flatten(item, name) if isinstance(item, Mapping) else {name: _to_text(item)}
    return cells


def _draw_tables(title: str, value: Mapping[str, Any]) -> Iterator[Any]:
    """Draw plain entries as two columns, entries of one kind as rows, the others below."""
    from rich import box
    from rich.table import Column, Table

    if _is_records(value):
        rows = {key: _flatten(row) for key, row in value.items()}
        names = [
            name for name in next(iter(rows.values())) if any(row[name] for row in rows.values())
        ]
        # A word per line: numbers are shorter than their names.
        columns = (Column(name.replace(" ", "\n"), overflow="fold") for name in ("", *names))
        table = Table(
            *columns,
            title=title,
            title_justify="left",
            box=box.SIMPLE_HEAD,
            padding=0,
            show_edge=False,
        )
        for key, row in rows.items():
            table.add_row(key, *(row[name] for name in names))
        yield table
        return
    # A manifest is told in a line: JSON holds all of it.
    plain = {
        key: _shorten(item) if key == "manifest" else item
        for key, item in value.items()
        if key == "manifest" or not _is_nested(item)
    }
    if plain:
        table = Table(title=title, title_justify="left", show_header=False)
        for key, item in plain.items():
            table.add_row(key, _to_text(item))
        yield table
    for key, item in value.items():
        if key not in plain:
            yield from _draw_tables(f"{title}, {key}" if title else key, item)


def _show_table(figures: Mapping[str, Any]) -> None:
    """Draw figures on standard output: a table of two columns, and one more per group."""
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    for table in _draw_tables("", figures):
        console.print(table)


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
