"""May another hand start a machine on this host? Asked by libvirt's hook before it does (hook_socket.py).

The agent's own starts may. Of others the controller decides, which knows who runs where with which address; without
its word in time, only what the last policy names on this host may start.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

import msgspec

from weft.model.hypervisor import MachineState
from weft.model.records import Machine
from weft.wire.messages import MayRun, MayRunAnswer

log = logging.getLogger(__name__)

ANSWER_SECONDS = 3.0
COMING_SECONDS = 120.0
"""What was said to come from another host is started here within this time."""


class Start(msgspec.Struct, frozen=True):
    """A machine that is about to start, as its hypervisor knows it."""

    id: str
    name: str = ""
    machine: str = ""
    """What our mark on it says."""
    macs: tuple[int, ...] = ()
    comes: bool = False
    """It comes from another host."""


class Known(msgspec.Struct, frozen=True):
    """What the agent knows just now."""

    machines: Mapping[str, Machine]
    states: Mapping[str, MachineState]
    busy: Collection[str]
    """Machines that the hypervisor is asked something about."""


class Starts:
    """One agent's. `say` sends to the controller, and tells whether there is one that understands."""

    def __init__(self, say: Callable[[MayRun], bool], known: Callable[[], Known]) -> None:
        self._say = say
        self._known = known
        self._asked: dict[int, asyncio.Future[str]] = {}
        self._number = 0
        self._coming: dict[str, float] = {}
        """By the hypervisor's id, until when."""

    def answered(self, answer: MayRunAnswer) -> None:
        """The controller's word."""
        future = self._asked.get(answer.number)
        if future is not None and not future.done():
            future.set_result(answer.refusal)

    async def refusal(self, start: Start) -> str:
        """Why the machine may not start; empty if it may."""
        known = self._known()
        name = _name_of(start, known)
        machine = known.machines.get(name)
        if name in known.busy or (machine is not None and machine.power == "Incoming"):
            return ""
        self._number += 1
        number = self._number
        loop = asyncio.get_running_loop()
        comes = self._comes(start, loop.time())
        future: asyncio.Future[str] = loop.create_future()
        self._asked[number] = future
        try:
            if self._say(MayRun(number, start.id, start.name, start.macs, comes, start.machine)):
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await future
        except TimeoutError:
            log.warning("the controller did not say in %g s whether %s may start", ANSWER_SECONDS, start.name)
        finally:
            del self._asked[number]
        if machine is not None:
            return ""
        return (
            f"the controller cannot be asked whether another machine runs with an address of {start.name or start.id}, "
            "and the last policy does not name it on this host"
        )

    def _comes(self, start: Start, now: float) -> bool:
        """libvirt says that a machine comes from another host before it prepares its start."""
        self._coming = {own: until for own, until in self._coming.items() if until > now}
        if start.comes:
            self._coming[start.id] = now + COMING_SECONDS
        return start.id in self._coming


def _name_of(start: Start, known: Known) -> str:
    """Of ours: by the hypervisor's id, else one that is just being defined under its own name; empty for others."""
    own = start.id.lower()
    for name, state in known.states.items():
        if state.id.lower() == own:
            return name
    for name, machine in known.machines.items():
        if machine.hypervisor_id.lower() == own:
            return name
    if start.machine in known.machines:
        return start.machine
    return start.name if start.name in known.busy else ""
