"""Which of many ranges, overlapping or not, hold an address: a binary search each, whatever overlaps. Pure."""

import bisect
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Ranges(Generic[T]):
    """Owners of ranges (first, last), both included. Cut once into pieces between which the owners do not change."""

    def __init__(self, owned: Iterable[tuple[tuple[int, int], T]]) -> None:
        opens: dict[int, list[tuple[int, T]]] = {}
        closes: dict[int, list[int]] = {}
        for number, ((first, last), owner) in enumerate(owned):
            opens.setdefault(first, []).append((number, owner))
            closes.setdefault(last + 1, []).append(number)
        self._starts = sorted({*opens, *closes})
        self._owners: list[tuple[T, ...]] = []
        present: dict[int, T] = {}
        for start in self._starts:
            for number in closes.get(start, ()):
                del present[number]
            present.update(opens.get(start, ()))
            self._owners.append(tuple(present.values()))

    def holding(self, number: int) -> tuple[T, ...]:
        """Whose ranges hold it."""
        at = bisect.bisect_right(self._starts, number) - 1
        return self._owners[at] if at >= 0 else ()

    def beyond(self, number: int) -> int:
        """The first number after this one that other ranges hold, or none; itself if no range begins or ends later."""
        at = bisect.bisect_right(self._starts, number)
        return self._starts[at] if at < len(self._starts) else number

    def touching(self, first: int, last: int) -> bool:
        """Whether any range has a number of first..last."""
        at = bisect.bisect_right(self._starts, first) - 1
        end = bisect.bisect_right(self._starts, last)
        return any(self._owners[max(at, 0) : end])


def clusters(bounds: Iterable[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Distinct ranges in groups that hang together by overlaps, two or more to a group, in order."""
    group: list[tuple[int, int]] = []
    reach = -1
    for first, last in sorted(set(bounds)):
        if first > reach:
            if len(group) > 1:
                yield group
            group = []
        group.append((first, last))
        reach = max(reach, last)
    if len(group) > 1:
        yield group
