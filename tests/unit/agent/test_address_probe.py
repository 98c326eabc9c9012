"""Who else answers for a provider address of this host."""

import dpkt
import pytest

from weft.agent.address_probe import holder_in, other_holder, probe
from weft.agent.outside import UNKNOWN_MAC, Adapter
from weft.model.values import pack_ip

OWN, OTHER, ADDRESS = b"\x02\x00\x00\x00\x00\x01", b"\x02\x00\x00\x00\x00\x02", pack_ip("192.168.1.10")
SIX = pack_ip("fd00::1:10")


def said(sender: bytes, address: bytes, operation: int = 2) -> bytes:
    return (
        OWN + sender + b"\x08\x06\x00\x01\x08\x00\x06\x04\x00" + bytes([operation]) + sender + address + OWN + bytes(22)
    )


@pytest.mark.parametrize(
    ("frame", "holder"),
    [
        (said(OTHER, ADDRESS), "02-00-00-00-00-02"),
        (said(OTHER, ADDRESS, 1), "02-00-00-00-00-02"),
        (said(OWN, ADDRESS), ""),
        (said(OTHER, pack_ip("192.168.1.11")), ""),
        (probe(OTHER, ADDRESS), ""),
        (b"", ""),
        (said(OTHER, ADDRESS)[:30], ""),
    ],
)
def test_who_says_that_the_address_is_his(frame: bytes, holder: str) -> None:
    assert holder_in(frame, OWN, ADDRESS) == holder


def advertisement(sender: bytes, target: bytes, kind: int = 136) -> bytes:
    message = bytes([kind, 0, 0, 0, 0x20, 0, 0, 0]) + target + b"\x02\x01" + sender
    ip = b"\x60\0\0\0" + len(message).to_bytes(2) + b"\x3a\xff" + target + b"\xff\x02" + bytes(13) + b"\x01"
    return b"\x33\x33\0\0\0\x01" + sender + b"\x86\xdd" + ip + message


@pytest.mark.parametrize(
    ("frame", "holder"),
    [
        (advertisement(OTHER, SIX), "02-00-00-00-00-02"),
        (advertisement(OWN, SIX), ""),
        (advertisement(OTHER, pack_ip("fd00::1:11")), ""),
        (advertisement(OTHER, SIX, 135), ""),
        (probe(OTHER, SIX), ""),
        (advertisement(OTHER, SIX)[:70], ""),
    ],
)
def test_who_advertises_an_ipv6_address(frame: bytes, holder: str) -> None:
    assert holder_in(frame, OWN, SIX) == holder


def test_a_solicitation_is_as_others_read_it() -> None:
    frame = dpkt.ethernet.Ethernet(probe(OWN, SIX))
    ip = frame.data
    assert (frame.dst.hex(), frame.src, ip.src, ip.hlim) == ("3333ff010010", OWN, bytes(16), 255)
    assert ip.dst == pack_ip("ff02::1:ff01:10")
    told = bytes(ip.data)
    assert (ip.data.type, told[8:24]) == (135, SIX)
    summed = ip.src + ip.dst + len(told).to_bytes(4) + (58).to_bytes(4) + told
    total = sum(int.from_bytes(summed[at : at + 2]) for at in range(0, len(summed), 2))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


async def test_what_cannot_be_asked_is_nobodys_and_what_the_kernel_found_taken_is_somebodys() -> None:
    gone = Adapter("no-such-nic", OWN, 1500)
    assert await other_holder(ADDRESS, gone) == ""
    assert await other_holder(SIX, Adapter("no-such-nic", OWN, 1500, failed=True)) == UNKNOWN_MAC
