"""Show how far a command is: bars on a terminal, a line now and then elsewhere."""

import sys
import time
from typing import Any

import click

from expressome.cli.messages import Messages, describe_size
from expressome.engine import Progress, ignore_progress

__all__ = ["choose_listener"]

# Often enough to see that it lives, seldom enough for the log of a night.
_INTERVAL_S = 10.0


def choose_listener(messages: Messages) -> Progress:
    """Choose how progress is shown.

    Parameters
    ----------
    messages
        How messages are written; nothing is shown when they are quiet.

    Returns
    -------
    Callable
        Bars on a terminal; elsewhere, and as JSON, one message every ten seconds.
    """
    if messages.quiet:
        return ignore_progress
    if messages.as_json or not sys.stderr.isatty():
        return _Lines(messages)
    return _draw_bars()


class _Lines:
    """Say every ten seconds how far the present stage is."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._stage = ""
        self._start_s = self._said_s = 0.0
        self._n_before = 0

    def __call__(self, stage: str, n_done: int, n_total: int) -> None:
        now_s = time.monotonic()
        if stage != self._stage:
            self._stage, self._start_s, self._n_before = stage, now_s, n_done
            self._said_s = now_s
            return
        if now_s - self._said_s < _INTERVAL_S:
            return
        self._said_s = now_s
        rate = (n_done - self._n_before) / (now_s - self._start_s)
        left_s = (n_total - n_done) / rate if rate > 0 else None
        self._messages.say(
            _describe(stage, n_done, n_total, rate=rate, left_s=left_s),
            event="progress",
            stage=stage,
            n_done=n_done,
            n_total=n_total,
            per_second=round(rate, 3),
            seconds_left=None if left_s is None else round(left_s, 1),
        )


def _describe(stage: str, n_done: int, n_total: int, *, rate: float, left_s: float | None) -> str:
    """Write progress as one line."""
    left = "" if left_s is None else f", {_describe_time(left_s)} left"
    if stage.endswith("bytes"):
        amount = f"{describe_size(n_done)} of {describe_size(n_total)}"
        return f"{stage}: {amount} ({describe_size(int(rate))}/s{left})"
    return f"{stage}: {n_done:,} of {n_total:,} ({rate:,.3g}/s{left})"


def _describe_time(seconds: float) -> str:
    """Write a duration with one or two units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _draw_bars() -> Progress:
    """Draw a bar per stage, with rate and time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.text import Text

    class Amount(ProgressColumn):
        """Things done of all, or bytes where a stage counts those."""

        def render(self, task: Any) -> Any:  # noqa: ANN401
            is_bytes = task.description.endswith("bytes")
            return (DownloadColumn() if is_bytes else MofNCompleteColumn()).render(task)

    class Rate(ProgressColumn):
        """Things, or bytes, per second."""

        def render(self, task: Any) -> Any:  # noqa: ANN401
            if task.description.endswith("bytes"):
                return TransferSpeedColumn().render(task)
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.3g}/s", style="progress.data.speed")

    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        Amount(),
        Rate(),
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
