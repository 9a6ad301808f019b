"""``expressome demo``: the whole job on a simulated compendium."""

from pathlib import Path

import click

from expressome.cli.messages import messages
from expressome.cli.options import expected_failures, overwrite_option, resource_options
from expressome.engine import Resources

__all__ = ["demo"]


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="demo",
    show_default=True,
    help="Folder for all outputs; the report is report.html in it.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=2400,
    show_default=True,
    help="Samples to simulate, at least 192.",
)
@overwrite_option
@resource_options
@expected_failures
def demo(out: Path, samples: int, overwrite: bool, resources: Resources) -> None:
    """Simulate a compendium and do the whole job on it, to a report.

    The data are simulated from real tissue profiles (Human Protein Atlas, TCGA,
    GTEx) and describe no real sample. A demo that was stopped goes on where it
    was; with --overwrite it starts anew.

    \b
    Example:
        expressome demo --out demo
    """
    from expressome import pipeline

    messages.say("simulated data: no sample in this demo exists")
    summary = pipeline.demo(
        out=out,
        samples=samples,
        overwrite=overwrite,
        resources=resources,
        announce=lambda line: messages.say(line, event="stage"),
    )
    click.echo(summary.to_json())
