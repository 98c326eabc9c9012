"""Which records of networks' ways out a commit may have changed: a part of core.policy_touched.

Every virtual gateway that a change can reach is seen in all the versions that it had in the commit and the one that it
has now, on every server that any of them names.
"""

from collections.abc import Iterable, Iterator

from weft.core.changes import ResourceChange
from weft.core.gateway_places import network_id
from weft.core.index import last_id
from weft.core.policy_places import NETWORKS, SERVERS, Network, subnet_of
from weft.core.policy_touched_addresses import of_server
from weft.core.policy_touched_routes import peer_ids
from weft.core.policy_touched_versions import Versions
from weft.core.state import State
from weft.model.kinds import GATEWAY_POOLS, GATEWAYS, PUBLIC_IP_ADDRESSES, VIRTUAL_GATEWAYS, resource_ref
from weft.model.records import RecordKey
from weft.model.resources import AnyResource

Stream = tuple[str, int | str]

_ANYWHERE = (bytes(4), bytes(16))
"""Of the default route of each family."""


def touched(state: State, changes: Iterable[ResourceChange], versions: Versions) -> Iterator[tuple[Stream, RecordKey]]:
    """Keys of gateway records, default routes, tunnel endpoints, needed networks and edges."""
    reached: dict[str, None] = {}
    for change in changes:
        reached.update(dict.fromkeys(_networks(state, change)))
    # a network's way out may be a peer's, and a peer's edge has its prefixes and public addresses
    for name in dict.fromkeys([*reached, *(peer for one in reached for peer in peer_ids(one, versions))]):
        gateways = virtual_gateways(state, name, versions)
        servers = set(_servers(gateways, versions))
        for network in versions.seen(NETWORKS, name):
            yield from _keys(state, network, gateways, servers, versions)
            for peer in peer_ids(name, versions):
                for key in _default_routes(state, peer, versions):
                    yield ("network", network.properties.routing_domain_number), key


def _networks(state: State, change: ResourceChange) -> Iterator[str]:
    """Ids, lower case, of the networks whose way out a change can reach."""
    resources = [one for one in (change.before, change.after) if one is not None]
    if change.kind == NETWORKS:
        return iter((change.id.lower(),))
    if change.kind == VIRTUAL_GATEWAYS.name:
        return map(network_id, resources)
    if change.kind == "networkInterfaces":
        return _public_places(resources)
    if change.kind in ("logicalNetworks", GATEWAY_POOLS.name):
        # rare, and virtual gateways are few beside networks
        return map(network_id, state.all(VIRTUAL_GATEWAYS.name))
    return _networks_outside(state, change)


def _networks_outside(state: State, change: ResourceChange) -> Iterator[str]:
    places, own = state.index.gateways, change.id.lower()
    if change.kind == GATEWAYS.name:
        yield from places.networks(own)
    elif change.kind == SERVERS:
        for gateway, server in places.servers.items():
            if server == own:
                yield from places.networks(gateway)
    elif change.kind == PUBLIC_IP_ADDRESSES.name:
        for user in state.uses.of(resource_ref(PUBLIC_IP_ADDRESSES, change.id)):
            yield from _network_of_user(state, user)


def _public_places(interfaces: Iterable[AnyResource]) -> Iterator[str]:
    for one in interfaces:
        for configuration in one.properties.ip_configurations:
            if configuration.properties.public_ip_address is not None:
                yield _network_of(configuration.properties.subnet)


def _network_of(subnet: object) -> str:
    return str(getattr(subnet, "resource_ref", "")).lower().partition("/subnets/")[0].rpartition("/")[2]


def _network_of_user(state: State, user: str) -> Iterator[str]:
    found = state.find_ref(user)
    if found is not None and user.lower().startswith("/virtualgateways/"):
        yield network_id(found)
    elif found is not None and "/ipconfigurations/" in user.lower():
        yield _network_of(found.properties.subnet)


def virtual_gateways(state: State, network: str, versions: Versions) -> list[AnyResource]:
    """All that any version of the network had."""
    found = [one for one in versions.changed_of(VIRTUAL_GATEWAYS.name) if network_id(one) == network]
    for ref in state.uses.of(f"/virtualNetworks/{network}", VIRTUAL_GATEWAYS.name):
        now = state.find_ref(ref)
        found += [now] if now is not None else []
    return found


def _servers(gateways: Iterable[AnyResource], versions: Versions) -> Iterator[str]:
    for one in gateways:
        for ref in one.properties.gateways:
            yield from (last_id(each.properties.server) for each in versions.seen(GATEWAYS.name, last_id(ref)))


def _keys(
    state: State, network: Network, gateways: list[AnyResource], servers: set[str], versions: Versions
) -> Iterator[tuple[Stream, RecordKey]]:
    rdid = network.properties.routing_domain_number
    stream = ("network", rdid)
    if gateways:
        yield stream, (8,)
    for key in _default_routes_of(network, gateways):
        yield stream, key
    for server in servers:
        yield ("host", server), (12, rdid)
        yield ("host", server), (21, rdid)
        for address in of_server(state, server, versions):
            yield stream, (4, address)


def _default_routes(state: State, name: str, versions: Versions) -> Iterator[RecordKey]:
    """To the gateways of a network, by its id."""
    gateways = virtual_gateways(state, name, versions)
    for network in versions.seen(NETWORKS, name) if gateways else ():
        yield from _default_routes_of(network, gateways)


def _default_routes_of(network: Network, gateways: Iterable[AnyResource]) -> Iterator[RecordKey]:
    for one in gateways:
        subnet = subnet_of(network, last_id(one.properties.gateway_subnets[0]))
        if subnet is not None:
            for zeros in _ANYWHERE:
                yield (3, subnet.properties.virtual_subnet_id, zeros, 0)
