"""Waits for a state, never for a time: asks again and again, and gives up long after it should have come."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    so: Callable[[], T], what: object = "", patience: float = 60.0, meanwhile: Callable[[], bool] = lambda: True
) -> T:
    """What `so` answers at last. `what` is said if it does not come, worked out then if it is a function; `meanwhile`
    must hold as long."""
    end = time.monotonic() + patience
    while not (found := so()):
        assert time.monotonic() < end and meanwhile(), what() if callable(what) else what
        time.sleep(0.02)  # between two looks
    return found


async def soon(so: Callable[[], T], patience: float = 30.0) -> T:
    """What `so` answers at last, while the other tasks go on."""
    async with asyncio.timeout(patience):
        while not (found := so()):
            await asyncio.sleep(0.002)
    return found
