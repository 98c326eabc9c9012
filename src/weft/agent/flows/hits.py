"""How often the rules of access lists have decided: what the controller is told of it, and what is logged. Pure.

Kept by ovs/plane.py. Counts are those of the switch's flows: they begin at 0 with each flow, so when its rule changes,
when the first port under its list comes, and when the switch starts. Told and logged at a modest rate, never by packet:
a guest that is denied can make any number of packets. What was counted of flows that have gone is told at once, since
nobody could later.
"""

from collections.abc import Iterator, Mapping

from weft.agent.flows.fields import Category
from weft.model.records import AccessList

TELL_SECONDS = 10.0
LOG_SECONDS = 60.0
MOST_LINES = 100


class Hits:
    """Of one host."""

    def __init__(self) -> None:
        self.told: tuple[tuple[int, int, int], ...] = ()
        """As Facts.hits."""
        self.bytes: tuple[int, ...] = ()
        """As Facts.hit_bytes."""
        self._seen: dict[tuple[int, int], tuple[int, int]] = {}
        """Packets and bytes at the last look."""
        self._tell_at = 0.0
        self._log_at: float | None = None
        self._logged: dict[tuple[int, int], int] = {}

    def look(
        self, counts: Mapping[int, tuple[int, int]], lists: Mapping[int, AccessList], now: float
    ) -> tuple[str, ...]:
        """The switch counts so many packets and bytes by cookie. Returns lines for the log, once a minute."""
        rules = {_subject(cookie): count for cookie, count in counts.items() if count[0] and _is_rule(cookie)}
        gone = {subject: count for subject, count in self._seen.items() if rules.get(subject, (0, 0)) < count}
        self._seen = rules
        if now < self._tell_at and not gone:
            return ()
        self._tell_at = now + TELL_SECONDS
        self._tell(rules | gone)
        found = {subject: packets for subject, (packets, _) in rules.items()}
        if self._log_at is None:
            self._log_at, self._logged = now + LOG_SECONDS, found
        if now < self._log_at:
            return ()
        before, self._logged, self._log_at = self._logged, found, now + LOG_SECONDS
        return tuple(_lines(before, found, lists))[:MOST_LINES]

    def _tell(self, rules: Mapping[tuple[int, int], tuple[int, int]]) -> None:
        self.told = tuple((*subject, rules[subject][0]) for subject in sorted(rules))
        self.bytes = tuple(rules[subject][1] for subject in sorted(rules))


def _is_rule(cookie: int) -> bool:
    return cookie >> 40 & 0xFF == Category.RULE


def _subject(cookie: int) -> tuple[int, int]:
    return cookie >> 16 & 0xFFFFFF, cookie & 0xFFFF


def _lines(
    before: Mapping[tuple[int, int], int], now: Mapping[tuple[int, int], int], lists: Mapping[int, AccessList]
) -> Iterator[str]:
    """Rules with logging that decided something since."""
    for (number, priority), packets in sorted(now.items()):
        was = before.get((number, priority), 0)
        more = packets - was if packets >= was else packets
        known = lists.get(number)
        rule = next((one for one in known.rules if one.priority == priority), None) if known is not None else None
        if known is not None and rule is not None and rule.logging and more:
            verb, way = "allowed" if rule.allow else "denied", "inbound" if rule.inbound else "outbound"
            yield f"{known.resource_ref}/aclRules/{rule.name} {verb} {more} packets {way}"
