"""Host ranges that clash or run out. Called by audit.report.

By itself a Hyper-V host draws from 00-15-5D-x-y-00 to -FF, x and y the last two octets of the IPv4 address that it
had when the role was installed: 256 addresses, copied by imaging, equal for 10.1.3.5 and 10.2.3.5.
"""

from collections.abc import Iterator

from weft.core.audit.commands import Spares, change_range
from weft.core.audit.findings import CRITICAL, NOTICE, WARNING, Finding, hosts_of, listed, named, span
from weft.core.audit.stabbing import clusters
from weft.core.audit.survey import HYPERV_OUI, Bounds, Guest, Site, Survey
from weft.core.cmdlets import REGISTRY_VALUES
from weft.model.values import ip_text

NEARLY_FULL = 0.8
_ROOM = 0x1000
_EARLIER = "Machines there keep their addresses until they are next turned on, and then draw from the new range."

_ANEW = (
    f"A host makes its range anew of its present address when its registry values {REGISTRY_VALUES} are deleted and "
    "its service vmms is restarted."
)

Owners = dict[Bounds, list[Site]]
Pools = dict[Bounds, list[str]]


def clashing_ranges(found: Survey, spares: Spares) -> Iterator[Finding]:
    """Equal ranges of hosts, and ranges of hosts and pools that overlap or are equal."""
    owners: Owners = {}
    for site in found.sites.values():
        if site.bounds is not None:
            owners.setdefault(site.bounds, []).append(site)
    pools: Pools = {}
    for name, bounds in found.pools:
        pools.setdefault(bounds, []).append(name)
    for bounds, sites in owners.items():
        if len(sites) > 1:
            yield _equal(bounds, sites, spares)
    alone = set(owners) | set(pools)
    for group in clusters(alone):
        alone -= set(group)
        yield _overlap(group, owners, pools, spares)
    for bounds in sorted(alone & set(pools)):
        if len(pools[bounds]) + len(owners.get(bounds, ())) > 1:
            yield _overlap([bounds], owners, pools, spares)


def _equal(bounds: Bounds, sites: list[Site], spares: Spares) -> Finding:
    names = [site.name for site in sites]
    return Finding(
        severity=CRITICAL,
        code="rangesEqual",
        address=span(bounds),
        hosts=tuple(names),
        summary=f"{listed(names)} draw from the same range, {span(bounds)}.",
        steps=(
            f"{names[0]} draws an address of the range for a new machine.",
            f"{names[1]} draws the same one for another: a host checks its own machines only.",
            "Both run with one address as soon as they are in one network.",
        ),
        remedy=f"{_cause(bounds, sites)} Give each host a range of its own. {_EARLIER}",
        commands=tuple(line for site in sites[1:] for line in change_range(site, spares.bounds())),
    )


def _cause(bounds: Bounds, sites: list[Site]) -> str:
    tail = _default_tail(bounds)
    alike = [site for site in sites if tail is not None and tail in _tails(site)]
    if len(alike) > 1:
        return f"Their addresses end alike ({_dotted(tail)}), and the range is made of these two octets."
    if alike or tail is not None:
        cause = "They come from one image (sysprep does not reset the range), or one has the former address of another."
        return f"{cause} {_ANEW if any(site.is_hyperv for site in sites) else ''}".rstrip()
    return "Somebody set it so by hand: a range that is equal everywhere makes duplicates."


def _overlap(group: list[Bounds], owners: Owners, pools: Pools, spares: Spares) -> Finding:
    sites = [site for bounds in group for site in owners.get(bounds, ())]
    names = [name for bounds in group for name in pools.get(bounds, ())]
    whole = (group[0][0], max(last for _, last in group))
    held = [f"{site.name} ({span(bounds)})" for bounds in group for site in owners.get(bounds, ())]
    held += [f"pool {name} ({span(bounds)})" for bounds in group for name in pools.get(bounds, ())]
    return Finding(
        severity=CRITICAL,
        code="rangeOverlapsPool" if names else "rangesOverlap",
        address=span(whole),
        hosts=tuple(site.name for site in sites),
        summary=f"The ranges of {listed(held)} overlap.",
        steps=(
            f"{held[0].partition(' (')[0]} gives an address to a machine.",
            f"{held[1].partition(' (')[0]} gives the same one to another: neither asks the other.",
        ),
        remedy=f"Keep what hosts draw from apart from each other and from every pool. {_EARLIER}",
        commands=tuple(
            line for site in (sites if names else sites[1:]) for line in change_range(site, spares.bounds())
        ),
    )


def _default_tail(bounds: Bounds) -> int | None:
    """The two octets that a range was made of, if it is one that a host made by itself."""
    first, last = bounds
    by_itself = first >> 24 == HYPERV_OUI and not first & 0xFF and last == first | 0xFF
    return first >> 8 & 0xFFFF if by_itself else None


def _tails(site: Site) -> set[int]:
    return {int.from_bytes(ip[2:]) for ip in site.addresses if len(ip) == 4}


def _dotted(tail: int | None) -> str:
    return f".{tail >> 8}.{tail & 255}" if tail is not None else ""


def cloned_hosts(found: Survey, spares: Spares) -> Iterator[Finding]:
    """Hosts whose ranges nobody told, but which have made equal ones by themselves; ranges made of a stranger's
    address."""
    by_tail: dict[int, list[Site]] = {}
    for site in found.sites.values():
        if site.is_hyperv:
            for tail in _made_of(site):
                by_tail.setdefault(tail, []).append(site)
    for tail, sites in by_tail.items():
        if len(sites) > 1 and any(site.bounds is None for site in sites):
            yield _same_tail(tail, sites, spares)
    for site in found.sites.values():
        made_of = _default_tail(site.bounds) if site.bounds is not None else None
        if made_of is not None and site.is_hyperv and site.addresses and made_of not in _tails(site):
            yield _from_elsewhere(site, made_of, spares)


def _made_of(site: Site) -> set[int]:
    """What its default range is made of: as told, else what its addresses let expect."""
    if site.bounds is None:
        return _tails(site)
    tail = _default_tail(site.bounds)
    return set() if tail is None else {tail}


def _same_tail(tail: int, sites: list[Site], spares: Spares) -> Finding:
    names = [site.name for site in sites]
    first = (HYPERV_OUI << 24) | tail << 8
    return Finding(
        severity=WARNING,
        code="sameAddressTail",
        address=span((first, first | 0xFF)),
        hosts=tuple(names),
        summary=f"{listed(names)}: addresses end alike ({_dotted(tail)}), so they draw from the same range by default.",
        steps=(
            f"Each host made its range of the last two octets of its address: {span((first, first | 0xFF))}.",
            "Each gives its addresses to its own machines without asking the other.",
        ),
        remedy="Ask each for its range (Get-VMHost), and give all but one another.",
        commands=tuple(line for site in sites[1:] for line in change_range(site, spares.bounds())),
    )


def _from_elsewhere(site: Site, tail: int, spares: Spares) -> Finding:
    assert site.bounds is not None
    own = listed([ip_text(ip) for ip in site.addresses])
    return Finding(
        severity=NOTICE,
        code="rangeOfAnotherAddress",
        address=span(site.bounds),
        hosts=(site.name,),
        summary=f"{site.name} ({own}) draws from a range that was made of an address ending {_dotted(tail)}.",
        steps=(
            f"{site.name} was installed with another address, or comes from an image; its range stayed.",
            f"Another host gets an address ending {_dotted(tail)} and makes the same range.",
        ),
        remedy=f"See that no other host has or gets such an address, or give it a range of its own. {_ANEW} {_EARLIER}",
        commands=change_range(site, spares.bounds()),
    )


def full_ranges(found: Survey, spares: Spares) -> Iterator[Finding]:
    """Ranges of which a host has used up most, counting its own machines: those it knows of, running or off."""
    drawn: dict[str, dict[int, Guest]] = {}
    for nic in found.nics:
        site = nic.guest.site
        if site.bounds is not None and site.bounds[0] <= nic.mac <= site.bounds[1]:
            drawn.setdefault(site.name, {})[nic.mac] = nic.guest
    for site in found.sites.values():
        guests = drawn.get(site.name, {})
        if site.bounds is not None and len(guests) >= NEARLY_FULL * (site.bounds[1] - site.bounds[0] + 1):
            yield _full(site, site.bounds, list(guests.values()), spares)


def _full(site: Site, bounds: Bounds, guests: list[Guest], spares: Spares) -> Finding:
    capacity = bounds[1] - bounds[0] + 1
    full = len(guests) >= capacity
    off = [guest for guest in guests if not guest.running]
    steps = [
        "When all are used, the next machine with a dynamic address does not start ('Attempt to access invalid "
        "address')."
    ]
    if off:
        victims = listed([guest.name for guest in off])
        steps.append(f"Or it starts with the address of one that is off ({victims}), and clashes when that one starts.")
    return Finding(
        severity=CRITICAL if full else WARNING,
        code="rangeFull" if full else "rangeNearlyFull",
        address=span(bounds),
        machines=named(off) if full else (),
        hosts=hosts_of(guests),
        summary=f"{site.name} has used {len(guests)} of the {capacity} addresses of its range.",
        steps=tuple(steps),
        remedy=f"Widen the range into room that no other host or pool has, or move it. {_EARLIER}",
        commands=change_range(site, _wider(bounds, spares)),
    )


def _wider(bounds: Bounds, spares: Spares) -> Bounds | None:
    """The range with more room behind it, so that nothing is redrawn; elsewhere if that is somebody's."""
    first, last = bounds
    end = first + 2 * max(_ROOM, last - first + 1) - 1
    in_block = last >> 24 == end >> 24
    return (first, end) if in_block and not spares.is_taken(last + 1, end) else spares.bounds()
