"""Interfaces that are not to get a port yet, since theirs would stop others of their networks. Pure.

Kept by ovs/plane.py, which has it look once a round.
"""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from weft.agent.bindings import ABSENT, Local, runs
from weft.agent.tunnels import Tunnels
from weft.model.hypervisor import MachineState
from weft.model.records import Machine, PortBinding
from weft.model.values import PackedIp, Rdid, ip_text
from weft.wire.messages import PortFact

SEALING_SECONDS = 10.0
"""A machine waits so long to begin, from when its interface is here, for others' hosts to encrypt what it sends."""
NOT_ENCRYPTED = f"held back until other hosts encrypt what it will send, {SEALING_SECONDS:g} s at most"
NOT_OWN = "held back: provider address {} is not this host's to use yet, and those of others of its network are"

End = tuple[Rdid, PackedIp]
"""A network and an address to send into it from: what is so of one port is so of all that have the same."""


class HeldBack:
    """Of one host."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}
        """Why, by instance id."""
        self._early: dict[str, float] = {}
        """By instance id of those whose ports would stop others in want of encryption: until when they wait for it."""

    @property
    def interfaces(self) -> Collection[str]:
        """Instance ids. Also of machines that nobody starts now, and of those whose port is closed: it is not to be
        opened."""
        return self._words.keys()

    def look(self, local: Iterable[Local], tunnels: Tunnels, now: float) -> None:
        """Work it out anew. One whose address is not encrypted waits for a while only: a host at the other end may be
        dead for long."""
        absent = {str(one.binding.instance_id): one.binding for one in local if one.number is None}
        ends = {_end(binding): binding for binding in absent.values()}
        stopping = {end for end, binding in ends.items() if tunnels.stops_others(binding)}
        withheld = {end for end, binding in ends.items() if tunnels.is_withheld(binding)}
        early = [one for one, binding in absent.items() if _end(binding) in stopping]
        self._early = {one: self._early.get(one, now + SEALING_SECONDS) for one in early}
        self._words = {one: NOT_ENCRYPTED for one, until in self._early.items() if now < until}
        self._words |= {
            one: NOT_OWN.format(ip_text(binding.provider_address))
            for one, binding in absent.items()
            if _end(binding) in withheld
        }

    def told(
        self, ports: Iterable[PortFact], machines: Iterable[Machine], states: Mapping[str, MachineState]
    ) -> tuple[PortFact, ...]:
        """The same, with why those have no port that have none for this: their machines would start but for it."""
        starting = {
            instance
            for machine in (machines if self._words else ())
            if machine.power == "Running" and not runs(states.get(machine.machine))
            for instance in machine.instance_ids
        }
        return tuple(
            msgspec.structs.replace(one, reason=self._words[one.instance_id])
            if one.state == ABSENT and one.instance_id in self._words and one.instance_id in starting
            else one
            for one in ports
        )


def _end(binding: PortBinding) -> End:
    return binding.rdid, binding.provider_address
