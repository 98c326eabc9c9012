"""Keys that come due at a time each, soonest first. Used by core.state for reservations, by pools for inactive holders.

Equal if the same keys are due at the same times. A heap whose stale entries are passed over: all takes O(log n).
"""

import heapq
from typing import Generic, TypeVar

K = TypeVar("K", int, str)


class Deadlines(Generic[K]):
    """Times are ledger seconds."""

    __slots__ = ("_at", "_heap")

    def __init__(self) -> None:
        self._at: dict[K, float] = {}
        self._heap: list[tuple[float, K]] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Deadlines) and self._at == other._at

    def __len__(self) -> int:
        return len(self._at)

    def put(self, key: K, at: float | None) -> None:
        """Set when a key is due; None forgets it."""
        if at is None:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            heapq.heappush(self._heap, (at, key))

    def first(self) -> float | None:
        """When the next key is due; None if there is none."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float, limit: int) -> list[K]:
        """The keys due at `now`, soonest first, at most `limit`."""
        found: dict[K, float] = {}
        while len(found) < limit and (at := self.first()) is not None and at <= now:
            _, key = heapq.heappop(self._heap)
            found[key] = at
        for key, at in found.items():
            heapq.heappush(self._heap, (at, key))
        return list(found)
