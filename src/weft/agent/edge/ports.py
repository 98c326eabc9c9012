"""The ports of edges at this host's bridges: which there should be, and which there are. Pure.

Called by edge/namespace.py. All of a host are read at once; for changes see edge/database.py.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from weft.agent.edge.wanted import links
from weft.agent.flows.ways_out import instance_of
from weft.model.records import EdgeNetwork
from weft.model.values import mac_colons

LISTING = (
    *("--format=json", "--columns=name,external_ids", "find", "interface", "external_ids:weft=edge"),
    *("--", "--columns=_uuid,name,tag", "list", "port"),
    *("--", "--columns=name,ports", "list", "bridge"),
)
"""For ovs-vsctl: what `there` reads."""


class Port(NamedTuple):
    """A veth's end at a bridge."""

    bridge: str
    tag: int
    """VLAN; 0 for none."""
    instance: str
    """external_ids:iface-id; empty for a leg outside."""
    mac: str


def wanted(edge: EdgeNetwork, bridges: tuple[str, str]) -> dict[str, Port]:
    """By name; but for what belongs to GRE connections. `bridges`: the integration bridge, and the outer one."""
    found = {}
    for link in links(edge):
        if link.leg is not None:
            found[link.host] = Port(bridges[1], link.leg.vlan, "", "")
        elif link.tunnel is None:
            found[link.host] = Port(bridges[0], 0, instance_of(edge), mac_colons(edge.mac))
    return found


def there(listing: str) -> dict[str, Port]:
    """Ports with our mark, by name."""
    interfaces, ports, bridges = (list(_rows(line)) for line in listing.splitlines() if line.strip())
    places = {uuid: bridge["name"] for bridge in bridges for uuid in _members(bridge["ports"])}
    known = {port["name"]: (places.get(port["_uuid"][1], ""), port["tag"]) for port in ports}
    found = {}
    for interface in interfaces:
        bridge, tag = known.get(interface["name"], ("", 0))
        ids = dict(interface["external_ids"][1])
        number = tag if isinstance(tag, int) else 0  # an empty set
        found[interface["name"]] = Port(bridge, number, ids.get("iface-id", ""), ids.get("attached-mac", ""))
    return found


def _rows(line: str) -> Iterator[dict[str, Any]]:
    table = json.loads(line)
    for row in table["data"]:
        yield dict(zip(table["headings"], row, strict=True))


def _members(ports: list[Any]) -> list[str]:
    """A set of UUIDs in OVSDB's JSON (RFC 7047 section 5.1), which writes a set of one as its member."""
    return [ports[1]] if ports[0] == "uuid" else [uuid for _, uuid in ports[1]]
