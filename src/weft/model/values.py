"""The numbers and names of the field, each with its own type, bounds, parser and printer.

Addresses have two forms. In resources (what clients send and read) they are canonical text; in the ledger and in
flows they are integers; in records that cross the network IP addresses are packed bytes (4 or 16), since
MessagePack has no 128-bit integer.
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NewType, Protocol

import msgspec

from weft.model.errors import InvalidMacAddress, InvalidResourceName

Mac = NewType("Mac", int)
"""A 48-bit EUI-48 address, first octet most significant."""

Vsid = NewType("Vsid", int)
"""Virtual subnet id: the 24-bit TNI of RFC 7637 or VNI of RFC 7348. Granted from 4096..16777214."""

Rdid = NewType("Rdid", int)
"""Routing domain number, 32 bit, stored with its virtual network: the flow register's short form of the RDID GUID."""

Revision = NewType("Revision", int)
"""Dense number of a committed transaction; 0 is the empty store."""

PackedIp = NewType("PackedIp", bytes)
"""An IP address in network order: 4 bytes for IPv4, 16 for IPv6."""

InstanceId = NewType("InstanceId", str)
"""Server-made GUID of a resource, lower case, without braces. A virtual network's is its RDID."""

VSID_MIN = Vsid(4096)
VSID_MAX = Vsid(16_777_214)
"""RFC 7637 section 3.2 reserves 0..0xFFF and 0xFFFFFF."""

SEGMENT = 1 << 24
"""Set in what stands in place of a VSID where there is none."""


def vlan_segment(vlan: int) -> Vsid:
    """What stands in place of a VSID where a port is on a VLAN (0: untagged): above every VSID, so none is like it."""
    return Vsid(SEGMENT | vlan)


def is_segment(vsid: int) -> bool:
    """Does it stand in place of a VSID?"""
    return vsid >= SEGMENT


GROUP_BIT = 1 << 40
"""The I/G bit: least significant bit of the first octet (IEEE 802)."""

ROUTER_MAC = Mac(0x025745465401)
"""The distributed router's address in every virtual subnet; locally administered, SLAP quadrant AAI."""

SENT_ON_MAC = Mac(0x025745465402)
"""Ethernet destination, between two hosts, of a copy for all of a virtual subnet that the old host of machines sends on
to all of it on their new one; locally administered, SLAP quadrant AAI."""

BROADCAST_MAC = Mac(0xFFFFFFFFFFFF)

GATEWAY_DUMMY_PROVIDER_ADDRESS = PackedIp(bytes((169, 254, 254, 254)))
"""Provider address shown on a distributed gateway's lookup record; never sent to the wire."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpPrefix = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAC_FORMS = re.compile(
    r"[0-9a-f]{12}|(?:[0-9a-f]{2}-){5}[0-9a-f]{2}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}",
    re.IGNORECASE,
)
_RESOURCE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OCTETS = {str(octet): octet for octet in range(256)}
"""Each octet of a dotted IPv4 address as ipaddress accepts it: ASCII digits, no leading zeros."""
_SEPARATORS = str.maketrans("", "", "-:.")


class Now(msgspec.Struct, frozen=True):
    """The two times of a decision."""

    ledger: float
    """Seconds of the ledger's own time: never jumps, never goes back; cool-downs and expiries count in it."""
    wall: float
    """Unix seconds, for display only."""


class Rng(Protocol):
    """Source of randomness handed to pure code."""

    def randrange(self, stop: int, /) -> int: ...


NewId = Callable[[], str]
"""Makes a fresh GUID in lower case."""


def parse_mac(text: str) -> Mac:
    """Read a MAC address in any usual notation: 12 bare digits, dashes, colons or Cisco dots, any case.

    Raises InvalidMacAddress. Group and reserved addresses parse; whether one may be used is the ledger's question.
    """
    if not _MAC_FORMS.fullmatch(text):
        raise InvalidMacAddress(text)
    return Mac(int(text.translate(_SEPARATORS), 16))


def mac_digits(mac: int) -> str:
    """Print as a networkInterface has it: 12 upper-case digits."""
    return f"{mac:012X}"


def mac_dashes(mac: int) -> str:
    """Print as AA-BB-CC-DD-EE-FF (macPools and everything under /weft/v1)."""
    d = f"{mac:012X}"
    return f"{d[0:2]}-{d[2:4]}-{d[4:6]}-{d[6:8]}-{d[8:10]}-{d[10:12]}"


def mac_colons(mac: int) -> str:
    """Print as aa:bb:cc:dd:ee:ff, the form of Linux and Open vSwitch."""
    d = f"{mac:012x}"
    return f"{d[0:2]}:{d[2:4]}:{d[4:6]}:{d[6:8]}:{d[8:10]}:{d[10:12]}"


def pack_ip(text: str) -> PackedIp:
    """Text to packed form. Raises ValueError."""
    # compiling a network's records reads two IPv4 addresses for each: ten times faster than ipaddress does
    octets = text.split(".")
    if len(octets) == 4:
        try:
            return PackedIp(bytes([_OCTETS[octet] for octet in octets]))
        except KeyError:
            pass
    return PackedIp(ipaddress.ip_address(text).packed)


def ip_text(packed: bytes) -> str:
    """Packed form to canonical text."""
    if len(packed) == 4:
        a, b, c, d = packed
        return f"{a}.{b}.{c}.{d}"
    return str(ipaddress.ip_address(packed))


LINK_LOCAL = 0xFE80 << 112
"""fe80::, RFC 4291 section 2.5.6."""


def link_local_of(mac: int) -> int:
    """The IPv6 link-local address that a guest with this MAC makes itself (RFC 4291 appendix A, modified EUI-64)."""
    high, low = mac >> 24, mac & 0xFFFFFF
    return LINK_LOCAL | ((high ^ 0x020000) << 40 | 0xFFFE << 24 | low)


ROUTER_LINK_LOCAL = PackedIp(link_local_of(ROUTER_MAC).to_bytes(16))
"""Of the distributed router, the same in every virtual subnet and on every host."""


def mac_of_link_local(address: PackedIp) -> Mac | None:
    """The MAC that an IPv6 link-local address is made of; None if it is of none."""
    high, low = int.from_bytes(address[8:11]) ^ 0x020000, int.from_bytes(address[13:])
    mac = Mac(high << 24 | low)
    return mac if link_local_of(mac).to_bytes(16) == address else None


def gateway_of(prefix: IpPrefix) -> IpAddress:
    """The lowest host address of a virtual subnet, owned by the distributed router."""
    return prefix.network_address + 1


def lies_in(prefix: IpPrefix, other: IpPrefix) -> bool:
    """Is all of a prefix in another, or the same? Never in one of the other family."""
    return prefix.version == other.version and prefix.subnet_of(other)  # type: ignore[arg-type]


def halves(prefix: PackedIp, length: int) -> tuple[tuple[PackedIp, int], ...]:
    """A prefix; of all addresses of a family both halves, since a default route is not held to be one."""
    if length:
        return ((prefix, length),)
    return ((prefix, 1), (PackedIp(b"\x80" + bytes(len(prefix) - 1)), 1))


def check_resource_id(text: str) -> str:
    """Accept 1 to 64 of letters, digits, dot, underscore, dash; kept as written. Raises InvalidResourceName.

    Dots alone are no name: `..` in a URL means the folder above, and clients take it out.
    """
    if not _RESOURCE_ID.fullmatch(text) or not text.strip("."):
        raise InvalidResourceName(text)
    return text


_FIRST_WALL = -62_135_596_800.0
_LAST_WALL = 253_402_300_799.0
"""0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: RFC 3339 has no others."""


def wall_text(wall: float) -> str:
    """RFC 3339 UTC, whole microseconds. What lies before the year 1 or after 9999 is shown as their first or last
    second: somebody may keep an address for good, and the ledger's time goes slower than the wall's."""
    return datetime.fromtimestamp(min(max(wall, _FIRST_WALL), _LAST_WALL), UTC).isoformat().replace("+00:00", "Z")
