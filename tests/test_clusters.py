"""A cluster gives what threads give, outlives its workers and fails in words."""

import os
import signal
import socket
import threading
import time

import pytest

from expressome import clusters
from expressome.clusters import open_cluster
from expressome.engine import Resources, hold_cluster, map_blocks
from expressome.errors import ClusterError, InvalidValueError

LOCAL = Resources(cluster="local:2")


@pytest.fixture(scope="module")
def cluster():
    with hold_cluster(LOCAL):
        yield


@pytest.mark.parametrize("address", ["somewhere", "local:", "local:0", "local:x", "tcp://host"])
def test_what_names_no_cluster_is_refused(address):
    with pytest.raises(InvalidValueError, match="write tcp://host:port or local:N"):
        Resources(cluster=address)


def test_a_scheduler_that_does_not_answer_is_named_at_once():
    pytest.importorskip("distributed")
    resources = Resources(cluster="tcp://127.0.0.1:9")
    start = time.monotonic()

    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        list(map_blocks(abs, [1], resources=resources))

    # Dask by itself would try for half a minute.
    assert time.monotonic() - start < 15


def test_another_program_at_the_address_is_no_scheduler(monkeypatch):
    monkeypatch.setattr(clusters, "_CONNECT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=answer, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"

        with pytest.raises(ClusterError, match=f"what answers at {address} is no Dask scheduler"):
            list(map_blocks(abs, [1], resources=Resources(cluster=address)))


@pytest.mark.slow
def test_processes_give_what_threads_give_in_order(cluster):
    offset = 7

    results = list(map_blocks(lambda i: (i + offset, os.getpid()), range(20), resources=LOCAL))

    assert [number for number, _ in results] == [i + offset for i in range(20)]
    assert os.getpid() not in {process for _, process in results}


@pytest.mark.slow
def test_an_error_on_a_worker_reaches_the_caller(cluster):
    with pytest.raises(ZeroDivisionError):
        list(map_blocks(lambda i: 1 // i, [1, 0], resources=LOCAL))


@pytest.mark.slow
def test_a_worker_that_dies_is_replaced(cluster):
    def work(i):
        time.sleep(0.05)
        return i, os.getpid()

    processes = set()
    results = []
    for i, process in map_blocks(work, range(40), resources=LOCAL):
        results.append(i)
        processes.add(process)
        if i == 5:
            os.kill(process, signal.SIGKILL)

    assert results == list(range(40))
    assert len(processes) >= 2


@pytest.mark.slow
def test_an_item_that_kills_every_worker_is_an_error(cluster):
    def die(_item):
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ClusterError, match=r"a block was lost with .* several workers"):
        list(map_blocks(die, [0], resources=LOCAL))


@pytest.mark.slow
def test_a_scheduler_without_workers_is_named(cluster, monkeypatch):
    monkeypatch.setattr(clusters, "_CONNECT_S", 1)
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=0, processes=False, protocol="tcp://", dashboard_address=":0"
    ) as scheduler:
        address = scheduler.scheduler_address

        with pytest.raises(ClusterError, match="has no worker after 1 s"), open_cluster(address):
            pass


@pytest.mark.slow
def test_workers_of_another_version_are_refused(monkeypatch):
    monkeypatch.setattr(clusters, "__version__", "9.9")

    with (
        pytest.raises(ClusterError, match=r"2 of 2 workers do not run expressome 9\.9"),
        open_cluster("local:2"),
    ):
        pass
