"""What all hosts together count of the rules of access lists, and when a rule last decided something.

Fed by weft.control.controller with every report that comes in, read by the API. Kept as sums, so that a question about
a rule costs one and none walks over hosts or interfaces. A host that is away counts with what it told last. In memory
only: after a restart of the controller the counts are told anew; when a rule was last hit is not known until it is
again. Pure, but for its memory.
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

    def of(self, number: int, priority: int) -> Hit:
        """A rule of a list, or a default action."""
        return self._sums.get((number, priority), NEVER)

    def heard(self, server: str, facts: Facts) -> None:
        """A host told its facts; its name in lower case."""
        self._tell(server, counts_of(facts))

    def _tell(self, server: str, now: dict[Subject, tuple[int, int]]) -> None:
        before = self._told.get(server)
        if now == before:
            return
        self._told[server] = now
        was = before or {}
        for subject in was.keys() | now.keys():
            old, new = was.get(subject, (0, 0)), now.get(subject, (0, 0))
            if old != new:
                # what a host counted before it was first heard may be of last year
                self._add(subject, old, new, is_seen=before is not None and new[0] not in (0, old[0]))

    def _add(self, subject: Subject, old: tuple[int, int], new: tuple[int, int], *, is_seen: bool) -> None:
        sum_ = self._sums.get(subject, NEVER)
        packets, octets = sum_.packets + new[0] - old[0], sum_.octets + new[1] - old[1]
        last = self._wall() if is_seen else sum_.last
        if packets or last is not None:
            self._sums[subject] = Hit(packets, octets, last)
        else:
            self._sums.pop(subject, None)

    def committed(self, changes: Iterable[Change]) -> None:
        """A rule that is another one now has not been hit; a server that is gone counts nothing."""
        for change in changes:
            if not isinstance(change, ResourceChange):
                continue
            if change.kind == LISTS and change.before is not None:
                self._forget(change.before, change.after)
            elif change.kind == SERVERS.name and change.after is None and change.id.lower() in self._told:
                self._tell(change.id.lower(), {})
                del self._told[change.id.lower()]

    def _forget(self, before: AccessControlList, after: AccessControlList | None) -> None:
        """The counts themselves follow: a host counts anew what it filters anew."""
        stays = _meanings(after)
        for priority, meaning in _meanings(before).items():
            subject = (before.properties.list_number, priority)
            if subject in self._sums and stays.get(priority) != meaning:
                self._sums[subject] = msgspec.structs.replace(self._sums[subject], last=None)


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
