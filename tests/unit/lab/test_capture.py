"""Keys and addresses are read from captures as they are on the wire."""

import struct

import pytest

from weft.lab.capture import frame, packets, tunnelled
from weft.lab.frames import checksum, echo_request
from weft.model.values import pack_ip

INNER = echo_request((0x001DD8B71C00, 0x001DD8B71C01), pack_ip("10.1.1.11"), pack_ip("10.1.1.12"))


def outer(gre, protocol=47):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(gre), 1, 0, 64, protocol, 0, *ends())
    return bytes(12) + b"\x08\x00" + header + gre


def ends():
    return pack_ip("192.168.1.10"), pack_ip("192.168.2.20")


def pcap(frames, order="<"):
    head = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    return head + b"".join(struct.pack(f"{order}IIII", 0, 0, len(one), len(one)) + one for one in frames)


def test_a_ping_is_built_with_right_checksums():
    assert checksum(INNER[14:34]) == 0
    assert checksum(INNER[34:]) == 0
    found = frame(INNER)
    assert (found.source_mac, found.destination_mac) == ("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-01")
    assert (found.source, found.destination, found.ttl, found.protocol) == ("10.1.1.11", "10.1.1.12", 64, 1)


def test_vsid_and_flow_id_are_the_parts_of_the_key():
    found = tunnelled(outer(struct.pack("!HHI", 0x2000, 0x6558, 6001 << 8 | 0x5A) + INNER))
    assert (found.vsid, found.flow_id, found.key) == (6001, 0x5A, 0x17715A)
    assert (found.source, found.destination) == ("192.168.1.10", "192.168.2.20")
    assert found.inner.destination == "10.1.1.12"


@pytest.mark.parametrize(
    "other",
    [
        INNER,
        b"",
        outer(struct.pack("!HHI", 0x2000, 0x0800, 1) + INNER),
        outer(struct.pack("!HHI", 0x3000, 0x6558, 1) + INNER),
        outer(struct.pack("!HHI", 0x2000, 0x6558, 1) + INNER, protocol=17),
        outer(b"\x20\x00\x65"),
    ],
)
def test_what_is_not_nvgre_is_none(other):
    assert tunnelled(other) is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_captures_of_both_byte_orders(order):
    assert list(packets(pcap([INNER, b"x" * 60], order))) == [INNER, b"x" * 60]


def test_a_capture_that_was_cut_off_gives_its_whole_frames():
    assert list(packets(pcap([INNER, INNER])[:-1])) == [INNER]
    assert list(packets(b"no capture")) == []
