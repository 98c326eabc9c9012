"""Frames that the agent sends guests in the name of their router, as bytes; dpkt writes the headers. Pure.

Called by the services (dhcp4.py and its like). Checksums are right, lengths fit; the source MAC is the router's.
"""

import dpkt

from weft.model.values import ROUTER_MAC

HOPS = 64
NEIGHBOURS = 255
"""Hop limit of neighbour discovery: it was not routed here (RFC 4861 section 6.1.2)."""
_ICMP, _UDP, _ICMPV6 = 1, 17, 58
_IPV4, _IPV6 = 0x0800, 0x86DD

Ends = tuple[bytes, bytes]
"""Source and destination address, packed."""


def udp(mac: bytes, ends: Ends, ports: tuple[int, int], message: bytes) -> bytes:
    """A datagram from the router to this MAC."""
    datagram = dpkt.udp.UDP(sport=ports[0], dport=ports[1], ulen=8 + len(message), data=message)
    return _ip(mac, ends, _UDP, datagram, HOPS)


def icmp(mac: bytes, ends: Ends, kind: tuple[int, int], message: bytes) -> bytes:
    """ICMP of a type and code; `message` is what stands behind the checksum."""
    return _ip(mac, ends, _ICMP, dpkt.icmp.ICMP(type=kind[0], code=kind[1], data=message), HOPS)


def icmpv6(mac: bytes, ends: Ends, kind: tuple[int, int], message: bytes, hops: int = HOPS) -> bytes:
    """As icmp(), of IPv6."""
    return _ip(mac, ends, _ICMPV6, dpkt.icmp6.ICMP6(type=kind[0], code=kind[1], data=message), hops)


def arp_request(mac: bytes, own: bytes, asked: bytes) -> bytes:
    """Asks the guest with this MAC alone for an address, from the router's `own`."""
    router = ROUTER_MAC.to_bytes(6)
    question = dpkt.arp.ARP(op=dpkt.arp.ARP_OP_REQUEST, sha=router, spa=own, tha=bytes(6), tpa=asked)
    return bytes(dpkt.ethernet.Ethernet(dst=mac, src=router, type=dpkt.ethernet.ETH_TYPE_ARP, data=question))


def _ip(mac: bytes, ends: Ends, proto: int, message: dpkt.Packet, hops: int) -> bytes:
    packet: dpkt.Packet
    if len(ends[0]) == 4:
        packet, kind = dpkt.ip.IP(src=ends[0], dst=ends[1], p=proto, ttl=hops, data=message), _IPV4
    else:
        length = len(message)
        packet, kind = dpkt.ip6.IP6(src=ends[0], dst=ends[1], nxt=proto, hlim=hops, plen=length, data=message), _IPV6
        packet.extension_hdrs, packet.all_extension_headers = {}, []
    if proto == _UDP and bytes(packet) and not message.sum:
        message.sum = 0xFFFF  # zero says that there is none, which IPv6 forbids (RFC 8200 section 8.1)
    return bytes(dpkt.ethernet.Ethernet(dst=mac, src=ROUTER_MAC.to_bytes(6), type=kind, data=packet))
