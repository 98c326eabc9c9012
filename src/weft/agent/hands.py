"""Whose hand made a machine run, stop or come here. Pure; called by guests.py with what the hypervisor says.

A machine whose power agreed with its record, and then differs while the record stayed the same, was changed by somebody
else: with the hypervisor's own tools, from inside the guest, or by a crash. It is left as it is until the record or its
power changes, and told, so that the record can follow. The same holds over a restart of the agent, but not of the host:
a host that booted anew does what the records say. A machine that bears our mark, has no record here and never had one
was brought here by somebody else too.

A driver that cannot tell one boot from another (HypervisorState.boot) has no such machines: whatever differs is made as
its record says. The lab's guests are of that kind, for nobody starts or stops them by hand.
"""

from collections.abc import Collection, Mapping

from weft.model.hypervisor import MachineState
from weft.model.records import Machine

_RESTING = ("Off", "Running", "Saved")
"""Powers of a record that a machine can agree with."""


class Hands:
    """Of one host. `agreed` is the power in which each machine and its record last agreed, on this `boot`."""

    def __init__(self, boot: str = "", agreed: Mapping[str, str] | None = None) -> None:
        self.boot = boot
        self.agreed: dict[str, str] = dict(agreed or {})
        self.changed: set[str] = set()
        """Machines that another hand made run or stop."""
        self.arrived: set[str] = set()
        """Machines with our mark that another hand brought here."""

    def look(
        self, states: Mapping[str, MachineState], machines: Mapping[str, Machine], busy: Collection[str], boot: str
    ) -> None:
        """Take in what the hypervisor says; `busy` are machines that it is asked something about just now, or was when
        it said this."""
        if boot != self.boot:
            self.boot = boot
            self.agreed.clear()
        self.changed.clear()
        if not boot:
            return
        for name, power in list(self.agreed.items()):
            machine = machines.get(name)
            if machine is None or machine.power != power or machine.move_to or machine.errand is not None:
                del self.agreed[name]
        for name, machine in machines.items():
            state = states.get(name)
            if state is None or state.awaited or machine.move_to or machine.power not in _RESTING or name in busy:
                continue
            if machine.errand is not None:
                continue  # we stop and start it for that
            if state.power == machine.power:
                self.agreed[name] = machine.power
            elif name in self.agreed:
                self.changed.add(name)

    def welcome(
        self,
        states: Mapping[str, MachineState],
        machines: Mapping[str, Machine],
        known: Collection[str],
        boot: str,
    ) -> None:
        """Find who came; `known` are machines that have, or had, a record here, or were made here."""
        if not boot:
            self.arrived.clear()
            return
        self.arrived = {
            name
            for name, state in states.items()
            if name not in machines and not state.awaited and (name in self.arrived or name not in known)
        }

    def overrule(self, machine: str) -> None:
        """Carry out the record of a machine, whatever another hand has made of it."""
        self.agreed.pop(machine, None)
        self.changed.discard(machine)

    @property
    def by_hand(self) -> Collection[str]:
        """Machines for which nothing is to be asked of the hypervisor."""
        return self.changed | self.arrived
