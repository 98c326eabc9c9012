"""What every strategy's cluster offers to sim.world, and what it says about itself."""

from typing import Protocol

import msgspec

from weft.model.values import Mac
from weft.sim.events import Event


class View(msgspec.Struct, frozen=True):
    """A machine as its network sees it. `mac` 0: none yet."""

    mac: Mac
    running: bool


class Fill(msgspec.Struct, frozen=True):
    """How many addresses are used, of how many; `fullest` is the share of the fullest single pool, 0 to 1."""

    used: int
    capacity: int
    fullest: float


class Cluster(Protocol):
    """Lives through events. One strategy's hosts and machines."""

    def happen(self, event: Event) -> int:
        """Do what it says as far as it can be done; how many starts failed."""
        ...

    def view(self, machine: str) -> View | None:
        """None if there is no such machine."""
        ...

    def fill(self) -> Fill: ...
