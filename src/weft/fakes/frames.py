"""The fakes' packets as bytes and back: what the agent's services see of a fake switch, and what a real switch is sent.

Called by the fake switch and by tests. A payload is text whose characters are its bytes (latin-1).
"""

import struct

import msgspec

from weft.fakes.packet import ARP, FIRST, FRAGMENT, ICMP, ICMPV6, IPV4, IPV6, LATER, TCP, UDP, Packet

_TAGGED = 0x8100
_PRESENT = 0x1000


def frame(packet: Packet) -> bytes:
    """The Ethernet frame, without its checksum and without padding."""
    head = packet.eth_dst.to_bytes(6) + packet.eth_src.to_bytes(6)
    if packet.vlan_tci:
        head += struct.pack("!HH", _TAGGED, packet.vlan_tci & ~_PRESENT)
    body = {ARP: _arp, IPV4: _ipv4, IPV6: _ipv6}.get(packet.eth_type, _other)(packet)
    return head + packet.eth_type.to_bytes(2) + body


def _other(packet: Packet) -> bytes:
    return packet.payload.encode("latin-1") or bytes(46)


def _arp(packet: Packet) -> bytes:
    sender, target = packet.arp_sha.to_bytes(6), packet.arp_tha.to_bytes(6)
    fixed = struct.pack("!HHBBH", 1, IPV4, 6, 4, packet.arp_op)
    return fixed + sender + packet.arp_spa.to_bytes(4) + target + packet.arp_tpa.to_bytes(4)


def _ipv4(packet: Packet) -> bytes:
    ends = packet.ip_src.to_bytes(4) + packet.ip_dst.to_bytes(4)
    payload = _transport(packet, ends)
    place = {0: 0, FIRST: 0x2000, LATER: 8}[packet.fragment]  # the flag for more, or an offset of 64 bytes
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, place, packet.ttl, packet.ip_proto, 0) + ends
    return head[:10] + checksum(head) + head[12:] + payload


def _ipv6(packet: Packet) -> bytes:
    ends = packet.ip_src.to_bytes(16) + packet.ip_dst.to_bytes(16)
    payload = _transport(packet, ends)
    proto = packet.ip_proto
    if packet.fragment:
        place = 1 if packet.fragment == FIRST else 64
        payload, proto = struct.pack("!BBHI", proto, 0, place, 7) + payload, FRAGMENT
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, packet.ttl) + ends + payload


def _transport(packet: Packet, ends: bytes) -> bytes:
    text = packet.payload.encode("latin-1")
    if packet.fragment == LATER:
        return b"x" * 32
    if packet.ip_proto == UDP:
        return _summed(packet, ends, struct.pack("!HHHH", packet.src_port, packet.dst_port, 8 + len(text), 0) + text, 6)
    if packet.ip_proto == TCP:
        # the same numbers in every segment but the first two: a tracker takes them for sent again
        began = packet.tcp_flags & 0x02
        numbers = (1 if began else 2, 2 if packet.tcp_flags & 0x10 else 0)
        head = struct.pack("!HHII", packet.src_port, packet.dst_port, *numbers)
        return _summed(packet, ends, head + struct.pack("!BBHHH", 0x50, packet.tcp_flags, 65535, 0, 0) + text, 16)
    if packet.ip_proto in (ICMP, ICMPV6):
        return _summed(packet, ends, _icmp(packet), 2)
    return (text + b"x" * 32)[:32]


def _icmp(packet: Packet) -> bytes:
    head = bytes((packet.icmp_type, packet.icmp_code, 0, 0))
    if packet.ip_proto == ICMPV6 and packet.icmp_type in (135, 136):
        body = packet.nd_reserved.to_bytes(4) + packet.nd_target.to_bytes(16)
        if packet.nd_option:
            body += bytes((packet.nd_option, 1)) + packet.nd_address.to_bytes(6)
        return head + body
    return head + packet.icmp_word.to_bytes(4) + packet.payload.encode("latin-1")


def _summed(packet: Packet, ends: bytes, message: bytes, place: int) -> bytes:
    """The message with its checksum at `place`: over a pseudo header, but for ICMP of IPv4."""
    pseudo = b"" if packet.ip_proto == ICMP else _pseudo(ends, len(message), packet.ip_proto)
    return message[:place] + checksum(pseudo + message) + message[place + 2 :]


def _pseudo(ends: bytes, length: int, proto: int) -> bytes:
    return ends + (struct.pack("!HH", proto, length) if len(ends) == 8 else struct.pack("!II", length, proto))


def checksum(data: bytes) -> bytes:
    """RFC 1071."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2)


def packet(data: bytes) -> Packet:
    """What a frame says; `size` is that of the IP packet. Wrong checksums are an error: a guest would throw it away."""
    eth_dst, eth_src, eth_type = int.from_bytes(data[:6]), int.from_bytes(data[6:12]), int.from_bytes(data[12:14])
    body, tci = data[14:], 0
    if eth_type == _TAGGED:
        tci, eth_type, body = _PRESENT | int.from_bytes(body[:2]), int.from_bytes(body[2:4]), body[4:]
    bare = Packet(eth_src, eth_dst, eth_type, vlan_tci=tci)
    if eth_type == ARP:
        op, sha, spa = int.from_bytes(body[6:8]), int.from_bytes(body[8:14]), int.from_bytes(body[14:18])
        tha, tpa = int.from_bytes(body[18:24]), int.from_bytes(body[24:28])
        return msgspec.structs.replace(bare, arp_op=op, arp_sha=sha, arp_spa=spa, arp_tha=tha, arp_tpa=tpa)
    if eth_type in (IPV4, IPV6):
        return of_ip(body, bare)
    return msgspec.structs.replace(bare, payload=body.decode("latin-1") if any(body) else "")


def of_ip(body: bytes, bare: Packet, *, whole: bool = True) -> Packet:
    """What an IP packet says, on top of its Ethernet header; `whole` is False of one that an ICMP error quotes: its end
    may be cut off, and nothing is checked."""
    if bare.eth_type == IPV4:
        assert checksum(body[:20]) == b"\0\0" or not whole, "a wrong checksum in the IPv4 header"
        size, place = int.from_bytes(body[2:4]), int.from_bytes(body[6:8])
        fragment = LATER if place & 0x1FFF else FIRST if place & 0x2000 else 0
        ttl, proto, ends, start = body[8], body[9], body[12:20], 20
    else:
        size, ttl, proto, ends, start, fragment = 40 + int.from_bytes(body[4:6]), body[7], body[6], body[8:40], 40, 0
        if proto == FRAGMENT:
            proto, start, fragment = body[40], 48, LATER if int.from_bytes(body[42:44]) >> 3 else FIRST
    half = len(ends) // 2
    source, target = int.from_bytes(ends[:half]), int.from_bytes(ends[half:])
    shown = msgspec.structs.replace(
        bare, ttl=ttl, ip_proto=proto, fragment=fragment, ip_src=source, ip_dst=target, size=size
    )
    return _inner(shown, ends, body[start:size], whole=whole)


def _inner(outer: Packet, ends: bytes, body: bytes, *, whole: bool) -> Packet:
    if outer.fragment == LATER or outer.ip_proto not in (UDP, TCP, ICMP, ICMPV6):
        return outer
    pseudo = b"" if outer.ip_proto == ICMP else _pseudo(ends, len(body), outer.ip_proto)
    unsummed = outer.ip_proto == UDP and body[6:8] == b"\0\0"
    assert checksum(pseudo + body) == b"\0\0" or unsummed or outer.fragment or not whole, "a wrong checksum"
    fields: dict[str, object] = {}
    if outer.ip_proto in (UDP, TCP):
        fields |= {"src_port": int.from_bytes(body[:2]), "dst_port": int.from_bytes(body[2:4])}
        start = 8 if outer.ip_proto == UDP else 20
        if outer.ip_proto == TCP and len(body) > 13:
            fields["tcp_flags"] = body[13]
    else:
        fields |= {"icmp_type": body[0], "icmp_code": body[1]}
        start = 8
        if outer.ip_proto == ICMPV6 and body[0] in (135, 136):
            fields |= {"nd_reserved": int.from_bytes(body[4:8]), "nd_target": int.from_bytes(body[8:24])}
            if len(body) >= 32:
                fields |= {"nd_option": body[24], "nd_address": int.from_bytes(body[26:32])}
            return msgspec.structs.replace(outer, **fields)
        fields["icmp_word"] = int.from_bytes(body[4:8])
    return msgspec.structs.replace(outer, **fields, payload=body[start:].decode("latin-1"))
