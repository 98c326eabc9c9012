"""Telling guests that a neighbour has another MAC now: which announcements follow from changed records. Pure.

Called by ovs/plane.py, which passes the time; packet_of is called by the drivers. A guest believes its neighbour entry
until it ages, up to a minute and more, so after a renewed or rolled-back MAC its frames would go where nobody is.
Each is made twice, a second apart: Linux may ignore a change of a neighbour within `locktime`, 1 s, of the last one
(arp(7)). It is a courtesy, an edge and no level: one that is lost is not made again, for entries do age. It promises
* nothing for what was told before `begin`, so a full load announces nothing;
* that only changed records cost anything; at most A_ROUND announcements at once, at most MOST waiting.
"""

import struct
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from weft.agent.bindings import Local, Role
from weft.agent.flows.actions import Actions, Output, PushVlan, SetVlan
from weft.agent.switch import Announcement, PacketOut
from weft.model.records import LookupRecord
from weft.model.values import InstanceId, Mac, PackedIp, Rdid, Vsid, vlan_segment

AGAIN_SECONDS = 1.1
"""After the first: longer than Linux's locktime."""
A_ROUND = 200
MOST = 2_000
"""Addresses that wait to be announced, and as many whose record has gone and whose MAC is remembered."""

_BROADCAST, _ALL_NODES = b"\xff" * 6, bytes.fromhex("333300000001")
_TO_ALL_NODES = bytes.fromhex("ff02000000000000 0000000000000001")
_LEAST = 60
"""Bytes of an Ethernet frame without its checksum."""
_OVERRIDE = 0x2000_0000
_ICMPV6, _ADVERTISEMENT, _TARGET_OPTION, _HOP_LIMIT = 58, 136, 2, 255

_NOWHERE = PackedIp(b"")

Place = tuple[Rdid, Vsid, PackedIp]


class _Waiting(msgspec.Struct, frozen=True):
    mac: Mac
    at: float
    """Not before; 0 for the first of two."""


class Announcements:
    """What the local guests of one host are still to be told."""

    def __init__(self) -> None:
        self._begun = False
        self._waiting: dict[Place, _Waiting] = {}
        self._left: dict[Place, Mac] = {}
        """MACs of addresses whose record has gone, oldest first."""

    def begin(self) -> None:
        """The host is in step with its policy: what changes from now on is news."""
        self._begun = True

    def changed(self, rdid: Rdid, before: LookupRecord | None, after: LookupRecord | None) -> None:
        """A lookup record was this (None: not there) and is that."""
        if not self._begun:
            return
        if after is not None:
            place = (rdid, after.vsid, after.customer_address)
            known = before.mac if before is not None else self._left.pop(place, None)
            if known not in (None, after.mac) and (place in self._waiting or len(self._waiting) < MOST):
                self._waiting[place] = _Waiting(after.mac, 0.0)
        elif before is not None:
            place = (rdid, before.vsid, before.customer_address)
            self._waiting.pop(place, None)
            self._left[place] = before.mac
            if len(self._left) > MOST:
                del self._left[next(iter(self._left))]

    @property
    def due_at(self) -> float | None:
        """When something waits next; None while nothing does."""
        return min((one.at for one in self._waiting.values()), default=None)

    def take(self, local: Iterable[Local], now: float) -> tuple[Announcement, ...]:
        """Those that are due, for the ports that are here now but the owner's; the first of two comes again."""
        if (due_at := self.due_at) is None or due_at > now:
            return ()
        ports = _ports(local)
        found: list[Announcement] = []
        for place, one in [item for item in self._waiting.items() if item[1].at <= now]:
            if len(found) == A_ROUND:
                break
            del self._waiting[place]
            rdid, vsid, address = place
            numbers = tuple(number for number, own in ports.get((rdid, vsid), ()) if address not in own)
            if numbers:
                found.append(Announcement(vsid, address, one.mac, numbers))
                if not one.at:
                    self._waiting[place] = _Waiting(one.mac, now + AGAIN_SECONDS)
        return tuple(found)


def _ports(local: Iterable[Local]) -> dict[tuple[Rdid, Vsid], list[tuple[int, tuple[PackedIp, ...]]]]:
    """Numbers of the open ports, with their own addresses, by virtual subnet."""
    ports: dict[tuple[Rdid, Vsid], list[tuple[int, tuple[PackedIp, ...]]]] = {}
    for one in local:
        if one.number is not None:
            binding = one.binding
            ports.setdefault((binding.rdid, binding.vsid), []).append((one.number, one.addresses))
    return ports


class Arrivals:
    """Which machines on VLANs have come to run here since they were last looked at: the physical network is shown that,
    as hypervisors do, so that its switches send there at once. Costs by the ports on VLANs."""

    def __init__(self) -> None:
        self._here: dict[InstanceId, tuple[Mac, int]] | None = None

    def look(
        self, local: Iterable[Local], patch: int | None, rewriting: Mapping[Rdid, int] = MappingProxyType({})
    ) -> tuple[Announcement, ...]:
        """Nothing for those that are here at first, nor without a patch to the physical network. `rewriting`: networks
        without a tunnel, with the VLAN of the provider network."""
        if patch is None:
            return ()
        here = {
            one.binding.instance_id: (one.binding.mac, vlan)
            for one in local
            if one.number is not None and one.role is Role.HERE
            if (vlan := one.segment.vlan if one.segment is not None else rewriting.get(one.binding.rdid)) is not None
        }
        before, self._here = self._here, here
        if before is None:
            return ()
        fresh = sorted(set(here.values()) - set(before.values()))[:A_ROUND]
        return tuple(Announcement(vlan_segment(vlan), _NOWHERE, mac, (patch,), vlan) for mac, vlan in fresh)


def packet_of(one: Announcement) -> PacketOut:
    """What the switch is to send for an announcement."""
    if not one.address:
        tag: Actions = (PushVlan(), SetVlan(one.vlan)) if one.vlan else ()
        return PacketOut(_reverse_request(one.mac), (*tag, *(Output(port) for port in one.ports)))
    return PacketOut(frame_of(one.address, one.mac), tuple(Output(port) for port in one.ports))


def frame_of(address: PackedIp, mac: Mac) -> bytes:
    """The Ethernet frame by which the address tells everybody its MAC."""
    hardware = mac.to_bytes(6)
    if len(address) == 4:
        # as a reply (RFC 5227 section 3 weighs both forms). Both hardware addresses are the new one: only such a reply
        # is gratuitous to Linux, which then does not wait for locktime
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + hardware + address + hardware + address
        return (_BROADCAST + hardware + b"\x08\x06" + body).ljust(_LEAST, b"\0")
    # RFC 4861 section 7.2.6: unsolicited, to all nodes, with the option, and the flag to override what is known
    body = struct.pack("!I", _OVERRIDE) + address + bytes((_TARGET_OPTION, 1)) + hardware
    pseudo = address + _TO_ALL_NODES + struct.pack("!II", 4 + len(body), _ICMPV6)
    sum_of = _checksum(pseudo + bytes((_ADVERTISEMENT, 0, 0, 0)) + body)
    message = bytes((_ADVERTISEMENT, 0)) + sum_of + body
    head = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, _HOP_LIMIT) + address + _TO_ALL_NODES
    return _ALL_NODES + hardware + b"\x86\xdd" + head + message


def frames_of(address: PackedIp, mac: Mac) -> list[bytes]:
    """The same in every form that somebody listens to: of IPv4 a reply and a request."""
    reply = frame_of(address, mac)
    return [reply, arp_request(mac.to_bytes(6), address, address)] if len(address) == 4 else [reply]


def arp_request(hardware: bytes, own: bytes, asked: bytes) -> bytes:
    """RFC 826, to everybody; `own` is zeros where nobody in particular asks."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + hardware + own + bytes(6) + asked
    return (_BROADCAST + hardware + b"\x08\x06" + body).ljust(_LEAST, b"\0")


def _reverse_request(mac: Mac) -> bytes:
    """RARP (RFC 903) about itself: says nothing that anybody must answer."""
    hardware, nobody = mac.to_bytes(6), bytes(4)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 3) + hardware + nobody + hardware + nobody
    return (_BROADCAST + hardware + b"\x80\x35" + body).ljust(_LEAST, b"\0")


def _checksum(data: bytes) -> bytes:
    """RFC 1071; of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
