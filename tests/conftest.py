"""Fixtures that every room uses."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """Commands set the level of the log: none leaves its own to the next test."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator of its own for each test, equal in every run."""
    return np.random.default_rng(list(request.node.name.encode()))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the checkout; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("real data are not beside the checkout (../shared/data)")
    return SHARED


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the demo leaves it, of 480 simulated samples; not to be changed."""
    from tests.support.small_demo import make_small_demo

    return make_small_demo(tmp_path_factory.mktemp("small_demo"))
