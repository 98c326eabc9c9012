"""The IP addresses of an interface (MS-NCNBI 3.1.5.11.2): Dynamic, Static or Unmanaged, all in one L2 domain.

Called by core.decide.network_interfaces.
"""

import sys
from collections.abc import Container, Iterable

from weft.core.decide.attaching import list_named
from weft.core.decide.draft import Draft
from weft.core.decide.granting import Origin
from weft.core.decide.holding import about, grant_ip, hold_ip, release
from weft.core.decide.parsing import ip_of
from weft.core.decide.public_addresses import attach_to, refuse_doubles
from weft.core.index import lower
from weft.core.pools import Segment, why_in
from weft.core.state import State
from weft.core.words import number_text, see_subnets
from weft.model.errors import AddressInUse, Invalid, InvalidReference
from weft.model.leases import Holder
from weft.model.resources import Ref, Resource, common_ref
from weft.model.values import pack_ip
from weft.model.workload import IpConfigurationProperties, NetworkInterfaceProperties

Configuration = Resource[IpConfigurationProperties]
Interface = Resource[NetworkInterfaceProperties]
Place = tuple[str, int]
"""Scope and address."""

_METHODS = {"dynamic": "Dynamic", "static": "Static", "unmanaged": "Unmanaged"}


class _Wanted:
    """One ipConfiguration on its way: its subnet, how it gets its address, and the address once it has one."""

    __slots__ = ("access_control_list", "address", "configuration", "method", "public", "segment")

    def __init__(
        self, configuration: Configuration, segment: Segment, method: str, access_control_list: Ref | None
    ) -> None:
        self.configuration = configuration
        self.segment = segment
        self.method = method
        self.access_control_list = access_control_list
        self.address: int | None = None
        self.public: Ref | None = None


def settle_addresses(
    draft: Draft, sent: Interface, old: Interface | None, origin: Origin, beside: Container[str]
) -> tuple[tuple[Configuration, ...], Holder]:
    """The ipConfigurations as they will be stored, and the interface as holder of what is granted to it; `beside` as in
    hold_ip. Raises a Refusal."""
    p, ref = sent.properties, f"/networkInterfaces/{sent.resource_id}"
    wanted = [_wanted(draft.state, ref, configuration) for configuration in p.ip_configurations]
    granted = Holder("networkInterface", ref, _domain(p, wanted), True)
    fixed = _static_places(wanted)
    refuse_doubles([one.public for one in wanted if one.public is not None])
    before: dict[Place, str] = {}
    if old is not None:
        before = addresses_of(draft.state, old)
        _keep(wanted, before, fixed)
        for scope, address in before:
            if (scope, address) not in fixed:
                release(draft, scope, address, ref, f"no ipConfiguration of {ref} has it any more")
    for one in wanted:
        _refuse_unsaid(one)
        if one.address is None:
            if one.method == "Dynamic":
                one.address = grant_ip(draft, one.segment, granted, origin)
        elif (one.segment.scope, one.address) not in before:
            hold_ip(draft, one.segment.scope, one.address, Holder(granted.kind, ref, granted.domain), beside)
    return tuple(_settled(one) for one in wanted), granted


def addresses_of(state: State, interface: Interface) -> dict[Place, str]:
    """The addresses that a stored interface holds, each with the id of its ipConfiguration in lower case."""
    return places_in(state, interface.properties.ip_configurations)


def places_in(state: State, configurations: Iterable[Configuration]) -> dict[Place, str]:
    """The same of stored ipConfigurations."""
    found: dict[Place, str] = {}
    for configuration in configurations:
        p = configuration.properties
        segment = state.segment(p.subnet.resource_ref) if p.subnet is not None else None
        if p.private_ip_address and segment is not None:
            found[segment.scope, stored_address(p.private_ip_address)] = configuration.resource_id.lower()
    return found


def stored_address(text: str) -> int:
    """An address in its canonical text, as it is in the ledger; five times faster than reading what a client sends."""
    return int.from_bytes(pack_ip(text), "big")


def _wanted(state: State, ref: str, configuration: Configuration) -> _Wanted:
    p = configuration.properties
    name = configuration.resource_id
    if p.subnet is None or not p.subnet.resource_ref:
        raise Invalid(
            f"ipConfiguration {name} names no subnet: write resourceRef: /virtualNetworks/NAME/subnets/NAME.",
            code="SubnetIsRequired",
            target="subnet",
        )
    segment = state.segment(p.subnet.resource_ref)
    if segment is None:
        subnet = p.subnet.resource_ref
        raise InvalidReference(
            f"ipConfiguration {name}: there is no subnet {subnet}{see_subnets(state, subnet)}.", target="subnet"
        )
    method = _METHODS.get(p.private_ip_allocation_method.lower() or "dynamic")
    if method is None:
        raise Invalid(
            f"privateIPAllocationMethod is Static, Dynamic or Unmanaged, not '{p.private_ip_allocation_method}'.",
            target="privateIPAllocationMethod",
        )
    if method == "Unmanaged" and (segment.virtual or segment.virtualized):
        raise Invalid(
            f"Addresses of {segment.ref} are managed: Unmanaged is for logical networks without virtualization.",
            code="UnmanagedAllocationMethodNotSupported",
            target="privateIPAllocationMethod",
        )
    if method != "Unmanaged" and not segment.version:
        raise Invalid(
            f"{segment.ref} has no addressPrefix, so its addresses can only be Unmanaged.",
            code="PrivateIpAllocationMethodMustBeUnmanaged",
            target="privateIPAllocationMethod",
        )
    wanted = _Wanted(configuration, segment, method, list_named(state, p.access_control_list, segment))
    if p.public_ip_address is not None and lower(p.public_ip_address):
        wanted.public = attach_to(state, segment, p.public_ip_address, f"{ref}/ipConfigurations/{name}")
    if method == "Static":
        wanted.address = _static(p, segment, name)
        check_reserved(segment, wanted.address, ref)
    return wanted


def _static(p: IpConfigurationProperties, segment: Segment, name: str) -> int:
    if not p.private_ip_address:
        raise Invalid(
            f"ipConfiguration {name} is Static, so privateIPAddress is required.",
            code="PrivateIPAddressMissing",
            target="privateIPAddress",
        )
    address = ip_of(p.private_ip_address, "privateIPAddress", "InvalidPrivateIPAddressFormat")
    number = int(address)
    if address.version != segment.version or not segment.first <= number <= segment.last:
        raise Invalid(
            f"{address} does not lie in {segment.ref}, which is "
            f"{number_text(segment.version, segment.first)}/{segment.prefix_length}: choose one of its addresses, or "
            "another subnet.",
            code="PrivateIPAddressNotInSubnet",
            target="privateIPAddress",
        )
    return number


def _refuse_unsaid(wanted: _Wanted) -> None:
    """An address that another is granted for, where nothing says which of the two is meant; one that is kept is fine.
    With Dynamic written it is what an answer said, and read only."""
    p = wanted.configuration.properties
    if p.private_ip_allocation_method or not p.private_ip_address:
        return
    asked = ip_of(p.private_ip_address, "privateIPAddress", "InvalidPrivateIPAddressFormat")
    if int(asked) != wanted.address:
        raise Invalid(
            f"ipConfiguration {wanted.configuration.resource_id} names {asked} and no privateIPAllocationMethod: write "
            "Static to have that address, or Dynamic to be granted one.",
            target="privateIPAllocationMethod",
        )


def check_reserved(segment: Segment, address: int, ref: str) -> None:
    """Raises Invalid (PrivateIPAddressInReservedRange) for an address that no interface has."""
    why = why_in(segment.reserved, address)
    if why:
        refusal = Invalid(
            f"{number_text(segment.version, address)} is {why} of {segment.ref}: choose another.",
            code="PrivateIPAddressInReservedRange",
            target="privateIPAddress",
        )
        raise about(refusal, segment.scope, address, ref)


def _domain(p: NetworkInterfaceProperties, wanted: list[_Wanted]) -> str:
    """The one L2 domain that all ipConfigurations share; empty without any."""
    if not wanted:
        return ""
    first = wanted[0].segment
    for one in wanted[1:]:
        if one.segment.domain != first.domain:
            raise Invalid(
                f"One interface is in one subnet or its dual-stack pair: {one.segment.ref} and {first.ref} are not. "
                "Create an interface for each.",
                code="InvalidSubnet",
                target="ipConfigurations",
            )
    if first.virtualized and not first.virtual:
        raise Invalid(
            f"{first.ref} is of a provider network, which carries the hosts' tunnels: an interface there could "
            "speak to the hosts as one of them. Choose a logical network without networkVirtualizationEnabled.",
            code="InvalidSubnet",
            target="subnet",
        )
    if p.is_host_virtual_network_interface and first.virtual:
        raise Invalid(
            "A host's own virtual interface connects to logical networks only.",
            code="HostVirtualNetworkInterfaceCannotConnectToVirtualNetwork",
            target="subnet",
        )
    return first.domain


def _static_places(wanted: list[_Wanted]) -> set[Place]:
    places: set[Place] = set()
    for one in wanted:
        if one.address is not None:
            place = one.segment.scope, one.address
            if place in places:
                raise AddressInUse(
                    f"Two ipConfigurations ask for {number_text(one.segment.version, one.address)}.",
                    code="PrivateIPAddressInUse",
                    target="privateIPAddress",
                )
            places.add(place)
    return places


def _keep(wanted: list[_Wanted], before: dict[Place, str], fixed: set[Place]) -> None:
    """A Dynamic ipConfiguration keeps the address it has while it stays in its subnet."""
    held: dict[str, Place] = {name: place for place, name in before.items()}
    for one in wanted:
        place = held.get(one.configuration.resource_id.lower())
        if one.method != "Dynamic" or place is None or place in fixed:
            continue
        if place[0] == one.segment.scope and one.segment.first <= place[1] <= one.segment.last:
            one.address = place[1]
            fixed.add(place)


def _settled(one: _Wanted) -> Configuration:
    configuration = one.configuration
    address = one.address
    return Resource(
        resource_id=sys.intern(configuration.resource_id),  # a great many are named alike
        instance_id=configuration.instance_id,
        etag=configuration.etag,
        tags=configuration.tags,
        resource_metadata=configuration.resource_metadata,
        properties=IpConfigurationProperties(
            private_ip_address=None if address is None else number_text(one.segment.version, address),
            private_ip_allocation_method=one.method,
            subnet=common_ref(one.segment.ref),
            is_primary=configuration.properties.is_primary,
            public_ip_address=one.public,
            access_control_list=one.access_control_list,
        ),
    )
