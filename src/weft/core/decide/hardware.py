"""What a machine may be made of. Called for every machine that is put, made, cloned or imported with hardware."""

import re
from collections.abc import Iterator

from weft.model.errors import Invalid
from weft.model.hypervisor import Disk, Hardware

MOST_CPUS, LEAST_MEMORY_MIB, MOST_MEMORY_MIB, MOST_DISK_GIB = 2048, 32, 12 << 20, 64 << 10
"""Bounds that no hypervisor goes beyond (Hyper-V: 2,048 processors, 12 TiB, disks of 64 TiB)."""
GENERATION = 2
"""Where none is asked for."""
ABSOLUTE = {"libvirt": re.compile("/"), "hyperv": re.compile(r"[A-Za-z]:[\\/]|[\\/]{2}[^\\/]")}
"""How a whole path begins, by kind of hypervisor."""
SUFFIXES = (".qcow2", ".raw", ".img", ".iso", ".vhdx", ".vhd")


def checked_hardware(hardware: Hardware | None) -> Hardware | None:
    """As it will be stored. Raises Invalid, naming the member."""
    if hardware is None:
        return None
    _within(hardware.cpu, (1, MOST_CPUS), "hardware.cpu")
    _within(hardware.memory_mib, (LEAST_MEMORY_MIB, MOST_MEMORY_MIB), "hardware.memoryMiB")
    if hardware.generation not in (1, 2):
        raise Invalid(f"generation is 1 or 2, not {hardware.generation}.", target="hardware.generation")
    seen: set[str] = set()
    for at, disk in enumerate(hardware.disks):
        _check_disk(disk, f"hardware.disks[{at}]")
        if disk.path.lower() in seen:
            raise Invalid(f"The disk {disk.path} is named twice.", target=f"hardware.disks[{at}].path")
        seen.add(disk.path.lower())
    for path, target in _paths(hardware):
        if not any(whole.match(path) for whole in ABSOLUTE.values()):
            raise Invalid(f"'{path}' is no whole path: write it from the root or the drive on.", target=target)
    if (hardware.initrd or hardware.kernel_arguments) and not hardware.kernel:
        raise Invalid("initrd and kernelArguments go with a kernel: name it.", target="hardware.kernel")
    return hardware


def check_kind(hardware: Hardware, kind: str) -> None:
    """What a hypervisor of this kind could only pass over, or refuse when everything is made. A generation of 0 is none
    that was asked for. Raises Invalid, naming the member."""
    if kind == "libvirt" and hardware.generation:
        raise Invalid("generation is Hyper-V's: libvirt has none, leave it out.", target="hardware.generation")
    if kind == "libvirt" and hardware.path:
        raise Invalid(
            "path is Hyper-V's: on libvirt a machine's files are its disks, each with a whole path of its own.",
            target="hardware.path",
        )
    if kind == "hyperv" and hardware.kernel:
        raise Invalid("kernel is libvirt's: on Hyper-V a machine boots from its first disk.", target="hardware.kernel")
    if kind in ABSOLUTE:
        for path, target in _paths(hardware):
            if not ABSOLUTE[kind].match(path):
                raise Invalid(f"'{path}' is no whole path on a host with {kind}.", target=target)


def _paths(hardware: Hardware) -> Iterator[tuple[str, str]]:
    """All that are named, with the member that names each."""
    named = [(hardware.kernel, "kernel"), (hardware.initrd, "initrd"), (hardware.path, "path")]
    for at, disk in enumerate(hardware.disks):
        named += [(disk.path, f"disks[{at}].path"), (disk.source, f"disks[{at}].source")]
    return ((path, f"hardware.{member}") for path, member in named if path)


def _check_disk(disk: Disk, target: str) -> None:
    if not disk.path:
        raise Invalid("A disk needs a path: the file on the host.", target=f"{target}.path")
    for member, path in (("path", disk.path), ("source", disk.source)):
        if path and not path.lower().endswith(SUFFIXES):
            raise Invalid(f"'{path}' does not end in one of {', '.join(SUFFIXES)}.", target=f"{target}.{member}")
        if any(ord(character) < 32 for character in path):
            raise Invalid(f"{path!r} has control characters.", target=f"{target}.{member}")
    _within(disk.size_gib, (0, MOST_DISK_GIB), f"{target}.sizeGib")


def _within(value: int, bounds: tuple[int, int], target: str) -> None:
    low, high = bounds
    if not low <= value <= high:
        raise Invalid(f"{target} is {low} to {high}, not {value}.", target=target)
