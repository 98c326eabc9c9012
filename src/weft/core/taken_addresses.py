"""Would a machine reach other hosts from where it is to be? Not where another machine on the provider network has the
address that it would send from: the host uses that for nothing (docs/decisions/0074).

Called before a machine is placed: by core.decide.creating and control.failover, with what its host tells. Pure.
"""

from collections.abc import Callable, Iterable, Mapping

from weft.core.index import lower
from weft.core.policy_places import (
    LOGICAL_NETWORKS,
    NETWORKS,
    SERVERS,
    Network,
    Server,
    Subnet,
    subnet_names,
    subnet_of,
)
from weft.core.provider_places import policy_of, provider_address, purpose_of
from weft.core.rewriting import is_rewriting
from weft.core.state import State
from weft.model.errors import NotReady
from weft.model.fabric import PER_VIRTUAL_SUBNET
from weft.model.leases import ip_scope
from weft.model.resources import Ref
from weft.model.values import PackedIp, ip_text

Taken = Mapping[PackedIp, str]
"""Provider addresses of a server that it does not use since others have them, with whose they are: a MAC address, or
words."""

TakenOn = Callable[[str], Taken]
"""As a server, lower case, tells it now."""


def nobody_has(server: str) -> Taken:
    """TakenOn where no host tells anything."""
    return {}


def taken_for(state: State, server: str, subnets: Iterable[Ref | None], taken: Taken) -> PackedIp | None:
    """The address of a server that interfaces in these subnets would send from there, if it is another's."""
    for ref in subnets if taken else ():
        names = subnet_names(ref)
        if names is None or (network := state.get(NETWORKS, names[0])) is None or is_rewriting(network.properties):
            continue
        subnet = subnet_of(network, names[1])
        if subnet is None or _is_to_come(state, server, network, subnet):
            continue
        own = provider_address(state, server, network, subnet)
        if own is not None and own in taken:
            return own
    return None


def _is_to_come(state: State, server_id: str, network: Network, subnet: Subnet) -> bool:
    """Will the host be given an address for this subnet alone with the first machine there, which nobody asked for
    yet?"""
    server: Server | None = state.get(SERVERS, server_id)
    ref = lower(network.properties.logical_network)
    logical = state.get(LOGICAL_NETWORKS, ref.rpartition("/")[2])
    if server is None or logical is None or policy_of(server.properties, logical.properties)[0] != PER_VIRTUAL_SUBNET:
        return False
    places = ((f"/servers/{server_id.lower()}", ip_scope(ref, version)) for version in (4, 6))
    return not any(state.addresses.providing.get((*one, purpose_of(state, network, subnet))) for one in places)


def check_reaches(state: State, server: str, subnets: Iterable[Ref | None], taken: Taken) -> None:
    """Raises NotReady where the machine would reach no other host from there."""
    address = taken_for(state, server, subnets, taken)
    if address is None:
        return
    text, other = ip_text(address), taken[address]
    raise NotReady(
        f"A machine on '{server}' would reach no other host: its provider address {text} is {other}'s already, so it "
        f"is used for nothing there. Name another server, take {text} from {other}, or give {server} another.",
        target=f"/servers/{server}",
    )
