"""Options that choose samples, the same in every command."""

from collections.abc import Callable
from typing import Any

import click

__all__ = ["selection_options"]

Command = Callable[..., Any]

_OPTIONS = (
    click.option(
        "--samples",
        multiple=True,
        metavar="ID,...|FILE",
        help="Sample ids, or a text file with one per line.",
    ),
    click.option(
        "--series",
        multiple=True,
        metavar="GSE,...|FILE",
        help="Series ids, or a text file with one per line.",
    ),
    click.option("--search", metavar="QUERY", help="Full-text query, as for the command search."),
    click.option(
        "--where",
        multiple=True,
        metavar="FIELD=VALUE",
        help="Condition on a sample field (= != < <= > >=, ~ for a regular expression).",
    ),
    click.option(
        "--random", type=click.IntRange(min=1), help="Draw so many of these samples (--seed)."
    ),
)


def selection_options(command: Command) -> Command:
    """Add --samples, --series, --search, --where and --random.

    Parameters
    ----------
    command
        Function behind a click command; takes them by name.

    Returns
    -------
    Callable
        The same command.
    """
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
