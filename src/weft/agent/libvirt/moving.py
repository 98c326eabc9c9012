"""Prepare of a machine that moves here, and Migrate: live migration between two libvirtds.

Called by driver.py, in a thread. The source's libvirtd carries the migration (peer to peer), so it outlives this
process; facts.py sees one that is under way. Raises HypervisorFailure or libvirtError.
"""

import os
from typing import Any
from urllib.parse import urlsplit

import libvirt

from weft.agent.hypervisors import HypervisorFailure, Migrate
from weft.agent.libvirt.facts import stands_still
from weft.agent.libvirt.host import Host, state_of
from weft.agent.libvirt.power import RUNNING, power_of
from weft.agent.libvirt.snapshots import pack, unpack
from weft.model.records import Machine


def check_destination(host: Host, machine: Machine) -> bool:
    """See to it that the machine can come here. True if it runs here already. Raises HypervisorFailure."""
    found = host.find(machine.machine, machine.hypervisor_id)
    if found is not None and power_of(found, host.lives, state_of(found).run) == RUNNING:
        return True
    if found is None and (stranger := host.named(machine.machine)) is not None:
        raise HypervisorFailure(
            f"a machine of that name is there already (UUID {stranger.UUIDString()}); it would be in the way"
        )
    hardware = machine.hardware
    if hardware is not None:
        needed = (hardware.kernel, hardware.initrd, *(disk.path for disk in hardware.disks))
        if absent := [path for path in needed if path and not os.path.exists(path)]:
            raise HypervisorFailure(f"it cannot come: {', '.join(absent)} is not here")
    return False


def migrate(host: Host, verb: Migrate) -> None:
    """Returns when it runs at the destination. Its snapshots go along; the driver there tells libvirt of them."""
    domain = host.find(verb.machine, verb.id)
    if domain is None or power_of(domain, host.lives, state_of(domain).run) != RUNNING:
        raise HypervisorFailure("it does not run here")
    if stands_still(domain):
        raise HypervisorFailure("it stands paused for a migration before, and may run at the other host already")
    uri = host.settings.migrate.format(address=_bracketed(verb.address or verb.server))
    pack(domain)
    try:
        domain.migrateToURI3(uri, _parameters(uri), _flags(host, domain, uri))
    except libvirt.libvirtError:
        unpack(domain)
        raise


def _parameters(uri: str) -> dict[str, Any]:
    """Memory travels to the address of the commands; libvirt would take the name that the other host calls itself."""
    address = urlsplit(uri).hostname
    return {libvirt.VIR_MIGRATE_PARAM_URI: f"tcp://{_bracketed(address)}"} if address else {}


def _flags(host: Host, domain: Any, uri: str) -> int:
    flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    flags |= libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    if urlsplit(uri).scheme.endswith("+tls"):
        flags |= libvirt.VIR_MIGRATE_TLS
    if host.settings.shared_disks:
        flags |= libvirt.VIR_MIGRATE_UNSAFE  # "unsafe" is what libvirt calls storage that it does not know to be shared
    return int(flags)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address and not address.startswith("[") else address
