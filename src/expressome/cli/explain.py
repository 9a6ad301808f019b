"""The command `explain`."""

from pathlib import Path

import click

from expressome.cli.options import INPUT, expected_failures, resource_options
from expressome.engine import Resources

__all__ = ["explain"]


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("file", type=INPUT)
@click.option("--sample", required=True, help="Id of the sample to explain.")
@click.option(
    "--label", default=None, help="Label to explain.  [default: the one that predict answers]"
)
@click.option(
    "--n-genes",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Genes listed for and against.",
)
@resource_options
@expected_failures
def explain(
    model: Path,
    file: Path | str,
    sample: str,
    label: str | None,
    n_genes: int,
    resources: Resources,
) -> None:
    """Say why MODEL gives one sample of FILE its label.

    Prints the genes that argue for and against the label, the label's marker
    genes in this sample, and the labels and studies of training it resembles.
    FILE is an ARCHS4 file, an atlas or a table of raw counts.

    \b
    Example:
        expressome explain model counts.tsv --sample S1
    """
    from expressome.pipeline.explaining import explain as run

    summary = run(model, file, sample=sample, label=label, n_genes=n_genes, resources=resources)
    click.echo(summary.to_json())
