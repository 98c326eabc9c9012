"""Move-VM, Export-VM, Import-VM."""

from collections.abc import Iterator

import msgspec

from weft.fakes.hyperv.cmdlets import objects
from weft.fakes.hyperv.cmdlets.machines import passed
from weft.fakes.hyperv.cmdlets.spec import Spec, machines, refused, text
from weft.fakes.hyperv.files import File, Files, is_shared, joined, leaf_of, parent_of
from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.machine import Disk, ExportFile, Nic, Vm, copied
from weft.fakes.hyperv.powershell.errors import NotUnderstood
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import Record
from weft.sim.hyperv import OFF, RUNNING, SAVED

DISK_FOLDER, MACHINE_FOLDER = "Virtual Hard Disks", "Virtual Machines"


def _move(host: FakeHost, call: Call) -> Iterator[Record]:
    around = host.around
    target = text(call, "DestinationHost")
    destination = around.host_named(target)
    for vm in list(machines(host, call)):
        if destination is None:
            raise HyperVError(
                f"The Virtual Machine Management Service failed to establish a connection for a Virtual Machine "
                f"migration with host '{target}': No such host is known."
            )
        if destination is host:
            raise refused(f"The virtual machine '{vm.name}' is already on '{host.name}'.")
        if around.is_role(vm.id):
            raise refused(f"'{vm.name}' is a clustered virtual machine: use Failover Cluster Manager to move it.")
        moved = _moved_files(host, destination, vm, call)
        around.move(vm, host, destination)
        for file in moved:
            host.files.remove(file.path)
        yield from passed(call, objects.machine(destination, vm))


def _moved_files(host: FakeHost, destination: FakeHost, vm: Vm, call: Call) -> list[File]:
    """What must go along: with -IncludeStorage all that is not shared, else there must be nothing."""
    paths = {disk.path for disk in vm.settings.disks} | {d.path for taken in vm.taken() for d in taken.settings.disks}
    local = [path for path in sorted(paths) if not is_shared(path)]
    if not call.get("IncludeStorage", False):
        if local:
            raise HyperVError(
                f"Migration failed for the virtual machine '{vm.name}' at migration destination '{destination.name}': "
                f"cannot access '{local[0]}'."
            )
        return []
    if not call.has("DestinationStoragePath"):
        raise NotUnderstood("Move-VM -IncludeStorage without -DestinationStoragePath")
    renamed = {path: joined(text(call, "DestinationStoragePath"), DISK_FOLDER, leaf_of(path)) for path in local}
    moved = [file for file in (host.files.get(path) for path in _with_parents(host.files, local)) if file is not None]
    for file in moved:
        new = renamed.get(file.path) or joined(text(call, "DestinationStoragePath"), DISK_FOLDER, leaf_of(file.path))
        parent = joined(parent_of(new), leaf_of(file.parent)) if file.parent else ""
        destination.files.put(File(new, size=file.size, parent=parent, content=file.content))
    _rename_disks(vm, renamed)
    return moved


def _with_parents(files: Files, paths: list[str]) -> list[str]:
    found = list(paths)
    for path in found:
        file = files.get(path)
        if file is not None and file.parent and file.parent not in found:
            found.append(file.parent)
    return found


def _rename_disks(vm: Vm, renamed: dict[str, str]) -> None:
    def moved(disks: tuple[Disk, ...]) -> tuple[Disk, ...]:
        return tuple(msgspec.structs.replace(each, path=renamed.get(each.path, each.path)) for each in disks)

    vm.settings = msgspec.structs.replace(vm.settings, disks=moved(vm.settings.disks))
    for taken in vm.taken():
        settings = msgspec.structs.replace(taken.settings, disks=moved(taken.settings.disks))
        vm.checkpoints[taken.id] = msgspec.structs.replace(taken, settings=settings)


_WITH_MEMORY, _CRASHED = "CaptureSavedState", "CaptureCrashConsistentState"
"""Of -CaptureLiveState: what an export has of a machine that runs."""


def _export(host: FakeHost, call: Call) -> Iterator[Record]:
    for vm in list(machines(host, call)):
        live = str(call.get("CaptureLiveState", _WITH_MEMORY))
        if live not in (_WITH_MEMORY, _CRASHED):
            raise NotUnderstood(f"-CaptureLiveState {live}")
        export(host, vm, text(call, "Path"), memory=live == _WITH_MEMORY)
        yield from passed(call, objects.machine(host, vm))


def export(host: FakeHost, vm: Vm, path: str, *, memory: bool = True) -> str:
    """Files that hold the machine as it is, its checkpoints and disks too; of a running one its memory, or else what is
    left after a crash. The folder. Raises HyperVError."""
    folder = objects.export_folder(path, vm)
    if host.files.get(folder) is not None:
        raise HyperVError(
            f"Failed to copy file during export. Failed to create export directory '{folder}': The file "
            "exists. (0x80070050)"
        )
    made = copied(vm)
    _rename_disks(made, _copied_disks(host, vm, joined(folder, DISK_FOLDER)))
    if made.power == RUNNING:
        made.power = SAVED if memory else OFF
    content = ExportFile(made, tuple(each.path for each in made.settings.disks))
    host.files.put(File(joined(folder, MACHINE_FOLDER, f"{vm.id.upper()}.vmcx"), content=content))
    return folder


def _import(host: FakeHost, call: Call) -> Iterator[Record]:
    vm = import_export(
        host,
        text(call, "Path"),
        copy=bool(call.get("Copy", False)),
        new_id=bool(call.get("GenerateNewId", False)),
        folders=(text(call, "VirtualMachinePath"), text(call, "VhdDestinationPath")),
    )
    yield objects.machine(host, vm)


def import_export(
    host: FakeHost, path: str, *, copy: bool = False, new_id: bool = False, folders: tuple[str, str] = ("", "")
) -> Vm:
    """Register in place, or copy, with the recorded id or a new one: recorded addresses stay in each case. `folders`
    are of the copy's machine and disks. Raises HyperVError."""
    file = host.files.get(path)
    if file is None or not isinstance(file.content, ExportFile):
        raise HyperVError(f"Failed to import a virtual machine. The Hyper-V configuration file '{path}' was not found.")
    if new_id and not copy:
        raise refused("Parameter set cannot be resolved using the specified named parameters.")
    vm = copied(file.content.machine)
    if new_id:
        _give_new_ids(host, vm)
    if host.vm(vm.id) is not None:
        raise HyperVError(
            f"Failed to import a virtual machine. The operation failed because a virtual machine with the same "
            f"identifier already exists. (Virtual machine ID {vm.id.upper()})"
        )
    _check_switches(host, vm)
    if copy:
        _rename_disks(vm, _copied_disks(host, vm, folders[1] or host.disk_path))
    vm.path = folders[0] or (host.machine_path if copy else parent_of(parent_of(path)))
    host.add(vm)
    host.files.put(File(joined(vm.path, MACHINE_FOLDER, f"{vm.id.upper()}.vmcx"), content=file.content))
    return vm


def _give_new_ids(host: FakeHost, vm: Vm) -> None:
    vm.id = host.around.new_id()
    renamed: dict[str, str] = {}
    for nic in (*vm.nics, *(each for taken in vm.taken() for each in taken.adapters)):
        if isinstance(nic, Nic):
            nic.id = renamed.setdefault(nic.id, host.around.new_id())
            nic.port = nic.id.upper()
    ids = {taken.id: host.around.new_id() for taken in vm.taken()}
    vm.checkpoints = {
        ids[taken.id]: msgspec.structs.replace(taken, id=ids[taken.id], parent=ids.get(taken.parent, ""))
        for taken in vm.taken()
    }
    vm.parent = ids.get(vm.parent, "")


def _copied_disks(host: FakeHost, vm: Vm, folder: str) -> dict[str, str]:
    """Copy its disks and all that they are differences of; what each is called there. Raises HyperVError, and then
    nothing was copied."""
    disks = (*vm.settings.disks, *(disk for taken in vm.taken() for disk in taken.settings.disks))
    renamed = {path: joined(folder, leaf_of(path)) for path in _with_parents(host.files, [disk.path for disk in disks])}
    for path, new in renamed.items():
        if host.files.get(path) is None:
            raise HyperVError(f"Failed to copy the virtual hard disk. '{path}' not found.")
        if host.files.get(new) is not None:
            raise HyperVError(f"Failed to copy the virtual hard disk. '{new}': The file exists. (0x80070050)")
    for path, new in renamed.items():
        file = host.files.get(path)
        assert file is not None
        host.files.put(File(new, size=file.size, parent=renamed.get(file.parent, "")))
    return renamed


def _check_switches(host: FakeHost, vm: Vm) -> None:
    lost = [nic.switch for nic in vm.nics if nic.switch and nic.switch not in host.switches]
    if lost:
        raise HyperVError(
            f"Unable to import virtual machine due to configuration errors. Could not find Ethernet switch "
            f"'{lost[0]}'. Please use Compare-VM to repair the virtual machine."
        )


MOVES = (
    Spec("Move-VM", _move, "@Name <VM @DestinationHost! IncludeStorage DestinationStoragePath Passthru"),
    Spec("Export-VM", _export, "@Name <VM @Path! CaptureLiveState Passthru"),
    Spec(
        "Import-VM",
        _import,
        "@Path! Register Copy VhdDestinationPath VirtualMachinePath SnapshotFilePath GenerateNewId",
    ),
)
