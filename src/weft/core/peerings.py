"""virtualNetworkPeerings (MS-NCNBI 3.1.5.18.3): what state a peering is in, and which networks it joins. Pure.

Both follow from what the two networks say of each other now. Called by the API's answers, core.decide and policy.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any, Protocol

from weft.core.index import last_id
from weft.model.resources import Resource
from weft.model.tenancy import VirtualNetworkPeeringProperties, VirtualNetworkProperties

VirtualNetwork = Resource[VirtualNetworkProperties]
Peering = Resource[VirtualNetworkPeeringProperties]


class Resources(Protocol):
    """A state, or what a command makes of it (core.decide.draft)."""

    def get(self, kind: str, resource_id: str) -> Any | None:
        """A top-level resource."""


INITIATED, CONNECTED, DISCONNECTED = "Initiated", "Connected", "Disconnected"


def remote_of(state: Resources, peering: Peering) -> VirtualNetwork | None:
    """The other network, if the one that was meant still exists."""
    p = peering.properties
    found: VirtualNetwork | None = state.get("virtualNetworks", last_id(p.remote_virtual_network))
    return found if found is not None and found.instance_id == p.remote_instance_id else None


def peering_to(network: VirtualNetwork, other_id: str) -> Peering | None:
    """A network's peering to another, by that one's id."""
    wanted = other_id.lower()
    for peering in network.properties.virtual_network_peerings:
        if last_id(peering.properties.remote_virtual_network) == wanted:
            return peering
    return None


def counterpart(state: Resources, network: VirtualNetwork, peering: Peering) -> Peering | None:
    """The other side of a peering of `network`; None while the other network does not refer back to this very one."""
    remote = remote_of(state, peering)
    back = peering_to(remote, network.resource_id) if remote is not None else None
    return back if back is not None and back.properties.remote_instance_id == network.instance_id else None


def state_of(state: Resources, network: VirtualNetwork, peering: Peering) -> str:
    """Initiated: the other side has no peering yet. Disconnected: it had one, or the other network is gone."""
    if counterpart(state, network, peering) is not None:
        return CONNECTED
    gone = peering.properties.matched or remote_of(state, peering) is None
    return DISCONNECTED if gone else INITIATED


def why_not_by_peering(state: Resources, network: VirtualNetwork, address: IPv4Address | IPv6Address) -> str:
    """Which peering would lead to an address, and why it does not, as the end of a sentence; empty without any."""
    for peering in network.properties.virtual_network_peerings:
        remote = remote_of(state, peering)
        if remote is None or not _has(remote, address):
            continue
        found = state_of(state, network, peering)
        why = f"is {found}" if found != CONNECTED else "is without allowVirtualNetworkAccess at one side or both"
        return f"; its peering {peering.resource_id} with /virtualNetworks/{remote.resource_id} {why}"
    return ""


def _has(network: VirtualNetwork, address: IPv4Address | IPv6Address) -> bool:
    return any(address in ip_network(prefix) for prefix in network.properties.address_space.address_prefixes)


def routed(state: Resources, network: VirtualNetwork) -> Iterator[tuple[Peering, Peering, VirtualNetwork]]:
    """As connected(), of those over which packets go: both sides allow it."""
    for own, back, remote in connected(state, network):
        if own.properties.allow_virtual_network_access and back.properties.allow_virtual_network_access:
            yield own, back, remote


def connected(state: Resources, network: VirtualNetwork) -> Iterator[tuple[Peering, Peering, VirtualNetwork]]:
    """(Own side, other side, other network) of a network's peerings that are Connected."""
    for peering in network.properties.virtual_network_peerings:
        back, remote = counterpart(state, network, peering), remote_of(state, peering)
        if back is not None and remote is not None:
            yield peering, back, remote
