"""Checkpoint-VM, Get-VMSnapshot, Restore-VMSnapshot, Remove-VMSnapshot."""

from collections.abc import Iterator

from weft.fakes.hyperv.cmdlets import objects
from weft.fakes.hyperv.cmdlets.machines import passed
from weft.fakes.hyperv.cmdlets.spec import Spec, checkpoint_of, listed, machines, text
from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.machine import Vm, VmCheckpoint
from weft.fakes.hyperv.powershell.comparison import wildcard
from weft.fakes.hyperv.powershell.conversion import cast
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import Record
from weft.sim.hyperv import StartFailed


def _checkpoint(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call)):
        if vm.checkpoint_type == "Disabled":
            raise HyperVError(f"Checkpoints have been disabled for '{vm.name}'.")
        taken = host.capture(vm, text(call, "SnapshotName", f"{vm.name} - ({len(vm.taken())})"))
        yield from passed(call, objects.checkpoint(host, vm, taken))


def _chosen(host: FakeHost, call: Call) -> Iterator[tuple[Vm, VmCheckpoint]]:
    if call.has("VMSnapshot"):
        for one in listed(call.get("VMSnapshot")):
            yield checkpoint_of(host, one)
        return
    for vm in list(machines(host, call, "VMName")):
        yield from _named(call, vm)


def _named(call: Call, vm: Vm) -> Iterator[tuple[Vm, VmCheckpoint]]:
    names = call.texts("Name")
    found = [taken for taken in vm.taken() if not names or any(wildcard(each).fullmatch(taken.name) for each in names)]
    if names and not found and not any(mark in each for each in names for mark in "*?["):
        raise HyperVError(
            f'Hyper-V was unable to find a virtual machine snapshot with name "{names[0]}".',
            id="InvalidParameter",
            category="InvalidArgument",
        )
    for taken in found:
        yield vm, taken


def _get(host: FakeHost, call: Call) -> Iterator[Record]:
    if call.has("Id"):
        wanted = cast("guid", call.get("Id")).digits
        chosen = [(vm, taken) for vm in host.vms for taken in vm.taken() if taken.id == wanted]
    else:
        chosen = list(_chosen(host, call))
    for vm, taken in chosen:
        yield objects.checkpoint(host, vm, taken)


def _restore(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm, taken in list(_chosen(host, call)):
        try:
            host.apply(vm, taken.id)
        except StartFailed as error:
            raise HyperVError(error.message) from None
        yield from passed(call, objects.checkpoint(host, vm, taken))


def _remove(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm, taken in list(_chosen(host, call)):
        record = objects.checkpoint(host, vm, taken)
        host.forget(vm, taken)
        yield from passed(call, record)


CHECKPOINTS = (
    Spec("Checkpoint-VM", _checkpoint, "@Name <VM @SnapshotName Passthru"),
    Spec("Get-VMSnapshot", _get, "@VMName <VM Id @Name"),
    Spec("Restore-VMSnapshot", _restore, "@Name @VMName <VMSnapshot Passthru", asks=True),
    Spec("Remove-VMSnapshot", _remove, "@VMName <VMSnapshot Name Passthru"),
)
