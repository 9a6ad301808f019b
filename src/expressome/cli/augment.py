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
@click.option("--evaluate", is_flag=True, help="Measure all methods, not only the one used.")
@out_option("The synthetic samples, an h5ad file.")
@overwrite_option
@resource_options
@expected_failures
def augment(atlas: Path, resources: Resources, **options: Any) -> None:  # noqa: ANN401 - by name
    """Generate synthetic samples of rare labels of ATLAS.

    Prints how close they are to real samples, beside what real samples reach
    (ceiling) and what noise reaches (floor).

    \b
    Example:
        expressome augment human.zarr --label brain --samples 500 --out brain.h5ad
    """
    from expressome import pipeline

    click.echo(pipeline.augment(atlas, resources=resources, **options).to_json())
