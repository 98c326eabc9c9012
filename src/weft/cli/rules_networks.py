"""What can be seen wrong about filters, routes and peerings without a controller. Pure.

Called by cli.rules, which has the rest.
"""

import ipaddress

from weft.cli.check import Check
from weft.cli.documents import Document, Documents
from weft.cli.faults import Fault
from weft.cli.shapes import Place
from weft.core.filters import (
    ALL_PORTS,
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    PROTOCOLS,
    TAGS,
    WITH_PORTS,
    port_range,
    prefix_or_tag,
)
from weft.model.values import IpPrefix

_HOPS = ("VirtualAppliance", "VnetLocal", "VirtualNetworkGateway", "Internet", "None")
_DEFAULTS = ("Permit", "Deny")


def access_control_list(check: Check) -> None:
    """Each rule by itself, and that no two have one priority."""
    for member in ("inboundDefaultAction", "outboundDefaultAction"):
        _one_of(check, ("properties", member), _DEFAULTS)
    first: dict[int, Place] = {}
    for place in check.items("properties", "aclRules"):
        properties = (*place, "properties")
        at = (*properties, "priority")
        priority = check.required(at, "101")
        _rule(check, properties)
        if not isinstance(priority, int):
            continue
        if not LOWEST_PRIORITY <= priority <= HIGHEST_PRIORITY:
            check.fault(at, f"priority {priority} is not for users; write {LOWEST_PRIORITY} to {HIGHEST_PRIORITY}")
        elif priority in first:
            line = check.document.line(first[priority])
            check.fault(at, f"priority {priority} is already in line {line}; give each rule its own")
        first.setdefault(priority, at)


def _rule(check: Check, place: Place) -> None:
    for member, words in (("action", ("Allow", "Deny")), ("type", ("Inbound", "Outbound"))):
        check.required((*place, member), words[0])
        _one_of(check, (*place, member), words)
    _one_of(check, (*place, "logging"), ("Enabled", "Disabled"))
    check.required((*place, "protocol"), "TCP")
    _one_of(check, (*place, "protocol"), tuple(PROTOCOLS.values()))
    for member in ("sourceAddressPrefix", "destinationAddressPrefix"):
        check.required((*place, member), '10.1.1.0/24, or "*" for all')
        _prefix(check, (*place, member))
    for member in ("sourcePortRange", "destinationPortRange"):
        check.required((*place, member), '80, 80-90, or "*" for all')
        _ports(check, (*place, member), PROTOCOLS.get(str(check.at((*place, "protocol"))).lower(), "All"))


def _prefix(check: Check, place: Place) -> None:
    text = check.at(place)
    if not text:
        return
    try:
        prefix_or_tag(str(text).strip())
    except ValueError:
        if "/" in str(text):
            check.prefix(place)
            return
        check.fault(place, f"'{text}' is no prefix and none of {', '.join(TAGS)}; \"*\" is for all")


def _ports(check: Check, place: Place, protocol: str) -> None:
    text = check.at(place)
    if not text:
        return
    try:
        found = port_range(str(text).replace(" ", ""))
    except ValueError:
        check.fault(place, f"'{text}' is no range of ports; write one of 0 to 65535, 80-90, or \"*\" for all")
        return
    if protocol not in WITH_PORTS and found not in (ALL_PORTS, (1, ALL_PORTS[1])):
        check.fault(place, f'{protocol} has no ports; write "*"')


def route_table(check: Check) -> None:
    """Each route by itself, and that no two are for one prefix."""
    first: dict[IpPrefix, Place] = {}
    for place in check.items("properties", "routes"):
        at = (*place, "properties", "addressPrefix")
        check.required(at, "10.2.0.0/16")
        prefix = check.prefix(at)
        _next_hop(check, (*place, "properties"))
        if prefix is None:
            continue
        if prefix in first:
            line = check.document.line(first[prefix])
            check.fault(at, f"there is a route for {prefix} in line {line}; keep one of them")
        first.setdefault(prefix, at)


def _next_hop(check: Check, place: Place) -> None:
    kind, hop = (*place, "nextHopType"), (*place, "nextHopIpAddress")
    check.required(kind, " or ".join(_HOPS))
    _one_of(check, kind, _HOPS)
    address = check.address(hop)
    word = str(check.at(kind)).lower()
    is_appliance = word == "virtualappliance"
    if is_appliance and address is None and hop not in check.document.lines:
        check.fault(kind, "the appliance's address is missing; write nextHopIpAddress: 10.1.1.4")
    elif not is_appliance and word in (one.lower() for one in _HOPS) and check.at(hop):
        # of a word that is none it is not known whether it goes
        check.fault(hop, "nextHopIpAddress only goes with nextHopType VirtualAppliance; leave it out")


def virtual_network(check: Check) -> None:
    """Its peerings, and what else it has beside its subnets."""
    _one_of(check, ("properties", "networkVirtualizationProtocol"), ("VXLAN", "NVGRE", "Rewrite"))
    own = f"/virtualnetworks/{check.document.id}".lower()
    first: dict[str, Place] = {}
    for place in check.items("properties", "virtualNetworkPeerings"):
        at = (*place, "properties", "remoteVirtualNetwork")
        check.required(at, "{resourceRef: /virtualNetworks/NAME}")
        remote = str(check.at((*at, "resourceRef")) or "").lower()
        if remote == own:
            check.fault(at, "a network cannot be a peer of itself; name another one")
        elif remote and remote in first:
            line = check.document.line(first[remote])
            check.fault(at, f"there is a peering with {remote} in line {line}; keep one of them")
        first.setdefault(remote, at)


def overlapping_peers(documents: Documents) -> list[Fault]:
    """Networks of one file that are peers and have addresses in common."""
    spaces = {
        f"/virtualnetworks/{one.id}".lower(): _space(one)
        for one in documents.resources
        if one.kind.name == "virtualNetworks"
    }
    found: list[Fault] = []
    for document in documents.resources:
        own = spaces.get(f"/virtualnetworks/{document.id}".lower(), ())
        for i, peering in enumerate(document.body["properties"].get("virtualNetworkPeerings", ())):
            ref = (peering.get("properties", {}).get("remoteVirtualNetwork") or {}).get("resourceRef", "")
            is_itself = ref.lower() == f"/virtualnetworks/{document.id}".lower()
            for other in spaces.get(ref.lower(), ()) if not is_itself else ():
                mine = next((one for one in own if one.version == other.version and one.overlaps(other)), None)
                if mine is not None:
                    place = ("properties", "virtualNetworkPeerings", i, "properties", "remoteVirtualNetwork")
                    so = "peers share no addresses: give one of them another addressSpace"
                    found.append(document.fault(place, f"{other} of {ref} overlaps {mine}; {so}"))
    return found


def _space(document: Document) -> list[IpPrefix]:
    found: list[IpPrefix] = []
    for text in (document.body["properties"].get("addressSpace") or {}).get("addressPrefixes", ()):
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            continue
    return found


def _one_of(check: Check, place: Place, words: tuple[str, ...]) -> None:
    found = check.at(place)
    if found and str(found).lower() not in [word.lower() for word in words]:
        check.fault(place, f"'{found}' is no {place[-1]}; write {' or '.join(words)}")
