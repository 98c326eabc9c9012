"""Waiting for news of hosts: an ack, facts, a coming or going. Called by waits and machine actions."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Listener:
    """Collects the servers of which something was heard since the last next()."""

    def __init__(self) -> None:
        self._heard: set[str] = set()
        self._news = asyncio.Event()

    def tell(self, server: str) -> None:
        self._heard.add(server)
        self._news.set()

    async def next(self, timeout: float) -> set[str]:
        """The servers heard of; empty after `timeout` seconds without news."""
        try:
            async with asyncio.timeout(max(timeout, 0)):
                await self._news.wait()
        except TimeoutError:
            return set()
        self._news.clear()
        heard, self._heard = self._heard, set()
        return heard


class Listening:
    """Who listens to which server."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}

    def heard(self, server: str) -> None:
        for listener in self._listeners.get(server, ()):
            listener.tell(server)

    @contextmanager
    def to(self, servers: Iterable[str]) -> Iterator[Listener]:
        """Listen to these servers (ids in lower case) inside the block."""
        wanted = set(servers)
        listener = Listener()
        for server in wanted:
            self._listeners.setdefault(server, []).append(listener)
        try:
            yield listener
        finally:
            for server in wanted:
                listeners = self._listeners[server]
                listeners.remove(listener)
                if not listeners:
                    del self._listeners[server]
