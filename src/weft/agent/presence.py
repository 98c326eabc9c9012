"""Which machines the hypervisor has here, and which it had and has no more. Pure; time is an argument.

Called by agent.py with what the hypervisor says, before the verbs are worked out. A machine that another hand deleted
is not made anew behind the back of whoever deleted it: it is reported as gone, and started only when somebody stops and
starts it. What the hypervisor had is remembered on disk, so that a machine which was never made here is none that went.
"""

from collections.abc import Collection, Iterable, Mapping

from weft.model.hypervisor import MachineState
from weft.model.records import Machine

GONE_SECONDS = 2.0
"""A hypervisor may not list a machine for a moment while it works on it."""

HERE, GONE = "here", "gone"


class Presence:
    """Of one host. `had` are the machines that the hypervisor was last known to have."""

    def __init__(self, had: Iterable[str] = ()) -> None:
        self.had = set(had)
        self._missing: dict[str, float] = {}
        """Since when it is not listed any more."""
        self._settled: set[str] = set()
        """Gone, and the record says so: it is not to run."""

    def look(
        self, states: Mapping[str, MachineState], machines: Mapping[str, Machine], busy: Collection[str], now: float
    ) -> None:
        """Take in what the hypervisor says; `busy` are machines that it is asked something about just now."""
        for name in (self.had | self._missing.keys()) - machines.keys() - states.keys():
            self._forget(name)
        for name in states:
            self._forget(name)
            self.had.add(name)
        for name in self.had - states.keys():
            machine = machines[name]
            if name in busy or machine.move_to or machine.power == "Incoming":
                self._missing.pop(name, None)
            elif machine.power == "Absent":
                # it went because we said so
                self._forget(name)
            elif machine.power == "Running" and name in self._settled:
                # it was stopped and is wanted again
                self._forget(name)
            else:
                since = self._missing.setdefault(name, now)
                if machine.power != "Running" and now - since >= GONE_SECONDS:
                    self._settled.add(name)

    def _forget(self, name: str) -> None:
        self.had.discard(name)
        self._missing.pop(name, None)
        self._settled.discard(name)

    def unmade(self, names: Iterable[str]) -> None:
        """What of these was seen was on the way to be made, and was taken back: no machine has gone."""
        for name in names:
            self._forget(name)

    @property
    def missing(self) -> Collection[str]:
        """Machines that were here and are not listed: nothing is to be asked for them."""
        return self._missing.keys()

    def is_unsure(self, now: float) -> bool:
        """Is a machine missing for so short a time that it may be back in a moment?"""
        return any(now - since < GONE_SECONDS for since in self._missing.values())

    def of(self, name: str, now: float) -> str:
        """here, gone or empty."""
        if name in self._missing:
            return GONE if now - self._missing[name] >= GONE_SECONDS else ""
        return HERE if name in self.had else ""
