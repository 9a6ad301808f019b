"""What goes to standard error: plain lines for people, or one JSON object per line."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import click

from expressome.metering import RunMeter

__all__ = ["Messages", "describe_size", "messages", "summarize"]

# Stages that people need not read of; a program gets them all.
_SHOWN_S = 0.05


@dataclass(slots=True)
class Messages:
    """How messages are written in this process.

    Attributes
    ----------
    as_json
        Whether each is one JSON object: ``time`` (UTC), ``level``, ``event``, ``message``
        and what belongs to the event.
    quiet
        Whether only errors are written.
    """

    as_json: bool = False
    quiet: bool = False
    _handler: logging.Handler | None = field(default=None, repr=False)

    def configure(self, *, as_json: bool, quiet: bool, verbosity: int) -> None:
        """Set the form of all messages, also of the log's.

        Parameters
        ----------
        as_json, quiet
            As the attributes.
        verbosity
            0 logs warnings, 1 what is done, 2 details.
        """
        self.as_json, self.quiet = as_json, quiet
        root = logging.getLogger()
        if self._handler is not None:
            root.removeHandler(self._handler)
        self._handler = _LogHandler(self)
        root.addHandler(self._handler)
        levels = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}
        level = levels.get(-1 if quiet else verbosity, logging.DEBUG)
        root.setLevel(level)
        # Libraries such as Dask set a level of their own, which the root's does not bind.
        self._handler.setLevel(level)

    def say(
        self,
        message: str,
        *,
        event: str = "message",
        level: str = "info",
        **details: Any,  # noqa: ANN401 - whatever JSON holds
    ) -> None:
        """Write one message.

        Parameters
        ----------
        message
            Text for people, without a line break at its end.
        event
            What kind of message it is, for programs.
        level
            info, warning or error; only errors are written when quiet.
        **details
            Plain values that belong to the event.
        """
        if self.quiet and level != "error":
            return
        if not self.as_json:
            click.echo(message, err=True)
            return
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": level,
            "event": event,
            "message": message,
            **details,
        }
        click.echo(json.dumps(entry, ensure_ascii=False, default=str), err=True)


class _LogHandler(logging.Handler):
    """Write log records as messages."""

    def __init__(self, messages: Messages) -> None:
        super().__init__()
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not self._messages.as_json:
            text = f"{record.levelname} {record.name}: {text}"
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        self._messages.say(text, event="log", level=level, logger=record.name)


# One process writes to one standard error.
messages = Messages()


def describe_size(n_bytes: int | None) -> str:
    """Write a number of bytes for people.

    Parameters
    ----------
    n_bytes
        Bytes; None is unknown.

    Returns
    -------
    str
        Three digits and a decimal unit.

    Examples
    --------
    >>> describe_size(1_234_567)
    '1.23 MB'
    """
    if n_bytes is None:
        return "unknown"
    size, unit = float(n_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            break
        size /= 1000
    return f"{size:.3g} {unit}" if unit != "B" else f"{n_bytes} B"


def summarize(meter: RunMeter) -> None:
    """Write what a command took, in all and per stage.

    Parameters
    ----------
    meter
        Its finished meter.
    """
    figures = dict(meter)
    stages: Mapping[str, Mapping[str, Any]] = figures["stages"]
    text = f"{meter.name}: done in {figures['elapsed_s']:.1f} s; {_describe(figures)}"
    shown = {name: usage for name, usage in stages.items() if usage["elapsed_s"] >= _SHOWN_S}
    if not messages.as_json and len(shown) > 1:
        width = max(len(name) for name in shown)
        rows = [
            f"  {name:<{width}} {usage['elapsed_s']:8.1f} s; {_describe(usage)}"
            for name, usage in shown.items()
        ]
        text = "\n".join([text, *rows])
    messages.say(text, event="summary", command=meter.name, **figures)


def _describe(usage: Mapping[str, Any]) -> str:
    return (
        f"read {describe_size(usage['bytes_read'])}, "
        f"wrote {describe_size(usage['bytes_written'])}, "
        f"peak memory {describe_size(usage['peak_memory_bytes'])}"
    )
