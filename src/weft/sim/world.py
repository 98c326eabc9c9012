"""Watches one strategy's cluster from outside and counts what goes wrong, after every event. Called by sim.run.

Only the machines that an event is about are looked at, so an event costs the same in a cluster of any size.
"""

import msgspec

from weft.sim.cluster import Cluster
from weft.sim.events import Cloned, Created, Deleted, Event, machines_of


class Sample(msgspec.Struct, frozen=True, rename="camel"):
    """The world at one time. Counts are of all until then, but for `duplicates`."""

    at: int
    """Seconds since the beginning."""
    running: int
    duplicates: int
    """Pairs of running machines with one MAC address in one L2 domain, now."""
    changed: int
    """Machines that run with another address than when they last ran, nobody having asked for it."""
    failed: int
    """Starts that failed."""
    used: int
    capacity: int
    fullest: float
    """Share of the fullest pool that is used, 0 to 1."""


class World:
    """One strategy's cluster and what was seen of it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.changed = 0
        self.failed = 0
        self.duplicates = 0
        self.duplicates_peak = 0
        self.duplicates_ever = 0
        """Times that two machines met."""
        self.hit: set[str] = set()
        """Machines that were ever one of a pair."""
        self._domains: dict[str, int] = {}
        self._active: dict[tuple[int, int], set[str]] = {}
        """Running machines by L2 domain and address."""
        self._runs_as: dict[str, int] = {}
        self._ran_as: dict[str, int] = {}

    def live(self, event: Event) -> None:
        """Let an event happen, and look."""
        if isinstance(event, Created):
            self._domains[event.machine] = event.domain
        elif isinstance(event, Cloned):
            self._domains[event.machine] = self._domains[event.source]
        self.failed += self.cluster.happen(event)
        for machine in machines_of(event):
            self._look(machine)
        if isinstance(event, Deleted):
            self._ran_as.pop(event.machine, None)
            del self._domains[event.machine]

    def sample(self, at: int) -> Sample:
        fill = self.cluster.fill()
        return Sample(
            at,
            len(self._runs_as),
            self.duplicates,
            self.changed,
            self.failed,
            fill.used,
            fill.capacity,
            fill.fullest,
        )

    def domain_of(self, machine: str) -> int:
        """Which L2 domain a machine is in."""
        return self._domains[machine]

    def twins(self) -> list[tuple[int, tuple[str, ...]]]:
        """Each address that several running machines of one L2 domain have now, and their names."""
        return sorted((mac, tuple(sorted(who))) for (_, mac), who in self._active.items() if len(who) > 1)

    def _look(self, machine: str) -> None:
        seen = self.cluster.view(machine)
        mac = int(seen.mac) if seen is not None and seen.running else 0
        before = self._runs_as.get(machine, 0)
        if mac != before:
            if before:
                self._leave(machine, before)
            if mac:
                self._enter(machine, mac)
        if mac and self._ran_as.setdefault(machine, mac) != mac:
            self.changed += 1
            self._ran_as[machine] = mac

    def _enter(self, machine: str, mac: int) -> None:
        self._runs_as[machine] = mac
        who = self._active.setdefault((self._domains[machine], mac), set())
        if who:
            self.duplicates += len(who)
            self.duplicates_ever += len(who)
            self.duplicates_peak = max(self.duplicates_peak, self.duplicates)
            self.hit.update(who, (machine,))
        who.add(machine)

    def _leave(self, machine: str, mac: int) -> None:
        del self._runs_as[machine]
        key = (self._domains[machine], mac)
        who = self._active[key]
        who.remove(machine)
        self.duplicates -= len(who)
        if not who:
            del self._active[key]
