"""The command `augment`."""

from pathlib import Path
from typing import Any

import click

from expressome.cli.options import (
    expected_failures,
    out_option,
    overwrite_option,
    resource_options,
)
from expressome.engine import Resources

__all__ = ["augment"]

# Written out here so that `--help` loads nothing; a test holds them equal to the library's.
METHODS = (
    "gan",
    "oversampling",
    "smote",
    "mixup",
    "gaussian",
    "negative-binomial",
    "copula",
    "study-effects",
)


@click.command()
@click.argument("atlas", type=click.Path(path_type=Path))
@click.option(
    "--label", "labels", multiple=True, required=True, help="Label to make samples of; repeatable."
)
@click.option(
    "--samples",
    "n_samples",
    type=click.IntRange(min=1),
    required=True,
    help="Samples to make of each label.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="gan",
    show_default=True,
    help="How samples are made: the generator or a baseline.",
)
@click.option(
    "--studies",
    type=click.Choice(("seen", "new")),
    default="seen",
    show_default=True,
    help="Whether the generator's samples come from training studies or invented ones.",
)
@click.option(
    "--as",
    "unit",
    type=click.Choice(("atlas", "counts")),
    default="atlas",
    show_default=True,
    help="Values on the atlas's scale, or integer counts of --depth reads.",
)
@click.option("--depth", type=click.IntRange(min=1), help="Reads per sample, with --as counts.")
@click.option("--evaluate", is_flag=True, help="Measure all methods, not only the one used.")
@out_option("The synthetic samples, an h5ad file.")
@overwrite_option
@resource_options
@expected_failures
def augment(
    atlas: Path,
    resources: Resources,
    unit: str,
    depth: int | None,
    **options: Any,  # noqa: ANN401 - by name
) -> None:
    """Generate synthetic samples of rare labels of ATLAS.

    Prints how close they are to real samples, beside what real samples reach
    (ceiling) and what noise reaches (floor).

    \b
    Example:
        expressome augment human.zarr --label brain --samples 500 --out brain.h5ad
    """
    if (unit == "counts") != (depth is not None):
        msg = "--as counts and --depth N go together; give both or neither"
        raise click.UsageError(msg)
    from expressome import pipeline

    click.echo(pipeline.augment(atlas, depth=depth, resources=resources, **options).to_json())
