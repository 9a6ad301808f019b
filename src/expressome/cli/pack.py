"""The command `pack`."""

from pathlib import Path

import click

from expressome.cli.options import (
    expected_failures,
    out_option,
    overwrite_option,
    resource_options,
)
from expressome.engine import Resources

__all__ = ["pack"]


@click.command()
@click.argument("counts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--samples",
    type=click.Path(path_type=Path),
    required=True,
    help="Sheet of samples: TSV, CSV or Parquet with columns sample and series.",
)
@out_option("The new ARCHS4 file (.h5).")
@click.option(
    "--genes",
    type=click.Choice(["common", "any"]),
    default="common",
    show_default=True,
    help="Genes that every table measures, or any.",
)
@click.option(
    "--min-tables",
    type=float,
    default=None,
    help="Genes that this share of the tables measures, instead of --genes.",
)
@click.option(
    "--species",
    type=click.Choice(["human", "mouse"]),
    default=None,
    help="Species of the gene ids.  [default: as the ids tell]",
)
@overwrite_option
@resource_options
@expected_failures
def pack(
    counts: tuple[Path, ...],
    samples: Path,
    out: Path,
    genes: str,
    min_tables: float | None,
    species: str | None,
    overwrite: bool,
    resources: Resources,
) -> None:
    """Turn count tables COUNTS and their sheet into an ARCHS4 file.

    \b
    Tables hold genes in rows and samples in columns (TSV, CSV, gzipped or not, or
    Parquet); h5ad files hold samples in rows. Gene ids may be Ensembl ids, symbols
    or Entrez ids, another kind in each table.

    \b
    Example:
        expressome pack liver.tsv.gz brain.csv --samples samples.tsv --out mine.h5
    """
    from expressome import pipeline

    summary = pipeline.pack(
        counts,
        samples=samples,
        out=out,
        genes=genes,
        min_tables=min_tables,
        species=species,
        overwrite=overwrite,
        resources=resources,
    )
    click.echo(summary.to_json())
