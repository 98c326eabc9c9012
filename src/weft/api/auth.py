"""Who asks: the one function that makes an Actor, and who may reach the service at all.

Until identities exist, everyone on loopback and on the unix socket is operator; so the service listens nowhere else.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

from weft.api.faults import ForeignHost
from weft.core.commands import Actor
from weft.model.errors import Invalid

OPERATOR = Actor()

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "::1", ""})


def actor_of(scope: Mapping[str, Any]) -> Actor:
    """Return who sent this request. `scope` is ASGI's; identities will read its headers and certificate."""
    return OPERATOR


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address to listen on."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_listen(host: str) -> None:
    """Refuse to serve beyond this machine while everyone is operator. Raises Invalid with what to do."""
    if not is_loopback(host):
        raise Invalid(
            f"--listen {host} would let everyone on the network be operator: there are no certificates and identities "
            "yet. Listen on 127.0.0.1 or [::1], and reach it from elsewhere through ssh -L 8470:127.0.0.1:8470 HOST.",
            target="listen",
        )


def check_origin(headers: Mapping[bytes, bytes], scope: Mapping[str, Any]) -> None:
    """Refuse requests that a web page sends: DNS rebinding (Host) and cross-site writes (Origin). Raises ForeignHost.

    A page of another server of this machine is foreign too: its Origin is not the Host that it asks. A client on the
    unix socket is no browser, so its Host is not looked at.
    """
    asked = headers.get(b"host", b"").decode("latin-1")
    origin = headers.get(b"origin")
    if origin is not None:
        site = origin.decode("latin-1").partition("://")[2]
        if site.lower() != asked.lower() or not is_loopback(_without_port(site)):
            raise ForeignHost(f"Requests of the web site '{site}' are not served.")
    server = scope.get("server")
    if server is not None and server[1] is not None:
        host = _without_port(asked)
        if host not in _LOOPBACK_NAMES and not is_loopback(host):
            raise ForeignHost(f"The Host header names '{host}', not this machine. Use the address that is listened on.")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
