"""Tunnel ports as rows of the database: their names, their options, and which tunnel a row is. Pure.

Called by ovs/switch.py.
"""

import hashlib
import ipaddress

from weft.agent.ovs.database import MARK, Interface
from weft.agent.switch import ANY, Tunnel
from weft.model.values import PackedIp, ip_text


def tunnel_name(tunnel: Tunnel) -> str:
    """At most 15 characters, the same after every restart."""
    if not tunnel.local:
        return f"weft-{tunnel.kind}"
    if len(tunnel.local) == 4:
        return f"{tunnel.kind}-{tunnel.local.hex()}"
    return f"{tunnel.kind}-{hashlib.blake2s(tunnel.local, digest_size=4).hexdigest()}"


def tunnel_options(tunnel: Tunnel) -> dict[str, str]:
    return {"remote_ip": "flow", "key": "flow", "local_ip": ip_text(tunnel.local) if tunnel.local else "flow"}


def tunnel_of(row: Interface) -> Tunnel | None:
    """The tunnel that a port of ours is; None if it is not ours, or another hand has changed it."""
    if row.external_ids.get(MARK) != "tunnel":
        return None
    said = row.options.get("local_ip", "")
    try:
        local = ANY if said == "flow" else PackedIp(ipaddress.ip_address(said).packed)
    except ValueError:
        return None
    tunnel = Tunnel(row.kind, local)
    return tunnel if row.name == tunnel_name(tunnel) and row.options == tunnel_options(tunnel) else None
