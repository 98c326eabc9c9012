"""Work of an agent that goes on while a test looks at it."""

import asyncio
import contextlib


@contextlib.asynccontextmanager
async def beside(*works):
    """These coroutines run until the block ends, and not after it."""
    running = [asyncio.create_task(one) for one in works]
    try:
        yield running
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
