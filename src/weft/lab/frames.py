"""Builds the frames that the demo's liar sends: an ICMP echo request with any source it likes. Pure."""

import struct

from weft.model.values import PackedIp


def checksum(octets: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(macs: tuple[int, int], source: PackedIp, destination: PackedIp) -> bytes:
    """An Ethernet frame from macs[0] to macs[1] with an IPv4 ping in it."""
    icmp = struct.pack("!BBHHH", 8, 0, 0, 0x5745, 1) + bytes(24)
    icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0, source, destination)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return macs[1].to_bytes(6) + macs[0].to_bytes(6) + b"\x08\x00" + header + icmp
