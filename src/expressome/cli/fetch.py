"""The command `fetch`."""

from pathlib import Path
from typing import Any

import click

from expressome.cli.options import (
    INPUT,
    dry_run_option,
    expected_failures,
    out_option,
    overwrite_option,
    resource_options,
)
from expressome.cli.selection import selection_options
from expressome.engine import Resources

__all__ = ["fetch"]


@click.command()
@click.argument("file", metavar="URL", type=INPUT)
@selection_options
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="What annotate wrote, or a list, folder or sheet: fetch its labelled samples.",
)
@out_option("The new, smaller ARCHS4 file.")
@overwrite_option
@dry_run_option
@resource_options
@expected_failures
def fetch(file: Path | str, resources: Resources, **options: Any) -> None:  # noqa: ANN401 - by name
    """Fetch some samples of the ARCHS4 file at URL as a smaller ARCHS4 file.

    Only the parts of the file that hold them cross the network. What has arrived is
    cached, so that a run that was stopped goes on where it was.

    \b
    Example:
        expressome fetch https://s3.dev.maayanlab.cloud/archs4/files/human_gene_v2.6.h5 \\
            --series GSE64016 --out cells.h5
    """
    from expressome import pipeline

    click.echo(pipeline.fetch(file, resources=resources, **options).to_json())
