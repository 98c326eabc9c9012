"""What hosts are told of a virtual network's way out: by which gateways, and on these, what the edge does there.

Called by the other policy modules and by trace. Pure reads of the state; the cost is that of one virtual gateway, its
connections and the network's public addresses.
"""

import ipaddress
from collections.abc import Iterator

import msgspec

from weft.core.edge_routes import exits
from weft.core.index import last_id, lower
from weft.core.peerings import routed
from weft.core.policy_places import NETWORKS, Network, known, network_of, packed_prefix, subnet_of
from weft.core.provider_places import provider_address
from weft.core.state import State
from weft.core.uses import PUBLIC
from weft.model.fabric import LogicalSubnetProperties
from weft.model.gateways import ConnectionRoute, NetworkConnectionProperties, VirtualGatewayProperties
from weft.model.kinds import VIRTUAL_GATEWAYS
from weft.model.records import (
    CustomerRoute,
    EdgeLeg,
    EdgeNetwork,
    EdgeRoute,
    EdgeTunnel,
    GatewayRecord,
    PackedPrefix,
)
from weft.model.resources import Ref, Resource
from weft.model.values import Mac, PackedIp, Rdid, Vsid, gateway_of, pack_ip

VirtualGateway = Resource[VirtualGatewayProperties]

NOWHERE = PackedIp(b"")
DEFAULT_METRIC = 1
"""Of the route to the gateway: better than on link only by being the sole one of its prefix."""


def virtual_gateway_of(state: State, network: Network) -> VirtualGateway | None:
    """Of a network, if it has one."""
    for ref in state.uses.of(f"/virtualNetworks/{network.resource_id}", VIRTUAL_GATEWAYS.name):
        found: VirtualGateway | None = state.find_ref(ref)
        return found
    return None


def way_out_of(state: State, network: Network) -> tuple[Network, VirtualGateway] | None:
    """The virtual gateway by which a network is left, and whose it is: its own, or that of the peer whose it uses."""
    own = virtual_gateway_of(state, network)
    if own is not None:
        return network, own
    for side, back, remote in routed(state, network):
        if side.properties.use_remote_gateways and back.properties.allow_gateway_transit:
            theirs = virtual_gateway_of(state, remote)
            return (remote, theirs) if theirs is not None else None
    return None


def users_of(state: State, network: Network) -> Iterator[Network]:
    """Peers of a network that has a virtual gateway which use it."""
    for _, _, remote in routed(state, network):
        way = way_out_of(state, remote)
        if way is not None and way[0].resource_id == network.resource_id:
            yield remote


def ways_out(state: State, network: Network) -> Iterator[CustomerRoute]:
    """Default routes to the gateway by which a network is left."""
    way = way_out_of(state, network)
    return default_routes(gateway_record(state, way[0])) if way is not None else iter(())


def gateway_vsid(network: Network, p: VirtualGatewayProperties) -> Vsid:
    subnet = subnet_of(network, last_id(p.gateway_subnets[0]))
    return Vsid(subnet.properties.virtual_subnet_id if subnet is not None else 0)


def places(state: State, network: Network, p: VirtualGatewayProperties) -> list[tuple[str, PackedIp]]:
    """(Server id in lower case, provider address) of the gateways, in their order; those without an address are left
    out."""
    servers = [state.index.gateways.servers.get(last_id(ref), "") for ref in p.gateways]
    found = [(server, provider_address(state, server, network)) for server in servers if server]
    return [(server, address) for server, address in found if address is not None]


def gateway_record(state: State, network: Network) -> GatewayRecord | None:
    """None where the network has no virtual gateway."""
    gateway = virtual_gateway_of(state, network)
    if gateway is None:
        return None
    p = gateway.properties
    return GatewayRecord(
        vsid=gateway_vsid(network, p),
        mac=Mac(int(p.gateway_mac_address, 16)),
        addresses=tuple(map(pack_ip, p.gateway_addresses)),
        gateways=tuple(address for _, address in places(state, network, p)),
    )


def default_routes(record: GatewayRecord | None) -> Iterator[CustomerRoute]:
    """The way out of each family, to the edge."""
    if record is not None:
        for address in record.addresses:
            yield CustomerRoute(record.vsid, PackedIp(bytes(len(address))), 0, address, DEFAULT_METRIC)


def led_to(state: State, p: VirtualGatewayProperties) -> Iterator[PackedPrefix]:
    """Where the connections of a virtual gateway lead: their routes, one to everywhere as it is, and the subnets that
    they are in. Not where the network is known by public addresses alone, nor by the default gateways there."""
    legs = _joined_legs(state, {}, p)
    for one in exits(legs.values(), _tunnels(state, p), ()):
        yield one.prefix, one.prefix_length


def edges(state: State, server_id: str) -> Iterator[EdgeNetwork]:
    """What this host does as a gateway: nothing, unless it is one."""
    for gateway, server in state.index.gateways.servers.items():
        if server == server_id.lower():
            for network_id in state.index.gateways.networks(gateway):
                network: Network = known(state, NETWORKS, network_id)
                found = _edge(state, server_id, network)
                if found is not None:
                    yield found


def edge(state: State, server_id: str, rdid: int) -> EdgeNetwork | None:
    """Of one network; None where this host is no gateway of it."""
    network = network_of(state, rdid)
    return _edge(state, server_id, network) if network is not None else None


def _edge(state: State, server_id: str, network: Network) -> EdgeNetwork | None:
    gateway = virtual_gateway_of(state, network)
    if gateway is None:
        return None
    p = gateway.properties
    order = places(state, network, p)
    own = next((address for server, address in order if server == server_id.lower()), None)
    if own is None:
        return None
    subnets = [subnet_of(network, last_id(ref)) for ref in p.gateway_subnets]
    prefixes = [ipaddress.ip_network(one.properties.address_prefix, strict=False) for one in subnets if one is not None]
    return EdgeNetwork(
        rdid=Rdid(network.properties.routing_domain_number),
        resource_ref=f"/virtualGateways/{gateway.resource_id}",
        vsid=gateway_vsid(network, p),
        mac=Mac(int(p.gateway_mac_address, 16)),
        addresses=tuple(
            (pack_ip(text), prefix.prefixlen) for text, prefix in zip(p.gateway_addresses, prefixes, strict=True)
        ),
        routers=tuple(PackedIp(gateway_of(prefix).packed) for prefix in prefixes),
        prefixes=tuple(
            packed_prefix(one.properties.address_prefix)
            for member in (network, *users_of(state, network))
            for one in member.properties.subnets
        ),
        provider_address=own,
        gateways=tuple(address for _, address in order),
        legs=tuple(_legs(state, network, p)),
        tunnels=tuple(_tunnels(state, p)),
    )


def mappings(state: State, network: Network) -> Iterator[tuple[PackedIp, PackedIp]]:
    """(Public, customer address) of every ipConfiguration of the network that has both."""
    for ref in state.uses.of(f"/virtualNetworks/{network.resource_id}{PUBLIC}"):
        one = state.find_ref(ref)
        public = state.find_ref(lower(one.properties.public_ip_address)) if one is not None else None
        if one is not None and public is not None and one.properties.private_ip_address:
            yield pack_ip(public.properties.ip_address), pack_ip(one.properties.private_ip_address)


def _legs(state: State, network: Network, p: VirtualGatewayProperties) -> Iterator[EdgeLeg]:
    """One for each logical subnet that the network has an address in, by their references."""
    legs: dict[str, EdgeLeg] = {}
    public = _public_address(state, p.nat.public_ip_address) if p.nat.enabled else NOWHERE
    if public:
        leg = _leg_of(state, legs, _public_subnet(state, public))
        if leg is not None:
            legs[leg.subnet.lower()] = msgspec.structs.replace(leg, nat=public, addresses=(*leg.addresses, public))
    for outside, inside in (one for member in (network, *users_of(state, network)) for one in mappings(state, member)):
        leg = _leg_of(state, legs, _public_subnet(state, outside))
        if leg is not None:
            both = (*leg.mappings, (outside, inside))
            legs[leg.subnet.lower()] = msgspec.structs.replace(leg, mappings=both, addresses=(*leg.addresses, outside))
    legs = _joined_legs(state, legs, p)
    for name in sorted(legs):
        yield legs[name]


def _joined_legs(state: State, legs: dict[str, EdgeLeg], p: VirtualGatewayProperties) -> dict[str, EdgeLeg]:
    """These legs, with the L3 connections."""
    found = dict(legs)
    for one in _enabled(p, "L3"):
        assert one.l3_configuration is not None
        leg = _leg_of(state, found, lower(one.l3_configuration.vlan_subnet))
        if leg is not None:
            found[leg.subnet.lower()] = _joined(leg, one)
    return found


def _enabled(p: VirtualGatewayProperties, kind: str) -> Iterator[NetworkConnectionProperties]:
    for one in sorted(p.network_connections, key=lambda one: one.resource_id):
        if one.properties.connection_type == kind and one.properties.connection_status == "Enabled":
            yield one.properties


def _joined(leg: EdgeLeg, one: NetworkConnectionProperties) -> EdgeLeg:
    """With an L3 connection in its subnet. Of two limits the lower one holds: the leg is one."""
    hop = one.peer_ip_addresses[0] if one.peer_ip_addresses else ""
    routes = [_route(route, pack_ip(route.next_hop or hop)) for route in one.routes]
    return msgspec.structs.replace(
        leg,
        addresses=(*leg.addresses, *(pack_ip(own.ip_address) for own in one.ip_addresses)),
        # what a release let in that did not compare families, and no host can have, is left out
        routes=(*leg.routes, *(route for route in routes if len(route.next_hop) == len(route.prefix))),
        outbound_kbps=_lower(leg.outbound_kbps, one.outbound_kilo_bits_per_second),
        inbound_kbps=_lower(leg.inbound_kbps, one.inbound_kilo_bits_per_second),
    )


def _lower(one: int, other: int) -> int:
    return min(one, other) if one and other else one or other


def _route(route: ConnectionRoute, hop: PackedIp) -> EdgeRoute:
    prefix, length = packed_prefix(route.destination_prefix)
    return EdgeRoute(prefix, length, hop, route.metric)


def _public_address(state: State, ref: Ref | None) -> PackedIp:
    found = state.find_ref(lower(ref)) if ref is not None else None
    return pack_ip(found.properties.ip_address) if found is not None else NOWHERE


def _public_subnet(state: State, address: PackedIp) -> str:
    """Reference, lower case, of the public subnet that holds an address."""
    number, version = int.from_bytes(address), 4 if len(address) == 4 else 6
    for key, segment in sorted(state.addresses.public_segments.items()):
        if segment.version == version and segment.first <= number <= segment.last:
            return key
    return ""


def _leg_of(state: State, legs: dict[str, EdgeLeg], ref: str) -> EdgeLeg | None:
    if ref in legs:
        return legs[ref]
    found, segment = (state.find_ref(ref), state.segment(ref)) if ref else (None, None)
    if found is None or segment is None:
        return None
    subnet: LogicalSubnetProperties = found.properties
    prefix, length = packed_prefix(subnet.address_prefix)
    return EdgeLeg(segment.ref, subnet.vlan_id, prefix, length, _gateway_in(subnet), ())


def _gateway_in(subnet: LogicalSubnetProperties) -> PackedIp:
    return pack_ip(subnet.default_gateways[0]) if subnet.default_gateways else NOWHERE


def _tunnels(state: State, p: VirtualGatewayProperties) -> Iterator[EdgeTunnel]:
    vips: dict[str, LogicalSubnetProperties] = {}
    for pool_ref in p.gateway_pools:
        pool = state.find_ref(pool_ref.resource_ref)
        for ref in pool.properties.ip_configuration.gre_vip_subnets if pool is not None else ():
            subnet = state.find_ref(ref.resource_ref)
            if subnet is not None:
                vips[lower(ref)] = subnet.properties
    for named in sorted(p.network_connections, key=lambda one: one.resource_id):
        one = named.properties
        if one.connection_type != "GRE" or one.connection_status != "Enabled" or not one.source_ip_address:
            continue
        local = ipaddress.ip_address(one.source_ip_address)
        vip = next((v for v in vips.values() if local in ipaddress.ip_network(v.address_prefix, strict=False)), None)
        if vip is None or not one.destination_ip_address:
            continue
        key = one.gre_configuration.gre_key if one.gre_configuration is not None else ""
        yield EdgeTunnel(
            name=named.resource_id,
            local=pack_ip(one.source_ip_address),
            remote=pack_ip(one.destination_ip_address),
            vlan=vip.vlan_id,
            local_length=packed_prefix(vip.address_prefix)[1],
            gateway=_gateway_in(vip),
            key_value=int(key) if key else -1,
            addresses=tuple((pack_ip(own.ip_address), own.prefix_length) for own in one.ip_addresses),
            routes=tuple(_route(route, NOWHERE) for route in one.routes),
            outbound_kbps=one.outbound_kilo_bits_per_second,
            inbound_kbps=one.inbound_kilo_bits_per_second,
        )
