"""The ledger as it is answered: a pool's usage, its addresses one by one, one address with its history. Reads only.

Called by weft.api.lookup and answers. Free and excluded addresses come as ranges, so a pool of 2^64 is answered as fast
as one of 10.
"""

import heapq
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from weft.api.changes import address_text
from weft.core.pools import Pool
from weft.core.state import State
from weft.core.words import place_text
from weft.model.errors import Invalid
from weft.model.fabric import ReservationProperties
from weft.model.leases import ASSIGNED, COOLING, FOREIGN, FREE, RESERVED, RETAINED, Holder, Lease
from weft.model.values import Now, wall_text

STATES = (FREE, ASSIGNED, RETAINED, COOLING, RESERVED, FOREIGN)

NOTHING = {name: 0 for name in ("capacity", *STATES)}
"""The counts of no pool."""

Entry = dict[str, Any]


class Page(NamedTuple):
    """What of a pool's addresses is asked for. `after` is an address; `state` empty for all."""

    state: str
    after: int | None
    limit: int


def counts(pool: Pool) -> dict[str, int]:
    """How many addresses are in each state; they add up to `capacity`."""
    used = {state: pool.used(state) for state in STATES if state != FREE}
    return {"capacity": pool.capacity, FREE: pool.capacity - sum(used.values()), **used}


def pools_of(state: State, ref: str) -> list[Pool]:
    """The pools behind a resourceRef, in the order of their addresses: of a pool itself, of a subnet its pools."""
    key = ref.lower()
    segment = state.segment(key)
    keys = (key,) if segment is None else segment.pools
    # a virtual subnet's pool has a key of its own, which is no reference
    return sorted((pool for key in keys if (pool := state.space(key)) is not None), key=lambda pool: pool.spec.first)


def usage(state: State, pools: Sequence[Pool], days: float | None) -> Entry:
    """The answer of .../usage; of several pools the sum and the lowest threshold. `days` until they are full, together;
    None if they do not fill up, or if that is not known yet."""
    totals = dict(NOTHING)
    next_free = None
    for pool in pools:
        for name, count in counts(pool).items():
            totals[name] += count
        free = pool.next_free(state.cursors.get(pool.spec.key, pool.spec.first))
        if next_free is None and free is not None:
            next_free = address_text(pool.spec.scope, free)
    return {
        **totals,
        "nextFree": next_free,
        "largestGap": max((pool.taken.largest_gap() for pool in pools), default=0),
        "usedPercent": _percent(totals["capacity"] - totals[FREE], totals["capacity"]),
        "warnAtPercent": min((pool.spec.warn_at for pool in pools if pool.spec.warn_at), default=0),
        "warning": any(pool.warns for pool in pools),
        "daysToExhaustion": None if days is None else round(days, 2),
    }


def _percent(used: int, capacity: int) -> float:
    """To one digit, but 100 only of what is full."""
    if used == capacity:
        return 100.0 if capacity else 0.0
    return min(round(100 * used / capacity, 1), 99.9)


def addresses(state: State, pools: Sequence[Pool], wanted: Page, now: Now) -> tuple[list[Entry], str | None]:
    """Entries in the order of their addresses, and the last address of the page if there are more. Raises Invalid."""
    if wanted.state and wanted.state not in STATES:
        raise Invalid(f"?state={wanted.state}: write one of {', '.join(STATES)}.", target="state")
    entries: list[Entry] = []
    for pool in pools:
        more, last = _of_pool(state, pool, wanted._replace(limit=wanted.limit - len(entries)), now)
        entries += more
        if last is not None:
            return entries, address_text(pool.spec.scope, last)
    return entries, None


def _of_pool(state: State, pool: Pool, wanted: Page, now: Now) -> tuple[list[Entry], int | None]:
    first = pool.spec.first
    at = 0 if wanted.after is None else max(0, wanted.after - first + 1)
    entries: list[Entry] = []
    last = first + at - 1
    for low, high, name in _runs(pool, wanted.state, at):
        if len(entries) == wanted.limit:
            return entries, last
        lease = state.lease(pool.spec.scope, first + low) if name != FREE else None
        if lease is None:
            entries.append(_range(pool, first + low, first + high, name))
        else:
            entries.append({"address": address_text(pool.spec.scope, first + low), **lease_entry(state, lease, now)})
        last = first + high
    return entries, None


def wall_of(now: Now, ledger: float) -> str:
    """A moment of the ledger's own time as the wall's clock would show it, if the controller runs until then."""
    return wall_text(round(now.wall + ledger - now.ledger))


def lease_entry(state: State, lease: Lease, now: Now) -> Entry:
    """State, holders, end and reason of an address that is not free."""
    reservation = _reservation_of(state, lease)
    until, reason = lease.until if lease.state == COOLING else 0.0, lease.reason
    if reservation is not None:
        until, reason = reservation.expires, reason or reservation.purpose
    return {
        "state": lease.state,
        "holders": [holder_entry(state, holder, now) for holder in lease.holders],
        "until": wall_of(now, until) if until else None,
        "reason": reason or None,
    }


def _reservation_of(state: State, lease: Lease) -> ReservationProperties | None:
    """The reservation that holds an address which is nobody's yet."""
    if lease.state != RESERVED:
        return None
    refs = (holder.ref for holder in lease.holders if holder.kind == "reservation")
    found = next((one for ref in refs if (one := state.find_ref(ref)) is not None), None)
    return None if found is None else found.properties


def holder_entry(state: State, holder: Holder, now: Now) -> Entry:
    """One reason why an address is not free. `inactive` says since when its host does not know the holder any more."""
    return {
        "kind": holder.kind,
        "resourceRef": holder.ref,
        "l2Domain": place_text(state, holder.domain) if holder.domain else None,
        "granted": holder.granted,
        "inactive": wall_of(now, holder.inactive) if holder.inactive else None,
    }


def _range(pool: Pool, first: int, last: int, state: str) -> Entry:
    scope = pool.spec.scope
    entry: Entry = {
        "first": address_text(scope, first),
        "last": address_text(scope, last),
        "count": last - first + 1,
        "state": state,
    }
    return entry | ({"reason": pool.why_excluded(first)} if state == RESERVED else {})


Run = tuple[int, int, str]
"""First and last offset, state; a leased address is a run of its own."""


def _runs(pool: Pool, state: str, at: int) -> Iterator[Run]:
    sources = []
    if state in ("", FREE):
        sources.append(_free(pool, at))
    if state in ("", RESERVED):
        sources.append(_excluded(pool, at))
    sources.extend(_leased(pool, name, at) for name in pool.by_state if state in ("", name))
    return heapq.merge(*sources)


def _free(pool: Pool, at: int) -> Iterator[Run]:
    if at < pool.capacity:
        for low, high in pool.taken.free_ranges(at):
            yield low, high, FREE


def _leased(pool: Pool, state: str, at: int) -> Iterator[Run]:
    for low, high in pool.by_state[state].used_ranges(at):
        for offset in range(low, high + 1):
            yield offset, offset, state


def _excluded(pool: Pool, at: int) -> Iterator[Run]:
    """Excluded addresses that nobody holds."""
    base = pool.spec.first
    for first, last, _ in pool.spec.excluded:
        low, high = max(first - base, at), min(last - base, pool.capacity - 1)
        while low <= high:
            held = min((o for s in pool.by_state.values() if (o := s.next_used(low)) is not None), default=high + 1)
            if held > low:
                yield low, min(held - 1, high), RESERVED
            low = held + 1
