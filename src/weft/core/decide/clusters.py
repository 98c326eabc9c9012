"""PUT and DELETE of clusters: servers as a group, from which a new machine's server is chosen.

A server is in one cluster at most. A machine's cluster is its server's. Called through core.decide.puts, and by
core.decide.creating.
"""

from collections.abc import Callable, Container
from typing import Any

import msgspec

from weft.core.decide.draft import Draft
from weft.core.decide.envelope import new_etag
from weft.core.index import last_id, lower
from weft.core.state import State
from weft.core.words import no_server, see_all
from weft.model.errors import Conflict, Invalid, InvalidReference
from weft.model.fabric import ClusterProperties
from weft.model.kinds import CLUSTERS
from weft.model.resources import Ref, Resource

Cluster = Resource[ClusterProperties]


def settle(draft: Draft, sent: Cluster, old: Cluster | None) -> ClusterProperties:
    """With its servers in canonical spelling. Raises InvalidReference, Invalid, Conflict (ServerInAnotherCluster)."""
    refs: list[Ref] = []
    for ref in sent.properties.servers:
        server = draft.state.get("servers", last_id(ref)) if lower(ref) == f"/servers/{last_id(ref)}" else None
        if server is None:
            raise InvalidReference(no_server(ref.resource_ref), target="servers")
        canonical = Ref(resource_ref=f"/servers/{server.resource_id}")
        if canonical in refs:
            raise Invalid(f"{canonical.resource_ref} is named twice.", target="servers")
        other = draft.state.index.servers.cluster_of.get(server.resource_id.lower(), "")
        if other and other != sent.resource_id.lower():
            raise Conflict(
                f"{canonical.resource_ref} is in /weft/clusters/{other} already: take it from there first.",
                code="ServerInAnotherCluster",
                target="servers",
            )
        refs.append(canonical)
    return ClusterProperties(servers=tuple(refs), failover_cluster=sent.properties.failover_cluster)


def remove(draft: Draft, old: Cluster) -> None:
    """It only groups: its servers and their machines stay."""


def leave(draft: Draft, server: str) -> None:
    """A server that goes is in no cluster any more."""
    name = draft.state.index.servers.cluster_of.get(server.lower())
    cluster: Cluster | None = draft.get(CLUSTERS.name, name) if name is not None else None
    if cluster is None:
        return
    rest = tuple(ref for ref in cluster.properties.servers if last_id(ref) != server.lower())
    properties = msgspec.structs.replace(cluster.properties, servers=rest)
    after = msgspec.structs.replace(cluster, etag=new_etag(draft.new_id), properties=properties)
    draft.put(CLUSTERS.name, cluster.resource_id.lower(), cluster, after)


def server_for(
    state: State, name: str, connected: Container[str], fits: Callable[[Resource[Any]], bool]
) -> Resource[Any]:
    """Where in a cluster a new machine goes: a server that it fits before others, a connected one before others, then
    the one with least machines, then the first by name. Raises InvalidReference, Conflict (ClusterIsEmpty)."""
    cluster: Cluster | None = state.get(CLUSTERS.name, name.rpartition("/")[2])
    if cluster is None:
        raise InvalidReference(f"There is no cluster '{name}'{see_all(CLUSTERS.name)}.", target="cluster")
    keys = [last_id(ref) for ref in cluster.properties.servers]
    if not keys:
        raise Conflict(f"/weft/clusters/{cluster.resource_id} has no server: put one into it.", code="ClusterIsEmpty")
    servers = {key: server for key in keys if (server := state.get("servers", key)) is not None}
    best = min(servers, key=lambda key: (not fits(servers[key]), key not in connected, state.count_on(key), key))
    return servers[best]
