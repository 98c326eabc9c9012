"""What hosts say of gateways, put together: which are alive, and which one carries a network.

Called by the API for answers and traces. Level: it says how things stand at the question.
"""

from collections.abc import Callable

from weft.control.hosts import HostView
from weft.core.policy_places import SERVERS
from weft.core.state import State
from weft.model.values import PackedIp, Rdid, pack_ip

HEALTHY, DEAD, UNKNOWN = "Healthy", "Dead", "Unknown"

Hosts = Callable[[str], HostView]


def health_of(state: State, host: Hosts, gateway: str) -> str:
    """Of a gateway, by its id in lower case: what hosts say that ask it; if none does, is its agent here?"""
    places = state.index.gateways
    server = places.servers.get(gateway, "")
    own = state.get(SERVERS, server)
    addresses = {pack_ip(text) for text in own.properties.provider_addresses} if own is not None else set()
    askers = {name for network in places.networks(gateway) for name in state.servers_of(network)} - {server}
    views = [view for view in map(host, sorted(askers)) if view.connected]
    told = [fact.alive for view in views for fact in view.facts.gateways if fact.provider_address in addresses]
    if told:
        return HEALTHY if any(told) else DEAD
    return HEALTHY if host(server).connected else UNKNOWN


def carrier_of(state: State, host: Hosts, network_id: str, gateways: tuple[str, ...]) -> str:
    """Id of the gateway that carries a network, by its own word, and is not dead; empty for none. `gateways` are ids in
    order."""
    network = state.get("virtualNetworks", network_id)
    rdid = Rdid(network.properties.routing_domain_number) if network is not None else Rdid(0)
    for gateway in gateways:
        view = host(state.index.gateways.servers.get(gateway, ""))
        if view.connected and rdid in view.facts.carries and health_of(state, host, gateway) != DEAD:
            return gateway
    return ""


def dead_for(host: Hosts, server: str) -> frozenset[PackedIp]:
    """Provider addresses of the gateways that a host finds dead."""
    return frozenset(fact.provider_address for fact in host(server).facts.gateways if not fact.alive)
