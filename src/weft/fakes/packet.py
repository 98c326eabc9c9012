"""A packet as a value: the fields that OpenFlow can see, never bytes.

Called by the fake switch, the fake guests and tests. `read` and `write` know which fields a packet has: an ARP packet
has no ip_src, an advertisement no nd_sll, whatever the struct's attribute holds.
"""

import ipaddress
import zlib

import msgspec

BROADCAST = 0xFFFFFFFFFFFF
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
FRAGMENT = 44
"""Next header of an IPv6 fragment header (RFC 8200 section 4.5)."""
FIRST, LATER = 1, 3
"""Fragments, as Open vSwitch's ip_frag has them."""
ECHO_REQUEST, ECHO_REPLY = 8, 0
ECHO6_REQUEST, ECHO6_REPLY = 128, 129
SOLICITATION, ADVERTISEMENT = 135, 136
SOURCE_OPTION, TARGET_OPTION = 1, 2
"""Types of the link-layer address options of neighbour discovery (RFC 4861 section 4.6)."""


class Packet(msgspec.Struct, frozen=True):
    """Addresses and numbers as integers, 0 where the packet has no such field."""

    eth_src: int
    eth_dst: int
    eth_type: int
    vlan_tci: int = 0
    ip_src: int = 0
    """Of IPv4 or IPv6, by eth_type."""
    ip_dst: int = 0
    ip_proto: int = 0
    ttl: int = 64
    fragment: int = 0
    """FIRST or LATER, which has no transport header; 0 if the packet is whole."""
    src_port: int = 0
    dst_port: int = 0
    icmp_type: int = 0
    """Of ICMP or ICMPv6, by ip_proto."""
    icmp_code: int = 0
    icmp_word: int = 0x00010001
    """What stands behind the checksum of ICMP, but for neighbour solicitations and advertisements: id and number of an
    echo, next-hop MTU of an error, flags and lifetime of a router advertisement."""
    arp_op: int = 0
    arp_spa: int = 0
    arp_tpa: int = 0
    arp_sha: int = 0
    arp_tha: int = 0
    nd_target: int = 0
    nd_reserved: int = 0
    nd_option: int = 0
    """Type of the one link-layer option; 0 if there is none."""
    nd_address: int = 0
    """What that option holds."""
    size: int = 84
    """Of the IP packet in bytes."""
    payload: str = ""
    """Its characters are bytes (latin-1)."""
    tcp_flags: int = 0
    """SYN, ACK and their like, of TCP."""


_IP = (IPV4, IPV6)
_PLAIN = {"eth_src": "eth_src", "eth_dst": "eth_dst", "eth_type": "eth_type", "vlan_tci": "vlan_tci"}
_OF_IP = {"ip_proto": "ip_proto", "nw_ttl": "ttl", "ip_frag": "fragment"}
_OF_IPV4 = {"ip_src": "ip_src", "ip_dst": "ip_dst"}
_OF_IPV6 = {"ipv6_src": "ip_src", "ipv6_dst": "ip_dst"}
_OF_ARP = {name: name for name in ("arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha")}
_OF_TCP = {"tcp_src": "src_port", "tcp_dst": "dst_port", "tcp_flags": "tcp_flags"}
_OF_UDP = {"udp_src": "src_port", "udp_dst": "dst_port"}
_OF_ICMP = {"icmp_type": "icmp_type", "icmp_code": "icmp_code"}
_OF_ICMPV6 = {"icmpv6_type": "icmp_type", "icmpv6_code": "icmp_code"}
_OF_ND = {"nd_target": "nd_target", "nd_reserved": "nd_reserved", "nd_options_type": "nd_option"}


def _attribute(packet: Packet, name: str) -> str | None:
    """Which attribute holds a field of this packet; None if the packet has no such field."""
    found = _PLAIN.get(name)
    if packet.eth_type in _IP:
        found = found or _OF_IP.get(name) or (_OF_IPV4 if packet.eth_type == IPV4 else _OF_IPV6).get(name)
        found = found or _transport(packet, name)
    elif packet.eth_type == ARP:
        found = found or _OF_ARP.get(name)
    return found


def _transport(packet: Packet, name: str) -> str | None:
    if packet.fragment == LATER:
        return None
    match packet.eth_type, packet.ip_proto:
        case _, 6:
            return _OF_TCP.get(name)
        case _, 17:
            return _OF_UDP.get(name)
        case 0x0800, 1:
            return _OF_ICMP.get(name)
        case 0x86DD, 58:
            return _OF_ICMPV6.get(name) or _discovery(packet, name)
        case _:
            return None


def _discovery(packet: Packet, name: str) -> str | None:
    """RFC 4861: fields of a solicitation or advertisement. An option of the other type is not the one asked for."""
    if packet.icmp_type not in (SOLICITATION, ADVERTISEMENT) or packet.icmp_code != 0:
        return None
    if name == "nd_sll" and packet.icmp_type == SOLICITATION:
        return "nd_address"
    if name == "nd_tll" and packet.icmp_type == ADVERTISEMENT:
        return "nd_address"
    return _OF_ND.get(name)


def read(packet: Packet, name: str) -> int | None:
    """The value of an OpenFlow field; None if this packet has no such field. A missing option reads as 0."""
    attribute = _attribute(packet, name)
    if attribute is None:
        return None
    if attribute == "nd_address" and packet.nd_option != _option_of(name):
        return 0
    if attribute == "ip_proto" and packet.eth_type == IPV6 and packet.fragment == LATER:
        return FRAGMENT  # Open vSwitch looks no further there
    value: int = getattr(packet, attribute)
    return value


def write(packet: Packet, name: str, value: int) -> Packet:
    """The packet with a field changed. Writing a field or an option that is not there changes nothing."""
    attribute = _attribute(packet, name)
    if attribute is None or (attribute == "nd_address" and packet.nd_option != _option_of(name)):
        return packet
    if attribute == "nd_option" and not packet.nd_option:
        return packet
    return msgspec.structs.replace(packet, **{attribute: value})


def _option_of(name: str) -> int:
    return SOURCE_OPTION if name == "nd_sll" else TARGET_OPTION


def flow_hash(packet: Packet) -> int:
    """Eight bits from the 5-tuple, the same for both directions (Open vSwitch's symmetric_l3l4+udp)."""
    ends = sorted(((packet.ip_src, packet.src_port), (packet.ip_dst, packet.dst_port)))
    return zlib.crc32(repr((ends, packet.eth_type, packet.ip_proto)).encode()) & 0xFF


# Packets that guests send.


def number(address: str) -> int:
    return int(ipaddress.ip_address(address))


def version(address: str) -> int:
    return ipaddress.ip_address(address).version


def arp_request(mac: int, address: str, wanted: str) -> Packet:
    return Packet(mac, BROADCAST, ARP, arp_op=1, arp_sha=mac, arp_spa=number(address), arp_tpa=number(wanted))


def arp_reply(mac: int, address: str, to: tuple[int, str]) -> Packet:
    spa, tpa = number(address), number(to[1])
    return Packet(mac, to[0], ARP, arp_op=2, arp_sha=mac, arp_spa=spa, arp_tha=to[0], arp_tpa=tpa)


def solicitation(mac: int, address: str, wanted: str) -> Packet:
    """A neighbour solicitation to the solicited-node group, with the source's link-layer option."""
    low = number(wanted) & 0xFFFFFF
    return Packet(
        mac,
        0x3333FF000000 | low,
        IPV6,
        ip_src=number(address),
        ip_dst=number("ff02::1:ff00:0") | low,
        ip_proto=ICMPV6,
        ttl=255,
        icmp_type=SOLICITATION,
        nd_target=number(wanted),
        nd_option=SOURCE_OPTION,
        nd_address=mac,
    )


def announcement(mac: int, address: str) -> Packet:
    """What tells everybody the MAC of an address: a gratuitous ARP reply that Linux believes (it wants the MAC as
    target too), or an unsolicited advertisement (RFC 4861 section 7.2.6)."""
    value = number(address)
    if version(address) == 4:
        return Packet(mac, BROADCAST, ARP, arp_op=2, arp_sha=mac, arp_spa=value, arp_tha=mac, arp_tpa=value)
    return Packet(
        mac,
        0x333300000001,
        IPV6,
        ip_src=value,
        ip_dst=number("ff02::1"),
        ip_proto=ICMPV6,
        ttl=255,
        icmp_type=ADVERTISEMENT,
        nd_target=value,
        nd_reserved=0x20000000,
        nd_option=TARGET_OPTION,
        nd_address=mac,
        size=72,
    )


def echo(macs: tuple[int, int], addresses: tuple[str, str], payload: str = "") -> Packet:
    """An echo request from the first to the second of each pair, IPv4 or IPv6."""
    kind, proto, family = (ECHO_REQUEST, ICMP, IPV4)
    if version(addresses[1]) == 6:
        kind, proto, family = (ECHO6_REQUEST, ICMPV6, IPV6)
    source, target = number(addresses[0]), number(addresses[1])
    return Packet(*macs, family, ip_src=source, ip_dst=target, ip_proto=proto, icmp_type=kind, payload=payload)


def echo_reply(request: Packet, mac: int) -> Packet:
    """What a guest answers to an echo request."""
    return msgspec.structs.replace(
        request,
        eth_src=mac,
        eth_dst=request.eth_src,
        ip_src=request.ip_dst,
        ip_dst=request.ip_src,
        ttl=64,
        icmp_type=ECHO_REPLY if request.ip_proto == ICMP else ECHO6_REPLY,
    )


def udp(macs: tuple[int, int], addresses: tuple[str, str], ports: tuple[int, int], payload: str = "") -> Packet:
    family = IPV4 if version(addresses[1]) == 4 else IPV6
    source, target = number(addresses[0]), number(addresses[1])
    return Packet(
        *macs,
        family,
        ip_src=source,
        ip_dst=target,
        ip_proto=UDP,
        src_port=ports[0],
        dst_port=ports[1],
        payload=payload,
    )


def tcp(macs: tuple[int, int], addresses: tuple[str, str], ports: tuple[int, int], flags: int = SYN) -> Packet:
    return msgspec.structs.replace(udp(macs, addresses, ports), ip_proto=TCP, tcp_flags=flags)
