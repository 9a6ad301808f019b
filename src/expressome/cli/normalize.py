"""The command `normalize`."""

from pathlib import Path
from typing import Any

import click

from expressome.cli.options import (
    INPUT,
    dry_run_option,
    expected_failures,
    overwrite_option,
    resource_options,
)
from expressome.engine import Resources

__all__ = ["normalize"]

# Written out here so that `--help` loads nothing; a test holds them equal to the library's.
RECIPES = ("log2-quantile-length", "log2-quantile", "log2-cpm", "tpm")
DEFINITIONS = ("spliced", "union", "span")
UNITS = ("kb", "bp")
MISSING = ("median", "drop", "error")
DTYPES = ("float32", "float16")
DUPLICATES = ("skip", "error")


class _Fractions(click.ParamType):  # type: ignore[type-arg]  # click's generic has no use here
    """Three shares such as 70/15/15."""

    name = "train/validation/test"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            shares = tuple(float(part) for part in str(value).split("/"))
        except ValueError:
            shares = ()
        if len(shares) != 3:
            self.fail(f"{value!r} is not three shares; write 70/15/15", param, ctx)
        return shares


@click.command()
@click.argument("file", type=INPUT)
@click.option("--labels", type=click.Path(path_type=Path), help="What annotate wrote.")
@click.option(
    "--split",
    type=_Fractions(),
    default="70/15/15",
    show_default=True,
    help="Shares of training, validation and test samples, cut between studies.",
)
@click.option(
    "--recipe",
    type=click.Choice(RECIPES),
    default="log2-quantile-length",
    show_default=True,
    help="Named normalisation steps.",
)
@click.option(
    "--target",
    type=click.Path(path_type=Path),
    help="Saved target (.npz) or atlas whose scale to use; nothing is fitted then.",
)
@click.option(
    "--length-definition",
    type=click.Choice(DEFINITIONS),
    default="spliced",
    show_default=True,
    help="Longest spliced transcript, union of exons, or genomic span.",
)
@click.option(
    "--length-unit",
    type=click.Choice(UNITS),
    default="kb",
    show_default=True,
    help="Unit of the division by length.",
)
@click.option(
    "--gtf",
    type=click.Path(path_type=Path),
    help="GENCODE or Ensembl GTF for the lengths.  [default: shipped table]",
)
@click.option(
    "--missing-lengths",
    type=click.Choice(MISSING),
    default="median",
    show_default=True,
    help="Genes without length: median of their biotype, drop them, or stop.",
)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    default="float32",
    show_default=True,
    help="How values are stored; float16 takes half the disk and keeps 3 digits.",
)
@click.option(
    "--duplicates",
    type=click.Choice(DUPLICATES),
    default="skip",
    show_default=True,
    help="With --append, samples the atlas holds already: leave them as they are, or stop.",
)
@click.option("--out", type=click.Path(path_type=Path), help="The new atlas.")
@click.option(
    "--append",
    type=click.Path(path_type=Path),
    help="Atlas to add FILE's new samples to, on its scale, instead of --out.",
)
@overwrite_option
@dry_run_option
@resource_options
@expected_failures
def normalize(file: Path | str, resources: Resources, **options: Any) -> None:  # noqa: ANN401 - by name
    """Normalise the counts of FILE into an atlas.

    With --labels, samples are first split by study into training, validation
    and test; the quantile target is fitted on the training samples alone.

    \b
    Example:
        expressome normalize human_gene_v2.6.h5 --labels labels.parquet --out human.zarr
        expressome normalize more.h5 --append human.zarr
    """
    from expressome import pipeline

    if (options["out"] is None) == (options["append"] is None):
        msg = "pass either --out, for a new atlas, or --append, to extend one"
        raise click.UsageError(msg)
    click.echo(pipeline.normalize(file, resources=resources, **options).to_json())
