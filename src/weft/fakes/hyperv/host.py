"""One fake Hyper-V host: machines, virtual switches, physical adapters, files, logs, network records, boots.

sim.hyperv holds the rules by which it gives MAC addresses. Made by Datacenter.add_host; cmdlets/ and people.py act on
it. What a host refuses raises HyperVError with the text of the hypervisor.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from weft.fakes.hyperv.event_log import CHECKPOINT_APPLIED, SYSTEM, WORKER, WORKER_ADMIN, EventLog, Said
from weft.fakes.hyperv.files import File, Files
from weft.fakes.hyperv.machine import Nic, Vm, VmCheckpoint
from weft.fakes.hyperv.network_records import NetworkRecords
from weft.model.values import mac_digits
from weft.sim.hyperv import OFF, RUNNING, SAVED, Adapter, Host, Machine, StartFailed, SwitchEvent

_MISSING_STATE = "The operation cannot be performed while the virtual machine is in its current state."


class HyperVError(Exception):
    """What Hyper-V says; `id` and `category` as in the error record."""

    def __init__(self, message: str, *, id: str = "OperationFailed", category: str = "NotSpecified") -> None:
        super().__init__(message)
        self.message = message
        self.id = id
        self.category = category


def wrong_state(doing: str) -> HyperVError:
    return HyperVError(f"{doing} {_MISSING_STATE}", id="InvalidState", category="InvalidOperation")


class Surroundings(Protocol):
    """What a host needs of its datacenter."""

    def new_id(self) -> str: ...
    def now(self) -> float: ...
    def changed(self) -> None: ...
    def host_named(self, name: str) -> "FakeHost | None": ...
    def is_role(self, machine: str) -> bool: ...
    def move(self, vm: Vm, source: "FakeHost", destination: "FakeHost") -> None: ...


class NetAdapter(msgspec.Struct):
    """A physical adapter; `bindings` by component id, ms_netwnv among them."""

    name: str
    index: int
    mac: int = 0
    up: bool = True
    bindings: dict[str, bool] = msgspec.field(default_factory=lambda: {"ms_tcpip": True, "ms_netwnv": False})


class Trouble(msgspec.Struct):
    """Failure switches, by the cmdlet's name as its page writes it. They stay until taken out; `before` and `lost` act
    once."""

    failing: dict[str, str] = msgspec.field(default_factory=dict)
    """It does nothing and fails with this text."""
    half_way: dict[str, str] = msgspec.field(default_factory=dict)
    """It does what it should and fails all the same."""
    ineffective: set[str] = msgspec.field(default_factory=set)
    """It says nothing and does nothing."""
    lost: set[str] = msgspec.field(default_factory=set)
    """It does what it should, and the session is gone: the script ends there, and whoever ran it hears nothing."""
    before: dict[str, Callable[[], object]] = msgspec.field(default_factory=dict)
    """What another hand does just before it runs."""
    unreachable: bool = False
    refused: bool = False
    """Nobody's credentials are taken."""


class FakeHost(Host):
    """`shared` are the files that the datacenter's hosts have in common."""

    def __init__(self, around: Surroundings, name: str, ipv4: str, shared: Files) -> None:
        super().__init__(name, ipv4)
        self.around = around
        self.trouble = Trouble()
        self.calls: Counter[str] = Counter()
        """How often each cmdlet was called: what is piped into one, each by itself."""
        self.log = EventLog()
        self.files = Files(shared)
        self.switches: list[str] = ["Virtual Switch"]
        self.net_adapters = [NetAdapter("Ethernet", 4)]
        self.records = NetworkRecords()
        self.in_use: set[str] = set()
        """Provider addresses that another host on the wire has: duplicate detection finds them."""
        self.cluster: object | None = None
        """The failover cluster whose node it is, of cluster.py; the host itself asks nothing of it."""
        self.alive = True
        self.booted = around.now()
        self.machine_path = "C:\\ProgramData\\Microsoft\\Windows\\Hyper-V"
        self.disk_path = "C:\\Users\\Public\\Documents\\Hyper-V\\Virtual Hard Disks"
        self.range_in_registry = True
        self.feature_ids = ""
        """InstanceID of all port features, should a host name them otherwise than the fake does."""
        self.slow_merges = False
        """Disks of removed checkpoints are merged only when `finish_merges` is called: Hyper-V does so behind one."""
        self._merges: list[tuple[Vm, VmCheckpoint]] = []

    # -- machines

    @property
    def vms(self) -> list[Vm]:
        return [each for each in self.machines.values() if isinstance(each, Vm)]

    def vm(self, id: str) -> Vm | None:
        found = self.machines.get(id.lower())
        return found if isinstance(found, Vm) else None

    def make(self, name: str, *, generation: int = 2, path: str = "") -> Vm:
        """A machine with one adapter that is connected to nothing, its address dynamic and not yet drawn."""
        vm = Vm(self.around.new_id(), name, generation=generation, path=path or self.machine_path)
        vm.created = self.around.now()
        vm.adapters = (Nic(self.around.new_id()),)
        self.add(vm)
        self.files.put(File(f"{vm.path}\\Virtual Machines\\{vm.id.upper()}.vmcx", content=vm))
        self.changed()
        return vm

    def add(self, machine: Machine) -> None:
        super().add(machine)
        self.changed()

    def remove(self, machine: Machine) -> None:
        super().remove(machine)
        self.changed()

    def destroy(self, vm: Vm) -> None:
        """Remove-VM: disks stay. Raises HyperVError unless it is Off or Saved."""
        if vm.power == RUNNING:
            raise wrong_state(f"'{vm.name}' cannot be deleted.")
        for taken in vm.taken():
            del vm.checkpoints[taken.id]
        self.remove(vm)
        self.files.remove(f"{vm.path}\\Virtual Machines\\{vm.id.upper()}.vmcx")

    # -- power

    def start(self, machine: Machine) -> None:
        was = machine.power
        super().start(machine)
        if isinstance(machine, Vm):
            machine.paused = False
            machine.power_ons += was == OFF
        self.changed()

    def stop(self, machine: Machine, power: str = OFF) -> None:
        if isinstance(machine, Vm) and machine.power == SAVED and power == OFF:
            machine.power = OFF
        super().stop(machine, power)
        if isinstance(machine, Vm):
            machine.paused = False
        self.changed()

    def pause(self, vm: Vm, paused: bool) -> None:
        """Raises HyperVError unless it is Running, or Paused."""
        if vm.power != RUNNING:
            raise wrong_state(f"'{vm.name}' failed to change state.")
        vm.paused = paused
        self.changed()

    # -- adapters

    def add_adapter(self, vm: Vm, nic: Nic) -> None:
        self.change_adapters(vm, (*vm.adapters, nic))

    def change_adapters(self, vm: Vm, adapters: Iterable[Adapter]) -> None:
        """Raises HyperVError for a first-generation machine that runs: it takes no adapter then."""
        if vm.generation == 1 and vm.power != OFF:
            raise wrong_state("Failed to modify network adapters.")
        for each in vm.adapters:
            self._let_go(vm, each)
        vm.adapters = tuple(adapters)
        for each in vm.adapters:
            self._take_in(vm, each)
        self.changed()

    # -- checkpoints

    def capture(self, vm: Vm, name: str) -> VmCheckpoint:
        """Checkpoint-VM; disks go on in differencing files."""
        taken = vm.capture(self.around.new_id(), name, self.around.now())
        self._branch(vm)
        self.changed()
        return taken

    def apply(self, machine: Machine, name: str) -> None:
        """Back to a checkpoint, by its id: adapters, notes, disks and all; event 18596 says so. Raises StartFailed.

        What was running when it was taken runs again where the machine runs now, and is Saved where it does not [?].
        """
        taken = machine.checkpoints[name]
        if machine.power != RUNNING and taken.power == RUNNING:
            machine.checkpoints[name] = msgspec.structs.replace(taken, power=SAVED)
        try:
            super().apply(machine, name)
        finally:
            machine.checkpoints[name] = taken
        if isinstance(machine, Vm) and isinstance(taken, VmCheckpoint):
            machine.paused = False
            before = [disk.path for disk in machine.settings.disks]
            machine.settings, machine.parent = taken.settings, taken.id
            self._branch(machine)
            self._sweep(machine, before)
            values = (("VmName", machine.name), ("VmId", machine.id.upper()))
            said = Said(
                values, f"'{machine.name}' was restored to a checkpoint. (Virtual machine ID {machine.id.upper()})"
            )
            self.log.write((WORKER_ADMIN, WORKER), CHECKPOINT_APPLIED, 4, self.around.now(), said)
        self.changed()

    def forget(self, vm: Vm, taken: VmCheckpoint) -> None:
        """Remove-VMSnapshot: children hang on to its parent; with the last one, disks are merged into their files."""
        del vm.checkpoints[taken.id]
        for child in vm.taken():
            if child.parent == taken.id:
                vm.checkpoints[child.id] = msgspec.structs.replace(child, parent=taken.parent)
        if vm.parent == taken.id:
            vm.parent = taken.parent
        if self.slow_merges:
            self._merges.append((vm, taken))
        else:
            self._merge(vm, taken)
        self.changed()

    def finish_merges(self) -> None:
        """With `slow_merges`: the work behind checkpoints that were removed is done."""
        merges, self._merges = self._merges, []
        for vm, taken in merges:
            self._merge(vm, taken)
        self.changed()

    def _merge(self, vm: Vm, taken: VmCheckpoint) -> None:
        before = [path for disk in (*vm.settings.disks, *taken.settings.disks) for path in self._chain(disk.path)]
        if not vm.checkpoints:
            disks = tuple(msgspec.structs.replace(each, path=self._chain(each.path)[-1]) for each in vm.settings.disks)
            vm.settings = msgspec.structs.replace(vm.settings, disks=disks)
        self._sweep(vm, before)

    def _branch(self, vm: Vm) -> None:
        """Each disk goes on in a differencing file of its own."""
        disks = []
        for each in vm.settings.disks:
            stem = re.sub(r"(_[0-9A-F-]{36})?\.a?vhdx?$", "", each.path, flags=re.IGNORECASE)
            old = self.files.get(each.path)
            path = f"{stem}_{self.around.new_id().upper()}.avhdx"
            self.files.put(File(path, size=old.size if old else 0, parent=each.path))
            disks.append(msgspec.structs.replace(each, path=path))
        vm.settings = msgspec.structs.replace(vm.settings, disks=tuple(disks))

    def _sweep(self, vm: Vm, paths: Iterable[str]) -> None:
        """Delete those differencing files that neither the machine nor a checkpoint of it needs any more."""
        held = (*vm.settings.disks, *(disk for taken in vm.taken() for disk in taken.settings.disks))
        needed = {path for disk in held for path in self._chain(disk.path)}
        for path in paths:
            if path not in needed and path.lower().endswith(".avhdx"):
                self.files.remove(path)

    def _chain(self, path: str) -> list[str]:
        """A disk's file, its parent, and so on."""
        file = self.files.get(path)
        return [path, *(self._chain(file.parent) if file is not None and file.parent else ())]

    # -- the switch, and what tells

    def note(self, event: SwitchEvent) -> None:
        super().note(event)
        values = (("Port", event.port), ("Mac", mac_digits(event.mac)), ("PinnedTo", event.pinned_to))
        self.log.write((SYSTEM, "VMSMP"), event.id, 3, self.around.now(), Said(values, event.message))

    def changed(self) -> None:
        self.around.changed()

    # -- the host itself

    def lose_power(self) -> None:
        """What it had in memory is gone: every machine that ran is Off, and so are the network records."""
        self.alive = False
        for vm in self.vms:
            vm.managed = vm.power != RUNNING
            self.stop(vm)
        self.records = NetworkRecords()
        self.changed()

    def boot(self) -> None:
        """Machines start as AutomaticStartAction says; whoever cannot stays Off."""
        self.alive, self.booted = True, self.around.now()
        for vm in self.vms:
            ran, vm.managed = not vm.managed, True
            if vm.power != RUNNING and (vm.automatic_start == "Start" or (ran and vm.automatic_start != "Nothing")):
                try:
                    self.start(vm)
                except StartFailed:
                    continue
        self.changed()

    def restart(self) -> None:
        self.lose_power()
        self.boot()
