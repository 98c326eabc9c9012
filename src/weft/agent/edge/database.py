"""Changes of Open vSwitch's database that come at the same time, in one transaction. Called by edge/namespace.py.

The switch looks at all of its ports after each transaction, so a thousand edges that come one by one cost a thousand
looks at up to three thousand ports.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from weft.agent.edge.commands import run
from weft.agent.edge.wanted import EdgeFailure


class Database:
    """Of one switch, by ovs-vsctl."""

    def __init__(self, path: Path) -> None:
        """`path` of its socket."""
        self._path = path
        self._waiting: list[tuple[tuple[str, ...], asyncio.Future[None]]] = []
        self._working: asyncio.Task[None] | None = None

    async def ask(self, words: Sequence[str]) -> str:
        """One call of ovs-vsctl; its output. Raises EdgeFailure."""
        return await run(["ovs-vsctl", f"--db=unix:{self._path}", "--timeout=10", *words])

    async def change(self, words: Sequence[str]) -> None:
        """These commands, each begun by `--`, with whatever else waits meanwhile; nothing if there are none. Returns
        when the switch has them. Raises EdgeFailure for these alone."""
        if not words:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((tuple(words), done))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        await done

    async def _work(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, []
            try:
                await self.ask([word for words, _ in taken for word in words])
            except EdgeFailure:
                for words, done in taken:
                    await self._alone(words, done)
            else:
                for _, done in taken:
                    _settle(done, None)

    async def _alone(self, words: Sequence[str], done: asyncio.Future[None]) -> None:
        try:
            await self.ask(words)
        except EdgeFailure as failure:
            _settle(done, failure)
        else:
            _settle(done, None)


def _settle(done: asyncio.Future[None], failure: EdgeFailure | None) -> None:
    """Whoever waited may have been cancelled."""
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
