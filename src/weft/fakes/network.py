"""The provider network between fake switches: outer packets from one provider address to another.

Called by fakes.switch; tests reach in to cut paths, to watch the wire and to inject from outside.
"""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from weft.fakes.packet import Packet
from weft.model.values import PackedIp

OVERHEAD = {"gre": 42, "vxlan": 50}
"""Bytes added to an inner IP packet: all headers but the outer Ethernet header, inner one counted (RFC 7637, 7348);
over IPv6 twenty more."""
Hears = Callable[[Packet, int], "list[Delivery]"]
"""Takes a frame and how often it was passed on; says where it came out."""
HOPS = 64
"""A packet that crossed this often runs in a circle."""


class Outer(msgspec.Struct, frozen=True):
    """An encapsulated packet on the wire. `key` is the GRE key or the VNI, as sent."""

    kind: str
    source: PackedIp
    destination: PackedIp
    key: int
    inner: Packet


class Delivery(msgspec.Struct, frozen=True):
    """A packet that reached a port of a switch."""

    host: str
    port: str
    packet: Packet


class Endpoint(Protocol):
    """What the network delivers to."""

    def receive(self, outer: Outer, hops: int) -> list[Delivery]: ...


class Wire:
    """The physical switches between hosts, and whatever else is plugged in: all VLANs, as one learning switch. `seen`
    keeps what came in, newest last."""

    def __init__(self) -> None:
        self.seen: list[Packet] = []
        self._plugs: dict[str, Hears] = {}
        self._learnt: dict[tuple[int, int], str] = {}
        """By VLAN and MAC address."""

    def plug(self, name: str, hears: "Hears | None") -> None:
        """Something that hears frames; None: it is plugged no more."""
        self._plugs.pop(name, None)
        if hears is not None:
            self._plugs[name] = hears

    def carry(self, name: str, packet: Packet, hops: int = 0) -> list[Delivery]:
        """A frame comes in by the plug of that name: to the one behind which its MAC address is, or to all others."""
        self.seen.append(packet)
        if hops > HOPS:
            return []
        self._learnt[packet.vlan_tci, packet.eth_src] = name
        to = self._learnt.get((packet.vlan_tci, packet.eth_dst))
        others = [to] if to in self._plugs else list(self._plugs)
        return [found for one in others if one != name for found in self._plugs[one](packet, hops + 1)]


class ProviderNetwork:
    """Routes everything everywhere, at once, until told otherwise. `seen` keeps the wire, newest last."""

    def __init__(self, mtu: int = 1500) -> None:
        self.mtu = mtu
        self.wire = Wire()
        self.seen: list[Outer] = []
        self._endpoints: dict[PackedIp, Endpoint] = {}
        self._cut: set[frozenset[PackedIp]] = set()

    def join(self, address: PackedIp, endpoint: Endpoint) -> None:
        self._endpoints[address] = endpoint

    def leave(self, address: PackedIp, endpoint: Endpoint) -> None:
        """Give an address up; nothing if another has it by now."""
        if self._endpoints.get(address) is endpoint:
            del self._endpoints[address]

    def cut(self, one: PackedIp, other: PackedIp) -> None:
        """Lose everything between two addresses, both ways."""
        self._cut.add(frozenset((one, other)))

    def mend(self) -> None:
        self._cut.clear()

    def addresses(self) -> Iterable[str]:
        return tuple(str(ipaddress.ip_address(address)) for address in self._endpoints)

    def carry(self, outer: Outer, hops: int = 0) -> list[Delivery]:
        """Bring an outer packet to the switch that has its destination; nothing if none has, or it is too large."""
        self.seen.append(outer)
        if len(self.seen) > 10_000:
            del self.seen[:5_000]
        endpoint = self._endpoints.get(outer.destination)
        too_large = outer.inner.size + OVERHEAD[outer.kind] + (20 if len(outer.source) == 16 else 0) > self.mtu
        if endpoint is None or too_large or hops > HOPS or frozenset((outer.source, outer.destination)) in self._cut:
            return []
        return endpoint.receive(outer, hops + 1)
