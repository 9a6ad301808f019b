"""Who may ask, and what a page may do: checked for every request."""

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["Guard", "allowed_hosts"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

# Own files only; no inline script. plotly.js sets styles of its own on what it draws.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS = (
    ("content-security-policy", _POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ("cache-control", "no-store"),
)


def allowed_hosts(host: str) -> frozenset[str]:
    """Name the hosts that a request may be addressed to.

    Parameters
    ----------
    host
        Address the explorer listens on.

    Returns
    -------
    frozenset of str
        On loopback its three names; elsewhere also this machine's name and `host` itself.

    Examples
    --------
    >>> sorted(allowed_hosts("127.0.0.1"))
    ['127.0.0.1', '::1', 'localhost']
    """
    if is_loopback(host):
        return _LOOPBACK_NAMES | {host.lower()}
    import socket

    return _LOOPBACK_NAMES | {host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}


def is_loopback(host: str) -> bool:
    """Say whether an address reaches this machine only.

    Parameters
    ----------
    host
        Name or address.

    Returns
    -------
    bool
        True for localhost, 127.0.0.0/8 and ::1.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Refuse requests of other pages, and tell browsers what ours may do.

    A page elsewhere could have its own name resolve to 127.0.0.1 (DNS rebinding) and then read
    the explorer as if it were its own; its requests carry that name as ``Host``. A page
    elsewhere that merely sends requests is given away by ``Origin`` and ``Sec-Fetch-Site``.

    Parameters
    ----------
    app
        ASGI application.
    hosts
        Names that a request may be addressed to, small letters, without port.
    allows_addresses
        Whether any numeric address may be asked for; a page cannot rebind that. For an
        explorer that others on the network may use.
    """

    def __init__(self, app: Any, *, hosts: frozenset[str], allows_addresses: bool = False) -> None:  # noqa: ANN401
        self.app = app
        self.hosts = hosts
        self.allows_addresses = allows_addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        reason = self._refuse(scope)
        if reason:
            await _answer(send, reason)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(pair for pair in _encoded() if pair[0] not in given),
                ]
            await send(message)

        await self.app(scope, receive, send_guarded)

    def _refuse(self, scope: Scope) -> str:
        """Say why a request is refused; nothing if it is not."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        host = headers.get("host", [])
        if len(host) != 1 or not self._may_ask_for(host[0]):
            return "this name does not belong to the explorer; open the address that it printed"
        origin = headers.get("origin", [])
        if origin and origin != [f"{scope.get('scheme', 'http')}://{host[0]}"]:
            return "a page of another origin may not ask the explorer"
        site = headers.get("sec-fetch-site", ["none"])[0]
        is_page = headers.get("sec-fetch-mode", [""])[0] == "navigate"
        if site not in {"same-origin", "none"} and not (is_page and scope["method"] == "GET"):
            return "a page of another site may not ask the explorer"
        return ""

    def _may_ask_for(self, host: str) -> bool:
        name = _split_port(host)
        if name in self.hosts:
            return True
        if not self.allows_addresses:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _split_port(host: str) -> str:
    """Give the name in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _encoded() -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in _HEADERS]


async def _answer(send: Send, reason: str) -> None:
    import json

    headers = [(b"content-type", b"application/json"), *_encoded()]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"error": reason}).encode()})
