"""The API over HTTP: answers as documented, errors that say what to do, nothing for strangers."""

import gzip
import re
import subprocess
from functools import partial
from pathlib import Path

import anndata
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter
from starlette.testclient import TestClient
from tests.support.explored import MARKER_OF_LIVER, write_table

from expressome.errors import ConfigurationError, FileFormatError, MissingExtraError
from expressome.explorer import server, uploads
from expressome.explorer.app import create_app
from expressome.explorer.guard import allowed_hosts
from expressome.explorer.server import serve
from expressome.pipeline.exploring import AtlasFacts
from expressome.pipeline.gene_exploring import GeneHit, GenePage
from expressome.pipeline.h5ad_receiving import receive_h5ad
from expressome.pipeline.map_exploring import MapPicture
from expressome.pipeline.reason_exploring import SampleReasons
from expressome.pipeline.sample_exploring import SampleHits, SamplePage
from expressome.pipeline.upload_exploring import UploadAnswer

QUESTIONS = {
    "/api/atlas": AtlasFacts,
    "/api/genes?q=A": list[GeneHit],
    "/api/genes/{gene}": GenePage,
    "/api/samples?label=liver": SampleHits,
    "/api/samples/GSM60": SamplePage,
    "/api/samples/GSM60/reasons": SampleReasons,
    "/api/map?color=study": MapPicture,
}


@pytest.fixture
def gene(view):
    return view.atlas.var.index[MARKER_OF_LIVER]


@pytest.mark.parametrize("path", QUESTIONS)
def test_answers_have_the_documented_form(client, gene, path):
    answer = client.get(path.format(gene=gene))

    assert answer.status_code == 200
    TypeAdapter(QUESTIONS[path]).validate_python(answer.json())


def test_every_question_is_in_the_description(client):
    described = client.get("/api/openapi.json").json()

    assert set(described["paths"]) == {
        "/api/atlas",
        "/api/genes",
        "/api/genes/{name}",
        "/api/samples",
        "/api/samples/{name}",
        "/api/samples/{name}/reasons",
        "/api/map",
        "/api/uploads",
        "/api/uploads/{token}",
    }
    for methods in described["paths"].values():
        for about in methods.values():
            assert about["summary"]
            assert about["responses"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/genes/NOPE9", 404, "no gene of the atlas is named"),
        ("/api/samples/nobody", 404, "no sample of the atlas is named"),
        ("/api/samples?label=spleen", 404, "no label of the atlas"),
        ("/api/samples?limit=9000", 400, "limit"),
        ("/api/map?color=rainbow", 400, "there is no colour"),
        ("/api/map?x0=1", 400, "needs all of x0, x1, y0 and y1"),
        ("/api/map?x0=nan&x1=1&y0=0&y1=1", 400, "no part of the map"),
        ("/api/uploads/none", 404, "this answer is gone"),
        ("/api/nothing", 404, "there is no such page"),
        ("/static/app.py", 404, "there is no such page"),
        ("/static/..%2f..%2fserver.py", 404, "there is no such page"),
        ("/static/%2e%2e/server.py", 404, "there is no such page"),
        ("/atlas.zarr/zarr.json", 404, "there is no such page"),
    ],
)
def test_errors_say_what_is_wrong(client, path, status, words):
    answer = client.get(path)

    assert answer.status_code == status
    assert words in answer.json()["error"]


@pytest.mark.parametrize("path", ["/", "/gene/ALB", "/samples?q=x", "/sample/x", "/map", "/upload"])
def test_every_view_has_an_address_that_gives_the_page(client, path):
    answer = client.get(path)

    assert answer.headers["content-type"].startswith("text/html")
    assert '<main id="main"' in answer.text
    assert "{{" not in answer.text


def test_the_page_asks_for_files_that_exist_and_for_nothing_else(client):
    page = client.get("/").text

    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(files) == 6
    for file in files:
        assert client.get(file).status_code == 200
    assert not re.search(r"https?://", page)
    assert not re.search(r"<script(?![^>]*(src=|application/json))", page)
    for module in Path(__file__).parents[2].joinpath("src/expressome/explorer/static").iterdir():
        wanted = re.findall(r'from "\./([a-z]+\.js)"', module.read_text())
        assert all(client.get(f"/static/{name}").status_code == 200 for name in wanted)


def test_no_answer_may_run_foreign_scripts_or_be_framed(client):
    for path in ("/", "/api/atlas", "/api/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8765"},
        {"host": "192.168.0.7:8765"},
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
    ids=str,
)
def test_requests_of_other_pages_are_refused(client, headers):
    answer = client.get("/api/atlas", headers=headers)

    assert answer.status_code == 403
    assert "n_samples" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:8765"},
        {"host": "[::1]:8765"},
        {"origin": "http://127.0.0.1:8765"},
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
    ids=str,
)
def test_own_requests_are_answered(client, headers):
    assert client.get("/api/atlas", headers=headers).status_code == 200


def test_a_page_elsewhere_cannot_drop_a_table(client):
    answer = client.post(
        "/api/uploads",
        content=b"x",
        headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    )

    assert answer.status_code == 403


def test_an_open_address_is_answered_but_foreign_names_are_not(view):
    app = create_app(view, hosts=allowed_hosts("0.0.0.0"), allows_addresses=True)
    open_client = TestClient(app)

    assert open_client.get("/api/atlas", headers={"host": "192.168.0.7:80"}).status_code == 200
    assert open_client.get("/api/atlas", headers={"host": "evil.example"}).status_code == 403


def test_a_table_is_answered_and_its_answer_kept(explored, client, tmp_path):
    _, _, counts, view = explored
    table = write_table(tmp_path / "mine.tsv", view, counts[[60, 0]], ["mine", "other"])

    answer = client.post("/api/uploads?name=mine.tsv", content=table.read_bytes())

    assert answer.status_code == 201
    found = TypeAdapter(UploadAnswer).validate_python(answer.json()["answer"])
    assert [one.prediction.label for one in found.samples] == ["liver", "brain"]
    again = client.get(f"/api/uploads/{answer.json()['token']}")
    assert again.json() == answer.json()["answer"]


@pytest.mark.parametrize("form", ["csv", "gzip", "parquet", "h5ad"])
def test_tables_of_each_form_are_answered(explored, client, tmp_path, form):
    import pandas as pd

    _, _, counts, view = explored
    table = pd.DataFrame(counts[[60]].T, index=view.atlas.var.index, columns=["mine"])
    body = table.to_csv().encode()
    if form == "gzip":
        body = gzip.compress(body)
    if form == "parquet":
        place = tmp_path / "mine.parquet"
        pq.write_table(pa.Table.from_pandas(table), place)
        body = place.read_bytes()
    if form == "h5ad":
        place = tmp_path / "mine.h5ad"
        anndata.AnnData(table.T.astype("float32")).write_h5ad(place)
        body = place.read_bytes()

    answer = client.post("/api/uploads?name=mine", content=body)

    assert answer.json()["answer"]["samples"][0]["prediction"]["label"] == "liver"


MALFORMED = {
    "empty": (b"", "is empty"),
    "binary": (b"\x7fELF\x00\x01\x02" * 99, "is a binary file"),
    "archive": (b"PK\x03\x04" + b"x" * 99, "archive or a spreadsheet"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + b"x" * 99, "^table is not an h5ad file, or damaged"),
    "parquet": (b"PAR1" + b"x" * 99, "begins as a Parquet file but cannot be read"),
    "cut gzip": (gzip.compress(b"gene\ta\nALB\t1\n" * 999)[:40], "damaged gzip file"),
    "endless header": (b"a\t" * 600_000, "first line of table is longer than 1 MB"),
    "rows": (gzip.compress(b"gene\ta\n" + b"ALB\t1\n" * 400_000, 1), "more than 300,000 rows"),
    "columns": (b"gene" + b"\ta" * 600 + b"\n", "601 columns|600 columns"),
    "not a number": (b"gene\ta\nALB\tNaN\nTP53\t3\n", "are missing"),
    "negative": (b"gene\ta\nALB\t-3\nTP53\t3\n", "are negative"),
    "words": (b"gene\ta\nALB\tmuch\nTP53\t3\n", "has no column of counts"),
    "wrong genes": (b"gene\ta\nfoo\t1\nbar\t3\n", "none of the 2 gene ids"),
    "other species": (
        b"gene\ta\nENSMUSG00000000001\t3\nENSMUSG00000000003\t3\nENSMUSG00000000028\t1\n",
        "mouse",
    ),
    "infinite": (b"gene\ta\nALB\tinf\nTP53\t3\n", "are too large"),
    "twice": (b"gene\ta\ta\nALB\t1\t2\nTP53\t3\t4\n", "occur more than once"),
    "not UTF-8": (b"gene\tprob\xe9\nALB\t1\nTP53\t3\n", "is not UTF-8 text"),
    "header only": (b"gene\ta\n", "needs a header and one row per gene"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_tables_are_refused_with_a_reason(client, kind):
    body, words = MALFORMED[kind]

    answer = client.post("/api/uploads?name=table", content=body)

    assert answer.status_code == 422
    assert re.search(words, answer.json()["error"])
    assert "/tmp" not in answer.json()["error"]


def test_h5ad_files_that_are_large_slow_or_deadly_are_refused(tmp_path, monkeypatch):
    place = tmp_path / "mine.h5ad"
    anndata.AnnData(np.ones((3, 2), np.float32)).write_h5ad(place)

    with pytest.raises(FileFormatError, match="3 samples x 2 genes, the page takes 2 x 2"):
        receive_h5ad(place, most_samples=2, most_genes=2)
    monkeypatch.setattr(subprocess, "run", partial(_end, code=-11))
    with pytest.raises(FileFormatError, match=r"made the HDF5 library fail \(exit -11\)"):
        receive_h5ad(place, most_samples=9, most_genes=9)
    monkeypatch.setattr(subprocess, "run", _hang)
    with pytest.raises(FileFormatError, match="could not be read within 60 s"):
        receive_h5ad(place, most_samples=9, most_genes=9)


def _end(command, *, code, **_):
    return subprocess.CompletedProcess(command, code, stdout="", stderr="")


def _hang(command, *, timeout, **_):
    raise subprocess.TimeoutExpired(command, timeout)


def test_a_promised_gigabyte_is_refused_before_it_is_sent(client):
    def pieces():
        yield b"x" * 1000
        pytest.fail("the rest must not be asked for")

    answer = client.post("/api/uploads", content=pieces(), headers={"content-length": str(2**30)})

    assert answer.status_code == 413
    assert "is larger than 64 MB" in answer.json()["error"]


def test_more_than_promised_is_cut_off(client, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_UPLOAD_BYTES", 1000)
    monkeypatch.setitem(uploads.receive_table.__kwdefaults__, "most_bytes", 2**20)

    answer = client.post("/api/uploads", content=(b"x" * 2**16 for _ in range(40)))

    assert answer.status_code == 413
    assert "is larger than 1 MB" in answer.json()["error"]


def test_nothing_stays_on_disk_after_an_upload(client, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    client.post("/api/uploads?name=../../x.tsv", content=b"gene\ta\nALB\tNaN\n")

    assert list(tmp_path.iterdir()) == []


def test_old_answers_make_room():
    store = uploads.AnswerStore()

    tokens = [store.keep(i) for i in range(40)]

    assert len(set(tokens)) == 40
    assert store.find(tokens[0]) is None
    assert store.find(tokens[-1]) == 39


def test_a_taken_port_is_named(explored):
    import socket

    folder, *_ = explored
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1, port {port}"):
            serve(folder / "atlas.zarr", port=port)


def test_answers_do_not_wait_for_the_acknowledgement_of_their_heads():
    import asyncio
    import socket

    async def ask():
        delays = []

        def note(_reader, writer):
            connection = writer.get_extra_info("socket")
            delays.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with server._listen("127.0.0.1", 0) as listening:
            async with await asyncio.start_server(note, sock=listening):
                reader, writer = await asyncio.open_connection(*listening.getsockname())
                await reader.read()
                writer.close()
        return delays

    assert asyncio.run(ask()) == [1]


def test_missing_libraries_are_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'expressome\[explore\]'"):
        serve("atlas.zarr")
