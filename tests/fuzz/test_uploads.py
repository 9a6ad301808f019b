"""Spoilt tables dropped on the explorer's page are refused or answered; nothing is left behind."""

import gzip
import tempfile

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from tests.fuzz.test_parsers import CHANGES, MANY, spoil
from tests.support.explored import make_explored, write_table

from expressome.explorer.app import create_app
from expressome.explorer.guard import allowed_hosts
from expressome.explorer.uploads import clean_name

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Give a client of the explorer and two samples as people send them."""
    folder = tmp_path_factory.mktemp("explored")
    _, _, counts, view = make_explored(folder)
    table = write_table(folder / "mine.tsv", view, counts[:2], ["A", "B"]).read_bytes()
    app = create_app(view, hosts=allowed_hosts("127.0.0.1"))
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        assert client.post("/api/uploads?name=mine.tsv", content=table).status_code == 201
        yield client, {"mine.tsv": table, "mine.tsv.gz": gzip.compress(table, mtime=0)}


@pytest.mark.timeout(14400)
@pytest.mark.parametrize("name", ["mine.tsv", "mine.tsv.gz"])
def test_a_spoilt_upload_is_refused_or_answered(name, page, tmp_path, monkeypatch):
    client, tables = page
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    @MANY
    @given(CHANGES)
    def meets(changes):
        # The client raises what the application does not catch.
        answer = client.post(f"/api/uploads?name={name}", content=spoil(tables[name], changes))
        assert answer.status_code in {201, 413, 422}, answer.text
        if answer.status_code != 201:
            assert str(tmp_path) not in answer.json()["error"]
        assert list(tmp_path.iterdir()) == []

    meets()


@MANY
@given(st.text(max_size=200))
def test_the_name_of_an_upload_is_never_a_path(name):
    clean = clean_name(name)

    assert clean not in {"", ".", ".."}
    assert not set(clean) & set("/\\\0:")
    assert len(clean) <= 80
