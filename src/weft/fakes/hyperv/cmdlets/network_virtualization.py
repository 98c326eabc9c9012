"""The NetWNV cmdlets: lookup records, customer routes, provider addresses and routes, the global setting."""

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

import msgspec

from weft.fakes.hyperv.cmdlets.spec import Run, Spec, listed
from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.network_records import (
    CustomerRoute,
    Lookup,
    NetworkRecords,
    ProviderAddress,
    ProviderRoute,
    Refused,
)
from weft.fakes.hyperv.powershell.conversion import as_text, cast, truth
from weft.fakes.hyperv.powershell.errors import NotUnderstood
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import EnumValue, Record

Held = Lookup | CustomerRoute | ProviderAddress | ProviderRoute
_RULES = {"TranslationMethodNat": 35, "TranslationMethodEncap": 36, "TranslationMethodNone": 37}
_TYPES = {"Static": 35, "Dynamic": 36, "GatewayWildcard": 37, "L2Only": 41}
_STATES = {"Invalid": 0, "Tentative": 1, "Duplicate": 2, "Deprecated": 3, "Preferred": 4}
_ENUMS = {"Rule": _RULES, "Type": _TYPES, "AddressState": _STATES}


class Kind(msgspec.Struct, frozen=True):
    """One kind of record: its cmdlets' noun, its properties by parameter, what Set may change."""

    noun: str
    make: type[Any]
    fields: dict[str, str]
    changeable: tuple[str, ...]
    held: Callable[[NetworkRecords], list[Any]]
    add: Callable[[NetworkRecords, Any], Any]
    required: tuple[str, ...]


_LOOKUP = Kind(
    "NetVirtualizationLookupRecord",
    Lookup,
    {
        "CustomerAddress": "customer_address",
        "VirtualSubnetID": "virtual_subnet_id",
        "MACAddress": "mac_address",
        "ProviderAddress": "provider_address",
        "Rule": "rule",
        "Type": "type",
        "VMName": "vm_name",
        "Context": "context",
        "CustomerID": "customer_id",
        "UseVmMACAddress": "use_vm_mac_address",
    },
    ("ProviderAddress", "Rule", "VMName", "Context", "CustomerID", "UseVmMACAddress"),
    lambda records: records.lookups,
    NetworkRecords.add_lookup,
    ("CustomerAddress", "VirtualSubnetID", "MACAddress", "ProviderAddress", "Rule"),
)
_CUSTOMER_ROUTE = Kind(
    "NetVirtualizationCustomerRoute",
    CustomerRoute,
    {
        "RoutingDomainID": "routing_domain_id",
        "VirtualSubnetID": "virtual_subnet_id",
        "DestinationPrefix": "destination_prefix",
        "NextHop": "next_hop",
        "Metric": "metric",
    },
    ("Metric",),
    lambda records: records.customer_routes,
    NetworkRecords.add_customer_route,
    ("RoutingDomainID", "VirtualSubnetID", "DestinationPrefix", "NextHop"),
)
_PROVIDER_ADDRESS = Kind(
    "NetVirtualizationProviderAddress",
    ProviderAddress,
    {
        "ProviderAddress": "provider_address",
        "InterfaceIndex": "interface_index",
        "PrefixLength": "prefix_length",
        "VlanID": "vlan_id",
        "MACAddress": "mac_address",
        "AddressState": "state",
    },
    ("PrefixLength", "VlanID", "MACAddress"),
    lambda records: records.provider_addresses,
    NetworkRecords.add_provider_address,
    ("ProviderAddress", "InterfaceIndex", "PrefixLength"),
)
_PROVIDER_ROUTE = Kind(
    "NetVirtualizationProviderRoute",
    ProviderRoute,
    {
        "InterfaceIndex": "interface_index",
        "DestinationPrefix": "destination_prefix",
        "NextHop": "next_hop",
        "Metric": "metric",
    },
    ("Metric",),
    lambda records: records.provider_routes,
    NetworkRecords.add_provider_route,
    ("InterfaceIndex", "DestinationPrefix", "NextHop"),
)
_KINDS = (_LOOKUP, _CUSTOMER_ROUTE, _PROVIDER_ADDRESS, _PROVIDER_ROUTE)


def _shown(kind: Kind, held: Held) -> Record:
    values: dict[str, Any] = {name: getattr(held, field) for name, field in kind.fields.items()}
    for name, numbers in _ENUMS.items():
        if name in values:
            values[name] = EnumValue(values[name], numbers[values[name]])
    if kind is _LOOKUP:
        values |= {"Unusable": False, "Unsynchronized": False}
    if kind is _PROVIDER_ADDRESS:
        values |= {"ManagedByCluster": False}
    return Record(values, kind.noun, held)


def _given(kind: Kind, call: Call) -> dict[str, Any]:
    """By field, made what the field holds."""
    found: dict[str, Any] = {}
    for name, field in kind.fields.items():
        if not call.has(name):
            continue
        value = call.get(name)
        if name in ("VirtualSubnetID", "Metric", "InterfaceIndex", "PrefixLength", "VlanID"):
            found[field] = cast("uint32", value)
        elif name == "UseVmMACAddress":
            found[field] = truth(value)
        else:
            found[field] = _spelt(name, as_text(value))
    return found


def _spelt(name: str, value: str) -> str:
    """An enumeration in its own spelling; a MAC address in twelve digits."""
    if name == "MACAddress":
        return value.replace("-", "").upper()
    known = _ENUMS.get(name, {})
    return next((each for each in known if each.lower() == value.lower()), value)


def _get(kind: Kind) -> Run:
    def run(host: FakeHost, call: Call) -> Iterator[Record]:
        wanted = _given(kind, call)
        found = [each for each in kind.held(host.records) if _fits(each, wanted)]
        if wanted and not found:
            raise HyperVError(
                f"No matching {_class(kind)} objects found by CIM query for enumerating instances.",
                id="CmdletizationQuery_NotFound",
                category="ObjectNotFound",
            )
        yield from (_shown(kind, each) for each in found)

    return run


def _class(kind: Kind) -> str:
    return f"MSFT_{kind.noun}SettingData"


def _fits(held: Held, wanted: dict[str, Any]) -> bool:
    return all(_equal(getattr(held, field), value) for field, value in wanted.items())


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower() or _same_address(one, other)
    return bool(one == other)


def _same_address(one: str, other: str) -> bool:
    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return False


def _new(kind: Kind) -> Run:
    def run(host: FakeHost, call: Call) -> Iterator[Record]:
        made = kind.make(**_given(kind, call))
        if isinstance(made, ProviderAddress | ProviderRoute):
            _check_interface(host, made.interface_index)
        if isinstance(made, ProviderAddress) and made.provider_address in host.in_use:
            made.state = "Duplicate"
        try:
            kind.add(host.records, made)
        except Refused as error:
            raise HyperVError(str(error), id="CimException") from None
        yield _shown(kind, made)

    return run


def _check_interface(host: FakeHost, index: int) -> None:
    if all(each.index != index for each in host.net_adapters):
        raise HyperVError("Element not found.", id="CimException", category="ObjectNotFound")


def _chosen(kind: Kind, host: FakeHost, call: Call, by: tuple[str, ...]) -> list[Any]:
    """Those piped in, else those that the key parameters name; records that are gone are an error."""
    held = kind.held(host.records)
    if call.has("InputObject"):
        found = [each.subject for each in listed(call.get("InputObject"))]
        if any(not any(each is one for one in held) for each in found):
            raise HyperVError("The requested object could not be found.", id="CimException", category="ObjectNotFound")
        return found
    wanted = {field: value for field, value in _given(kind, call).items() if field in by}
    found = [each for each in held if _fits(each, wanted)]
    if wanted and not found:
        raise HyperVError(
            f"No matching {_class(kind)} objects found by CIM query.",
            id="CmdletizationQuery_NotFound",
            category="ObjectNotFound",
        )
    return found


def _set(kind: Kind) -> Run:
    keys = tuple(field for name, field in kind.fields.items() if name not in kind.changeable)

    def run(host: FakeHost, call: Call) -> Iterator[Record]:
        changes = {field: value for field, value in _given(kind, call).items() if field not in keys}
        for each in _chosen(kind, host, call, keys):
            for field, value in changes.items():
                setattr(each, field, value)
            if call.get("PassThru", False):
                yield _shown(kind, each)

    return run


def _remove(kind: Kind) -> Run:
    def run(host: FakeHost, call: Call) -> Iterator[Record]:
        held = kind.held(host.records)
        for each in _chosen(kind, host, call, tuple(kind.fields.values())):
            held[:] = [one for one in held if one is not each]
            if call.get("PassThru", False):
                yield _shown(kind, each)

    return run


def _specs(kind: Kind) -> Iterator[Spec]:
    names = " ".join(name for name in kind.fields if name != "AddressState")
    needed = " ".join(f"{name}!" if name in kind.required else name for name in names.split())
    yield Spec(f"Get-{kind.noun}", _get(kind), " ".join(kind.fields))
    yield Spec(f"New-{kind.noun}", _new(kind), needed)
    without_type = names.replace(" Type", "")
    yield Spec(f"Set-{kind.noun}", _set(kind), f"<InputObject {without_type} PassThru")
    yield Spec(f"Remove-{kind.noun}", _remove(kind), f"<InputObject {names} PassThru")


def _get_global(host: FakeHost, call: Call) -> Iterator[Record]:
    yield Record({"UseExternalRouter": host.records.use_external_router}, "NetVirtualizationGlobal")


def _set_global(host: FakeHost, call: Call) -> Iterator[Record]:
    if not call.has("UseExternalRouter"):
        raise NotUnderstood("Set-NetVirtualizationGlobal that sets nothing")
    host.records.use_external_router = truth(call.get("UseExternalRouter"))
    yield from ()


NETWORK_VIRTUALIZATION = (
    *(spec for kind in _KINDS for spec in _specs(kind)),
    Spec("Get-NetVirtualizationGlobal", _get_global),
    Spec("Set-NetVirtualizationGlobal", _set_global, "UseExternalRouter"),
)
