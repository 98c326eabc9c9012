"""What all hosts together count of the rules of access lists, and when a rule last decided something.

Fed by weft.control.controller with every report that comes in, read by the API. Kept as sums, so that a question about
a rule costs one and none walks over hosts or interfaces. A host begins anew when its switch does, and when the list
comes to it again with a machine that moves: what it had counted stays in the sum. That is seen by a count that is less
than before. None at all says so only where the same agent told some before: one that has not read its switch yet tells
none either. In memory only: after a restart of the controller the sums are what hosts count then, and when a rule was
last hit is not known until it is again. Pure, but for its memory.
"""

from collections.abc import Callable, Iterable

import msgspec

from weft.core.changes import Change, ResourceChange
from weft.core.policy_access import LISTS, AccessControlList
from weft.model.kinds import SERVERS
from weft.wire.messages import DEFAULT_IN, DEFAULT_OUT, Facts

Subject = tuple[int, int]
"""Number of a list, and the priority of a rule; DEFAULT_IN and DEFAULT_OUT for its default actions."""


class Hit(msgspec.Struct, frozen=True):
    """Of one rule or default action, on all hosts."""

    packets: int = 0
    octets: int = 0
    """Their bytes, Ethernet headers too. Agents from before they were counted tell none."""
    last: float | None = None
    """Wall time at which a host was first heard to have counted the newest packet; None if it was before the
    controller, or the host's agent, was there to see it."""


NEVER = Hit()


class RuleHits:
    """Of one controller."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._sums: dict[Subject, Hit] = {}
        self._told: dict[str, dict[Subject, tuple[int, int]]] = {}
        """By server, lower case: (packets, bytes) as it last told them."""
        self._has_told: set[str] = set()
        """Servers whose agent has told some since it connected."""

    def of(self, number: int, priority: int) -> Hit:
        """A rule of a list, or a default action."""
        return self._sums.get((number, priority), NEVER)

    def heard(self, server: str, facts: Facts, begins: bool = False) -> None:
        """A host told its facts, its name in lower case; `begins`: the first since its agent connected."""
        now = counts_of(facts)
        if begins:
            self._has_told.discard(server)
        if now:
            self._has_told.add(server)
        elif server not in self._has_told:
            return
        self._tell(server, now)

    def _tell(self, server: str, now: dict[Subject, tuple[int, int]]) -> None:
        before = self._told.get(server)
        if now == before:
            return
        self._told[server] = now
        for subject, new in now.items():
            old = (before or {}).get(subject, (0, 0))
            if old[0] > new[0] or old[1] > new[1] > 0:
                old = (0, 0)
            if old != new:
                # what a host counted before it was first heard may be of last year
                self._add(subject, new[0] - old[0], max(new[1] - old[1], 0), is_seen=before is not None)

    def _add(self, subject: Subject, packets: int, octets: int, *, is_seen: bool) -> None:
        sum_ = self._sums.get(subject, NEVER)
        last = self._wall() if is_seen else sum_.last
        self._sums[subject] = Hit(sum_.packets + packets, sum_.octets + octets, last)

    def committed(self, changes: Iterable[Change]) -> None:
        """A rule that is another one now has not been hit."""
        for change in changes:
            if not isinstance(change, ResourceChange):
                continue
            if change.kind == LISTS and change.before is not None:
                self._forget(change.before, change.after)
            elif change.kind == SERVERS.name and change.after is None:
                self._told.pop(change.id.lower(), None)
                self._has_told.discard(change.id.lower())

    def _forget(self, before: AccessControlList, after: AccessControlList | None) -> None:
        stays = _meanings(after)
        for priority, meaning in _meanings(before).items():
            if stays.get(priority) != meaning:
                self._sums.pop((before.properties.list_number, priority), None)


def counts_of(facts: Facts) -> dict[Subject, tuple[int, int]]:
    """Packets and bytes that one host counts."""
    told = facts.hit_bytes if len(facts.hit_bytes) == len(facts.hits) else (0,) * len(facts.hits)
    pairs = zip(facts.hits, told, strict=True)
    return {(number, priority): (packets, octets) for (number, priority, packets), octets in pairs}


def _meanings(found: AccessControlList | None) -> dict[int, object]:
    """What is counted under each priority of a list: all of a rule but its name and what people are told of it."""
    if found is None:
        return {}
    rules: dict[int, object] = {
        one.properties.priority: msgspec.structs.replace(one.properties, description=None, logging="")
        for one in found.properties.acl_rules
    }
    p = found.properties
    return rules | {DEFAULT_IN: p.inbound_default_action, DEFAULT_OUT: p.outbound_default_action}
