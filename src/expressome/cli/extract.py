"""The command `extract`."""

from pathlib import Path
from typing import Any

import click

from expressome.cli.options import (
    INPUT,
    expected_failures,
    out_option,
    overwrite_option,
    resource_options,
)
from expressome.cli.selection import selection_options
from expressome.engine import Resources

__all__ = ["extract"]

# Written out here so that `--help` loads nothing; a test holds them equal to the library's.
GENES_BY = ("ensembl", "symbol")
DUPLICATES = ("keep", "sum", "first", "error")


@click.command()
@click.argument("file", type=INPUT)
@selection_options
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="What annotate wrote, or a list, folder or sheet.",
)
@click.option(
    "--genes-by",
    type=click.Choice(GENES_BY),
    default="ensembl",
    show_default=True,
    help="Key of the genes.",
)
@click.option(
    "--duplicates",
    type=click.Choice(DUPLICATES),
    default="keep",
    show_default=True,
    help="With --genes-by symbol: genes that share a symbol.",
)
@click.option(
    "--min-reads",
    type=click.IntRange(min=0),
    help="Keep genes with so many reads in enough samples.",
)
@click.option(
    "--min-fraction",
    type=click.FloatRange(0, 1),
    help="Share of the samples that is enough.",
)
@click.option(
    "--harmonize",
    is_flag=True,
    help="Add sex, age, disease, tissue, ... as read from the samples' texts.",
)
@out_option("New .h5ad, .zarr, .parquet, .tsv.gz, .tsv or (smaller ARCHS4 file) .h5.")
@overwrite_option
@resource_options
@expected_failures
def extract(file: Path | str, resources: Resources, **options: Any) -> None:  # noqa: ANN401 - by name
    """Extract samples of FILE with their metadata and labels.

    --samples and --series name samples, --search and --where narrow them down,
    --random draws from what is left. Parquet and TSV hold genes in rows; sheets
    of samples and genes and the manifest are written beside them.

    \b
    Example:
        expressome extract human_gene_v2.6.h5 --search 'liver' --random 100 --out liver.h5ad
    """
    from expressome import pipeline

    click.echo(pipeline.extract(file, resources=resources, **options).to_json())
