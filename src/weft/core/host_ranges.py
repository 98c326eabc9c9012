"""The ranges that hosts draw from: what their plans give them, what their hypervisors draw from, and where those meet.

Called by core.conflicts and core.decide.address_plans. A hypervisor's own range is a fact, so an overlap is not refused
but named, with a range that nobody else has. Costs by the hosts that have such a range and by the pools.
"""

import bisect
import functools
from collections.abc import Iterator

import msgspec

from weft.core.state import State
from weft.model.fabric import AddressPlanProperties, MacRange
from weft.model.leases import MAC_SCOPE
from weft.model.values import parse_mac

HYPERV_FIRST, HYPERV_LAST = 0x00155D000000, 0x00155DFFFFFF
"""Where Hyper-V draws its dynamic addresses from."""
HYPERV_WIDTH = 256
"""How many a host has by itself."""


class Span(msgspec.Struct, frozen=True, order=True):
    """Addresses first..last and the resourceRef of what gives them away."""

    first: int
    last: int
    ref: str


class Overlap(msgspec.Struct, frozen=True):
    """A hypervisor's own range that shares addresses with another's; `host` should be the one to change."""

    host: Span
    other: Span
    proposal: tuple[int, int] | None
    """A range for the host that nobody else has; None if there is none left."""

    @property
    def shared(self) -> tuple[int, int]:
        return max(self.host.first, self.other.first), min(self.host.last, self.other.last)


@functools.lru_cache(maxsize=1 << 13)
def bounds(text: MacRange) -> tuple[int, int]:
    """First and last address of a stored range. Every question about one host's range asks for all hosts'."""
    return parse_mac(text.first), parse_mac(text.last)


def plan_bounds(p: AddressPlanProperties) -> tuple[int, int]:
    """First and last address of a whole plan."""
    digits = p.prefix.replace("-", "")
    rest = 4 * (12 - len(digits))
    first = int(digits, 16) << rest
    return first, first + (1 << rest) - 1


def plans(state: State) -> list[Span]:
    """All plans with their whole ranges; those are disjoint."""
    every = state.all("addressPlans")
    return sorted(Span(*plan_bounds(one.properties), f"/weft/addressPlans/{one.resource_id}") for one in every)


def plan_cool_down(state: State, mac: int) -> int:
    """Seconds that an address rests after its use by the plan that it lies in; 0 where it lies in none."""
    for plan in state.all("addressPlans"):
        first, last = plan_bounds(plan.properties)
        if first <= mac <= last:
            return int(plan.properties.cool_down_seconds)
    return 0


def overlaps(state: State) -> list[Overlap]:
    """Each hypervisor's range that shares addresses with a pool, a plan or another hypervisor's range."""
    drawn = _drawn(state)
    if not drawn:
        return []
    given = sorted(_given(state))
    free = _free_ranges(state, sorted([*given, *drawn, *_wanted(state)]))
    proposals: dict[str, tuple[int, int] | None] = {}
    found = []
    for host, other in (*_with_given(state, drawn, given), *_with_each_other(state, drawn)):
        if host.ref not in proposals:
            proposals[host.ref] = _wished(state, host.ref) or _own_range(state, host.ref) or next(free, None)
        found.append(Overlap(host, other, proposals[host.ref]))
    return found


def proposal(state: State, ref: str) -> tuple[int, int] | None:
    """A range for one host to draw from, by its reference, that is nobody else's: what its plan gave it, else the one
    that it has if that clashes with nobody, else the next free one. None if there is none left."""
    own = _own_range(state, ref)
    if own is not None:
        return own
    server = state.get("servers", ref.rpartition("/")[2])
    drawn = server.properties.dynamic_mac_range if server is not None else None
    if drawn is not None and taken_by(state, ref, *bounds(drawn)) is None:
        return bounds(drawn)
    others = [one for one in (*_drawn(state), *_wanted(state)) if one.ref.lower() != ref.lower()]
    return next(_free_ranges(state, sorted([*_given(state), *others])), None)


def taken_by(state: State, ref: str, first: int, last: int) -> Span | None:
    """Whoever else gives away, draws from or shall draw from some of first..last: the first by address. `ref` is the
    host that is asked for, whose own plan range does not count."""
    own = _own_range(state, ref)
    others = [one for one in (*_given(state), *_drawn(state), *_wanted(state)) if one.ref.lower() != ref.lower()]
    met = (one for one in sorted(others) if one.first <= last and first <= one.last)
    return next((one for one in met if own is None or not (own[0] <= first and last <= own[1])), None)


def _given(state: State) -> list[Span]:
    """What Weft gives away: whole plans, and pools."""
    pools = (Span(pool.spec.first, pool.spec.last, pool.spec.ref) for pool in state.addresses.mac_pools)
    return [*plans(state), *pools]


def _drawn(state: State) -> list[Span]:
    spans = []
    for key in state.index.servers.drawing:
        server = state.get("servers", key)
        assert server is not None
        spans.append(Span(*bounds(server.properties.dynamic_mac_range), f"/servers/{server.resource_id}"))
    return sorted(spans)


def _wanted(state: State) -> list[Span]:
    """What hypervisors shall draw from but may not do yet."""
    spans = []
    for key in state.index.servers.wishing:
        server = state.get("servers", key)
        assert server is not None
        spans.append(Span(*bounds(server.properties.wanted_dynamic_mac_range), f"/servers/{server.resource_id}"))
    return spans


def _own_range(state: State, ref: str) -> tuple[int, int] | None:
    """The range that its plan gives a host, which its hypervisor may draw from too."""
    server = state.get("servers", ref.rpartition("/")[2])
    granted = server.properties.mac_range if server is not None else None
    return None if granted is None else bounds(granted)


def _wished(state: State, ref: str) -> tuple[int, int] | None:
    server = state.get("servers", ref.rpartition("/")[2])
    wanted = server.properties.wanted_dynamic_mac_range if server is not None else None
    return None if wanted is None else bounds(wanted)


def _is_own(state: State, host: Span) -> bool:
    own = _own_range(state, host.ref)
    return own is not None and own[0] <= host.first and host.last <= own[1]


def _with_given(state: State, drawn: list[Span], given: list[Span]) -> Iterator[tuple[Span, Span]]:
    """Hosts that draw from what Weft gives away; of a plan the host's range that is met, if it is given already."""
    for host in drawn:
        at = bisect.bisect_left(given, host.first, key=lambda span: span.last)
        if at < len(given) and given[at].first <= host.last and not _is_own(state, host):
            pool = state.addresses.ranges(MAC_SCOPE).overlapping(host.first, host.last)
            met = given[at] if pool is None else Span(pool.spec.first, pool.spec.last, pool.spec.ref)
            yield host, met


def _with_each_other(state: State, drawn: list[Span]) -> Iterator[tuple[Span, Span]]:
    """Hosts that draw from what another host draws from: each with the one before it that reaches furthest."""
    furthest = drawn[0]
    for host in drawn[1:]:
        if host.first <= furthest.last:
            yield (furthest, host) if _is_own(state, host) and not _is_own(state, furthest) else (host, furthest)
        if host.last > furthest.last:
            furthest = host


def _free_ranges(state: State, taken: list[Span]) -> Iterator[tuple[int, int]]:
    """Ranges as wide as a Hyper-V host's own that nobody gives away or draws from, and no lease lies in."""
    at = 0
    for first in range(HYPERV_FIRST, HYPERV_LAST, HYPERV_WIDTH):
        last = first + HYPERV_WIDTH - 1
        while at < len(taken) and taken[at].last < first:
            at += 1
        met = at < len(taken) and taken[at].first <= last
        if not met and not state.addresses.leased_outside(MAC_SCOPE, first, last):
            yield first, last
