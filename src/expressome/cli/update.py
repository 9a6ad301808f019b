"""The command `update`."""

from pathlib import Path
from typing import Any

import click

from expressome.cli.options import INPUT, dry_run_option, expected_failures, resource_options
from expressome.engine import Resources

__all__ = ["update"]

# Written out here so that `--help` loads nothing; a test holds them equal to the library's.
WITHDRAWN = ("keep", "drop")


@click.command()
@click.argument("atlas", type=click.Path(path_type=Path))
@click.argument("file", type=INPUT)
@click.option("--labels", type=click.Path(path_type=Path), help="Labels of the new samples.")
@click.option(
    "--withdrawn",
    type=click.Choice(WITHDRAWN),
    default="keep",
    show_default=True,
    help="Samples the release no longer holds: keep and mark them, or drop them.",
)
@click.option(
    "--report", type=click.Path(path_type=Path), help="New TSV file with the id of every change."
)
@dry_run_option
@resource_options
@expected_failures
def update(atlas: Path, file: Path | str, resources: Resources, **options: Any) -> None:  # noqa: ANN401 - by name
    """Bring ATLAS up to FILE, a newer release; labels, split and target stay.

    \b
    Example:
        expressome update human.zarr human_gene_v2.7.h5 --report changes.tsv
    """
    from expressome import pipeline

    click.echo(pipeline.update(atlas, file, resources=resources, **options).to_json())
