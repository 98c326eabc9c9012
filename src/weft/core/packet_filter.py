"""Which packets a capture keeps: a few words of tcpdump's, read once, asked for every packet. Pure.

`arp`, `ip`, `ip6`, `icmp`, `icmp6`, `tcp`, `udp`, `host ADDRESS`, `port NUMBER`, `ether MAC`, joined by `and`, each
with `not` before it where wanted. Called by the API, to refuse what cannot be read, and by agents.
"""

import ipaddress
import struct
from collections.abc import Callable, Iterator

import msgspec

from weft.model.errors import Invalid
from weft.model.values import PackedIp, parse_mac

_ARP, _IPV4, _IPV6, _VLAN = 0x0806, 0x0800, 0x86DD, 0x8100
_ICMP, _TCP, _UDP, _ICMP6 = 1, 6, 17, 58
_EXTENSIONS = (0, 43, 60)
"""Hop-by-hop, routing and destination options (RFC 8200 section 4): their length is their second byte."""


class Parts(msgspec.Struct, frozen=True):
    """What a filter asks about; what a packet does not have is 0 or empty."""

    ethertype: int
    macs: bytes
    addresses: tuple[bytes, ...] = ()
    protocol: int = 0
    ports: tuple[int, ...] = ()


Test = Callable[[Parts], bool]
Filter = Callable[[bytes], bool]


def read_filter(text: str) -> Filter:
    """Raises Invalid."""
    words = iter(text.lower().split())
    tests = list(_tests(words))
    return lambda packet: all(test(parts) for test in tests) if (parts := parts_of(packet)) is not None else not tests


def _tests(words: Iterator[str]) -> Iterator[Test]:
    for word in words:
        yield _negated(_test(next(words, ""), words)) if word == "not" else _test(word, words)
        joint = next(words, "and")
        if joint != "and":
            raise _unknown(joint)


def _negated(test: Test) -> Test:
    return lambda parts: not test(parts)


def _test(word: str, words: Iterator[str]) -> Test:
    if word in _KINDS:
        return _KINDS[word]
    if word not in ("host", "port", "ether"):
        raise _unknown(word)
    value = next(words, "")
    try:
        if word == "host":
            address = PackedIp(ipaddress.ip_address(value).packed)
            return lambda parts: address in parts.addresses
        if word == "port":
            port = int(value)
            return lambda parts: port in parts.ports
    except ValueError as error:
        raise Invalid(f"'{word} {value}' in the filter: {error}.", target="filter") from error
    mac = parse_mac(value).to_bytes(6)
    return lambda parts: mac in (parts.macs[:6], parts.macs[6:])


_KINDS: dict[str, Test] = {
    "arp": lambda parts: parts.ethertype == _ARP,
    "ip": lambda parts: parts.ethertype == _IPV4,
    "ip6": lambda parts: parts.ethertype == _IPV6,
    "icmp": lambda parts: parts.ethertype == _IPV4 and parts.protocol == _ICMP,
    "icmp6": lambda parts: parts.ethertype == _IPV6 and parts.protocol == _ICMP6,
    "tcp": lambda parts: parts.protocol == _TCP,
    "udp": lambda parts: parts.protocol == _UDP,
}


def _unknown(word: str) -> Invalid:
    known = ", ".join([*_KINDS, "host ADDRESS", "port NUMBER", "ether MAC"])
    return Invalid(f"'{word}' is no word of a filter; known: {known}, joined by and, with not before.", target="filter")


def parts_of(packet: bytes) -> Parts | None:
    """None for what is too short to be an Ethernet frame."""
    if len(packet) < 14:
        return None
    at, ethertype = 14, int.from_bytes(packet[12:14])
    if ethertype == _VLAN and len(packet) >= 18:
        at, ethertype = 18, int.from_bytes(packet[16:18])
    macs = packet[:12]
    if ethertype == _IPV4 and len(packet) >= at + 20:
        return _ipv4(packet[at:], macs)
    if ethertype == _IPV6 and len(packet) >= at + 40:
        return _ipv6(packet[at:], macs)
    if ethertype == _ARP and len(packet) >= at + 28:
        return Parts(ethertype, macs, (packet[at + 14 : at + 18], packet[at + 24 : at + 28]))
    return Parts(ethertype, macs)


def _ipv4(packet: bytes, macs: bytes) -> Parts:
    protocol = packet[9]
    is_first = not int.from_bytes(packet[6:8]) & 0x1FFF
    ports = _ports(protocol, packet, 4 * (packet[0] & 15)) if is_first else ()
    return Parts(_IPV4, macs, (packet[12:16], packet[16:20]), protocol, ports)


def _ipv6(packet: bytes, macs: bytes) -> Parts:
    protocol, at = packet[6], 40
    while protocol in _EXTENSIONS and len(packet) >= at + 8:
        protocol, at = packet[at], at + 8 * (packet[at + 1] + 1)
    return Parts(_IPV6, macs, (packet[8:24], packet[24:40]), protocol, _ports(protocol, packet, at))


def _ports(protocol: int, packet: bytes, at: int) -> tuple[int, ...]:
    if protocol not in (_TCP, _UDP) or len(packet) < at + 4:
        return ()
    found: tuple[int, ...] = struct.unpack_from("!HH", packet, at)
    return found
