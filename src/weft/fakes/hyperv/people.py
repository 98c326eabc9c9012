"""What other hands do to a fake host: Hyper-V Manager, Failover Cluster Manager, Remote Desktop Services.

For tests and the demo. Nothing here goes through a script, and nobody is told.
"""

import msgspec

from weft.fakes.hyperv.cmdlets.machines import attach
from weft.fakes.hyperv.cmdlets.moves import export, import_export
from weft.fakes.hyperv.datacenter import HyperVDatacenter
from weft.fakes.hyperv.files import File, joined
from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.machine import STANDARD, Nic, Vm, VmCheckpoint
from weft.model.values import Mac

ROLLBACK = "RDV_ROLLBACK - {}"
"""How the checkpoint of a pooled desktop is called."""


class Console:
    """Somebody with Hyper-V Manager open on one host."""

    def __init__(self, datacenter: HyperVDatacenter, host: str) -> None:
        self.datacenter = datacenter
        self.host: FakeHost = datacenter.hosts[host]

    def create(self, name: str, *, switch: str = "", adapters: int = 1, disk: bool = False) -> Vm:
        """By the wizard: dynamic MAC addresses, zeros until it is started."""
        vm = self.host.make(name)
        vm.checkpoint_type = STANDARD
        for _ in range(adapters - len(vm.nics)):
            self.host.add_adapter(vm, Nic(self.host.around.new_id()))
        for nic in vm.nics:
            nic.switch = switch or self.host.switches[0]
        if disk:
            self._give_disk(vm)
        self.host.changed()
        return vm

    def _give_disk(self, vm: Vm) -> None:
        path = joined(self.host.disk_path, f"{vm.name}.vhdx")
        self.host.files.put(File(path, size=1 << 30))
        attach(vm, path)

    def set_static(self, vm: Vm, mac: int, adapter: int = 0) -> None:
        self.host.set_static(vm, vm.nics[adapter], Mac(mac))
        self.host.changed()

    def set_dynamic(self, vm: Vm, adapter: int = 0) -> None:
        self.host.set_dynamic(vm, vm.nics[adapter])
        self.host.changed()

    def start(self, vm: Vm) -> None:
        """Raises StartFailed."""
        self.host.start(vm)

    def stop(self, vm: Vm) -> None:
        self.host.stop(vm)

    def save(self, vm: Vm) -> None:
        self.host.stop(vm, "Saved")

    def rename(self, vm: Vm, name: str) -> None:
        vm.name = name
        self.host.changed()

    def annotate(self, vm: Vm, notes: str) -> None:
        """Writes over all of the notes."""
        vm.settings = msgspec.structs.replace(vm.settings, notes=notes)
        self.host.changed()

    def delete(self, vm: Vm) -> None:
        """Turned off first, where it runs."""
        self.host.stop(vm)
        self.host.destroy(vm)

    def checkpoint(self, vm: Vm, name: str) -> VmCheckpoint:
        return self.host.capture(vm, name)

    def roll_back(self, vm: Vm, taken: VmCheckpoint) -> None:
        """Raises StartFailed."""
        self.host.apply(vm, taken.id)

    def clone(self, vm: Vm, name: str, *, at: str = "") -> Vm:
        """Export, then import as a copy with a new id: everything is copied, notes and MAC addresses too."""
        target = self.datacenter.hosts[at or self.host.name]
        path = f"\\\\files\\clones\\{name}"
        folder = export(self.host, vm, path)
        made = import_export(
            target,
            joined(folder, "Virtual Machines", f"{vm.id.upper()}.vmcx"),
            copy=True,
            new_id=True,
            folders=("", joined(target.disk_path, name)),
        )
        made.name = name
        target.files.remove(path)
        target.changed()
        return made

    def move(self, vm: Vm, to: str) -> None:
        """Live migration to another host, in a cluster or not."""
        self.datacenter.move(vm, self.host, self.datacenter.hosts[to])


class DesktopPool:
    """A pooled collection of Remote Desktop Services: desktops made from a template, rolled back at each logoff."""

    def __init__(self, console: Console, template: Vm) -> None:
        """Raises HyperVError for a template with a static MAC address: the pool refuses it (story 2.5)."""
        if any(not nic.dynamic for nic in template.nics):
            raise HyperVError(
                "The virtual desktop template has a network adapter with a static MAC address. Use a dynamic one."
            )
        self.console = console
        self.template = template
        self.desktops: dict[str, Vm] = {}

    def make(self, name: str) -> Vm:
        """Cloned from the template, with the switch's adapter dynamic, Off."""
        host = self.console.host
        desktop = self.console.clone(self.template, name)
        for nic in desktop.nics:
            host.set_dynamic(desktop, nic)
        desktop.checkpoint_type = STANDARD
        self.desktops[name] = desktop
        host.changed()
        return desktop

    def log_on_first(self, name: str) -> VmCheckpoint:
        """It is started for the first time, and its checkpoint taken shortly afterwards. Raises StartFailed."""
        host, desktop = self._where(name)
        host.start(desktop)
        return self.checkpoint(name)

    def checkpoint(self, name: str) -> VmCheckpoint:
        host, desktop = self._where(name)
        return host.capture(desktop, ROLLBACK.format(name))

    def log_off(self, name: str) -> None:
        """The checkpoint is applied, on whatever host the desktop is now. Raises StartFailed."""
        host, desktop = self._where(name)
        taken = next(each for each in desktop.taken() if each.name == ROLLBACK.format(name))
        host.apply(desktop, taken.id)

    def move(self, name: str, to: str) -> None:
        host, desktop = self._where(name)
        self.console.datacenter.move(desktop, host, self.console.datacenter.hosts[to])

    def _where(self, name: str) -> tuple[FakeHost, Vm]:
        found = self.console.datacenter.find(self.desktops[name].id)
        if found is None:
            raise KeyError(name)
        return found
