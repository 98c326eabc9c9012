"""What guests and the wire may send to reach, or to be taken for, what is not theirs. Values; used by the isolation
tests on fakes (test_isolation.py) and on real switches (tests/e2e/matrix.py)."""

import itertools
from typing import NamedTuple

from msgspec.structs import replace

from weft.fakes import packet as p
from weft.fakes.frames import frame
from weft.fakes.network import Outer
from weft.model.values import ROUTER_MAC, pack_ip

STRANGER = pack_ip("192.168.66.66")
GRE = 47
TAG = 0x8100
_PRESENT = 0x1000
_MOST = 0xFFF
"""A VSID is above every VLAN."""


class Card(NamedTuple):
    """A running guest's adapter, as the state has it."""

    machine: str
    host: str
    tenant: str
    vsid: int
    """Or its VLAN; 0: untagged."""
    mac: int
    addresses: tuple[str, ...]
    stands: tuple[str, ...] = ()
    """Provider addresses that stand for its own, in a network that rewrites."""
    free: bool = False
    """On a logical network, with any address."""

    def address(self, version):
        return next((one for one in self.addresses if p.version(one) == version), None)

    @property
    def is_tunnelled(self):
        return self.vsid > _MOST and not self.stands

    @property
    def vlan(self):
        """On the physical network; None for one that is in a virtual network."""
        return self.vsid if self.vsid <= _MOST else None


def tagged(packet, vlan):
    return replace(packet, vlan_tci=_PRESENT | vlan & _MOST)


def doubled(packet, outer, inner):
    """With two tags, as IEEE 802.1Q has them; what stands behind the outer one is no IP packet to a switch."""
    within = (inner & _MOST).to_bytes(2) + frame(replace(packet, vlan_tci=0))[12:]
    bare = p.Packet(packet.eth_src, packet.eth_dst, TAG, payload=within.decode("latin-1"))
    return tagged(bare, outer)


def from_guest(one, other, stands=()):
    """What `one` sends to reach `other`, a guest of another tenant, or to be taken for it; `stands` are the provider
    addresses of all whose headers are rewritten."""
    for version in (4, 6):
        mine, theirs = one.address(version), other.address(version)
        if mine is None or theirs is None:
            continue
        for source_mac, target_mac, source, target in itertools.product(
            (one.mac, other.mac), (other.mac, ROUTER_MAC, p.BROADCAST), (mine, theirs), (theirs, mine)
        ):
            plain = p.udp((source_mac, target_mac), (source, target), (4789, 4789))
            yield plain
            yield tagged(plain, other.vsid)
            yield replace(plain, ip_proto=GRE, src_port=0, dst_port=0)
        plain = p.udp((one.mac, other.mac), (mine, theirs), (1, 2))
        yield tagged(plain, 0)
        yield doubled(plain, one.vsid, other.vsid)
        yield doubled(plain, other.vsid, other.vsid)
        resolve = p.arp_request if version == 4 else p.solicitation
        yield resolve(one.mac, mine, theirs)
        yield resolve(other.mac, theirs, mine)
        yield p.announcement(one.mac, theirs)
        yield p.announcement(other.mac, theirs)
    # as if its own address were rewritten, under every source
    for stand in other.stands:
        kin = [
            text for text in (one.address(p.version(stand)), *stands) if text and p.version(text) == p.version(stand)
        ]
        for source in kin:
            yield p.udp((one.mac, other.mac), (source, stand), (1, 2))
    if other.address(6):
        advertises = p.solicitation(one.mac, one.address(6) or "fe80::1", other.address(6))
        yield replace(advertises, eth_dst=other.mac, icmp_type=134, nd_target=0, nd_option=0, nd_address=0)
    # as if the guest were a host: straight to a provider address
    for address in (f"192.168.{net}.{10 * n}" for net in (1, 2) for n in (1, 2, 3)):
        yield p.udp((one.mac, ROUTER_MAC), (one.addresses[0] if one.address(4) else "10.1.1.99", address), (9, 4789))


def is_honest(packet, one):
    """Is it under the sender's own MAC and addresses, or any that it may have, without a tag?"""
    mine = {p.number(address) for address in one.addresses}
    return packet.eth_src == one.mac and not packet.vlan_tci and (one.free or packet.ip_src in (0, *mine))


def from_wire(one, own, sources, vsids):
    """What comes by the provider network to the host of `one`, whose provider address is `own`: from each of these
    sources, packed, in each of these VSIDs."""
    inners = [p.udp((one.mac ^ 0x40, one.mac), ends, (1, 2)) for ends in _to(one)]
    for source, vsid, kind in itertools.product((*sources, STRANGER), (*vsids, 0, 0xFFFFFF), ("gre", "vxlan")):
        key = vsid << 8 if kind == "gre" else vsid
        for inner in inners:
            for packet in (inner, replace(inner, vlan_tci=0x1005), replace(inner, eth_dst=p.BROADCAST)):
                yield vsid, Outer(kind, source, pack_ip(own), key, packet)


def _to(one):
    """From nobody of its subnet to each of its addresses."""
    for version, nobody in ((4, "10.1.1.99"), (6, "fd00::99")):
        if theirs := one.address(version):
            yield nobody, theirs


def from_physical(one, cards, hosts):
    """Frames of the physical network to reach `one`, under every VLAN, with one tag, two or none; and as if they were
    rewritten, from every source. `hosts` are provider addresses."""
    mac = one.mac ^ 0x40
    vlans = sorted({card.vlan for card in cards if card.vlan} | {one.vsid & _MOST, 4094})
    for target_mac, ends in itertools.product((one.mac, p.BROADCAST), _to(one)):
        plain = p.udp((mac, target_mac), ends, (1, 2))
        yield plain
        for vlan in vlans:
            yield tagged(plain, vlan)
            yield doubled(plain, vlan, one.vsid)
        yield doubled(plain, 0, one.vsid)
    others = sorted({text for card in cards for text in card.stands})
    for stand in one.stands:
        for source in (*hosts, str(p.ipaddress.ip_address(STRANGER)), *one.addresses, *others):
            if p.version(source) == p.version(stand):
                forged = p.udp((mac, one.mac), (source, stand), (1, 2))
                yield forged
                yield tagged(forged, one.vsid)
                yield replace(forged, eth_dst=p.BROADCAST)


def may_get(sent, cards):
    """Machines that a frame of the physical network is for: whose VLAN it is in; whose address stands in it, if it is
    from one that stands for another's of the network: who can send that is taken for it."""
    vlan = sent.vlan_tci & _MOST  # a tag of VLAN 0 is one of priority alone (IEEE 802.1Q), so the frame is untagged
    found = {card.machine for card in cards if card.vlan == vlan}
    kin = {card.tenant for card in cards if sent.ip_src in map(p.number, card.stands)}
    if not vlan:
        found |= {
            card.machine
            for card in cards
            if card.tenant in kin and card.mac == sent.eth_dst and sent.ip_dst in map(p.number, card.stands)
        }
    return found
