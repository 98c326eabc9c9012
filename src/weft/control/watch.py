"""What /weft/v1/watch follows: every commit in order, from a cursor on. Called through the controller.

A follower that reads slowly costs nothing: it takes newer commits from a short memory and older ones from the log.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from weft.core.changes import Commit
from weft.model.errors import Compacted
from weft.store.store import Store

KEPT = 256


class Watch:
    """Told of each commit; hands them on."""

    def __init__(self, store: Store, generation: str, revision: int) -> None:
        self._store = store
        self._generation = generation
        self._revision = revision
        self._newest: deque[Commit] = deque(maxlen=KEPT)
        self._news: asyncio.Event | None = None
        self._closed = False

    def committed(self, commit: Commit) -> None:
        self._newest.append(commit)
        self._revision = commit.revision
        self._ring()

    def close(self) -> None:
        """End every subscription."""
        self._closed = True
        self._ring()

    def _ring(self) -> None:
        if self._news is not None:
            self._news.set()
            self._news = None

    async def subscribe(self, generation: str, after: int) -> AsyncIterator[Commit]:
        """Commits after revision `after`, then new ones as they come, without end. Raises Compacted.

        It raises at the first step where the cursor is of another generation or older than the log.
        """
        if generation != self._generation:
            raise Compacted("The store was restored or made anew since that cursor: read everything, then watch.")
        while not self._closed:
            commits = self._after(after)
            for commit in commits:
                yield commit
                after = commit.revision
            if not commits:
                await self._wait()

    def _after(self, after: int) -> list[Commit]:
        if after == self._revision:
            return []
        if self._newest and self._newest[0].revision <= after + 1 <= self._revision:
            return [commit for commit in self._newest if commit.revision > after]
        return self._store.log(after, KEPT)

    async def _wait(self) -> None:
        if self._news is None:
            self._news = asyncio.Event()
        await self._news.wait()
