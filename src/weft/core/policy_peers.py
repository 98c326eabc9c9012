"""Networks that are routed to each other: which hosts need a network because of that, and what they are told of it.

Called by the other policy modules and by control. Pure reads of the state; the cost is that of a network's peerings.
"""

from collections.abc import Iterator

from weft.core.peerings import routed
from weft.core.policy_places import NETWORKS, Network, known
from weft.core.state import State
from weft.model.records import PeerNetwork
from weft.model.values import Rdid


def peer_networks(state: State, network: Network) -> Iterator[PeerNetwork]:
    """What a network's stream says of its peers."""
    for _, back, remote in routed(state, network):
        rdid = Rdid(remote.properties.routing_domain_number)
        yield PeerNetwork(rdid, f"/virtualNetworks/{remote.resource_id}", back.properties.allow_forwarded_traffic)


def servers_near(state: State, network: Network) -> dict[str, None]:
    """Ids, lower case, of the servers that need a network: with a port in it or in a peer."""
    found = dict.fromkeys(state.servers_of(network.resource_id))
    for _, _, remote in routed(state, network):
        found.update(dict.fromkeys(state.servers_of(remote.resource_id)))
    return found


def networks_near(state: State, server_id: str) -> list[Network]:
    """The networks that a server needs: those of its ports first, then their peers."""
    own: list[Network] = [known(state, NETWORKS, name) for name in state.networks_on(server_id)]
    found = {one.resource_id.lower(): one for one in own}
    for network in own:
        for _, _, remote in routed(state, network):
            found.setdefault(remote.resource_id.lower(), remote)
    return list(found.values())
