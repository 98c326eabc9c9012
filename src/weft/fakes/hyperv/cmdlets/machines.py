"""Get-VM, New-VM, Set-VM, Rename-VM, Remove-VM and what a machine is made of."""

from collections.abc import Iterator

import msgspec

from weft.fakes.hyperv.cmdlets import objects
from weft.fakes.hyperv.cmdlets.spec import Spec, machines, number, refused, text
from weft.fakes.hyperv.files import File
from weft.fakes.hyperv.host import FakeHost, HyperVError, wrong_state
from weft.fakes.hyperv.machine import Disk, Vm
from weft.fakes.hyperv.powershell.conversion import truth
from weft.fakes.hyperv.powershell.errors import NotUnderstood
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import Record
from weft.sim.hyperv import OFF

_START_ACTIONS = ("Nothing", "StartIfRunning", "Start")
_STOP_ACTIONS = ("TurnOff", "Save", "ShutDown")
_CHECKPOINT_TYPES = ("Disabled", "Production", "ProductionOnly", "Standard")


def passed(call: Call, record: Record) -> Iterator[Record]:
    """Only with -Passthru."""
    if call.get("Passthru", False):
        yield record


def _get(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call)):
        yield objects.machine(host, vm)


def _new(host: FakeHost, call: Call) -> Iterator[Record]:
    name = text(call, "Name", "New Virtual Machine")
    generation = number(call, "Generation", 1)
    if generation not in (1, 2):
        raise refused(f"Cannot validate argument on parameter 'Generation': {generation} is no generation.")
    switch = text(call, "SwitchName")
    check_switch(host, switch)
    for wanted in ("VHDPath",):
        if call.has(wanted) and host.files.get(text(call, wanted)) is None:
            raise HyperVError(f"Failed to add device 'Virtual Hard Disk'. Attachment '{text(call, wanted)}' not found.")
    vm = host.make(name, generation=generation, path=_folder(call, name))
    vm.settings = msgspec.structs.replace(vm.settings, memory=number(call, "MemoryStartupBytes", 1 << 30))
    for nic in vm.nics:
        nic.switch = switch
    if call.has("NewVHDPath"):
        path = text(call, "NewVHDPath")
        host.files.put(File(path, size=number(call, "NewVHDSizeBytes")))
        attach(vm, path)
    if call.has("VHDPath"):
        attach(vm, text(call, "VHDPath"))
    yield objects.machine(host, vm)


def _folder(call: Call, name: str) -> str:
    r"""-Path gets a folder of the machine's name."""
    return f"{text(call, 'Path').rstrip(chr(92))}\\{name}" if call.has("Path") else ""


def check_switch(host: FakeHost, name: str) -> None:
    """Raises HyperVError where a name is given that no virtual switch has."""
    if name and name not in host.switches:
        raise HyperVError(
            f'Hyper-V was unable to find a virtual switch with name "{name}".',
            id="InvalidParameter",
            category="InvalidArgument",
        )


def attach(vm: Vm, path: str) -> Disk:
    """To the next free place: a machine of the second generation has SCSI alone."""
    controller = "IDE" if vm.generation == 1 and len(vm.settings.disks) < 4 else "SCSI"
    held = [each for each in vm.settings.disks if each.controller == controller]
    at = len(held)
    disk = Disk(path, controller, at // 2 if controller == "IDE" else 0, at % 2 if controller == "IDE" else at)
    vm.settings = msgspec.structs.replace(vm.settings, disks=(*vm.settings.disks, disk))
    return disk


def _set(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call)):
        _check_power(vm, call)
        _set_settings(vm, call)
        vm.automatic_start = _choice(call, "AutomaticStartAction", _START_ACTIONS, vm.automatic_start)
        vm.automatic_stop = _choice(call, "AutomaticStopAction", _STOP_ACTIONS, vm.automatic_stop)
        vm.checkpoint_type = _choice(call, "CheckpointType", _CHECKPOINT_TYPES, vm.checkpoint_type)
        vm.name = text(call, "NewVMName", vm.name)
        host.changed()
        yield from passed(call, objects.machine(host, vm))


def _check_power(vm: Vm, call: Call) -> None:
    cold = ("ProcessorCount", "MemoryStartupBytes", "DynamicMemory", "StaticMemory")
    if vm.power != OFF and any(call.has(each) for each in cold):
        raise wrong_state(f"'{vm.name}' failed to modify settings.")


def _set_settings(vm: Vm, call: Call) -> None:
    old = vm.settings
    dynamic = (old.dynamic_memory or truth(call.get("DynamicMemory"))) and not truth(call.get("StaticMemory"))
    vm.settings = msgspec.structs.replace(
        old,
        notes=text(call, "Notes", old.notes),
        processors=number(call, "ProcessorCount", old.processors),
        memory=number(call, "MemoryStartupBytes", old.memory),
        dynamic_memory=dynamic,
    )


def _choice(call: Call, name: str, known: tuple[str, ...], old: str) -> str:
    if not call.has(name):
        return old
    wanted = text(call, name)
    found = next((each for each in known if each.lower() == wanted.lower()), None)
    if found is None:
        raise refused(
            f"Cannot bind parameter '{name}'. Unable to match the identifier name {wanted} to a valid enumerator."
        )
    return found


def _rename(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call)):
        vm.name = text(call, "NewName")
        host.changed()
        yield from passed(call, objects.machine(host, vm))


def _remove(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call)):
        record = objects.machine(host, vm)
        host.destroy(vm)
        yield from passed(call, record)


def _set_processor(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call, "VMName")):
        if vm.power != OFF:
            raise wrong_state(f"'{vm.name}' failed to modify device 'Processor'.")
        vm.settings = msgspec.structs.replace(vm.settings, processors=number(call, "Count", vm.settings.processors))
        yield from ()


def _set_memory(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call, "VMName")):
        if vm.power != OFF:
            raise wrong_state(f"'{vm.name}' failed to modify device 'Memory'.")
        dynamic = truth(call.get("DynamicMemoryEnabled")) if call.has("DynamicMemoryEnabled") else None
        vm.settings = msgspec.structs.replace(
            vm.settings,
            memory=number(call, "StartupBytes", vm.settings.memory),
            dynamic_memory=vm.settings.dynamic_memory if dynamic is None else dynamic,
        )
        yield from ()


def _set_firmware(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call, "VMName")):
        if vm.generation == 1:
            raise refused("The operation cannot be performed because the virtual machine is of generation 1.")
        device = call.get("FirstBootDevice")
        if device is not None and (not isinstance(device, Record) or device.kind != "HardDiskDrive"):
            raise NotUnderstood("-FirstBootDevice with something else than a hard disk drive")
        first = str(device.get("Path")) if device is not None else vm.settings.first_boot
        secure = text(call, "EnableSecureBoot", "On" if vm.settings.secure_boot else "Off").lower() == "on"
        vm.settings = msgspec.structs.replace(vm.settings, first_boot=first, secure_boot=secure)
        yield from ()


MACHINES = (
    Spec("Get-VM", _get, "@<Name Id"),
    Spec(
        "New-VM",
        _new,
        "@Name MemoryStartupBytes Generation NoVHD NewVHDPath NewVHDSizeBytes VHDPath SwitchName Path Force",
    ),
    Spec(
        "Set-VM",
        _set,
        "@Name <VM ProcessorCount DynamicMemory StaticMemory MemoryStartupBytes AutomaticStartAction"
        " AutomaticStopAction Notes NewVMName CheckpointType Passthru",
    ),
    Spec("Rename-VM", _rename, "@Name <VM @NewName! Passthru"),
    Spec("Remove-VM", _remove, "@Name <VM Force Passthru", asks=True),
    Spec("Set-VMProcessor", _set_processor, "@VMName <VM @Count"),
    Spec("Set-VMMemory", _set_memory, "@VMName <VM StartupBytes DynamicMemoryEnabled"),
    Spec("Set-VMFirmware", _set_firmware, "@VMName <VM FirstBootDevice EnableSecureBoot"),
)
