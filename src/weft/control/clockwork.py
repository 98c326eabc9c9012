"""What happens because time passes: cool-downs and reservations end, inactive addresses go back, pools are sampled, the
ledger's time is written, old records go, moves are taken up.

One loop, run by weft.control.controller. Whatever fails is logged here and tried again at the next tick.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from weft.control.clock import KEEP_EVERY_S, LedgerClock
from weft.control.writer import Writer
from weft.core.commands import Actor, EndCoolDowns, EndReservations, LedgerCommand, ReleaseInactive
from weft.core.state import State
from weft.model.errors import StoreUnavailable
from weft.store.store import Retention, Store

log = logging.getLogger(__name__)

TICK_S = 1.0
COMPACT_EVERY_S = 60.0

CLOCK = Actor("clock", "system")


class Clockwork:
    def __init__(
        self, writer: Writer, store: Store, clock: LedgerClock, keep: Retention, each_tick: Sequence[Callable[[], None]]
    ) -> None:
        self._writer = writer
        self._store = store
        self._clock = clock
        self._keep = keep
        self._each_tick = each_tick
        self._compacted_at = clock.now().ledger
        self._trouble = ""

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            try:
                await self.tick()
                self._trouble = ""
            except StoreUnavailable as unavailable:
                if self._trouble != unavailable.message:
                    self._trouble = unavailable.message
                    log.warning("%s", unavailable)
            except Exception:
                log.exception("the clock's work failed; it is tried again in %g s", TICK_S)
            await asyncio.sleep(TICK_S)

    async def tick(self) -> None:
        """End what is due, keep the time, drop what is too old; each bounded per step. Raises StoreUnavailable."""
        for step in self._each_tick:
            step()
        state = self._writer.state
        await self._while_due(state.cooling_ends, EndCoolDowns())
        await self._while_due(state.reservations_end, EndReservations())
        await self._while_due(lambda: inactive_ends(state), ReleaseInactive())
        self._writer.keep_time(KEEP_EVERY_S)
        now = self._clock.now()
        if now.ledger - self._compacted_at >= COMPACT_EVERY_S:
            self._compacted_at = now.ledger
            while self._store.compact(now.ledger, now.wall, self._keep):
                await asyncio.sleep(0)

    async def _while_due(self, ends: Callable[[], float | None], command: LedgerCommand) -> None:
        while (at := ends()) is not None and at <= self._clock.now().ledger:
            submitted = await self._writer.submit(command, CLOCK)
            if submitted.decision is None or not submitted.decision.changes:
                # it would go round for ever
                log.error("%s is due since ledger second %g, and nothing came of it", command, at)
                return


def inactive_ends(state: State) -> float | None:
    """Ledger second at which a pool's rule next takes back what inactive holders hold; None if none ever does."""
    if not state.addresses.notable.inactive:
        return None
    pools = (pool for pool in state.addresses.mac_pools if pool.spec.release_inactive)
    return min(
        (at + pool.spec.release_inactive for pool in pools if (at := pool.inactive.first()) is not None), default=None
    )
