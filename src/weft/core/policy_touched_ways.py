"""Which routes to a gateway inside the address space (core.policy_routes.ways_inside) a commit may have changed: a part
of core.policy_touched.

They follow from what a network's connections, or those of the peer whose gateway it uses, lead to, and from the address
space and the subnets of the network and its peers. All of that is seen in all the versions that it had in the commit.
What lies in no version of the address space is not named: most of what connections lead to is outside.
"""

import ipaddress
from collections.abc import Collection, Iterable, Iterator

from weft.core.changes import ResourceChange
from weft.core.gateway_places import network_id
from weft.core.index import last_id
from weft.core.policy_places import LOGICAL_NETWORKS, NETWORKS, packed_prefix, subnet_of
from weft.core.policy_touched_gateways import virtual_gateways
from weft.core.policy_touched_routes import peer_ids
from weft.core.policy_touched_versions import Versions
from weft.core.policy_versions import subnet_identity
from weft.core.state import State
from weft.model.fabric import LogicalNetworkProperties
from weft.model.gateways import GatewayPoolProperties, NetworkConnectionProperties, VirtualGatewayProperties
from weft.model.kinds import GATEWAY_POOLS, VIRTUAL_GATEWAYS
from weft.model.records import PackedPrefix, RecordKey
from weft.model.resources import AnyResource, Ref
from weft.model.tenancy import VirtualNetworkProperties
from weft.model.values import halves, lies_in

Stream = tuple[str, int | str]
_Way = tuple[int, PackedPrefix]
"""VSID of the gateway, and where it leads."""


def touched(state: State, changes: Iterable[ResourceChange], versions: Versions) -> Iterator[tuple[Stream, RecordKey]]:
    """Keys of these routes."""
    reached: dict[str, None] = {}
    for change in changes:
        if _what_counts(change.before) != _what_counts(change.after):
            reached.update(dict.fromkeys(_networks(state, change)))
    led: dict[str, set[_Way]] = {}
    for name in dict.fromkeys([*reached, *(peer for one in reached for peer in peer_ids(one, versions))]):
        around = (name, *peer_ids(name, versions))
        for whose in around:
            if whose not in led:
                led[whose] = _ways(state, whose, versions)
        inside = _inside({way for whose in around for way in led[whose]}, around, versions)
        for network in versions.seen(NETWORKS, name) if inside else ():
            for vsid, prefix in inside:
                yield ("network", network.properties.routing_domain_number), (3, vsid, *prefix)


def _inside(ways: Collection[_Way], around: Iterable[str], versions: Versions) -> list[_Way]:
    """Those that lie in the address space of any version of these networks."""
    texts = {
        text
        for name in (around if ways else ())
        for network in versions.seen(NETWORKS, name)
        for text in network.properties.address_space.address_prefixes
    }
    space = [ipaddress.ip_network(part) for text in texts for part in halves(*packed_prefix(text))]
    return [way for way in ways if any(lies_in(ipaddress.ip_network(way[1]), one) for one in space)]


def _what_counts(one: AnyResource | None) -> object:
    """What of a resource the routes follow from; of kinds that have no part in them all."""
    match one.properties if one is not None else None:
        case VirtualGatewayProperties() as p:
            return p.gateway_subnets, p.gateway_addresses, p.gateway_pools, p.network_connections
        case VirtualNetworkProperties() as p:
            assert one is not None
            subnets = [(*subnet_identity(each), each.resource_id.lower()) for each in p.subnets]
            return one.instance_id, p.routing_domain_number, p.address_space, p.virtual_network_peerings, subnets
        case LogicalNetworkProperties() as p:
            return [(each.resource_id.lower(), each.properties.address_prefix) for each in p.subnets]
        case GatewayPoolProperties() as p:
            return p.ip_configuration.gre_vip_subnets
    return one


def _networks(state: State, change: ResourceChange) -> Iterator[str]:
    """Ids, lower case, of the networks whose routes a change can reach, beside their peers."""
    if change.kind == NETWORKS:
        yield change.id.lower()
    elif change.kind == VIRTUAL_GATEWAYS.name:
        yield from (network_id(one) for one in (change.before, change.after) if one is not None)
    elif change.kind in (LOGICAL_NETWORKS, GATEWAY_POOLS.name):
        # rare, and virtual gateways are few beside networks
        yield from map(network_id, state.all(VIRTUAL_GATEWAYS.name))


def _ways(state: State, network_id: str, versions: Versions) -> set[_Way]:
    """All that any gateway of a network ever led to in the commit."""
    found: set[_Way] = set()
    for gateway in virtual_gateways(state, network_id, versions):
        p = gateway.properties
        prefixes = {part for one in p.network_connections for part in _led_to(one.properties, versions)}
        for network in versions.seen(NETWORKS, network_id) if prefixes else ():
            subnet = subnet_of(network, last_id(p.gateway_subnets[0]))
            if subnet is not None:
                found |= {(subnet.properties.virtual_subnet_id, one) for one in prefixes}
    return found


def _led_to(one: NetworkConnectionProperties, versions: Versions) -> Iterator[PackedPrefix]:
    whole = [packed_prefix(route.destination_prefix) for route in one.routes]
    whole += [packed_prefix(f"{own.ip_address}/{own.prefix_length}") for own in one.ip_addresses]
    if one.l3_configuration is not None:
        whole += _prefixes_of(one.l3_configuration.vlan_subnet, versions)
    return (part for each in whole for part in halves(*each))


def _prefixes_of(ref: Ref | None, versions: Versions) -> Iterator[PackedPrefix]:
    """Of a logical subnet."""
    parts = ref.resource_ref.strip("/").lower().split("/") if ref is not None else []
    for version in versions.seen(LOGICAL_NETWORKS, parts[1]) if len(parts) == 4 else ():
        for subnet in version.properties.subnets:
            # it had none before, perhaps
            if subnet.resource_id.lower() == parts[3] and subnet.properties.address_prefix:
                yield packed_prefix(subnet.properties.address_prefix)
