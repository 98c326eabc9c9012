"""What is known of a machine that QEMU hands over, before libvirt can be asked about it. Pure.

Called by driver.py. From a few milliseconds after STOP libvirt keeps the domain to itself until it has ended it, mostly
0.2 to 0.4 s: whoever asks about it waits for that long, and what comes for the machine must be sent on meanwhile.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

import msgspec

from weft.agent.libvirt.power import RUNNING
from weft.model.hypervisor import HypervisorState, MachineState

T = TypeVar("T")


def handed_over(told: HypervisorState, held: Collection[str]) -> HypervisorState | None:
    """What was told last, now that the machines with these UUIDs are held for the last of a migration; None where that
    says nothing new. One that comes here is held likewise, and was not told as running."""
    machines = tuple(_held(one) if one.id in held and one.power == RUNNING else one for one in told.machines)
    return msgspec.structs.replace(told, machines=machines) if machines != told.machines else None


def _held(state: MachineState) -> MachineState:
    return msgspec.structs.replace(state, migrating=True, handed_over=True)


async def unless(ask: Callable[[], Coroutine[Any, Any, T]], happens: asyncio.Event) -> T | None:
    """What is answered; None where that happens before."""
    answer = asyncio.create_task(ask(), name="libvirt question")
    waiting = asyncio.create_task(happens.wait(), name="a machine is handed over")
    try:
        await asyncio.wait({answer, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    finally:
        for one in (answer, waiting):
            one.cancel()
        await asyncio.gather(answer, waiting, return_exceptions=True)
