"""Objects as the cmdlets write them: snapshots of what is there, with the properties that the fake has.

Enumerations are those of Microsoft.HyperV.PowerShell, with their numbers.
"""

from typing import Any

from weft.fakes.hyperv.cmdlets.spec import NIC, SNAPSHOT, VM, guid_or_null
from weft.fakes.hyperv.files import joined
from weft.fakes.hyperv.host import FakeHost
from weft.fakes.hyperv.machine import Disk, Nic, Vm, VmCheckpoint
from weft.fakes.hyperv.powershell.values import EnumValue, Guid, Moment, Record
from weft.model.values import mac_digits
from weft.sim.hyperv import OFF

_STATES = {"Running": 2, "Off": 3, "Saved": 6, "Paused": 9}
_START_ACTIONS = {"Nothing": 2, "StartIfRunning": 3, "Start": 4}
_STOP_ACTIONS = {"TurnOff": 2, "Save": 3, "ShutDown": 4}
_CHECKPOINT_TYPES = {"Disabled": 2, "Production": 3, "ProductionOnly": 4, "Standard": 5}
_SWITCH_TYPE = EnumValue("External", 2)


def state(name: str) -> EnumValue:
    return EnumValue(name, _STATES[name])


def machine(host: FakeHost, vm: Vm) -> Record:
    parent = next((each for each in vm.taken() if each.id == vm.parent), None)
    migrating = EnumValue("MigratingVirtualMachine", 32775) if vm.migrating else None
    return Record(
        {
            "Name": vm.name,
            "VMName": vm.name,
            "Id": Guid(vm.id),
            "VMId": Guid(vm.id),
            "State": state(vm.state),
            "Status": "Operating normally",
            "SecondaryOperationalStatus": migrating,
            "Notes": vm.settings.notes,
            "Generation": vm.generation,
            "Path": vm.path,
            "ConfigurationLocation": vm.path,
            "SnapshotFileLocation": vm.path,
            "ProcessorCount": vm.settings.processors,
            "MemoryStartup": vm.settings.memory,
            "MemoryAssigned": 0 if vm.power == OFF else vm.settings.memory,
            "DynamicMemoryEnabled": vm.settings.dynamic_memory,
            "AutomaticStartAction": EnumValue(vm.automatic_start, _START_ACTIONS[vm.automatic_start]),
            "AutomaticStopAction": EnumValue(vm.automatic_stop, _STOP_ACTIONS[vm.automatic_stop]),
            "CheckpointType": EnumValue(vm.checkpoint_type, _CHECKPOINT_TYPES[vm.checkpoint_type]),
            "ParentSnapshotId": guid_or_null(vm.parent) if parent is not None else None,
            "ParentSnapshotName": parent.name if parent is not None else None,
            "IsClustered": host.around.is_role(vm.id),
            "CreationTime": Moment(vm.created),
            "ComputerName": host.name,
            "NetworkAdapters": [adapter(host, vm, nic) for nic in vm.nics],
            "HardDrives": [drive(vm, disk) for disk in vm.settings.disks],
        },
        VM,
        vm.id,
    )


def adapter(host: FakeHost, vm: Vm, nic: Nic, taken: VmCheckpoint | None = None) -> Record:
    """Of a machine, or as a checkpoint has it."""
    return Record(
        {
            "Id": adapter_id(vm, nic, taken),
            "Name": nic.name,
            "VMName": vm.name,
            "VMId": Guid(vm.id),
            "VMSnapshotId": Guid(taken.id if taken is not None else "00000000-0000-0000-0000-000000000000"),
            "VMSnapshotName": taken.name if taken is not None else "",
            "MacAddress": mac_digits(nic.mac),
            "DynamicMacAddressEnabled": nic.dynamic,
            "SwitchName": nic.switch or None,
            "Connected": bool(nic.switch),
            "Status": ["Ok"] if nic.switch and not nic.cut_off else [],
            "VirtualSubnetId": nic.virtual_subnet_id,
            "IsLegacy": False,
            "IsManagementOs": False,
            "ClusterMonitored": True,
            **nic.settings,
        },
        NIC,
        (vm.id, taken.id if taken is not None else "", nic.id),
    )


def adapter_id(vm: Vm, nic: Nic, taken: VmCheckpoint | None = None) -> str:
    owner = taken.id if taken is not None else vm.id
    return f"Microsoft:{owner.upper()}\\{nic.id.upper()}"


def checkpoint(host: FakeHost, vm: Vm, taken: VmCheckpoint) -> Record:
    parent = next((each for each in vm.taken() if each.id == taken.parent), None)
    return Record(
        {
            "Id": Guid(taken.id),
            "Name": taken.name,
            "VMId": Guid(vm.id),
            "VMName": vm.name,
            "SnapshotType": EnumValue("Standard", 2),
            "State": state("Off" if taken.power == OFF else "Saved"),
            "CreationTime": Moment(taken.created),
            "ParentSnapshotId": guid_or_null(taken.parent) if parent is not None else None,
            "ParentSnapshotName": parent.name if parent is not None else None,
            "Notes": taken.settings.notes,
            "IsDeleted": False,
            "ComputerName": host.name,
        },
        SNAPSHOT,
        (vm.id, taken.id),
    )


def drive(vm: Vm, disk: Disk) -> Record:
    return Record(
        {
            "VMName": vm.name,
            "VMId": Guid(vm.id),
            "Path": disk.path,
            "ControllerType": EnumValue(disk.controller, 1 if disk.controller == "SCSI" else 0),
            "ControllerNumber": disk.number,
            "ControllerLocation": disk.location,
        },
        "HardDiskDrive",
        (vm.id, disk),
    )


def virtual_switch(host: FakeHost, name: str) -> Record:
    return Record({"Name": name, "SwitchType": _SWITCH_TYPE, "ComputerName": host.name}, "VMSwitch", name)


def host_settings(host: FakeHost) -> Record:
    return Record(
        {
            "Name": host.name,
            "ComputerName": host.name,
            "MacAddressMinimum": mac_digits(host.range.first),
            "MacAddressMaximum": mac_digits(host.range.last),
            "VirtualMachinePath": host.machine_path,
            "VirtualHardDiskPath": host.disk_path,
        },
        "VMHost",
    )


def file(path: str, *, folder: bool, name: str, size: int) -> Record:
    values: dict[str, Any] = {"FullName": path, "Name": name, "PSIsContainer": folder, "Exists": True}
    return Record(values if folder else values | {"Length": size}, "DirectoryInfo" if folder else "FileInfo", path)


def disk_file(path: str, size: int, parent: str) -> Record:
    kind = EnumValue("Differencing", 4) if parent else EnumValue("Dynamic", 3)
    form = EnumValue("VHDX" if path.lower().endswith("x") else "VHD", 3 if path.lower().endswith("x") else 2)
    return Record({"Path": path, "Size": size, "VhdType": kind, "VhdFormat": form, "ParentPath": parent}, "VHD", path)


def export_folder(path: str, vm: Vm) -> str:
    return joined(path, vm.name)
