"""What can be seen wrong in documents without a controller: addresses, ranges, overlaps, doubles. Pure.

The controller has the same rules and the last word; these find all faults of a file at once, with their lines.
"""

from collections.abc import Callable, Iterator
from typing import Any

from weft.cli import rules_addresses, rules_gateways, rules_networks
from weft.cli.check import Check
from weft.cli.documents import Document, Documents
from weft.cli.faults import Fault
from weft.cli.shapes import Place
from weft.model.values import IpAddress, IpPrefix, lies_in, mac_dashes

Range = tuple[int, int]


def faults_of(documents: Documents) -> list[Fault]:
    """Every fault of every document, and those between them."""
    found: list[Fault] = []
    for document in documents.resources:
        check = Check(document)
        rule = _RULES.get(document.kind.name)
        if rule is not None and not document.broken:
            rule(check)
        found += check.faults
    return found + list(_doubles(documents)) + _between(documents)


def _mac_pool(check: Check) -> None:
    first, last = ("properties", "startMacAddress"), ("properties", "endMacAddress")
    check.required(first, "00-1D-D8-B7-1C-00")
    check.required(last, "00-1D-D8-F4-1F-FF")
    start, end = check.mac(first), check.mac(last)
    if start is not None and end is not None and end < start:
        check.fault(last, f"the end {mac_dashes(end)} lies before the start {mac_dashes(start)}; swap the two")
    elif start is not None and end is not None:
        rules_addresses.grantable(check, first, start, end)
    rules_addresses.mac_pool(check, start, end)


def _manager(check: Check) -> None:
    at = ("properties", "networkVirtualizationProtocol")
    word = check.at(at)
    if word and str(word).upper() not in ("VXLAN", "NVGRE"):
        check.fault(at, f"'{word}' is no encapsulation of Weft; write VXLAN or NVGRE")


def _logical_network(check: Check) -> None:
    subnets: list[tuple[Place, IpPrefix]] = []
    pools: list[tuple[Place, IpAddress, IpAddress]] = []
    for place in check.items("properties", "subnets"):
        at = (*place, "properties", "addressPrefix")
        check.required(at, "192.168.1.0/24")
        prefix = check.prefix(at)
        vlan = check.at((*place, "properties", "vlanID"))
        if isinstance(vlan, int) and not 0 <= vlan <= 4095:
            check.fault((*place, "properties", "vlanID"), f"VLAN {vlan} does not exist; write 0 (untagged) to 4095")
        if prefix is not None:
            subnets.append((at, prefix))
        for pool in check.items(*place, "properties", "ipPools"):
            _ip_pool(check, pool, prefix, pools)
        for i, _ in enumerate(check.at((*place, "properties", "defaultGateways")) or ()):
            check.address((*place, "properties", "defaultGateways", i))
    _overlaps(check, subnets)


def _ip_pool(
    check: Check, place: Place, prefix: IpPrefix | None, pools: list[tuple[Place, IpAddress, IpAddress]]
) -> None:
    """Both ends, in order, inside the subnet, apart from the other pools of the network."""
    first, last = (*place, "properties", "startIpAddress"), (*place, "properties", "endIpAddress")
    check.required(first, "192.168.1.10")
    check.required(last, "192.168.1.250")
    start, end = check.address(first), check.address(last)
    for at, address in ((first, start), (last, end)):
        if address is not None and prefix is not None and address not in prefix:
            check.fault(at, f"{address} is not inside the subnet {prefix}; choose one of its addresses")
    if start is None or end is None:
        return
    if start.version != end.version or int(end) < int(start):
        check.fault(last, f"the end {end} lies before the start {start}; swap the two")
        return
    for other, low, high in pools:
        if low.version == start.version and int(start) <= int(high) and int(low) <= int(end):
            line = check.document.line(other)
            check.fault(first, f"{start} to {end} overlaps the pool {low} to {high} of line {line}; make them disjoint")
    pools.append((first, start, end))


def _overlaps(check: Check, subnets: list[tuple[Place, IpPrefix]]) -> None:
    for i, (place, prefix) in enumerate(subnets):
        for other, earlier in subnets[:i]:
            if prefix.version == earlier.version and prefix.overlaps(earlier):
                line = check.document.line(other)
                check.fault(place, f"{prefix} overlaps {earlier} of line {line}; choose disjoint prefixes")


def _virtual_network(check: Check) -> None:
    check.required(("properties", "logicalNetwork"), "{resourceRef: /logicalNetworks/NAME}")
    spaces = ("properties", "addressSpace", "addressPrefixes")
    if not check.at(spaces) and spaces not in check.document.lines:
        check.fault(("properties",), "addressSpace is missing; write addressSpace: {addressPrefixes: [10.1.0.0/16]}")
    places = [(i, prefix) for i in check.items(*spaces) if (prefix := check.prefix(i)) is not None]
    _overlaps(check, places)
    space = [prefix for _, prefix in places]
    subnets: list[tuple[Place, IpPrefix]] = []
    for place in check.items("properties", "subnets"):
        at = (*place, "properties", "addressPrefix")
        check.required(at, "10.1.1.0/24")
        prefix = check.prefix(at)
        _vsid(check, (*place, "properties", "virtualSubnetId"))
        if prefix is None:
            continue
        inside = [s for s in space if lies_in(prefix, s)]
        if space and not inside:
            shown = ", ".join(str(s) for s in space)
            check.fault(at, f"{prefix} is outside the address space {shown}; widen addressSpace or choose another")
        subnets.append((at, prefix))
    _overlaps(check, subnets)
    rules_networks.virtual_network(check)


def _vsid(check: Check, place: Place) -> None:
    """RFC 7637 section 3.2 reserves 0..0xFFF and 0xFFFFFF; 0 and absent ask for a grant."""
    vsid = check.at(place)
    if isinstance(vsid, int) and vsid and not 4096 <= vsid <= 16_777_214:
        check.fault(place, f"VSID {vsid} is reserved; write 4096 to 16777214, or leave it out to be granted one")


def _network_interface(check: Check) -> None:
    mac = ("properties", "privateMacAddress")
    check.mac(mac)
    method = check.required(("properties", "privateMacAllocationMethod"), "Dynamic, or Static with a privateMacAddress")
    _method(check, ("properties", "privateMacAllocationMethod"), ("Static", "Dynamic"))
    if str(method).lower() == "static" and not check.at(mac) and mac not in check.document.lines:
        check.fault(
            ("properties",), "a Static interface has no privateMacAddress; write one, or Dynamic to be granted one"
        )
    for place in check.items("properties", "ipConfigurations"):
        properties = (*place, "properties")
        check.required((*properties, "subnet"), "{resourceRef: /virtualNetworks/NETWORK/subnets/SUBNET}")
        own, at = (*properties, "privateIPAddress"), (*properties, "privateIPAllocationMethod")
        address = check.address(own)
        _method(check, at, ("Static", "Dynamic", "Unmanaged"))
        if str(check.at(at)).lower() == "static" and own not in check.document.lines:
            check.fault(at, "a Static address is not given; write privateIPAddress, or Dynamic to be granted one")
        elif address is not None and at not in check.document.lines:
            check.fault(own, f"{address} would not be asked for; write privateIPAllocationMethod: Static beside it")
    rules_addresses.network_interface(check)


def _method(check: Check, place: Place, allowed: tuple[str, ...]) -> None:
    word = check.at(place)
    if word and str(word).lower() not in [a.lower() for a in allowed]:
        check.fault(place, f"'{word}' is no allocation method; write {' or '.join(allowed)}")


def _server(check: Check) -> None:
    for i in check.items("properties", "providerAddresses"):
        check.address(i)
    rules_addresses.server(check)


_RULES: dict[str, Callable[[Check], None]] = {
    "virtualNetworkManager": _manager,
    "macPools": _mac_pool,
    "logicalNetworks": _logical_network,
    "accessControlLists": rules_networks.access_control_list,
    "routeTables": rules_networks.route_table,
    "virtualNetworks": _virtual_network,
    "networkInterfaces": _network_interface,
    "servers": _server,
    "virtualMachines": rules_addresses.virtual_machine,
    "addressPlans": rules_addresses.address_plan,
    "publicIPAddresses": rules_gateways.public_address,
    "gatewayPools": rules_gateways.gateway_pool,
    "gateways": rules_gateways.gateway,
    "virtualGateways": rules_gateways.virtual_gateway,
}


def _doubles(documents: Documents) -> Iterator[Fault]:
    """One resource twice in a file."""
    first: dict[tuple[str, str], Document] = {}
    for document in documents.resources:
        earlier = first.setdefault((document.kind.name, document.id.lower()), document)
        if earlier is not document and document.id:
            where = f"line {earlier.line()}" if earlier.file == document.file else f"{earlier.file}:{earlier.line()}"
            yield document.fault(
                ("resourceId",), f"{document.name} is already in {where}; give each its own resourceId"
            )


def _between(documents: Documents) -> list[Fault]:
    """What two resources of a file may not both have: a VSID, an interface, a place in a MAC range."""
    found: list[Fault] = []
    taken: dict[tuple[str, Any], tuple[Document, Place]] = {}
    for document in documents.resources:
        for what, value, place in _claims(document):
            earlier, at = taken.setdefault((what, value), (document, place))
            if (earlier, at) != (document, place):
                who = f"{earlier.name}, line {earlier.line(at)}"
                found.append(document.fault(place, f"{what} {value} is already taken by {who}; choose another"))
    return found + _mac_pool_overlaps(documents) + rules_networks.overlapping_peers(documents)


def _claims(document: Document) -> Iterator[tuple[str, Any, Place]]:
    properties = document.body["properties"]
    if document.kind.name == "virtualNetworks":
        subnets = properties.get("subnets", ())
        pairs = _dual_stack_pairs(subnets)
        for i, subnet in enumerate(subnets):
            vsid = subnet.get("properties", {}).get("virtualSubnetId")
            # the two of a pair are one virtual subnet on the wire, as answers show them
            if vsid and (str(subnet.get("resourceId")).lower(), str(vsid)) not in pairs:
                yield "VSID", vsid, ("properties", "subnets", i, "properties", "virtualSubnetId")
    if document.kind.name == "virtualMachines" and not properties.get("isTemplate"):
        for i, ref in enumerate(properties.get("networkInterfaces", ())):
            if ref.get("resourceRef"):
                place = ("properties", "networkInterfaces", i, "resourceRef")
                yield "the interface", ref["resourceRef"].lower(), place


def _dual_stack_pairs(subnets: Any) -> set[tuple[str, str]]:
    """(Id of a subnet that another names as its dual-stack partner, the VSID of the one that names it)."""
    found = set()
    for subnet in subnets:
        properties = subnet.get("properties", {})
        partner = (properties.get("dualStackSubnet") or {}).get("resourceRef")
        if partner:
            found.add((str(partner).rpartition("/")[2].lower(), str(properties.get("virtualSubnetId"))))
    return found


def _mac_pool_overlaps(documents: Documents) -> list[Fault]:
    found: list[Fault] = []
    pools: list[tuple[Document, Range]] = []
    for document in documents.resources:
        if document.kind.name != "macPools":
            continue
        check = Check(document)
        start = check.mac(("properties", "startMacAddress"))
        end = check.mac(("properties", "endMacAddress"))
        if start is None or end is None:
            continue
        for other, (low, high) in pools:
            if start <= high and low <= end:
                where = f"{other.name}, line {other.line(('properties', 'startMacAddress'))}"
                message = f"{mac_dashes(start)} to {mac_dashes(end)} overlaps {where}; make the pools disjoint"
                found.append(document.fault(("properties", "startMacAddress"), message))
        pools.append((document, (start, end)))
    return found
