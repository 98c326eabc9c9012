"""PUT and DELETE of logicalNetworks with their subnets, ipPools and routes (MS-NCNBI 3.1.5.8)."""

from collections.abc import Iterable
from typing import Any

import msgspec

from weft.core.decide.draft import Draft
from weft.core.decide.holding import about
from weft.core.decide.own_addresses import settled_policy
from weft.core.decide.parsing import (
    check_cool_down,
    check_warning,
    contains,
    excluded_range,
    ip_of,
    ip_texts,
    prefix_of,
    range_text,
    refuse_overlap,
    space_of,
    special_around,
)
from weft.core.decide.pool_use import KEEPING, refuse_while_held
from weft.core.decide.public_addresses import segment_of
from weft.core.layout import layout_of
from weft.core.pools import Segment, why_in
from weft.core.state import State
from weft.core.words import address_text, hold_text
from weft.model.errors import AddressInUse, Conflict, InUse, Invalid
from weft.model.fabric import (
    PER_HOST,
    IpPoolProperties,
    LogicalNetworkProperties,
    LogicalRouteProperties,
    LogicalSubnetProperties,
)
from weft.model.kinds import BY_NAME, resource_ref
from weft.model.resources import Resource
from weft.model.values import IpPrefix

LogicalNetwork = Resource[LogicalNetworkProperties]

_HIGHEST_VLAN = 4095


def settle(draft: Draft, sent: LogicalNetwork, old: LogicalNetwork | None) -> LogicalNetworkProperties:
    """The properties as they will be stored. Raises a Refusal."""
    ref = f"/logicalNetworks/{sent.resource_id}"
    subnets = []
    prefixes: list[tuple[IpPrefix, str]] = []
    before = [one.properties.address_prefix for one in old.properties.subnets] if old is not None else []
    for subnet in sent.properties.subnets:
        text = subnet.properties.address_prefix
        prefix = space_of(text, "addressPrefix", before) if text else None
        if prefix is not None:
            prefixes.append((prefix, f"subnet {subnet.resource_id}"))
        subnets.append(_with(subnet, _subnet(subnet.resource_id, subnet.properties, prefix)))
    refuse_overlap(prefixes, ref)
    p = sent.properties
    if not p.network_virtualization_enabled:
        _refuse_routes(subnets)
    if p.provider_address_policy.lower() == "several" and p.provider_address_count < 1:
        raise Invalid("providerAddressCount is at least 1 with policy several.", target="providerAddressCount")
    policy = settled_policy(p.provider_address_policy, p.provider_address_count, PER_HOST)
    properties = msgspec.structs.replace(p, subnets=tuple(subnets), provider_address_policy=policy)
    if old is not None:
        _check_old(draft.state, old, msgspec.structs.replace(sent, properties=properties))
    _check_new_pools(draft, ref, sent, properties)
    if old is not None:
        _forget(draft, old, msgspec.structs.replace(sent, properties=properties))
    return properties


def remove(draft: Draft, old: LogicalNetwork) -> None:
    """Refuse while virtual networks or anything in its subnets need it."""
    ref = f"/logicalNetworks/{old.resource_id}"
    _check_unvirtualized(draft.state, ref)
    _check_old(draft.state, old, None)
    _forget(draft, old, None)


def _subnet(name: str, p: LogicalSubnetProperties, prefix: IpPrefix | None) -> LogicalSubnetProperties:
    if not 0 <= p.vlan_id <= _HIGHEST_VLAN:
        raise Invalid(f"vlanID {p.vlan_id} of subnet {name} is not in 0 to {_HIGHEST_VLAN}.", target="vlanID")
    if prefix is None:
        if p.ip_pools or p.default_gateways or p.routes:
            raise Invalid(
                f"Subnet {name} has no addressPrefix, so it can have no ipPools, gateways or routes.",
                code="InvalidIPPrefix",
                target="addressPrefix",
            )
        return msgspec.structs.replace(p, dns_servers=ip_texts(p.dns_servers, "dnsServers"))
    gateways = ip_texts(p.default_gateways, "defaultGateways")
    for text in gateways:
        _check_inside(prefix, text, "defaultGateways")
    routes = tuple(_with(route, _route(route.resource_id, route.properties, prefix)) for route in p.routes)
    _refuse_twins(name, routes)
    return msgspec.structs.replace(
        p,
        address_prefix=str(prefix),
        dns_servers=ip_texts(p.dns_servers, "dnsServers"),
        default_gateways=gateways,
        routes=routes,
        ip_pools=tuple(_with(pool, _ip_pool(pool.resource_id, pool.properties, prefix)) for pool in p.ip_pools),
    )


def _route(name: str, p: LogicalRouteProperties, prefix: IpPrefix) -> LogicalRouteProperties:
    destination = prefix_of(p.destination, "destination")
    why = _why_not(destination, prefix)
    if why:
        raise Invalid(f"Route {name} leads to {destination}: {why}.", code="InvalidIPPrefix", target="destination")
    hop = str(ip_of(p.next_hop, "nextHop", "InvalidNextHopIpAddress"))
    _check_inside(prefix, hop, "nextHop")
    return msgspec.structs.replace(p, destination=str(destination), next_hop=hop)


def _why_not(destination: IpPrefix, subnet: IpPrefix) -> str:
    """Why no route of a subnet may lead there; empty if one may. It may be wider than the subnet, to sum up."""
    if destination.prefixlen == 0:
        return "hosts get no default route from Weft, so name the prefixes that other hosts are in"
    if destination.version != subnet.version:
        return f"its subnet {subnet} is of the other family"
    if contains(subnet, int(destination.network_address), int(destination.broadcast_address)):
        return f"that is in its subnet {subnet} itself, so name a prefix outside of it"
    if destination.prefixlen == destination.max_prefixlen:
        return "that is a single address, so name the prefix that it is in"
    return special_around(destination)


def _refuse_twins(subnet: str, routes: Iterable[Resource[LogicalRouteProperties]]) -> None:
    """One next hop for each destination. Raises Conflict (RouteConflict)."""
    seen: dict[str, str] = {}
    for route in routes:
        destination = route.properties.destination
        other = seen.setdefault(destination, route.resource_id)
        if other != route.resource_id:
            raise Conflict(
                f"Routes {other} and {route.resource_id} of subnet {subnet} both lead to {destination}: keep one.",
                code="RouteConflict",
                target="destination",
            )


def _refuse_routes(subnets: Iterable[Resource[LogicalSubnetProperties]]) -> None:
    """Only hosts with a provider address in a subnet would follow its routes."""
    for subnet in subnets:
        if subnet.properties.routes:
            raise Invalid(
                f"Subnet {subnet.resource_id} has routes, and its logical network carries no virtual networks: nobody "
                "would follow them. Leave them out, or set networkVirtualizationEnabled.",
                target="routes",
            )


def _check_inside(prefix: IpPrefix, text: str, target: str) -> None:
    address = ip_of(text, target)
    if address not in prefix:
        raise Invalid(f"{target} {text} does not lie in {prefix}: name an address of that subnet.", target=target)


def _ip_pool(name: str, p: IpPoolProperties, prefix: IpPrefix) -> IpPoolProperties:
    first, last = ip_of(p.start_ip_address, "startIpAddress"), ip_of(p.end_ip_address, "endIpAddress")
    if first.version != prefix.version or last.version != prefix.version or not contains(prefix, int(first), int(last)):
        raise Invalid(
            f"ipPool {name} ({first} to {last}) does not lie in {prefix}: choose addresses of it.",
            target="startIpAddress",
        )
    if int(first) > int(last):
        raise Invalid(f"ipPool {name} begins at {first} above its end {last}.", target="startIpAddress")
    check_cool_down(p.cool_down_seconds)
    check_warning(p.warn_at_percent)
    return msgspec.structs.replace(
        p,
        start_ip_address=str(first),
        end_ip_address=str(last),
        excluded=tuple(excluded_range(one, int(first), int(last), f"ipPool {name}") for one in p.excluded),
    )


def _check_old(state: State, old: LogicalNetwork, new: LogicalNetwork | None) -> None:
    """What is in use must stay as it is: pools before subnets, so that the nearest reason is named."""
    before, after = layout_of("logicalNetworks", old), layout_of("logicalNetworks", new)
    specs = {spec.key: spec for spec in after[0]}
    segments = {segment.key: segment for segment in after[1]}
    if new is not None and old.properties.network_virtualization_enabled != (
        new.properties.network_virtualization_enabled
    ):
        _check_unvirtualized(state, f"/logicalNetworks/{old.resource_id}")
        _check_segments_unused(state, before[1], "InUseSubnetCannotBeUpdated")
    _check_segments_unused(state, tuple(s for s in before[1] if s.key not in segments), "InUseSubnetCannotBeDeleted")
    _check_segments_unused(state, _moved(old, before[1], new, segments), "InUseSubnetCannotBeUpdated")
    for segment in before[1]:
        if segment.public and segment.key in segments and not segments[segment.key].public:
            _check_no_public_address(state, segment)
        if segment.key in segments and segments[segment.key].public and not segment.public:
            _check_no_connection(state, segment)
    for spec in before[0]:
        kept = specs.get(spec.key)
        if kept is None:
            refuse_while_held(state, spec.key, "InUseIpPoolCannotBeDeleted")
        elif (kept.first, kept.last) != (spec.first, spec.last):
            raise Invalid(
                f"The start and end of {spec.ref} are fixed for life: create another ipPool for more room.",
                target="startIpAddress",
            )


def _moved(
    old: LogicalNetwork, before: tuple[Segment, ...], new: LogicalNetwork | None, after: dict[str, Segment]
) -> tuple[Segment, ...]:
    """Subnets whose prefix or VLAN would change."""
    if new is None:
        return ()
    vlans = {subnet.resource_id.lower(): subnet.properties.vlan_id for subnet in new.properties.subnets}
    moved = []
    for subnet, segment in zip(old.properties.subnets, before, strict=True):
        kept = after.get(segment.key)
        same = kept is not None and (kept.first, kept.last, kept.version) == (
            segment.first,
            segment.last,
            segment.version,
        )
        if kept is not None and not (same and vlans[subnet.resource_id.lower()] == subnet.properties.vlan_id):
            moved.append(segment)
    return tuple(moved)


def _check_unvirtualized(state: State, ref: str) -> None:
    for network in state.index.networks.tenants_of.get(ref.lower(), ()):
        raise InUse(f"{ref} carries /virtualNetworks/{network}: delete that first.", target=ref)


def _check_segments_unused(state: State, segments: tuple[Segment, ...], code: str) -> None:
    for segment in segments:
        user = user_of(state, segment)
        if user:
            raise InUse(f"{segment.ref} is used by {user}: delete or move that first.", code=code, target=segment.ref)


def _check_no_public_address(state: State, segment: Segment) -> None:
    for address in state.all("publicIPAddresses"):
        if segment_of(state, address).key == segment.key:
            raise InUse(
                f"{segment.ref} must stay public: /publicIPAddresses/{address.resource_id} is in it. Delete that.",
                code="InUseSubnetCannotBeUpdated",
                target=segment.ref,
            )


def _check_no_connection(state: State, segment: Segment) -> None:
    for user in state.uses.of(segment.key):
        if "/networkconnections/" in user.lower():
            raise InUse(
                f"{segment.ref} cannot become public: {user} is an L3 connection into it, by which whoever is in it "
                "reaches machines by their own addresses. Delete that, or make another subnet public.",
                code="InUseSubnetCannotBeUpdated",
                target=segment.ref,
            )


def user_of(state: State, segment: Segment) -> str:
    """Something that needs a logical subnet: an interface, a checkpoint or export, a gateway pool or connection, a
    server's address or adapter."""
    for interface in state.interfaces_in(segment.key):
        return f"/networkInterfaces/{interface.resource_id}"
    for kind, capture in state.captures_in(segment.key):
        return resource_ref(BY_NAME[kind.lower()], capture.resource_id)
    for user in state.uses.of(segment.key):
        return user
    for server, scopes in state.addresses.providers.items():
        for address in scopes.get(segment.scope, ()):
            if segment.first <= address <= segment.last:
                return server
    for resource in state.all("servers"):
        for adapter in resource.properties.network_interfaces:
            if any(ref.resource_ref.lower() == segment.key for ref in adapter.properties.logical_subnets):
                return f"/servers/{resource.resource_id}/networkInterfaces/{adapter.resource_id}"
    return ""


def _check_new_pools(draft: Draft, ref: str, sent: LogicalNetwork, properties: LogicalNetworkProperties) -> None:
    """Pools are disjoint; nothing becomes a gateway that somebody has, or that would come back."""
    specs, segments = layout_of("logicalNetworks", msgspec.structs.replace(sent, properties=properties))
    ordered = sorted(specs, key=lambda spec: (spec.scope, spec.first))
    for one, other in zip(ordered, ordered[1:], strict=False):
        if one.scope == other.scope and other.first <= one.last:
            version = int(one.scope[2])
            raise Conflict(
                f"{other.ref} ({range_text(version, other.first, other.last)}) overlaps {one.ref} "
                f"({range_text(version, one.first, one.last)}).",
                code="IpPoolsOverlap",
                target="startIpAddress",
            )
    for segment in segments:
        before = draft.state.segment(segment.key)
        for first, _, why in segment.reserved:
            lease = draft.state.lease(segment.scope, first)
            is_new = before is None or not why_in(before.reserved, first)
            if is_new and lease is not None and lease.state in KEEPING:
                refusal = AddressInUse(
                    f"{address_text(segment.scope, first)} would be {why} of {segment.ref}, but "
                    f"{hold_text(draft.state, lease, lease.holders[0])}.",
                    code="PrivateIPAddressInUse",
                    target="defaultGateways",
                )
                raise about(refusal, segment.scope, first, segment.ref)


def _forget(draft: Draft, old: LogicalNetwork, new: LogicalNetwork | None) -> None:
    kept = {spec.key for spec in layout_of("logicalNetworks", new)[0]}
    draft.forget_cursors(spec.key for spec in layout_of("logicalNetworks", old)[0] if spec.key not in kept)


def _with(resource: Resource[Any], properties: Any) -> Any:
    return msgspec.structs.replace(resource, properties=properties)
