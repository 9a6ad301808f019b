"""``expressome run``: the whole job on people's own files."""

from pathlib import Path

import click

from expressome.cli.messages import messages
from expressome.cli.options import (
    dry_run_option,
    expected_failures,
    overwrite_option,
    resource_options,
)
from expressome.engine import Resources

__all__ = ["run"]


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@overwrite_option
@dry_run_option
@resource_options
@expected_failures
def run(config: Path, overwrite: bool, dry_run: bool, resources: Resources) -> None:
    """Do the whole job on your files, as the TOML file CONFIG says.

    A run that was stopped goes on where it was, and says what it skips.

    \b
    Example:
        expressome run config.toml
    """
    from expressome import pipeline

    summary = pipeline.run(
        config,
        overwrite=overwrite,
        dry_run=dry_run,
        resources=resources,
        announce=lambda line: messages.say(line, event="stage"),
    )
    click.echo(summary.to_json())
