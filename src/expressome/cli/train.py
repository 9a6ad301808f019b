"""The command `train`."""

from pathlib import Path
from typing import Any

import click

from expressome.cli.augment import METHODS
from expressome.cli.options import (
    expected_failures,
    out_option,
    overwrite_option,
    resource_options,
)
from expressome.engine import Resources

__all__ = ["train"]

# Written out here so that `--help` loads nothing; a test holds them equal to the library's.
FEATURES = ("f-test", "information", "variance", "ranks")
REFIT = ("all", "none")
AUGMENT = ("none", "auto", *METHODS)


class _OnOff(click.ParamType):  # type: ignore[type-arg]  # click's generic has no use here
    """The words on and off."""

    name = "on|off"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> bool:
        if isinstance(value, bool):
            return value
        if value not in {"on", "off"}:
            self.fail(f"{value!r} is neither on nor off", param, ctx)
        return bool(value == "on")


@click.command()
@click.argument("atlas", type=click.Path(path_type=Path))
@out_option("The new model folder.")
@click.option(
    "--study-effects",
    type=_OnOff(),
    default="on",
    show_default=True,
    help="Extend training with samples that carry invented study effects.",
)
@click.option(
    "--features",
    type=click.Choice(FEATURES),
    default="f-test",
    show_default=True,
    help="How genes are ordered, on training samples; ranks: read as ranks within the sample.",
)
@click.option(
    "--n-genes",
    type=click.IntRange(min=1),
    default=None,
    help="Genes the classifier reads.  [default: chosen on validation studies]",
)
@click.option(
    "--n-trees",
    type=click.IntRange(min=1),
    default=None,
    help="Trees of the forest.  [default: chosen on validation studies]",
)
@click.option(
    "--time-budget-s",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds after which no further forest is tried.",
)
@click.option(
    "--max-error",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=None,
    help="Bound on the error among answered samples.  [default: none]",
)
@click.option(
    "--augment",
    type=click.Choice(AUGMENT),
    default="none",
    show_default=True,
    help="Synthetic samples of rare labels: a method, or the one that wins on validation studies.",
)
@click.option(
    "--refit",
    type=click.Choice(REFIT),
    default="all",
    show_default=True,
    help="What the shipped model is fitted on: all labelled samples, or none of the test part.",
)
@overwrite_option
@resource_options
@expected_failures
def train(
    atlas: Path,
    out: Path,
    study_effects: bool,
    features: str,
    n_genes: int | None,
    n_trees: int | None,
    time_budget_s: float,
    max_error: float | None,
    augment: str,
    refit: str,
    overwrite: bool,
    resources: Resources,
) -> None:
    """Train a classifier on the labelled samples of ATLAS.

    Settings are chosen on validation studies, the printed figures come from
    test studies, and the model is then fitted anew on all labelled samples.

    \b
    Example:
        expressome train human.zarr --out model
    """
    from expressome.pipeline.training import train as run

    summary = run(
        atlas,
        out=out,
        study_effects=study_effects,
        features=features,  # type: ignore[arg-type]  # click checked it
        n_genes=n_genes,
        n_trees=n_trees,
        time_budget_s=time_budget_s,
        max_error=max_error,
        augment=augment,  # type: ignore[arg-type]  # click checked it
        refit=refit,  # type: ignore[arg-type]  # click checked it
        overwrite=overwrite,
        resources=resources,
    )
    click.echo(summary.to_json())
