"""Who waits to hear that something changed: the events() of the fake switch and the fake hypervisor."""

import asyncio
from collections.abc import AsyncIterator


class Listeners:
    """Any number of listeners; each hears at least once after every change, several changes may be heard as one."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Event] = []

    def tell(self) -> None:
        for listener in self._waiting:
            listener.set()

    def events(self) -> AsyncIterator[None]:
        """What changes from now on is heard, also before the first is waited for."""
        changed = asyncio.Event()
        self._waiting.append(changed)
        return self._heard(changed)

    async def _heard(self, changed: asyncio.Event) -> AsyncIterator[None]:
        try:
            while True:
                await changed.wait()
                changed.clear()
                yield None
        finally:
            self._waiting.remove(changed)
