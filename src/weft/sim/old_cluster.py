"""A cluster of Hyper-V hosts that lives through events, its addresses given by one of sim.assignments.

Used by sim.strategies. The cluster knows where each machine is; no host knows of the others, and that is the whole
trouble.
"""

from collections.abc import Callable
from typing import Any

from weft.sim import events
from weft.sim.assignments import Assignment, NoAddress
from weft.sim.cluster import Fill, View
from weft.sim.hyperv import OFF, RUNNING, Adapter, Host, Machine, StartFailed


class OldCluster:
    """See sim.cluster.Cluster. `blanks_checkpoints`: the workaround of blanked checkpoints with a reboot after each
    rollback.
    """

    def __init__(
        self,
        assignment: Assignment,
        pools: Callable[[list[Host]], Fill],
        *,
        blanks_checkpoints: bool = False,
    ) -> None:
        self.hosts: dict[str, Host] = {}
        self._assignment = assignment
        self._pools = pools
        self._blanks = blanks_checkpoints
        self._where: dict[str, Host] = {}

    def happen(self, event: events.Event) -> int:
        return _ACTS[type(event)](self, event)

    def view(self, machine: str) -> View | None:
        host = self._where.get(machine)
        if host is None:
            return None
        found = host.machines[machine]
        return View(found.adapters[0].mac, found.power == RUNNING)

    def fill(self) -> Fill:
        return self._pools(list(self.hosts.values()))

    def machine(self, name: str) -> Machine:
        return self._where[name].machines[name]

    # -- what happens

    def _host_added(self, event: events.HostAdded) -> int:
        source = self.hosts.get(event.image_of)
        if source is None:
            host = Host(event.host, event.ipv4)
        else:
            # an image is made of a host that works already, so it has its range
            _ = source.range
            host = source.image(event.host, event.ipv4)
        self.hosts[event.host] = host
        self._assignment.host_added(host)
        return 0

    def _created(self, event: events.Created) -> int:
        host = self._where[event.machine] = self.hosts[event.host]
        machine = Machine(event.machine, (Adapter("eth0"),))
        host.add(machine)
        try:
            self._assignment.created(host, machine)
        except NoAddress:
            return 1
        return 0

    def _cloned(self, event: events.Cloned) -> int:
        host = self._where[event.machine] = self.hosts[event.host]
        try:
            self._assignment.cloned(host, self.machine(event.source), event.machine)
        except NoAddress:
            return 1
        return 0

    def _deleted(self, event: events.Deleted) -> int:
        machine = self.machine(event.machine)
        self._where.pop(event.machine).remove(machine)
        return 0

    def _started(self, event: events.Started) -> int:
        return self._start(event.machine)

    def _stopped(self, event: events.Stopped) -> int:
        self._where[event.machine].stop(self.machine(event.machine))
        return 0

    def _power_cycled(self, event: events.PowerCycled) -> int:
        self._where[event.machine].stop(self.machine(event.machine))
        return self._start(event.machine)

    def _rebooted(self, event: events.Rebooted) -> int:
        self._where[event.machine].reset(self.machine(event.machine))
        return 0

    def _moved(self, event: events.Moved) -> int:
        self._move(event.machine, event.host)
        return 0

    def _checkpoint_taken(self, event: events.CheckpointTaken) -> int:
        machine = self.machine(event.machine)
        machine.checkpoint(event.name)
        if self._blanks:
            machine.blank(event.name)
        return 0

    def _rolled_back(self, event: events.RolledBack) -> int:
        return sum(self._roll_back(machine, event.name) for machine in event.machines)

    def _roll_back(self, name: str, checkpoint: str) -> int:
        host, machine = self._where[name], self.machine(name)
        try:
            host.apply(machine, checkpoint)
            if self._blanks:
                host.stop(machine)
            host.start(machine)
        except StartFailed:
            return 1
        return 0

    def _host_died(self, event: events.HostDied) -> int:
        failed = 0
        for name, host in event.to:
            machine = self.machine(name)
            ran = machine.power == RUNNING
            self._where[name].stop(machine, OFF)
            self._move(name, host)
            failed += self._start(name) if ran else 0
        return failed

    def _start(self, name: str) -> int:
        try:
            self._where[name].start(self.machine(name))
        except StartFailed:
            return 1
        return 0

    def _move(self, name: str, host: str) -> None:
        self._where[name].live_migrate(self.machine(name), self.hosts[host])
        self._where[name] = self.hosts[host]


_ACTS: dict[type[Any], Callable[[OldCluster, Any], int]] = {
    events.HostAdded: OldCluster._host_added,
    events.Created: OldCluster._created,
    events.Cloned: OldCluster._cloned,
    events.Deleted: OldCluster._deleted,
    events.Started: OldCluster._started,
    events.Stopped: OldCluster._stopped,
    events.PowerCycled: OldCluster._power_cycled,
    events.Rebooted: OldCluster._rebooted,
    events.Moved: OldCluster._moved,
    events.CheckpointTaken: OldCluster._checkpoint_taken,
    events.RolledBack: OldCluster._rolled_back,
    events.HostDied: OldCluster._host_died,
}
