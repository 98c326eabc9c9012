"""What guests and the wire may send to reach, or to be taken for, what is not theirs. Values; used by the isolation
tests on fakes (test_isolation.py) and on real switches (tests/e2e/matrix.py)."""

import itertools
from typing import NamedTuple

from msgspec.structs import replace

from weft.fakes import packet as p
from weft.fakes.network import Outer
from weft.model.values import ROUTER_MAC, pack_ip

STRANGER = pack_ip("192.168.66.66")
GRE = 47


class Card(NamedTuple):
    """A running guest's adapter, as the state has it."""

    machine: str
    host: str
    tenant: str
    vsid: int
    """Or its VLAN."""
    mac: int
    addresses: tuple[str, ...]

    def address(self, version):
        return next((one for one in self.addresses if p.version(one) == version), None)


def from_guest(one, other):
    """What `one` sends to reach `other`, a guest of another tenant, or to be taken for it."""
    for version in (4, 6):
        mine, theirs = one.address(version), other.address(version)
        if mine is None or theirs is None:
            continue
        for source_mac, target_mac, source, target in itertools.product(
            (one.mac, other.mac), (other.mac, ROUTER_MAC, p.BROADCAST), (mine, theirs), (theirs, mine)
        ):
            plain = p.udp((source_mac, target_mac), (source, target), (4789, 4789))
            yield plain
            yield replace(plain, vlan_tci=0x1000 | other.vsid & 0xFFF)
            yield replace(plain, ip_proto=GRE, src_port=0, dst_port=0)
        resolve = p.arp_request if version == 4 else p.solicitation
        yield resolve(one.mac, mine, theirs)
        yield resolve(other.mac, theirs, mine)
        yield p.announcement(one.mac, theirs)
        yield p.announcement(other.mac, theirs)
    if other.address(6):
        advertises = p.solicitation(one.mac, one.address(6) or "fe80::1", other.address(6))
        yield replace(advertises, eth_dst=other.mac, icmp_type=134, nd_target=0, nd_option=0, nd_address=0)
    # as if the guest were a host: straight to a provider address
    for address in (f"192.168.{net}.{10 * n}" for net in (1, 2) for n in (1, 2, 3)):
        yield p.udp((one.mac, ROUTER_MAC), (one.addresses[0] if one.address(4) else "10.1.1.99", address), (9, 4789))


def is_honest(packet, one):
    """Is it under the sender's own MAC and addresses, without a tag?"""
    mine = {p.number(address) for address in one.addresses}
    return packet.eth_src == one.mac and not packet.vlan_tci and packet.ip_src in (0, *mine)


def from_wire(one, own, sources, vsids):
    """What comes by the provider network to the host of `one`, whose provider address is `own`: from each of these
    sources, packed, in each of these VSIDs."""
    for source, vsid, kind in itertools.product((*sources, STRANGER), (*vsids, 0, 0xFFFFFF), ("gre", "vxlan")):
        inner = p.udp((one.mac ^ 0x40, one.mac), ("10.1.1.99", one.address(4)), (1, 2))
        key = vsid << 8 if kind == "gre" else vsid
        for packet in (inner, replace(inner, vlan_tci=0x1005), replace(inner, eth_dst=p.BROADCAST)):
            yield vsid, Outer(kind, source, pack_ip(own), key, packet)
