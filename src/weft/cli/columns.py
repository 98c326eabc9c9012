"""Which members of a resource a table shows, kind by kind. Pure."""

from collections.abc import Callable, Iterable
from typing import Any

from weft.cli import texts
from weft.cli.names import natural
from weft.cli.texts import mac_of, name_of, range_text, ranges_of
from weft.model.kinds import Kind

Cell = Callable[[Any], Any]


def _joined(values: Any) -> str:
    return ", ".join(str(value) for value in values or ())


def _provider_addresses(p: Any) -> str:
    """The host's own, those of virtual subnets on it with their names, and what leaves once all know its successor; or
    why it is right that there is none."""
    if why := p.get("noProviderAddress"):
        return f"none: {why}"
    subnets = (
        f"{one['providerAddress']} ({name_of(one['virtualSubnet'])})" for one in p.get("virtualSubnetAddresses") or ()
    )
    change = p.get("providerAddressChange") or {}
    leaving = (f"{one} leaves" for one in change.get("leaving") or ())
    return _joined((*(p.get("providerAddresses") or ()), *subnets, *leaving))


def _configurations(member: str) -> Cell:
    def cell(p: Any) -> str:
        found = [c["properties"].get(member) for c in p.get("ipConfigurations") or ()]
        return _joined(name_of(v) if isinstance(v, dict) else v for v in found if v)

    return cell


def _interface_addresses(p: Any) -> str:
    learnt = (f"{one['ipAddress']} (learnt)" for one in p.get("learnedIPAddresses") or ())
    return _joined(one for one in (_configurations("privateIPAddress")(p), *learnt) if one)


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


def _public_user(p: Any) -> str:
    """The interface, or the virtual gateway, that a public address is for."""
    parts = str((p.get("ipConfiguration") or {}).get("resourceRef", "")).strip("/").split("/")
    return parts[1] if len(parts) > 1 else ""


def _users_of(p: Any) -> str:
    """The subnets that name a list or a table."""
    return _joined(name_of(ref) for ref in p.get("subnets") or ())


def _vsid(p: Any) -> Any:
    return p.get("virtualSubnetId") or p.get("VirtualSubnetId")


def _connections(p: Any) -> str:
    """Each with its type and whether it is up."""
    named = ((one["resourceId"], one["properties"]) for one in p.get("networkConnections") or ())
    return _joined(f"{name} ({own.get('connectionType')}, {own.get('connectionState')})" for name, own in named)


STATUS: Cell = _member("configurationState", "status")

_CAPTURE: dict[str, Cell] = {
    "machine": _ref("virtualMachine"),
    "holds": lambda p: "; ".join(texts.captured(each) for each in p.get("networkInterfaces") or ()),
    "power": _member("powerState"),
    "created": _member("created"),
}

_COLUMNS: dict[str, dict[str, Cell]] = {
    "virtualNetworkManager": {
        "protocol": _member("networkVirtualizationProtocol"),
        "router": _member("distributedRouterState"),
        "vsids": lambda p: "{startId} to {endId}".format(**texts.vsid_range(p)),
    },
    "macPools": {
        "start": _member("startMacAddress"),
        "end": _member("endMacAddress"),
        "allocated": _used("numberOfMacAddresses", "numberofMacAddressesAllocated"),
    },
    "logicalNetworks": {"virtualized": _member("networkVirtualizationEnabled"), "subnets": _subnets},
    "addressPlans": {
        "addresses": texts.plan,
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
        "provider addresses": _provider_addresses,
        "interfaces": lambda p: _joined(
            sorted((name_of(r) for r in p.get("virtualNetworkInterfaces") or ()), key=natural)
        ),
        "status": STATUS,
    },
    "accessControlLists": {
        "rules": lambda p: len(p.get("aclRules") or ()),
        "inbound": lambda p: texts.default_of(p, "inboundDefaultAction"),
        "outbound": lambda p: texts.default_of(p, "outboundDefaultAction"),
        "filters": lambda p: _users(p),
        "packets": texts.decided,
        "status": STATUS,
    },
    "aclRules": {
        "priority": _member("priority"),
        "type": _member("type"),
        "action": _member("action"),
        "protocol": _member("protocol"),
        "from": lambda p: texts.end(p, "source"),
        "to": lambda p: texts.end(p, "destination"),
        "logging": _member("logging"),
        "packets": _member("hits", "packets"),
        "bytes": _member("hits", "bytes"),
        "last": _member("hits", "last"),
    },
    "routeTables": {
        "routes": lambda p: _joined(texts.route(each) for each in p.get("routes") or ()),
        "subnets": _users_of,
    },
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
        "used by": _public_user,
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
        "connections": _connections,
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
        "ip": _interface_addresses,
        "subnet": _configurations("subnet"),
        "server": _ref("server"),
        "status": STATUS,
    },
    "virtualMachines": {
        "power": lambda p: "Template" if p.get("isTemplate") else p.get("powerState"),
        "server": _ref("server"),
        "interfaces": lambda p: _joined(name_of(r) for r in p.get("networkInterfaces") or ()),
        "moving to": texts.moving_to,
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


_WHERE_SET: dict[str, dict[str, Cell]] = {
    "macPools": {
        "strategy": lambda p: "" if p.get("strategy") == "central" else p.get("strategy"),
        "drain": lambda p: _yes(p.get("drain")),
        "only for": lambda p: _joined(w for w in (p.get("tenantId"), p.get("hostGroup")) if w),
        "excluded": lambda p: _joined(texts.excluded(each) for each in p.get("excluded") or ()),
    },
    "ipPools": {"drain": lambda p: _yes(p.get("drain"))},
    "servers": {
        "adapters": texts.adapters,
        "offloads": texts.offloads,
        "encryption": texts.encryption,
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
        "peers": lambda p: _joined(texts.peer(each["properties"]) for each in p.get("virtualNetworkPeerings") or ()),
    },
    "subnets": {"access list": _ref("accessControlList"), "routes": _ref("routeTable")},
    "ipConfigurations": {"access list": _ref("accessControlList")},
    "virtualMachines": {
        "networks": lambda p: _joined(name_of(n.get("subnet")) for n in p.get("networks") or ()),
        "checkpoints": lambda p: _joined(name_of(ref) for ref in p.get("checkpoints") or ()),
        "inactive": _member("inactive"),
        "under way": texts.under_way,
        "failed": texts.failed,
    },
}
"""Columns that stand at the end, and only where some resource has something in them."""


def _yes(value: Any) -> str:
    return "yes" if value else ""


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
