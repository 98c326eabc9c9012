"""What is told of a machine that is handed over, and an answer that is not waited for since something else happens."""

import asyncio

import msgspec
import pytest

from weft.agent.libvirt.handing_over import handed_over, unless
from weft.model.hypervisor import HypervisorState, MachineState

HERE, OTHER = MachineState("web1", "Running", id="a"), MachineState("web2", "Running", id="b")
COMES = MachineState("web3", "Off", id="c", awaited=True)
TOLD = HypervisorState((HERE, OTHER, COMES), boot="1")


def test_one_that_ran_here_is_told_as_handed_over_and_all_else_as_before():
    held = handed_over(TOLD, {"a", "c"})
    assert held is not None
    (first, *rest) = held.machines
    assert (first.power, first.migrating, first.handed_over) == ("Running", True, True)
    assert (rest, held.boot) == ([OTHER, COMES], "1")
    assert handed_over(held, {"a"}) is None, "nothing new"


def test_one_that_comes_or_is_not_here_is_nothing_to_tell():
    assert handed_over(TOLD, {"c", "d"}) is None
    assert handed_over(msgspec.structs.replace(TOLD, machines=()), {"a"}) is None


class Slow:
    """Answers when it is told to."""

    def __init__(self):
        self.asked = []

    async def ask(self):
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]


async def begun():
    slow, happens = Slow(), asyncio.Event()
    waiting = asyncio.create_task(unless(slow.ask, happens))
    async with asyncio.timeout(30):
        while not slow.asked:
            await asyncio.sleep(0)
    return slow, happens, waiting


async def test_nothing_happens_and_the_answer_is_the_answer():
    slow, _, waiting = await begun()
    slow.asked[0].set_result("here")
    assert await waiting == "here"


async def test_what_happens_first_is_not_kept_waiting():
    slow, happens, waiting = await begun()
    happens.set()
    assert await waiting is None
    assert slow.asked[0].cancelled(), "nobody waits for it any more"


async def test_who_gives_up_leaves_nothing_running():
    slow, _, waiting = await begun()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert slow.asked[0].cancelled()


async def test_an_error_is_an_answer():
    slow, _, waiting = await begun()
    slow.asked[0].set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await waiting
