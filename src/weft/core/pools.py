"""Pools and subnets as the ledger works with them: bounds as integers, exclusions, free space, counts per state.

Called by core.state, which makes them from the resources (core.layout) and keeps them in step with the leases.
"""

import bisect
from collections.abc import Iterable

import msgspec

from weft.core.deadlines import Deadlines
from weft.core.space import Space
from weft.model.leases import RESERVED

Exclusion = tuple[int, int, str]
"""First, last, reason; both ends included."""


class PoolSpec(msgspec.Struct, frozen=True):
    """What makes a pool, read from a resource. Bounds are addresses, both included."""

    key: str
    """Lower case; also the key of its cursor."""
    ref: str
    """resourceRef, canonical spelling."""
    scope: str
    """Scope of the leases that it holds."""
    first: int
    last: int
    cool_down: int = 0
    """Seconds."""
    excluded: tuple[Exclusion, ...] = ()
    """In order and disjoint."""
    random: bool = False
    """Grants begin to look anywhere, not at the cursor."""
    drain: bool = False
    """Grants nothing any more."""
    tenant: str = ""
    """Grants to interfaces of this tenant only; empty for all."""
    host_group: str = ""
    """Grants to interfaces on servers of this host group only; empty for all."""
    host_range: bool = False
    """Grants to interfaces of its server with strategy hostRange only."""
    warn_at: int = 0
    """Percentage not free from which on it warns; 0 never."""
    release_inactive: int = 0
    """Seconds after which what inactive holders hold is released; 0 never."""


class Segment(msgspec.Struct, frozen=True):
    """A subnet, virtual or logical, ready for grants and checks."""

    key: str
    """resourceRef in lower case."""
    ref: str
    network: str
    """resourceRef of its network, lower case."""
    scope: str
    version: int
    """4 or 6; 0 for a logical subnet without prefix."""
    first: int
    last: int
    prefix_length: int
    domain: str
    """L2 domain of its interfaces."""
    virtual: bool
    virtualized: bool = False
    """Of a logical subnet: a provider subnet."""
    public: bool = False
    """Of a logical subnet with isPublic: publicIPAddresses are granted from its pools."""
    vsid: int = 0
    vlan: int = 0
    """Of a logical subnet; 0 is untagged."""
    reserved: tuple[Exclusion, ...] = ()
    """Never given to an interface: network, broadcast and gateway addresses."""
    pools: tuple[str, ...] = ()
    """Keys of the pools that Dynamic grants come from, in order."""


class Pool:
    """The addresses of one pool and what is in which state. Equal if bounds and states are."""

    __slots__ = ("by_state", "inactive", "spec", "taken")

    def __init__(self, spec: PoolSpec) -> None:
        self.spec = spec
        self.by_state: dict[str, Space] = {}
        """Leased addresses per state, as offsets from the first address."""
        self.taken = _excluded_space(spec)
        """Leased or excluded."""
        self.inactive: Deadlines[int] = Deadlines()
        """MAC addresses with an inactive holder, each due at the second since which it is; see `inactive_due`."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pool):
            return NotImplemented
        mine = (self.spec, self.taken, self.inactive, _used(self.by_state))
        return mine == (other.spec, other.taken, other.inactive, _used(other.by_state))

    @property
    def capacity(self) -> int:
        return self.spec.last - self.spec.first + 1

    @property
    def warns(self) -> bool:
        """Whether so much of it is not free that its operator wants to hear of it."""
        return 0 < self.spec.warn_at and self.taken.used * 100 >= self.spec.warn_at * self.capacity

    def note(self, address: int, before: str | None, after: str | None) -> None:
        """Follow a lease's change of state; None is no lease."""
        offset = address - self.spec.first
        if before is not None:
            self.by_state[before].release(offset)
        if after is not None:
            space = self.by_state.get(after)
            if space is None:
                space = self.by_state[after] = Space(self.capacity)
            space.take(offset)
        if (before is None) != (after is None) and not self.why_excluded(address):
            if after is not None:
                self.taken.take(offset)
            else:
                self.taken.release(offset)

    def note_all(self, addresses: list[int], state: str) -> None:
        """Take in leases of one state, in ascending order, of addresses that have none."""
        first = self.spec.first
        space = self.by_state.get(state)
        if space is None:
            space = self.by_state[state] = Space(self.capacity)
        space.take_all(address - first for address in addresses)
        if self.spec.excluded:
            addresses = [address for address in addresses if not self.why_excluded(address)]
        self.taken.take_all(address - first for address in addresses)

    def next_free(self, at: int) -> int | None:
        """First free address at or after `at`, else from the pool's start; None if the pool is full."""
        first = self.spec.first
        offset = at - first if first <= at <= self.spec.last else 0
        found = self.taken.next_free(offset)
        if found is None and offset:
            found = self.taken.next_free(0)
        return None if found is None else first + found

    def inactive_due(self, now: float, limit: int) -> list[int]:
        """Addresses whose inactive holders the pool's rule releases by `now`, those that wait longest first."""
        after = self.spec.release_inactive
        return self.inactive.due(now - after, limit) if after else []

    def why_excluded(self, address: int) -> str:
        """The reason of the exclusion that covers the address; empty if none does."""
        return why_in(self.spec.excluded, address) if self.spec.excluded else ""

    def used(self, state: str) -> int:
        """How many addresses are in a state other than free; `reserved` counts exclusions without a lease too."""
        if state == RESERVED:
            return self.taken.used - sum(s.used for name, s in self.by_state.items() if name != RESERVED)
        space = self.by_state.get(state)
        return 0 if space is None else space.used

    def change_spec(self, spec: PoolSpec) -> None:
        """Take over a spec of equal bounds; the leases stay."""
        same = self.spec.excluded == spec.excluded
        self.spec = spec
        if same:
            return
        self.taken = _excluded_space(spec)
        for space in self.by_state.values():
            for first, last in space.used_ranges():
                self.taken.take_range(first, last)


def why_in(ranges: tuple[Exclusion, ...], address: int) -> str:
    """The reason of the range that holds the address; empty if none does."""
    at = bisect.bisect_right(ranges, address, key=_first) - 1
    return ranges[at][2] if at >= 0 and address <= ranges[at][1] else ""


def merge(ranges: Iterable[Exclusion]) -> tuple[Exclusion, ...]:
    """Put exclusions in order and make them disjoint; where two meet, the one that begins first keeps its reason."""
    merged: list[Exclusion] = []
    for first, last, reason in sorted(ranges):
        if merged and first <= merged[-1][1]:
            first = merged[-1][1] + 1
        if first <= last:
            merged.append((first, last, reason))
    return tuple(merged)


def _first(excluded: Exclusion) -> int:
    return excluded[0]


def _excluded_space(spec: PoolSpec) -> Space:
    space = Space(spec.last - spec.first + 1)
    for first, last, _ in spec.excluded:
        space.take_range(first - spec.first, last - spec.first)
    return space


def _used(spaces: dict[str, Space]) -> dict[str, Space]:
    return {state: space for state, space in spaces.items() if space.used}
