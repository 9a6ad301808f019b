"""The command `search`."""

from pathlib import Path

import click

from expressome.cli.messages import messages
from expressome.cli.options import INPUT, expected_failures, resource_options
from expressome.engine import Resources

__all__ = ["search"]


@click.command()
@click.argument("file", type=INPUT)
@click.argument("query")
@click.option(
    "--where",
    "--field",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Condition on a sample field (= != < <= > >=, ~ for a regular expression).",
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Samples to print."
)
@resource_options
@expected_failures
def search(
    file: Path | str, query: str, where: tuple[str, ...], limit: int, resources: Resources
) -> None:
    """Print the samples of FILE that match QUERY, best first, as TSV.

    \b
    QUERY may hold words, "phrases", AND, OR, NOT, parentheses, hepat* for a
    beginning and title:liver for one field; * finds all samples. An index is
    built beside FILE at the first search.

    \b
    Example:
        expressome search human_gene_v2.6.h5 'liver NOT tumor' --where 'alignedreads>5e6'
    """
    from expressome import pipeline

    table = pipeline.search(file, query, where=where, limit=limit, resources=resources)
    click.echo("\t".join(["sample", *map(str, table.columns)]))
    for sample, row in zip(table.index, table.itertuples(index=False), strict=True):
        texts = [f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row]
        # A tab or line break inside a text would break the table.
        click.echo("\t".join(" ".join(text.split()) for text in [str(sample), *texts]))
    messages.say(f"{len(table)} of {table.attrs['n_found']} samples found are shown")
