"""Meter a run: seconds, bytes read and written, and peak memory, stage by stage."""

import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["RunMeter", "Usage", "current_meter", "meter_run", "meter_stage", "metered"]

Verb = TypeVar("Verb", bound=Callable[..., Any])

# What happened before, between and after named stages.
_UNNAMED = "other"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run or one of its stages took.

    Attributes
    ----------
    elapsed_s
        Wall-clock seconds.
    bytes_read, bytes_written
        Bytes this process asked the system to read and write, from disk or from
        its cache. None where the system does not count them (outside Linux).
    peak_memory_bytes
        Highest resident memory of this process meanwhile. Where the system cannot
        reset that mark (outside Linux), the highest since the process started;
        None on Windows.
    """

    elapsed_s: float
    bytes_read: int | None
    bytes_written: int | None
    peak_memory_bytes: int | None

    def __add__(self, other: "Usage") -> "Usage":
        """Join two usages of one stage: sums, and the higher peak."""
        return Usage(
            self.elapsed_s + other.elapsed_s,
            _join(self.bytes_read, other.bytes_read, sum),
            _join(self.bytes_written, other.bytes_written, sum),
            _join(self.peak_memory_bytes, other.peak_memory_bytes, max),
        )

    def to_figures(self) -> dict[str, Any]:
        """Give the figures as plain values, seconds to the millisecond."""
        return {
            "elapsed_s": round(self.elapsed_s, 3),
            "bytes_read": self.bytes_read,
            "bytes_written": self.bytes_written,
            "peak_memory_bytes": self.peak_memory_bytes,
        }


def _join(first: int | None, second: int | None, how: Callable[[list[int]], int]) -> int | None:
    known = [value for value in (first, second) if value is not None]
    return how(known) if known else None


class RunMeter(Mapping[str, Any]):
    """Figures of a run that is under way: a mapping that is up to date when it is read.

    Parameters
    ----------
    name
        What runs: a verb, or a stage of a longer run.

    Notes
    -----
    Stages are named by the progress that the work reports. What lies between the end
    of one stage and the next report belongs to the stage that reports, or to
    ``other`` if that report is its beginning. Memory and bytes are those of the whole
    process: of two runs in one process at once, each counts both; what the
    workers of a cluster use is not seen.

    Examples
    --------
    >>> with meter_run("count") as meter:
    ...     meter.report("add", 1, 1)
    >>> sorted(meter)
    ['bytes_read', 'bytes_written', 'elapsed_s', 'peak_memory_bytes', 'stages']
    >>> list(meter["stages"])[0]
    'add'
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.stages: dict[str, Usage] = {}
        self._lock = threading.RLock()
        self._current: str | None = None
        self._peak = 0
        self._total_peak = 0
        self._start = self._mark = _read_counters()
        self._end: _Counters | None = None
        with _OPEN_LOCK:
            _take_peak()
            _OPEN.append(self)
        self._peak = 0

    def report(self, stage: str, n_done: int, n_total: int) -> None:
        """Take notice of progress.

        Parameters
        ----------
        stage
            Name of what goes on.
        n_done, n_total
            How far it is.
        """
        with self._lock:
            if self._end is not None:
                return
            if stage != self._current:
                if self._current is not None:
                    self._close(self._current)
                elif n_done == 0 and n_total > 0:
                    self._close(_UNNAMED)
                self._current = stage
            if n_done >= n_total:
                self._close(stage)
                self._current = None

    def note(self, stage: str) -> None:
        """Give all since the end of the last stage to a stage.

        Parameters
        ----------
        stage
            Its name.
        """
        self.report(stage, 1, 1)

    def absorb(self, inner: "RunMeter") -> None:
        """Take over a finished part of this run as one stage.

        Parameters
        ----------
        inner
            Its meter.
        """
        with self._lock:
            self._add(inner.name, inner.usage)
            self._mark, self._peak = inner._end or _read_counters(), 0

    def finish(self) -> None:
        """End the run: the figures stay as they are from here on."""
        with self._lock:
            if self._end is None:
                self._close(self._current or _UNNAMED)
                self._end = self._mark
        with _OPEN_LOCK:
            if self in _OPEN:
                _OPEN.remove(self)

    @property
    def usage(self) -> Usage:
        """Figures of the whole run, up to now or to its end."""
        with self._lock:
            now = self._end or _read_counters()
            if self._end is None:
                with _OPEN_LOCK:
                    _take_peak()
            peak = max(self._total_peak, self._peak)
            return _subtract(now, self._start, peak)

    def _close(self, stage: str) -> None:
        """Give the time since the last mark to a stage."""
        now = _read_counters()
        with _OPEN_LOCK:
            _take_peak()
        if stage != _UNNAMED or now.time_s - self._mark.time_s >= 0.0005:
            self._add(stage, _subtract(now, self._mark, self._peak))
        self._total_peak = max(self._total_peak, self._peak)
        self._mark, self._peak = now, 0

    def _add(self, stage: str, usage: Usage) -> None:
        known = self.stages.get(stage)
        self.stages[stage] = usage if known is None else known + usage
        self._total_peak = max(self._total_peak, usage.peak_memory_bytes or 0)

    def __hash__(self) -> int:
        """Tell meters apart by identity."""
        return id(self)

    def __eq__(self, other: object) -> bool:
        """Tell meters apart by identity."""
        return self is other

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - figures of several kinds
        if key == "stages":
            with self._lock:
                return {name: usage.to_figures() for name, usage in self.stages.items()}
        return self.usage.to_figures()[key]

    def __iter__(self) -> Iterator[str]:
        yield from (*self.usage.to_figures(), "stages")

    def __len__(self) -> int:
        return 5

    def __reduce__(self) -> tuple[Any, ...]:
        """Send the figures, not the meter, to other processes."""
        return dict, (dict(self),)


@dataclass(frozen=True, slots=True)
class _Counters:
    """What the system counts of this process, at one moment."""

    time_s: float
    n_read: int | None
    n_written: int | None


def _read_counters() -> _Counters:
    """Read clock and byte counters (proc(5): rchar and wchar)."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    counts = {name: int(value) for name, _, value in (line.partition(": ") for line in lines)}
    return _Counters(time.perf_counter(), counts.get("rchar"), counts.get("wchar"))


def _subtract(now: _Counters, start: _Counters, peak: int) -> Usage:
    def differ(after: int | None, before: int | None) -> int | None:
        return None if after is None or before is None else after - before

    return Usage(
        now.time_s - start.time_s,
        differ(now.n_read, start.n_read),
        differ(now.n_written, start.n_written),
        peak or None,
    )


# The high-water mark belongs to the process: whoever resets it tells all open meters first.
_OPEN: list[RunMeter] = []
_OPEN_LOCK = threading.RLock()


def _take_peak() -> None:
    """Tell all open meters the high-water mark of memory, then start it anew."""
    peak = _read_peak_memory()
    for meter in _OPEN:
        meter._peak = max(meter._peak, peak)
    try:
        # Documented in proc(5): 5 resets the peak resident set size.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def _read_peak_memory() -> int:
    """Give the highest resident memory since the last reset, in bytes; 0 if unknown."""
    status = Path("/proc/self/status")
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # on Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


_CURRENT: ContextVar[RunMeter | None] = ContextVar("expressome_meter", default=None)


def current_meter() -> RunMeter | None:
    """Give the meter of the run or stage that is under way.

    Returns
    -------
    RunMeter or None
        None outside `meter_run` and `meter_stage`.

    Examples
    --------
    >>> current_meter() is None
    True
    """
    return _CURRENT.get()


@contextmanager
def meter_run(name: str) -> Iterator[RunMeter]:
    """Meter a block, or let the meter that is running already go on.

    Parameters
    ----------
    name
        What runs.

    Yields
    ------
    RunMeter
        Its figures; finished when the block ends, if it began here.

    Examples
    --------
    >>> with meter_run("outer") as outer, meter_run("inner") as inner:
    ...     inner is outer
    True
    """
    running = _CURRENT.get()
    if running is not None:
        yield running
        return
    with _open_meter(name) as meter:
        yield meter


@contextmanager
def meter_stage(name: str) -> Iterator[RunMeter]:
    """Meter a block as one stage of the run that is under way.

    Parameters
    ----------
    name
        The stage.

    Yields
    ------
    RunMeter
        Its own figures.

    Examples
    --------
    >>> with meter_run("demo") as whole:
    ...     with meter_stage("simulate"):
    ...         pass
    >>> "simulate" in whole["stages"]
    True
    """
    outer = _CURRENT.get()
    if outer is not None:
        outer.report(_UNNAMED, 1, 1)
    with _open_meter(name) as meter:
        yield meter
    if outer is not None:
        outer.absorb(meter)


@contextmanager
def _open_meter(name: str) -> Iterator[RunMeter]:
    meter = RunMeter(name)
    token = _CURRENT.set(meter)
    try:
        yield meter
    finally:
        _CURRENT.reset(token)
        meter.finish()


def metered(verb: Verb) -> Verb:
    """Meter every call of a verb.

    Parameters
    ----------
    verb
        Function to be metered; its name names the run.

    Returns
    -------
    Callable
        The same function; a manifest made while it runs holds the figures.

    Examples
    --------
    >>> metered(abs)(-1)
    1
    """

    @functools.wraps(verb)
    def wrapper(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the verb's own
        with meter_run(verb.__name__) as meter:
            # What came before the work, such as loading libraries, is not part of its stages.
            meter.report("start", 1, 1)
            return verb(*arguments, **options)

    return wrapper  # type: ignore[return-value]  # same signature, by wraps
