"""Options and error handling that all commands share."""

import functools
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import click

from expressome.addresses import is_url
from expressome.blocks import parse_memory
from expressome.engine import Progress, Resources
from expressome.errors import ExpressomeError

__all__ = [
    "INPUT",
    "dry_run_option",
    "expected_failures",
    "out_option",
    "overwrite_option",
    "resource_options",
]

Command = Callable[..., Any]

# How the library names things -> what a reader of the command line types.
_TRANSLATIONS = (
    ("pass overwrite=True to replace it", "pass --overwrite to replace it"),
    ("overwrite=True", "--overwrite"),
)


class _MemorySize(click.ParamType):  # type: ignore[type-arg]
    """A size such as 2GiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        try:
            return parse_memory(value)
        except ExpressomeError as error:
            self.fail(str(error), param, ctx)


class _InputFile(click.ParamType):  # type: ignore[type-arg]
    """A path, or an address, in which a path would merge the slashes."""

    name = "path or url"

    def convert(
        self,
        value: Any,  # noqa: ANN401
        _param: click.Parameter | None,
        _ctx: click.Context | None,
    ) -> Path | str:
        text = str(value)
        return text if is_url(text) else Path(text)


# For arguments that may name an ARCHS4 file on a web server.
INPUT = _InputFile()


def _progress_drawer(*, quiet: bool) -> Progress:
    """Draw bars on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        return lambda _stage, _n_done, _n_total: None
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    class Amount(ProgressColumn):
        """Things done of all, or bytes where a stage counts those."""

        def render(self, task: Any) -> Any:  # noqa: ANN401
            is_bytes = task.description.endswith("bytes")
            return (DownloadColumn() if is_bytes else MofNCompleteColumn()).render(task)

    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        Amount(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, Any] = {}

    def draw(stage: str, n_done: int, n_total: int) -> None:
        if stage not in tasks:
            bars.start()
            tasks[stage] = bars.add_task(stage, total=n_total)
        bars.update(tasks[stage], completed=n_done, total=n_total)
        if n_done >= n_total:
            bars.remove_task(tasks.pop(stage))
            if not tasks:
                bars.stop()

    context = click.get_current_context(silent=True)
    if context is not None:
        context.call_on_close(bars.stop)
    return draw


def resource_options(command: Command) -> Command:
    """Add --memory, --workers, --cluster and --seed as one ``resources``."""

    @click.option(
        "--memory", type=_MemorySize(), default="2GiB", show_default=True, help="Memory for blocks."
    )
    @click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=None,
        help="Threads.  [default: all processors]",
    )
    @click.option(
        "--cluster", default=None, metavar="tcp://HOST:PORT|local:N", help="Dask cluster to run on."
    )
    @click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Root of random choices.",
    )
    @functools.wraps(command)
    def wrapper(
        *arguments: Any,  # noqa: ANN401
        memory: int,
        workers: int | None,
        cluster: str | None,
        seed: int,
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        context = click.get_current_context()
        quiet = bool((context.obj or {}).get("quiet", False))
        try:
            resources = Resources(memory, workers, cluster, seed, _progress_drawer(quiet=quiet))
        except ExpressomeError as error:
            raise click.UsageError(str(error)) from None
        return command(*arguments, resources=resources, **options)

    return wrapper


overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace the output if it exists."
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Print the plan; write nothing.")


def out_option(help_text: str) -> Callable[[Command], Command]:
    """Add a required --out.

    Parameters
    ----------
    help_text
        What is written there.

    Returns
    -------
    Callable
        Decorator of a command.
    """
    return click.option("--out", type=click.Path(path_type=Path), required=True, help=help_text)


def _translate(text: str) -> str:
    """Say library words in command-line words."""
    for library_words, command_words in _TRANSLATIONS:
        text = text.replace(library_words, command_words)
    return text


def _show_warning(
    message: Warning | str,
    _category: type[Warning],
    _filename: str,
    _lineno: int,
    _file: TextIO | None = None,
    _line: str | None = None,
) -> None:
    click.echo(f"warning: {_translate(str(message))}", err=True)


def expected_failures(command: Command) -> Command:
    """Turn expected errors into one line and exit status 1.

    Parameters
    ----------
    command
        Function behind a click command.

    Returns
    -------
    Callable
        The same command; warnings of the library become plain lines.
    """

    @functools.wraps(command)
    def wrapper(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        context = click.get_current_context()
        state = context.obj or {}
        with warnings.catch_warnings():
            if not sys.flags.dev_mode and state.get("quiet"):
                warnings.simplefilter("ignore")
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            try:
                return command(*arguments, **options)
            except ExpressomeError as error:
                if state.get("debug"):
                    click.echo(traceback.format_exc(), err=True)
                click.echo(f"error: {_translate(str(error))}", err=True)
                for note in getattr(error, "__notes__", []):
                    click.echo(f"  {_translate(note)}", err=True)
                raise click.exceptions.Exit(1) from None
            except OSError as error:
                if state.get("debug"):
                    click.echo(traceback.format_exc(), err=True)
                click.echo(
                    f"error: {error}; check the path, its permissions and the free space", err=True
                )
                raise click.exceptions.Exit(1) from None

    return wrapper
