"""How full each host's range and each pool is, and where in it: what is free, and the picture of the address space.

Called by audit.report. Each range is cut into at most 128 pieces; a piece shows the strongest of what is in it.
"""

import bisect
from collections.abc import Iterator

from weft.core.audit.findings import RangeUse
from weft.core.audit.survey import Bounds, Survey
from weft.core.macs import vendor_of
from weft.model.values import mac_dashes

CELLS = 128
_FREE_RANGES = 8
_BLOCKS = 16
FREE, CAPTURED, USED, AWAY, DUPLICATE = "free", "captured", "used", "away", "duplicate"
_STRENGTH = (FREE, CAPTURED, USED, AWAY, DUPLICATE)


def range_uses(found: Survey, duplicates: set[int]) -> Iterator[RangeUse]:
    """Hosts first, then pools, each by its first address. `duplicates` are addresses that clash now."""
    macs = sorted({*found.by_mac, *(nic.mac for nic in found.captured)})
    for site in sorted(found.sites.values(), key=lambda site: (site.bounds or (0, 0), site.name)):
        if site.bounds is not None:
            yield _use(site.name, "host", site.bounds, _states(found, macs, site.bounds, site.name, duplicates))
    for name, bounds in sorted(found.pools, key=lambda pool: pool[1]):
        yield _use(name, "pool", bounds, _states(found, macs, bounds, None, duplicates))
    yield from _blocks(found, macs, duplicates)


def _blocks(found: Survey, macs: list[int], duplicates: set[int]) -> Iterator[RangeUse]:
    """Where the addresses are that lie in no range: the vendors' blocks with most of them."""
    outside = [mac for mac in macs if not found.ranges.holding(mac) and not found.pool_ranges.holding(mac)]
    blocks: dict[int, list[int]] = {}
    for mac in outside:
        blocks.setdefault(mac >> 24, []).append(mac)
    fullest = sorted(blocks, key=lambda oui: (-len(blocks[oui]), oui))[:_BLOCKS]
    for oui in sorted(fullest):
        bounds = (oui << 24, oui << 24 | 0xFFFFFF)
        owner = vendor_of(blocks[oui][0]).partition(" (")[0]
        name = f"{mac_dashes(bounds[0])[:8]}{f' {owner}' if owner else ''}"
        yield _use(name, "block", bounds, _states(found, blocks[oui], bounds, None, duplicates))


def _states(found: Survey, macs: list[int], bounds: Bounds, host: str | None, duplicates: set[int]) -> dict[int, str]:
    """What each address of a range is that is not free."""
    states: dict[int, str] = {}
    for mac in macs[bisect.bisect_left(macs, bounds[0]) : bisect.bisect_right(macs, bounds[1])]:
        nics = found.by_mac.get(mac)
        if mac in duplicates:
            states[mac] = DUPLICATE
        elif nics is None:
            states[mac] = CAPTURED
        else:
            states[mac] = AWAY if host is not None and all(nic.guest.site.name != host for nic in nics) else USED
    return states


def _use(owner: str, kind: str, bounds: Bounds, states: dict[int, str]) -> RangeUse:
    first, last = bounds
    capacity = last - first + 1
    count = {state: 0 for state in _STRENGTH}
    cells = [FREE] * min(CELLS, capacity)
    for mac, state in states.items():
        count[state] += 1
        at = (mac - first) * len(cells) // capacity
        if _STRENGTH.index(state) > _STRENGTH.index(cells[at]):
            cells[at] = state
    return RangeUse(
        owner=owner,
        kind=kind,
        first=mac_dashes(first),
        last=mac_dashes(last),
        capacity=capacity,
        used=len(states),
        away=count[AWAY],
        captured=count[CAPTURED],
        duplicates=count[DUPLICATE],
        free=capacity - len(states),
        free_ranges=tuple(_gaps(bounds, list(states))),
        cells=tuple(cells),
    )


def _gaps(bounds: Bounds, used: list[int]) -> Iterator[tuple[str, str]]:
    """The first free runs; `used` is in order."""
    at, told = bounds[0], 0
    for mac in [*used, bounds[1] + 1]:
        if mac > at and told < _FREE_RANGES:
            yield mac_dashes(at), mac_dashes(mac - 1)
            told += 1
        at = mac + 1
