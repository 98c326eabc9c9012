"""Ports whose connections may be older than the state that this switch has of them. Pure; kept by reconcile.py.

A port comes here with an empty conntrack zone: by a move, or since its switch began anew. What goes on of its
connections was begun under its access lists elsewhere, or before; so they may be taken up in their middle, whoever of
the two sends first. That holds until its lists forbid more than they did when it came. From then on nobody knows which
of those connections were begun in a direction that is still permitted.
"""

from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from weft.agent.bindings import Local
from weft.model.records import AccessList, AccessRule, PortAccess

Lists = Mapping[int, AccessList]
_Seen = tuple[PortAccess | None, dict[int, AccessList | None]]
"""What a port is under, and those lists as they are here."""


class Unseen:
    """Of one switch. An agent that starts anew remembers none: what its switch has not taken up by then is held against
    the rules in both directions."""

    def __init__(self) -> None:
        self._came: dict[str, tuple[int, _Seen]] = {}
        """By instance id: the number of the port, and what it was under when last looked at."""

    def emptied(self, zones: Collection[int], local: Iterable[Local], lists: Lists) -> bool:
        """The zones of these ports are emptied. Returns whether that is news of one that is under lists."""
        news = False
        for one in local:
            instance, number = one.binding.instance_id, one.number
            if number is not None and number in zones and self._came.get(instance, (0,))[0] != number:
                self._came[instance] = (number, _seen(one, lists))
                news = news or one.access is not None
        return news

    def mark(self, local: Mapping[str, Local], lists: Lists) -> dict[str, Local]:
        """The same, those that came here with connections saying so."""
        for instance, (number, before) in tuple(self._came.items()):
            one = local.get(instance)
            after = _seen(one, lists) if one is not None and one.number == number else None
            if after is None or forbids_more(before, after):
                del self._came[instance]
            else:
                self._came[instance] = (number, after)
        brought = {key for key in self._came if local[key].access is not None}
        return {key: replace(one, brought_connections=True) if key in brought else one for key, one in local.items()}


def _seen(one: Local, lists: Lists) -> _Seen:
    named = {number for _, *pair in one.access.lists for number in pair if number} if one.access is not None else set()
    return one.access, {number: lists.get(number) for number in named}


def forbids_more(before: _Seen, after: _Seen) -> bool:
    """May something be denied now that was not? A rule that only permits more, or a denial less, is none of it."""
    if after[0] is None:
        return False
    if after[0] != before[0]:
        return True
    return any(_denies_more(before[1][number], found) for number, found in after[1].items())


def _denies_more(before: AccessList | None, after: AccessList | None) -> bool:
    if before is None:  # under a list that was not here nothing passed
        return False
    if after is None:
        return True
    closed = before.inbound_allow > after.inbound_allow or before.outbound_allow > after.outbound_allow
    ruled, rules = set(map(_decides, before.rules)), set(map(_decides, after.rules))
    return closed or any(one.allow for one in ruled - rules) or any(not one.allow for one in rules - ruled)


def _decides(rule: AccessRule) -> AccessRule:
    """Of a rule what its verdict depends on."""
    return replace(rule, name="", logging=False)
