"""What the agent answers guests itself: packets that flows send to it, each to the service that it is for.

Called by ovs_plane.py. A service is a pure function of one file of its own, entered in SERVICES under the number that
its flows give to their action Controller. It sees the packet, the interface that it came from, and what the host knows
of the network; it gives back frames to send and what has been learnt. It keeps nothing and asks no clock.
A guest that asks too often is not answered; who bounds what reaches the agent before that is the switch (a meter of
Kind.SERVICE) and its queue.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from weft.agent.bindings import Local
from weft.agent.flows import FlowTable
from weft.agent.switch import PacketIn, PacketOut
from weft.model.values import Mac, PackedIp

A_SECOND, AT_ONCE = 50.0, 100.0
"""Questions of one port that are answered: on average, and after a silence."""


class Question(msgspec.Struct, frozen=True):
    """A packet for a service."""

    packet: PacketIn
    local: Local | None
    """The interface of `packet.in_port`; None if it came by a tunnel, or the port is nobody's (any more)."""
    table: FlowTable
    """What the host was told of its networks; to be read only."""


class Learnt(msgspec.Struct, frozen=True):
    """A guest uses an address that it was not given."""

    instance_id: str
    address: PackedIp
    mac: Mac


class Answer(msgspec.Struct, frozen=True):
    """What a service makes of a question; nothing is an answer too."""

    out: tuple[PacketOut, ...] = ()
    learnt: tuple[Learnt, ...] = ()


Service = Callable[[Question], Answer]

SERVICES: Mapping[int, Service] = {}
"""By number, 1 to 65535; a number is never used for something else."""


class Services:
    """Those of one host. Not a function: it remembers how often each port has asked."""

    def __init__(self, services: Mapping[int, Service] | None = None) -> None:
        """SERVICES, but in tests."""
        self._services = SERVICES if services is None else services
        self._ports: dict[int, tuple[float, float]] = {}
        """By port number: how many questions it has left, and when that was so."""
        self.refused = 0
        """Questions that came too often, that no service is for, or that made a service fail."""

    def answer(self, packet: PacketIn, local: Iterable[Local], table: FlowTable, now: float) -> Answer:
        """`now` in seconds of any clock that does not go back. Raises what a service raises; the packet is counted."""
        service = self._services.get(packet.service)
        if service is None or not self._may_ask(packet.in_port, now):
            self.refused += 1
            return Answer()
        asker = next((one for one in local if one.number == packet.in_port), None)
        try:
            return service(Question(packet, asker, table))
        except Exception:
            self.refused += 1
            raise

    def _may_ask(self, port: int, now: float) -> bool:
        left, then = self._ports.get(port, (AT_ONCE, now))
        left = min(AT_ONCE, left + (now - then) * A_SECOND)
        may = left >= 1
        self._ports[port] = (left - may, now)
        return may
