"""What the agent answers guests itself: packets that flows send to it, each to the service that it is for.

Called by ovs/guest_packets.py. A service is a pure function of one file of its own, entered in SERVICES under the
number that its flows give to their action Controller. It sees the packet, the interface that it came from, and what the
host knows of the network; it gives back frames to send and what has been learnt. It keeps nothing and asks no clock.
A guest that asks too often is not answered; who bounds what reaches the agent before that is the switch (a meter of
Kind.SERVICE) and its queue.
"""

from collections.abc import Callable, Mapping

from weft.agent import asking
from weft.agent.answers import dhcp4, dhcp6, icmp_errors, router_advertisements, unknown_sources
from weft.agent.answers.questions import Answer, Question
from weft.agent.flows.metering import ASKS, ASKS_AT_ONCE

A_SECOND, AT_ONCE = float(ASKS), float(ASKS_AT_ONCE)
"""Questions of one port that are answered: on average, and after a silence."""


Service = Callable[[Question], Answer]

SERVICES: Mapping[int, Service] = {
    asking.DHCP4: dhcp4.answer,
    asking.DHCP6: dhcp6.answer,
    asking.ROUTER_SOLICITATION: router_advertisements.answer,
    asking.TOO_FAR: icmp_errors.time_exceeded,
    asking.TOO_LARGE: icmp_errors.too_large,
    asking.UNKNOWN_SOURCE: unknown_sources.answer,
}
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

    def answer(self, question: Question, now: float) -> Answer:
        """`now` in seconds of any clock that does not go back. Raises what a service raises; the packet is counted."""
        service = self._services.get(question.packet.service)
        if service is None or not self._may_ask(question.packet.in_port, now):
            self.refused += 1
            return Answer()
        try:
            return service(question)
        except Exception:
            self.refused += 1
            raise

    def _may_ask(self, port: int, now: float) -> bool:
        left, then = self._ports.get(port, (AT_ONCE, now))
        left = min(AT_ONCE, left + (now - then) * A_SECOND)
        may = left >= 1
        self._ports[port] = (left - may, now)
        return may
