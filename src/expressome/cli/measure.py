"""The command `measure`."""

from pathlib import Path
from typing import Any

import click

from expressome.cli.options import (
    dry_run_option,
    expected_failures,
    overwrite_option,
    resource_options,
)
from expressome.engine import Resources

__all__ = ["measure"]

# Written out here so that `--help` loads nothing; a test holds them equal to the library's.
SCALES = ("before-length", "after-length")
GROUPINGS = ("label",)


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
@click.option(
    "--by",
    type=click.Choice(GROUPINGS),
    default=None,
    help="Measure each gene within each label too, with its specificity (tau).",
)
@click.option(
    "--min-samples",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="With --by label: labels with fewer samples are flagged and left out of tau.",
)
@click.option(
    "--approximate",
    type=click.IntRange(min=1),
    default=None,
    metavar="D",
    help="Estimate mean_cosine from a random projection to D dimensions.  [default: exact]",
)
@click.option(
    "--table",
    type=click.Path(path_type=Path),
    default=None,
    help="Write the gene table there: .parquet, or tab-separated text (.tsv, .tsv.gz).",
)
@overwrite_option
@dry_run_option
@resource_options
@expected_failures
def measure(atlas: Path, resources: Resources, **options: Any) -> None:  # noqa: ANN401 - by name
    """Measure how informative each gene of ATLAS is, and store it there.

    \b
    Example:
        expressome measure human.zarr
        expressome measure human.zarr --by label --table genes.tsv
    """
    from expressome import pipeline

    click.echo(pipeline.measure(atlas, resources=resources, **options).to_json())
