"""An answer that something makes old before it is there."""

import asyncio

import pytest

from weft.agent.libvirt.newest import newest


class Slow:
    """Answers as it is told to, in any order."""

    def __init__(self):
        self.asked = []

    async def ask(self):
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]


async def begun():
    slow, again = Slow(), asyncio.Event()
    waiting = asyncio.create_task(newest(slow.ask, again))
    await until(lambda: slow.asked)
    return slow, again, waiting


async def until(true):
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0)


async def test_nothing_happens_and_the_answer_is_the_answer():
    slow, _, waiting = await begun()
    slow.asked[0].set_result("here")
    assert await waiting == "here"
    assert len(slow.asked) == 1


async def test_what_makes_it_old_has_it_asked_anew_and_only_the_new_answer_counts():
    slow, again, waiting = await begun()
    for times in (2, 3):
        again.set()
        await until(lambda times=times: len(slow.asked) == times)
    slow.asked[0].set_result("here")
    await asyncio.sleep(0)
    assert not waiting.done()
    slow.asked[2].set_result("handed over")
    assert await waiting == "handed over"
    assert slow.asked[1].cancelled(), "nobody waits for it any more"


async def test_who_gives_up_leaves_nothing_running():
    slow, again, waiting = await begun()
    again.set()
    await until(lambda: len(slow.asked) == 2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [one.cancelled() for one in slow.asked] == [True, True]


async def test_an_error_is_an_answer():
    slow, _, waiting = await begun()
    slow.asked[0].set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await waiting
