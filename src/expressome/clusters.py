"""A Dask cluster: reached or started here, checked, and outliving its workers."""

import pickle
import re
import socket
import subprocess
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from expressome.errors import ClusterError, InvalidValueError, MissingExtraError
from expressome.version import __version__

__all__ = ["ClusterPool", "check_address", "open_cluster"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# A scheduler on the same network answers in milliseconds.
_CONNECT_S = 5
# Workers import this package and its libraries before they report.
_START_S = 60
# How long a run waits for a cluster that has lost all its workers.
_LONELY_S = 60
# How often it looks.
_LOOK_S = 5


def check_address(cluster: str) -> None:
    """Refuse what names no cluster.

    Parameters
    ----------
    cluster
        ``"tcp://host:port"``, ``"tls://host:port"`` or ``"local:N"``.

    Raises
    ------
    InvalidValueError
        If it is none of these.

    Examples
    --------
    >>> check_address("local:0")
    Traceback (most recent call last):
    ...
    expressome.errors.InvalidValueError: cluster is 'local:0'; write tcp://host:port or local:N
    """
    if not re.fullmatch(r"local:[1-9]\d*|(tcp|tls)://.+:\d+", cluster):
        msg = f"cluster is {cluster!r}; write tcp://host:port or local:N"
        raise InvalidValueError(msg)


def _tell_version() -> str:
    """Say which version of this package a worker runs."""
    return __version__


def _call(function: Callable[[Item], Result], item: Item) -> Result:
    """Apply a function that the worker holds already."""
    return function(item)


class ClusterPool:
    """Runs functions on the workers of a cluster.

    Parameters
    ----------
    client
        Connected Dask client.
    address
        What the user called the cluster.
    """

    def __init__(self, client: Any, address: str) -> None:  # noqa: ANN401 - Dask has no types
        self.client = client
        self.address = address

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], n_ahead: int | None
    ) -> Iterator[Result]:
        """Apply a function to items and give the results in order.

        Parameters
        ----------
        function
            Sent to each worker once, however large the arrays it holds.
        items
            Small; read lazily.
        n_ahead
            Items under way at once; by default twice the threads of the cluster.

        Yields
        ------
        object
            ``function(item)`` for each item, in order.

        Raises
        ------
        ClusterError
            If an item cost several workers their life, or no worker is left.
        """
        limit = n_ahead or 2 * max(1, sum(self.client.nthreads().values()))
        held = self._send(function)
        waiting: deque[Any] = deque()
        try:
            for item in items:
                waiting.append(self.client.submit(_call, held, item, pure=False))
                if len(waiting) >= limit:
                    yield self._wait(waiting.popleft())
            while waiting:
                yield self._wait(waiting.popleft())
        finally:
            self.client.cancel([*waiting, held])

    def _send(self, function: Callable[..., Any]) -> Any:  # noqa: ANN401
        """Send a function as a task of its own, which a lost worker's successor repeats."""
        import cloudpickle  # type: ignore[import-untyped]  # has no types

        packed = cloudpickle.dumps(function)
        with warnings.catch_warnings():
            # Dask would rather have it scattered, but what is scattered dies with its worker.
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return self.client.submit(pickle.loads, packed, pure=False)

    def _wait(self, future: Any) -> Any:  # noqa: ANN401
        """Wait for one result; give up on a cluster without workers."""
        import distributed

        library: Any = distributed
        lonely_s = 0
        while True:
            try:
                return future.result(timeout=_LOOK_S)
            except library.TimeoutError:
                lonely_s = 0 if self.client.nthreads() else lonely_s + _LOOK_S
                if lonely_s >= _LONELY_S:
                    msg = (
                        f"the cluster {self.address} has had no worker for {lonely_s} s; start "
                        "workers and run again: finished blocks are kept"
                    )
                    raise ClusterError(msg) from None
            except library.KilledWorker as error:
                msg = (
                    f"a block was lost with {error.last_worker} and several workers before it; "
                    "they probably lack memory: give each worker more or lower the budget"
                )
                raise ClusterError(msg) from error
            except library.CancelledError as error:
                msg = (
                    f"the scheduler at {self.address} dropped the work ({error}); check that it "
                    "still runs, and run again"
                )
                raise ClusterError(msg) from error


def _knock(address: str) -> None:
    """Tell at once a place where nobody listens."""
    host, port = address.partition("://")[2].rsplit(":", 1)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except OSError as error:
        msg = (
            f"no Dask scheduler answers at {address} ({error}); "
            "start one with `dask scheduler` or check the address"
        )
        raise ClusterError(msg) from error


def _start_workers(address: str, n_workers: int) -> "subprocess.Popen[bytes]":
    """Start worker processes here, each with a nanny that replaces it when it dies."""
    # Not LocalCluster's own, which run the calling script a second time.
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address]
    command += ["--nworkers", str(n_workers), "--nthreads", "1", "--memory-limit", "0"]
    command += ["--no-dashboard", "--death-timeout", "30"]
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextmanager
def _local_scheduler(library: Any, n_workers: int) -> Iterator[str]:  # noqa: ANN401
    """Run a scheduler in this process and workers in others."""
    with library.LocalCluster(
        n_workers=0, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=":0"
    ) as scheduler:
        workers = _start_workers(scheduler.scheduler_address, n_workers)
        try:
            yield scheduler.scheduler_address
        finally:
            workers.terminate()
            try:
                workers.wait(timeout=10)
            except subprocess.TimeoutExpired:
                workers.kill()
                workers.wait()


def _check_workers(client: Any, address: str, n_expected: int) -> None:  # noqa: ANN401
    """Wait for workers; refuse those that run another version of this package."""
    wait_s = _START_S if address.startswith("local:") else _CONNECT_S
    try:
        client.wait_for_workers(n_expected, timeout=wait_s)
    except TimeoutError:
        msg = (
            f"the scheduler at {address} has no worker after {wait_s} s; "
            "start some with `dask worker` and its address"
        )
        raise ClusterError(msg) from None
    found = client.run(_tell_version, on_error="return")
    others = {worker: str(told) for worker, told in found.items() if told != __version__}
    if others:
        worker, told = next(iter(others.items()))
        msg = (
            f"{len(others)} of {len(found)} workers do not run expressome {__version__} (first: "
            f"{worker}: {told}); install the same version there"
        )
        raise ClusterError(msg)


@contextmanager
def open_cluster(address: str) -> Iterator[ClusterPool]:
    """Connect to a scheduler, or start one with workers here.

    Parameters
    ----------
    address
        As `check_address` wants it. ``"local:N"`` starts N processes of one thread each.

    Yields
    ------
    ClusterPool
        Closed, with what was started here, at the end.

    Raises
    ------
    ClusterError
        If no scheduler answers within 5 s, it has no worker, or a worker runs another
        version of this package.
    MissingExtraError
        If Dask is not installed.
    """
    try:
        import distributed
    except ImportError:
        msg = (
            "a cluster needs dask and distributed; install them with: "
            "pip install 'expressome[cluster]'"
        )
        raise MissingExtraError(msg) from None
    library: Any = distributed
    check_address(address)
    n_expected, scheduler = 1, address
    with ExitStack() as stack:
        if address.startswith("local:"):
            n_expected = int(address.removeprefix("local:"))
            scheduler = stack.enter_context(_local_scheduler(library, n_expected))
        else:
            _knock(address)
        try:
            client = stack.enter_context(library.Client(scheduler, timeout=_CONNECT_S))
        except (OSError, ValueError, TypeError, EOFError, MemoryError, RuntimeError) as error:
            # Whatever Dask makes of the bytes of another program.
            msg = f"what answers at {address} is no Dask scheduler ({error!r}); check the address"
            raise ClusterError(msg) from error
        _check_workers(client, address, n_expected)
        yield ClusterPool(client, address)
