"""The command `report`."""

from pathlib import Path

import click

from expressome.cli.options import (
    expected_failures,
    out_option,
    overwrite_option,
    resource_options,
)
from expressome.engine import Resources

__all__ = ["report"]

_EXISTING = click.Path(path_type=Path)


@click.command()
@click.argument("atlas", type=_EXISTING)
@click.option("--model", type=_EXISTING, default=None, help="Folder that `train` wrote.")
@click.option("--predictions", type=_EXISTING, default=None, help="File that `predict` wrote.")
@click.option("--synthetic", type=_EXISTING, default=None, help="File that `augment` wrote.")
@out_option("The HTML page.")
@overwrite_option
@resource_options
@expected_failures
def report(
    atlas: Path,
    model: Path | None,
    predictions: Path | None,
    synthetic: Path | None,
    out: Path,
    overwrite: bool,
    resources: Resources,
) -> None:
    """Draw ATLAS, and what was made with it, as one HTML page that opens offline.

    \b
    Example:
        expressome report human.zarr --model model --out report.html
    """
    from expressome import pipeline

    summary = pipeline.report(
        atlas,
        model=model,
        predictions=predictions,
        synthetic=synthetic,
        out=out,
        overwrite=overwrite,
        resources=resources,
    )
    click.echo(summary.to_json())
