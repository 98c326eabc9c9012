"""Start-VM, Stop-VM, Save-VM, Remove-VMSavedState, Suspend-VM, Resume-VM."""

from collections.abc import Iterator

from weft.fakes.hyperv.cmdlets import objects
from weft.fakes.hyperv.cmdlets.machines import passed
from weft.fakes.hyperv.cmdlets.spec import Spec, machines
from weft.fakes.hyperv.host import FakeHost, HyperVError, wrong_state
from weft.fakes.hyperv.machine import Vm
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import Record
from weft.sim.hyperv import OFF, RUNNING, SAVED, StartFailed


def _start(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call)):
        _check_disks(host, vm)
        try:
            host.start(vm)
        except StartFailed as error:
            raise HyperVError(error.message) from None
        yield from passed(call, objects.machine(host, vm))


def _check_disks(host: FakeHost, vm: Vm) -> None:
    for disk in vm.settings.disks:
        if host.files.get(disk.path) is None:
            raise HyperVError(
                f"'{vm.name}' failed to start. Synthetic SCSI Controller: Failed to Power on with Error 'The system "
                f"cannot find the file specified.'. Attachment '{disk.path}' not found."
            )


def _stop(host: FakeHost, call: Call) -> Iterator[Record]:
    """A shutdown of the guest ends at once here; -TurnOff is the same without its consent."""
    for vm in list(machines(host, call)):
        if call.get("Save", False):
            host.stop(vm, SAVED)
        elif vm.power == SAVED and not call.get("TurnOff", False):
            raise wrong_state(f"'{vm.name}' failed to change state.")
        else:
            host.stop(vm, OFF)
        yield from passed(call, objects.machine(host, vm))


def _save(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call)):
        if vm.power == OFF:
            raise wrong_state(f"'{vm.name}' failed to change state.")
        host.stop(vm, SAVED)
        yield from passed(call, objects.machine(host, vm))


def _discard(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call)):
        if vm.power != SAVED:
            raise wrong_state(f"'{vm.name}' failed to change state.")
        host.stop(vm, OFF)
    yield from ()


def _suspend(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call)):
        host.pause(vm, True)
        yield from passed(call, objects.machine(host, vm))


def _resume(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call)):
        if vm.power != RUNNING:
            raise wrong_state(f"'{vm.name}' failed to change state.")
        host.pause(vm, False)
        yield from passed(call, objects.machine(host, vm))


POWER = (
    Spec("Start-VM", _start, "@Name <VM Passthru"),
    Spec("Stop-VM", _stop, "@Name <VM Save TurnOff Force Passthru"),
    Spec("Save-VM", _save, "@Name <VM Passthru"),
    Spec("Remove-VMSavedState", _discard, "@Name <VM"),
    Spec("Suspend-VM", _suspend, "@Name <VM Passthru"),
    Spec("Resume-VM", _resume, "@Name <VM Passthru"),
)
