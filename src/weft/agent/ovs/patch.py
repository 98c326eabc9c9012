"""The patch between our bridge and the physical network's: two ports, each other's peer, both with our mark.

Used by ovs/switch.py. Which bridge is the physical one is said by external_ids:weft=physical on it, or else by the
provider address: the bridge whose own interface, or a port of whose, has it. The patch carries all VLANs.
"""

import ipaddress
from collections.abc import Collection, Iterable
from typing import Any

from pyroute2 import IPRoute

from weft.agent.ovs.database import MARK, Interface, PortTaken, Tables
from weft.model.values import PackedIp

HERE, THERE = "weft-to-phy", "weft-to-int"
"""The end on our bridge, and the other one."""
KIND = "patch"
_PHYSICAL = "physical"


def devices_of(addresses: Iterable[PackedIp]) -> frozenset[str]:
    """Names of the interfaces of this network namespace that have one of these addresses."""
    wanted = {str(ipaddress.ip_address(address)) for address in addresses}
    with IPRoute() as route:
        indices = {one["index"] for one in route.get_addr() if one.get_attr("IFA_ADDRESS") in wanted}
        return frozenset(str(route.get_links(index)[0].get_attr("IFLA_IFNAME")) for index in indices)


def put(tables: Tables, devices: Collection[str]) -> None:
    """Make both ends. Raises PortTaken where no bridge is the physical one, or another hand has a port of that name."""
    ours = tables.bridge()
    physical = _physical(tables, devices)
    for bridge, name, peer in ((ours, HERE, THERE), (physical, THERE, HERE)):
        interface = _there(tables, bridge, name)
        if interface is None:
            interface = tables.add_port(bridge, name, KIND)
        interface.type = KIND
        interface.options = {"peer": peer}


def remove(tables: Tables) -> None:
    """Both ends, wherever they are; a port without our mark stays."""
    for bridge in tables.bridges():
        kept = [port for port in bridge.ports if port.external_ids.get(MARK) != KIND]
        if len(kept) != len(bridge.ports):
            bridge.verify("ports")
            bridge.ports = kept


def is_ours(row: Interface) -> bool:
    return row.kind == KIND and row.external_ids.get(MARK) == KIND and row.options == {"peer": THERE}


def _physical(tables: Tables, devices: Collection[str]) -> Any:
    others = [bridge for bridge in tables.bridges() if bridge.name != tables.bridge().name]
    marked = [bridge for bridge in others if bridge.external_ids.get(MARK) == _PHYSICAL]
    found = marked or [bridge for bridge in others if _names(bridge) & set(devices)]
    if len(found) == 1:
        return found[0]
    why = "several bridges are" if found else "no bridge is"
    raise PortTaken(
        f"{why} the physical network's: none has a provider address of this host on it; "
        f"mark the one that is: ovs-vsctl br-set-external-id BRIDGE {MARK} {_PHYSICAL}"
    )


def _names(bridge: Any) -> set[str]:
    return {bridge.name, *(row.name for port in bridge.ports for row in port.interfaces)}


def _there(tables: Tables, bridge: Any, name: str) -> Any:
    for other in tables.bridges():
        for port in other.ports:
            for row in port.interfaces:
                if row.name != name:
                    continue
                if port.external_ids.get(MARK) != KIND:
                    raise PortTaken(f"port {name} has no external_ids:{MARK}={KIND}, so it is another's; rename it")
                if other.name == bridge.name:
                    return row
                other.verify("ports")
                other.ports = [one for one in other.ports if one is not port]
    return None
