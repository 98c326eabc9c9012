"""Where a controller is, as a person names it. Pure. Apart from the client, since an agent speaks no HTTP.

Called by client.py and the agent before they begin.
"""

import ipaddress
from urllib.parse import urlsplit

from weft.model.errors import Invalid


def check_controller(url: str) -> None:
    """Raise Invalid unless it is `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`."""
    scheme, _, path = url.partition(":")
    if not (_names_a_host(url) if scheme in ("http", "https") else scheme == "unix" and path):
        raise Invalid(
            f"'{url}' is no controller: write http://HOST:PORT, https://HOST:PORT or unix:PATH", target="controller"
        )


def _names_a_host(url: str) -> bool:
    try:
        parsed = urlsplit(url)
        host = parsed.hostname or ""
        if host.replace(".", "").isdecimal():
            ipaddress.IPv4Address(host)
        return bool(host) and url.isprintable() and " " not in url and (parsed.port or 0) <= 65535
    except ValueError:  # a port that is no number, a bracket too few, an address that is none
        return False
