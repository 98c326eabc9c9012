"""Can this host define such a machine? Asked before anything is made, so that the answer is in words for people and not
QEMU's when the machine starts.

Called by definitions.py, in a thread. Raises HypervisorFailure, to which the driver adds verb, machine and host.
"""

import os
import subprocess

from weft.agent.hypervisors import HypervisorFailure
from weft.agent.libvirt.host import Host
from weft.model.hypervisor import Hardware

ANSWER_SECONDS = 10


def check(host: Host, hardware: Hardware) -> None:
    """What an action of the controller's refuses too may come here in a record that was put."""
    if hardware.generation == 1:
        raise HypervisorFailure("hardware.generation 1 is Hyper-V's: libvirt has no generations, leave it out")
    if hardware.path:
        raise HypervisorFailure("hardware.path is Hyper-V's: give each disk its whole path, and leave it out")
    for member, path in (("kernel", hardware.kernel), ("initrd", hardware.initrd)):
        if path and not os.path.isfile(path):
            raise HypervisorFailure(f"hardware.{member} {path} is no file of this host: put it there, or name another")
    _check_size(host, hardware)
    _check_disks(host, hardware)
    _check_switch(host, hardware.switch or host.settings.bridge)


def _check_size(host: Host, hardware: Hardware) -> None:
    memory_mib = int(host.connection.getInfo()[1])
    if hardware.memory_mib > memory_mib:
        raise HypervisorFailure(
            f"{hardware.memory_mib} MiB of memory are asked for, and the host has {memory_mib} in all: ask for less, "
            "or choose another server"
        )
    most = host.platform.most_processors
    if most and hardware.cpu > most:
        raise HypervisorFailure(
            f"{hardware.cpu} processors are asked for, and its QEMU gives a machine {most} at most: ask for less"
        )


def _check_disks(host: Host, hardware: Hardware) -> None:
    """Two machines that write to one disk destroy what is on it; QEMU says so only where both run."""
    if not hardware.disks:
        return
    for domain in host.connection.listAllDomains():
        used = host.files_of(domain)
        for disk in hardware.disks:
            if any(_is_same(disk.path, path) for path in used):
                raise HypervisorFailure(
                    f"disk {disk.path} is in use by machine {domain.name()} of this host, and two machines that write "
                    "to one disk destroy it: name another file, which may be a copy of it (source) made while "
                    f"{domain.name()} is off"
                )


def _is_same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:  # one of them is not there
        return os.path.realpath(path) == os.path.realpath(other)


def _check_switch(host: Host, switch: str) -> None:
    known = _bridges(host.settings.rundir)
    if known is not None and switch not in known:
        there = ", ".join(sorted(known)) or "none"
        raise HypervisorFailure(
            f"it has no bridge {switch} of Open vSwitch (there: {there}): name one of those as hardware.switch, or "
            f"make it with ovs-vsctl add-br {switch}"
        )


def _bridges(rundir: str) -> set[str] | None:
    """None where it is not known: then libvirt will say so."""
    if not rundir:
        return None
    command = ["ovs-vsctl", f"--db=unix:{rundir}/db.sock", f"--timeout={ANSWER_SECONDS}", "list-br"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return set(done.stdout.split()) if done.returncode == 0 else None
