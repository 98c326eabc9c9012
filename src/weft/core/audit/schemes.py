"""Addresses made of the machine's IPv4 address, and why that clashes. Called by audit.report.

Two such schemes are in use: 10.1.0.15 as 00-00-10-01-00-15 (each octet's decimal digits stand as they are) and
172.16.0.253 as 00-00-AC-10-00-FD (each octet in hexadecimal). 00-00-10-01-00-15 is 10.1.0.15 in the one and 16.1.0.21
in the other; octets above 99 do not fit the first; two tenants with one IP address get one MAC address.
"""

from collections.abc import Iterator

import msgspec

from weft.core.audit.commands import Spares, change_mac
from weft.core.audit.findings import NOTICE, WARNING, Finding, about, listed
from weft.core.audit.survey import Nic, Survey
from weft.model.values import GROUP_BIT, ip_text, mac_dashes

DECIMAL, HEXADECIMAL = "decimal", "hexadecimal"
_LEAST = 2
"""So many interfaces make a scheme: one alone may be chance."""


def decimal_tail(ip: bytes) -> int | None:
    """The last four octets that the decimal scheme makes of an IPv4 address; None where an octet is above 99."""
    if any(octet > 99 for octet in ip):
        return None
    return int("".join(f"{octet:02d}" for octet in ip), 16)


def decimal_reading(tail: int) -> bytes | None:
    """The IPv4 address that the decimal scheme reads from four octets; None if they are no decimal digits."""
    digits = f"{tail:08x}"
    return bytes(int(digits[at : at + 2]) for at in range(0, 8, 2)) if digits.isdecimal() else None


class _Scheme(msgspec.Struct):
    """Interfaces with one prefix whose addresses say their IP addresses."""

    prefix: int
    members: list[Nic] = []
    kinds: set[str] = set()
    strays: list[Nic] = []
    """Same prefix, but the address does not say an IP address that the machine has."""


def ip_schemes(found: Survey, spares: Spares) -> Iterator[Finding]:
    """Each scheme once, with what is wrong with it; then the clashes that it makes, by name."""
    for scheme in _schemes(found):
        yield _described(scheme)
        yield from _cross_readings(scheme, found, spares)
        yield from _stale(scheme, spares)
        yield from _tenants(scheme)


def _schemes(found: Survey) -> list[_Scheme]:
    schemes: dict[int, _Scheme] = {}
    for nic in found.nics:
        kinds = _kinds_of(nic)
        if kinds:
            scheme = schemes.setdefault(nic.mac >> 32, _Scheme(nic.mac >> 32))
            scheme.members.append(nic)
            scheme.kinds |= kinds
    real = {prefix: scheme for prefix, scheme in schemes.items() if len(scheme.members) >= _LEAST or not prefix}
    for nic in found.nics:
        scheme_of = real.get(nic.mac >> 32)
        if scheme_of is not None and nic.mac and not _kinds_of(nic):
            scheme_of.strays.append(nic)
    return list(real.values())


def _kinds_of(nic: Nic) -> set[str]:
    """Under which schemes its address says one of its IP addresses. Of a machine whose IP addresses nobody told, what
    may be meant by an address that begins with 00-00."""
    if not nic.mac or nic.mac & GROUP_BIT:
        return set()
    tail, ips = nic.mac & 0xFFFFFFFF, _v4(nic)
    if not ips and not nic.mac >> 32:
        return {HEXADECIMAL} if decimal_reading(tail) is None else {DECIMAL, HEXADECIMAL}
    found = {HEXADECIMAL} if any(int.from_bytes(ip) == tail for ip in ips) else set()
    return found | ({DECIMAL} if any(decimal_tail(ip) == tail for ip in ips) else set())


def _v4(nic: Nic) -> list[bytes]:
    return [ip for ip in nic.ips if len(ip) == 4]


def _said(nic: Nic) -> str:
    """The IP address that a member's own address was made of, as far as one can tell."""
    tail = nic.mac & 0xFFFFFFFF
    readings = [reading for reading in (decimal_reading(tail), tail.to_bytes(4)) if reading is not None]
    return ip_text(next((reading for reading in readings if reading in nic.ips), readings[0]))


def _described(scheme: _Scheme) -> Finding:
    prefix = mac_dashes(scheme.prefix << 32)[:5]
    example = scheme.members[0]
    too_big = [
        f"{nic.guest.name} ({ip_text(ip)})" for nic in scheme.strays for ip in _v4(nic) if decimal_tail(ip) is None
    ]
    why = "It breaks when an IP address changes, has no room for IPv6, and makes one MAC address of one IP address in "
    why += f"two networks. {prefix} is in blocks that others bought."
    if DECIMAL in scheme.kinds:
        why += " Octets above 99 do not fit in it"
        why += f": {listed(too_big)}." if too_big else "."
    return about(
        scheme.members,
        severity=WARNING if DECIMAL in scheme.kinds else NOTICE,
        code="addressFromIp",
        address=prefix,
        summary=f"MAC addresses that begin with {prefix} are made of IP addresses, {len(scheme.members)} of them "
        f"({' and '.join(sorted(scheme.kinds))}): {mac_dashes(example.mac)} is {_said(example)} of {example.guest}.",
        steps=tuple(_two_readings(scheme)),
        remedy=f"{why} Take addresses from a pool instead; Weft offers no such scheme.",
        commands=("weft import INVENTORY",),
    )


def _two_readings(scheme: _Scheme) -> Iterator[str]:
    """An address of it that says two IP addresses, as an example."""
    for nic in scheme.members:
        tail = nic.mac & 0xFFFFFFFF
        decimal = decimal_reading(tail)
        if decimal is not None and int.from_bytes(decimal) != tail:
            hexadecimal = ip_text(tail.to_bytes(4))
            yield f"{mac_dashes(nic.mac)} is {ip_text(decimal)} read as decimal, and {hexadecimal} read as hexadecimal."
            return


def _cross_readings(scheme: _Scheme, found: Survey, spares: Spares) -> Iterator[Finding]:
    """Machines whose IP address, under the other reading, is what another's MAC address says."""
    by_ip: dict[bytes, list[Nic]] = {}
    for nic in found.nics:
        for ip in nic.ips:
            by_ip.setdefault(ip, []).append(nic)
    for nic in [member for member in scheme.members if member.ips]:
        tail = nic.mac & 0xFFFFFFFF
        readings = {reading for reading in (decimal_reading(tail), tail.to_bytes(4)) if reading is not None}
        for ip in sorted(readings.difference(nic.ips)):
            for other in by_ip.get(ip, ()):
                if other.guest.identity != nic.guest.identity:
                    yield _two_in_one(nic, other, ip, spares)


def _two_in_one(nic: Nic, other: Nic, ip: bytes, spares: Spares) -> Finding:
    mac = mac_dashes(nic.mac)
    return about(
        [nic, other],
        severity=WARNING,
        code="addressFromIpClash",
        address=mac,
        summary=f"{mac} stands for {_said(nic)} of {nic.guest} and, read the other way, for {ip_text(ip)} of "
        f"{other.guest}.",
        steps=(
            f"{nic.guest} has {mac}, made of {_said(nic)}.",
            f"{other.guest} gets its address made of {ip_text(ip)} the other way: {mac} too.",
        ),
        remedy="Take addresses from a pool; do not make them of IP addresses.",
        commands=change_mac(nic, spares.mac(nic)),
    )


def _stale(scheme: _Scheme, spares: Spares) -> Iterator[Finding]:
    """Machines of the scheme whose IP address has changed since."""
    for nic in scheme.strays:
        own = _v4(nic)
        if own:
            yield about(
                [nic],
                severity=NOTICE,
                code="addressFromIpStale",
                address=mac_dashes(nic.mac),
                summary=f"{nic.guest} has {mac_dashes(nic.mac)} by the scheme, but {ip_text(own[0])} as IP address.",
                steps=(f"The machine that gets the former IP address is given {mac_dashes(nic.mac)} too.",),
                remedy="Take addresses from a pool; do not make them of IP addresses.",
                commands=change_mac(nic, spares.mac(nic)),
            )


def _tenants(scheme: _Scheme) -> Iterator[Finding]:
    """One IP address in two networks: one MAC address for both."""
    by_mac: dict[int, dict[str, Nic]] = {}
    for nic in scheme.members:
        by_mac.setdefault(nic.mac, {}).setdefault(nic.domain, nic)
    for mac, domains in by_mac.items():
        if len(domains) > 1:
            nics = list(domains.values())
            names = [f"{nic.guest} ({nic.domain or 'network unknown'})" for nic in nics]
            yield about(
                nics,
                severity=WARNING,
                code="addressFromIpTenants",
                address=mac_dashes(mac),
                summary=f"{listed(names)} have one MAC address, since they have one IP address in different networks.",
                steps=("Their networks meet (a trunk, a move, a merger): two machines with one address.",),
                remedy="Take addresses from a pool; do not make them of IP addresses.",
            )
