"""Waiting for an answer that may be long in coming, and that something may make old meanwhile. Pure.

Called by driver.py for what libvirt says of its host: QEMU answers nothing for the last of a migration, and that it has
begun must be known before it is over.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def newest(ask: Callable[[], Coroutine[Any, Any, T]], again: asyncio.Event) -> T:
    """What is answered; asked anew when `again` is set meanwhile, and from then on only the new answer counts."""
    answer = asyncio.create_task(ask(), name="libvirt question")
    tasks: list[asyncio.Task[Any]] = [answer]
    try:
        while not answer.done():
            waiting = asyncio.create_task(again.wait(), name="asked again")
            tasks.append(waiting)
            await asyncio.wait({answer, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done() and not answer.done():
                again.clear()
                answer = asyncio.create_task(ask(), name="libvirt question, again")
                tasks.append(answer)
        return answer.result()
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
