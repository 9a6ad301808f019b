"""The command `measure`."""

from pathlib import Path
from typing import Any

import click

from expressome.cli.options import dry_run_option, expected_failures, resource_options
from expressome.engine import Resources

__all__ = ["measure"]

# Written out here so that `--help` loads nothing; a test holds them equal to the library's.
SCALES = ("before-length", "after-length")


@click.command()
@click.argument("atlas", type=click.Path(path_type=Path))
@click.option(
    "--n-neighbours",
    type=click.IntRange(min=2),
    default=100,
    show_default=True,
    help="Samples around the percentile whose likeness is measured.",
)
@click.option(
    "--percentile",
    type=click.FloatRange(0, 100),
    default=95.0,
    show_default=True,
    help="Upper end of a gene's expression.",
)
@click.option(
    "--ratio-scale",
    type=click.Choice(SCALES),
    default="before-length",
    show_default=True,
    help="Scale of p95_ratio.",
)
@click.option(
    "--cosine-scale",
    type=click.Choice(SCALES),
    default="after-length",
    show_default=True,
    help="Scale of the profiles that mean_cosine compares.",
)
@dry_run_option
@resource_options
@expected_failures
def measure(atlas: Path, resources: Resources, **options: Any) -> None:  # noqa: ANN401 - by name
    """Measure how informative each gene of ATLAS is, and store it there.

    \b
    Example:
        expressome measure human.zarr
    """
    from expressome import pipeline

    click.echo(pipeline.measure(atlas, resources=resources, **options).to_json())
