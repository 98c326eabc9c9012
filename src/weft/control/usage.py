"""How full pools are and will be: the warning when one crosses its warnAtPercent, and the days until it is full.

Told of each commit by weft.control.controller, sampled by the clock's work. Only pools that a commit touched are looked
at. Rates come from samples in the ledger's own time: hourly ones in the store, and where none is old enough, from how
full the pool was when this controller began or when the pool was made.
"""

import logging
from collections import Counter

from weft.core.changes import Commit, LeaseChange, PoolWarning, ResourceChange
from weft.core.layout import layout_of
from weft.core.pools import Pool
from weft.core.state import State
from weft.model.kinds import LOGICAL_NETWORKS, MAC_POOLS, SERVERS, VIRTUAL_NETWORKS
from weft.store.samples import Sample
from weft.store.store import Store

log = logging.getLogger(__name__)

SAMPLE_EVERY_S = 3600.0
SHORTEST_S = 600.0
"""A rate over less than this says nothing."""
LONGEST_S = 7 * 86_400.0
"""What was longer ago does not count: a pool fills as it does now."""
DAY_S = 86_400.0

_WITH_POOLS = frozenset(kind.name for kind in (MAC_POOLS, LOGICAL_NETWORKS, SERVERS, VIRTUAL_NETWORKS))


class Usage:
    """Of one controller. `now` is the ledger's time, in seconds."""

    def __init__(self, state: State, store: Store, now: float) -> None:
        self._state = state
        self._store = store
        self._began = now
        self._first: dict[str, tuple[float, int]] = {}
        """By key of a pool that changed since this controller began: (ledger second, addresses not free) of before."""
        self._unsampled: set[str] = set()
        self._made: set[str] = set()
        """Those that were made since the last sample: what the store has of them is of earlier pools of that name."""
        self._sampled_at = now
        self.warned = {key for key, pool in state.addresses.pools.items() if pool.warns}
        """Keys of the pools that are filled to their warnAtPercent or beyond."""

    def committed(self, commit: Commit) -> tuple[PoolWarning, ...]:
        """The pools that crossed their warnAtPercent with this commit, up or down; the state has it already."""
        grown = self._grown(commit)
        found = []
        for key in grown:
            pool = self._state.space(key)
            if pool is None:
                self.warned.discard(key)
                self._unsampled.discard(key)
                self._first.pop(key, None)
                continue
            if key not in self._first:
                self._first[key] = (self._began, pool.taken.used - grown[key])
            self._unsampled.add(key)
            warning = pool.warns
            if warning != (key in self.warned):
                (self.warned.add if warning else self.warned.discard)(key)
                found.append(PoolWarning(pool.spec.ref, warning, pool.taken.used, pool.capacity))
        for one in found:
            _log(one)
        return tuple(found)

    def _grown(self, commit: Commit) -> "Counter[str]":
        """Keys of the pools that a commit touched, and by how many addresses each has more leases."""
        grown: Counter[str] = Counter()
        pool_of = self._state.addresses.pool_of
        for change in commit.changes:
            if isinstance(change, LeaseChange):
                more = (change.after is not None) - (change.before is not None)
                pool = pool_of(change.scope, change.address) if more else None
                if pool is not None:
                    grown[pool.spec.key] += more
            elif isinstance(change, ResourceChange) and change.kind in _WITH_POOLS:
                self._resource(change, commit.ledger, grown)
        return grown

    def _resource(self, change: ResourceChange, now: float, grown: "Counter[str]") -> None:
        """Its pools may have come, gone, or have other bounds, exclusions or another warnAtPercent."""
        before = {spec.key for spec in layout_of(change.kind, change.before)[0]}
        for key in {spec.key for spec in layout_of(change.kind, change.after)[0]} | before:
            grown[key] += 0
            pool = self._state.space(key)
            if key not in before and pool is not None:
                self._first[key] = (now, pool.taken.used)
                self._made.add(key)

    def sample(self, now: float) -> None:
        """Keep how full the pools are that changed, once an hour. Raises StoreUnavailable."""
        if now - self._sampled_at < SAMPLE_EVERY_S:
            return
        found = [
            Sample(key, now, pool.taken.used)
            for key in sorted(self._unsampled)
            if (pool := self._state.space(key)) is not None
        ]
        if found or self._made:
            self._store.add_samples(found, self._made)
        self._unsampled.clear()
        self._made.clear()
        self._sampled_at = now

    def days_left(self, keys: tuple[str, ...], now: float) -> float | None:
        """Days until these pools, taken together, are full if they fill as they did; None if they do not fill, or it is
        not known yet how fast."""
        rate, free = 0.0, 0
        for key in keys:
            pool = self._state.space(key)
            if pool is None:
                continue
            free += pool.capacity - pool.taken.used
            rate += self._rate(key, pool, now)
        return free / rate / DAY_S if rate > 0 else None

    def _rate(self, key: str, pool: Pool, now: float) -> float:
        """Addresses a second; 0 while too little is known."""
        since = now - LONGEST_S
        known = [self._first[key]] if key in self._first else []
        kept = None if key in self._made else self._store.sample_at(key, since)
        if kept is not None:
            known.append((kept.ledger, kept.used))
        if not known:
            return 0.0
        at, used = min(known)
        if kept is not None and kept.ledger <= since:
            at, used = since, kept.used
        return (pool.taken.used - used) / (now - at) if now - at >= SHORTEST_S else 0.0


def _log(one: PoolWarning) -> None:
    share = 100 * one.used / one.capacity
    if one.warning:
        log.warning("%s: %.1f %% of %d addresses are not free", one.pool, share, one.capacity)
    else:
        log.info("%s: %.1f %% of %d addresses are not free, it warns no more", one.pool, share, one.capacity)
