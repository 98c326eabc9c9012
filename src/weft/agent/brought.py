"""Addresses that guests of this host bring: which they use and have not, and which they have and do not use. Pure.

Kept by ovs/guest_packets.py and ovs/plane.py, which pass the time in seconds of a clock that does not go back. By
level: what is told is what is so now, and nothing is lost with a connection or a restart. Use is seen by the packets
that flows count; a guest that is silent is asked (ARP, neighbour solicitation), since an address of a service may wait
long for its next caller.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from weft.agent.answers import replies
from weft.agent.answers.questions import Learnt
from weft.agent.bindings import Local
from weft.agent.flows.fields import learnt_cookie
from weft.model.values import ROUTER_LINK_LOCAL, ROUTER_MAC, PackedIp
from weft.wire.messages import Brought, Unused

CLAIM_SECONDS = 30.0
"""So long after its last packet an address counts as used by a guest that has it not."""
AGAIN_SECONDS = 1.0
"""At least between two announcements that are told, and a half of it between two tellings at all."""
MOST_OF_A_PORT = 64
ASK_SECONDS = 15.0
"""So long a guest may be silent under an address before it is asked, and between two times that it is."""
SILENT_SECONDS = 45.0
"""Then it does not answer: it was asked more than once."""

_Key = tuple[str, PackedIp]


class _Claim(msgspec.Struct):
    seen: float
    announced: float = 0.0


class _Use(msgspec.Struct):
    packets: int
    at: float
    asked: float = 0.0


class Guests:
    """What the guests of one host bring."""

    def __init__(self) -> None:
        self._claims: dict[_Key, _Claim] = {}
        self._uses: dict[_Key, _Use] = {}
        self._told: tuple[Brought, ...] = ()
        self._tell_at = 0.0
        self._news = False
        """Something is to be told, once it is time."""

    def heard(self, learnt: Iterable[Learnt], now: float) -> bool:
        """Guests used these. Returns whether there is something to tell."""
        news = False
        for one in learnt:
            key = (one.instance_id, one.address)
            claim = self._claims.get(key)
            if claim is None:
                if sum(instance == one.instance_id for instance, _ in self._claims) >= MOST_OF_A_PORT:
                    continue
                claim, news = _Claim(now), True
                self._claims[key] = claim
            claim.seen = now
            if one.announced and now - claim.announced >= AGAIN_SECONDS:
                claim.announced, news = now, True
        self._news = self._news or news
        return news

    def brought(self, local: Mapping[str, Local], now: float) -> tuple[Brought, ...]:
        """As Facts.brought."""
        gone = [key for key, one in self._claims.items() if now - one.seen > CLAIM_SECONDS or _has(local, key)]
        for key in gone:
            del self._claims[key]
        if gone or (self._news and now >= self._tell_at):
            self._news = False
            told = tuple(Brought(*key, round(self._claims[key].announced * 1000)) for key in sorted(self._claims))
            if told != self._told:
                self._told, self._tell_at = told, now + AGAIN_SECONDS / 2
        return self._told

    @property
    def due_at(self) -> float | None:
        """When brought() may say something else without any event; None while it cannot."""
        if self._news:
            return self._tell_at
        return min((one.seen + CLAIM_SECONDS for one in self._claims.values()), default=None)

    def look(self, local: Mapping[str, Local], counts: Mapping[int, tuple[int, int]], now: float) -> None:
        """The switch counts so many packets by cookie."""
        known, self._uses = self._uses, {}
        for instance, one in local.items():
            for address in _learnt(one):
                cookie = learnt_cookie(one.number or 0, int.from_bytes(address))
                packets = counts.get(cookie, (0, 0))[0]
                before = known.get((instance, address))
                if before is None or before.packets != packets:
                    before = _Use(packets, now)
                self._uses[instance, address] = before

    def unused(self, local: Mapping[str, Local], now: float) -> tuple[Unused, ...]:
        """As Facts.unused."""
        return tuple(
            Unused(*key, now - self._uses[key].at >= _age(local[key[0]]))
            for key in sorted(self._uses)
            if key[0] in local and now - self._uses[key].at >= SILENT_SECONDS
        )

    def to_ask(self, local: Mapping[str, Local], now: float) -> Iterator[tuple[Local, PackedIp]]:
        """Ports whose guest is to be asked now whether it has an address; they count as asked."""
        for (instance, address), use in self._uses.items():
            if instance in local and now - max(use.at, use.asked) >= ASK_SECONDS:
                use.asked = now
                yield local[instance], address


def question_for(local: Local, address: PackedIp, gateway: PackedIp | None) -> bytes:
    """The frame by which the router of its subnet asks a guest alone for an address; the answer goes no further than
    the switch, which counts it. Without a gateway of the family nobody asks by ARP: from 0.0.0.0."""
    mac = local.binding.mac.to_bytes(6)
    if len(address) == 4:
        return replies.arp_request(mac, gateway or bytes(4), address)
    own = bytes((1, 1)) + ROUTER_MAC.to_bytes(6)
    message = bytes(4) + address + own
    return replies.icmpv6(mac, (ROUTER_LINK_LOCAL, address), (135, 0), message, replies.NEIGHBOURS)


def _learnt(local: Local) -> tuple[PackedIp, ...]:
    """What its guest has brought, if there is a port to see it use that."""
    return local.learning.learnt if local.learning is not None and local.number else ()


def _has(local: Mapping[str, Local], key: _Key) -> bool:
    """Is a claim none any more? Also of a port that is gone, or that may bring nothing now."""
    one = local.get(key[0])
    return one is None or not one.number or one.learning is None or key[1] in one.addresses


def _age(local: Local) -> float:
    return local.learning.age_seconds if local.learning is not None else 0.0
