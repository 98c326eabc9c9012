"""Which user routes, peers and encryption of networks a commit may have changed: a part of core.policy_touched.

Every network that a change can reach is seen in all the versions that it had in the commit and the one that it has now,
with its tables in all of theirs.
"""

from collections.abc import Iterable, Iterator

from weft.core.changes import ResourceChange
from weft.core.encryption import asks_for_it
from weft.core.gateway_places import network_id
from weft.core.index import last_id
from weft.core.policy_places import NETWORKS, Network, network_of
from weft.core.policy_routes import TABLES, RouteTable, routes_of
from weft.core.policy_touched_addresses import of_server
from weft.core.policy_touched_versions import Versions
from weft.core.state import State
from weft.model.kinds import VIRTUAL_GATEWAYS
from weft.model.records import RecordKey

Stream = tuple[str, int | str]

_Named = tuple[Stream, RecordKey]
_ENDPOINT, _PEER, _NEEDED = 4, 6, 12
"""Tags of records."""


def touched(state: State, changes: Iterable[ResourceChange], versions: Versions) -> Iterator[tuple[Stream, RecordKey]]:
    """Keys of user routes, and of what peerings change."""
    for change in changes:
        if change.kind == NETWORKS and _peered(change.before) != _peered(change.after):
            yield from _joined(state, change.id, versions)
    for name in dict.fromkeys(_reached(state, changes, versions)):
        for network in versions.seen(NETWORKS, name):
            stream = ("network", network.properties.routing_domain_number)
            for key in _keys(network, versions):
                yield stream, key


def _reached(state: State, changes: Iterable[ResourceChange], versions: Versions) -> Iterator[str]:
    """Ids, lower case, of the networks whose user routes changes can reach; some more than once."""
    for change in changes:
        if change.kind == NETWORKS:
            yield from _routed_anew(change, versions)
        elif change.kind == VIRTUAL_GATEWAYS.name:
            for name in (network_id(one) for one in (change.before, change.after) if one is not None):
                yield name
                # a peer may leave by the same gateway
                yield from peer_ids(name, versions)
        elif change.kind == TABLES:
            for network, _ in state.subnets_with_table(f"/{TABLES}/{change.id}"):
                yield network.resource_id.lower()


def _routed_anew(change: ResourceChange, versions: Versions) -> Iterator[str]:
    """Ids of networks whose user routes a change of a network can reach: its own, and its peers' that leave by it."""
    if _peered(change.before) != _peered(change.after) or _routing(change.before) != _routing(change.after):
        yield change.id.lower()
        yield from peer_ids(change.id, versions)


def peer_ids(network_id: str, versions: Versions) -> dict[str, None]:
    """Ids, lower case, of the networks that any version of a network names as its peers."""
    found = versions.seen(NETWORKS, network_id)
    sides = (side for one in found for side in one.properties.virtual_network_peerings)
    return dict.fromkeys(last_id(side.properties.remote_virtual_network) for side in sides)


def beyond(state: State, found: Iterable[tuple[Stream, RecordKey]], versions: Versions) -> Iterator[_Named]:
    """What follows for the peers of a network from a server that has come to need it, or not: the same."""
    near: dict[int, tuple[int, ...]] = {}
    changed = versions.changed_of(NETWORKS)
    for stream, key in found:
        rdid = key[1] if key[0] == _NEEDED else stream[1] if key[0] == _ENDPOINT else None
        if not isinstance(rdid, int):
            continue
        if rdid not in near:
            near[rdid] = tuple(_peers_by_number(state, rdid, changed, versions))
        for other in near[rdid]:
            yield (stream, (_NEEDED, other)) if key[0] == _NEEDED else (("network", other), key)


def encryption_reaches(state: State, network_id: str, versions: Versions) -> dict[str, None]:
    """Ids, lower case, of all networks that hung together with one, or do now, if one of them is, or was, to be
    encrypted: so are all of them."""
    if not state.index.networks.sealed and not any(map(asks_for_it, versions.changed_of(NETWORKS))):
        return {}
    found, due = {network_id.lower(): None}, [network_id.lower()]
    asked = False
    while due:
        name = due.pop()
        asked = asked or any(map(asks_for_it, versions.seen(NETWORKS, name)))
        fresh = [one for one in peer_ids(name, versions) if one not in found]
        found |= dict.fromkeys(fresh)
        due += fresh
    return found if asked else {}


def _peers_by_number(state: State, rdid: int, changed: Iterable[Network], versions: Versions) -> Iterator[int]:
    now = network_of(state, rdid)
    for network in (*changed, *([now] if now is not None else [])):
        if network.properties.routing_domain_number == rdid:
            for peer in _peers(network, versions):
                yield peer.properties.routing_domain_number


def _peers(network: Network, versions: Versions) -> Iterator[Network]:
    """Every version of the networks that a version of a network has peerings to."""
    for one in network.properties.virtual_network_peerings:
        yield from versions.seen(NETWORKS, last_id(one.properties.remote_virtual_network))


def _joined(state: State, network_id: str, versions: Versions) -> Iterator[_Named]:
    """A network's peerings have changed, or what its peers are told of it."""
    for network in versions.seen(NETWORKS, network_id):
        for peer in _peers(network, versions):
            for one, other in ((network, peer), (peer, network)):
                rdid = other.properties.routing_domain_number
                yield ("network", one.properties.routing_domain_number), (_PEER, rdid)
                for server_id in state.servers_of(one.resource_id):
                    yield ("host", server_id), (_NEEDED, rdid)
                    for address in of_server(state, server_id, versions):
                        yield ("network", rdid), (_ENDPOINT, address)


def _peered(network: Network | None) -> object:
    """What of a network its peers depend on."""
    if network is None:
        return None
    p = network.properties
    logical = last_id(p.logical_network)
    return p.routing_domain_number, network.resource_id, network.instance_id, logical, p.virtual_network_peerings


def _keys(network: Network, versions: Versions) -> Iterator[RecordKey]:
    for subnet in network.properties.subnets:
        name = last_id(subnet.properties.route_table)
        tables: list[RouteTable] = versions.seen(TABLES, name) if name else []
        for table in tables:
            for route in routes_of(network, subnet, table):
                yield route.record.key


def _routing(network: Network | None) -> object:
    """What of a network its user routes depend on."""
    if network is None:
        return None
    subnets = (one.properties for one in network.properties.subnets)
    found = tuple((one.virtual_subnet_id, one.address_prefix, last_id(one.route_table)) for one in subnets)
    return network.properties.routing_domain_number, found
