"""Of a gateway host's stream: the edge of a network, its legs into the physical network and its tunnels."""

import msgspec

from weft.model.records.keys import RecordKey
from weft.model.values import Mac, PackedIp, Rdid, Vsid

FASTEST_KBPS = 100_000_000
"""Of a connection that has a limit: no host does more for it, and tc(8) keeps what may come at once in 32 bits."""


class EdgeRoute(msgspec.Struct, frozen=True, array_like=True):
    prefix: PackedIp
    prefix_length: int
    next_hop: PackedIp
    """Empty through a tunnel, which has one other end."""
    metric: int = 0


class EdgeLeg(msgspec.Struct, frozen=True, array_like=True):
    """A leg of an edge into a logical subnet of the physical network."""

    subnet: str
    """resourceRef."""
    vlan: int
    """0: untagged."""
    prefix: PackedIp
    prefix_length: int
    gateway: PackedIp
    """The subnet's own default gateway; empty where it names none."""
    addresses: tuple[PackedIp, ...]
    """What the edge answers for there while it carries the network."""
    routes: tuple[EdgeRoute, ...] = ()
    outbound_kbps: int = 0
    """At most; 0: unlimited."""
    inbound_kbps: int = 0
    nat: PackedIp = PackedIp(b"")
    """What outbound connections are behind on this leg; empty: the customer addresses are routed."""
    mappings: tuple[tuple[PackedIp, PackedIp], ...] = ()
    """(public address, customer address), one to one, both ways."""

    @property
    def is_public(self) -> bool:
        """Somebody inside is known by an address there."""
        return bool(self.nat or self.mappings)

    @property
    def is_routed(self) -> bool:
        """An L3 connection leads by it: the edge has an address there that stands for nobody inside."""
        standing = {self.nat, *(public for public, _ in self.mappings)}
        return any(one not in standing for one in self.addresses)


class EdgeTunnel(msgspec.Struct, frozen=True, array_like=True):
    """A GRE connection of an edge (RFC 2784, key RFC 2890), IP inside."""

    name: str
    local: PackedIp
    remote: PackedIp
    vlan: int
    """Of the logical subnet that `local` is in."""
    local_length: int
    """Prefix length of that subnet."""
    gateway: PackedIp
    """Of that subnet; empty where it names none."""
    key_value: int = -1
    """-1: without a key."""
    addresses: tuple[tuple[PackedIp, int], ...] = ()
    """The edge's own inside the tunnel, with prefix length."""
    routes: tuple[EdgeRoute, ...] = ()
    outbound_kbps: int = 0
    inbound_kbps: int = 0


class EdgeNetwork(msgspec.Struct, frozen=True, array_like=True, tag=21):
    """What this host, one of the network's gateways, does for it: it carries it if all gateways before it are dead."""

    rdid: Rdid
    resource_ref: str
    """The virtual gateway."""
    vsid: Vsid
    mac: Mac
    addresses: tuple[tuple[PackedIp, int], ...]
    """The edge's customer addresses with the prefix lengths of the gateway subnet."""
    routers: tuple[PackedIp, ...]
    """The distributed router in the gateway subnet, by which the edge reaches the other subnets."""
    prefixes: tuple[tuple[PackedIp, int], ...]
    """Of the network's subnets."""
    provider_address: PackedIp
    """This host's."""
    gateways: tuple[PackedIp, ...]
    """As in GatewayRecord."""
    legs: tuple[EdgeLeg, ...] = ()
    tunnels: tuple[EdgeTunnel, ...] = ()

    @property
    def key(self) -> RecordKey:
        return (21, self.rdid)
