"""Reading prefixes, addresses and ranges that clients send, with the code that each fault has.

Called by the families of core.decide. Answers are canonical, so that what is stored compares as text.
"""

import ipaddress
from collections.abc import Container

from weft.core.words import number_text
from weft.model.errors import Invalid
from weft.model.fabric import ExcludedRange
from weft.model.values import IpAddress, IpPrefix, lies_in

_SPECIAL = [
    (ipaddress.ip_network(prefix), what)
    for prefix, what in (
        ("0.0.0.0/8", "this network"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/16", "reserved, with loopback and IPv4 in IPv6"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
]
LONGEST_COOL_DOWN_S = 366 * 86_400


def prefix_of(text: str, target: str) -> IpPrefix:
    """An IPv4 or IPv6 prefix. Raises Invalid (InvalidIPPrefix) also where host bits are set."""
    if "/" not in text:
        raise Invalid(f"'{text}' is no prefix: write one such as 10.1.1.0/24.", code="InvalidIPPrefix", target=target)
    try:
        prefix = ipaddress.ip_network(text.strip())
    except ValueError as why:
        raise Invalid(f"'{text}' is no prefix: {why}.", code="InvalidIPPrefix", target=target) from None
    return prefix


def special_in(prefix: IpPrefix) -> str:
    """What of a prefix no host has an address of (RFC 6890, IANA's registries); empty if all could be hosts'."""
    found = (f"{one} is {what}" for one, what in _SPECIAL if one.version == prefix.version and prefix.overlaps(one))
    return next(found, "")


def special_around(prefix: IpPrefix) -> str:
    """Why nothing is routed to a prefix; empty if something could be."""
    every = (one for one in _SPECIAL if one[0].version == prefix.version)
    return next((f"{one} is {what}, to which nothing is routed" for one, what in every if lies_in(prefix, one)), "")


def space_of(text: str, target: str, old: Container[str] = ()) -> IpPrefix:
    """A prefix whose addresses hosts can have, or one of `old`, stored before that was asked. Raises Invalid
    (InvalidIPPrefix)."""
    prefix = prefix_of(text, target)
    if str(prefix) not in old and (special := special_in(prefix)):
        raise Invalid(
            f"No hosts can have addresses of {prefix}: {special}. Name the prefixes that they use.",
            code="InvalidIPPrefix",
            target=target,
        )
    return prefix


def host_prefix_of(text: str, target: str, old: Container[str] = ()) -> IpPrefix:
    """A prefix with room for network, gateway, broadcast and a host; `old` as for space_of."""
    prefix = space_of(text, target, old)
    longest = 30 if prefix.version == 4 else 126
    if prefix.prefixlen > longest:
        raise Invalid(
            f"{prefix} has no room for a gateway and a host: use /{longest} or shorter.",
            code="InvalidIPPrefix",
            target=target,
        )
    return prefix


def ip_of(text: str | None, target: str, code: str = "InvalidParameterValue") -> IpAddress:
    """An IP address. Raises Invalid with the code given."""
    try:
        return ipaddress.ip_address((text or "").strip())
    except ValueError:
        raise Invalid(f"'{text or ''}' is no IP address.", code=code, target=target) from None


def ip_texts(texts: tuple[str, ...], target: str) -> tuple[str, ...]:
    """A list of addresses in canonical form."""
    return tuple(str(ip_of(text, target)) for text in texts)


def word_of(text: str, words: dict[str, str], target: str) -> str:
    """A word in its canonical spelling, by its lower case. Raises Invalid, naming those there are."""
    found = words.get(text.lower())
    if found is None:
        raise Invalid(f"{target} is {' or '.join(words.values())}, not '{text}'.", target=target)
    return found


def refuse_overlap(prefixes: list[tuple[IpPrefix, str]], where: str) -> None:
    """Raise Invalid if two of the named prefixes share an address. Cost n log n."""
    ordered = sorted(prefixes, key=lambda one: (one[0].version, int(one[0].network_address), one[0].prefixlen))
    for (one, name), (other, other_name) in zip(ordered, ordered[1:], strict=False):
        if one.version == other.version and int(other.network_address) <= int(one.broadcast_address):
            raise Invalid(
                f"In {where} {other_name} ({other}) overlaps {name} ({one}): give each its own range.",
                code="InvalidIPPrefix",
                target="addressPrefix",
            )


def contains(prefix: IpPrefix, first: int, last: int) -> bool:
    """Whether first..last lies in a prefix of the same family."""
    return int(prefix.network_address) <= first and last <= int(prefix.broadcast_address)


def check_cool_down(seconds: int) -> None:
    if not 0 <= seconds <= LONGEST_COOL_DOWN_S:
        raise Invalid(
            f"coolDownSeconds {seconds} is not between 0 and {LONGEST_COOL_DOWN_S}.", target="coolDownSeconds"
        )


def excluded_range(one: ExcludedRange, first: int, last: int, where: str) -> ExcludedRange:
    """An exclusion as it will be stored. Raises Invalid where it does not lie in first..last."""
    low, high = ip_of(one.first, "excluded"), ip_of(one.last or one.first, "excluded")
    if low.version != high.version or not first <= int(low) <= int(high) <= last:
        raise Invalid(f"The excluded range {low} to {high} does not lie in {where}.", target="excluded")
    return ExcludedRange(first=str(low), last=str(high), reason=one.reason)


def check_warning(percent: int) -> None:
    if not 0 <= percent <= 100:
        raise Invalid(f"warnAtPercent {percent} is not between 0 and 100.", target="warnAtPercent")


def range_text(version: int, first: int, last: int) -> str:
    return f"{number_text(version, first)} to {number_text(version, last)}"
