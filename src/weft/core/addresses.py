"""Leases and pools in step: every address that is not free, the pools that they count in, and what cools until when.

Called by core.state, which gives it every change of a lease, and every change of pools and subnets that follows from a
resource. What it keeps besides the leases follows from them, so turning a change back restores it exactly.
"""

import bisect
import heapq

from weft.core.layout import NOTHING, RDID_POOL, Layout
from weft.core.pools import Pool, PoolSpec, Segment
from weft.model.leases import COOLING, MAC_SCOPE, Holder, Lease


class Ranges:
    """The pools of one scope by address; they never overlap."""

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self.pools: list[Pool] = []

    def pool_of(self, address: int) -> Pool | None:
        at = bisect.bisect_right(self.firsts, address) - 1
        return self.pools[at] if at >= 0 and address <= self.pools[at].spec.last else None

    def add(self, pool: Pool) -> None:
        at = bisect.bisect_left(self.firsts, pool.spec.first)
        self.firsts.insert(at, pool.spec.first)
        self.pools.insert(at, pool)

    def remove(self, pool: Pool) -> None:
        at = bisect.bisect_left(self.firsts, pool.spec.first)
        del self.firsts[at], self.pools[at]

    def overlapping(self, first: int, last: int) -> Pool | None:
        """A pool that shares an address with first..last."""
        at = bisect.bisect_right(self.firsts, last) - 1
        return self.pools[at] if at >= 0 and first <= self.pools[at].spec.last else None


class Addresses:
    """All leases of one state, with what follows from them."""

    def __init__(self) -> None:
        self.leases: dict[str, dict[int, Lease]] = {}
        self.pools: dict[str, Pool] = {}
        self.segments: dict[str, Segment] = {}
        self.provider_segments: dict[str, Segment] = {}
        """Those of logical networks with network virtualization."""
        self.mac_pools: list[Pool] = []
        """In the order of their ids: the order in which grants try them."""
        self.providers: dict[str, dict[str, dict[int, None]]] = {}
        """Provider addresses per server reference and scope."""
        self.cooling = 0
        self._ranges: dict[str, Ranges] = {}
        self._outside: dict[str, dict[int, None]] = {}
        """Leased addresses that are in no pool."""
        self._heap: list[tuple[float, str, int]] = []
        """(until, scope, address) of what cools, soonest first; entries that are no longer true are skipped."""
        self.turn_layout(NOTHING, ((RDID_POOL,), ()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Addresses) and self._contents() == other._contents()

    __hash__ = None  # type: ignore[assignment]

    def _contents(self) -> tuple[object, ...]:
        leases = {scope: table for scope, table in self.leases.items() if table}
        outside = {scope: table for scope, table in self._outside.items() if table}
        macs = [pool.spec.key for pool in self.mac_pools]
        return leases, self.pools, self.segments, self.provider_segments, macs, self.providers, self.cooling, outside

    def ranges(self, scope: str) -> Ranges:
        found = self._ranges.get(scope)
        if found is None:
            found = self._ranges[scope] = Ranges()
        return found

    def pool_of(self, scope: str, address: int) -> Pool | None:
        """The pool whose range an address lies in."""
        found = self._ranges.get(scope)
        return None if found is None else found.pool_of(address)

    def turn_lease(self, scope: str, address: int, before: Lease | None, after: Lease | None) -> None:
        was = before.state if before is not None else None
        now = after.state if after is not None else None
        if was != now:
            self._account(scope, address, was, now)
        table = self.leases.get(scope)
        if table is None:
            table = self.leases[scope] = {}
        if after is None:
            table.pop(address, None)
        else:
            table[address] = after
        if after is not None and now == COOLING and (was != now or before is None or before.until != after.until):
            heapq.heappush(self._heap, (after.until, scope, address))
        if "/logicalnetworks/" in scope:
            self._turn_provider(scope, address, before, after)

    def _account(self, scope: str, address: int, was: str | None, now: str | None) -> None:
        pool = self.pool_of(scope, address)
        if pool is not None:
            pool.note(address, was, now)
        elif now is None:
            del self._outside[scope][address]
        elif was is None:
            self._outside.setdefault(scope, {})[address] = None
        self.cooling += (now == COOLING) - (was == COOLING)

    def _turn_provider(self, scope: str, address: int, before: Lease | None, after: Lease | None) -> None:
        old, new = _server_of(before), _server_of(after)
        if old is not None and old != new:
            scopes = self.providers[old]
            del scopes[scope][address]
            if not scopes[scope]:
                del scopes[scope]
            if not scopes:
                del self.providers[old]
        if new is not None and old != new:
            self.providers.setdefault(new, {}).setdefault(scope, {})[address] = None

    def turn_layout(self, before: Layout, after: Layout) -> None:
        """Replace the pools and subnets of one resource; leases stay and are counted where they now lie."""
        old = {spec.key: spec for spec in before[0]}
        new = {spec.key: spec for spec in after[0]}
        for key, spec in old.items():
            if key not in new or not _same_bounds(spec, new[key]):
                self._dissolve(key)
        for key, spec in new.items():
            pool = self.pools.get(key)
            if pool is None:
                self._make(spec)
            elif pool.spec != spec:
                pool.change_exclusions(spec)
        for segment in before[1]:
            del self.segments[segment.key]
            self.provider_segments.pop(segment.key, None)
        for segment in after[1]:
            self.segments[segment.key] = segment
            if segment.virtualized:
                self.provider_segments[segment.key] = segment

    def _make(self, spec: PoolSpec) -> None:
        pool = self.pools[spec.key] = Pool(spec)
        self.ranges(spec.scope).add(pool)
        outside = self._outside.get(spec.scope, {})
        leases = self.leases.get(spec.scope, {})
        for address in [a for a in outside if spec.first <= a <= spec.last]:
            del outside[address]
            pool.note(address, None, leases[address].state)
        if spec.scope == MAC_SCOPE:
            bisect.insort(self.mac_pools, pool, key=_key_of)

    def _dissolve(self, key: str) -> None:
        pool = self.pools.pop(key)
        self.ranges(pool.spec.scope).remove(pool)
        outside = self._outside.setdefault(pool.spec.scope, {})
        for space in pool.by_state.values():
            for first, last in space.used_ranges():
                outside.update(dict.fromkeys(range(pool.spec.first + first, pool.spec.first + last + 1)))
        if pool.spec.scope == MAC_SCOPE:
            del self.mac_pools[bisect.bisect_left(self.mac_pools, key, key=_key_of)]

    def _is_cooling(self, entry: tuple[float, str, int]) -> Lease | None:
        until, scope, address = entry
        lease = self.leases[scope].get(address)
        return lease if lease is not None and lease.state == COOLING and lease.until == until else None

    def cooling_ends(self) -> float | None:
        """Ledger seconds at which the next cooling ends; None if nothing cools."""
        while self._heap and self._is_cooling(self._heap[0]) is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def cooled(self, now: float, limit: int) -> list[Lease]:
        """Leases whose cooling has ended by `now`, soonest first."""
        found: dict[tuple[float, str, int], Lease] = {}
        while self._heap and self._heap[0][0] <= now and len(found) < limit:
            entry = heapq.heappop(self._heap)
            lease = self._is_cooling(entry)
            if lease is not None:
                found[entry] = lease
        for entry in found:
            heapq.heappush(self._heap, entry)
        return list(found.values())


def _server_of(lease: Lease | None) -> str | None:
    """Reference of the server that holds a provider address now, lower case."""
    holder = holder_of(lease, "server")
    return holder.ref.lower() if holder is not None else None


def holder_of(lease: Lease | None, kind: str) -> Holder | None:
    """The first present holder of a kind; a lease that cools has none."""
    if lease is None or lease.state == COOLING:
        return None
    return next((holder for holder in lease.holders if holder.kind == kind), None)


def _same_bounds(one: PoolSpec, other: PoolSpec) -> bool:
    return (one.scope, one.first, one.last) == (other.scope, other.first, other.last)


def _key_of(pool: Pool) -> str:
    return pool.spec.key
