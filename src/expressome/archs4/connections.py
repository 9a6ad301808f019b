"""Connections to web servers: kept open, through proxies, patient with passing failures.

The standard library's HTTP client is used as it is: a few kept connections are
all that ranges need, and what to do after each kind of failure must
be decided here anyway, so a library would add a dependency and no behaviour.
"""

import atexit
import base64
import http.client
import logging
import os
import random
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from expressome.errors import InputNotFoundError, InvalidValueError, RemoteError
from expressome.version import __version__

__all__ = ["PART_BYTES", "PassingFailure", "Patience", "Tries", "open_url", "patience", "read_part"]

_LOG = logging.getLogger(__name__)

_MAX_REDIRECTS = 8
PART_BYTES = 2**16
# Progress after which earlier failures are forgotten.
_FORGIVING_BYTES = 2**20
# Statuses that a later request may not get: busy, broken, or behind a broken gateway.
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# What a connection raises when it breaks, stalls or ends early.
_PASSING_ERRORS = (OSError, http.client.HTTPException)

# Connections nobody speaks on at the moment; lists are popped and appended to atomically.
_idle: dict[str, list["_Line"]] = {}
_MAX_IDLE = 16


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for.

    Attributes
    ----------
    timeout_s
        Seconds without a byte after which a connection counts as stalled.
    n_tries
        Requests made for one range before giving up.
    backoff_s
        Wait after the first failure; it doubles with each further one.
    """

    timeout_s: float = 30.0
    n_tries: int = 6
    backoff_s: float = 0.5


class PassingFailure(Exception):  # noqa: N818 - not an error yet: the request is made again
    """A failure that another try may not meet."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def _number(name: str, default: float, smallest: float) -> float:
    """Read a number from the environment."""
    text = os.environ.get(name, "")
    try:
        number = float(text) if text else default
    except ValueError:
        number = -1
    if number < smallest:
        msg = f"the environment variable {name} is {text!r}; set a number of at least {smallest}"
        raise InvalidValueError(msg)
    return number


def patience() -> Patience:
    """Say how long to wait: the defaults, or what the environment sets.

    Returns
    -------
    Patience
        With ``EXPRESSOME_TIMEOUT`` (seconds), ``EXPRESSOME_TRIES`` and
        ``EXPRESSOME_BACKOFF`` (seconds) where they are set.

    Raises
    ------
    InvalidValueError
        If one of them is not a number.

    Examples
    --------
    >>> patience().n_tries
    6
    """
    usual = Patience()
    return Patience(
        _number("EXPRESSOME_TIMEOUT", usual.timeout_s, 0.01),
        int(_number("EXPRESSOME_TRIES", usual.n_tries, 1)),
        _number("EXPRESSOME_BACKOFF", usual.backoff_s, 0),
    )


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class _Line:
    """A connection to a host, perhaps through a proxy.

    Attributes
    ----------
    host
        Process, scheme and host it leads to.
    connection
        The connection.
    is_absolute
        Whether the whole address is sent, as a proxy needs it.
    headers
        Sent with each request.
    """

    host: str
    connection: http.client.HTTPConnection
    is_absolute: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Send a request and read the head of the answer."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {**headers, **self.headers}
        self.connection.request("GET", url if self.is_absolute else target, headers=sent)
        return self.connection.getresponse()


def _name_host(url: str) -> str:
    parts = urlsplit(url)
    # A forked process must not speak on the connections of its parent.
    return f"{os.getpid()} {parts.scheme}://{parts.netloc}"


def _connect(url: str) -> _Line:
    """Make a connection, through a proxy where the environment names one."""
    parts = urlsplit(url)
    name, scheme, host = _name_host(url), parts.scheme, parts.hostname or ""
    timeout_s = patience().timeout_s
    proxy = "" if proxy_bypass(host) else getproxies().get(scheme, "")
    via = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    place, port = (via.hostname or "", via.port) if proxy else (host, parts.port)
    headers = {}
    if via.username:
        pair = f"{unquote(via.username)}:{unquote(via.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    if scheme == "http":
        plain = http.client.HTTPConnection(place, port, timeout=timeout_s)
        return _Line(name, plain, bool(proxy), headers)
    secure = http.client.HTTPSConnection(place, port, timeout=timeout_s, context=_tls())
    if proxy:
        secure.set_tunnel(host, parts.port, headers)
    return _Line(name, secure)


def _send(url: str, headers: Mapping[str, str]) -> tuple[_Line, http.client.HTTPResponse]:
    """Send a request on a kept connection if there is one, else on a new one."""
    kept = _idle.get(_name_host(url), [])
    while kept:
        line = kept.pop()
        # The server may have closed it in the meantime.
        with suppress(ConnectionError, http.client.HTTPException):
            return line, line.ask(url, headers)
        line.connection.close()
    line = _connect(url)
    try:
        return line, line.ask(url, headers)
    except _PASSING_ERRORS:
        line.connection.close()
        raise


def _put_back(line: _Line, response: http.client.HTTPResponse) -> None:
    """Keep a connection for the next request, unless its answer was not read to the end."""
    kept = _idle.setdefault(line.host, [])
    if response.isclosed() and not response.will_close and len(kept) < _MAX_IDLE:
        kept.append(line)
    else:
        response.close()
        line.connection.close()


@atexit.register
def _close_all() -> None:
    """Close kept connections when the process ends."""
    for kept in _idle.values():
        while kept:
            kept.pop().connection.close()


def _refuse_status(url: str, response: http.client.HTTPResponse) -> None:
    """Raise what an unsuccessful status means."""
    status = response.status
    if status in _PASSING_STATUSES:
        told = response.headers.get("Retry-After", "")
        reason = f"status {status} {response.reason}"
        raise PassingFailure(reason, min(float(told), 60) if told.isdigit() else 0)
    if status in {404, 410}:
        msg = f"{url} does not exist on the server (status {status}); check the address"
        raise InputNotFoundError(msg)
    if status == 416:
        msg = f"{url} has no such range (status 416): it is empty or was cut; check it on the site"
        raise RemoteError(msg)
    if status >= 400:
        msg = (
            f"the server refuses {url} (status {status} {response.reason}); "
            "check the address and whether it needs a login"
        )
        raise RemoteError(msg)


@contextmanager
def open_url(
    url: str, headers: Mapping[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """Open an address once, following redirects.

    Parameters
    ----------
    url
        Address, http or https.
    headers
        Sent besides our own.

    Yields
    ------
    http.client.HTTPResponse
        Status 200 or 206; read its body with `read_part`.

    Raises
    ------
    PassingFailure
        If the same request may succeed later.
    InputNotFoundError
        If there is no such file.
    RemoteError
        If the server refuses, or redirects in circles or to an unsafe place.
    """
    place = url
    for _ in range(_MAX_REDIRECTS):
        line, response = _ask(place, headers or {})
        try:
            location = response.headers.get("Location", "")
            if response.status not in _REDIRECTS or not location:
                _refuse_status(url, response)
                yield response
                return
            read_part(response)
        finally:
            _put_back(line, response)
        place = _follow(url, urljoin(place, location))
    msg = f"{url} redirects more than {_MAX_REDIRECTS} times; check the address"
    raise RemoteError(msg)


def _ask(place: str, headers: Mapping[str, str]) -> tuple[_Line, http.client.HTTPResponse]:
    """Send a request; a broken or stalled connection is a passing failure."""
    ours = {"User-Agent": f"expressome/{__version__}", "Accept-Encoding": "identity"}
    try:
        return _send(place, {**ours, **headers})
    except ssl.SSLCertVerificationError as error:
        # Another try would meet the same certificate.
        msg = (
            f"the server of {place} cannot prove who it is ({error.verify_message}); check the "
            "address, or name the certificates to trust in SSL_CERT_FILE"
        )
        raise RemoteError(msg) from error
    except _PASSING_ERRORS as error:
        raise PassingFailure(str(error) or type(error).__name__) from error


def read_part(response: http.client.HTTPResponse, n_bytes: int = PART_BYTES) -> bytes:
    """Read the next bytes of an answer.

    Parameters
    ----------
    response
        What `open_url` gave.
    n_bytes
        At most so many.

    Returns
    -------
    bytes
        Empty at the end.

    Raises
    ------
    PassingFailure
        If the connection breaks or stalls.
    """
    try:
        # Unlike read, gives what has arrived, so that a stall loses none of it.
        part = response.read1(n_bytes)
    except _PASSING_ERRORS as error:
        raise PassingFailure(str(error) or type(error).__name__) from error
    if response.length == 0:
        response.close()
    return part


def _follow(url: str, place: str) -> str:
    """Refuse a redirect away from the web, or from https to http."""
    is_secure = urlsplit(url).scheme == "https"
    if urlsplit(place).scheme not in ({"https"} if is_secure else {"http", "https"}):
        msg = (
            f"{url} redirects to {place}, which is not safe to follow; "
            "use that address if you trust it"
        )
        raise RemoteError(msg)
    return place


class Tries:
    """Counts the failures of one piece of work, waits after each, gives up in time.

    Parameters
    ----------
    url
        Address, for messages.
    what
        What is being read, for messages.
    """

    def __init__(self, url: str, what: str) -> None:
        self._url = url
        self._what = what
        self._limits = patience()
        self._n_failures = 0

    def fail(self, failure: PassingFailure, n_new_bytes: int = 0) -> None:
        """Wait for the next try.

        Parameters
        ----------
        failure
            Why this one failed.
        n_new_bytes
            What arrived before that; a megabyte makes up for earlier failures.

        Raises
        ------
        RemoteError
            If this was the last try.
        """
        self._n_failures = 1 if n_new_bytes >= _FORGIVING_BYTES else self._n_failures + 1
        if self._n_failures >= self._limits.n_tries:
            msg = (
                f"{self._url}: {self._what} could not be read in {self._n_failures} tries "
                f"(last: {failure}); check the connection and run again: what has arrived is kept"
            )
            raise RemoteError(msg) from failure
        # Jitter, so that many readers do not come back at the same moment.
        spread = random.uniform(0.75, 1.25)  # noqa: S311 - not for secrets
        backoff_s = self._limits.backoff_s * 2 ** (self._n_failures - 1) * spread
        wait_s = max(failure.wait_s, min(backoff_s, 60))
        _LOG.info("%s: %s; next try in %.1f s", self._url, failure, wait_s)
        time.sleep(wait_s)
