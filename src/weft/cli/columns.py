"""Which members of a resource a table shows, kind by kind. Pure."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from weft.model.errors import InvalidMacAddress
from weft.model.kinds import Kind
from weft.model.values import mac_dashes, parse_mac

Cell = Callable[[Any], Any]


def name_of(ref: Any) -> str:
    """The last part of a reference, with its network where it is a subnet, with its host where it is its range."""
    text = (ref or {}).get("resourceRef", "") if isinstance(ref, dict) else str(ref or "")
    parts = text.strip("/").split("/")
    if len(parts) == 4 and parts[2].lower() == "subnets":
        return f"{parts[1]}/{parts[3]}"
    return "/".join(parts[1:]) if parts[-1].lower() == "macrange" else parts[-1]


def mac_of(properties: Mapping[str, Any]) -> str:
    """Dashes are easier on the eye than 12 bare digits."""
    text = properties.get("privateMacAddress") or ""
    try:
        return mac_dashes(parse_mac(text))
    except InvalidMacAddress:
        return text


def _joined(values: Any) -> str:
    return ", ".join(str(value) for value in values or ())


def _configurations(member: str) -> Cell:
    def cell(p: Any) -> str:
        found = [c["properties"].get(member) for c in p.get("ipConfigurations") or ()]
        return _joined(name_of(v) if isinstance(v, dict) else v for v in found if v)

    return cell


def _member(*names: str) -> Cell:
    def cell(p: Any) -> Any:
        for name in names:
            p = (p or {}).get(name)
        return p

    return cell


def _used(whole: str, taken: str) -> Cell:
    def cell(p: Any) -> str:
        usage = p.get("usage") or {}
        return f"{usage.get(taken, 0)} of {usage.get(whole, 0)}"

    return cell


def _children(name: str) -> Cell:
    def cell(p: Any) -> str:
        return _joined(c["resourceId"] for c in p.get(name) or ())

    return cell


def _names(member: str) -> Cell:
    def cell(p: Any) -> str:
        return _joined(name_of(each) for each in p.get(member) or ())

    return cell


def _subnets(p: Any) -> str:
    found = []
    for subnet in p.get("subnets") or ():
        prefix = subnet["properties"].get("addressPrefix", "")
        found.append(f"{subnet['resourceId']} {prefix}")
    return _joined(found)


def _ref(name: str) -> Cell:
    return lambda p: name_of(p.get(name))


def _users_of(p: Any) -> str:
    """The subnets that name a list or a table."""
    return _joined(name_of(ref) for ref in p.get("subnets") or ())


def _vsid(p: Any) -> Any:
    return p.get("virtualSubnetId") or p.get("VirtualSubnetId")


STATUS: Cell = _member("configurationState", "status")

_CAPTURE: dict[str, Cell] = {
    "machine": _ref("virtualMachine"),
    "holds": lambda p: "; ".join(_captured(each) for each in p.get("networkInterfaces") or ()),
    "power": _member("powerState"),
    "created": _member("created"),
}

_COLUMNS: dict[str, dict[str, Cell]] = {
    "virtualNetworkManager": {
        "protocol": _member("networkVirtualizationProtocol"),
        "router": _member("distributedRouterState"),
        "vsids": lambda p: "{startId} to {endId}".format(**_lowered_range(p)),
    },
    "macPools": {
        "start": _member("startMacAddress"),
        "end": _member("endMacAddress"),
        "allocated": _used("numberOfMacAddresses", "numberofMacAddressesAllocated"),
    },
    "logicalNetworks": {"virtualized": _member("networkVirtualizationEnabled"), "subnets": _subnets},
    "addressPlans": {
        "addresses": lambda p: _plan(p),
        "clusters": lambda p: 16 ** p.get("clusterDigits", 2),
        "hosts each": lambda p: 16 ** p.get("hostDigits", 1),
        "addresses each": lambda p: 16 ** p.get("interfaceDigits", 3),
    },
    "reservations": {
        "pool": lambda p: name_of(p.get("pool")),
        "count": _member("count"),
        "purpose": _member("purpose"),
        "until": _member("until"),
        "addresses": lambda p: _joined(ranges_of(p.get("addresses") or ())),
    },
    "clusters": {
        "servers": lambda p: _joined(name_of(r) for r in p.get("servers") or ()),
        "failover cluster": _member("failoverCluster"),
    },
    "servers": {
        "provider addresses": lambda p: _joined(p.get("providerAddresses")),
        "interfaces": lambda p: _joined(name_of(r) for r in p.get("virtualNetworkInterfaces") or ()),
        "status": STATUS,
    },
    "accessControlLists": {
        "rules": lambda p: len(p.get("aclRules") or ()),
        "inbound": lambda p: _default_of(p, "inboundDefaultAction"),
        "outbound": lambda p: _default_of(p, "outboundDefaultAction"),
        "filters": lambda p: _users(p),
    },
    "aclRules": {
        "priority": _member("priority"),
        "type": _member("type"),
        "action": _member("action"),
        "protocol": _member("protocol"),
        "from": lambda p: _end(p, "source"),
        "to": lambda p: _end(p, "destination"),
        "logging": _member("logging"),
    },
    "routeTables": {"routes": lambda p: _joined(_route(each) for each in p.get("routes") or ()), "subnets": _users_of},
    "routes": {
        "prefix": lambda p: p.get("addressPrefix") or p.get("destination"),
        "next hop": lambda p: _joined(
            each for each in (p.get("nextHopType"), p.get("nextHopIpAddress"), p.get("nextHop")) if each
        ),
    },
    "virtualNetworkPeerings": {
        "with": _ref("remoteVirtualNetwork"),
        "state": _member("peeringState"),
        "access": lambda p: _yes(p.get("allowVirtualNetworkAccess")),
        "their addresses": lambda p: _joined((p.get("remoteAddressSpace") or {}).get("addressPrefixes")),
    },
    "virtualNetworks": {
        "address space": lambda p: _joined((p.get("addressSpace") or {}).get("addressPrefixes")),
        "subnets": _subnets,
        "logical network": _ref("logicalNetwork"),
        "status": STATUS,
    },
    "publicIPAddresses": {
        "address": _member("ipAddress"),
        "method": _member("publicIPAllocationMethod"),
        "used by": _ref("ipConfiguration"),
    },
    "gatewayPools": {
        "type": _member("type"),
        "gateways": _names("gateways"),
        "standby": _member("redundantGatewayCount"),
        "virtual gateways": _names("VirtualGateways"),
    },
    "gateways": {
        "pool": _ref("pool"),
        "server": _ref("server"),
        "health": _member("health"),
        "virtual gateways": lambda p: _joined(name_of(v["virtualGateway"]) for v in p.get("VirtualGateways") or ()),
    },
    "virtualGateways": {
        "subnet": _names("gatewaySubnets"),
        "address": lambda p: _joined(p.get("gatewayAddresses")),
        "gateways": lambda p: _joined(name_of(r) for r in p.get("gateways") or ()) or "no gateway",
        "active": _ref("activeGateway"),
        "nat": lambda p: name_of((p.get("nat") or {}).get("publicIPAddress")) if _nat_is_on(p) else "",
        "connections": _children("networkConnections"),
    },
    "networkConnections": {
        "type": _member("connectionType"),
        "addresses": lambda p: _joined(a.get("ipAddress") for a in p.get("ipAddresses") or ()),
        "from": _member("sourceIPAddress"),
        "to": _member("destinationIPAddress"),
        "state": _member("connectionState"),
    },
    "networkInterfaces": {
        "mac": mac_of,
        "ip": _configurations("privateIPAddress"),
        "subnet": _configurations("subnet"),
        "server": _ref("server"),
        "status": STATUS,
    },
    "virtualMachines": {
        "power": lambda p: "Template" if p.get("isTemplate") else p.get("powerState"),
        "server": _ref("server"),
        "interfaces": lambda p: _joined(name_of(r) for r in p.get("networkInterfaces") or ()),
        "moving to": lambda p: _moving_to(p),
    },
    "checkpoints": _CAPTURE,
    "exports": _CAPTURE,
    "subnets": {
        "prefix": _member("addressPrefix"),
        "vsid": _vsid,
        "vlan": _member("vlanID"),
        "pools": _children("ipPools"),
    },
    "ipPools": {
        "start": _member("startIpAddress"),
        "end": _member("endIpAddress"),
        "allocated": _used("numberOfIPAddresses", "numberofIPAddressesAllocated"),
    },
    "ipConfigurations": {
        "address": _member("privateIPAddress"),
        "method": _member("privateIPAllocationMethod"),
        "subnet": _ref("subnet"),
    },
}


def _nat_is_on(p: Any) -> bool:
    return bool((p.get("nat") or {}).get("enabled"))


def _users(p: Any) -> str:
    """What a list filters: subnets by name, interfaces too."""
    interfaces = [ref["resourceRef"].split("/")[2] for ref in p.get("ipConfigurations") or ()]
    return _joined(part for part in (_users_of(p), *dict.fromkeys(interfaces)) if part)


def _default_of(p: Any, member: str) -> str:
    """What happens to what no rule matches, with how many rules there are before it."""
    direction = member.removesuffix("DefaultAction").lower()
    rules = [r for r in p.get("aclRules") or () if str(r["properties"].get("type")).lower() == direction]
    return f"{len(rules)}, then {p.get(member)}" if rules else str(p.get(member) or "")


def _end(p: Any, end: str) -> str:
    """`10.1.1.0/24 80-90`, without a range that is all ports."""
    prefix, ports = p.get(f"{end}AddressPrefix"), p.get(f"{end}PortRange")
    return " ".join(str(each) for each in (prefix, ports if ports not in ("*", "0-65535", "1-65535") else "") if each)


def _route(route: Any) -> str:
    p = route["properties"]
    return f"{p.get('addressPrefix')} -> {p.get('nextHopIpAddress') or p.get('nextHopType')}"


def _moving_to(p: Any) -> str:
    """Empty once it runs there, although the old host may still forward strays for a moment."""
    destination = name_of((p.get("move") or {}).get("destination"))
    return "" if destination.lower() == name_of(p.get("server")).lower() else destination


def _lowered_range(p: Any) -> dict[str, Any]:
    """The range's bounds whatever the case of their names (the specification has StartId and EndId)."""
    found = {key[:1].lower() + key[1:]: value for key, value in (p.get("virtualSubnetIdRange") or {}).items()}
    return {"startId": "-", "endId": "-"} | found


_WHERE_SET: dict[str, dict[str, Cell]] = {
    "macPools": {
        "strategy": lambda p: "" if p.get("strategy") == "central" else p.get("strategy"),
        "drain": lambda p: _yes(p.get("drain")),
        "only for": lambda p: _joined(w for w in (p.get("tenantId"), p.get("hostGroup")) if w),
        "excluded": lambda p: _joined(_excluded(each) for each in p.get("excluded") or ()),
    },
    "ipPools": {"drain": lambda p: _yes(p.get("drain"))},
    "servers": {
        "plan": _ref("addressPlan"),
        "mac range": lambda p: range_text(p.get("macRange")),
        "group": _member("hostGroup"),
    },
    "networkInterfaces": {
        "strategy": _member("strategy"),
        "reservation": _ref("reservation"),
        "access list": _configurations("accessControlList"),
    },
    "virtualNetworks": {
        "protocol": _member("networkVirtualizationProtocol"),
        "peers": lambda p: _joined(_peer(each["properties"]) for each in p.get("virtualNetworkPeerings") or ()),
    },
    "subnets": {"access list": _ref("accessControlList"), "routes": _ref("routeTable")},
    "ipConfigurations": {"access list": _ref("accessControlList")},
    "virtualMachines": {
        "networks": lambda p: _joined(name_of(n.get("subnet")) for n in p.get("networks") or ()),
        "checkpoints": lambda p: _joined(name_of(ref) for ref in p.get("checkpoints") or ()),
        "inactive": _member("inactive"),
        "under way": lambda p: _under_way(p),
        "failed": lambda p: _failed(p),
    },
}
"""Columns that stand at the end, and only where some resource has something in them."""


def _peer(p: Any) -> str:
    return f"{name_of(p.get('remoteVirtualNetwork'))} ({p.get('peeringState')})"


def _under_way(p: Any) -> str:
    """What is done to a machine just now."""
    creation, errand = p.get("creation") or {}, p.get("errand") or {}
    if creation:
        return ": ".join(str(creation[one]) for one in ("phase", "failure") if creation.get(one))
    return _errand(errand) if errand.get("phase") == "asked" else ""


def _failed(p: Any) -> str:
    """What its host did not do, when, and why."""
    errand = p.get("errand") or {}
    when = f" ({errand['ended'][:19]}Z)" if errand.get("ended") else ""
    return f"{_errand(errand)}{when}: {errand.get('failure', '')}" if errand.get("phase") == "failed" else ""


def _errand(errand: Any) -> str:
    return f"{errand.get('kind', '')} {errand.get('name', '')}".strip()


def _yes(value: Any) -> str:
    return "yes" if value else ""


def _excluded(found: Any) -> str:
    """first to last (reason)."""
    text = range_text(found)
    return f"{text} ({found['reason']})" if found.get("reason") else text


def range_text(found: Any) -> str:
    """`first to last`; empty for none."""
    if not found or not found.get("first"):
        return ""
    first, last = found["first"], found.get("last") or found["first"]
    return str(first) if first == last else f"{first} to {last}"


def _plan(p: Any) -> str:
    """The shape of its addresses: 00155D cc h iii."""
    digits = "".join(c for c in p.get("prefix", "00-15-5D") if c.isalnum()).upper()
    widths = (p.get("clusterDigits", 2), p.get("hostDigits", 1), p.get("interfaceDigits", 3))
    return digits + "".join(letter * width for letter, width in zip("chi", widths, strict=True))


def _captured(found: Any) -> str:
    """An interface with all that it had."""
    addresses = [each.get("privateIPAddress") for each in found.get("ipAddresses") or ()]
    had = [found.get("macAddress"), *addresses]
    return " ".join([name_of(found.get("networkInterface")), *(str(each) for each in had if each)])


def ranges_of(addresses: Sequence[str]) -> list[str]:
    """Addresses that follow each other as one range: ten in a row are `first to last (10)`."""
    found: list[list[str]] = []
    for text in sorted(addresses, key=_number):
        if found and _number(found[-1][-1]) + 1 == _number(text):
            found[-1].append(text)
        else:
            found.append([text])
    return [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]} ({len(run)})" for run in found]


def _number(address: str) -> int:
    try:
        return parse_mac(address)
    except InvalidMacAddress:
        return int(ipaddress.ip_address(address))


def table_of(kind: Kind, resources: Iterable[Any]) -> tuple[list[str], list[list[Any]]]:
    """Heads and rows; of the columns that are often empty only those with something in them."""
    found = list(resources)
    rows = [row(kind, resource) for resource in found]
    more = list(_WHERE_SET.get(kind.name, {}).items())
    filled = [(head, [cell(each.get("properties") or {}) for each in found]) for head, cell in more]
    for _, cells in (kept := [(head, cells) for head, cells in filled if any(cells)]):
        for line, cell in zip(rows, cells, strict=True):
            line.append(cell)
    return [*heads(kind), *(head for head, _ in kept)], rows


def heads(kind: Kind) -> list[str]:
    return ["name", *_COLUMNS.get(kind.name, {})]


def row(kind: Kind, resource: Any) -> list[Any]:
    """Cells of a resource, in the order of `heads`."""
    properties = resource.get("properties") or {}
    return [resource.get("resourceId"), *(cell(properties) for cell in _COLUMNS.get(kind.name, {}).values())]
