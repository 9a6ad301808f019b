"""Options and error handling that all commands share."""

import functools
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import click

from expressome.addresses import is_url
from expressome.blocks import parse_memory
from expressome.cli.messages import messages, summarize
from expressome.cli.progress import choose_listener
from expressome.engine import Resources
from expressome.errors import ExpressomeError
from expressome.metering import meter_run

__all__ = [
    "INPUT",
    "dry_run_option",
    "expected_failures",
    "out_option",
    "overwrite_option",
    "resource_options",
]

Command = Callable[..., Any]


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
        try:
            resources = Resources(memory, workers, cluster, seed, choose_listener(messages))
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
    """Say the library's words for options as this command takes them.

    ``overwrite=True`` becomes ``--overwrite``, ``kind='tissue'`` ``--kind tissue``,
    ``min_reads`` ``--min-reads``.
    """
    context = click.get_current_context(silent=True)
    for parameter in context.command.params if context else ():
        name, option = parameter.name or "", parameter.opts[0]
        if not option.startswith("--") or name not in text:
            continue
        text = re.sub(rf"\b{name}=True\b", option, text)
        text = re.sub(rf"\b{name}='([^']*)'", rf"{option} \1", text)
        text = re.sub(rf"\b{name}=(\d)", rf"{option} \1", text)
        if "_" in name:
            text = re.sub(rf"(?<![\w./-]){name}(?![\w./-])", option, text)
    return text


def _show_warning(
    message: Warning | str,
    _category: type[Warning],
    _filename: str,
    _lineno: int,
    _file: TextIO | None = None,
    _line: str | None = None,
) -> None:
    text = _translate(str(message))
    messages.say(text if messages.as_json else f"warning: {text}", event="warning", level="warning")


def _show_error(error: Exception, text: str) -> None:
    """Say what failed, with what the layers in between knew."""
    notes = [_translate(note) for note in getattr(error, "__notes__", [])]
    if messages.as_json:
        kind = type(error).__name__
        messages.say(text, event="error", level="error", error=kind, notes=notes)
        return
    for line in (f"error: {text}", *(f"  {note}" for note in notes)):
        messages.say(line, level="error")


def expected_failures(command: Command) -> Command:
    """Turn expected errors into one line and exit status 1.

    Parameters
    ----------
    command
        Function behind a click command.

    Returns
    -------
    Callable
        The same command; warnings of the library become plain lines, and a line at
        the end says what it took.
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
                with meter_run(str(context.info_name)) as meter:
                    result = command(*arguments, **options)
            except BrokenPipeError:
                raise
            except (ExpressomeError, OSError) as error:
                if state.get("debug"):
                    messages.say(traceback.format_exc(), event="trace", level="error")
                text = _translate(str(error))
                if not isinstance(error, ExpressomeError):
                    text = f"{text}; check the path, its permissions and the free space"
                _show_error(error, text)
                raise click.exceptions.Exit(1) from None
        summarize(meter)
        return result

    return wrapper
