"""What happens because time passes: cool-downs end, the ledger's time is written, old records go, moves are taken up.

One loop, run by weft.control.controller. Whatever fails is logged here and tried again at the next tick.
"""

import asyncio
import logging
from collections.abc import Callable

from weft.control.clock import KEEP_EVERY_S, LedgerClock
from weft.control.writer import Writer
from weft.core.commands import Actor, EndCoolDowns
from weft.model.errors import StoreUnavailable
from weft.store.store import Retention, Store

log = logging.getLogger(__name__)

TICK_S = 1.0
COMPACT_EVERY_S = 60.0

CLOCK = Actor("clock", "system")


class Clockwork:
    def __init__(
        self, writer: Writer, store: Store, clock: LedgerClock, keep: Retention, sweep: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._store = store
        self._clock = clock
        self._keep = keep
        self._sweep = sweep
        self._compacted_at = clock.now().ledger

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            try:
                await self.tick()
            except StoreUnavailable as unavailable:
                log.warning("%s", unavailable)
            except Exception:
                log.exception("the clock's work failed; it is tried again in %g s", TICK_S)
            await asyncio.sleep(TICK_S)

    async def tick(self) -> None:
        """End what has cooled down, keep the time, drop what is too old; each bounded per step."""
        self._sweep()
        while self._due():
            await self._writer.submit(EndCoolDowns(), CLOCK)
        self._writer.keep_time(KEEP_EVERY_S)
        now = self._clock.now()
        if now.ledger - self._compacted_at >= COMPACT_EVERY_S:
            self._compacted_at = now.ledger
            while self._store.compact(now.ledger, now.wall, self._keep):
                await asyncio.sleep(0)

    def _due(self) -> bool:
        ends = self._writer.state.cooling_ends()
        return ends is not None and ends <= self._clock.now().ledger
