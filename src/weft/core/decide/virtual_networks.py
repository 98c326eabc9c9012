"""PUT and DELETE of virtualNetworks with their subnets (MS-NCNBI 3.1.5.18): routing domains and their VSIDs.

A virtual network's instanceId is its RDID; its short form in flows, the routing domain number, is granted at creation
and kept for life, as is each subnet's VSID. The two subnets of a dual-stack pair share one VSID.
"""

import msgspec

from weft.core.decide.attaching import list_named, table_named
from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import check_encryption
from weft.core.decide.learning import end_learning
from weft.core.decide.parsing import (
    LONGEST_COOL_DOWN_S,
    check_cool_down,
    check_warning,
    contains,
    excluded_range,
    host_prefix_of,
    ip_texts,
    prefix_of,
    refuse_overlap,
    space_of,
)
from weft.core.decide.peerings import note_meeting, settle_peerings
from weft.core.decide.pool_use import refuse_while_held
from weft.core.decide.rewriting import check_rewriting
from weft.core.decide.vsids import assign_vsids, release_vsids
from weft.core.layout import layout_of
from weft.core.pools import Segment
from weft.core.state import State
from weft.model.errors import InUse, Invalid, InvalidReference, PoolIsFull
from weft.model.kinds import BY_NAME, resource_ref
from weft.model.leases import ASSIGNED, RDID_SCOPE, Holder, Lease
from weft.model.resources import Ref, Resource
from weft.model.tenancy import AddressSpace, DhcpOptions, VirtualNetworkProperties, VirtualSubnetProperties
from weft.model.values import IpPrefix

VirtualNetwork = Resource[VirtualNetworkProperties]
VirtualSubnet = Resource[VirtualSubnetProperties]

_MOST_DNS_SERVERS = 9
_SHORTEST_LEASE_S = 60
_MOST_GUEST_ADDRESSES = 64
_SHORTEST_AGE_S = 60
_PROTOCOLS = {"": "", "vxlan": "VXLAN", "nvgre": "NVGRE", "rewrite": "Rewrite", "translationmethodnat": "Rewrite"}


def settle(draft: Draft, sent: VirtualNetwork, old: VirtualNetwork | None) -> VirtualNetworkProperties:
    """The properties as they will be stored, VSIDs and routing domain number included. Raises a Refusal."""
    ref = f"/virtualNetworks/{sent.resource_id}"
    p = sent.properties
    logical = _logical_network(draft.state, p.logical_network)
    space = _space(draft.state, ref, p, old)
    subnets = _subnets(draft.state, sent, space, old)
    texts = tuple(str(prefix) for prefix in space)
    if old is not None and logical.resource_ref != _ref(old.properties.logical_network):
        _check_unused(draft.state, ref, "The logical network cannot be changed", "VnetInUse")
    settled = VirtualNetworkProperties(
        logical_network=logical,
        address_space=AddressSpace(address_prefixes=texts),
        dhcp_options=_dhcp_options(p.dhcp_options),
        subnets=subnets,
        virtual_network_peerings=settle_peerings(draft, sent, old, texts),
        network_virtualization_protocol=_protocol(p.network_virtualization_protocol),
        routing_domain_number=_number(draft, ref, old),
    )
    if old is not None:
        _check_old(draft.state, old, msgspec.structs.replace(sent, properties=settled))
    check_rewriting(draft.state, ref, settled, old)
    check_encryption(draft.state, _as_new(sent, old, settled), old)
    settled = msgspec.structs.replace(settled, subnets=assign_vsids(draft, ref, subnets, old))
    if old is not None:
        _end_learning(draft, ref, old, settled)
        _forget(draft, old, msgspec.structs.replace(sent, properties=settled))
    note_meeting(draft, msgspec.structs.replace(sent, properties=settled))
    return settled


def _as_new(sent: VirtualNetwork, old: VirtualNetwork | None, settled: VirtualNetworkProperties) -> VirtualNetwork:
    """As it will be: peers know it by its instanceId."""
    return msgspec.structs.replace(old if old is not None else sent, properties=settled)


def _end_learning(draft: Draft, ref: str, old: VirtualNetwork, new: VirtualNetworkProperties) -> None:
    """Where guests may not bring addresses any more, by an access list too, those that they have are released."""
    may = {one.resource_id.lower() for one in new.subnets if one.properties.guest_specified_addresses.enabled}
    could = (one.resource_id for one in old.properties.subnets if one.properties.guest_specified_addresses.enabled)
    ended = [f"{ref}/subnets/{one}" for one in could if one.lower() not in may]
    filtered = [f"{ref}/subnets/{one.resource_id}" for one in new.subnets if _ref(one.properties.access_control_list)]
    end_learning(draft, ended, filtered)


def remove(draft: Draft, old: VirtualNetwork) -> None:
    """Refuse while an interface is in it; its numbers become free."""
    ref = f"/virtualNetworks/{old.resource_id}"
    _check_unused(draft.state, ref, f"{ref} cannot be deleted", "ResourceInUse")
    for spec in layout_of("virtualNetworks", old)[0]:
        refuse_while_held(draft.state, spec.key, "ResourceInUse")
    release_vsids(draft, ref, old)
    lease = draft.lease(RDID_SCOPE, old.properties.routing_domain_number)
    draft.turn(lease, None, "released", f"{ref} deleted")
    _forget(draft, old, None)


def _space(state: State, ref: str, p: VirtualNetworkProperties, old: VirtualNetwork | None) -> list[IpPrefix]:
    before = old.properties.address_space.address_prefixes if old is not None else ()
    space = [space_of(text, "addressPrefixes", before) for text in p.address_space.address_prefixes]
    if not space:
        raise Invalid(f"{ref} needs addressSpace.addressPrefixes.", code="InvalidIPPrefix", target="addressPrefixes")
    refuse_overlap([(prefix, "address prefix") for prefix in space], ref)
    if old is not None:
        _check_space(state, old, space)
    return space


def _subnets(
    state: State, sent: VirtualNetwork, space: list[IpPrefix], old: VirtualNetwork | None
) -> tuple[VirtualSubnet, ...]:
    ref = f"/virtualNetworks/{sent.resource_id}"
    before = [one.properties.address_prefix for one in old.properties.subnets] if old is not None else []
    subnets = tuple(_subnet(subnet, space, ref, before) for subnet in sent.properties.subnets)
    prefixes = [prefix_of(subnet.properties.address_prefix, "addressPrefix") for subnet in subnets]
    refuse_overlap([(prefix, f"subnet {one.resource_id}") for prefix, one in zip(prefixes, subnets, strict=True)], ref)
    return _pair(ref, tuple(_attached(state, sent.resource_id, subnet, prefixes) for subnet in subnets))


def _attached(state: State, network: str, subnet: VirtualSubnet, prefixes: list[IpPrefix]) -> VirtualSubnet:
    """With the list that filters it and the table that routes it, as they will be stored."""
    properties = msgspec.structs.replace(
        subnet.properties,
        access_control_list=list_named(state, subnet.properties.access_control_list),
        route_table=table_named(state, network, subnet, prefixes),
    )
    return msgspec.structs.replace(subnet, properties=properties)


def _dhcp_options(p: DhcpOptions) -> DhcpOptions:
    if len(p.dns_servers) > _MOST_DNS_SERVERS:
        raise Invalid(
            f"A virtual network has at most {_MOST_DNS_SERVERS} DNS servers.",
            code="DnsServerCountLimitReached",
            target="dnsServers",
        )
    if not _SHORTEST_LEASE_S <= p.lease_seconds <= LONGEST_COOL_DOWN_S:
        raise Invalid(
            f"leaseSeconds {p.lease_seconds} is not between {_SHORTEST_LEASE_S} and {LONGEST_COOL_DOWN_S}.",
            target="leaseSeconds",
        )
    return DhcpOptions(dns_servers=ip_texts(p.dns_servers, "dnsServers"), lease_seconds=p.lease_seconds)


def _protocol(text: str) -> str:
    found = _PROTOCOLS.get(text.lower())
    if found is None:
        raise Invalid(
            f"networkVirtualizationProtocol is VXLAN, NVGRE or Rewrite, or left out for the virtualNetworkManager's, "
            f"not '{text}'.",
            target="networkVirtualizationProtocol",
        )
    return found


def _logical_network(state: State, ref: Ref | None) -> Ref:
    text = _ref(ref)
    if not text:
        raise InvalidReference(
            "logicalNetwork is required: name a logicalNetwork with networkVirtualizationEnabled.",
            code="InvalidLogicalNetworkReference",
            target="logicalNetwork",
        )
    found = state.find_ref(text) if text.lower().startswith("/logicalnetworks/") and text.count("/") == 2 else None
    if found is None or not found.properties.network_virtualization_enabled:
        why = (
            "does not exist"
            if found is None
            else "has networkVirtualizationEnabled false: set it there, or name another"
        )
        raise InvalidReference(
            f"logicalNetwork {text} {why}.", code="InvalidLogicalNetworkReference", target="logicalNetwork"
        )
    return Ref(resource_ref=f"/logicalNetworks/{found.resource_id}")


def _subnet(subnet: VirtualSubnet, space: list[IpPrefix], network: str, before: list[str]) -> VirtualSubnet:
    p = subnet.properties
    prefix = host_prefix_of(p.address_prefix, "addressPrefix", before)
    first, last = int(prefix.network_address), int(prefix.broadcast_address)
    if not any(one.version == prefix.version and contains(one, first, last) for one in space):
        raise Invalid(
            f"Subnet {subnet.resource_id} ({prefix}) does not lie in the address space of {network}: "
            f"{', '.join(str(one) for one in space)}.",
            code="InvalidIPPrefix",
            target="addressPrefix",
        )
    _check_guests(subnet)
    check_cool_down(p.cool_down_seconds)
    check_warning(p.warn_at_percent)
    excluded = tuple(excluded_range(one, first, last, f"subnet {subnet.resource_id}") for one in p.excluded)
    pair = p.dual_stack_subnet if _ref(p.dual_stack_subnet) else None
    properties = msgspec.structs.replace(p, address_prefix=str(prefix), dual_stack_subnet=pair, excluded=excluded)
    return msgspec.structs.replace(subnet, properties=properties)


def _check_guests(subnet: VirtualSubnet) -> None:
    guests = subnet.properties.guest_specified_addresses
    bounds = (
        ("maximumPerInterface", guests.maximum_per_interface, 1, _MOST_GUEST_ADDRESSES),
        ("ageSeconds", guests.age_seconds, _SHORTEST_AGE_S, LONGEST_COOL_DOWN_S),
    )
    for name, value, least, most in bounds:
        if not least <= value <= most:
            raise Invalid(
                f"{name} {value} of subnet {subnet.resource_id} is not between {least} and {most}.", target=name
            )


def _pair(network: str, subnets: tuple[VirtualSubnet, ...]) -> tuple[VirtualSubnet, ...]:
    """Check dualStackSubnet: the other subnet of the same network, of the other family, one to one."""
    by_ref = {f"{network}/subnets/{subnet.resource_id}".lower(): subnet for subnet in subnets}
    partner: dict[str, str] = {}
    paired = []
    for ref, subnet in by_ref.items():
        asked = _ref(subnet.properties.dual_stack_subnet)
        if asked:
            other = by_ref.get(asked.lower())
            if other is None or _version(other) == _version(subnet):
                raise InvalidReference(
                    f"dualStackSubnet of {subnet.resource_id} must name a subnet of {network} of the other family, "
                    f"not {asked}.",
                    target="dualStackSubnet",
                )
            for one, two in ((ref, asked.lower()), (asked.lower(), ref)):
                if partner.setdefault(one, two) != two:
                    raise Invalid(
                        f"{asked} is in two dual-stack pairs: a subnet has one partner.", target="dualStackSubnet"
                    )
            canonical = Ref(resource_ref=f"{network}/subnets/{other.resource_id}")
            properties = msgspec.structs.replace(subnet.properties, dual_stack_subnet=canonical)
            subnet = msgspec.structs.replace(subnet, properties=properties)
        paired.append(subnet)
    return tuple(paired)


def _version(subnet: VirtualSubnet) -> int:
    return 6 if ":" in subnet.properties.address_prefix else 4


def _number(draft: Draft, ref: str, old: VirtualNetwork | None) -> int:
    if old is not None:
        return old.properties.routing_domain_number
    number = draft.grant(draft.state.addresses.pools[RDID_SCOPE])
    if number is None:
        raise PoolIsFull("All 2147483647 routing domain numbers are taken.", code="RoutingDomainsExhausted")
    draft.turn(None, Lease(RDID_SCOPE, number, ASSIGNED, (Holder("virtualNetwork", ref, "", True),)), "granted")
    return number


def _check_old(state: State, old: VirtualNetwork, new: VirtualNetwork) -> None:
    """Subnets with interfaces stay where they are."""
    kept = {segment.key: segment for segment in layout_of("virtualNetworks", new)[1]}
    for segment in layout_of("virtualNetworks", old)[1]:
        now = kept.get(segment.key)
        if now is not None and _place(now) == _place(segment):
            continue
        user = _user_of(state, segment.key)
        if not user:
            code = "InUseSubnetCannotBeDeleted" if now is None else "InUseSubnetCannotBeUpdated"
            refuse_while_held(state, segment.pools[0], code)
            continue
        change = "cannot be deleted" if now is None else "cannot change its prefix or its dual-stack partner"
        raise InUse(
            f"{segment.ref} {change}: {user} is in it. Delete or move that first.",
            code="InUseSubnetCannotBeDeleted" if now is None else "InUseSubnetCannotBeUpdated",
            target=segment.ref,
        )


def _check_space(state: State, old: VirtualNetwork, space: list[IpPrefix]) -> None:
    """The address space cannot lose a subnet that is in use."""
    for segment in layout_of("virtualNetworks", old)[1]:
        user = _user_of(state, segment.key)
        if user and not any(p.version == segment.version and contains(p, segment.first, segment.last) for p in space):
            raise InUse(
                f"The address space must go on holding {segment.ref}, since {user} is in it.",
                code="VnetInUse",
                target="addressPrefixes",
            )


def _place(segment: Segment) -> tuple[int, int, str]:
    return segment.first, segment.last, segment.domain


def _check_unused(state: State, ref: str, what: str, code: str) -> None:
    user = _user_of(state, ref.lower())
    if user:
        raise InUse(f"{what}: {user} is in it. Delete or move that first.", code=code, target=ref)


def _user_of(state: State, ref: str) -> str:
    for interface in state.interfaces_in(ref):
        return f"/networkInterfaces/{interface.resource_id}"
    for kind, capture in state.captures_in(ref):
        return resource_ref(BY_NAME[kind.lower()], capture.resource_id)
    return ""


def _forget(draft: Draft, old: VirtualNetwork, new: VirtualNetwork | None) -> None:
    kept = {spec.key for spec in layout_of("virtualNetworks", new)[0]}
    draft.forget_cursors(spec.key for spec in layout_of("virtualNetworks", old)[0] if spec.key not in kept)


def _ref(ref: Ref | None) -> str:
    return ref.resource_ref if ref is not None else ""
