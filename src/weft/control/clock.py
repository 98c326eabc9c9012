"""The ledger's own time, from a running controller's monotonic clock."""

from typing import Protocol

from weft.model.values import Now


class Clock(Protocol):
    """The two clocks of the machine; __main__ hands in the real ones, tests a hand-moved one."""

    def monotonic(self) -> float:
        """Seconds from any start; never goes back while the process runs."""
        ...

    def wall(self) -> float:
        """Unix seconds; may jump."""
        ...


class LedgerClock:
    """Counts on from the time that the store has kept. While no controller runs the ledger's time stands still.

    After a crash it goes on from the last time written, at most KEEP_EVERY_S behind: a cool-down may last that much
    longer, never shorter.
    """

    def __init__(self, clock: Clock, kept: float) -> None:
        self._clock = clock
        self._offset = kept - clock.monotonic()

    def now(self) -> Now:
        return Now(self._clock.monotonic() + self._offset, self._clock.wall())


KEEP_EVERY_S = 10.0
"""The ledger's time is written at least this often."""
