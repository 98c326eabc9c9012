"""Reads what tcpdump wrote: outer and inner headers of NVGRE packets, and plain frames. Pure.

pcap: the classic format, both byte orders. NVGRE: RFC 7637 (GRE with a key, protocol 0x6558).
"""

import struct
from collections.abc import Iterator

import msgspec

from weft.model.values import ip_text, mac_dashes

_ORDERS = {b"\xa1\xb2\xc3\xd4": ">", b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">", b"\x4d\x3c\xb2\xa1": "<"}
_GRE, _TRANSPARENT_ETHERNET, _KEY_PRESENT = 47, 0x6558, 0x2000


class Frame(msgspec.Struct, frozen=True):
    """An Ethernet frame with IPv4 in it; ttl 0 and no addresses if there is none."""

    source_mac: str
    destination_mac: str
    source: str = ""
    destination: str = ""
    ttl: int = 0
    protocol: int = 0


class Tunnelled(msgspec.Struct, frozen=True):
    """An NVGRE packet: VSID in the upper 24 bits of the key, FlowID in the low 8 (RFC 7637 section 3.2)."""

    source: str
    destination: str
    key: int
    inner: Frame

    @property
    def vsid(self) -> int:
        return self.key >> 8

    @property
    def flow_id(self) -> int:
        return self.key & 0xFF


def packets(pcap: bytes) -> Iterator[bytes]:
    """The frames of a capture, to its last whole one; nothing if it is no pcap."""
    order = _ORDERS.get(pcap[:4])
    at = 24
    while order and at + 16 <= len(pcap):
        length = struct.unpack_from(f"{order}I", pcap, at + 8)[0]
        if at + 16 + length > len(pcap):
            return
        yield pcap[at + 16 : at + 16 + length]
        at += 16 + length


def frame(octets: bytes) -> Frame | None:
    """None if it is too short to be one."""
    if len(octets) < 14:
        return None
    macs = mac_dashes(int.from_bytes(octets[6:12])), mac_dashes(int.from_bytes(octets[:6]))
    if octets[12:14] != b"\x08\x00" or len(octets) < 34:
        return Frame(*macs)
    return Frame(*macs, ip_text(octets[26:30]), ip_text(octets[30:34]), ttl=octets[22], protocol=octets[23])


def tunnelled(octets: bytes) -> Tunnelled | None:
    """None if it is not NVGRE over IPv4."""
    outer = frame(octets)
    if outer is None or outer.protocol != _GRE:
        return None
    gre = octets[14 + 4 * (octets[14] & 15) :]
    if len(gre) < 8:
        return None
    flags, protocol, key = struct.unpack_from("!HHI", gre)
    inner = frame(gre[8:])
    if flags != _KEY_PRESENT or protocol != _TRANSPARENT_ETHERNET or inner is None:
        return None
    return Tunnelled(outer.source, outer.destination, key, inner)
