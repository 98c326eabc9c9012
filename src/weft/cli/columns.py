"""Which members of a resource a table shows, kind by kind. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from weft.model.errors import InvalidMacAddress
from weft.model.kinds import Kind
from weft.model.values import mac_dashes, parse_mac

Cell = Callable[[Any], Any]


def name_of(ref: Any) -> str:
    """The last part of a reference, with its network where it is a subnet."""
    text = (ref or {}).get("resourceRef", "") if isinstance(ref, dict) else str(ref or "")
    parts = text.strip("/").split("/")
    if len(parts) == 4 and parts[2].lower() == "subnets":
        return f"{parts[1]}/{parts[3]}"
    return parts[-1]


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


def _subnets(p: Any) -> str:
    found = []
    for subnet in p.get("subnets") or ():
        prefix = subnet["properties"].get("addressPrefix", "")
        found.append(f"{subnet['resourceId']} {prefix}")
    return _joined(found)


def _ref(name: str) -> Cell:
    return lambda p: name_of(p.get(name))


def _vsid(p: Any) -> Any:
    return p.get("virtualSubnetId") or p.get("VirtualSubnetId")


STATUS: Cell = _member("configurationState", "status")

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
    "servers": {
        "provider addresses": lambda p: _joined(p.get("providerAddresses")),
        "interfaces": lambda p: _joined(name_of(r) for r in p.get("virtualNetworkInterfaces") or ()),
        "status": STATUS,
    },
    "virtualNetworks": {
        "address space": lambda p: _joined((p.get("addressSpace") or {}).get("addressPrefixes")),
        "subnets": _subnets,
        "logical network": _ref("logicalNetwork"),
        "status": STATUS,
    },
    "networkInterfaces": {
        "mac": mac_of,
        "ip": _configurations("privateIPAddress"),
        "subnet": _configurations("subnet"),
        "server": _ref("server"),
        "status": STATUS,
    },
    "virtualMachines": {
        "power": _member("powerState"),
        "server": _ref("server"),
        "interfaces": lambda p: _joined(name_of(r) for r in p.get("networkInterfaces") or ()),
        "moving to": lambda p: _moving_to(p),
    },
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


def _moving_to(p: Any) -> str:
    """Empty once it runs there, although the old host may still forward strays for a moment."""
    destination = name_of((p.get("move") or {}).get("destination"))
    return "" if destination.lower() == name_of(p.get("server")).lower() else destination


def _lowered_range(p: Any) -> dict[str, Any]:
    """The range's bounds whatever the case of their names (the specification has StartId and EndId)."""
    found = {key[:1].lower() + key[1:]: value for key, value in (p.get("virtualSubnetIdRange") or {}).items()}
    return {"startId": "-", "endId": "-"} | found


def heads(kind: Kind) -> list[str]:
    return ["name", *_COLUMNS.get(kind.name, {})]


def row(kind: Kind, resource: Any) -> list[Any]:
    """Cells of a resource, in the order of `heads`."""
    properties = resource.get("properties") or {}
    return [resource.get("resourceId"), *(cell(properties) for cell in _COLUMNS.get(kind.name, {}).values())]
