"""New-VHD, Get-VHD, Resize-VHD, Add-VMHardDiskDrive, Get-VMHardDiskDrive."""

from collections.abc import Iterator

from weft.fakes.hyperv.cmdlets import objects
from weft.fakes.hyperv.cmdlets.machines import attach, passed
from weft.fakes.hyperv.cmdlets.spec import Spec, checkpoint_of, listed, machines, number, refused, text
from weft.fakes.hyperv.files import File
from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import Record


def _new(host: FakeHost, call: Call) -> Iterator[Record]:
    path, parent, size = text(call, "Path"), text(call, "ParentPath"), number(call, "SizeBytes")
    if host.files.get(path) is not None:
        raise HyperVError(
            f"Failed to create the virtual hard disk. The system failed to create '{path}': The file exists."
        )
    if parent:
        held = host.files.get(parent)
        if held is None:
            raise HyperVError(f"Failed to create the virtual hard disk. '{parent}': The system cannot find the file.")
        size = held.size
    elif size <= 0:
        raise refused("Cannot validate argument on parameter 'SizeBytes'.")
    file = host.files.put(File(path, size=size, parent=parent))
    yield objects.disk_file(file.path, file.size, file.parent)


def _get(host: FakeHost, call: Call) -> Iterator[Record]:
    for path in call.texts("Path"):
        file = host.files.get(path)
        if file is None:
            raise HyperVError(f"Getting the mounted storage instance for the path '{path}' failed: file not found.")
        yield objects.disk_file(file.path, file.size, file.parent)


def _resize(host: FakeHost, call: Call) -> Iterator[Record]:
    """To a larger size alone: what a smaller one asks of the partitions inside the fake's disks do not have."""
    path, size = text(call, "Path"), number(call, "SizeBytes")
    file = host.files.get(path)
    if file is None:
        raise HyperVError(f"Failed to resize the virtual disk. '{path}': The system cannot find the file specified.")
    if size < file.size:
        raise HyperVError(f"Failed to resize the virtual disk. '{path}': it is larger than that.")
    file.size = size
    yield from passed(call, objects.disk_file(file.path, file.size, file.parent))


def _add(host: FakeHost, call: Call) -> Iterator[Record]:
    path = text(call, "Path")
    for vm in list(machines(host, call, "VMName")):
        if host.files.get(path) is None:
            raise HyperVError(
                f"'{vm.name}' failed to add device 'Virtual Hard Disk'. Attachment '{path}' not found. Error: 'The "
                "system cannot find the file specified.'"
            )
        for other in host.vms:
            if any(disk.path.lower() == path.lower() for disk in other.settings.disks):
                raise HyperVError(
                    f"'{vm.name}' failed to add device 'Virtual Hard Disk'. The disk '{path}' is already attached to "
                    f"virtual machine '{other.name}'."
                )
        disk = attach(vm, path)
        host.changed()
        yield from passed(call, objects.drive(vm, disk))


def _drives(host: FakeHost, call: Call) -> Iterator[Record]:
    if call.has("VMSnapshot"):
        for one in listed(call.get("VMSnapshot")):
            vm, taken = checkpoint_of(host, one)
            yield from (objects.drive(vm, disk) for disk in taken.settings.disks)
        return
    for vm in list(machines(host, call, "VMName")):
        yield from (objects.drive(vm, disk) for disk in vm.settings.disks)


DISKS = (
    Spec("New-VHD", _new, "@Path! ParentPath SizeBytes Dynamic Fixed Differencing"),
    Spec("Get-VHD", _get, "@<Path!"),
    Spec("Resize-VHD", _resize, "@Path! @SizeBytes! Passthru"),
    Spec("Add-VMHardDiskDrive", _add, "@VMName <VM Path! Passthru"),
    Spec("Get-VMHardDiskDrive", _drives, "@VMName <VM <VMSnapshot"),
)
