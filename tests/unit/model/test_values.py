"""Parsing and printing of the field's numbers."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model import values as v
from weft.model.errors import InvalidMacAddress, InvalidResourceName

MACS = st.integers(min_value=0, max_value=2**48 - 1)


@given(MACS, st.booleans())
def test_every_notation_of_a_mac_is_one_identity(mac: int, upper: bool) -> None:
    digits = f"{mac:012x}"
    dots = ".".join(digits[i : i + 4] for i in (0, 4, 8))
    for text in (v.mac_digits(mac), v.mac_dashes(mac), v.mac_colons(mac), dots):
        assert v.parse_mac(text.upper() if upper else text.lower()) == mac


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00155D01020",
        "00155D0102031",
        "00-15-5D:01-02-03",
        "00:15:5d:01:02",
        "0015.5d01.02",
        "zz155D010203",
        "00 15 5D 01 02 03",
        "00155D010203\n",
    ],
)
def test_what_is_no_mac_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidMacAddress) as refusal:
        v.parse_mac(text)
    assert refusal.value.code == "InvalidPrivateMacAddress"
    assert "00-1D-D8-B7-1C-00" in refusal.value.message


def test_the_routers_mac_is_unicast_and_locally_administered() -> None:
    assert not v.ROUTER_MAC & v.GROUP_BIT
    assert (v.ROUTER_MAC >> 40) & 0x0F == 0x2


@given(st.ip_addresses())
def test_packed_addresses_come_back(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert v.ip_text(v.pack_ip(str(address))) == str(address)


def test_the_gateway_is_the_lowest_host_address() -> None:
    assert str(v.gateway_of(ipaddress.ip_network("10.1.1.0/24"))) == "10.1.1.1"
    assert str(v.gateway_of(ipaddress.ip_network("fd00:1::/64"))) == "fd00:1::1"


_OCTET = st.one_of(st.integers(-1, 300).map(str), st.sampled_from(["", "00", "01", "1 ", "+1", "1_0", "²", "١", "0x1"]))


@given(
    st.one_of(st.lists(_OCTET, min_size=3, max_size=5).map(".".join), st.text(max_size=16), st.ip_addresses().map(str))
)
def test_addresses_are_packed_as_ipaddress_reads_them(text: str) -> None:
    try:
        expected = ipaddress.ip_address(text).packed
    except ValueError:
        with pytest.raises(ValueError, match="does not appear to be"):
            v.pack_ip(text)
    else:
        assert v.pack_ip(text) == expected


@given(st.ip_addresses())
def test_packed_addresses_are_printed_as_ipaddress_prints_them(address: ipaddress.IPv4Address) -> None:
    assert v.ip_text(address.packed) == str(address)


@pytest.mark.parametrize("text", ["web1", "A.b_c-9", "x" * 64])
def test_resource_ids_are_kept_as_written(text: str) -> None:
    assert v.check_resource_id(text) == text


@pytest.mark.parametrize("text", ["", "x" * 65, "a/b", "a b", "ä", "a\n", ".", ".."])
def test_other_resource_ids_are_refused(text: str) -> None:
    with pytest.raises(InvalidResourceName):
        v.check_resource_id(text)


def test_times_are_printed_in_utc() -> None:
    assert v.wall_text(0.0) == "1970-01-01T00:00:00Z"
    assert v.wall_text(1e12) == "9999-12-31T23:59:59Z"
    assert v.wall_text(-1e12) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("prefix", "other", "inside"),
    [
        ("10.1.1.0/24", "10.1.0.0/16", True),
        ("10.1.1.0/24", "10.1.1.0/24", True),
        ("10.1.0.0/16", "10.1.1.0/24", False),
        ("10.1.1.0/24", "::/0", False),
        ("fd00:1::/64", "fd00::/16", True),
    ],
)
def test_a_prefix_lies_in_another_of_its_family(prefix, other, inside):
    assert v.lies_in(ipaddress.ip_network(prefix), ipaddress.ip_network(other)) is inside
