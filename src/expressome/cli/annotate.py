"""The command `annotate`."""

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

__all__ = ["annotate"]


@click.command()
@click.argument("file", type=INPUT)
@click.argument("lists", nargs=-1, required=True, type=click.Path(path_type=Path))
@out_option("The new label file (.parquet).")
@click.option(
    "--kind",
    default=None,
    help="Kind of labels whose source names none, such as tissue or cell_line.",
)
@click.option(
    "--label-columns",
    multiple=True,
    metavar="NAME[,NAME...]",
    help="Columns of a sheet that name labels.  "
    "[default: those of tissue, cell_type, cell_line, disease that exist]",
)
@click.option(
    "--suggest",
    type=click.Path(path_type=Path),
    help="New table (.tsv) of labels that texts suggest for samples without one; they stay apart "
    "from the label file.",
)
@overwrite_option
@resource_options
@expected_failures
def annotate(
    file: Path | str,
    lists: tuple[Path, ...],
    out: Path,
    kind: str | None,
    label_columns: tuple[str, ...],
    suggest: Path | None,
    overwrite: bool,
    resources: Resources,
) -> None:
    """Label the samples of FILE from LISTS: what is listed there, and only that.

    \b
    LISTS are any of: ARCHS4's R scripts; folders of scripts or of expression matrices
    as LABEL/*.tsv; tables with columns sample (or gsm), label and kind; sheets with
    one row per sample.

    \b
    Example:
        expressome annotate human_gene_v2.6.h5 tissue_types/ lines.tsv --out labels.parquet
    """
    from expressome import pipeline

    columns = [name for text in label_columns for name in text.split(",") if name]
    summary = pipeline.annotate(
        file,
        lists,
        out=out,
        kind=kind,
        label_columns=columns or None,
        suggest=suggest,
        overwrite=overwrite,
        resources=resources,
    )
    click.echo(summary.to_json())
