"""The connections of a virtual gateway (MS-NCNBI 3.1.5.17.4): L3 into a VLAN, GRE to a far router.

Called by core.decide.virtual_gateways. The gateway's own address on an L3 leg and the near end of a GRE tunnel are in
the ledger of their logical network: asked for or, for GRE, granted from a greVipSubnet of the pools.
"""

import ipaddress
from collections.abc import Iterable

import msgspec

from weft.core.decide import connection_forms
from weft.core.decide.connection_forms import Connection, Place
from weft.core.decide.draft import Draft
from weft.core.decide.gateway_pools import GatewayPool
from weft.core.decide.granting import next_in
from weft.core.decide.holding import hold_ip, release, take_granted
from weft.core.index import last_id, lower
from weft.core.pools import Segment
from weft.core.state import State
from weft.core.words import address_text, why_full
from weft.model.errors import AddressInUse, Conflict, PoolIsFull
from weft.model.gateways import VirtualGatewayProperties
from weft.model.leases import Holder
from weft.model.resources import Ref, Resource
from weft.model.values import IpPrefix, lies_in

VirtualGateway = Resource[VirtualGatewayProperties]


def settle_connections(
    draft: Draft, ref: str, sent: tuple[Connection, ...], pools: list[GatewayPool], old: VirtualGateway | None
) -> tuple[Connection, ...]:
    """The connections of a virtual gateway as they will be stored, their near ends held. `check_apart` asks whether
    they meet the network's own addresses. Raises a Refusal."""
    state = draft.state
    held = ends_of(state, old)
    vips = _vip_segments(state, pools)
    before = {name: place for place, name in held.items()}
    wanted: dict[Place, str] = {}
    settled = []
    for one in sent:
        checked = connection_forms.settle(state, one, pools, vips)
        for place in connection_forms.ends(state, checked, vips):
            if place not in held and checked.properties.l3_configuration is not None:
                connection_forms.check_no_router(
                    state, place, lower(checked.properties.l3_configuration.vlan_subnet), ref
                )
            _want(draft, ref, place, (wanted, held), checked.resource_id)
        settled.append(checked)
    for at, one in enumerate(settled):
        if one.properties.connection_type == "GRE" and not one.properties.source_ip_address:
            kept = before.get(one.resource_id.lower())
            if kept is None or kept in wanted or connection_forms.within(vips, kept) is None:
                kept = _grant(draft, ref, vips)
            wanted[kept] = one.resource_id.lower()
            properties = msgspec.structs.replace(one.properties, source_ip_address=address_text(*kept))
            settled[at] = msgspec.structs.replace(one, properties=properties)
    for one in settled:
        connection_forms.check_routers(state, ref, one, wanted)
    for place in held:
        if place not in wanted:
            release(draft, *place, ref, f"no connection of {ref} has it any more")
    _check_routes(settled)
    return tuple(settled)


def check_apart(connections: Iterable[Connection], subnets: Iterable[str]) -> None:
    """What is outside has no address of the network's own subnets (prefixes), and what the gateway has in a tunnel
    nobody has in any other; one router may be the far end of several. Raises Conflict (RouteConflict), AddressInUse."""
    own = [ipaddress.ip_network(text) for text in subnets]
    near, far = dict[str, str](), dict[str, str]()
    for one in connections:
        for route in one.properties.routes:
            to = ipaddress.ip_network(route.destination_prefix)
            met = next((n for n in own if lies_in(to, n)), None)
            if met is not None:
                raise Conflict(
                    f"The route of connection {one.resource_id} to {to} leads out of the network to addresses that "
                    f"lie in it ({met}): name a prefix that is outside.",
                    code="RouteConflict",
                    target="destinationPrefix",
                )
        if one.properties.connection_type == "GRE":
            _check_tunnel(one, own, (near, far))


def _check_tunnel(one: Connection, own: Iterable[IpPrefix], tables: tuple[dict[str, str], dict[str, str]]) -> None:
    """`tables` are the near and the far ends of the tunnels before it, each with its connection; it comes in there."""
    near, far = tables
    ours = [each.ip_address for each in one.properties.ip_addresses]
    for text in ours:
        _check_end(one, own, (text, "ipAddresses"), near.get(text) or far.get(text))
    near |= dict.fromkeys(ours, one.resource_id)
    for text in one.properties.peer_ip_addresses:
        _check_end(one, own, (text, "peerIPAddresses"), near.get(text))
        far[text] = one.resource_id


def _check_end(one: Connection, own: Iterable[IpPrefix], end: tuple[str, str], other: str | None) -> None:
    """`end` is an address in its tunnel and its member, `other` the connection that has it too."""
    text, target = end
    met = next((n for n in own if ipaddress.ip_address(text) in n), None)
    if met is not None:
        raise AddressInUse(
            f"{text} in the tunnel of connection {one.resource_id} lies in the network itself ({met}): both ends "
            "have addresses that are nobody else's.",
            code="PrivateIPAddressInUse",
            target=target,
        )
    if other is not None:
        whose = f"Connections {other} and {one.resource_id} both have {text} in their tunnels"
        if other == one.resource_id:
            whose = f"Both ends of connection {other} have {text}"
        raise AddressInUse(f"{whose}: give each its own.", code="PrivateIPAddressInUse", target=target)


def ends_of(state: State, gateway: VirtualGateway | None) -> dict[Place, str]:
    """Where in the ledger the near ends of a stored virtual gateway's connections are, each with its connection's id in
    lower case."""
    if gateway is None:
        return {}
    pools = [state.get("gatewayPools", last_id(ref)) for ref in gateway.properties.gateway_pools]
    vips = _vip_segments(state, [pool for pool in pools if pool is not None])
    return {
        place: one.resource_id.lower()
        for one in gateway.properties.network_connections
        for place in connection_forms.ends(state, one, vips)
    }


def _vip_segments(state: State, pools: Iterable[GatewayPool]) -> list[Segment]:
    """The greVipSubnets of pools, each once."""
    refs: list[Ref] = [ref for pool in pools for ref in pool.properties.ip_configuration.gre_vip_subnets]
    found = (state.segment(ref.resource_ref) for ref in refs)
    return list({segment.key: segment for segment in found if segment is not None}.values())


def _want(draft: Draft, ref: str, place: Place, tables: tuple[dict[Place, str], dict[Place, str]], name: str) -> None:
    wanted, held = tables
    if place in wanted:
        raise AddressInUse(
            f"Two connections of {ref} have {address_text(*place)}: give each its own.",
            code="PrivateIPAddressInUse",
            target=name,
        )
    wanted[place] = name.lower()
    if place not in held:
        hold_ip(draft, *place, Holder("virtualGateway", ref))


def _grant(draft: Draft, ref: str, vips: list[Segment]) -> Place:
    pools = [draft.state.addresses.pools[key] for segment in vips for key in segment.pools]
    for pool in pools:
        found = next_in(draft, pool)
        if found is not None:
            take_granted(draft, pool.spec.scope, found, Holder("virtualGateway", ref, "", True))
            return pool.spec.scope, found
    raise PoolIsFull(why_full(draft.state, pools, draft.now), code="SubnetIsFull", target="sourceIPAddress")


def _check_routes(connections: Iterable[Connection]) -> None:
    """One way to a prefix per metric. Raises Conflict (RouteConflict)."""
    seen: dict[tuple[str, int], str] = {}
    for one in connections:
        for route in one.properties.routes:
            key = route.destination_prefix, route.metric
            if key in seen:
                raise Conflict(
                    f"{route.destination_prefix} with metric {route.metric} is in {seen[key]} and in "
                    f"{one.resource_id}: give one of the two another metric.",
                    code="RouteConflict",
                    target="routes",
                )
            seen[key] = one.resource_id
