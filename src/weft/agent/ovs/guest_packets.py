"""Packets between the host itself and its guests: what they ask is answered, and they are told and asked what is due.

Kept by plane.py, one per host, which says whose ports these are. What is answered is decided in weft.agent.answers, and
what guests bring in weft.agent.brought: both are pure, and are lent the switch and the clock here.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from weft.agent.answers.questions import Answer, Question
from weft.agent.answers.router_advertisements import EVERY_SECONDS, advertisement
from weft.agent.answers.services import Services
from weft.agent.asking import REACH, TOO_LARGE
from weft.agent.bindings import Local
from weft.agent.brought import Guests, question_for
from weft.agent.reach_keeper import ReachKeeper
from weft.agent.reconcile import FAILED, Reconciler
from weft.agent.switch import PacketIn, Switch, to_port
from weft.agent.trouble import Trouble
from weft.wire.messages import LOST, REFUSED, Problem

log = logging.getLogger(__name__)

CONFLICT_SECONDS = 600.0
"""How long it is told that a guest saw another use its address; it asks again after some seconds."""


class GuestPackets:
    """One host's."""

    def __init__(
        self,
        switch: Switch,
        services: Services,
        reconciler: Reconciler,
        reaching: ReachKeeper,
        changed: Callable[[], None],
    ) -> None:
        """`reaching` gets what other hosts' agents send; `changed` is called when there is something new to tell."""
        self.guests = Guests()
        self.too_large = 0
        """Packets dropped since they were: no flow can count them, see flows/l2.py."""
        self._switch = switch
        self._services = services
        self._reconciler = reconciler
        self._reaching = reaching
        self._changed = changed
        self._advertise_at = 0.0
        self._conflicts: dict[str, tuple[float, str]] = {}
        """By instance id: until when it is told, and what."""
        self._failing = Trouble(log, "services")

    async def run(self) -> None:
        """Answer, until cancelled."""
        async for packet in self._switch.packets_in():
            if packet.service == REACH:
                self._reaching.heard(packet)
            elif (answer := self._answer(packet)) is not None:
                self._take(answer)

    def turn(self) -> None:
        """Tell and ask what is due now; called in every round."""
        self._advertise()
        self._ask()

    @property
    def counts(self) -> dict[str, int]:
        """As Facts.counts; those of nothing are left out."""
        counts = {REFUSED: self._services.refused, LOST: self._switch.packets_lost}
        return {name: count for name, count in counts.items() if count}

    def problems(self) -> tuple[Problem, ...]:
        """What guests said of others that use their addresses."""
        now, local = _now(), self._locals
        self._conflicts = {one: said for one, said in self._conflicts.items() if said[0] > now and one in local}
        return tuple(
            Problem(FAILED, f"{local[one].binding.network_interface}: {words}", one)
            for one, (_, words) in sorted(self._conflicts.items())
        )

    @property
    def _locals(self) -> Mapping[str, Local]:
        return self._reconciler.locals

    def _answer(self, packet: PacketIn) -> Answer | None:
        self.too_large += packet.service == TOO_LARGE
        try:
            return self._services.answer(self._question(packet), _now())
        except Exception:
            # a packet is a guest's: whatever is in it may cost that packet, never the service
            self._failing.lasts(f"service {packet.service} failed", _now())
            log.debug("service %d failed", packet.service, exc_info=True)
            return None

    def _take(self, answer: Answer) -> None:
        if self.guests.heard(answer.learnt, _now()):
            self._changed()
        for conflict in answer.conflicts:
            self._conflicts[conflict.instance_id] = (_now() + CONFLICT_SECONDS, conflict.words)
        self._switch.send(answer.out)

    def _advertise(self) -> None:
        """Tell each guest anew of its router, before what it was told ends; a guest that comes up asks by itself."""
        now = _now()
        if now < self._advertise_at:
            return
        if self._advertise_at:
            for local in self._locals.values():
                if local.number and not local.edge and (frame := advertisement(self._question_of(local))) is not None:
                    self._switch.send((to_port(frame, local.number),))
        self._advertise_at = now + EVERY_SECONDS

    def _ask(self) -> None:
        """Whether they still have what they brought and do not use."""
        for local, address in self.guests.to_ask(self._locals, _now()):
            subnet = self._question_of(local).subnet(len(address))
            frame = question_for(local, address, subnet.gateway if subnet is not None else None)
            self._switch.send((to_port(frame, local.number or 0),))

    def _question(self, packet: PacketIn) -> Question:
        local = next((one for one in self._locals.values() if one.number == packet.in_port), None)
        if local is None:
            return Question(packet, None, self._reconciler.table)
        return msgspec.structs.replace(self._question_of(local), packet=packet)

    def _question_of(self, local: Local) -> Question:
        reconciler = self._reconciler
        service = reconciler.service_of(local.binding.instance_id)
        nothing = PacketIn(b"", 0, local.number or 0)
        return Question(nothing, local, reconciler.table, service, reconciler.mtus.of_guest(local))


def _now() -> float:
    return asyncio.get_running_loop().time()
