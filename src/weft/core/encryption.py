"""Which networks' tunnels are to be encrypted, which servers can do that, and what crosses a public network in clear.

Called by core.decide, by policy, by core.conflicts and by the API. Pure. IPsec is between two hosts' provider addresses
(RFC 4301), so it is a whole network that is encrypted as soon as one of its subnets is, and with it all that hang
together with it by peerings: what a packet's sender asks and what its receiver asks is then the same.
"""

import functools
import ipaddress
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from weft.core.index import last_id
from weft.core.peerings import VirtualNetwork, remote_of
from weft.core.rewriting import is_rewriting
from weft.core.state import State
from weft.model.fabric import LogicalSubnetProperties, ServerProperties
from weft.model.kinds import LOGICAL_NETWORKS, SERVERS, VIRTUAL_NETWORKS
from weft.model.resources import Resource
from weft.model.values import pack_ip

Server = Resource[ServerProperties]

NOT_SAID = "its agent has not said that it can: it is older than that, drives Hyper-V, or has never connected"
"""Of a server of which nothing is known."""


def asks_for_it(network: VirtualNetwork) -> bool:
    """Has it a subnet with encryptionEnabled itself?"""
    return any(one.properties.encryption_enabled for one in network.properties.subnets)


def is_encrypted(state: State, network: VirtualNetwork) -> bool:
    """By itself, or by one that it hangs together with."""
    if not state.index.networks.sealed:
        return asks_for_it(network)
    return any(asks_for_it(one) for one in together(state, network))


def together(state: State, *networks: VirtualNetwork) -> Iterator[VirtualNetwork]:
    """Networks and all that hang together with them by peerings that are Connected, the nearest first. Costs by their
    peerings, however many meet at one."""
    found = {one.resource_id.lower(): one for one in networks}
    due = deque(networks)
    sides: dict[str, dict[str, str]] = {}
    while due:
        one = due.popleft()
        yield one
        for peering in one.properties.virtual_network_peerings:
            remote = remote_of(state, peering)
            if remote is None or (key := remote.resource_id.lower()) in found:
                continue
            back = sides.setdefault(key, _remotes(remote))
            if back.get(one.resource_id.lower()) == one.instance_id:
                found[key] = remote
                due.append(remote)


def _remotes(network: VirtualNetwork) -> dict[str, str]:
    """Ids, lower case, and instance ids of the networks that it has peerings to."""
    sides = (one.properties for one in network.properties.virtual_network_peerings)
    return {last_id(one.remote_virtual_network): one.remote_instance_id for one in sides}


def _all_encrypted(state: State) -> set[str]:
    """Ids, lower case."""
    asking = (state.get(VIRTUAL_NETWORKS.name, name) for name in state.index.networks.sealed)
    return {one.resource_id.lower() for one in together(state, *(one for one in asking if one is not None))}


def why_not(server: Server) -> str:
    """Why a server's tunnels cannot be encrypted; empty if they can."""
    told = server.properties.provider_network
    if told is None:
        return NOT_SAID
    return "" if told.tunnel_encryption.available else told.tunnel_encryption.reason or NOT_SAID


def unable(state: State, servers: Iterable[str]) -> list[str]:
    """Of these servers, by id, those that cannot encrypt, with the reason, in words."""
    found = (state.get(SERVERS.name, one) for one in dict.fromkeys(servers))
    return [f"{one.resource_id} ({why})" for one in found if one is not None and (why := why_not(one))]


def crossed_in_clear(state: State) -> Iterator[tuple[str, str, list[VirtualNetwork]]]:
    """Provider subnets with isPublic: reference, prefix, and the networks whose tunnels cross them unencrypted."""
    encrypted = _all_encrypted(state)
    for logical in state.all(LOGICAL_NETWORKS.name):
        if not logical.properties.network_virtualization_enabled:
            continue
        for subnet in logical.properties.subnets:
            if subnet.properties.is_public and subnet.properties.address_prefix:
                found = _crossing(state, subnet.properties, encrypted)
                if found:
                    ref = f"/logicalNetworks/{logical.resource_id}/subnets/{subnet.resource_id}"
                    yield ref, subnet.properties.address_prefix, found


def crosses_in_clear(state: State, network: VirtualNetwork) -> list[str]:
    """References of the provider subnets with isPublic that a network's tunnels cross unencrypted."""
    logical = state.get(LOGICAL_NETWORKS.name, last_id(network.properties.logical_network))
    if logical is None:
        return []
    public = [one for one in logical.properties.subnets if one.properties.is_public]
    if not public or not _has_tunnels(state, network) or is_encrypted(state, network):
        return []
    servers = (state.get(SERVERS.name, name) for name in state.servers_of(network.resource_id))
    own = [text for one in servers if one is not None for text in one.properties.provider_addresses]
    return [
        f"/logicalNetworks/{logical.resource_id}/subnets/{one.resource_id}"
        for one in public
        if one.properties.address_prefix and _any_in(own, one.properties.address_prefix)
    ]


def _any_in(addresses: Iterable[str], prefix: str) -> bool:
    """Does one of these addresses lie in a prefix? Asked of every server for each report of conflicts."""
    first, last = _ends(prefix)
    return any(len(one) == len(first) and first <= one <= last for one in map(pack_ip, addresses))


@functools.lru_cache(maxsize=1 << 10)
def _ends(prefix: str) -> tuple[bytes, bytes]:
    network = ipaddress.ip_network(prefix, strict=False)
    return network.network_address.packed, network.broadcast_address.packed


def _crossing(state: State, subnet: LogicalSubnetProperties, encrypted: set[str]) -> list[VirtualNetwork]:
    found: dict[str, VirtualNetwork] = {}
    for server in state.all(SERVERS.name):
        if not _any_in(server.properties.provider_addresses, subnet.address_prefix):
            continue
        for name in state.networks_on(server.resource_id):
            network: Any = state.get(VIRTUAL_NETWORKS.name, name)
            if network is not None and name not in encrypted and _has_tunnels(state, network):
                found[name] = network
    return [found[name] for name in sorted(found)]


def _has_tunnels(state: State, network: VirtualNetwork) -> bool:
    return not is_rewriting(network.properties) and len(state.servers_of(network.resource_id)) > 1
