"""Between which provider addresses tunnels must be encrypted before something is carried out that uses them: a change
of a host's provider addresses, a move. Pure reads of the state; docs/decisions/0075.

Called by control.readdressing and control.moves, which wait until hosts tell it so. What is not to be encrypted needs
nothing of this.
"""

from collections.abc import Iterable, Iterator

import msgspec

from weft.core.decide.readdressing import SWITCHED
from weft.core.encryption import is_encrypted
from weft.core.index import interfaces_of
from weft.core.policy_peers import networks_near, servers_near
from weft.core.policy_places import INTERFACES, SERVERS, Network, Server, VirtualMachine, known, seats
from weft.core.provider_places import UsedAddresses
from weft.core.rewriting import is_rewriting
from weft.core.state import State
from weft.model.values import PackedIp

Pair = tuple[PackedIp, PackedIp]


class Due(msgspec.Struct, frozen=True):
    """What is to be encrypted between two hosts, by server id in lower case."""

    here: str
    there: str
    pairs: frozenset[Pair]
    """Addresses of the first with those of the second."""
    now: frozenset[Pair]
    """By which `there`, its own address second, is reached now by what is about to change: if it tells none of them
    encrypted, nothing that passes can be lost."""


def for_change(state: State, server_id: str) -> list[Due]:
    """Before the addresses that come are used."""
    server: Server | None = state.get(SERVERS, server_id)
    if server is None or server.properties.provider_address_change is None:
        return []
    found: dict[str, tuple[set[Pair], set[Pair]]] = {}
    for network in _encrypted(state, networks_near(state, server_id)):
        used = UsedAddresses(state, network)
        before = used.of(server)
        coming = used.of(_switched(server)) - before
        for other in servers_near(state, network) if coming else ():
            if other != server_id.lower():
                there: Server = known(state, SERVERS, other)
                pairs, now = found.setdefault(other, (set(), set()))
                own = used.of(there)
                pairs.update(_pairs(coming, _reached(used, there, own)))
                now.update(_pairs(before, own))
    return [Due(server_id.lower(), other, frozenset(pairs), frozenset(now)) for other, (pairs, now) in found.items()]


def for_move(state: State, machine: VirtualMachine, source: str, destination: str) -> list[Due]:
    """Before a machine goes on at its destination, with all that hosts of its networks sent it at its source."""
    found: dict[str, tuple[set[Pair], set[Pair]]] = {}
    for network in _encrypted(state, _networks_of(state, machine)):
        used = UsedAddresses(state, network)
        near = [one for one in servers_near(state, network) if one != destination.lower()]
        there: Server = known(state, SERVERS, destination)
        ends = _reached(used, there, used.of(there))
        at_source = used.of(known(state, SERVERS, source))
        for other in near:
            own = used.of(known(state, SERVERS, other))
            pairs, now = found.setdefault(other, (set(), set()))
            pairs.update(_pairs(ends, own))
            # a host that encrypts with the destination already is able to
            now.update(_pairs(ends, own))
            if other != source.lower():
                now.update(_pairs(at_source, own))
                # of the source itself: what it reaches at all
                found.setdefault(source.lower(), (set(), set()))[1].update(_pairs(own, at_source))
    here = destination.lower()
    return [Due(here, other, frozenset(pairs), frozenset(now)) for other, (pairs, now) in found.items()]


def _networks_of(state: State, machine: VirtualMachine) -> Iterator[Network]:
    found: dict[str, Network] = {}
    for name in interfaces_of(machine):
        for seat in seats(state, known(state, INTERFACES, name)):
            found[seat.network.resource_id.lower()] = seat.network
    yield from found.values()


def _encrypted(state: State, networks: Iterable[Network]) -> Iterator[Network]:
    for network in networks:
        if not is_rewriting(network.properties) and is_encrypted(state, network):
            yield network


def _reached(used: UsedAddresses, server: Server, now: set[PackedIp]) -> set[PackedIp]:
    """What a host uses now, and what it will once its own change goes on: that may be before this one."""
    change = server.properties.provider_address_change
    return now | used.of(_switched(server)) if change is not None else now


def _switched(server: Server) -> Server:
    change = server.properties.provider_address_change
    after = msgspec.structs.replace(change, phase=SWITCHED) if change is not None else None
    properties = msgspec.structs.replace(server.properties, provider_address_change=after)
    return msgspec.structs.replace(server, properties=properties)


def _pairs(ends: Iterable[PackedIp], others: Iterable[PackedIp]) -> Iterator[Pair]:
    for other in others:
        yield from ((end, other) for end in ends if len(end) == len(other))
