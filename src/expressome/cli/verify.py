"""The command `verify`."""

from pathlib import Path

import click

from expressome.cli.options import INPUT, expected_failures, resource_options
from expressome.engine import Resources

__all__ = ["verify"]


@click.command()
@click.argument("path", type=INPUT)
@resource_options
@expected_failures
def verify(path: Path | str, resources: Resources) -> None:
    """Read every part of PATH - an ARCHS4 file, an atlas or a model - and check it.

    \b
    Example:
        expressome verify human_gene_v2.6.h5
    """
    from expressome import pipeline

    click.echo(pipeline.verify(path, resources=resources).to_json())
