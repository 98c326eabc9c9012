"""The fakes' packets as bytes and back, so that one packet can be sent into a fake and into a real switch."""

import struct

import msgspec

from weft.fakes.packet import ARP, FIRST, FRAGMENT, ICMP, ICMPV6, IPV4, IPV6, LATER, UDP, Packet


def frame(packet: Packet) -> bytes:
    head = packet.eth_dst.to_bytes(6) + packet.eth_src.to_bytes(6)
    if packet.vlan_tci:
        head += struct.pack("!HH", 0x8100, packet.vlan_tci & 0xEFFF)
    body = {ARP: _arp, IPV4: _ipv4, IPV6: _ipv6}.get(packet.eth_type, lambda _: bytes(46))(packet)
    return head + packet.eth_type.to_bytes(2) + body


def _arp(packet: Packet) -> bytes:
    sender, target = packet.arp_sha.to_bytes(6), packet.arp_tha.to_bytes(6)
    fixed = struct.pack("!HHBBH", 1, IPV4, 6, 4, packet.arp_op)
    return fixed + sender + packet.arp_spa.to_bytes(4) + target + packet.arp_tpa.to_bytes(4)


def _ipv4(packet: Packet) -> bytes:
    ends = packet.ip_src.to_bytes(4) + packet.ip_dst.to_bytes(4)
    payload = _transport(packet, ends)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, packet.ttl, packet.ip_proto, 0) + ends
    return head[:10] + _checksum(head) + head[12:] + payload


def _ipv6(packet: Packet) -> bytes:
    ends = packet.ip_src.to_bytes(16) + packet.ip_dst.to_bytes(16)
    payload = _transport(packet, ends)
    proto = packet.ip_proto
    if packet.fragment:
        place = 1 if packet.fragment == FIRST else 64  # the M flag; an offset of 64 bytes
        payload, proto = struct.pack("!BBHI", proto, 0, place, 7) + payload, FRAGMENT
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, packet.ttl) + ends + payload


def _transport(packet: Packet, ends: bytes) -> bytes:
    if packet.ip_proto == UDP:
        text = packet.payload.encode()
        return struct.pack("!HHHH", packet.src_port, packet.dst_port, 8 + len(text), 0) + text
    if packet.ip_proto not in (ICMP, ICMPV6) or packet.fragment == LATER:
        return b"x" * 32
    if packet.ip_proto == ICMPV6 and packet.icmp_type in (135, 136):
        body = packet.nd_reserved.to_bytes(4) + packet.nd_target.to_bytes(16)
        if packet.nd_option:
            body += bytes((packet.nd_option, 1)) + packet.nd_address.to_bytes(6)
    else:
        body = struct.pack("!HH", 1, 1) + packet.payload.encode()
    message = bytes((packet.icmp_type, packet.icmp_code, 0, 0)) + body
    pseudo = ends + struct.pack("!II", len(message), ICMPV6) if packet.ip_proto == ICMPV6 else b""
    return message[:2] + _checksum(pseudo + message) + message[4:]


def _checksum(data: bytes) -> bytes:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2)


def packet(data: bytes) -> Packet:
    """What came out. Wrong checksums are an error: a guest would throw the packet away."""
    eth_dst, eth_src, eth_type = int.from_bytes(data[:6]), int.from_bytes(data[6:12]), int.from_bytes(data[12:14])
    body = data[14:]
    if eth_type == ARP:
        op, sha, spa = int.from_bytes(body[6:8]), int.from_bytes(body[8:14]), int.from_bytes(body[14:18])
        tha, tpa = int.from_bytes(body[18:24]), int.from_bytes(body[24:28])
        return Packet(eth_src, eth_dst, ARP, arp_op=op, arp_sha=sha, arp_spa=spa, arp_tha=tha, arp_tpa=tpa)
    if eth_type == IPV4:
        assert _checksum(body[:20]) == b"\0\0"
        return _inner(Packet(eth_src, eth_dst, IPV4, ttl=body[8], ip_proto=body[9]), body[12:20], body[20:])
    if eth_type == IPV6:
        length = int.from_bytes(body[4:6])
        proto, start, fragment = body[6], 40, 0
        if proto == FRAGMENT:
            proto, start, fragment = body[40], 48, LATER if int.from_bytes(body[42:44]) >> 3 else FIRST
        shown = Packet(eth_src, eth_dst, IPV6, ttl=body[7], ip_proto=proto, fragment=fragment)
        return _inner(shown, body[8:40], body[start : 40 + length])
    return Packet(eth_src, eth_dst, eth_type)


def _inner(outer: Packet, ends: bytes, body: bytes) -> Packet:
    half = len(ends) // 2
    fields: dict[str, object] = {"ip_src": int.from_bytes(ends[:half]), "ip_dst": int.from_bytes(ends[half:])}
    if outer.fragment == LATER:
        return msgspec.structs.replace(outer, **fields)
    if outer.ip_proto == UDP:
        fields |= {"src_port": int.from_bytes(body[:2]), "dst_port": int.from_bytes(body[2:4])}
        fields["payload"] = body[8 : int.from_bytes(body[4:6])].decode()
    elif outer.ip_proto in (ICMP, ICMPV6):
        pseudo = ends + struct.pack("!II", len(body), ICMPV6) if outer.ip_proto == ICMPV6 else b""
        assert _checksum(pseudo + body) == b"\0\0"
        fields |= {"icmp_type": body[0], "icmp_code": body[1]}
        if outer.ip_proto == ICMPV6 and body[0] in (135, 136):
            fields |= {"nd_reserved": int.from_bytes(body[4:8]), "nd_target": int.from_bytes(body[8:24])}
            if len(body) >= 32:
                fields |= {"nd_option": body[24], "nd_address": int.from_bytes(body[26:32])}
        else:
            fields["payload"] = body[8:].decode()
    shown = {name: getattr(outer, name) for name in ("eth_src", "eth_dst", "eth_type", "ttl", "ip_proto", "fragment")}
    return Packet(**shown, **fields)
