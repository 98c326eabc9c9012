"""What a host has of Hyper-V Network Virtualization, as the script of network_scripts.FOUND tells it. Pure.

Read into the same values as what it should have, so that the two can be compared: Windows writes MAC addresses,
addresses and GUIDs in more than one way, and enumerations as words or as their numbers (MSFT_NetVirtualization...
classes of the NetWNV provider).
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec

from weft.core.hyperv.network_virtualization import STATIC, CustomerRoute, LookupRecord, ProviderAddress, ProviderRoute
from weft.model.values import InstanceId, mac_digits, parse_mac

_RULES = {"35": "TranslationMethodNat", "36": "TranslationMethodEncap", "37": "TranslationMethodNone"}
_TYPES = {"35": "Static", "36": "Dynamic", "37": "GatewayWildcard", "41": "L2Only"}

NOBODY = InstanceId("00000000-0000-0000-0000-000000000000")
"""Profile id of a port that no controller manages."""


class FoundAddress(msgspec.Struct, frozen=True):
    """A provider address and the physical adapter that has it."""

    address: ProviderAddress
    interface_index: int
    managed_by_cluster: bool = False
    duplicate: bool = False
    """Windows found another machine on the provider network that has it, and does not use it."""


class FoundRoute(msgspec.Struct, frozen=True):
    route: ProviderRoute
    interface_index: int


class FoundAdapter(msgspec.Struct, frozen=True):
    """A machine's network adapter and what its port on the virtual switch says."""

    machine_id: str
    machine: str
    """The machine's name."""
    id: str
    mac_address: str
    virtual_subnet_id: int
    instance_id: InstanceId = InstanceId("")
    """Of its port profile; empty if it has none."""


class Found(msgspec.Struct, frozen=True):
    """All that the host says."""

    interface_index: int | None = None
    """Of the physical adapter that carries tunnels; None if there is none of that name."""
    unbound: bool = False
    """The network virtualization filter is there and not bound to that adapter (Windows Server 2012)."""
    lookup_records: tuple[LookupRecord, ...] = ()
    customer_routes: tuple[CustomerRoute, ...] = ()
    provider_addresses: tuple[FoundAddress, ...] = ()
    provider_routes: tuple[FoundRoute, ...] = ()
    adapters: tuple[FoundAdapter, ...] = ()
    """In the order of each machine."""


def read_found(document: Mapping[str, Any]) -> Found:
    """The values of what the script wrote. Raises KeyError or ValueError where it is not that script's."""
    index = document["InterfaceIndex"]
    return Found(
        interface_index=int(index) if index is not None else None,
        unbound=bool(document["Unbound"]),
        lookup_records=tuple(map(_lookup, _list(document["LookupRecords"]))),
        customer_routes=tuple(map(_customer_route, _list(document["CustomerRoutes"]))),
        provider_addresses=tuple(map(_address, _list(document["ProviderAddresses"]))),
        provider_routes=tuple(map(_provider_route, _list(document["ProviderRoutes"]))),
        adapters=tuple(map(_adapter, _list(document["Adapters"]))),
    )


def _list(value: Any) -> Sequence[Mapping[str, Any]]:
    """PowerShell writes a list of one as that one, and an empty one as null, if it is not careful."""
    if value is None:
        return []
    return [value] if isinstance(value, Mapping) else value


def _lookup(one: Mapping[str, Any]) -> LookupRecord:
    return LookupRecord(
        customer_address=str(ip_address(one["CustomerAddress"])),
        virtual_subnet_id=int(one["VirtualSubnetId"]),
        mac_address=mac_digits(parse_mac(one["MacAddress"])),
        provider_address=str(ip_address(one["ProviderAddress"])),
        rule=_RULES.get(str(one["Rule"]), str(one["Rule"])),
        # Windows Server 2012 has no types yet: what somebody made is static
        type=_TYPES.get(str(one["Type"]), str(one["Type"])) or STATIC,
        context=one["Context"] or "",
        customer_id=_guid(one["CustomerId"]),
    )


def _guid(text: str | None) -> str:
    """In braces, lower case; empty where Windows has none or zeros."""
    bare = (text or "").strip("{}").lower()
    return "{" + bare + "}" if bare and bare != NOBODY else ""


def _customer_route(one: Mapping[str, Any]) -> CustomerRoute:
    return CustomerRoute(
        routing_domain_id=_guid(one["RoutingDomainId"]),
        virtual_subnet_id=int(one["VirtualSubnetId"]),
        destination_prefix=str(ip_network(one["DestinationPrefix"], strict=False)),
        next_hop=str(ip_address(one["NextHop"])),
        metric=int(one["Metric"] or 0),
    )


def _address(one: Mapping[str, Any]) -> FoundAddress:
    address = str(ip_address(one["ProviderAddress"]))
    return FoundAddress(
        ProviderAddress(address, int(one["PrefixLength"]), int(one["VlanId"] or 0)),
        int(one["InterfaceIndex"]),
        bool(one["ManagedByCluster"]),
        one["AddressState"] in ("Duplicate", "2"),
    )


def _provider_route(one: Mapping[str, Any]) -> FoundRoute:
    prefix = str(ip_network(one["DestinationPrefix"], strict=False))
    route = ProviderRoute(prefix, str(ip_address(one["NextHop"])), int(one["Metric"] or 0))
    return FoundRoute(route, int(one["InterfaceIndex"]))


def _adapter(one: Mapping[str, Any]) -> FoundAdapter:
    profile = InstanceId((one["ProfileId"] or "").strip("{}").lower())
    return FoundAdapter(
        machine_id=str(one["MachineId"]).lower(),
        machine=one["Machine"],
        id=one["Id"],
        mac_address=mac_digits(parse_mac(one["MacAddress"])) if one["MacAddress"] else mac_digits(0),
        virtual_subnet_id=int(one["VirtualSubnetId"] or 0),
        instance_id=profile if profile != NOBODY else InstanceId(""),
    )
