"""A command that is killed loses nothing, and its next run completes."""

import dataclasses
import multiprocessing
import shutil
import time

import numpy as np
import pytest
from tests.faults.commands import (
    COMMANDS,
    digest_inputs,
    list_names,
    run,
    start,
    timed_run,
    wait_for_writing,
)
from tests.faults.conftest import N_MOMENTS
from tests.faults.forked import ForkedRun
from tests.support.range_server import serve

pytestmark = pytest.mark.slow
# Where a process cannot fork, its imports are part of the run.
START = ForkedRun if "forkserver" in multiprocessing.get_all_start_methods() else start


@pytest.fixture(scope="module")
def server(built):
    """Serve the files of the house, slowly enough to be interrupted."""
    with serve(built) as server:
        server.slow_s = 0.02
        yield server


def find_command(name, server):
    command = COMMANDS[name]
    return dataclasses.replace(command, line=command.line.replace("SERVER/", server.url("")))


def kill_somewhere(command, folder, rng, *, seconds, writes):
    """Kill a run, or every other one after its first byte; tell when, and if it was over."""
    process = START(command.arguments, cwd=folder)
    began = time.perf_counter()
    wrote_s = wait_for_writing(process, folder) if writes else 0.0
    # What is left of a run after its first byte; a busy machine may be slower.
    longest_s = max(0.05, seconds - (wrote_s or 0.0))
    stop = time.perf_counter() + rng.uniform(0, longest_s)
    while process.poll() is None and time.perf_counter() < stop:
        time.sleep(0.001)
    is_over = process.poll() is not None
    elapsed_s = time.perf_counter() - began
    process.kill()
    process.communicate()
    return elapsed_s, is_over


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_moment_the_next_run_completes(name, built, server, tmp_path):
    command = find_command(name, server)
    whole = tmp_path / "whole"
    shutil.copytree(built, whole)
    seconds, expected = timed_run(command, whole, start=START)
    rng = np.random.default_rng(list(name.encode()))
    n_killed = moment = 0

    while n_killed < N_MOMENTS and moment < 4 * N_MOMENTS:
        folder = tmp_path / f"moment{moment}"
        shutil.copytree(built, folder)
        before = digest_inputs(folder)
        killed_s, is_over = kill_somewhere(
            command, folder, rng, seconds=seconds, writes=n_killed % 2 == 1
        )
        moment += 1
        n_killed += not is_over
        if is_over:  # how fast the machine is now
            seconds = killed_s

        assert digest_inputs(folder) == before, "an input was changed"
        place = folder / command.result
        if command.is_in_place or not place.exists():
            status, _, stderr = run(command.arguments, cwd=folder, start=START)
            assert status == 0, f"killed after {killed_s} of {seconds:.1f} s: {stderr}"
        assert command.digest(place) == expected, f"killed after {killed_s} of {seconds:.1f} s"
        if N_MOMENTS > 1:  # the long form also looks for leftovers
            assert list_names(folder) == list_names(whole), "something was left behind"
        shutil.rmtree(folder)

    print(f"{name}: {n_killed} kills in {moment} runs of {seconds:.1f} s")  # noqa: T201
    assert n_killed == N_MOMENTS or N_MOMENTS < 5, "runs ended before they were killed"
