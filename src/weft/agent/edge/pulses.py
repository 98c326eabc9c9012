"""Which gateways answer: counted by beats, so that one lost packet is no death and one that comes is no resurrection.

Fed by probes.py. Pure. Who was never asked counts as alive; one answer, however late, is life. A dead one is asked
something else, that its agent answers once its edges are ready: a host that has just come back answers echoes long
before it can carry anything.
"""

from collections.abc import Iterable

from weft.model.values import PackedIp

MISSES = 4
"""So many beats in a row without any answer: dead."""
ANSWERS = 6
"""So many in a row with one: alive again."""


class Pulses:
    """Of the gateways that one host asks."""

    def __init__(self) -> None:
        self._missed: dict[PackedIp, int] = {}
        self._answered: dict[PackedIp, int] = {}
        self._open: set[PackedIp] = set()
        """Asked, and not answered yet."""
        self._dead: set[PackedIp] = set()

    @property
    def dead(self) -> frozenset[PackedIp]:
        return frozenset(self._dead)

    @property
    def reviving(self) -> frozenset[PackedIp]:
        """Dead ones that have begun to answer."""
        return frozenset(one for one in self._dead if self._answered[one])

    @property
    def known(self) -> frozenset[PackedIp]:
        """Those that are being asked."""
        return frozenset(self._missed)

    def beat(self, targets: Iterable[PackedIp]) -> None:
        """These are asked now, and no others; what they were asked before is over."""
        wanted = set(targets)
        for one in list(self._missed):
            if one not in wanted:
                self._forget(one)
        for one in wanted:
            if one in self._open:
                self._missed[one] += 1
                self._answered[one] = 0
                if self._missed[one] >= MISSES:
                    self._dead.add(one)
            else:
                self._missed.setdefault(one, 0)
                self._answered.setdefault(one, 0)
        self._open = wanted

    def heard(self, one: PackedIp) -> None:
        """It answered one of the last MISSES questions."""
        if one not in self._open:
            return
        self._open.discard(one)
        self._missed[one] = 0
        self._answered[one] += 1
        if self._answered[one] >= ANSWERS:
            self._dead.discard(one)

    def _forget(self, one: PackedIp) -> None:
        del self._missed[one], self._answered[one]
        self._dead.discard(one)
