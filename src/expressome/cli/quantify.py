"""The command `quantify`."""

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

__all__ = ["quantify"]


@click.command()
@click.argument("reads", nargs=-1, required=True, metavar="READS...")
@click.option(
    "--index", type=click.Path(path_type=Path), required=True, help="What `kallisto index` made."
)
@out_option("The new count table, genes x samples (.tsv or .tsv.gz).")
@click.option(
    "--gtf", type=click.Path(path_type=Path), help="GTF that says which gene a transcript is of."
)
@click.option(
    "--transcript-map",
    type=click.Path(path_type=Path),
    help="Table of transcript and gene, instead of --gtf.",
)
@click.option("--single", is_flag=True, help="All reads are single ends, whatever their names.")
@click.option(
    "--fragment-length",
    type=click.FloatRange(min=0, min_open=True),
    help="Mean fragment length in bases, for single ends.",
)
@click.option(
    "--sd",
    type=click.FloatRange(min=0, min_open=True),
    help="Standard deviation of the fragment length in bases, for single ends.",
)
@click.option("--fractional", is_flag=True, help="Write estimated counts without rounding them.")
@overwrite_option
@resource_options
@expected_failures
def quantify(reads: tuple[str, ...], resources: Resources, **options: Any) -> None:  # noqa: ANN401 - by name
    """Turn FASTQ files into a table of gene counts with kallisto.

    READS are FASTQ files; X_1.fastq.gz and X_2.fastq.gz are the two ends of sample X.
    Otherwise write NAME=FILE or NAME=FILE,MATE. kallisto must be installed.

    \b
    Example:
        expressome quantify --index human.idx --gtf human.gtf liver_1.fastq.gz \\
            liver_2.fastq.gz --out counts.tsv
    """
    from expressome import pipeline

    click.echo(pipeline.quantify(reads, resources=resources, **options).to_json())
