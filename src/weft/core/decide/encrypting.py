"""Where encryptionEnabled cannot be had, and why: by hosts that hold the network now, and by those that would.

Called by core.decide.virtual_networks and by whoever puts a machine on a server or an interface into a machine.
"""

from collections.abc import Iterable

from weft.core.decide.draft import Draft
from weft.core.encryption import Server, asks_for_it, is_encrypted, together, unable, why_not
from weft.core.index import last_id, lower
from weft.core.peerings import VirtualNetwork
from weft.core.rewriting import is_rewriting
from weft.core.state import State
from weft.model.errors import Conflict, Invalid
from weft.model.kinds import NETWORK_INTERFACES, SERVERS, VIRTUAL_NETWORKS
from weft.model.resources import Ref, Resource
from weft.model.workload import IpConfigurationProperties

NOT_AVAILABLE = "EncryptionNotAvailable"
_MOST_NAMED = 5


def check_encryption(state: State, new: VirtualNetwork, old: VirtualNetwork | None) -> None:
    """A network that is encrypted from now on, by itself or by one that it hangs together with. Hosts that could before
    and can no longer refuse no other change. Raises Invalid, Conflict (EncryptionNotAvailable)."""
    ref = f"/virtualNetworks/{new.resource_id}"
    if asks_for_it(new) and is_rewriting(new.properties):
        raise Invalid(
            f"{ref} rewrites addresses instead of tunnelling: there is no tunnel to encrypt.",
            code=NOT_AVAILABLE,
            target="encryptionEnabled",
        )
    if not is_encrypted(state, new) or (old is not None and is_encrypted(state, old) and _peers(old) == _peers(new)):
        return
    holding = [server for one in together(state, new) for server in state.servers_of(one.resource_id)]
    cannot = unable(state, holding)
    if cannot:
        raise _refusal(f"{ref} cannot be encrypted: it is on hosts that have no IPsec for it, or a peer is", cannot)
    every = [one.resource_id for one in state.all(SERVERS.name)]
    cannot = unable(state, every)
    if len(cannot) == len(every):
        raise _refusal(f"{ref} cannot be encrypted: no server has IPsec for its tunnels", cannot or ["there is none"])


def check_place(draft: Draft, server: Server | None, interfaces: Iterable[Ref]) -> None:
    """Interfaces that are about to have ports on a server. Raises Conflict (EncryptionNotAvailable)."""
    if server is None or not why_not(server):
        return
    for ref in interfaces:
        found = draft.get(NETWORK_INTERFACES.name, last_id(ref))
        if found is not None:
            check_configurations(draft.state, server, found.resource_id, found.properties.ip_configurations)


def check_configurations(
    state: State, server: Server, interface: str, configurations: Iterable[Resource[IpConfigurationProperties]]
) -> None:
    """The same of one interface, as it is about to be. Raises Conflict (EncryptionNotAvailable)."""
    why = why_not(server)
    for configuration in configurations if why else ():
        network = needs_encryption(state, lower(configuration.properties.subnet))
        if network:
            raise Conflict(
                f"/networkInterfaces/{interface} is in {network}, which is encrypted, and the tunnels of "
                f"{server.resource_id} cannot be: {why}. Choose another server.",
                code=NOT_AVAILABLE,
                target=f"/servers/{server.resource_id}",
            )


def check_gateways(state: State, subnet: str, servers: Iterable[str]) -> None:
    """Servers, by id, that are about to be gateways of a virtual network, by a reference to it or to its subnet. Raises
    Conflict (EncryptionNotAvailable)."""
    network = needs_encryption(state, subnet)
    cannot = unable(state, servers) if network else []
    if cannot:
        raise _refusal(f"{network} is encrypted, and gateways of its pools are on hosts that have no IPsec", cannot)


def needs_encryption(state: State, subnet: str) -> str:
    """Reference of the virtual network that a subnet lies in, if that is encrypted; empty otherwise."""
    parts = subnet.lower().strip("/").split("/")
    network = state.get(VIRTUAL_NETWORKS.name, parts[1]) if parts[0] == "virtualnetworks" else None
    encrypted = network is not None and is_encrypted(state, network)
    return f"/virtualNetworks/{network.resource_id}" if network is not None and encrypted else ""


def _peers(network: VirtualNetwork) -> set[str]:
    return {last_id(one.properties.remote_virtual_network) for one in network.properties.virtual_network_peerings}


def _refusal(what: str, cannot: list[str]) -> Conflict:
    more = len(cannot) - _MOST_NAMED
    named = "; ".join(cannot[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
    return Conflict(f"{what}: {named}.", code=NOT_AVAILABLE, target="encryptionEnabled")
