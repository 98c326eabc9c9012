"""One action per machine at a time, which goes on when its caller has gone. Kept by weft.control.machines."""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Set
from typing import Any, TypeVar

from weft.model.errors import Conflict

log = logging.getLogger(__name__)

Done = TypeVar("Done")
"""What an action answers."""


class Alone:
    """Of one controller. Machines are told apart without case."""

    def __init__(self) -> None:
        self._busy: dict[str, asyncio.Task[Any]] = {}

    def is_busy(self, machine: str) -> bool:
        """Is an action on the machine under way?"""
        return machine.lower() in self._busy

    def of(self, machine: str) -> asyncio.Task[Any] | None:
        return self._busy.get(machine.lower())

    @property
    def machines(self) -> Set[str]:
        """Those with an action under way, lower case."""
        return self._busy.keys()

    @property
    def tasks(self) -> Iterable[asyncio.Task[Any]]:
        return self._busy.values()

    async def run(self, machine: str, work: Coroutine[Any, Any, Done]) -> Done:
        """To its end. Raises Conflict (AnotherOperationInProgress), and what the work raises."""
        if self.is_busy(machine):
            work.close()
            raise Conflict(
                f"Another action on the machine '{machine}' is under way: wait until it has ended.",
                code="AnotherOperationInProgress",
            )
        return await asyncio.shield(self.begin(machine, work))

    def begin(self, machine: str, work: Coroutine[Any, Any, Done]) -> asyncio.Task[Done]:
        """Let it go on by itself."""
        key = machine.lower()
        task = asyncio.create_task(work, name=f"action on {machine}")
        self._busy[key] = task
        task.add_done_callback(lambda done: self._ended(key, done))
        return task

    def _ended(self, key: str, task: asyncio.Task[Any]) -> None:
        if self._busy.get(key) is task:
            del self._busy[key]
        # the caller may have gone: then nobody else would ask for the error
        if not task.cancelled() and task.exception() is not None:
            log.info("action on %s failed: %s", key, task.exception())
