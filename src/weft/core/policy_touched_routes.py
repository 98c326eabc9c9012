"""Which user routes a commit may have changed: a part of core.policy_touched.

Every network that a change can reach is seen in all the versions that it had in the commit and the one that it has now,
with its tables in all of theirs.
"""

from collections.abc import Iterable, Iterator, Mapping

from weft.core.changes import ResourceChange
from weft.core.gateway_places import network_id
from weft.core.index import last_id
from weft.core.policy_places import NETWORKS, Network
from weft.core.policy_routes import TABLES, RouteTable, routes_of
from weft.core.state import State
from weft.model.kinds import VIRTUAL_GATEWAYS
from weft.model.records import RecordKey
from weft.model.resources import AnyResource

Stream = tuple[str, int | str]
Versions = Mapping[tuple[str, str], list[AnyResource]]
"""Every version of a resource in the commit, by kind and id in lower case."""


def touched(state: State, changes: Iterable[ResourceChange], versions: Versions) -> Iterator[tuple[Stream, RecordKey]]:
    """Keys of user routes."""
    reached: dict[str, None] = {}
    for change in changes:
        if change.kind == NETWORKS and _routing(change.before) != _routing(change.after):
            reached[change.id.lower()] = None
        elif change.kind == VIRTUAL_GATEWAYS.name:
            found = (one for one in (change.before, change.after) if one is not None)
            reached.update({network_id(one): None for one in found})
        elif change.kind == TABLES:
            routed = state.subnets_with_table(f"/{TABLES}/{change.id}")
            reached.update({network.resource_id.lower(): None for network, _ in routed})
    for name in reached:
        for network in seen(state, NETWORKS, name, versions):
            stream = ("network", network.properties.routing_domain_number)
            for key in _keys(state, network, versions):
                yield stream, key


def seen(state: State, kind: str, resource_id: str, versions: Versions) -> list[AnyResource]:
    """Every version of a resource in this commit, and the one it has now."""
    now = state.get(kind, resource_id)
    return [*versions.get((kind, resource_id.lower()), ()), *([now] if now is not None else [])]


def _keys(state: State, network: Network, versions: Versions) -> Iterator[RecordKey]:
    for subnet in network.properties.subnets:
        name = last_id(subnet.properties.route_table)
        tables: list[RouteTable] = seen(state, TABLES, name, versions) if name else []
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
