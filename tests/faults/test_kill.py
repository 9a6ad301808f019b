"""A command that is killed loses nothing, and its next run completes."""

import shutil
import time

import numpy as np
import pytest
from tests.faults.commands import COMMANDS, digest_inputs, run, start, timed_run
from tests.faults.conftest import N_MOMENTS

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_any_moment_the_next_run_completes(name, built, tmp_path):
    command = COMMANDS[name]
    whole = tmp_path / "whole"
    shutil.copytree(built, whole)
    seconds, expected = timed_run(command, whole)
    rng = np.random.default_rng(list(name.encode()))
    n_killed = 0

    for moment, share in enumerate(rng.uniform(0.2, 1, N_MOMENTS)):
        folder = tmp_path / f"moment{moment}"
        shutil.copytree(built, folder)
        before = digest_inputs(folder)
        process = start(command.arguments, cwd=folder)
        time.sleep(share * seconds)
        n_killed += process.poll() is None
        process.kill()
        process.communicate()

        assert digest_inputs(folder) == before, "an input was changed"
        place = folder / command.result
        if command.is_in_place or not place.exists():
            status, _, stderr = run(command.arguments, cwd=folder)
            assert status == 0, f"killed after {share:.0%} of {seconds:.1f} s: {stderr}"
        assert command.digest(place) == expected, f"killed after {share:.0%} of {seconds:.1f} s"
        shutil.rmtree(folder)

    assert n_killed or N_MOMENTS < 5, "every run ended before it was killed"
