"""Do tunnels reach the hosts that this one sends to? A probe in the tunnel's own form, answered by their agents.

Kept by ovs/plane.py, one per host; pure, time is an argument. A probe is a frame in the virtual subnet that RFC 7637
reserves (PROBE_VSID), so a firewall, a route and an MTU on the way do to it what they do to guests' packets. Each host
asks each other in a network with it once a minute, with a packet as large as the provider network carries; only what is
not answered is asked again, and smaller. A probe is answered by a small one, so nobody can be made to flood another.
"""

import struct
import zlib
from collections.abc import Iterator

import msgspec

from weft.agent.flows.actions import Actions, Output, SetField
from weft.agent.flows.fields import TUN_DST, TUN_ID, TUN_IPV6_DST, TUN_IPV6_SRC, TUN_SRC
from weft.agent.flows.ways import PROBE_VSID, Way, key_of, mtu_for, sent_from, toward
from weft.agent.switch import PacketIn, PacketOut
from weft.model.values import PackedIp, ip_text

EVERY_SECONDS = 60.0
FIRST_SECONDS = 10.0
"""A host that is new here is asked within this time, or within a second for each that this one sends to, if that is
sooner; spread by its address."""
PATIENCE_SECONDS = 1.0
TRIES = 3
MOST_IN_A_TURN = 50
MOST_PROBLEMS = 20
UNPROBED = "its agent answers no probes: it drives Hyper-V, is older than they are, or has never connected"
STEP = 8
"""Bytes to which the largest size that passes is found."""
_SMALL = 100
"""Of an inner IP packet: passes wherever IP does (RFC 791: 576 with the tunnel's headers)."""
_ASK, _ANSWER = 1, 2
_HEAD = struct.Struct("!6s6sH4sBIH")
_ETHERTYPE, _MAGIC = 0x88B5, b"weft"
"""For local experiments (IEEE 802 clause 9.2.3)."""
_ETHERNET = 14
_KINDS = {"gre": ("nvgre", "GRE (IP protocol 47)"), "vxlan": ("vxlan", "VXLAN (UDP port 4789)")}


class Other(msgspec.Struct, frozen=True):
    """A host that this one sends to, by one kind of tunnel."""

    way: Way
    remote: PackedIp
    server: str = ""
    """Whose it is; empty if that is not said."""
    probed: bool = True
    """Does somebody there answer? It is not asked otherwise."""
    own: str = ""
    """This host's own server."""

    @property
    def ours(self) -> str:
        return _called(self.own, self.way.source)

    @property
    def theirs(self) -> str:
        return _called(self.server, self.remote)


class _Asking(msgspec.Struct):
    """How far one host has been asked."""

    due: float
    number: int = 0
    size: int = 0
    """Of what was asked last: bytes of the inner IP packet; 0 while nothing is under way."""
    tries: int = 0
    low: int = 0
    """The largest size of this round that was answered; 0: none."""
    high: int = 0
    """The smallest that was not."""
    words: str = ""
    """What is wrong; empty: nothing that is known."""
    silent: bool = False
    """Not even the smallest is answered: a ping is to tell why."""


class Reach:
    """One host's."""

    def __init__(self) -> None:
        self._asked: dict[Other, _Asking] = {}
        self._numbers: dict[int, Other] = {}
        self._number = 0

    def turn(self, others: frozenset[Other], provider_mtu: int, now: float) -> Iterator[PacketOut]:
        """What is to be asked now."""
        others = frozenset(one for one in others if one.probed)
        for gone in self._asked.keys() - others:
            self._numbers.pop(self._asked.pop(gone).number, None)
        for other in others - self._asked.keys():
            self._asked[other] = _Asking(now + min(FIRST_SECONDS, len(others)) * _share(other))
        due = [(one.due, at, other, one) for at, (other, one) in enumerate(self._asked.items()) if one.due <= now]
        for _, _, other, asking in sorted(due, key=lambda one: one[:2])[:MOST_IN_A_TURN]:
            if self._next(asking, other, provider_mtu, now):
                yield self._ask(asking, other, now)

    def heard(self, packet: PacketIn, now: float) -> Iterator[PacketOut]:
        """A probe has come: it is answered, or it is the answer to ours."""
        if len(packet.frame) < _HEAD.size:
            return
        _, _, ethertype, magic, kind, number, size = _HEAD.unpack_from(packet.frame)
        if (ethertype, magic) != (_ETHERTYPE, _MAGIC):
            return
        if kind == _ASK:
            if source := _source(packet):
                yield PacketOut(_frame(_ANSWER, number, size), _through(packet, source))
        elif (other := self._numbers.get(number)) is not None and _source(packet) == other.remote:
            asking = self._asked[other]
            if size == asking.size:
                asking.low, asking.tries, asking.due = max(asking.low, size), 0, now

    @property
    def silent(self) -> list[Other]:
        """Hosts of which nothing at all is answered, and no ping has told why yet."""
        return [other for other, asking in self._asked.items() if asking.silent]

    def pinged(self, other: Other, answers: bool) -> None:
        """What came of a ping of such a host."""
        asking = self._asked.get(other)
        if asking is None or not asking.silent:
            return
        asking.silent = False
        if answers:
            asking.words = (
                f"{_KINDS[other.way.tunnel.kind][1]} blocked between {other.ours} and {other.theirs}: pings pass and "
                f"no tunnelled packet is answered; let it through on the way, or see to the agent of "
                f"{other.server or ip_text(other.remote)} if it is stopped"
            )
        else:
            asking.words = (
                f"no answer from {other.theirs} to {other.ours}, neither to tunnelled packets nor to pings: is it up?"
            )

    @staticmethod
    def unprobed(others: frozenset[Other]) -> tuple[str, ...]:
        """Hosts that are not asked, in words; bounded."""
        found = {f"{one.theirs}: not probed: {UNPROBED}" for one in others if not one.probed}
        return tuple(sorted(found)[:MOST_PROBLEMS])

    def words(self) -> list[str]:
        """What is wrong, in words; bounded."""
        found = sorted(asking.words for asking in self._asked.values() if asking.words)
        more = len(found) - MOST_PROBLEMS
        return [*found[:MOST_PROBLEMS], *([f"{more} other hosts are not reached either"] if more > 0 else [])]

    def _next(self, asking: _Asking, other: Other, provider_mtu: int, now: float) -> bool:
        """Choose the size to ask for; False if the round has ended."""
        full = mtu_for(_KINDS[other.way.tunnel.kind][0], provider_mtu, 6 if len(other.remote) == 16 else 4)
        if not asking.size:
            asking.low, asking.high, asking.size, asking.tries = 0, 0, full, 0
            return True
        if asking.low == asking.size:
            if asking.size == full:
                return self._end(asking, "", now)
        elif asking.tries < TRIES:
            return True
        else:
            asking.high = asking.size
        if not asking.low and asking.high <= _SMALL:
            self._end(asking, asking.words, now)
            asking.silent = True
            return False
        if asking.low and asking.high - asking.low <= STEP:
            return self._end(asking, _too_small(other, provider_mtu - (full - asking.low), provider_mtu), now)
        asking.size, asking.tries = ((asking.low + asking.high) // 2 if asking.low else _SMALL), 0
        return True

    def _end(self, asking: _Asking, words: str, now: float) -> bool:
        asking.size, asking.words, asking.silent, asking.due = 0, words, False, now + EVERY_SECONDS
        return False

    def _ask(self, asking: _Asking, other: Other, now: float) -> PacketOut:
        self._numbers.pop(asking.number, None)
        self._number = asking.number = (self._number + 1) & 0xFFFF_FFFF
        self._numbers[asking.number] = other
        asking.tries += 1
        asking.due = now + PATIENCE_SECONDS
        frame = _frame(_ASK, asking.number, asking.size)
        key = key_of(other.way.tunnel.kind, PROBE_VSID)
        actions = (key, *sent_from(other.way.source), toward(other.remote), Output(other.way.number))
        return PacketOut(frame.ljust(_ETHERNET + asking.size, b"\0"), actions)


def _called(server: str, address: PackedIp) -> str:
    return f"{server} ({ip_text(address)})" if server else ip_text(address)


def _share(other: Other) -> float:
    """0 to 1, the same for one pair of hosts always: so that all do not ask at once."""
    return zlib.crc32(other.way.source + other.remote) / 0xFFFF_FFFF


def _frame(kind: int, number: int, size: int) -> bytes:
    return _HEAD.pack(b"\x02weft\x02", b"\x02weft\x01", _ETHERTYPE, _MAGIC, kind, number, size)


def _source(packet: PacketIn) -> PackedIp | None:
    v4, v6 = packet.field(TUN_SRC), packet.field(TUN_IPV6_SRC)
    return PackedIp(v4.to_bytes(4)) if v4 else PackedIp(v6.to_bytes(16)) if v6 else None


def _destination(packet: PacketIn) -> bytes:
    """Which of our addresses it came to."""
    v4, v6 = packet.field(TUN_DST), packet.field(TUN_IPV6_DST)
    return v4.to_bytes(4) if v4 else v6.to_bytes(16) if v6 else b""


def _through(packet: PacketIn, source: PackedIp) -> Actions:
    """Back by the tunnel that it came from."""
    return (
        SetField(TUN_ID, packet.field(TUN_ID)),
        *sent_from(_destination(packet)),
        toward(source),
        Output(packet.in_port),
    )


def _too_small(other: Other, passes: int, provider_mtu: int) -> str:
    """In outer packets, as MTUs are written: what passes, and what this host's own provider network carries."""
    ends = f"{other.ours} and {other.theirs}"
    return f"MTU too small between {ends}: {passes}, needs {provider_mtu}; raise it on the way"
