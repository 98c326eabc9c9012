"""Where an edge sends what leaves a virtual network, and as whom: one answer for the edge itself and for a trace. Pure.

The longest prefix counts, then the lowest metric. Connections are for all. Of the legs where the network has public
addresses each machine leaves by the one where it is known itself, else by the home of its family; if that leg's subnet
names a default gateway it is the default route, behind what connections say.
"""

from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from weft.model.records import EdgeLeg, EdgeNetwork, EdgeTunnel
from weft.model.values import PackedIp

DEFAULT_METRIC = 2**31
"""Of the default route by a leg's own gateway: connections have metrics below."""


class Exit(NamedTuple):
    """A prefix, and by which leg or tunnel the edge reaches it."""

    prefix: PackedIp
    prefix_length: int
    by: EdgeLeg | EdgeTunnel
    next_hop: PackedIp
    """Empty: on link, or the tunnel's other end."""
    metric: int = 0


def homes(edge: EdgeNetwork) -> list[EdgeLeg]:
    """Per family the leg where machines are known that have no public address of their own: that of nat, or the
    first."""
    found: list[EdgeLeg] = []
    for size in (4, 16):
        public = [leg for leg in edge.legs if leg.is_public and len(leg.prefix) == size]
        found += sorted(public, key=lambda leg: not leg.nat)[:1]
    return found


def exits(legs: Iterable[EdgeLeg], tunnels: Iterable[EdgeTunnel], public: Container[EdgeLeg]) -> Iterator[Exit]:
    """All routes of an edge to the physical side for whoever is known on these `public` ones of its legs."""
    for leg in legs:
        if leg.is_routed or leg in public:
            yield Exit(leg.prefix, leg.prefix_length, leg, PackedIp(b""))
        for route in leg.routes:
            yield Exit(route.prefix, route.prefix_length, leg, route.next_hop, route.metric)
        if leg.gateway and leg.is_public and leg in public:
            yield Exit(PackedIp(bytes(len(leg.gateway))), 0, leg, leg.gateway, DEFAULT_METRIC)
    for tunnel in tunnels:
        for address, length in tunnel.addresses:
            yield Exit(_network(address, length), length, tunnel, PackedIp(b""))
        for route in tunnel.routes:
            yield Exit(route.prefix, route.prefix_length, tunnel, PackedIp(b""), route.metric)


def exit_for(edge: EdgeNetwork, source: PackedIp, target: PackedIp) -> Exit | None:
    """Where a packet of a customer address for one outside leaves; None: there is no route, or it would lead back into
    the network or into a peer that leaves by it too."""
    public = [leg for leg in edge.legs if any(inside == source for _, inside in leg.mappings)] or homes(edge)
    within = max((length for prefix, length in edge.prefixes if _lies_in(target, prefix, length)), default=-1)
    fitting = [
        one
        for one in exits(edge.legs, edge.tunnels, public)
        if one.prefix_length > within and _lies_in(target, one.prefix, one.prefix_length)
    ]
    return min(fitting, key=lambda one: (-one.prefix_length, one.metric), default=None)


def own_addresses(edge: EdgeNetwork) -> frozenset[PackedIp]:
    """What the edge that carries the network answers for itself, inside and outside: a packet for one ends there."""
    outside = (address for leg in edge.legs for address in leg.addresses)
    with_lengths = (edge.addresses, *(tunnel.addresses for tunnel in edge.tunnels))
    return frozenset((*outside, *(address for every in with_lengths for address, _ in every)))


def known_as(edge: EdgeNetwork, by: EdgeLeg | EdgeTunnel, source: PackedIp) -> PackedIp | None:
    """The source address that a customer address has outside: its own where it is routed. None: it does not leave,
    being nobody's behind this edge, or on a leg that routes nothing and has no public address for it."""
    if not _is_behind(edge, source):
        return None
    if isinstance(by, EdgeTunnel):
        return source
    own = next((public for public, inside in by.mappings if inside == source), None)
    if own is None and len(by.nat) == len(source):
        own = by.nat
    return own or (source if by.is_routed else None)


def lets_in(edge: EdgeNetwork, by: EdgeLeg | EdgeTunnel, source: PackedIp, target: PackedIp) -> bool:
    """Whether what comes by a leg or tunnel for a customer address as it is, and nobody asked for, goes in."""
    routed = isinstance(by, EdgeTunnel) or by.is_routed
    return routed and _is_behind(edge, target) and not _is_behind(edge, source)


def _is_behind(edge: EdgeNetwork, address: PackedIp) -> bool:
    return any(_lies_in(address, prefix, length) for prefix, length in edge.prefixes)


def _lies_in(target: PackedIp, prefix: PackedIp, length: int) -> bool:
    return len(prefix) == len(target) and _network(target, length) == prefix


def _network(address: PackedIp, length: int) -> PackedIp:
    bits = len(address) * 8
    mask = ((1 << length) - 1) << (bits - length)
    return PackedIp((int.from_bytes(address) & mask).to_bytes(len(address)))
