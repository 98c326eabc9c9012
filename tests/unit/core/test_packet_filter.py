"""Which packets a capture keeps."""

import pytest

from weft.core.packet_filter import read_filter
from weft.model.errors import Invalid
from weft.model.values import pack_ip

MACS = bytes.fromhex("001dd8b71c01001dd8b71c02")
TAG = bytes.fromhex("81000064")


def ipv4(protocol: int, ports: bytes = b"", options: bytes = b"", fragment: int = 0) -> bytes:
    head = bytes([0x45 + len(options) // 4, 0, 0, 0, 0, 0]) + fragment.to_bytes(2) + bytes([64, protocol, 0, 0])
    return b"\x08\x00" + head + pack_ip("10.1.1.11") + pack_ip("10.1.1.12") + options + ports


def ipv6(protocol: int, rest: bytes) -> bytes:
    return b"\x86\xdd" + bytes(6) + bytes([protocol, 64]) + pack_ip("fd00::1") + pack_ip("fd00::2") + rest


HTTP = (40_000).to_bytes(2) + (80).to_bytes(2) + bytes(16)
ARP = b"\x08\x06" + bytes(14) + pack_ip("10.1.1.11") + bytes(6) + pack_ip("10.1.1.13")

KEPT = [
    ("", ARP, True),
    ("", b"", True),
    ("arp", ARP, True),
    ("not arp", ARP, False),
    ("arp and host 10.1.1.13", ARP, True),
    ("arp and host 10.1.1.14", ARP, False),
    ("icmp", ipv4(1, bytes(8)), True),
    ("icmp", ipv4(6, HTTP), False),
    ("icmp6", ipv6(58, bytes(8)), True),
    ("tcp and port 80", ipv4(6, HTTP), True),
    ("tcp and port 80", ipv4(6, HTTP, options=bytes(8)), True),
    ("TCP AND PORT 443", ipv4(6, HTTP), False),
    ("port 80", ipv4(6, HTTP, fragment=100), False),
    ("udp", ipv4(6, HTTP), False),
    ("ip6 and tcp and port 80", ipv6(6, HTTP), True),
    ("port 80", ipv6(0, bytes([6, 0, 0, 0, 0, 0, 0, 0]) + HTTP), True),
    ("host 10.1.1.12 and not port 80", ipv4(6, HTTP), False),
    ("host fd00::2", ipv6(6, HTTP), True),
    ("ether 00-1D-D8-B7-1C-02", ARP, True),
    ("ether 00:1d:d8:b7:1c:03", ARP, False),
]


@pytest.mark.parametrize(("words", "rest", "kept"), KEPT)
@pytest.mark.parametrize("tag", [b"", TAG])
def test_what_is_kept(words: str, rest: bytes, kept: bool, tag: bytes) -> None:
    assert read_filter(words)(MACS + tag + rest) is kept


@pytest.mark.parametrize("cut", range(12))
def test_what_is_cut_short_is_no_error(cut: int) -> None:
    for rest in (ARP, ipv4(6, HTTP), ipv6(0, bytes([6, 9]) + HTTP)):
        for length in range(cut, len(rest), 12):
            read_filter("not port 80 and not host 10.1.1.99")((MACS + rest)[: 12 + length])
    assert read_filter("arp")(MACS[:cut]) is False


@pytest.mark.parametrize("words", ["tcpp", "host", "host 10.1.1", "port http", "tcp port 80", "not", "ether 1", "and"])
def test_words_that_nobody_knows_are_refused(words: str) -> None:
    with pytest.raises(Invalid):
        read_filter(words)
