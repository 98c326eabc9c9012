"""Errands: what is done to a machine once. Called by driver.py, in a thread.

Each is harmless to do again but restore, of which the caller remembers the number. Raises HypervisorFailure or
libvirtError.
"""

import os
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import libvirt

from weft.agent.hypervisors import Announce, CarryOut, HypervisorFailure
from weft.agent.libvirt import disks, snapshots
from weft.agent.libvirt.definitions import make_domain, note_made
from weft.agent.libvirt.domain_patching import Copy, Unfit, copied, unmarked
from weft.agent.libvirt.domain_reading import DomainState, read_domain
from weft.agent.libvirt.host import Host, config_of
from weft.agent.libvirt.mark import ERRAND_NAMESPACE, HELD, PREFIX, Mark, announced_of, errand_element
from weft.agent.libvirt.running import note_run
from weft.model.records import Errand

EXPORTED = "domain.xml"
"""In the folder of an export, beside the disks."""


def carry_out(host: Host, verb: CarryOut) -> None:
    errand = verb.machine.errand
    if errand is None:
        return
    if errand.kind == "copy":
        copy(host, verb, errand)
        return
    domain = host.need(verb.machine.machine, verb.id or verb.machine.hypervisor_id)
    match errand.kind:
        case "checkpoint":
            snapshots.take(domain, errand)
        case "restore":
            _restore(host, domain, verb, errand)
        case "deleteCheckpoint":
            snapshots.delete(domain, errand)
        case "rewriteCheckpoint":
            snapshots.rewrite(domain, errand)
        case "export":
            export(domain, errand)
        case kind:
            raise HypervisorFailure(f"libvirt has no such thing as {kind}")


def _restore(host: Host, domain: Any, verb: CarryOut, errand: Errand) -> None:
    if not verb.again or announced_of(ET.fromstring(config_of(domain))) == errand.number:
        snapshots.revert(domain, errand)
    elif domain.isActive() and domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
        return  # it is done, and another hand let it run since
    host.lives.stopped(domain.UUIDString())
    if verb.machine.power == "Off" and domain.isActive():
        domain.destroy()
    elif domain.isActive():
        note_run(domain, HELD)


def announce(host: Host, verb: Announce) -> None:
    """In the domain's configuration, which a snapshot brings back as it was."""
    errand = verb.machine.errand
    if errand is None:
        return
    domain = host.need(verb.machine.machine, verb.id or verb.machine.hypervisor_id)
    kind, flags = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
    domain.setMetadata(kind, errand_element(errand.number), f"{PREFIX}errand", ERRAND_NAMESPACE, flags)


def export(domain: Any, errand: Errand) -> None:
    """The domain's XML and copies of its disks in a folder, which is there whole or not at all."""
    if not errand.path.startswith("/"):
        raise HypervisorFailure(f"folder '{errand.path}': write the whole path")
    target = Path(errand.path)
    if (target / EXPORTED).exists():
        if read_domain((target / EXPORTED).read_text()).uuid == domain.UUIDString():
            return
        raise HypervisorFailure(f"{target} holds an export of another machine")
    if target.exists() and any(target.iterdir()):
        raise HypervisorFailure(f"{target} is not empty")
    xml = config_of(domain)
    _at_rest(domain, "exported")
    fresh = target.with_name(f".{target.name}{disks.NEW}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        for disk in read_domain(xml).disks:
            disks.copy_file(disk.path, str(fresh / os.path.basename(disk.path)))
        (fresh / EXPORTED).write_text(unmarked(xml))
        if target.exists():
            target.rmdir()
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def copy(host: Host, verb: CarryOut, errand: Errand) -> None:
    """A new machine like another one of this host (`errand.name` is its hypervisor id), with copies of its disks."""
    machine = verb.machine
    found = host.find(machine.machine, verb.id or machine.hypervisor_id)
    if found is None and (stranger := host.named(machine.machine)) is not None:
        raise HypervisorFailure(f"a machine of that name is there that is not Weft's (UUID {stranger.UUIDString()})")
    source = host.need(machine.machine, errand.name)
    xml = config_of(source)
    names = _new_paths(read_domain(xml), machine.machine)

    def make_disks() -> None:
        for old, new in names.items():
            if not os.path.exists(new):
                _at_rest(source, "copied")
                disks.copy_file(old, f"{new}{disks.NEW}")
                _at_rest(source, "copied")
                os.rename(f"{new}{disks.NEW}", new)

    if found is not None:
        make_disks()  # whoever began may have died before they were whole
        note_made(found)
        return
    _at_rest(source, "copied")
    for path in names.values():
        if os.path.exists(path):
            raise HypervisorFailure(f"{path} is there already, and would be the copy's disk")
    mark = Mark(machine.machine, host.new_id(), tuple(names.values()))
    try:
        document = copied(xml, Copy(mark, verb.ports, names))
    except Unfit as unfit:
        raise HypervisorFailure(f"the machine that is copied: {unfit}") from unfit
    domain = make_domain(host, document, verb.ports, make_disks, tuple(names.values()))
    if domain.isActive():
        raise HypervisorFailure("read back it is not off")


def _new_paths(source: DomainState, machine: str) -> dict[str, str]:
    """Beside the source's: MACHINE.qcow2, MACHINE-vdb.qcow2 ... A disk that cannot be written to is shared."""
    found: dict[str, str] = {}
    for place, disk in enumerate(one for one in source.disks if not one.read_only):
        stem = machine if place == 0 else f"{machine}-{disk.target}"
        found[disk.path] = str(Path(disk.path).with_name(stem + (Path(disk.path).suffix or f".{disk.format}")))
    return found


def _at_rest(domain: Any, done: str) -> None:
    """A disk that QEMU writes to while it is read gives a copy that was never so."""
    if domain.isActive() and domain.state()[0] != libvirt.VIR_DOMAIN_SHUTOFF:
        raise HypervisorFailure(f"it runs: stop it, so that its disks can be {done} as they are")
