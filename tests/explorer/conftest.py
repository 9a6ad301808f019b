"""One atlas with a model for all tests of the explorer."""

import pytest
from starlette.testclient import TestClient
from tests.support.explored import make_explored

from expressome.explorer.app import create_app
from expressome.explorer.guard import allowed_hosts


@pytest.fixture(scope="session")
def explored(tmp_path_factory):
    """Folder, truth, counts and view."""
    return make_explored(tmp_path_factory.mktemp("explored"))


@pytest.fixture(scope="session")
def view(explored):
    return explored[3]


@pytest.fixture(scope="session")
def client(view):
    app = create_app(view, hosts=allowed_hosts("127.0.0.1"))
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        yield client
