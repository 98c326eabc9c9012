"""`kind: lab/external` of a lab file, read and checked. Pure. Called by weft.lab.plan."""

import ipaddress
from typing import Any

from weft.cli.documents import LabDocument
from weft.cli.faults import Fault
from weft.lab.state import ExternalState, HostState

_MEMBERS = ("address", "beside", "routes", "vlan")
_MOST_VLAN = 4094


def external(doc: LabDocument, number: int, hosts: list[HostState], faults: list[Fault]) -> ExternalState | None:
    """None, with a fault for each, where something is wrong."""

    def fault(message: str) -> None:
        faults.append(Fault(doc.file, doc.line, f"lab/external {doc.id}: {message}"))

    before = len(faults)
    said = {name.lower(): value for name, value in doc.properties.items()}
    for name in doc.properties:
        if name.lower() not in _MEMBERS:
            fault(f"unknown member {name}; write address, beside where hosts are on several subnets, routes, vlan")
    text = str(said.get("address", ""))
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        fault(f"address is '{text}'; write address and prefix length, such as 203.0.113.1/24")
    if "/" not in text:
        fault(f"address '{text}' has no prefix length; write such as 203.0.113.1/24")
    beside = str(said.get("beside") or (hosts[0].name if hosts else ""))
    if beside.lower() not in {host.name.lower() for host in hosts}:
        fault(f"beside names '{beside}', which is no lab/host")
    vlan = said.get("vlan", 0)
    if not isinstance(vlan, int) or not 0 <= vlan <= _MOST_VLAN:
        fault(f"vlan is '{vlan}'; write a number from 1 to {_MOST_VLAN}, or leave it out for untagged")
    routes = tuple(_route(one, fault) for one in said.get("routes") or ())
    return ExternalState(doc.id, number, text, beside, routes, vlan) if len(faults) == before else None


def _route(one: Any, fault: Any) -> tuple[str, str]:
    members = {str(name).lower(): str(value) for name, value in one.items()} if isinstance(one, dict) else {}
    prefix, hop = members.get("destinationprefix", ""), members.get("nexthop", "")
    try:
        ipaddress.ip_network(prefix)
        ipaddress.ip_address(hop)
    except ValueError:
        fault("each of routes is {destinationPrefix: 10.1.0.0/16, nextHop: 203.0.113.10}")
    return prefix, hop
