"""The command `predict`."""

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

__all__ = ["predict"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=INPUT)
@out_option("The new Parquet file.")
@click.option(
    "--unlabelled",
    type=click.Path(path_type=Path),
    help="Label file or atlas: predict only samples without a label there.",
)
@click.option(
    "--all-samples",
    "--all",
    "all_samples",
    is_flag=True,
    help="Predict the labelled samples of an atlas too.",
)
@overwrite_option
@resource_options
@expected_failures
def predict(
    model: Path,
    file: Path | str,
    out: Path,
    unlabelled: Path | None,
    all_samples: bool,
    overwrite: bool,
    resources: Resources,
) -> None:
    """Label the samples of FILE with MODEL.

    FILE is an ARCHS4 file, an atlas (of which the samples without a label are
    predicted), or a table of raw counts: TSV, CSV, Parquet or h5ad.

    \b
    Example:
        expressome predict model counts.tsv --out predictions.parquet
    """
    from expressome.pipeline.predicting import predict as run

    summary = run(
        model,
        file,
        out=out,
        unlabelled=unlabelled,
        all_samples=all_samples,
        overwrite=overwrite,
        resources=resources,
    )
    click.echo(summary.to_json())
