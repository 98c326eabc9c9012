"""Which of a host's provider addresses stands for what: what a virtual subnet's machines there are reached at and send
from, what the host itself has, and what others must accept from it.

Called by the policy modules, by trace and by core.decide. Pure reads of the state. Each virtual subnet has one address
on a host, whatever the policy, so that one copy of a broadcast reaches a host once:
* an address that the ledger holds for the subnet (policy perVirtualSubnet), else
* of the host's own with policy several the one that the VSID falls to, and
* the lowest of the host's own otherwise, IPv4 before IPv6, or its primary one.
While they change, those that come are not used before `preparing` is over, and those that leave not after.
"""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from weft.core.index import lower
from weft.core.peerings import routed
from weft.core.policy_places import (
    LOGICAL_NETWORKS,
    NETWORKS,
    SERVERS,
    Network,
    Server,
    Subnet,
    known,
    network_ref,
)
from weft.core.pools import Segment
from weft.core.state import State
from weft.model.fabric import (
    PER_HOST,
    PER_HOST_IN_USE,
    SEVERAL,
    LogicalNetworkProperties,
    ServerInterfaceProperties,
    ServerProperties,
)
from weft.model.leases import ip_scope
from weft.model.resources import Resource
from weft.model.values import PackedIp, Vsid, ip_text

SUBNETS = "/virtualnetworks/"
"""How a purpose begins that is a virtual subnet's L2 domain."""
_BYTES = {4: 4, 6: 16}


def policy_of(server: ServerProperties, logical: LogicalNetworkProperties | None) -> tuple[str, int]:
    """(Policy, how many addresses of its own) of a host in a provider network: as it says itself, else the network."""
    policy = server.provider_address_policy or (logical.provider_address_policy if logical is not None else PER_HOST)
    counted = logical.provider_address_count if logical is not None else 1
    return policy, (server.provider_address_count or counted) if policy == SEVERAL else 1


def named_by(state: State, adapters: Iterable[Resource[ServerInterfaceProperties]]) -> list[Segment]:
    """The provider subnets that adapters are on; without any, the only one there is; else none."""
    keys = [ref.resource_ref.lower() for adapter in adapters for ref in adapter.properties.logical_subnets]
    segments = state.addresses.provider_segments
    named = [segments[key] for key in dict.fromkeys(keys) if key in segments]
    return named or (list(segments.values()) if len(segments) == 1 else [])


def why_none(state: State, server: Server) -> str:
    """Why it is right that a host has no provider address: its policy is perHostInUse. Empty where it has one, or lacks
    it for another reason."""
    if state.addresses.providers.get(f"/servers/{server.resource_id.lower()}"):
        return ""
    networks = {one.network.rpartition("/")[2] for one in named_by(state, server.properties.network_interfaces)}
    found = (state.get(LOGICAL_NETWORKS, one) for one in networks)
    policies = (policy_of(server.properties, one.properties)[0] for one in found if one is not None)
    return "nothing here needs one" if PER_HOST_IN_USE in policies else ""


def provider_address(state: State, server_id: str, network: Network, subnet: Subnet | None = None) -> PackedIp | None:
    """The host's address in the provider network of a virtual network, for one of its subnets, or for the host itself;
    None if it has none."""
    logical = lower(network.properties.logical_network)
    every = state.addresses.providers.get(f"/servers/{server_id.lower()}", {})
    if not logical or not every:
        return None
    if len(every) == 1 and len(next(iter(every.values()))) == 1:
        # nearly all hosts are so
        ((scope, held),) = every.items()
        ((address, purpose),) = held.items()
        for_it = not purpose or (subnet is not None and purpose == purpose_of(state, network, subnet))
        return _packed(address, int(scope[2])) if for_it and scope[3:] == logical else None
    server: Server | None = state.get(SERVERS, server_id)
    return _address_of(state, server, network, subnet) if server is not None else None


class UsedAddresses:
    """What hosts send packets of a network from and are reached at there, for any of its subnets or a peer's, and for
    themselves. Of one network at one revision: what is the same for all hosts is worked out once."""

    def __init__(self, state: State, network: Network) -> None:
        self._state = state
        senders: list[Network] = [known(state, NETWORKS, name) for name in sorted(senders_into(state, network))]
        self._senders = [_sender(state, one) for one in senders]

    def of(self, server: Server) -> set[PackedIp]:
        """Of a host, by the server as it is given, which need not be as it is stored."""
        found: set[PackedIp] = set()
        held = self._purposes(server)
        for sender in self._senders:
            left = sender.vsids
            if not held.isdisjoint(sender.purposes):
                left = tuple(self._without_their_own(server, sender, held, found))
            own = _own(self._state, server, sender.logical)
            if own:
                several = len(own) > 1 and policy_of(server.properties, sender.properties)[0] == SEVERAL
                found |= addresses_of_all(left, tuple(own)) if several else set()
                found.add(own[0])
        return found

    def _purposes(self, server: Server) -> set[str]:
        """What the ledger holds addresses of a host for."""
        scopes = self._state.addresses.providers.get(f"/servers/{server.resource_id.lower()}", {})
        return {purpose for addresses in scopes.values() for purpose in addresses.values()}

    def _without_their_own(
        self, server: Server, sender: "_Sender", held: set[str], found: set[PackedIp]
    ) -> Iterator[Vsid]:
        """Subnets for which the host has no address of their own in use; those of the others come into `found`."""
        for vsid, purpose in zip(sender.vsids, sender.purposes, strict=True):
            own = _for_subnet(self._state, server, sender.logical, purpose) if purpose in held else None
            if own is None:
                yield vsid
            else:
                found.add(own)


class _Sender(NamedTuple):
    """A network whose machines send into another."""

    logical: str
    """Reference of its provider network, lower case."""
    properties: LogicalNetworkProperties | None
    """Of that one."""
    vsids: tuple[Vsid, ...]
    purposes: tuple[str, ...]
    """Of its subnets, in the same order."""


def _sender(state: State, network: Network) -> _Sender:
    subnets, logical = network.properties.subnets, lower(network.properties.logical_network)
    found = state.get(LOGICAL_NETWORKS, logical.rpartition("/")[2])
    return _Sender(
        logical,
        found.properties if found is not None else None,
        tuple(Vsid(one.properties.virtual_subnet_id) for one in subnets),
        tuple(purpose_of(state, network, one) for one in subnets),
    )


def _address_of(state: State, server: Server, network: Network, subnet: Subnet | None) -> PackedIp | None:
    logical = lower(network.properties.logical_network)
    found = _for_subnet(state, server, logical, purpose_of(state, network, subnet)) if subnet is not None else None
    if found is not None:
        return found
    own = _own(state, server, logical)
    return _shared_out(state, server, logical, own, subnet) if own else None


def _for_subnet(state: State, server: Server, logical: str, purpose: str) -> PackedIp | None:
    """What a host has in use for a virtual subnet alone."""
    for version in (4, 6):
        found = _in_use(state, server, logical, version, purpose)
        if found:
            return found[0]
    return None


def _own(state: State, server: Server, logical: str) -> list[PackedIp]:
    """A host's own in use, the one that it goes by first: of one family, IPv4 before IPv6."""
    for version in (4, 6):
        own = _in_use(state, server, logical, version, "") or _held(state, server, logical, version, "")
        if own:
            return primary_first(server, own)
    return []


def primary_of(state: State, server: Server, logical: str) -> PackedIp | None:
    """What a host goes by in a provider network (its reference in lower case) in place of the lowest of its own; None
    where that is the lowest."""
    primary = server.properties.primary_provider_addresses
    own = _own(state, server, logical) if primary else []
    return own[0] if own and ip_text(own[0]) in primary else None


def primary_first(server: Server, own: list[PackedIp]) -> list[PackedIp]:
    """A host's own addresses in order, with the one first that it goes by."""
    primary = server.properties.primary_provider_addresses
    if len(own) == 1 or not primary:
        return own
    places = {text: at for at, text in enumerate(primary)}
    return sorted(own, key=lambda one: places.get(ip_text(one), len(places)))


def purpose_of(state: State, network: Network, subnet: Subnet | None) -> str:
    """What the ledger holds addresses of a virtual subnet for: its L2 domain, which a dual-stack pair shares."""
    ref = f"{network_ref(network)}/subnets/{subnet.resource_id}".lower() if subnet is not None else ""
    segment = state.addresses.segments.get(ref)
    return segment.domain if segment is not None else ref


def endpoints(state: State, server_id: str, network: Network) -> Iterator[tuple[PackedIp, bool]]:
    """What a host may send packets of a network from, each with whether it is for a virtual subnet alone: all of its
    own, and those of subnets of the network and of its peers."""
    logical = lower(network.properties.logical_network)
    scopes = state.addresses.providers.get(f"/servers/{server_id.lower()}", {}) if logical else {}
    senders = {f"{SUBNETS}{name}/" for name in senders_into(state, network)}
    for version in (4, 6):
        for address, purpose in scopes.get(ip_scope(logical, version), {}).items():
            if not purpose or _within(purpose, senders):
                yield _packed(address, version), bool(purpose)


def senders_into(state: State, network: Network) -> set[str]:
    """Ids, lower case, of the networks whose machines send into this one: itself and its peers."""
    peers = (remote.resource_id.lower() for _, _, remote in routed(state, network))
    return {network.resource_id.lower(), *peers}


def told_addresses(state: State, server_id: str) -> Iterator[tuple[str, PackedIp, str]]:
    """(Scope, address, purpose) of all that is to be on the host's own interface: its own and its virtual subnets'.
    What stands for a customer address is not among them: flows answer for it."""
    for scope, addresses in state.addresses.providers.get(f"/servers/{server_id.lower()}", {}).items():
        for address, purpose in addresses.items():
            if not purpose or purpose.startswith(SUBNETS):
                yield scope, _packed(address, int(scope[2])), purpose


def _within(purpose: str, prefixes: set[str]) -> bool:
    return any(purpose.startswith(one) for one in prefixes)


def _held(state: State, server: Server, logical: str, version: int, purpose: str) -> list[PackedIp]:
    place = f"/servers/{server.resource_id.lower()}", ip_scope(logical, version), purpose
    return sorted(_packed(one, version) for one in state.addresses.providing.get(place, ()))


def _in_use(state: State, server: Server, logical: str, version: int, purpose: str) -> list[PackedIp]:
    held = _held(state, server, logical, version, purpose)
    change = server.properties.provider_address_change
    if change is None or not held:
        return held
    not_in_use = change.coming if change.phase == "preparing" else change.leaving
    return [one for one in held if ip_text(one) not in not_in_use]


def _shared_out(state: State, server: Server, logical: str, own: list[PackedIp], subnet: Subnet | None) -> PackedIp:
    if subnet is None or len(own) == 1:
        return own[0]
    network = state.get(LOGICAL_NETWORKS, logical.rpartition("/")[2])
    policy, _ = policy_of(server.properties, network.properties if network is not None else None)
    return falls_to(Vsid(subnet.properties.virtual_subnet_id), own) if policy == SEVERAL else own[0]


@functools.lru_cache(maxsize=16_384)
def addresses_of_all(vsids: tuple[Vsid, ...], addresses: tuple[PackedIp, ...]) -> frozenset[PackedIp]:
    """Those of several addresses that any of these virtual subnets has. Asked for each host of a network at each
    revision while something waits for them, and nearly always answered as before."""
    return frozenset(falls_to(one, addresses) for one in vsids)


def falls_to(vsid: Vsid, addresses: Sequence[PackedIp]) -> PackedIp:
    """Which of several addresses a virtual subnet has: by rendezvous hashing, so that one more address takes its share
    of the subnets from the others, and moves no other."""
    return max(addresses, key=lambda one: hashlib.blake2s(vsid.to_bytes(4) + one, digest_size=8).digest())


def _packed(address: int, version: int) -> PackedIp:
    return PackedIp(address.to_bytes(_BYTES[version]))


def own_texts(server: Server | None) -> tuple[str, ...]:
    """The host's own addresses as text, those that leave too."""
    if server is None:
        return ()
    change = server.properties.provider_address_change
    return (*server.properties.provider_addresses, *(change.leaving if change is not None else ()))


def network_of_purpose(purpose: str) -> str:
    """Id, lower case, of the virtual network whose subnet an address is for; empty if it is for something else."""
    return purpose.split("/")[2] if purpose.startswith(SUBNETS) else ""
