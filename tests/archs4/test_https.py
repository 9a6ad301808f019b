"""Files are read over TLS, from servers that can prove who they are."""

import shutil
import ssl
import subprocess

import numpy as np
import pytest
from tests.support.build import make_archs4, make_counts
from tests.support.range_server import serve

from expressome.archs4 import connections, remote
from expressome.archs4.reader import open_archs4
from expressome.errors import RemoteError

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="makes a certificate")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 that nobody else has signed."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture
def url(tmp_path, monkeypatch, certificate):
    """The https address of a file of 7 x 9 counts."""
    monkeypatch.setenv("EXPRESSOME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EXPRESSOME_BACKOFF", "0.01")
    monkeypatch.setattr(remote, "_sources", {})
    connections._tls.cache_clear()
    folder = tmp_path / "site"
    folder.mkdir()
    make_archs4(folder / "x.h5", 7, 9)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with serve(folder) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield server.url("x.h5").replace("http://", "https://")
    connections._tls.cache_clear()


def test_a_file_is_read_over_tls(url, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))

    counts = open_archs4(url).counts([5, 0])

    np.testing.assert_array_equal(counts, make_counts(7, 9)[[5, 0]])


def test_a_server_that_cannot_prove_who_it_is_is_refused_at_once(url, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)

    with pytest.raises(RemoteError) as caught:
        open_archs4(url)

    assert str(caught.value) == (
        f"the server of {url} cannot prove who it is (self-signed certificate); check the address, "
        "or name the certificates to trust in SSL_CERT_FILE"
    )
