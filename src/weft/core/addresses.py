"""Leases and pools in step: every address that is not free, the pools that they count in, and what cools until when.

Called by core.state, which gives it every change of a lease, and every change of pools and subnets that follows from a
resource. What it keeps besides the leases follows from them, so turning a change back restores it exactly.
"""

import bisect
import heapq
from collections.abc import Iterable, Iterator

from weft.core.layout import NOTHING, NUMBERS, Layout
from weft.core.notable import Notable, is_plain, present
from weft.core.outside import Outside
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

    def within(self, first: int, last: int) -> Iterator[Pool]:
        """Every pool that shares an address with first..last, by address."""
        at = max(0, bisect.bisect_right(self.firsts, first) - 1)
        while at < len(self.pools) and self.firsts[at] <= last:
            if self.pools[at].spec.last >= first:
                yield self.pools[at]
            at += 1

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
        self.public_segments: dict[str, Segment] = {}
        """Those with isPublic."""
        self.mac_pools: list[Pool] = []
        """The macPools in the order of their ids: the order in which grants try them. Hosts' ranges are not among
        them."""
        self.mac_pools_of: dict[tuple[str, str], list[Pool]] = {}
        """The same by the tenant and the host group that they are for, both empty for everybody."""
        self.providers: dict[str, dict[str, dict[int, str]]] = {}
        """Provider addresses per server reference and scope, each with what it is for: empty for the host itself, else
        the L2 domain of a virtual subnet, or an ipConfiguration's reference, lower case."""
        self.providing: dict[tuple[str, str, str], set[int]] = {}
        """The same by (server reference, scope, what it is for), for who knows what it looks for."""
        self.resting: dict[tuple[str, str], set[int]] = {}
        """Those that cool, by (reference of the server that had them for itself last, scope)."""
        self.cooling = 0
        self._ranges: dict[str, Ranges] = {}
        self.notable = Notable()
        self._outside: dict[str, Outside] = {}
        """Leased addresses that are in no pool."""
        self._heap: list[tuple[float, str, int]] = []
        """(until, scope, address) of what cools, soonest first; entries that are no longer true are skipped."""
        self.turn_layout(NOTHING, (NUMBERS, ()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Addresses) and self._contents() == other._contents()

    def _contents(self) -> tuple[object, ...]:
        leases = {scope: table for scope, table in self.leases.items() if table}
        outside = {scope: table for scope, table in self._outside.items() if table}
        macs = [pool.spec.key for pool in self.mac_pools]
        macs_of = {owners: [pool.spec.key for pool in pools] for owners, pools in self.mac_pools_of.items()}
        segments = (self.segments, self.provider_segments, self.public_segments)
        derived = (*segments, self.providers, self.providing, self.resting, self.cooling, self.notable)
        return leases, self.pools, macs, macs_of, outside, *derived

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
        if not (is_plain(before) and is_plain(after)):
            self._turn_notable(scope, address, before, after)
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

    def load(self, leases: Iterable[Lease]) -> None:
        """Take in leases of addresses that have none. What turn_lease does for each, several times faster for many; in
        the order of scopes and addresses it is quickest."""
        noted: dict[tuple[str, str], list[int]] = {}
        pool: Pool | None = None
        for lease in leases:
            scope, address, state = lease.scope, lease.address, lease.state
            if state == COOLING or "/logicalnetworks/" in scope or not is_plain(lease):
                self.turn_lease(scope, address, None, lease)
                continue
            if pool is None or pool.spec.scope != scope or not pool.spec.first <= address <= pool.spec.last:
                pool = self.pool_of(scope, address)
            if pool is None:
                self._outside_of(scope).add(address)
            else:
                noted.setdefault((pool.spec.key, state), []).append(address)
            self.leases.setdefault(scope, {})[address] = lease
        for (key, state), addresses in noted.items():
            addresses.sort()
            self.pools[key].note_all(addresses, state)

    def _account(self, scope: str, address: int, was: str | None, now: str | None) -> None:
        pool = self.pool_of(scope, address)
        if pool is not None:
            pool.note(address, was, now)
        elif now is None:
            self._outside[scope].remove(address)
        elif was is None:
            self._outside_of(scope).add(address)
        self.cooling += (now == COOLING) - (was == COOLING)

    def _outside_of(self, scope: str) -> Outside:
        found = self._outside.get(scope)
        if found is None:
            found = self._outside[scope] = Outside()
        return found

    def leased_outside(self, scope: str, first: int, last: int) -> list[int]:
        """Addresses of first..last that have a lease and lie in no pool."""
        found = self._outside.get(scope)
        return [] if found is None else found.within(first, last)

    def _turn_notable(self, scope: str, address: int, before: Lease | None, after: Lease | None) -> None:
        self.notable.turn((scope, address), before, after)
        pool = self.pool_of(scope, address) if scope == MAC_SCOPE else None
        if pool is not None:
            pool.inactive.put(address, _inactive_since(after))

    def _turn_provider(self, scope: str, address: int, before: Lease | None, after: Lease | None) -> None:
        rested, rests = _rests_for(before), _rests_for(after)
        if rested:
            self.resting[rested, scope].discard(address)
            if not self.resting[rested, scope]:
                del self.resting[rested, scope]
        if rests:
            self.resting.setdefault((rests, scope), set()).add(address)
        was, now = holder_of(before, "server"), holder_of(after, "server")
        old, new = was.ref.lower() if was is not None else "", now.ref.lower() if now is not None else ""
        if was is not None:
            held = self.providing[old, scope, was.domain]
            held.discard(address)
            if not held:
                del self.providing[old, scope, was.domain]
        if old and old != new:
            scopes = self.providers[old]
            del scopes[scope][address]
            if not scopes[scope]:
                del scopes[scope]
            if not scopes:
                del self.providers[old]
        if now is not None:
            self.providers.setdefault(new, {}).setdefault(scope, {})[address] = now.domain
            self.providing.setdefault((new, scope, now.domain), set()).add(address)

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
                self._unlist(pool)
                pool.change_spec(spec)
                self._list(pool)
        for segment in before[1]:
            del self.segments[segment.key]
            self.provider_segments.pop(segment.key, None)
            self.public_segments.pop(segment.key, None)
        for segment in after[1]:
            self.segments[segment.key] = segment
            if segment.virtualized:
                self.provider_segments[segment.key] = segment
            if segment.public:
                self.public_segments[segment.key] = segment

    def _make(self, spec: PoolSpec) -> None:
        pool = self.pools[spec.key] = Pool(spec)
        self.ranges(spec.scope).add(pool)
        for address in self.leased_outside(spec.scope, spec.first, spec.last):
            self._outside[spec.scope].remove(address)
            lease = self.leases[spec.scope][address]
            pool.note(address, None, lease.state)
            if spec.scope == MAC_SCOPE:
                pool.inactive.put(address, _inactive_since(lease))
        self._list(pool)

    def _dissolve(self, key: str) -> None:
        pool = self.pools.pop(key)
        self.ranges(pool.spec.scope).remove(pool)
        outside = self._outside_of(pool.spec.scope)
        for space in pool.by_state.values():
            for first, last in space.used_ranges():
                for offset in range(first, last + 1):
                    outside.add(pool.spec.first + offset)
        self._unlist(pool)

    def _list(self, pool: Pool) -> None:
        """Let grants find a pool of MAC addresses."""
        if pool.spec.scope == MAC_SCOPE and not pool.spec.host_range:
            bisect.insort(self.mac_pools, pool, key=_key_of)
            bisect.insort(self.mac_pools_of.setdefault(_owners(pool), []), pool, key=_key_of)

    def _unlist(self, pool: Pool) -> None:
        if pool.spec.scope == MAC_SCOPE and not pool.spec.host_range:
            owners = _owners(pool)
            for pools in (self.mac_pools, self.mac_pools_of[owners]):
                del pools[bisect.bisect_left(pools, pool.spec.key, key=_key_of)]
            if not self.mac_pools_of[owners]:
                del self.mac_pools_of[owners]

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


def holder_of(lease: Lease | None, kind: str) -> Holder | None:
    """The first present holder of a kind; a lease that cools has none."""
    if lease is None or lease.state == COOLING:
        return None
    return next((holder for holder in lease.holders if holder.kind == kind), None)


def _rests_for(lease: Lease | None) -> str:
    """Reference, lower case, of the server that had an address for itself before it began to cool."""
    if lease is None or lease.state != COOLING:
        return ""
    return next((one.ref.lower() for one in lease.holders if one.kind == "server" and not one.domain), "")


def _owners(pool: Pool) -> tuple[str, str]:
    return pool.spec.tenant.lower(), pool.spec.host_group.lower()


def _inactive_since(lease: Lease | None) -> float | None:
    """Since when the first of an address's inactive holders is; None if all are there."""
    return min((holder.inactive for holder in present(lease) if holder.inactive), default=None)


def _same_bounds(one: PoolSpec, other: PoolSpec) -> bool:
    return (one.scope, one.first, one.last) == (other.scope, other.first, other.last)


def _key_of(pool: Pool) -> str:
    return pool.spec.key
