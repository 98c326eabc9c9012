"""How a cmdlet of the fake host is written down, and what they all use: finding machines, refusing, number formats."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.machine import Nic, Vm, VmCheckpoint
from weft.fakes.hyperv.powershell.comparison import wildcard
from weft.fakes.hyperv.powershell.conversion import as_text, cast
from weft.fakes.hyperv.powershell.errors import NotUnderstood
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import Guid, Record
from weft.model.errors import InvalidMacAddress
from weft.model.values import Mac, parse_mac

VM, NIC, SNAPSHOT = "VirtualMachine", "VMNetworkAdapter", "VMSnapshot"

Run = Callable[[FakeHost, Call], Iterable[Any]]

_NO_GUID = "00000000-0000-0000-0000-000000000000"


class Spec(msgspec.Struct, frozen=True):
    """`parameters` that the fake heeds, in one text: `@` before one that may go without its name, `<` before one that
    takes pipeline input, `!` after one that must be there. Which are switches, the table of cmdlets knows."""

    name: str
    run: Run
    parameters: str = ""
    asks: bool = False
    """It asks before it acts, unless -Force, -Confirm:$false or $ConfirmPreference 'None' say not to."""


PIPED = {"VM": VM, "VMNetworkAdapter": NIC, "VMSnapshot": SNAPSHOT, "VMHardDiskDrive": "HardDiskDrive"}
"""Kinds of objects that parameters take from the pipeline; other names take any."""


# -- machines


def machines(host: FakeHost, call: Call, name: str = "Name") -> Iterator[Vm]:
    """Those that -VM, -Name (or `name`) or -Id mean."""
    if call.has("VM"):
        for one in listed(call.get("VM")):
            yield machine_of(host, one)
    elif call.has(name):
        for text in call.texts(name):
            yield from named(host, text)
    elif "Id" in call.cmdlet.parameters and call.has("Id"):
        yield by_id(host, call.get("Id"))
    elif call.cmdlet.name == "Get-VM":
        yield from host.vms
    else:
        raise HyperVError(
            "Parameter set cannot be resolved using the specified named parameters.",
            id="AmbiguousParameterSet",
            category="InvalidArgument",
        )


def named(host: FakeHost, name: str) -> list[Vm]:
    """Raises HyperVError if there is none; a pattern may find none."""
    pattern = wildcard(name)
    found = [vm for vm in host.vms if pattern.fullmatch(vm.name)]
    if not found and not any(mark in name for mark in "*?["):
        raise HyperVError(
            f'Hyper-V was unable to find a virtual machine with name "{name}".',
            id="InvalidParameter",
            category="InvalidArgument",
        )
    return found


def by_id(host: FakeHost, value: Any) -> Vm:
    wanted = cast("guid", value)
    found = host.vm(wanted.digits)
    if found is None:
        raise HyperVError(
            f'Hyper-V was unable to find a virtual machine with id "{wanted.digits}".',
            id="InvalidParameter",
            category="InvalidArgument",
        )
    return found


def machine_of(host: FakeHost, value: Any) -> Vm:
    """The machine as it is now. Raises HyperVError if it is here no more."""
    if not isinstance(value, Record) or value.kind != VM:
        raise NotUnderstood("-VM with something else than a virtual machine")
    found = host.vm(value.subject)
    if found is None:
        raise gone(host)
    return found


def gone(host: FakeHost) -> HyperVError:
    return HyperVError(
        f"Hyper-V encountered an error trying to access an object on computer '{host.name.upper()}' because the object "
        "was not found. The object might have been deleted. Verify that the Virtual Machine Management service on the "
        "computer is running.",
        id="ObjectNotFound",
        category="ObjectNotFound",
    )


# -- adapters and checkpoints; `subject` of an adapter is (machine's id, checkpoint's id or "", adapter's id)


def adapter_of(host: FakeHost, value: Any) -> tuple[Vm, VmCheckpoint | None, Nic]:
    """As it is now, of a machine or of a checkpoint."""
    if not isinstance(value, Record) or value.kind != NIC:
        raise NotUnderstood("-VMNetworkAdapter with something else than a network adapter")
    machine, snapshot, id = value.subject
    vm = host.vm(machine)
    if vm is None:
        raise gone(host)
    taken = next((each for each in vm.taken() if each.id == snapshot), None) if snapshot else None
    if snapshot and taken is None:
        raise gone(host)
    held = taken.adapters if taken is not None else vm.adapters
    found = next((each for each in held if isinstance(each, Nic) and each.id == id), None)
    if found is None:
        raise gone(host)
    return vm, taken, found


def checkpoint_of(host: FakeHost, value: Any) -> tuple[Vm, VmCheckpoint]:
    if not isinstance(value, Record) or value.kind != SNAPSHOT:
        raise NotUnderstood("-VMSnapshot with something else than a checkpoint")
    machine, id = value.subject
    vm = host.vm(machine)
    taken = next((each for each in vm.taken() if each.id == id), None) if vm is not None else None
    if vm is None or taken is None:
        raise gone(host)
    return vm, taken


# -- values


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text(call: Call, name: str, default: str = "") -> str:
    return as_text(call.get(name)) if call.has(name) else default


def number(call: Call, name: str, default: int = 0) -> int:
    return int(cast("long", call.get(name))) if call.has(name) else default


def guid_or_null(id: str) -> Guid | None:
    return Guid(id) if id and id != _NO_GUID else None


def refused(message: str) -> HyperVError:
    return HyperVError(message, id="InvalidParameter", category="InvalidArgument")


def mac_of(written: str) -> Mac:
    """Raises HyperVError."""
    try:
        return parse_mac(written)
    except InvalidMacAddress:
        raise refused(f"'{written}' is not a valid MAC address.") from None
