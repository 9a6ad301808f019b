"""The command `evaluate`."""

from pathlib import Path

import click

from expressome.cli.options import expected_failures, resource_options
from expressome.engine import Resources

__all__ = ["evaluate"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("atlas", type=click.Path(path_type=Path))
@resource_options
@expected_failures
def evaluate(model: Path, atlas: Path, resources: Resources) -> None:
    """Score MODEL on the test studies of ATLAS.

    Samples that MODEL was fitted on are never scored by it: for the atlas it was
    trained on, the figures of the split are printed, and `source` says so.

    \b
    Example:
        expressome evaluate model human.zarr
    """
    from expressome.pipeline.evaluating import evaluate as run

    click.echo(run(model, atlas, resources=resources).to_json())
