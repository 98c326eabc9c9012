"""What a story waits for, and how long."""

import asyncio
from collections.abc import Callable

import httpx

SOON_S = 30.0
"""What should come to be, does within this; far above what it takes, since CI is slow."""


class Events:
    """Server-sent events as they come."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def until(self, wanted: Callable[[str], bool]) -> str:
        """The first line that is wanted."""
        async with asyncio.timeout(SOON_S):
            async for line in self._lines:
                if wanted(line):
                    return line
        raise AssertionError("the stream ended")
