"""The command `harmonize`."""

from pathlib import Path

import click

from expressome.cli.options import (
    INPUT,
    expected_failures,
    out_option,
    overwrite_option,
    resource_options,
)
from expressome.engine import Resources

__all__ = ["harmonize"]


@click.command()
@click.argument("file", type=INPUT)
@out_option("New table: .parquet, .tsv, .csv (also .gz).")
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="What annotate wrote: suggest its labels for samples without one.  "
    "[default: an atlas's own labels, or the shipped vocabulary]",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="What predict wrote: report how often texts and expression agree.",
)
@overwrite_option
@resource_options
@expected_failures
def harmonize(
    file: Path | str,
    out: Path,
    labels: Path | None,
    predictions: Path | None,
    overwrite: bool,
    resources: Resources,
) -> None:
    """Read sex, age, disease, tissue, cell line and treatment from the texts of FILE.

    FILE is an ARCHS4 file or an atlas. Every value comes with the field it was
    read from and a confidence; the texts stay as they are. Labels suggested by
    text stand in columns of their own.

    \b
    Example:
        expressome harmonize human_gene_v2.6.h5 --out metadata.tsv
    """
    from expressome import pipeline

    summary = pipeline.harmonize(
        file,
        out=out,
        labels=labels,
        predictions=predictions,
        overwrite=overwrite,
        resources=resources,
    )
    click.echo(summary.to_json())
