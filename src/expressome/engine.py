"""Run block functions on threads here or on a Dask cluster, in order."""

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from expressome.blocks import parse_memory
from expressome.clusters import ClusterPool, check_address, open_cluster
from expressome.errors import InvalidValueError
from expressome.metering import current_meter

__all__ = ["Progress", "Resources", "hold_cluster", "ignore_progress", "map_blocks", "on_cluster"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Verb = TypeVar("Verb", bound=Callable[..., Any])

# Called as progress(stage, n_done, n_total) from the thread that drives the work.
Progress = Callable[[str, int, int], None]


def ignore_progress(_stage: str, _n_done: int, _n_total: int) -> None:
    """Draw nothing."""


@dataclass(frozen=True, slots=True)
class _MeteredProgress:
    """Tell the meter of the run, then whoever listens."""

    listener: Progress

    def __call__(self, stage: str, n_done: int, n_total: int) -> None:
        meter = current_meter()
        if meter is not None:
            meter.report(stage, n_done, n_total)
        self.listener(stage, n_done, n_total)


@dataclass(frozen=True, slots=True)
class Resources:
    """What a run may use, the same for every verb.

    Attributes
    ----------
    memory_bytes
        Memory for blocks, above what the imported libraries take. 2 GiB leaves
        room for everything else on an 8 GB laptop.
    workers
        Threads here. None takes the processors this process may run on.
    cluster
        ``"tcp://host:port"`` of a Dask scheduler, ``"local:N"`` for N processes
        here, or None for threads.
    seed
        Root of every random choice; each stage gets a child of it.
    progress
        Called as ``progress(stage, n_done, n_total)``. The stages it names are
        those of the run's figures, see `expressome.metering`.

    Examples
    --------
    >>> Resources(memory_bytes=2**30, workers=2).n_workers
    2
    """

    memory_bytes: int = 2 * 2**30
    workers: int | None = None
    cluster: str | None = None
    seed: int = 0
    progress: Progress = field(default=ignore_progress, compare=False)

    def __post_init__(self) -> None:
        """Refuse values no run could use; let the meter hear what the listener hears."""
        if not isinstance(self.progress, _MeteredProgress):
            object.__setattr__(self, "progress", _MeteredProgress(self.progress))
        parse_memory(self.memory_bytes)
        if self.workers is not None and self.workers < 1:
            msg = f"workers is {self.workers}; at least 1 is needed"
            raise InvalidValueError(msg)
        if self.cluster is not None:
            check_address(self.cluster)

    @property
    def n_workers(self) -> int:
        """Threads to use here."""
        if self.workers is not None:
            return self.workers
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    @property
    def here(self) -> "Resources":
        """The same without the cluster: for arrays that this process holds already."""
        return replace(self, cluster=None)

    def rng(self, stage: str) -> np.random.Generator:
        """Give the random generator of one named stage.

        Parameters
        ----------
        stage
            Name of the stage; the same name and seed give the same numbers,
            whatever other stages draw.

        Returns
        -------
        numpy.random.Generator
            Independent of every other stage's.
        """
        return np.random.default_rng([self.seed, *stage.encode()])


# Clusters that a run holds open, so that its passes need not connect anew.
_held: ContextVar[Mapping[str, ClusterPool]] = ContextVar("held", default=MappingProxyType({}))


@contextmanager
def hold_cluster(resources: Resources) -> Iterator[None]:
    """Connect to the cluster once for all the passes of a run.

    Parameters
    ----------
    resources
        Names the cluster; nothing is done where it names none.

    Raises
    ------
    ClusterError
        If the scheduler cannot be reached.
    MissingExtraError
        If a cluster is asked for and Dask is not installed.

    Examples
    --------
    >>> with hold_cluster(Resources(workers=1)):
    ...     list(map_blocks(abs, [-1], resources=Resources(workers=1)))
    [1]
    """
    address, held = resources.cluster, _held.get()
    if address is None or address in held:
        yield
        return
    with open_cluster(address) as pool:
        token = _held.set({**held, address: pool})
        try:
            yield
        finally:
            _held.reset(token)


def on_cluster(verb: Verb) -> Verb:
    """Let a verb hold its cluster from beginning to end.

    Parameters
    ----------
    verb
        Function with the keywords ``resources`` and ``dry_run``.

    Returns
    -------
    Callable
        The same function; a cluster that cannot be reached is told before any work.

    Examples
    --------
    >>> on_cluster(dict)(resources=None)
    {'resources': None}
    """

    @functools.wraps(verb)
    def wrapper(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the verb's own
        resources = options.get("resources")
        if resources is None or options.get("dry_run"):
            return verb(*arguments, **options)
        with hold_cluster(resources):
            return verb(*arguments, **options)

    return wrapper  # type: ignore[return-value]  # same signature, by wraps


def map_blocks(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    resources: Resources,
    n_ahead: int | None = None,
) -> Iterator[Result]:
    """Apply a function to items in parallel and give the results in order.

    Parameters
    ----------
    function
        Pure function of one item; picklable when `resources` names a cluster.
    items
        Read lazily: at most `n_ahead` are under way, so memory stays bounded.
    resources
        Threads or cluster to use.
    n_ahead
        Items under way at once; the default is twice the number of workers.

    Yields
    ------
    object
        ``function(item)`` for each item, in the order of the items.

    Raises
    ------
    ClusterError
        If the scheduler cannot be reached.
    MissingExtraError
        If a cluster is asked for and Dask is not installed.

    Examples
    --------
    >>> list(map_blocks(abs, [-1, -2, 3], resources=Resources(workers=2)))
    [1, 2, 3]
    """
    if resources.cluster is not None:
        with ExitStack() as stack:
            held = _held.get().get(resources.cluster)
            pool = held or stack.enter_context(open_cluster(resources.cluster))
            yield from pool.map(function, items, n_ahead)
        return
    limit = n_ahead or 2 * resources.n_workers
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(resources.n_workers, thread_name_prefix="expressome") as threads:
        try:
            for item in items:
                waiting.append(threads.submit(function, item))
                if len(waiting) >= limit:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
