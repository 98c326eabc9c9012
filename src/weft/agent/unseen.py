"""Ports whose connections may be older than the state that this switch has of them. Pure; kept by reconcile.py.

A port comes here with an empty conntrack zone: by a move, or since its switch began anew. What goes on of its
connections was begun under its access lists elsewhere, or before; so they may be taken up in their middle, whoever of
the two sends first. That holds until its lists forbid more than they did when it came. From then on nobody knows which
of those connections were begun in a direction that is still permitted.
"""

from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from weft.agent.bindings import Local
from weft.agent.flows.ways import under
from weft.model.records import AccessList, AccessRule, PortAccess
from weft.model.values import PackedIp

Lists = Mapping[int, AccessList]
_Seen = Mapping[PackedIp, list[AccessList | None]]
"""By address of a port the lists that it is under, as they are here: what one of them denies does not pass."""
_OTHERS = (PackedIp(bytes(4)), PackedIp(bytes(16)))
"""Stand for all addresses that its PortAccess does not name."""
_OPEN = AccessList(0, "", inbound_allow=True, outbound_allow=True)
"""Of an address under no list."""


class Unseen:
    """Of one switch. An agent that starts anew remembers none: what its switch has not taken up by then is held against
    the rules in both directions."""

    def __init__(self) -> None:
        self._came: dict[str, tuple[int, _Seen]] = {}
        """By instance id: the number of the port, and what it was under when last looked at; an address that went, what
        it was under until then: its connections are here still, should it come back."""

    def emptied(self, zones: Collection[int], local: Iterable[Local], lists: Lists) -> bool:
        """The zones of these ports are emptied. Returns whether that is news of one that is under lists."""
        news = False
        for one in local:
            instance, number = one.binding.instance_id, one.number
            if number is not None and number in zones and self._came.get(instance, (0,))[0] != number:
                self._came[instance] = (number, _seen_of(one, lists))
                news = news or one.access is not None
        return news

    def mark(self, local: Mapping[str, Local], lists: Lists) -> dict[str, Local]:
        """The same, those that came here with connections saying so."""
        for instance, (number, before) in tuple(self._came.items()):
            one = local.get(instance)
            after = _seen_of(one, lists) if one is not None and one.number == number else None
            if after is None or forbids_more(before, after):
                del self._came[instance]
            else:
                self._came[instance] = (number, {**before, **after})
        brought = {key for key in self._came if local[key].access is not None}
        return {key: replace(one, brought_connections=True) if key in brought else one for key, one in local.items()}


def _seen_of(one: Local, lists: Lists) -> _Seen:
    binding = one.binding
    return seen(one.access or PortAccess(binding.instance_id, tuple((each, 0, 0) for each in binding.addresses)), lists)


def seen(access: PortAccess, lists: Lists) -> _Seen:
    """What a port is under that has this access."""
    every = (*(address for address, *_ in access.lists), *_OTHERS)
    return {address: _of_pair(under(access.lists, address), lists) for address in every}


def _of_pair(pair: tuple[int, int], lists: Lists) -> list[AccessList | None]:
    return [lists.get(number) for number in pair if number] or [_OPEN]


def forbids_more(before: _Seen, after: _Seen) -> bool:
    """May something be denied now that was not, of an address that was there? A rule that only permits more, or a
    denial less, is none of it."""
    return any(
        all(_denies_more(one, found) for one in before[address])
        for address in before.keys() & after.keys()
        for found in after[address]
    )


def _denies_more(before: AccessList | None, after: AccessList | None) -> bool:
    if before is None:  # under a list that was not here nothing passed
        return False
    return after is None or any(_denies_more_of(before, after, inbound=way) for way in (True, False))


def _denies_more_of(before: AccessList, after: AccessList, *, inbound: bool) -> bool:
    """In one direction."""
    opened, opens = (one.inbound_allow if inbound else one.outbound_allow for one in (before, after))
    ruled, rules = ({_decides(each) for each in one.rules if each.inbound == inbound} for one in (before, after))
    permits_all, permitted = opens and all(one.allow for one in rules), opened or any(one.allow for one in ruled)
    if permits_all or not permitted:
        return False
    return opened > opens or any(one.allow for one in ruled - rules) or any(not one.allow for one in rules - ruled)


def _decides(rule: AccessRule) -> AccessRule:
    """Of a rule what its verdict depends on."""
    return replace(rule, name="", logging=False)
