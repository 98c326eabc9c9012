"""Disk files: made, copied, taken away. Called by the verbs, in a thread; QEMU's own tools know the formats.

A file appears under its name only when it is whole; what is being made has `.weft-new` behind it.
"""

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from weft.agent.hypervisors import HypervisorFailure
from weft.agent.libvirt.domain_xml import disk_format
from weft.model.hypervisor import Disk

NEW = ".weft-new"
COPY_SECONDS = 3600.0
INFO_SECONDS = 10.0
_GIB = 1 << 30


def to_make(disks: Iterable[Disk]) -> tuple[str, ...]:
    """Paths of those that are not there and can be made. Raises HypervisorFailure for one that can not."""
    absent = [disk for disk in disks if not os.path.exists(disk.path)]
    for disk in absent:
        if not disk.path.startswith("/"):
            raise HypervisorFailure(f"disk '{disk.path}': write the whole path")
        if not (disk.size_gib or disk.source):
            raise HypervisorFailure(f"disk {disk.path} is not there; with a size or a source it is made")
        if disk.source and not os.path.exists(disk.source):
            raise HypervisorFailure(f"disk {disk.path} is to be a copy of {disk.source}, which is not there")
        if not os.path.isdir(os.path.dirname(disk.path)):
            raise HypervisorFailure(f"disk {disk.path}: there is no folder {os.path.dirname(disk.path)}")
        _check_holds(disk)
    return tuple(disk.path for disk in absent)


def _check_holds(disk: Disk) -> None:
    """A copy that would be cut off has lost what its source had at its end."""
    size = _size_of(disk.source) if disk.source and disk.size_gib else 0
    if size > disk.size_gib * _GIB:
        raise HypervisorFailure(
            f"disk {disk.path} is to have {disk.size_gib} GiB, and its source {disk.source} has {-(-size // _GIB)}: "
            "ask for no less, or for no size, which makes it as large as that"
        )


def _size_of(path: str) -> int:
    """What a disk can hold, in bytes; 0 if that is not known."""
    command = ["qemu-img", "info", "-U", "--output=json", "-f", disk_format(path), path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INFO_SECONDS)
        return int(json.loads(done.stdout)["virtual-size"]) if done.returncode == 0 else 0
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        return 0


def make(disks: Iterable[Disk], mine: Sequence[str]) -> None:
    """Make those of `mine` that are not there. Raises HypervisorFailure; those made until then stay."""
    for disk in disks:
        if disk.path in mine and not os.path.exists(disk.path):
            _make(disk)


def _make(disk: Disk) -> None:
    fresh, kind = f"{disk.path}{NEW}", disk_format(disk.path)
    Path(fresh).unlink(missing_ok=True)
    try:
        if not disk.source:
            _run(["qemu-img", "create", "-q", "-f", kind, fresh, f"{disk.size_gib}G"])
        elif disk_format(disk.source) == kind:
            copy_file(disk.source, fresh)
        else:
            _run(["qemu-img", "convert", "-f", disk_format(disk.source), "-O", kind, disk.source, fresh])
        if disk.source and disk.size_gib:
            _run(["qemu-img", "resize", "-q", "-f", kind, fresh, f"{disk.size_gib}G"])
        os.rename(fresh, disk.path)
    finally:
        Path(fresh).unlink(missing_ok=True)


def copy_file(source: str, target: str) -> None:
    """A copy that shares blocks where the file system can, and has the same holes."""
    _run(["cp", "--reflink=auto", "--sparse=always", "--", source, target])


def take_away(paths: Iterable[str]) -> None:
    for path in paths:
        for one in (path, f"{path}{NEW}"):
            Path(one).unlink(missing_ok=True)


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COPY_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HypervisorFailure(f"{' '.join(command)}: {error}") from error
    if done.returncode != 0:
        raise HypervisorFailure(f"{' '.join(command)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
