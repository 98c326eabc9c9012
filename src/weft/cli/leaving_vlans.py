"""The way from VLANs to virtual networks, VLAN by VLAN, with every MAC and IP address kept: which files to apply. Pure.

Called by weft.cli.leaving_command with what the controller has. The first file makes the virtual networks, each subnet
with the prefix of its VLAN's; nothing is in them yet and nothing changes. Each further file re-binds the interfaces of
one VLAN at once, and has its twin that puts them back. What cannot go without another address is a fault.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

Written = dict[str, Any]

_NOT_SENT = ("configurationState", "provisioningState")


class Vlan(msgspec.Struct, frozen=True):
    """One VLAN of a logical network: its subnets, one of each family, and the interfaces in them."""

    network: str
    number: int
    subnets: tuple[Written, ...]
    interfaces: tuple[Written, ...]

    @property
    def name(self) -> str:
        return f"{self.network}-{self.subnets[0]['resourceId']}"


class Leaving(msgspec.Struct, frozen=True):
    """`networks` first; then any of `steps`, in any order: (name, files' documents forth, and back)."""

    networks: tuple[Written, ...]
    steps: tuple[tuple[str, tuple[Written, ...], tuple[Written, ...]], ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def plan(networks: Iterable[Written], interfaces: Iterable[Written], provider: str, together: bool) -> Leaving:
    """`networks`: logical ones, as answered; of those with virtualization nothing is taken. `provider`: resourceRef of
    the one that shall carry the virtual networks. `together`: one virtual network for each logical one."""
    faults: list[str] = []
    notes: list[str] = []
    vlans = list(_vlans(networks, list(interfaces), faults.append))
    made: dict[str, list[Vlan]] = defaultdict(list)
    for vlan in vlans:
        made[vlan.network if together else vlan.name].append(vlan)
        faults += _stuck(vlan)
        notes += _remarks(vlan)
    for name, parts in made.items():
        faults += _overlaps(name, parts)
    found = tuple(_network(name, parts, provider) for name, parts in made.items())
    steps = tuple(
        (vlan.name, tuple(_forth(vlan, name)), tuple(map(_document, vlan.interfaces)))
        for name, parts in made.items()
        for vlan in parts
        if vlan.interfaces
    )
    return Leaving(found, steps, tuple(faults), tuple(notes))


def _vlans(networks: Iterable[Written], interfaces: list[Written], fault: Callable[[str], None]) -> Iterable[Vlan]:
    users: dict[str, dict[str, Written]] = defaultdict(dict)
    for interface in interfaces:
        for ref in _subnets_of(interface):
            users[ref][interface["resourceId"].lower()] = interface
    for network in networks:
        if _truth(network["properties"].get("networkVirtualizationEnabled")):
            fault(f"/logicalNetworks/{network['resourceId']} is a provider network: no interface is on its VLANs")
            continue
        for number, subnets in sorted(_by_vlan(network).items()):
            inside: dict[str, Written] = {}
            for subnet in subnets:
                inside |= users[_ref(network, subnet).lower()]
            vlan = Vlan(network["resourceId"], number, tuple(subnets), tuple(inside.values()))
            why = _why_not(vlan)
            if why:
                fault(f"/logicalNetworks/{network['resourceId']}: VLAN {number} {why}")
            elif any(_has_prefix(one) for one in subnets):
                yield msgspec.structs.replace(vlan, subnets=tuple(filter(_has_prefix, subnets)))


def _by_vlan(network: Written) -> dict[int, list[Written]]:
    found: dict[int, list[Written]] = defaultdict(list)
    for subnet in network["properties"].get("subnets") or ():
        found[int(subnet["properties"].get("vlanID") or 0)].append(subnet)
    return found


def _why_not(vlan: Vlan) -> str:
    families = [_prefix(one).version for one in vlan.subnets if _has_prefix(one)]
    if len(families) != len(set(families)):
        return "has two subnets of one family; a virtual subnet has one prefix of each: make two VLANs of it"
    if vlan.interfaces and not families:
        return "has interfaces and no addressPrefix: give its subnet the prefix that they are in"
    return ""


def _has_prefix(subnet: Written) -> bool:
    return bool(subnet["properties"].get("addressPrefix"))


def _truth(value: Any) -> bool:
    return str(value).lower() == "true"


def _ref(network: Written, subnet: Written) -> str:
    return f"/logicalNetworks/{network['resourceId']}/subnets/{subnet['resourceId']}"


def _prefix(subnet: Written) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(subnet["properties"]["addressPrefix"], strict=False)


def _configurations(interface: Written) -> list[Written]:
    return interface["properties"].get("ipConfigurations") or []


def _subnets_of(interface: Written) -> set[str]:
    subnets = (one["properties"].get("subnet") or {} for one in _configurations(interface))
    return {str(one.get("resourceRef") or "").lower() for one in subnets}


def _stuck(vlan: Vlan) -> Iterable[str]:
    """Interfaces that could not keep what they have."""
    routers = {str(prefix[1]) for prefix in map(_prefix, vlan.subnets)}
    for interface in vlan.interfaces:
        name = f"/networkInterfaces/{interface['resourceId']}"
        for one in _configurations(interface):
            address = one["properties"].get("privateIPAddress")
            if not address:
                yield f"{name} is Unmanaged: nobody knows its address; give it the one that its guest has (Static)"
            elif address in routers:
                yield f"{name} has {address}, which is the router's in a virtual subnet: it needs another address first"


def _remarks(vlan: Vlan) -> Iterable[str]:
    """What guests must be told."""
    for subnet in vlan.subnets:
        router = str(_prefix(subnet)[1])
        own = [one for one in subnet["properties"].get("defaultGateways") or () if one != router]
        if own:
            yield (
                f"{vlan.name}: guests have {own[0]} as their default gateway; in a virtual subnet it is {router}. "
                f"Change it in the guests, or in what tells them, with this step"
            )


def _overlaps(name: str, vlans: list[Vlan]) -> Iterable[str]:
    prefixes = [(_prefix(subnet), vlan) for vlan in vlans for subnet in vlan.subnets]
    for place, (prefix, vlan) in enumerate(prefixes):
        for other, there in prefixes[:place]:
            if prefix.version == other.version and prefix.overlaps(other):
                words = f"{prefix} of {vlan.name} overlaps {other} of {there.name}; leave out --together"
                yield f"virtual network {name}: {words}"


def _network(name: str, vlans: list[Vlan], provider: str) -> Written:
    subnets = [subnet for vlan in vlans for subnet in _virtual(name, vlan)]
    prefixes = [subnet["properties"]["addressPrefix"] for subnet in subnets]
    properties = {
        "logicalNetwork": {"resourceRef": provider},
        "addressSpace": {"addressPrefixes": prefixes},
        "subnets": subnets,
    }
    return {"kind": "virtualNetworks", "resourceId": name, "properties": properties}


def _virtual(name: str, vlan: Vlan) -> Iterable[Written]:
    for subnet in vlan.subnets:
        properties: Written = {"addressPrefix": str(_prefix(subnet))}
        if len(vlan.subnets) == 2:
            other = next(one for one in vlan.subnets if one is not subnet)
            ref = f"/virtualNetworks/{name}/subnets/{other['resourceId']}"
            properties["dualStackSubnet"] = {"resourceRef": ref}
        yield {"resourceId": subnet["resourceId"], "properties": properties}


def _document(interface: Written) -> Written:
    """As it is, without what only Weft writes; every address it has is asked for by name, so that it is the same."""
    properties = {name: value for name, value in interface["properties"].items() if name not in _NOT_SENT}
    properties["ipConfigurations"] = [_fixed(one) for one in _configurations(interface)]
    return {"kind": "networkInterfaces", "resourceId": interface["resourceId"], "properties": properties}


def _fixed(configuration: Written) -> Written:
    properties = {name: value for name, value in configuration["properties"].items() if name not in _NOT_SENT}
    if properties.get("privateIPAddress"):
        properties["privateIPAllocationMethod"] = "Static"
    return {"resourceId": configuration["resourceId"], "properties": properties}


def _forth(vlan: Vlan, network: str) -> Iterable[Written]:
    place = {
        f"/logicalnetworks/{vlan.network}/subnets/{one['resourceId']}".lower(): one["resourceId"]
        for one in vlan.subnets
    }
    for interface in vlan.interfaces:
        made = _document(interface)
        for one in made["properties"]["ipConfigurations"]:
            old = str((one["properties"].get("subnet") or {}).get("resourceRef") or "").lower()
            if old in place:
                one["properties"]["subnet"] = {"resourceRef": f"/virtualNetworks/{network}/subnets/{place[old]}"}
        yield made
